/* memory_left.c - how much memory the system would still give this process.
 *
 * Linux does not refuse memory that it does not have, but kills somebody when it is touched, or when it is allocated for a file.  So
 * whoever wants much of it asks here first.  It is a guess: others take memory too. */
#define _POSIX_C_SOURCE 200809L
#include "base/memory_left.h"

#include "base/proc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two versions of control groups, which may be there side by side. */
static const struct version {
    const char *line; /* of /proc/self/cgroup, before the path */
    const char *root, *limit, *used;
} versions[] = {
    {"0::", "/sys/fs/cgroup", "memory.max", "memory.current"},
    {":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
};

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* The number behind a key at the beginning of a line; missing: there is none. */
static uint64_t number_after(const char *text, const char *key, uint64_t missing)
{
    for (const char *at = text; at && (at = strstr(at, key)) != NULL; at++)
        if (at == text || at[-1] == '\n') return strtoull(at + strlen(key), NULL, 10);
    return missing;
}

static uint64_t system_left(void)
{
    char *text = tdm_proc_read_whole("/proc/meminfo");
    uint64_t available = number_after(text, "MemAvailable:", UINT64_MAX), swap = number_after(text, "SwapFree:", 0);
    free(text);
    return available == UINT64_MAX ? UINT64_MAX : (available + swap) * 1024;
}

/* "max", and whatever else is no number, is no limit. */
static uint64_t read_number(const char *folder, const char *name, uint64_t missing)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return missing;
    char *text = tdm_proc_read_whole(path);
    uint64_t number = text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : missing;
    free(text);
    return number;
}

/* What files of others take of a group's memory is given up first. */
static uint64_t group_left(const struct version *version, const char *folder)
{
    char path[PATH_MAX];
    uint64_t limit = read_number(folder, version->limit, UINT64_MAX), used = read_number(folder, version->used, 0);
    if (limit == UINT64_MAX) return UINT64_MAX;
    char *text = snprintf(path, sizeof path, "%s/memory.stat", folder) < (int)sizeof path ? tdm_proc_read_whole(path) : NULL;
    used -= least(used, number_after(text, "inactive_file ", 0));
    free(text);
    return limit > used ? limit - used : 0;
}

/* The group's own limit, and those of all that it lies in. */
static uint64_t groups_left(const struct version *version, const char *groups)
{
    char folder[PATH_MAX];
    const char *line = strstr(groups, version->line);
    size_t root = strlen(version->root);
    if (!line) return UINT64_MAX;
    line += strlen(version->line);
    int length = snprintf(folder, sizeof folder, "%s%.*s", version->root, (int)strcspn(line, "\n"), line);
    if (length < 0 || length >= (int)sizeof folder) return UINT64_MAX;
    uint64_t left = UINT64_MAX;
    for (;;) {
        left = least(left, group_left(version, folder));
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= root || !slash || (size_t)(slash - folder) < root) return left;
        *slash = 0;
    }
}

uint64_t tdm_memory_left(void)
{
    uint64_t left = system_left();
    char *groups = tdm_proc_read_whole("/proc/self/cgroup");
    for (size_t i = 0; groups && i < sizeof versions / sizeof *versions; i++) left = least(left, groups_left(&versions[i], groups));
    free(groups);
    return left;
}
