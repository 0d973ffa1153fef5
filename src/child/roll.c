/* roll.c - the pids of all workers, zygotes and programs, in memory that host and guards share. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "child/roll.h"

#include "base/atomics.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Untouched memory costs nothing, so there is room for more than a system has processes.  Without the memory, or beyond it, a worker's
 * group is killed only by the guard that asked for it. */
#define MOST (1u << 20)
#define SIZE (sizeof(struct roll) + MOST * sizeof(pid_t))

static struct roll {
    _Atomic uint32_t used; /* entries that were ever written [roll] */
    _Atomic pid_t pids[]; /* 0: free; a dead guard may have left any, so each is claimed and freed by one compare-and-swap [roll] */
} * roll;

void tdm_roll_open(void)
{
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
    void *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    roll = memory == MAP_FAILED ? NULL : memory;
}

void tdm_roll_drop(void)
{
    if (roll) munmap(roll, SIZE);
    roll = NULL;
}

/* Beside the pid of one that is spared.  No pid is as large. */
#define SPARED ((pid_t)1 << 30)

static pid_t at(uint32_t place) { return load_seq(&roll->pids[place]) & ~SPARED; }

static bool swap(uint32_t place, pid_t from, pid_t to) { return cas_seq(&roll->pids[place], &from, to); }

static uint32_t find(pid_t pid)
{
    uint32_t used = load_seq(&roll->used), place = 0;
    while (place < used && at(place) != pid) place++;
    return place < used ? place : MOST;
}

/* Another process may be about to take the same place, or to add the same pid: then it is there twice. */
static void add(pid_t pid, pid_t entry)
{
    while (roll && find(pid) == MOST) {
        uint32_t place = find(0);
        if (place == MOST && (place = add_seq(&roll->used, 1)) >= MOST) {
            store_seq(&roll->used, MOST);
            return;
        }
        swap(place, 0, entry);
    }
}

void tdm_roll_add(pid_t pid) { add(pid, pid); }
void tdm_roll_add_spared(pid_t pid) { add(pid, pid | SPARED); }

void tdm_roll_remove(pid_t pid)
{
    for (uint32_t place; roll && (place = find(pid)) < MOST;)
        if (!swap(place, pid, 0)) swap(place, pid | SPARED, 0);
}

bool tdm_roll_condemn(pid_t pid)
{
    uint32_t place = roll ? find(pid) : MOST;
    return place < MOST && swap(place, pid | SPARED, pid);
}

bool tdm_roll_has_condemned(pid_t pid)
{
    uint32_t place = roll ? find(pid) : MOST;
    return place < MOST && load_seq(&roll->pids[place]) == pid;
}

pid_t tdm_roll_find(bool (*is_ours)(pid_t pid))
{
    for (uint32_t i = 0; roll && i < load_seq(&roll->used); i++) {
        pid_t pid = at(i);
        if (pid != 0 && is_ours(pid)) return pid;
    }
    return 0;
}

void tdm_roll_tidy(void)
{
    for (uint32_t i = 0; roll && i < load_seq(&roll->used); i++) {
        pid_t pid = at(i);
        if (pid != 0 && kill(pid, 0) != 0 && errno == ESRCH) tdm_roll_remove(pid);
    }
}

size_t tdm_roll_collect(void)
{
    size_t others = 0;
    for (uint32_t i = 0; roll && i < load_seq(&roll->used); i++) {
        pid_t pid = at(i);
        siginfo_t info = {.si_pid = 0};
        if (pid == 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) != 0) continue;
        if (info.si_pid == pid)
            tdm_roll_remove(pid);
        else
            others++;
    }
    return others;
}
