/* tools.c - what tests measure, share, wait and build with. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

bool over_pipes(void) { return getenv("TANDEM_TEST_PIPES") != NULL; }

#undef tandem_pool_create
int create_pool(tandem_pool **pool, const tandem_options *options)
{
    if (!over_pipes()) return tandem_pool_create(pool, options);
    tandem_options given = options != NULL ? *options : (tandem_options){0};
    given.pipes_only = 1;
    return tandem_pool_create(pool, &given);
}
#define tandem_pool_create(pool, options) create_pool((pool), (options))

/* ---- how much, how long ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool sanitized(void) { return SANITIZED; }

/* valgrind puts its helper before every other library of the program it runs. */
static bool under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

int slowness(void) { return SANITIZED || under_valgrind() ? 5 : 1; }

bool full_run(void)
{
    const char *full = getenv("TANDEM_FULL");
    return full != NULL && strcmp(full, "1") == 0;
}

size_t scaled(size_t full)
{
    size_t part = full_run() ? full : full / (under_valgrind() ? 1000 : 100);
    return part > 0 ? part : 1;
}

int64_t allowed_ms(int64_t promised_ms) { return promised_ms * 10 * slowness(); }

int64_t patience_ms(void) { return 15000 * (int64_t)slowness() * (full_run() ? 20 : 1); }

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- across processes ---- */

void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    return memory;
}

void moment(void) { poll(NULL, 0, 1); }

bool await(atomic_int *word, int value)
{
    const int64_t begun = now_ms();
    while (atomic_load(word) < value) {
        if (now_ms() - begun > patience_ms()) return false;
        moment();
    }
    return true;
}

/* ---- pools and tasks ---- */

tandem_pool *pool_of(int isolation, uint32_t workers, const tandem_options *more)
{
    tandem_options options = more != NULL ? *more : (tandem_options){0};
    tandem_pool *pool = NULL;
    options.threads = isolation == TANDEM_THREAD ? workers : TANDEM_NONE;
    options.processes = isolation == TANDEM_PROCESS ? workers : TANDEM_NONE;
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    assert_non_null(pool);
    return pool;
}

tandem_pool *pool_of_both(uint32_t threads, uint32_t processes)
{
    tandem_options options = {.threads = threads, .processes = processes};
    tandem_pool *pool = NULL;
    assert_int_equal(tandem_pool_create(&pool, &options), 0);
    assert_non_null(pool);
    return pool;
}

void end_pool(tandem_pool *pool) { assert_int_equal(tandem_pool_destroy(pool), 0); }

tandem_task task_of(int isolation, tandem_fn *run, void *input, size_t input_size)
{
    return (tandem_task){.run = run, .input = input, .input_size = input_size, .isolation = isolation};
}

void expect_end(tandem_task *task, int status)
{
    int ended = tandem_wait(task);
    if (ended == status && task->status == status) return;
    char line[512];
    tandem_describe(task, line, sizeof line);
    fail_msg("expected %s, not: %s (status %s, code %d, signal %d)", tandem_status_name(status), line, tandem_status_name(ended),
             task->code, task->signal);
}

tandem_stats stats_of(tandem_pool *pool)
{
    tandem_stats stats = {0};
    assert_int_equal(tandem_pool_stats(pool, &stats), 0);
    return stats;
}

int nothing_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return 0;
}

int echo_task(tandem_context *context, void *input, size_t size) { return tandem_reply(context, input, size); }

int count_task(tandem_context *context, void *input, size_t size)
{
    atomic_int *cell;
    if (size != sizeof cell) return __LINE__;
    memcpy(&cell, input, sizeof cell);
    atomic_fetch_add(cell, 1);
    (void)context;
    return 0;
}

static struct gate *enter(const void *input, size_t size)
{
    struct gate *gate;
    if (size != sizeof gate) return NULL;
    memcpy(&gate, input, sizeof gate);
    atomic_store(&gate->pid, (int)getpid());
    atomic_fetch_add(&gate->entered, 1);
    return gate;
}

int gate_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate = enter(input, size);
    (void)context;
    if (gate == NULL || !await(&gate->opened, 1)) return __LINE__;
    atomic_fetch_add(&gate->left, 1);
    return 0;
}

int spin_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate = enter(input, size);
    if (gate == NULL) return __LINE__;
    while (!tandem_cancelled(context)) atomic_fetch_add(&gate->left, 1);
    return ECANCELED;
}
