/* shared_memory.c - one address everywhere; whatever a worker does to it, the host's books are right; and it costs what is used. */
#include "guarding.h"
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KIB = 1024, MIB = 1024 * KIB };

static void *take(tandem_pool *pool, size_t size)
{
    unsigned char *memory = tandem_shared_alloc(pool, size);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 64, 0);
    for (size_t i = 0; i < size; i += i + 64 < size ? 61 : 1)
        if (memory[i] != 0) fail_msg("byte %zu of %zu is %d", i, size, memory[i]);
    return memory;
}

static void give(tandem_pool *pool, void *memory) { assert_int_equal(tandem_shared_free(pool, memory), 0); }

/* One run of a function over some input; how it ended. */
static int run(tandem_pool *pool, int isolation, tandem_fn *function, void *input, size_t size)
{
    tandem_task task = task_of(isolation, function, input, size);
    int status = tandem_call(pool, &task);
    if (status == TANDEM_FAILED) fail_msg("line %d", (int)task.code);
    tandem_task_clear(&task);
    return status;
}

/* Memory that the pool's file holds, by the descriptor that this process has of it; -1: it has none.  While no worker is being started: that
 * copies the descriptor, and another thread does it. */
static long long held(void)
{
    long long bytes = -1;
    for (int fd = 3; fd < 256; fd++) {
        char path[64], target[128] = "";
        struct stat status;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) < 0 || !strstr(target, "tandem") || fstat(fd, &status) != 0) continue;
        if (!S_ISREG(status.st_mode) || (status.st_size > 0 && status.st_size <= MIB)) continue; /* a worker's page */
        bytes = (bytes < 0 ? 0 : bytes) + (long long)status.st_blocks * 512;
    }
    return bytes;
}

/* ---- one address ---- */

struct link {
    struct link *next, *self;
    int value;
};

struct list {
    struct link *first;
    int length;
};

/* Raises all values, and turns the list round. */
static int change_task(tandem_context *context, void *input, size_t size)
{
    struct list *list = input;
    struct link *turned = NULL;
    int count = 0;
    (void)context;
    if (size != sizeof *list) return __LINE__;
    for (struct link *link = list->first, *next; link; link = next, count++) {
        if (link->self != link) return __LINE__;
        link->value++;
        next = link->next;
        link->next = turned;
        turned = link;
    }
    list->first = turned;
    return count == list->length ? 0 : __LINE__;
}

/* Expects what a list of values that rise from its length - 1 on has become: raised twice, turned round twice. */
static int read_list_task(tandem_context *context, void *input, size_t size)
{
    const struct list *list = input;
    int count = 0;
    (void)context;
    if (size != sizeof *list) return __LINE__;
    for (const struct link *link = list->first; link; link = link->next, count++)
        if (link->self != link || link->value != 2 * list->length - count) return __LINE__;
    return count == list->length ? 0 : __LINE__;
}

/* promise 44 */
static void a_list_made_by_the_host_is_changed_by_two_workers_and_read_by_a_thread(void)
{
    enum { LINKS = 1000 };
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of_both(1, 2);
    struct list *list = take(pool, sizeof *list);
    for (int i = 0; i < LINKS; i++) {
        struct link *link = take(pool, sizeof *link);
        *link = (struct link){.next = list->first, .self = link, .value = LINKS - 1 + i};
        list->first = link;
        list->length++;
    }
    tandem_task busy = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
    assert_int_equal(run(pool, TANDEM_PROCESS, change_task, list, sizeof *list), TANDEM_OK);
    assert_int_equal(tandem_submit(pool, &busy), 0); /* the first worker is busy: */
    assert_true(await(&gate->entered, 1));
    assert_int_equal(run(pool, TANDEM_PROCESS, change_task, list, sizeof *list), TANDEM_OK); /* this is the second */
    atomic_store(&gate->opened, 1);
    expect_end(&busy, TANDEM_OK);
    tandem_task_clear(&busy);
    assert_int_equal(run(pool, TANDEM_THREAD, read_list_task, list, sizeof *list), TANDEM_OK);
    end_pool(pool);
}

struct seen {
    void *input;
    size_t size;
};

static int look_task(tandem_context *context, void *input, size_t size)
{
    struct seen seen = {input, size};
    return tandem_reply(context, &seen, sizeof seen);
}

static struct seen look(tandem_pool *pool, int isolation, void *input, size_t size)
{
    struct seen seen;
    tandem_task task = task_of(isolation, look_task, input, size);
    assert_int_equal(tandem_call(pool, &task), TANDEM_OK);
    assert_int_equal(task.output_size, sizeof seen);
    memcpy(&seen, task.output, sizeof seen);
    tandem_task_clear(&task);
    return seen;
}

static void input_in_shared_memory_is_not_copied(int isolation)
{
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    char *memory = take(pool, 100000);
    const struct {
        size_t at, size;
    } parts[] = {{0, 100000}, {0, 1}, {99999, 1}, {64, 4096}, {17, 70000}, {5, 0}};
    for (size_t i = 0; i < count_of(parts); i++) {
        struct seen seen = look(pool, isolation, memory + parts[i].at, parts[i].size);
        assert_ptr_equal(seen.input, memory + parts[i].at);
        assert_int_equal(seen.size, parts[i].size);
    }
    end_pool(pool);
}

/* A short task has told that they are short, so those behind the gate are handed over together when that has ended. */
static void input_in_shared_memory_is_not_copied_of_tasks_that_are_handed_over_together(void)
{
    enum { TASKS = 20 };
    tandem_task first, tasks[TASKS];
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    char *memory = take(pool, TASKS);
    look(pool, TANDEM_PROCESS, memory, 1);
    first = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, look_task, memory + i, i % 3 == 0 ? 1 : 0);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    for (int i = 0; i < TASKS; i++) {
        struct seen seen;
        expect_end(&tasks[i], TANDEM_OK);
        assert_int_equal(tasks[i].output_size, sizeof seen);
        memcpy(&seen, tasks[i].output, sizeof seen);
        assert_ptr_equal(seen.input, memory + i);
        assert_int_equal(seen.size, i % 3 == 0 ? 1 : 0);
        tandem_task_clear(&tasks[i]);
    }
    tandem_task_clear(&first);
    end_pool(pool);
}

static void input_that_lies_only_partly_in_one_allocation_is_copied(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    char *first = take(pool, 128), *second = take(pool, 128);
    assert_ptr_equal(second, first + 128);
    struct seen seen = look(pool, TANDEM_PROCESS, first + 64, 128);
    assert_ptr_not_equal(seen.input, first + 64);
    assert_int_equal(seen.size, 128);
    give(pool, second);
    seen = look(pool, TANDEM_PROCESS, first + 64, 65);
    assert_ptr_not_equal(seen.input, first + 64);
    end_pool(pool);
}

static int last_byte_task(tandem_context *context, void *input, size_t size)
{
    unsigned char *bytes = input;
    (void)context;
    bytes[size - 1]++;
    return 0;
}

static void input_in_shared_memory_may_be_larger_than_what_can_be_copied(void)
{
    skip_unless(sizeof(size_t) > 4, "addresses are too few");
    skip_under_valgrind("valgrind has no room for so much");
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    const size_t size = ((size_t)1 << 32) + 12345;
    static unsigned char few[1];
    tandem_task task = task_of(TANDEM_PROCESS, last_byte_task, few, size);
    assert_int_equal(tandem_submit(pool, &task), -EMSGSIZE);
    if (getenv("TANDEM_FULL")) { /* takes as much memory */
        unsigned char *memory = tandem_shared_alloc(pool, size);
        if (memory) {
            assert_int_equal(run(pool, TANDEM_PROCESS, last_byte_task, memory, size), TANDEM_OK);
            assert_int_equal(memory[size - 1], 1);
        }
    }
    end_pool(pool);
}

/* ---- the allocator ---- */

static void foreign_interior_and_freed_pointers_are_detected_and_do_no_damage(void)
{
    tandem_pool *pool = pool_of_both(1, 1), *other = pool_of(TANDEM_THREAD, 1, NULL);
    char *first = take(pool, 1000), *second = take(pool, 5000), *third = take(pool, 1), *others = take(other, 64);
    int mine = 0;
    memset(first, 1, 1000);
    memset(second, 2, 5000);
    assert_int_equal(tandem_shared_free(pool, &mine), -EINVAL);
    assert_int_equal(tandem_shared_free(pool, first + 1), -EINVAL);
    assert_int_equal(tandem_shared_free(pool, first + 64), -EINVAL);
    assert_int_equal(tandem_shared_free(pool, second + 4096), -EINVAL);
    assert_int_equal(tandem_shared_free(pool, (void *)UINTPTR_MAX), -EINVAL);
    assert_int_equal(tandem_shared_free(pool, others), -EINVAL);
    assert_int_equal(tandem_shared_free(other, first), -EINVAL);
    assert_int_equal(tandem_shared_free(NULL, first), -EINVAL);
    assert_null(tandem_shared_alloc(NULL, 1));
    assert_int_equal(tandem_shared_free(pool, NULL), 0);
    give(pool, second);
    for (int i = 0; i < 3; i++) assert_int_equal(tandem_shared_free(pool, second), -EINVAL);
    give(pool, third);
    assert_int_equal(tandem_shared_free(pool, third), -EINVAL);
    for (int i = 0; i < 1000; i++) assert_int_equal(first[i], 1);
    assert_ptr_equal(take(pool, 5000), second); /* and zeroed */
    assert_int_equal(tandem_shared_free(pool, third), -EINVAL);
    give(pool, first);
    give(other, others);
    end_pool(other);
    end_pool(pool);
}

/* What the harness's random sequence leaves is what a plain list of blocks says. */
static void blocks_never_overlap_and_are_always_zeroed(void)
{
    enum { BLOCKS = 200 };
    static struct {
        unsigned char *start;
        size_t size;
        unsigned char mark;
    } blocks[BLOCKS];
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    uint32_t dice = 1;
    for (size_t step = 0; step < scaled(400000); step++) {
        dice = dice * 1664525 + 1013904223;
        size_t i = (dice >> 16) % BLOCKS;
        if (blocks[i].start) {
            for (size_t k = 0; k < blocks[i].size; k++)
                if (blocks[i].start[k] != blocks[i].mark) fail_msg("block %zu was written to at %zu", i, k);
            give(pool, blocks[i].start);
            blocks[i].start = NULL;
        } else {
            static const size_t sizes[] = {1, 64, 100, 1000, 4096, 5000, 20000, 70000, 200000};
            blocks[i].size = sizes[(dice >> 8) % count_of(sizes)] + (dice >> 24) % 3;
            blocks[i].mark = (unsigned char)(dice >> 13 | 1);
            blocks[i].start = take(pool, blocks[i].size);
            memset(blocks[i].start, blocks[i].mark, blocks[i].size);
        }
    }
    end_pool(pool);
}

static void out_of_room_is_NULL(void)
{
    tandem_options options = {.shared_size = MIB};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    assert_null(tandem_shared_alloc(pool, SIZE_MAX));
    assert_null(tandem_shared_alloc(pool, SIZE_MAX / 2));
    assert_null(tandem_shared_alloc(pool, MIB + 1));
    for (int round = 0; round < 3; round++) {
        void *all = take(pool, MIB);
        assert_null(tandem_shared_alloc(pool, 1));
        give(pool, all);
        size_t count = 0;
        void *blocks[MIB / 1024 + 1];
        while ((blocks[count] = tandem_shared_alloc(pool, 1024)) != NULL)
            if (++count == count_of(blocks)) fail_msg("more than shared_size");
        assert_int_equal(count, MIB / 1024);
        for (size_t i = 0; i < count; i += 2) give(pool, blocks[i]);
        assert_null(tandem_shared_alloc(pool, 1025));
        for (size_t i = 1; i < count; i += 2) give(pool, blocks[i]);
    }
    end_pool(pool);
}

static void a_size_of_nothing_is_still_a_block(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 1, NULL);
    void *first = take(pool, 0), *second = take(pool, 0);
    assert_ptr_not_equal(first, second);
    give(pool, first);
    give(pool, second);
    end_pool(pool);
}

/* ---- whose it is ---- */

struct foreign {
    tandem_pool *pool;
    void *memory;
    int word;
};

static int misuse_task(tandem_context *context, void *input, size_t size)
{
    struct foreign *foreign = input;
    (void)context, (void)size;
    if (tandem_shared_alloc(foreign->pool, 1) != NULL) return __LINE__;
    if (tandem_shared_free(foreign->pool, foreign->memory) != -EPERM) return __LINE__;
    if (tandem_for(foreign->pool, 0, 1, 1, NULL, NULL, TANDEM_THREAD) != -EPERM) return __LINE__;
    tandem_task task = task_of(TANDEM_THREAD, misuse_task, input, size);
    if (tandem_submit(foreign->pool, &task) != -EPERM) return __LINE__;
    return 0;
}

/* Forks; what the child's function returns is a line that is wrong, or 0. */
static void expect_well_in_a_child(int (*body)(struct foreign *foreign), struct foreign *foreign)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int line = body(foreign);
        if (line != 0) printf("line %d\n", line);
        fflush(NULL);
        _exit(line != 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static struct foreign *foreign_of(tandem_pool *pool)
{
    struct foreign *foreign = take(pool, sizeof *foreign);
    *foreign = (struct foreign){.pool = pool, .memory = foreign};
    return foreign;
}

static void a_worker_can_neither_allocate_nor_free(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    struct foreign *foreign = foreign_of(pool);
    assert_int_equal(run(pool, TANDEM_PROCESS, misuse_task, foreign, sizeof *foreign), TANDEM_OK);
    give(pool, foreign);
    end_pool(pool);
}

/* The worker has been told of it, but is older: where the pool lies there may be nothing. */
static void a_worker_that_cannot_see_the_pool_can_neither_allocate_nor_free(void)
{
    enum { BALLAST = 20000 };
    static void *ballast[BALLAST];
    assert_int_equal(tandem_init(), 0);
    for (size_t i = 0; i < BALLAST; i++) assert_non_null(ballast[i] = malloc(1000));
    a_worker_can_neither_allocate_nor_free();
    for (size_t i = 0; i < BALLAST; i++) free(ballast[i]);
}

static int misuse_all(struct foreign *foreign)
{
    if (tandem_atomic_notify(&foreign->word, 1) != -EPERM) return __LINE__;
    if (tandem_atomic_wait(&foreign->word, 0, 0) != -EPERM) return __LINE__;
    return misuse_task(NULL, foreign, sizeof *foreign);
}

static void a_forked_child_can_neither_allocate_nor_free(void)
{
    tandem_pool *pool = pool_of_both(1, 1);
    struct foreign *foreign = foreign_of(pool);
    expect_well_in_a_child(misuse_all, foreign);
    assert_ptr_equal(foreign->memory, foreign);
    give(pool, foreign);
    end_pool(pool);
}

/* Can this process read there?  The system looks, so that nobody has to crash. */
static bool is_readable(const void *memory)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    bool readable = write(fds[1], memory, 1) == 1;
    close(fds[0]);
    close(fds[1]);
    return readable;
}

static int start_afresh(struct foreign *inherited)
{
    tandem_pool *pool;
    tandem_options options = {.threads = 1, .processes = 1};
    if (!is_readable(inherited)) return __LINE__;
    if (tandem_init() != 0 || tandem_pool_create(&pool, &options) != 0) return __LINE__;
    if (is_readable(inherited)) return __LINE__;
    char *memory = tandem_shared_alloc(pool, 10000);
    if (!memory || memory[0] != 0 || memory[9999] != 0) return __LINE__;
    tandem_task task = task_of(TANDEM_PROCESS, last_byte_task, memory, 10000);
    if (tandem_call(pool, &task) != TANDEM_OK || memory[9999] != 1) return __LINE__;
    tandem_task_clear(&task);
    if (tandem_pool_destroy(pool) != 0 || tandem_quit() != 0) return __LINE__;
    return 0;
}

static void a_forked_child_that_starts_afresh_has_shared_memory_of_its_own(void)
{
    skip_under_sanitizer("a forked child of a program with threads may not start threads under it");
    tandem_pool *pool = pool_of_both(1, 1);
    struct foreign *foreign = foreign_of(pool);
    expect_well_in_a_child(start_afresh, foreign);
    assert_ptr_equal(foreign->memory, foreign);
    give(pool, foreign);
    assert_int_equal(run(pool, TANDEM_PROCESS, look_task, NULL, 0), TANDEM_OK);
    end_pool(pool);
}

static int nested_task(tandem_context *context, void *input, size_t size)
{
    int *outer = input;
    tandem_pool *pool;
    tandem_options options = {.threads = 1, .processes = 1};
    (void)context, (void)size;
    if (tandem_pool_create(&pool, &options) != 0) return __LINE__;
    char *memory = tandem_shared_alloc(pool, 5000);
    if (!memory) return __LINE__;
    tandem_task task = task_of(TANDEM_PROCESS, last_byte_task, memory, 5000);
    if (tandem_call(pool, &task) != TANDEM_OK) return __LINE__;
    tandem_task_clear(&task);
    if (memory[4999] != 1) return __LINE__;
    if (*outer != 7) return __LINE__; /* what came from outside is still there */
    *outer = 8;
    if (tandem_pool_destroy(pool) != 0 || tandem_quit() != 0) return __LINE__;
    return *outer == 8 ? 0 : __LINE__;
}

static void a_pool_inside_a_worker_has_shared_memory_of_its_own(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    int *word = take(pool, sizeof *word);
    *word = 7;
    assert_int_equal(run(pool, TANDEM_PROCESS, nested_task, word, sizeof *word), TANDEM_OK);
    assert_int_equal(*word, 8);
    end_pool(pool);
}

/* Whether the byte that the input points to can be read here: its value, or a crash. */
static int read_task(tandem_context *context, void *input, size_t size)
{
    const volatile unsigned char *byte;
    memcpy(&byte, input, size);
    unsigned char value = *byte;
    return tandem_reply(context, &value, 1);
}

static int byte_there(tandem_pool *pool, const void *at)
{
    tandem_task task = task_of(TANDEM_PROCESS, read_task, &at, sizeof at);
    int status = tandem_call(pool, &task), byte = status == TANDEM_OK ? *(unsigned char *)task.output : -status;
    tandem_task_clear(&task);
    return byte;
}

static void two_pools_do_not_see_each_others_memory(void)
{
    tandem_options options = {.no_crash_report = 1};
    tandem_pool *first = pool_of(TANDEM_PROCESS, 1, &options), *second = pool_of(TANDEM_PROCESS, 1, &options);
    unsigned char *mine = take(first, 100), *others = take(second, 100);
    assert_ptr_not_equal(mine, others);
    memset(mine, 1, 100);
    memset(others, 2, 100);
    assert_int_equal(byte_there(first, mine), 1);
    assert_int_equal(byte_there(second, others), 2);
    assert_int_not_equal(byte_there(first, others), 2);
    assert_int_not_equal(byte_there(second, mine), 1);
    end_pool(first);
    assert_int_equal(others[99], 2);
    assert_int_equal(byte_there(second, others), 2);
    unsigned char *more = take(second, 100000);
    memset(more, 3, 100000);
    assert_int_equal(byte_there(second, more + 99999), 3);
    end_pool(second);
}

/* A keeper that is forked while a pool has shared memory must not hand it down. */
static void workers_of_new_guards_do_not_see_other_pools_memory_either(void)
{
    skip_on_portable("guards have no names there to be found by");
    tandem_options options = {.no_crash_report = 1, .shared_size = MIB};
    tandem_pool *first = pool_of(TANDEM_PROCESS, 1, &options);
    unsigned char *mine = take(first, 100);
    struct guards guards = guards_now();
    kill_both(&guards);
    tandem_pool *second = pool_of(TANDEM_PROCESS, 1, &options);
    mine[0] = 1;
    assert_int_not_equal(byte_there(second, mine), 1);
    end_pool(second);
    end_pool(first);
}

static void a_pool_of_threads_only_has_it_too(void)
{
    tandem_pool *pool = pool_of(TANDEM_THREAD, 2, NULL);
    unsigned char *memory = take(pool, 100);
    assert_int_equal(run(pool, TANDEM_THREAD, last_byte_task, memory, 100), TANDEM_OK);
    assert_int_equal(memory[99], 1);
    end_pool(pool);
}

/* ---- crashes ---- */

static int crash_task(tandem_context *context, void *input, size_t size)
{
    (void)context;
    memset(input, 0xff, size);
    raise(SIGKILL);
    return 0;
}

/* All that it can reach around its input: whole mapped memory of the pool, as far as it goes. */
static int rage_task(tandem_context *context, void *input, size_t size)
{
    (void)context;
    memset(input, 0xee, size + 2 * MIB); /* what lies behind has not been given to anybody */
    abort();
}

static int run_on_task(tandem_context *context, void *input, size_t size)
{
    (void)context;
    volatile unsigned char *bytes = input;
    for (size_t i = size; i < SIZE_MAX / 2; i += 4096) bytes[i] = 1;
    return __LINE__;
}

/* What it touches is found for it, so it must not go far. */
static void a_worker_that_runs_on_through_shared_memory_soon_dies(void)
{
    skip_on_portable("not every system lets a file grow behind a mapping");
    tandem_options options = {.no_crash_report = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    unsigned char *memory = take(pool, 1000);
    for (int round = 0; round < 3; round++) {
        tandem_task task = task_of(TANDEM_PROCESS, run_on_task, memory, 1000);
        assert_int_equal(tandem_call(pool, &task), TANDEM_CRASHED);
        assert_int_equal(task.signal, SIGBUS);
        tandem_task_clear(&task);
        assert_int_equal(run(pool, TANDEM_PROCESS, nothing_task, NULL, 0), TANDEM_OK); /* its successor is there */
        assert_in_range(held(), 1, 64 * MIB);
    }
    give(pool, memory);
    end_pool(pool);
}

/* promise 46 */
static void a_buffer_freed_after_its_worker_crashed_is_reusable(void)
{
    tandem_options options = {.no_crash_report = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    enum { SIZE = 300000 };
    for (int round = 0; round < 5; round++) {
        unsigned char *buffer = take(pool, SIZE);
        assert_int_equal(run(pool, TANDEM_PROCESS, crash_task, buffer, SIZE), TANDEM_CRASHED);
        assert_int_equal(buffer[0], 0xff);
        assert_int_equal(buffer[SIZE - 1], 0xff);
        assert_int_equal(run(pool, TANDEM_PROCESS, last_byte_task, buffer, SIZE), TANDEM_OK);
        assert_int_equal(buffer[SIZE - 1], 0);
        give(pool, buffer);
    }
    end_pool(pool);
}

static void a_worker_that_writes_where_nothing_was_given_out_harms_nobody(void)
{
    tandem_options options = {.no_crash_report = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
    for (int round = 0; round < 3; round++) {
        void *first = take(pool, 1000);
        assert_int_equal(run(pool, TANDEM_PROCESS, rage_task, first, 1000), TANDEM_CRASHED);
        void *blocks[50];
        for (size_t i = 0; i < count_of(blocks); i++) blocks[i] = take(pool, 1 + i * 3000); /* zeroed all the same */
        for (size_t i = 0; i < count_of(blocks); i++) give(pool, blocks[i]);
        give(pool, first);
    }
    end_pool(pool);
}

/* ---- a program with limits ---- */

static void a_program_with_little_address_space_keeps_most_of_it(void)
{
    enum { LIMIT = 400 * MIB };
    skip_on_portable("POSIX does not tell how much address space a process has");
    skip_under_sanitizer("a sanitizer needs address space of its own");
    skip_under_valgrind("valgrind needs address space of its own");
    assert_int_equal(setrlimit(RLIMIT_AS, &(struct rlimit){LIMIT, LIMIT}), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    void *much = malloc(LIMIT / 2);
    assert_non_null(much);
    assert_null(tandem_shared_alloc(pool, LIMIT / 2));
    unsigned char *memory = take(pool, 10 * MIB);
    assert_int_equal(run(pool, TANDEM_PROCESS, last_byte_task, memory, 10 * MIB), TANDEM_OK);
    assert_int_equal(memory[10 * MIB - 1], 1);
    free(much);
    end_pool(pool);
}

static void a_program_whose_files_may_not_be_large_has_less(void)
{
    /* a larger file would be the end of this process, by SIGXFSZ */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){5 * MIB, 5 * MIB}), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_null(tandem_shared_alloc(pool, 5 * MIB + 1));
    unsigned char *memory = take(pool, 4 * MIB);
    assert_int_equal(run(pool, TANDEM_PROCESS, last_byte_task, memory, 4 * MIB), TANDEM_OK);
    assert_int_equal(memory[4 * MIB - 1], 1);
    end_pool(pool);
    pool = pool_of(TANDEM_THREAD, 1, NULL);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 5 * MIB});
    void *none = tandem_shared_alloc(pool, 1);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){5 * MIB, 5 * MIB});
    assert_null(none);
    end_pool(pool);
}

static void handled(int signal) { (void)signal; }

static void much_memory_is_had_under_a_storm_of_signals(void)
{
    struct sigaction action = {.sa_handler = handled};
    sigaction(SIGALRM, &action, NULL);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 1000}, {0, 1000}}, NULL);
    for (int i = 0; i < 3; i++) {
        unsigned char *memory = tandem_shared_alloc(pool, 200 * MIB);
        assert_non_null(memory);
        memory[200 * MIB - 1] = 1;
        give(pool, memory);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    end_pool(pool);
}

/* ---- what it costs ---- */

static void begin_counting(void)
{
    skip_on_portable("POSIX cannot give back a part of what lies behind a descriptor");
    skip_without("/proc/self/fd", "what is open shows there");
}

/* promise 46 */
static void freed_pages_return_to_the_system(void)
{
    begin_counting();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    long page = sysconf(_SC_PAGESIZE);
    assert_int_equal(held(), 0); /* it costs nothing until it is used */
    unsigned char *large = take(pool, 40 * MIB), *small = take(pool, 100);
    assert_in_range(held(), 40 * MIB, 40 * MIB + 2 * page);
    memset(large, 1, 40 * MIB);
    assert_int_equal(run(pool, TANDEM_PROCESS, last_byte_task, large, 40 * MIB), TANDEM_OK);
    give(pool, large);
    assert_in_range(held(), 1, 2 * page);
    give(pool, small);
    assert_int_equal(held(), 0);
    end_pool(pool);
}

static void a_thousand_blocks_taken_and_freed_leave_no_memory(void)
{
    begin_counting();
    enum { BLOCKS = 1000 };
    static void *blocks[BLOCKS];
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int order = 0; order < 3; order++) {
        for (size_t i = 0; i < BLOCKS; i++) blocks[i] = take(pool, 1 + i * 37 % 9000);
        assert_true(held() > 0);
        for (size_t i = 0; i < BLOCKS; i++) give(pool, blocks[order == 0 ? i : order == 1 ? BLOCKS - 1 - i : i * 7 % BLOCKS]);
        assert_int_equal(held(), 0);
    }
    for (int i = 0; i < 1000; i++) give(pool, take(pool, (size_t)i * 100));
    assert_int_equal(held(), 0);
    end_pool(pool);
}

static void addresses_go_round_among_pools_that_come_and_go(void)
{
    for (size_t i = 0; i < scaled(100000); i++) {
        tandem_options options = {.shared_size = i % 2 == 0 ? 0 : 3 * MIB};
        tandem_pool *first = pool_of(TANDEM_THREAD, 1, &options), *second = pool_of(TANDEM_THREAD, 1, NULL);
        char *large = take(first, 2 * MIB), *other = take(second, 5000);
        large[2 * MIB - 1] = other[4999] = 1;
        end_pool(first);
        assert_int_equal(other[4999], 1);
        end_pool(second);
    }
}

/* Whether the mapping that holds the input is marked so. */
static int find_dump_mark_task(tandem_context *context, void *input, size_t size)
{
    char line[512];
    bool here = false;
    unsigned long from, to;
    FILE *file = fopen("/proc/self/smaps", "re");
    (void)context, (void)size;
    if (!file) return __LINE__;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx", &from, &to) == 2) here = (uintptr_t)input >= from && (uintptr_t)input < to;
        if (!here || strncmp(line, "VmFlags:", 8) != 0) continue;
        fclose(file);
        return strstr(line, " dd") ? 0 : __LINE__;
    }
    fclose(file);
    return __LINE__;
}

static void a_core_dump_does_without_it(int isolation)
{
    skip_on_portable("POSIX has no word for it");
    skip_without("/proc/self/smaps", "the mark shows there");
    skip_under_valgrind("valgrind does not let it through");
    tandem_pool *pool = pool_of(isolation, 1, NULL);
    unsigned char *memory = take(pool, 100);
    assert_int_equal(run(pool, isolation, find_dump_mark_task, memory, 100), TANDEM_OK);
    end_pool(pool);
}

static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A plugin may be loaded and unloaded again and again. */
static void the_end_of_the_library_gives_the_addresses_back(void)
{
    skip_without("/proc/self/statm", "addresses are counted there");
    skip_under_sanitizer("a sanitizer takes and keeps addresses of its own");
    size_t before = 0;
    for (int round = 0; round < 5; round++) {
        assert_int_equal(tandem_init(), 0);
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
        unsigned char *memory = take(pool, 100);
        assert_int_equal(run(pool, TANDEM_PROCESS, last_byte_task, memory, 100), TANDEM_OK);
        end_pool(pool);
        assert_int_equal(tandem_quit(), 0);
        if (round == 0) before = address_space();
    }
    assert_in_range(address_space(), 0, before + MIB);
}

/* ---- threads ---- */

struct crowd {
    tandem_pool *pool;
    atomic_int turn;
};

static int churn_task(tandem_context *context, void *input, size_t size)
{
    struct crowd *crowd = input;
    unsigned char mark = (unsigned char)(atomic_fetch_add(&crowd->turn, 1) % 255 + 1), *blocks[16] = {0};
    (void)context, (void)size;
    for (size_t step = 0; step < scaled(200000); step++) {
        size_t i = step * 7 % 16, bytes = 1 + step * 1237 % 30000;
        if (blocks[i]) {
            if (blocks[i][0] != mark) return __LINE__;
            if (tandem_shared_free(crowd->pool, blocks[i]) != 0) return __LINE__;
        }
        blocks[i] = tandem_shared_alloc(crowd->pool, bytes);
        if (!blocks[i] || blocks[i][0] != 0 || blocks[i][bytes - 1] != 0) return __LINE__;
        blocks[i][0] = blocks[i][bytes - 1] = mark;
    }
    for (size_t i = 0; i < 16; i++)
        if (tandem_shared_free(crowd->pool, blocks[i]) != 0) return __LINE__;
    return 0;
}

static void threads_allocate_and_free_at_the_same_time(void)
{
    tandem_pool *pool = pool_of_both(4, 1);
    struct crowd crowd = {.pool = pool};
    tandem_task tasks[4];
    for (size_t i = 0; i < count_of(tasks); i++) {
        tasks[i] = task_of(TANDEM_THREAD, churn_task, &crowd, sizeof crowd);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    for (size_t i = 0; i < count_of(tasks); i++) expect_end(&tasks[i], TANDEM_OK);
    for (size_t i = 0; i < count_of(tasks); i++) tandem_task_clear(&tasks[i]);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_list_made_by_the_host_is_changed_by_two_workers_and_read_by_a_thread),
        both(input_in_shared_memory_is_not_copied),
        test(input_in_shared_memory_is_not_copied_of_tasks_that_are_handed_over_together),
        test(input_that_lies_only_partly_in_one_allocation_is_copied),
        test(input_in_shared_memory_may_be_larger_than_what_can_be_copied),
        test(foreign_interior_and_freed_pointers_are_detected_and_do_no_damage),
        test(blocks_never_overlap_and_are_always_zeroed),
        test(out_of_room_is_NULL),
        test(a_size_of_nothing_is_still_a_block),
        test(a_worker_can_neither_allocate_nor_free),
        test(a_worker_that_cannot_see_the_pool_can_neither_allocate_nor_free),
        test(a_forked_child_can_neither_allocate_nor_free),
        test(a_forked_child_that_starts_afresh_has_shared_memory_of_its_own),
        test(a_pool_inside_a_worker_has_shared_memory_of_its_own),
        test(two_pools_do_not_see_each_others_memory),
        test(workers_of_new_guards_do_not_see_other_pools_memory_either),
        test(a_pool_of_threads_only_has_it_too),
        test(a_worker_that_runs_on_through_shared_memory_soon_dies),
        test(a_buffer_freed_after_its_worker_crashed_is_reusable),
        test(a_worker_that_writes_where_nothing_was_given_out_harms_nobody),
        test(a_program_with_little_address_space_keeps_most_of_it),
        test(a_program_whose_files_may_not_be_large_has_less),
        test(much_memory_is_had_under_a_storm_of_signals),
        test(freed_pages_return_to_the_system),
        test(a_thousand_blocks_taken_and_freed_leave_no_memory),
        both(a_core_dump_does_without_it),
        test(addresses_go_round_among_pools_that_come_and_go),
        test(the_end_of_the_library_gives_the_addresses_back),
        test(threads_allocate_and_free_at_the_same_time),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
