/* setup.c - the surroundings of a worker. */
#define _XOPEN_SOURCE 700
#include "job/setup.h"

#include "base/memory.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

static const int resources[] = {
    RLIMIT_CORE,    RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_STACK,
#if defined(RLIMIT_AS)
    RLIMIT_AS,
#endif
#if defined(RLIMIT_NPROC)
    RLIMIT_NPROC,
#endif
#if defined(RLIMIT_MEMLOCK)
    RLIMIT_MEMLOCK,
#endif
};
#define RESOURCES (sizeof resources / sizeof *resources)
_Static_assert(RESOURCES <= TDM_RESOURCES_MOST, "all have their place");

void tdm_setup_look_around(struct tdm_setup *setup)
{
    setup->mask = tdm_platform_umask();
    setup->affinity_size = (uint32_t)tdm_platform_get_affinity(setup->affinity);
    for (size_t i = 0; i < RESOURCES; i++) {
        struct rlimit limit;
        if (getrlimit(resources[i], &limit) != 0) return;
        setup->limits[i].soft = limit.rlim_cur;
        setup->limits[i].hard = limit.rlim_max;
        setup->resources = (uint32_t)i + 1;
    }
}

char *tdm_setup_copy_environment(size_t *size)
{
    size_t total = 0;
    for (char **entry = environ; entry && *entry; entry++) total += strlen(*entry) + 1;
    char *copy = tdm_malloc(total + 1), *at = copy;
    if (!copy) return NULL;
    for (char **entry = environ; entry && *entry; entry++) {
        size_t length = strlen(*entry) + 1;
        memcpy(at, *entry, length);
        at += length;
    }
    *size = total;
    return copy;
}

static void adopt_environment(char *environment, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        if (environment[i] == 0) count++;
    char **entries = tdm_malloc((count + 1) * sizeof *entries);
    if (!entries) return;
    size_t next = 0;
    for (char *at = environment; next < count; at += strlen(at) + 1) entries[next++] = at;
    entries[count] = NULL;
    environ = entries;
}

/* Core dumps: with a limit of 1 byte the kernel makes none, neither as a file nor for a collector that is piped to. */
static void adopt_limits(const struct tdm_setup *setup)
{
    for (size_t i = 0; i < setup->resources && i < RESOURCES; i++) {
        struct rlimit now, wanted = {.rlim_cur = (rlim_t)setup->limits[i].soft, .rlim_max = (rlim_t)setup->limits[i].hard};
        if (resources[i] == RLIMIT_CORE && !setup->core_dumps && wanted.rlim_cur > 1) wanted.rlim_cur = 1;
        if (getrlimit(resources[i], &now) == 0 && now.rlim_cur == wanted.rlim_cur && now.rlim_max == wanted.rlim_max) continue;
        setrlimit(resources[i], &wanted);
    }
}

void tdm_setup_adopt(const struct tdm_setup *setup, char *environment)
{
    adopt_environment(environment, (size_t)setup->environment_size);
    if (setup->mask >= 0) umask((mode_t)setup->mask);
    adopt_limits(setup);
    tdm_platform_set_affinity(setup->affinity, setup->affinity_size);
}
