/* points.c - base/fault.h itself: what is armed happens at that pass and at no other, in whatever process makes it. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/memory.h"

static void failed_at_the_pass_that_was_asked_for_and_at_no_other(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    assert_int_equal(tdm_fault(TDM_FAULT_pipe), 0);
    tdm_fault_arm(TDM_FAULT_pipe, 2, TDM_FAULT_FAIL, EMFILE);
    assert_int_equal(tdm_fault(TDM_FAULT_pipe), 0);
    assert_int_equal(tdm_fault(TDM_FAULT_bell), 0);
    assert_int_equal(tdm_fault(TDM_FAULT_pipe), EMFILE);
    assert_int_equal(tdm_fault(TDM_FAULT_pipe), 0);
    assert_int_equal(tdm_fault_passes(TDM_FAULT_pipe), 4);
    assert_int_equal(tdm_fault_fired(TDM_FAULT_pipe), 1);
    assert_int_equal(tdm_fault_passes(TDM_FAULT_bell), 1);
}

static void failing_on_lasts_until_it_is_disarmed(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tdm_fault_arm(TDM_FAULT_memory, 1, TDM_FAULT_FAIL_ON, ENOMEM);
    for (int i = 0; i < 3; i++) {
        errno = 0;
        assert_null(tdm_malloc(1));
        assert_int_equal(errno, ENOMEM);
    }
    tdm_fault_disarm_all();
    void *memory = tdm_malloc(1);
    assert_non_null(memory);
    free(memory);
    assert_int_equal(tdm_fault_fired(TDM_FAULT_memory), 3);
}

static void nothing_fails_in_a_program_that_has_not_opened_it(void)
{
    assert_int_equal(tdm_fault(TDM_FAULT_memory), 0);
    assert_int_equal(tdm_fault_short(TDM_FAULT_host_read, 7), 7);
    tdm_fault_disarm_all();
}

static int status_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    return status;
}

static void a_child_passes_what_its_parent_armed(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tdm_fault_arm(TDM_FAULT_worker_claimed, 1, TDM_FAULT_STOP, 0);
    tdm_fault_arm(TDM_FAULT_worker_ran, 1, TDM_FAULT_KILL, 0);
    pid_t pid = fork();
    if (pid == 0) {
        tdm_fault(TDM_FAULT_worker_claimed);
        tdm_fault(TDM_FAULT_worker_ran);
        _exit(0);
    }
    assert_true(WIFSTOPPED(status_of(pid)));
    assert_int_equal(tdm_fault_fired(TDM_FAULT_worker_claimed), 1);
    assert_int_equal(tdm_fault_passes(TDM_FAULT_worker_ran), 0);
    kill(pid, SIGCONT);
    int status = status_of(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(tdm_fault_fired(TDM_FAULT_worker_ran), 1);
}

/* As the library does it: asks, then moves what it may. */
static size_t move(size_t wanted)
{
    assert_int_equal(tdm_fault(TDM_FAULT_worker_write), 0);
    return tdm_fault_short(TDM_FAULT_worker_write, wanted);
}

static void what_is_cut_short_moves_a_byte_at_a_time(void)
{
    assert_int_equal(tdm_fault_open(), 0);
    tdm_fault_arm(TDM_FAULT_worker_write, 2, TDM_FAULT_CUT_SHORT, -1);
    assert_int_equal(move(10), 10);
    assert_int_equal(move(10), 1);
    assert_int_equal(move(9), 1);
    assert_int_equal(move(0), 0);
    tdm_fault_disarm_all();
    assert_int_equal(move(8), 8);
}

static void parts_are_cut_from_their_end(void)
{
    char bytes[8];
    struct iovec parts[] = {{bytes, 3}, {bytes + 3, 5}};
    assert_int_equal(tdm_fault_open(), 0);
    assert_int_equal(tdm_fault_cut(TDM_FAULT_host_write, parts, 2), 2);
    assert_int_equal(parts[0].iov_len + parts[1].iov_len, 8);
    tdm_fault_arm(TDM_FAULT_host_write, 1, TDM_FAULT_CUT_SHORT, -1);
    tdm_fault(TDM_FAULT_host_write);
    assert_int_equal(tdm_fault_cut(TDM_FAULT_host_write, parts, 2), 1);
    assert_int_equal(parts[0].iov_len, 1);
}

static void one_that_is_killed_after_three_bytes_has_moved_three(void)
{
    atomic_int *moved = shared(sizeof *moved);
    assert_int_equal(tdm_fault_open(), 0);
    tdm_fault_arm(TDM_FAULT_worker_write, 1, TDM_FAULT_CUT_SHORT, 3);
    for (int life = 0; life < 2; life++) { /* the second one is spared */
        pid_t pid = fork();
        if (pid == 0) {
            for (int i = 0; i < 10; i++) atomic_fetch_add(moved, (int)move(1));
            _exit(0);
        }
        int status = status_of(pid);
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, life == 0 ? SIGKILL : 0);
        assert_int_equal(atomic_load(moved), life == 0 ? 3 : 13);
    }
}

static void every_point_has_a_name_of_its_own(void)
{
    for (unsigned i = 0; i < TDM_FAULT_COUNT; i++)
        for (unsigned k = 0; k < i; k++) assert_string_not_equal(tdm_fault_name(i), tdm_fault_name(k));
    assert_string_equal(tdm_fault_name(TDM_FAULT_host_reply_read), "host_reply_read");
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(failed_at_the_pass_that_was_asked_for_and_at_no_other),
        test(failing_on_lasts_until_it_is_disarmed),
        test(nothing_fails_in_a_program_that_has_not_opened_it),
        test(a_child_passes_what_its_parent_armed),
        test(what_is_cut_short_moves_a_byte_at_a_time),
        test(parts_are_cut_from_their_end),
        test(one_that_is_killed_after_three_bytes_has_moved_three),
        test(every_point_has_a_name_of_its_own),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
