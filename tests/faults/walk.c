/* walk.c - everything that can fail fails once, at every place where it can, and the host never notices more than an error.
 *
 * A clean run of scenario.h counts how often each point is passed.  Then it runs again and again, each time with another pass of
 * another point failing, in a process of its own.  TANDEM_FAULT=memory:3 walks the third pass of that point only. */
#include "scenario.h"

#include "base/fault.h"

/* Passes of one point that are walked: all of them with TANDEM_FULL=1. */
#define PASSES_MOST 12
#define STOPS_MOST  4 /* each costs a time limit */

struct row {
    enum tdm_fault_point point;
    enum tdm_fault_action action;
    int value;
    unsigned may;
};

/* ---- one run ---- */

static struct cell *cells;

static pid_t start_run(unsigned may)
{
    memset((void *)cells, 0, 32 * sizeof *cells);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) exit(run_scenario(may, cells) == 0 ? 0 : 1); /* not _exit: a sanitizer looks for leaks there */
    return pid;
}

/* Its status, or -1 if it hung; then nothing is left of it either. */
static int end_run(pid_t pid)
{
    const int64_t begun = now_ms();
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now_ms() - begun > patience_ms() / 2) {
            print_marked(stderr, getenv(MARK));
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            status = -1;
            break;
        }
        moment();
    }
    return status;
}

static void expect_no_process(const char *what, unsigned long long nth)
{
    const int64_t begun = now_ms();
    while (processes_of_ours() != 0) {
        if (now_ms() - begun > allowed_ms(500)) fail_msg("processes are left after %s:%llu", what, nth);
        moment();
    }
}

static void expect_good_run(const struct row *row, const char *what, unsigned long long nth)
{
    bool kills_host = row->action == TDM_FAULT_KILL && strncmp(what, "host_", 5) == 0;
    tdm_fault_arm(row->point, nth, row->action, row->value);
    int status = end_run(start_run(row->may));
    bool fired = tdm_fault_fired(row->point) != 0;
    tdm_fault_disarm_all();
    if (status == -1) fail_msg("hung: %s:%llu, action %d, value %d", what, nth, row->action, row->value);
    if (kills_host && fired ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : status == 0) {
        expect_no_process(what, nth);
        return;
    }
    fail_msg("%s:%llu, action %d, value %d%s: see above; its status is 0x%x", what, nth, row->action, row->value,
             fired ? "" : " (it did not come to that pass)", (unsigned)status);
}

/* ---- walking ---- */

static uint64_t passes[TDM_FAULT_COUNT]; /* in a clean run */

static void begin(void)
{
    skip_under_valgrind("a walk is thousands of processes");
    cells = shared(32 * sizeof *cells);
    assert_int_equal(tdm_fault_open(), 0);
    assert_int_equal(end_run(start_run(0)), 0);
    for (unsigned i = 0; i < TDM_FAULT_COUNT; i++) passes[i] = tdm_fault_passes(i);
    expect_no_process("a clean run", 0);
}

/* Each of the first ones, as many as half of those that may be walked, then evenly spread: beginnings differ, later passes resemble
 * each other. */
static uint64_t next_pass(uint64_t nth, uint64_t all, uint64_t most)
{
    if (full_run() || all <= most || nth < most / 2) return nth + 1;
    return nth + (all - most / 2) / (most / 2) + 1;
}

static void walk_row(const struct row *row)
{
    const char *what = tdm_fault_name(row->point), *only = getenv("TANDEM_FAULT");
    size_t length = strlen(what);
    if (only != NULL && (strncmp(only, what, length) != 0 || only[length] != ':')) return;
    if (only != NULL) {
        expect_good_run(row, what, strtoull(only + length + 1, NULL, 10));
        return;
    }
    const int64_t begun = now_ms();
    const uint64_t all = passes[row->point], most = row->action == TDM_FAULT_STOP ? STOPS_MOST : PASSES_MOST;
    uint64_t walked = 0;
    for (uint64_t nth = 1; nth <= all; nth = next_pass(nth, all, most), walked++) expect_good_run(row, what, nth);
    fprintf(stderr, "%s, action %d, value %d: %llu of %llu passes in %lld ms\n", what, row->action, row->value,
            (unsigned long long)walked, (unsigned long long)all, (long long)(now_ms() - begun));
}

#define walk(...)                                                                                                                  \
    do {                                                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                                                            \
        begin();                                                                                                                   \
        for (size_t i = 0; i < count_of(rows); i++) walk_row(&rows[i]);                                                            \
    } while (0)

/* ---- the walks ---- */

/* promise 36 */
static void every_allocation_can_fail(void)
{
    walk({TDM_FAULT_memory, TDM_FAULT_FAIL, ENOMEM, MAY_NOT_START | MAY_LOSE_REPLY},
         {TDM_FAULT_memory, TDM_FAULT_FAIL_ON, ENOMEM, MAY_NOT_START | MAY_LOSE_REPLY | STAYS_BROKEN});
}

/* promise 36 */
static void every_descriptor_can_be_refused(void)
{
    walk({TDM_FAULT_map, TDM_FAULT_FAIL, ENOMEM, 0}, {TDM_FAULT_descriptor_memory, TDM_FAULT_FAIL, EMFILE, 0},
         {TDM_FAULT_pipe, TDM_FAULT_FAIL, EMFILE, 0}, {TDM_FAULT_socketpair, TDM_FAULT_FAIL, ENFILE, 0},
         {TDM_FAULT_bell, TDM_FAULT_FAIL, EMFILE, 0}, {TDM_FAULT_take_in, TDM_FAULT_FAIL, EMFILE, 0},
         {TDM_FAULT_duplicate, TDM_FAULT_FAIL, EMFILE, 0}, {TDM_FAULT_nonblocking, TDM_FAULT_FAIL, EINVAL, 0},
         {TDM_FAULT_poller, TDM_FAULT_FAIL, EMFILE, 0}, {TDM_FAULT_poller_add, TDM_FAULT_FAIL, ENOSPC, 0});
}

/* promise 36 */
static void descriptors_can_stay_out_of_reach(void)
{
    walk({TDM_FAULT_map, TDM_FAULT_FAIL_ON, ENOMEM, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_descriptor_memory, TDM_FAULT_FAIL_ON, EMFILE, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_pipe, TDM_FAULT_FAIL_ON, EMFILE, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_socketpair, TDM_FAULT_FAIL_ON, ENFILE, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_bell, TDM_FAULT_FAIL_ON, EMFILE, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_take_in, TDM_FAULT_FAIL_ON, EMFILE, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_duplicate, TDM_FAULT_FAIL_ON, EMFILE, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_nonblocking, TDM_FAULT_FAIL_ON, EINVAL, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_poller, TDM_FAULT_FAIL_ON, EMFILE, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_poller_add, TDM_FAULT_FAIL_ON, ENOSPC, MAY_NOT_START | STAYS_BROKEN});
}

/* promise 36 */
static void every_thread_and_fork_can_be_refused(void)
{
    walk({TDM_FAULT_thread, TDM_FAULT_FAIL, EAGAIN, 0}, {TDM_FAULT_thread, TDM_FAULT_FAIL_ON, EAGAIN, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_fork_unseen, TDM_FAULT_FAIL, EAGAIN, 0},
         {TDM_FAULT_fork_unseen, TDM_FAULT_FAIL_ON, EAGAIN, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_guard_fork_worker, TDM_FAULT_FAIL, EAGAIN, 0},
         {TDM_FAULT_guard_fork_worker, TDM_FAULT_FAIL_ON, ENOMEM, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_guard_fork_guard, TDM_FAULT_FAIL, EAGAIN, 0},
         {TDM_FAULT_guard_fork_guard, TDM_FAULT_FAIL_ON, ENOMEM, MAY_NOT_START | STAYS_BROKEN},
         {TDM_FAULT_guard_rights, TDM_FAULT_FAIL, EMFILE, 0},
         {TDM_FAULT_guard_rights, TDM_FAULT_FAIL_ON, EMFILE, MAY_NOT_START | STAYS_BROKEN});
}

static void a_poorer_system_will_do(void)
{
    walk({TDM_FAULT_noexec_seal, TDM_FAULT_FAIL_ON, EINVAL, 0}, {TDM_FAULT_wiped_page, TDM_FAULT_FAIL_ON, EINVAL, 0},
         {TDM_FAULT_fork_handler, TDM_FAULT_FAIL_ON, ENOMEM, 0}, {TDM_FAULT_watch_process, TDM_FAULT_FAIL_ON, ENOSYS, 0},
         {TDM_FAULT_close_range, TDM_FAULT_FAIL_ON, ENOSYS, 0}, {TDM_FAULT_proc_read, TDM_FAULT_FAIL_ON, ENOENT, 0},
         {TDM_FAULT_proc_read, TDM_FAULT_FAIL, ENOENT, 0});
}

static void calls_may_be_interrupted_or_end_without_cause(void)
{
    walk({TDM_FAULT_any_read, TDM_FAULT_FAIL, EINTR, 0}, {TDM_FAULT_any_write, TDM_FAULT_FAIL, EINTR, 0},
         {TDM_FAULT_guard_send, TDM_FAULT_FAIL, EINTR, 0}, {TDM_FAULT_guard_receive, TDM_FAULT_FAIL, EINTR, 0},
         {TDM_FAULT_poller_wait, TDM_FAULT_FAIL, EINTR, 0}, {TDM_FAULT_futex_wait, TDM_FAULT_FAIL, EINTR, 0},
         {TDM_FAULT_futex_wait, TDM_FAULT_FAIL_ON, EINTR, 0}, {TDM_FAULT_host_read, TDM_FAULT_FAIL, EAGAIN, 0},
         {TDM_FAULT_host_write, TDM_FAULT_FAIL, EAGAIN, 0});
}

static void reads_and_writes_may_be_short(void)
{
    walk({TDM_FAULT_host_read, TDM_FAULT_CUT_SHORT, -1, 0}, {TDM_FAULT_host_write, TDM_FAULT_CUT_SHORT, -1, 0},
         {TDM_FAULT_worker_read, TDM_FAULT_CUT_SHORT, -1, 0}, {TDM_FAULT_worker_write, TDM_FAULT_CUT_SHORT, -1, 0});
}

static void a_channel_may_break(void)
{
    walk({TDM_FAULT_host_read, TDM_FAULT_FAIL, EIO, MAY_CRASH},
         {TDM_FAULT_host_write, TDM_FAULT_FAIL, EIO, MAY_CRASH | MAY_NOT_START},
         {TDM_FAULT_worker_read, TDM_FAULT_FAIL, EIO, MAY_CRASH}, {TDM_FAULT_worker_write, TDM_FAULT_FAIL, EIO, MAY_CRASH});
}

/* promise 24 */
static void a_worker_may_be_killed_at_any_step(void)
{
    walk({TDM_FAULT_worker_set_up, TDM_FAULT_KILL, 0, MAY_CRASH}, {TDM_FAULT_worker_read_header, TDM_FAULT_KILL, 0, MAY_CRASH},
         {TDM_FAULT_worker_claimed, TDM_FAULT_KILL, 0, MAY_CRASH}, {TDM_FAULT_worker_read_input, TDM_FAULT_KILL, 0, MAY_CRASH},
         {TDM_FAULT_worker_ran, TDM_FAULT_KILL, 0, MAY_CRASH}, {TDM_FAULT_worker_reply_begun, TDM_FAULT_KILL, 0, MAY_CRASH},
         {TDM_FAULT_worker_replied, TDM_FAULT_KILL, 0, MAY_CRASH}, {TDM_FAULT_worker_finished, TDM_FAULT_KILL, 0, MAY_CRASH});
}

/* promise 21 */
static void a_worker_may_be_stopped_at_any_step(void)
{
    walk({TDM_FAULT_worker_set_up, TDM_FAULT_STOP, 0, MAY_BE_STOPPED},
         {TDM_FAULT_worker_read_header, TDM_FAULT_STOP, 0, MAY_BE_STOPPED},
         {TDM_FAULT_worker_claimed, TDM_FAULT_STOP, 0, MAY_BE_STOPPED},
         {TDM_FAULT_worker_read_input, TDM_FAULT_STOP, 0, MAY_BE_STOPPED},
         {TDM_FAULT_worker_ran, TDM_FAULT_STOP, 0, MAY_BE_STOPPED},
         {TDM_FAULT_worker_reply_begun, TDM_FAULT_STOP, 0, MAY_BE_STOPPED},
         {TDM_FAULT_worker_replied, TDM_FAULT_STOP, 0, MAY_BE_STOPPED},
         {TDM_FAULT_worker_finished, TDM_FAULT_STOP, 0, MAY_BE_STOPPED});
}

static void a_line_to_a_guard_may_break(void)
{
    walk({TDM_FAULT_guard_send, TDM_FAULT_FAIL, ENOBUFS, MAY_CRASH | MAY_NOT_START | MAY_LOSE_STATUS},
         {TDM_FAULT_guard_receive, TDM_FAULT_FAIL, ENOMEM, MAY_CRASH | MAY_NOT_START | MAY_LOSE_STATUS});
}

/* promise 26 */
static void a_guard_may_be_killed_at_any_step(void)
{
    walk({TDM_FAULT_guard_fork_worker, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS},
         {TDM_FAULT_guard_forked_worker, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS},
         {TDM_FAULT_guard_told_spawned, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS},
         {TDM_FAULT_guard_saw_end, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS},
         {TDM_FAULT_guard_told_end, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS},
         {TDM_FAULT_guard_reaped, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS},
         {TDM_FAULT_guard_fork_guard, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS},
         {TDM_FAULT_guard_told_pair, TDM_FAULT_KILL, 0, MAY_LOSE_STATUS});
}

/* promise 30 */
static void a_host_killed_at_any_step_leaves_no_process(void)
{
    walk({TDM_FAULT_host_offered, TDM_FAULT_KILL, 0, 0}, {TDM_FAULT_host_frame_written, TDM_FAULT_KILL, 0, 0},
         {TDM_FAULT_host_reply_read, TDM_FAULT_KILL, 0, 0}, {TDM_FAULT_host_write, TDM_FAULT_KILL, 0, 0});
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(every_allocation_can_fail),
        test(every_descriptor_can_be_refused),
        test(descriptors_can_stay_out_of_reach),
        test(every_thread_and_fork_can_be_refused),
        test(a_poorer_system_will_do),
        test(calls_may_be_interrupted_or_end_without_cause),
        test(reads_and_writes_may_be_short),
        test(a_channel_may_break),
        test(a_worker_may_be_killed_at_any_step),
        test(a_worker_may_be_stopped_at_any_step),
        test(a_line_to_a_guard_may_break),
        test(a_guard_may_be_killed_at_any_step),
        test(a_host_killed_at_any_step_leaves_no_process),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
