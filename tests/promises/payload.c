/* payload.c - bytes in and bytes out: the same on a thread and in a process, of every size, whole and exact. */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const size_t KIB = 1024, MIB = 1024 * 1024;

/* Bytes that differ from place to place and from size to size. */
static void fill(unsigned char *bytes, size_t size)
{
    uint32_t x = (uint32_t)size * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(x >> 24);
    }
}

static uint32_t sum(const unsigned char *bytes, size_t size)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < size; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

/* Replies its input turned over bit by bit; its code tells what it read. */
static int invert_task(tandem_context *context, void *input, size_t size)
{
    const unsigned char *from = input;
    unsigned char *to = calloc(1, size + 1);
    if (to == NULL) return -1;
    for (size_t i = 0; i < size; i++) to[i] = (unsigned char)~from[i];
    int bad = tandem_reply(context, to, size);
    free(to);
    return bad != 0 ? bad : (int)(sum(from, size) % 1000);
}

static void expect_inverted(tandem_task *task, const unsigned char *bytes, size_t size)
{
    int code = (int)(sum(bytes, size) % 1000);
    expect_end(task, code == 0 ? TANDEM_OK : TANDEM_FAILED);
    assert_int_equal(task->code, code);
    assert_int_equal(task->signal, 0);
    assert_int_equal(task->output_size, size);
    const unsigned char *output = task->output;
    assert_non_null(output);
    for (size_t i = 0; i < size; i++)
        if (output[i] + bytes[i] != 255) fail_msg("byte %zu of %zu differs", i, size);
    assert_int_equal(output[size], 0);
}

static void round_trip(tandem_pool *pool, int isolation, unsigned char *bytes, size_t size)
{
    fill(bytes, size);
    tandem_task task = task_of(isolation, invert_task, bytes, size);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_inverted(&task, bytes, size);
    assert_int_equal(tandem_task_clear(&task), 0);
}

/* promise 1 */
static void the_same_input_gives_the_same_ending(int isolation)
{
    static const size_t sizes[] = {0, 1, 2, 4095, 4096, 4097, 65535, 65536, 65537, 1024 * 1024, 8 * 1024 * 1024};
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    unsigned char *bytes = malloc(8 * MIB);
    assert_non_null(bytes);
    for (size_t i = 0; i < count_of(sizes); i++) round_trip(pool, isolation, bytes, sizes[i]);
    free(bytes);
    end_pool(pool);
}

/* promise 1: where a pipe is full, or nearly, or just not */
static void every_size_around_a_full_pipe_is_whole(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    unsigned char *bytes = malloc(65560);
    assert_non_null(bytes);
    for (size_t size = 65500; size <= 65560; size++) round_trip(pool, isolation, bytes, size);
    free(bytes);
    end_pool(pool);
}

/* promise 1 */
static void a_thread_and_a_process_answer_alike(void)
{
    tandem_pool *pool = pool_of_both(1, 1);
    unsigned char bytes[1000];
    fill(bytes, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size += 37) {
        tandem_task here = task_of(TANDEM_THREAD, invert_task, bytes, size);
        tandem_task there = task_of(TANDEM_PROCESS, invert_task, bytes, size);
        assert_int_equal(tandem_submit(pool, &here), 0);
        assert_int_equal(tandem_submit(pool, &there), 0);
        assert_int_equal(tandem_wait(&here), tandem_wait(&there));
        assert_int_equal(here.code, there.code);
        assert_int_equal(here.output_size, there.output_size);
        assert_memory_equal(here.output, there.output, size + 1);
        tandem_task_clear(&here);
        tandem_task_clear(&there);
    }
    end_pool(pool);
}

/* Both directions are busy at once on every worker, and nobody waits for the first tasks first. */
static void large_payloads_cross_both_ways_at_once(int isolation)
{
    enum { TASKS = 8 };
    static tandem_task tasks[TASKS];
    tandem_pool *pool = pool_of(isolation, 4, NULL);
    size_t size = (slowness() > 1 ? 1 : 4) * MIB;
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    fill(bytes, size);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(isolation, invert_task, bytes, size);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (int i = TASKS - 1; i >= 0; i--) {
        expect_inverted(&tasks[i], bytes, size);
        tandem_task_clear(&tasks[i]);
    }
    free(bytes);
    end_pool(pool);
}

static void a_huge_payload_crosses_both_ways(int isolation)
{
    size_t size = full_run() ? 1024 * MIB : (slowness() > 1 ? 8 : 64) * MIB;
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    unsigned char *bytes = malloc(size);
    if (bytes == NULL) fail_msg("no %zu bytes to be had", size);
    round_trip(pool, isolation, bytes, size);
    free(bytes);
    end_pool(pool);
}

/* ---- replies ---- */

static int two_replies_task(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    if (tandem_reply(context, "the first, and longer", 21) != 0) return __LINE__;
    if (tandem_reply(context, NULL, 1) != -EINVAL) return __LINE__;
    return tandem_reply(context, "last", 4);
}

static void the_last_reply_wins(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, two_replies_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(task.output_size, 4);
    assert_string_equal(task.output, "last");
    tandem_task_clear(&task);
    end_pool(pool);
}

/* The pages behind it cannot be read: a call that touched them would die. */
static void *untouchable(size_t size)
{
    void *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static int huge_reply_task(tandem_context *context, void *input, size_t size)
{
    char byte = 0;
    (void)input, (void)size;
    if (tandem_reply(context, &byte, (size_t)UINT32_MAX + 1) != -EMSGSIZE) return __LINE__;
    if (tandem_reply_owned(context, &byte, (size_t)UINT32_MAX + 1, NULL) != -EMSGSIZE) return __LINE__;
    return tandem_reply(context, "small", 5);
}

static void a_reply_larger_than_a_frame_can_say_is_refused(void)
{
    if (SIZE_MAX <= UINT32_MAX) return;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, huge_reply_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_string_equal(task.output, "small");
    tandem_task_clear(&task);
    end_pool(pool);
}

static void input_larger_than_a_frame_can_say_is_refused_untouched(void)
{
    if (SIZE_MAX <= UINT32_MAX) return;
    tandem_pool *pool = pool_of_both(1, 1);
    void *pages = untouchable(64 * KIB);
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, pages, (size_t)UINT32_MAX + 1);
    assert_int_equal(tandem_submit(pool, &task), -EMSGSIZE);
    assert_int_equal(tandem_wait(&task), -EINVAL);
    assert_int_equal(stats_of(pool).submitted, 0);
    task.isolation = TANDEM_THREAD;
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    tandem_task_clear(&task);
    munmap(pages, 64 * KIB);
    end_pool(pool);
}

/* ---- owned replies ---- */

static atomic_int *releases; /* shared: how often release was called, wherever that was */
static atomic_int *late;     /* shared: set once the task's own run is over, on the host's side */

static void release(void *data)
{
    atomic_fetch_add(releases, 1);
    free(data);
}

static int owned_task(tandem_context *context, void *input, size_t size)
{
    char *copy = malloc(size);
    if (copy == NULL) return __LINE__;
    memcpy(copy, input, size);
    int bad = tandem_reply_owned(context, copy, size, release);
    return bad;
}

static void begin_owned(void)
{
    releases = shared(sizeof *releases);
    late = shared(sizeof *late);
}

static void an_owned_reply_is_released_exactly_once(int isolation)
{
    begin_owned();
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char text[] = "owned";
    tandem_task task = task_of(isolation, owned_task, text, 5);
    for (int i = 1; i <= 10; i++) {
        assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
        assert_int_equal(task.output_size, 5);
        assert_memory_equal(task.output, "owned", 5);
        if (isolation == TANDEM_THREAD) assert_int_equal(atomic_load(releases), i - 1);
        assert_int_equal(tandem_task_clear(&task), 0);
        wait_until(atomic_load(releases) == i);
    }
    end_pool(pool);
    assert_int_equal(atomic_load(releases), 10);
}

static _Atomic uint32_t *told;

static void release_when_told(void *data)
{
    (void)data;
    while (atomic_load(told) == 0) moment();
}

static int reply_and_wait_task(tandem_context *context, void *input, size_t size)
{
    (void)input;
    return tandem_reply_owned(context, (void *)(uintptr_t) "owned", size > 1 ? 5 : 0, release_when_told);
}

static void tell_release(tandem_task *task)
{
    (void)task;
    atomic_store(told, 1);
}

/* There it is called when the reply has been sent.  Whoever waits for the task, or is called back, must not wait for that. */
static void what_releases_a_reply_in_a_process_may_wait_for_the_task_to_be_told(void)
{
    told = shared(sizeof *told);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 4; i++) {
        char text[2] = {0};
        tandem_task task = task_of(TANDEM_PROCESS, reply_and_wait_task, text, i % 2 == 0 ? 2 : 1);
        atomic_store(told, 0);
        if (i < 2) task.on_done = tell_release;
        assert_int_equal(tandem_submit(pool, &task), 0);
        if (i >= 2) expect_end(&task, TANDEM_OK);
        atomic_fetch_or(told, i >= 2);
        wait_until(atomic_load(told) == 1);
        expect_end(&task, TANDEM_OK);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

static void an_owned_reply_is_released_when_the_task_is_submitted_again(void)
{
    begin_owned();
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    char text[] = "owned";
    tandem_task task = task_of(TANDEM_THREAD, owned_task, text, 5);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(atomic_load(releases), 1);
    tandem_task_clear(&task);
    assert_int_equal(atomic_load(releases), 2);
    tandem_task_clear(&task);
    assert_int_equal(atomic_load(releases), 2);
    end_pool(pool);
}

static int replaced_task(tandem_context *context, void *input, size_t size)
{
    for (int i = 0; i < 3; i++)
        if (owned_task(context, input, size) != 0) return __LINE__;
    if (atomic_load(releases) != 2) return __LINE__;
    char *mine = malloc(1);
    if (mine == NULL || tandem_reply_owned(context, NULL, 1, release) != -EINVAL) return __LINE__;
    free(mine); /* what was refused stays the task's own */
    int bad = tandem_reply(context, "plain", 5);
    if (atomic_load(releases) != 3) return __LINE__;
    return bad;
}

static void a_later_reply_releases_an_earlier_one(int isolation)
{
    begin_owned();
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char text[] = "owned";
    tandem_task task = task_of(isolation, replaced_task, text, 5);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_string_equal(task.output, "plain");
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(releases), 3);
}

static int owned_until_cancelled_task(tandem_context *context, void *input, size_t size)
{
    int bad = owned_task(context, input, size);
    atomic_store(late, 1);
    while (!tandem_cancelled(context)) moment();
    return bad != 0 ? bad : ECANCELED;
}

static void a_reply_of_no_use_is_released_and_not_given_out(void)
{
    begin_owned();
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    char text[] = "owned";
    tandem_task task = task_of(TANDEM_THREAD, owned_until_cancelled_task, text, 5);
    task.flags = TANDEM_NO_HELP;
    assert_int_equal(tandem_submit(pool, &task), 0);
    assert_true(await(late, 1));
    assert_int_equal(tandem_cancel(&task), 0);
    expect_end(&task, TANDEM_CANCELLED);
    assert_null(task.output);
    assert_int_equal(task.output_size, 0);
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(atomic_load(releases), 1);
}

static int constant_task(tandem_context *context, void *input, size_t size)
{
    static char constant[] = "nobody frees this";
    (void)input, (void)size;
    return tandem_reply_owned(context, constant, sizeof constant, NULL);
}

static void an_owned_reply_needs_no_release(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    tandem_task task = task_of(isolation, constant_task, NULL, 0);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_string_equal(task.output, "nobody frees this");
    tandem_task_clear(&task);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        both(the_same_input_gives_the_same_ending),
        both(every_size_around_a_full_pipe_is_whole),
        test(a_thread_and_a_process_answer_alike),
        both(large_payloads_cross_both_ways_at_once),
        both(a_huge_payload_crosses_both_ways),
        both(the_last_reply_wins),
        test(a_reply_larger_than_a_frame_can_say_is_refused),
        test(input_larger_than_a_frame_can_say_is_refused_untouched),
        both(an_owned_reply_is_released_exactly_once),
        test(what_releases_a_reply_in_a_process_may_wait_for_the_task_to_be_told),
        test(an_owned_reply_is_released_when_the_task_is_submitted_again),
        both(a_later_reply_releases_an_earlier_one),
        test(a_reply_of_no_use_is_released_and_not_given_out),
        both(an_owned_reply_needs_no_release),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
