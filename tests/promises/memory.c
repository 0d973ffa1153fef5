/* memory.c - what tasks, pools and workers cost: nothing allocated for a thread task, little for a worker. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- every allocation of the program, counted ---- */

/* glibc lets a program bring its own malloc and call the real one; where that cannot be done the tests that count skip. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTED 1
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#undef COUNTED
#endif
#endif
#endif

static atomic_int allocations;

#ifdef COUNTED
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    *memory = __libc_memalign(alignment, size);
    return *memory != NULL ? 0 : ENOMEM;
}

static void need_counting(void) { skip_under_valgrind("valgrind has a malloc of its own"); }
#else
static void need_counting(void)
{
    printf("allocations can only be counted with glibc, without sanitizers\n");
    fflush(NULL);
    _exit(77);
}
#endif

/* ---- tasks ---- */

static void a_task_is_256_bytes(void) { assert_int_equal(sizeof(tandem_task), 256); }

enum { TASKS = 1000 };

static tandem_task tasks[TASKS];
static tandem_task *list[TASKS];

static void submit_all(tandem_pool *pool, uint32_t flags, tandem_group *group, void (*on_done)(tandem_task *))
{
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(TANDEM_THREAD, nothing_task, NULL, 0);
        tasks[i].flags = flags;
        tasks[i].group = group;
        tasks[i].on_done = on_done;
        if (tandem_submit(pool, &tasks[i]) != 0) abort();
    }
}

static void wait_for_all(void)
{
    for (int i = 0; i < TASKS; i++)
        if (tandem_wait(&tasks[i]) != TANDEM_OK) abort();
}

static atomic_int done;

static void count_done(tandem_task *task)
{
    (void)task;
    atomic_fetch_add(&done, 1);
}

static void use_in_every_way(tandem_pool *pool)
{
    tandem_group group = {0};
    submit_all(pool, 0, NULL, NULL);
    wait_for_all();
    submit_all(pool, TANDEM_NO_HELP, NULL, NULL);
    wait_for_all();
    submit_all(pool, 0, &group, NULL);
    if (tandem_group_wait(&group, -1) != TANDEM_OK) abort();
    atomic_store(&done, 0);
    submit_all(pool, 0, NULL, count_done);
    for (int i = 0; i < TASKS; i++) list[i] = &tasks[i];
    for (int i = 0; i < TASKS; i++) list[tandem_wait_any(list, TASKS, -1)] = NULL;
    if (!await(&done, TASKS)) abort(); /* ended, but not the caller's before on_done has been entered */
    submit_all(pool, 0, &group, count_done);
    tandem_group_cancel(&group);
    tandem_group_wait(&group, -1);
}

static void nothing_is_allocated_for_thread_tasks(void)
{
    need_counting();
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, NULL);
    int before = atomic_load(&allocations);
    void *volatile one = malloc(1); /* the counter counts, and no compiler sees through it */
    assert_int_equal(atomic_load(&allocations), before + 1);
    free(one);
    use_in_every_way(pool); /* a first callback may start a thread */
    before = atomic_load(&allocations);
    use_in_every_way(pool);
    int after = atomic_load(&allocations);
    assert_int_equal(after - before, 0);
    end_pool(pool);
}

/* ---- workers ---- */

/* A number from /proc/PID/smaps_rollup, in KiB. */
static long rollup_kib(pid_t pid, const char *name)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return -1;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') kib = atol(line + strlen(name) + 1);
    fclose(file);
    return kib;
}

static void a_worker_adds_at_most_a_megabyte(void)
{
    skip_without("/proc/self/smaps_rollup", "the system does not tell which memory is a process's own");
    skip_under_sanitizer("a sanitizer keeps books on all memory");
    skip_under_valgrind("valgrind keeps books on all memory");
    enum { HOSTS = 64 << 20 };
    char *hosts = malloc(HOSTS); /* what the host has is no worker's */
    assert_non_null(hosts);
    memset(hosts, 1, HOSTS);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    char word[] = "word";
    tandem_task task = task_of(TANDEM_PROCESS, echo_task, word, sizeof word);
    for (int i = 0; i < 1000; i++) assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    long kib = rollup_kib(task.report->pid, "Private_Dirty");
    assert_true(kib > 0);
    if (kib > 1024) fail_msg("%ld KiB", kib);
    tandem_task_clear(&task);
    end_pool(pool);
    free(hosts);
}

/* An input, where what becomes of its memory can be seen. */
static char *make_large(size_t size)
{
    skip_without("/proc/self/smaps_rollup", "the system does not tell which memory is a process's own");
    skip_under_sanitizer("a sanitizer keeps freed memory for a while");
    skip_under_valgrind("valgrind keeps freed memory for a while");
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 1, size);
    return bytes;
}

/* Large payloads are not kept: not here, and there not beyond the next task that is small. */
static void a_large_payload_leaves_no_large_buffers(void)
{
    enum { SIZE = 32 << 20 };
    char *bytes = make_large(SIZE);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task large = task_of(TANDEM_PROCESS, echo_task, bytes, SIZE), small = large;
    small.input_size = 10;
    assert_int_equal(tandem_call(pool, &small), TANDEM_OK);
    long before = rollup_kib(getpid(), "Private_Dirty");
    assert_int_equal(tandem_call(pool, &large), TANDEM_OK);
    tandem_task_clear(&large);
    assert_int_equal(tandem_call(pool, &small), TANDEM_OK);
    assert_true(rollup_kib(getpid(), "Private_Dirty") < before + 2048);
    assert_true(rollup_kib(small.report->pid, "Private_Dirty") < 2048);
    tandem_task_clear(&small);
    free(bytes);
    end_pool(pool);
}

/* Nor there beyond a while without a task. */
static void an_idle_worker_gives_large_buffers_back(void)
{
    enum { SIZE = 48 << 20 };
    char *bytes = make_large(SIZE);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task large = task_of(TANDEM_PROCESS, echo_task, bytes, SIZE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tandem_call(pool, &large), TANDEM_OK);
        assert_int_equal(large.output_size, SIZE);
        assert_int_equal(memcmp(large.output, bytes, SIZE), 0);
        tandem_task_clear(&large);
        bytes[0]++;
    }
    assert_int_equal(tandem_call(pool, &large), TANDEM_OK);
    wait_until(rollup_kib(large.report->pid, "Private_Dirty") < 2048);
    tandem_task_clear(&large);
    free(bytes);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_task_is_256_bytes),
        test(nothing_is_allocated_for_thread_tasks),
        test(a_worker_adds_at_most_a_megabyte),
        test(a_large_payload_leaves_no_large_buffers),
        test(an_idle_worker_gives_large_buffers_back),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
