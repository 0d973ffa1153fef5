/* environment.c - the environment of a submit. */
#include "command/environment.h"

#include "base/memory.h"

#include <stdbool.h>
#include <string.h>

extern char **environ;

static bool is_the_present_one(const struct tdm_environment *environment)
{
    const char *at = environment->entries, *end = at + environment->size;
    for (char **entry = environ; entry && *entry; entry++) {
        size_t length = strlen(*entry) + 1;
        if ((size_t)(end - at) < length || memcmp(at, *entry, length) != 0) return false;
        at += length;
    }
    return at == end;
}

static struct tdm_environment *copy(void)
{
    size_t size = 0;
    for (char **entry = environ; entry && *entry; entry++) size += strlen(*entry) + 1;
    struct tdm_environment *made = tdm_malloc(sizeof *made + size);
    if (!made) return NULL;
    char *at = made->entries;
    for (char **entry = environ; entry && *entry; entry++) {
        size_t length = strlen(*entry) + 1;
        memcpy(at, *entry, length);
        at += length;
    }
    made->size = size;
    store_seq(&made->holders, 1); /* [environment-holders] */
    return made;
}

struct tdm_environment *tdm_environment_take(struct tdm_environment *last)
{
    return last && is_the_present_one(last) ? tdm_environment_hold(last) : copy();
}

struct tdm_environment *tdm_environment_hold(struct tdm_environment *environment)
{
    add_seq(&environment->holders, 1); /* [environment-holders] */
    return environment;
}

void tdm_environment_release(struct tdm_environment *environment)
{
    if (environment && add_seq(&environment->holders, (uint32_t)-1) == 1) free(environment); /* [environment-holders] */
}
