/* poll_loop.c - you will see how long a poll loop with a tick of 10 ms stands still while heavy work is done.
 *
 * Hardly at all if the work is offloaded (to threads, or to processes if the first argument is --isolate); for as long
 * as the work takes if it is done inline.
 *
 *     longest gap offloaded: 11 ms
 *     longest gap inline: 180 ms
 */
#define _POSIX_C_SOURCE 200809L
#include "tandem.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TICK_MS = 10, TASKS = 4, LIMIT = 1000000, PRIMES_BELOW_LIMIT = 78498 };

static int tasks_ended, tasks_good;
static int ticks_amid; /* while the first task had not ended */

/* The heavy work, by trial division. */
static int count_primes(void)
{
    int count = 0;
    for (int number = 2; number < LIMIT; number++) {
        int divisor = 2;
        while (divisor * divisor <= number && number % divisor != 0) divisor++;
        count += divisor * divisor > number;
    }
    return count;
}

static int heavy_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return count_primes() == PRIMES_BELOW_LIMIT ? 0 : 1;
}

static void on_done(tandem_task *task)
{
    tasks_ended++;
    tasks_good += task->status == TANDEM_OK;
    tandem_task_clear(task);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Ticks until all tasks have ended, and returns the longest time between two ticks.  Without a pool it does the
 * work itself. */
static int run_loop(tandem_pool *pool)
{
    struct pollfd ready = {.fd = pool != NULL ? tandem_fd(pool) : -1, .events = POLLIN};
    int64_t last_tick = now_ms(), longest = 0;
    tasks_ended = tasks_good = ticks_amid = 0;
    while (tasks_ended < TASKS) {
        int64_t wait_ms = last_tick + TICK_MS - now_ms();
        poll(&ready, 1, wait_ms > 0 ? (int)wait_ms : 0);
        if (pool == NULL) {
            tasks_good += count_primes() == PRIMES_BELOW_LIMIT;
            tasks_ended++;
        } else if (ready.revents != 0) {
            tandem_run_callbacks(pool, 0);
        }
        int64_t gap = now_ms() - last_tick;
        if (gap < TICK_MS) continue;
        last_tick += gap;
        ticks_amid += tasks_ended == 0;
        if (gap > longest) longest = gap;
    }
    return (int)longest;
}

int main(int argc, char **argv)
{
    int isolate = argc > 1 && strcmp(argv[1], "--isolate") == 0;
    tandem_pool *pool;
    if (tandem_init() != 0 || tandem_pool_create(&pool, &(tandem_options){.callbacks_by_host = 1}) != 0) return 1;
    tandem_task tasks[TASKS];
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = (tandem_task){.run = heavy_task, .isolation = isolate ? TANDEM_PROCESS : TANDEM_THREAD, .on_done = on_done};
        if (tandem_submit(pool, &tasks[i]) != 0) return 1;
    }
    int offloaded = run_loop(pool);
    int good = tasks_good == TASKS && ticks_amid > 0; /* how long the gaps are depends on what else the machine is doing */
    int inline_gap = run_loop(NULL);
    good = good && tasks_good == TASKS;
    tandem_pool_destroy(pool);
    printf("longest gap offloaded: %d ms\nlongest gap inline: %d ms\n", offloaded, inline_gap);
    return good ? 0 : 1;
}
