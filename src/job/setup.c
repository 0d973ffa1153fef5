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

void tdm_surroundings_note(struct tdm_surroundings *around)
{
    around->mask = tdm_platform_umask();
    around->affinity_size = (uint32_t)tdm_platform_get_affinity(around->affinity);
    for (size_t i = 0; i < RESOURCES; i++) {
        struct rlimit limit;
        if (getrlimit(resources[i], &limit) != 0) return;
        around->limits[i].soft = limit.rlim_cur;
        around->limits[i].hard = limit.rlim_max;
        around->resources = (uint32_t)i + 1;
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
static void adopt_limits(const struct tdm_surroundings *around, bool core_dumps)
{
    for (size_t i = 0; i < around->resources && i < RESOURCES; i++) {
        struct rlimit now, wanted = {.rlim_cur = (rlim_t)around->limits[i].soft, .rlim_max = (rlim_t)around->limits[i].hard};
        if (resources[i] == RLIMIT_CORE && !core_dumps && wanted.rlim_cur > 1) wanted.rlim_cur = 1;
        if (getrlimit(resources[i], &now) == 0 && now.rlim_cur == wanted.rlim_cur && now.rlim_max == wanted.rlim_max) continue;
        setrlimit(resources[i], &wanted);
    }
}

void tdm_surroundings_adopt(const struct tdm_surroundings *around, bool core_dumps)
{
    if (around->mask >= 0) umask((mode_t)around->mask);
    adopt_limits(around, core_dumps);
    tdm_platform_set_affinity(around->affinity, around->affinity_size);
}

void tdm_setup_adopt(const struct tdm_setup *setup, char *environment)
{
    adopt_environment(environment, (size_t)setup->environment_size);
    tdm_surroundings_adopt(&setup->around, setup->core_dumps != 0);
}
