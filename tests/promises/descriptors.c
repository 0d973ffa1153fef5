/* descriptors.c - who has which: workers only their own, programs the host starts none of ours, and a death is soon noticed. */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HIGHEST = 1024, MOST_LISTED = 32 };

/* What a worker finds open in itself. */
struct listed {
    int count;
    struct {
        int fd;
        char target[64]; /* pipe:[number] and the like; longer paths are cut */
    } items[MOST_LISTED];
};

static void list_descriptors(struct listed *listed)
{
    listed->count = 0;
    for (int fd = 0; fd < HIGHEST; fd++) {
        char path[64];
        if (fcntl(fd, F_GETFD) < 0 || listed->count == MOST_LISTED) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        char *target = listed->items[listed->count].target;
        memset(target, 0, sizeof listed->items[0].target);
        if (readlink(path, target, sizeof listed->items[0].target - 1) < 0) target[0] = 0;
        listed->items[listed->count++].fd = fd;
    }
}

static int list_task(tandem_context *context, void *input, size_t size)
{
    struct gate *gate;
    struct listed listed;
    memcpy(&gate, input, size);
    atomic_fetch_add(&gate->entered, 1);
    if (!await(&gate->opened, 1)) return __LINE__; /* so that each worker gets one */
    list_descriptors(&listed);
    return tandem_reply(context, &listed, sizeof listed);
}

enum { WORKERS = 4 };

/* The lists of so many workers of one pool. */
static void list_workers(tandem_pool *pool, struct gate *gate, struct listed lists[WORKERS])
{
    tandem_task tasks[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, list_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, WORKERS));
    atomic_store(&gate->opened, 1);
    for (int i = 0; i < WORKERS; i++) {
        expect_end(&tasks[i], TANDEM_OK);
        memcpy(&lists[i], tasks[i].output, sizeof lists[i]);
        tandem_task_clear(&tasks[i]);
    }
}

static bool has_target(const struct listed *listed, int from, const char *target)
{
    for (int i = from; i < listed->count; i++)
        if (strcmp(listed->items[i].target, target) == 0) return true;
    return false;
}

/* ---- workers ---- */

/* promise 35 */
static void a_worker_has_its_own_descriptors_and_no_others(void)
{
    skip_under_valgrind("valgrind keeps descriptors of its own");
    struct gate *gate = shared(sizeof *gate);
    struct listed hosts, lists[WORKERS];
    int early = open("/dev/zero", O_RDONLY), pair[2];
    assert_true(early >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, NULL);
    int late = open("/dev/full", O_RDONLY), pipes[2];
    assert_true(late >= 0);
    assert_int_equal(pipe(pipes), 0);
    list_workers(pool, gate, lists);
    list_descriptors(&hosts);

    for (int w = 0; w < WORKERS; w++) {
        const struct listed *own = &lists[w];
        assert_in_range(own->count, 3 + 1, 3 + 6); /* stdio; a way in, a way out, a lifeline, and little else */
        assert_int_equal(own->count, lists[0].count);
        for (int i = 0; i < 3; i++) assert_int_equal(own->items[i].fd, i);
        assert_string_equal(own->items[0].target, "/dev/null");
        for (int i = 1; i < 3; i++) assert_string_equal(own->items[i].target, hosts.items[i].target);
        assert_false(has_target(own, 3, "/dev/zero"));
        assert_false(has_target(own, 3, "/dev/full"));
        char target[64];
        for (int i = 0; i < hosts.count; i++) { /* none of the host's sockets and pipes that are not the library's */
            int fd = hosts.items[i].fd;
            if (fd != pair[0] && fd != pair[1] && fd != pipes[0] && fd != pipes[1]) continue;
            memcpy(target, hosts.items[i].target, sizeof target);
            assert_false(has_target(own, 3, target));
        }
        for (int other = 0; other < w; other++) /* nothing that leads from one worker to another */
            for (int i = 3; i < own->count; i++)
                if (strncmp(own->items[i].target, "anon_inode", 10) != 0)
                    assert_false(has_target(&lists[other], 3, own->items[i].target));
    }
    close(early);
    close(late);
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(pipes[i]);
    }
    end_pool(pool);
}

static int read_stdin_task(tandem_context *context, void *input, size_t size)
{
    char byte;
    (void)context, (void)input, (void)size;
    return read(0, &byte, 1) == 0 ? 0 : __LINE__;
}

static void standard_input_is_empty_in_a_worker(void)
{
    int pipes[2], saved = fcntl(0, F_DUPFD_CLOEXEC, 100);
    char byte = 0;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], "host's", 6), 6);
    dup2(pipes[0], 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, read_stdin_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    assert_int_equal(read(0, &byte, 1), 1); /* what is the host's is still there */
    assert_int_equal(byte, 'h');
    dup2(saved, 0);
    close(saved);
    close(pipes[0]);
    close(pipes[1]);
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- programs the host starts ---- */

static void descriptors_are_closed_when_the_host_starts_a_program(void)
{
    struct listed before, after;
    struct gate *gate = shared(sizeof *gate);
    struct listed lists[WORKERS];
    list_descriptors(&before);
    tandem_options options = {.callbacks_by_host = 1};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, WORKERS, &options);
    list_workers(pool, gate, lists);
    list_descriptors(&after);
    assert_true(after.count > before.count);
    for (int i = 0; i < after.count; i++)
        if (i >= before.count || after.items[i].fd != before.items[i].fd)
            if (!has_target(&before, 0, after.items[i].target)) assert_true((fcntl(after.items[i].fd, F_GETFD) & FD_CLOEXEC) != 0);
    end_pool(pool);
}

/* ---- deaths ---- */

/* promise 35 */
static void a_death_among_many_workers_is_soon_noticed(void)
{
    const int workers = full_run() ? 64 : 8;
    tandem_task *tasks = calloc((size_t)workers, sizeof *tasks);
    assert_non_null(tasks);
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, (uint32_t)workers, NULL);
    for (int i = 0; i < workers; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &tasks[i]), 0);
    }
    assert_true(await(&gate->entered, workers));
    assert_int_equal(kill(atomic_load(&gate->pid), SIGKILL), 0);
    wait_until_within(stats_of(pool).ended[TANDEM_CRASHED] == 1, allowed_ms(50)); /* while nobody waits */
    atomic_store(&gate->opened, 1);
    int crashed = 0;
    for (int i = 0; i < workers; i++) {
        int status = tandem_wait(&tasks[i]);
        if (status == TANDEM_CRASHED)
            crashed++;
        else
            assert_int_equal(status, TANDEM_OK);
    }
    assert_int_equal(crashed, 1);

    pid_t idle = 0;
    for (int i = 0; i < workers; i++)
        if (tasks[i].status == TANDEM_OK) idle = tasks[i].report->pid;
    assert_int_equal(kill(idle, SIGKILL), 0);
    wait_until_within(stats_of(pool).workers_crashed == 2, allowed_ms(50));
    for (int i = 0; i < workers; i++) tandem_task_clear(&tasks[i]);
    free(tasks);
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_worker_has_its_own_descriptors_and_no_others),
        test(standard_input_is_empty_in_a_worker),
        test(descriptors_are_closed_when_the_host_starts_a_program),
        test(a_death_among_many_workers_is_soon_noticed),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
