/* limit_futex.c - the least that two threads which sleep can do: one word, set and waited for with futexes. */
#if defined(__linux__)
#define _GNU_SOURCE
#include "must.h"
#include "peers/peer.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MINE, THEIRS, CLOSED }; /* whose turn it is: the caller's, the other thread's, nobody's any more */

struct table {
    _Atomic uint32_t turn;
    pthread_t other;
};

static void say(struct table *table, uint32_t turn)
{
    atomic_store(&table->turn, turn);
    must_call(syscall(SYS_futex, &table->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), "futex wake");
}

/* Returns what the turn has become. */
static uint32_t wait_while(struct table *table, uint32_t turn)
{
    uint32_t now;
    while ((now = atomic_load(&table->turn)) == turn) {
        long result = syscall(SYS_futex, &table->turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
        if (result == -1 && errno != EAGAIN && errno != EINTR) must(errno, "futex wait");
    }
    return now;
}

static void *answer(void *argument)
{
    struct table *table = argument;
    while (wait_while(table, MINE) == THEIRS) say(table, MINE);
    return NULL;
}

static void *start(size_t task_count)
{
    (void)task_count;
    struct table *table = must_reserve(1, sizeof *table);
    must(pthread_create(&table->other, NULL, answer, table), "pthread_create");
    return table;
}

static void round_trip(void *table)
{
    say(table, THEIRS);
    wait_while(table, THEIRS);
}

static void stop(void *pool)
{
    struct table *table = pool;
    say(table, CLOSED);
    must(pthread_join(table->other, NULL), "pthread_join");
    free(table);
}

const struct peer limit_futex = {.name = "limit_futex", .start = start, .round_trip = round_trip, .stop = stop};

#else
#include "peers/peer.h"

const struct peer limit_futex = {.name = "limit_futex", .absent = "there are no futexes on this system"};
#endif
