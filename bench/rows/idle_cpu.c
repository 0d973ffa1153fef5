/* idle_cpu.c - the processor time that a pool uses while it has nothing to do. */
#if defined(__linux__)
#define _GNU_SOURCE
#include "measure.h"
#include "must.h"
#include "row.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { SETTLE_MS = 200, WARM_UP = 1000, MOST = 64 };

static const struct peer *const peers[] = {&peer_tandem_both, &peer_glib, NULL};

static const char *absent(void) { return access("/proc/self/stat", R_OK) == 0 ? NULL : "it needs /proc"; }

/* A process whose parent ends then becomes a child of this one, so that it stays to be found. */
static void adopt_orphans(void) { must_call(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl"); }

/* This process and all that descend from it. */
struct family {
    pid_t members[MOST];
    size_t count;
};

static bool is_in(const struct family *family, pid_t pid)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->members[i] == pid) return true;
    return false;
}

/* The parent of the process with that name in /proc, or -1: it has just ended.  In its stat file "pid (command) state parent" the
 * command may hold anything, also a parenthesis. */
static pid_t parent_of(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "/proc/%s/stat", name);
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    char line[1000] = "";
    bool got = fgets(line, sizeof line, file);
    fclose(file);
    const char *command_end = got ? strrchr(line, ')') : NULL;
    int parent;
    return command_end && sscanf(command_end + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : -1;
}

/* Adds the children of members that are not in it yet; true if there were any. */
static bool add_children(struct family *family)
{
    DIR *folder = opendir("/proc");
    if (!folder) must(errno, "/proc");
    size_t before = family->count;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (is_in(family, pid) || !is_in(family, parent_of(entry->d_name))) continue;
        if (family->count == MOST) give_up("idle_cpu", "more processes than it has room for");
        family->members[family->count++] = pid;
    }
    closedir(folder);
    return family->count > before;
}

static struct family find_family(void)
{
    struct family family = {.members = {getpid()}, .count = 1};
    while (add_children(&family)) continue;
    return family;
}

/* Nanoseconds of processor time that they have used, all their threads together. */
static double used_by(const struct family *family)
{
    double sum = 0;
    for (size_t i = 0; i < family->count; i++) {
        clockid_t clock;
        struct timespec used;
        must(clock_getcpuclockid(family->members[i], &clock), "clock_getcpuclockid");
        must_call(clock_gettime(clock, &used), "clock_gettime of a process");
        sum += (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
    }
    return sum;
}

static double measure(const struct peer *peer, void *pool, size_t ms)
{
    warm_up(peer, pool, WARM_UP);
    sleep_ms(SETTLE_MS);
    struct family family = find_family();
    if (family.count <= peer->processes) give_up("idle_cpu", "worker processes are missing");
    double before = used_by(&family);
    sleep_ms(ms);
    return (used_by(&family) - before) / 1e6;
}

const struct row row_idle_cpu = {
    .name = "idle_cpu",
    .unit = "ms of CPU",
    .sentence = "processor time of an idle pool in 5 s (--quick: 1 s), all its threads and processes together",
    .less_is_better = true,
    .nothing = 0.001,
    .count = 5000,
    .quick_count = 1000,
    .peers = peers,
    .absent = absent,
    .prepare = adopt_orphans,
    .measure = measure,
};

#else
#include "row.h"

static const char *absent(void) { return "it needs Linux to find the worker processes"; }

const struct row row_idle_cpu = {.name = "idle_cpu", .sentence = "processor time of an idle pool", .absent = absent};
#endif
