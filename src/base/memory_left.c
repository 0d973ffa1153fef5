/* memory_left.c - how much memory the system would still give this process.
 *
 * Linux does not refuse memory that it does not have, but kills somebody when it is touched, or when it is allocated for a file.  So
 * whoever wants much of it asks here first.  It is a guess: others take memory too. */
#define _POSIX_C_SOURCE 200809L
#include "base/memory_left.h"

#include "base/groups.h"
#include "base/proc.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* What files of others take of a group's memory is given up first. */
static uint64_t group_left(int version, const char *folder)
{
    char path[PATH_MAX];
    uint64_t limit = tdm_groups_number(folder, version == 2 ? "memory.max" : "memory.limit_in_bytes", UINT64_MAX);
    if (limit == UINT64_MAX) return UINT64_MAX;
    uint64_t used = tdm_groups_number(folder, version == 2 ? "memory.current" : "memory.usage_in_bytes", 0);
    char *text = snprintf(path, sizeof path, "%s/memory.stat", folder) < (int)sizeof path ? tdm_proc_read_whole(path) : NULL;
    used -= least(used, number_after(text, "inactive_file ", 0));
    free(text);
    return limit > used ? limit - used : 0;
}

static void look(int version, const char *folder, void *left)
{
    *(uint64_t *)left = least(*(uint64_t *)left, group_left(version, folder));
}

uint64_t tdm_memory_left(void)
{
    uint64_t left = system_left();
    tdm_groups_each("", "memory", look, &left);
    return left;
}
