/* cpus.c - see cpus.h. */
#define _POSIX_C_SOURCE 200809L
#include "base/cpus.h"

#include "base/groups.h"
#include "base/platform.h"
#include "base/proc.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A tenth of a CPU is still one thread's worth: what is begun is counted whole. */
static void take_least(uint64_t quota, uint64_t period, unsigned *least)
{
    if (period == 0) return;
    uint64_t cpus = quota / period + (quota % period != 0);
    if (cpus < 1) cpus = 1;
    if (cpus < *least) *least = (unsigned)cpus;
}

/* Version 1 has a file for each of the two numbers, version 2 one for both: "150000 100000", or "max 100000". */
static void look(int version, const char *folder, void *to)
{
    if (version == 1) {
        uint64_t quota = tdm_groups_number(folder, "cpu.cfs_quota_us", UINT64_MAX);
        if (quota != UINT64_MAX) take_least(quota, tdm_groups_number(folder, "cpu.cfs_period_us", 0), to);
        return;
    }
    char path[PATH_MAX];
    unsigned long long quota, period;
    char *text = snprintf(path, sizeof path, "%s/cpu.max", folder) < (int)sizeof path ? tdm_proc_read_whole(path) : NULL;
    if (text && sscanf(text, "%llu %llu", &quota, &period) == 2) take_least(quota, period, to);
    free(text);
}

unsigned tdm_cpus_by_quota(const char *root)
{
    unsigned least = UINT_MAX;
    tdm_groups_each(root, "cpu", look, &least);
    return least;
}

unsigned tdm_cpus(void)
{
    unsigned allowed = tdm_platform_cpus(), paid = tdm_cpus_by_quota("");
    return paid < allowed ? paid : allowed;
}
