/* walk.c - everything that can fail fails once, at every place where it can, and the host never notices more than an error. */
#include "walk.h"

#include <sys/resource.h>

/* What is done on this system at all. */
static bool is_done_here(enum tdm_fault_point point)
{
    switch (point) {
    case TDM_FAULT_decommit:
    case TDM_FAULT_noexec_seal:
    case TDM_FAULT_wiped_page:
    case TDM_FAULT_inherit_orphans:
    case TDM_FAULT_signal_watched:
    case TDM_FAULT_cpu_timer:
    case TDM_FAULT_watch_process:
    case TDM_FAULT_close_range: return !is_portable();
    case TDM_FAULT_proc_list: return is_portable();
    case TDM_FAULT_parcel_send: /* see messages_short.c */
    case TDM_FAULT_parcel_receive:
    case TDM_FAULT_parcel_rights:
    case TDM_FAULT_word_taken: /* see channel_steps.c */
    case TDM_FAULT_word_opened:
    case TDM_FAULT_mutex_noted:
    case TDM_FAULT_mutex_opened:
    case TDM_FAULT_belt_slept:
    case TDM_FAULT_belt_counted_in:
    case TDM_FAULT_belt_answered:
    case TDM_FAULT_belt_called:
    case TDM_FAULT_belt_begun:
    case TDM_FAULT_belt_written:
    case TDM_FAULT_belt_sent:
    case TDM_FAULT_belt_copied:
    case TDM_FAULT_belt_taken:
    case TDM_FAULT_belt_joined:
    case TDM_FAULT_belt_opened:
    case TDM_FAULT_spawn: /* see command_faults.c */
    case TDM_FAULT_spill:
    case TDM_FAULT_unnamed_file:
    case TDM_FAULT_program_begun:
    case TDM_FAULT_guard_spawned_program: return false;
    default: return true;
    }
}

/* Else a walk would prove less than it says. */
static void a_clean_run_passes_every_point(void)
{
    begin();
    for (unsigned i = 0; i < TDM_FAULT_COUNT; i++)
        if ((passes[i] != 0) != is_done_here(i))
            fail_msg("%s is passed %llu times", tdm_fault_name(i), (unsigned long long)passes[i]);
}

/* promise 36 */
static void every_allocation_can_fail(void)
{
    walk(fails(memory, ENOMEM, MAY_NOT_START | MAY_LOSE_REPLY), fails_on(memory, ENOMEM, MAY_NOT_START | MAY_LOSE_REPLY));
}

/* promise 36 */
static void every_descriptor_can_be_refused(void)
{
    walk(fails(map, ENOMEM, 0), fails(descriptor_memory, EMFILE, 0), fails(pipe, EMFILE, 0), fails(socketpair, ENFILE, 0),
         fails(bell, EMFILE, 0), fails(take_in, EMFILE, 0), fails(duplicate, EMFILE, 0), fails(nonblocking, EINVAL, 0),
         fails(poller, EMFILE, 0), fails(poller_add, ENOSPC, 0), fails(open_cwd, EMFILE, 0), fails(reserve, ENOMEM, 0),
         fails(commit, ENOSPC, 0));
}

/* promise 36 */
static void descriptors_can_stay_out_of_reach(void)
{
    walk(fails_on(map, ENOMEM, MAY_NOT_START), fails_on(descriptor_memory, EMFILE, MAY_NOT_START),
         fails_on(pipe, EMFILE, MAY_NOT_START), fails_on(socketpair, ENFILE, MAY_NOT_START), fails_on(bell, EMFILE, MAY_NOT_START),
         fails_on(take_in, EMFILE, MAY_NOT_START), fails_on(duplicate, EMFILE, MAY_NOT_START),
         fails_on(nonblocking, EINVAL, MAY_NOT_START), fails_on(poller, EMFILE, MAY_NOT_START),
         fails_on(poller_add, ENOSPC, MAY_NOT_START), fails_on(open_cwd, EMFILE, MAY_NOT_START), fails_on(reserve, ENOMEM, 0),
         fails_on(commit, ENOSPC, 0));
}

/* promise 36 */
static void every_thread_and_fork_can_be_refused(void)
{
    walk(fails(thread, EAGAIN, MAY_NOT_START), fails_on(thread, EAGAIN, MAY_NOT_START), fails(fork_unseen, EAGAIN, 0),
         fails_on(fork_unseen, EAGAIN, MAY_NOT_START), fails(guard_fork_worker, EAGAIN, 0),
         fails_on(guard_fork_worker, ENOMEM, MAY_NOT_START), fails(guard_fork_guard, EAGAIN, 0),
         fails_on(guard_fork_guard, ENOMEM, MAY_NOT_START), fails(guard_rights, EMFILE, 0),
         fails_on(guard_rights, EMFILE, MAY_NOT_START));
}

/* Without a list of what is open every possible descriptor is closed, so let them be few. */
static void a_poorer_system_will_do(void)
{
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 256, .rlim_max = 256});
    walk(fails_on(noexec_seal, EINVAL, 0), fails_on(wiped_page, EINVAL, 0), fails_on(fork_handler, ENOMEM, 0),
         fails_on(watch_process, ENOSYS, 0), fails_on(signal_watched, ENOSYS, 0), fails_on(inherit_orphans, EINVAL, 0),
         fails_on(cpu_timer, EAGAIN, 0), fails_on(close_range, ENOSYS, 0), fails_on(proc_list, ENOENT, 0),
         fails_on(proc_read, ENOENT, 0), fails(proc_read, ENOENT, 0), fails_on(decommit, ENOSYS, 0), fails(decommit, EINTR, 0));
}

static void calls_may_be_interrupted_or_end_without_cause(void)
{
    walk(fails(any_read, EINTR, 0), fails(any_write, EINTR, 0), fails(guard_send, EINTR, 0), fails(guard_receive, EINTR, 0),
         fails(poller_wait, EINTR, 0), fails(futex_wait, EINTR, 0), fails_on(futex_wait, EINTR, 0), fails(host_read, EAGAIN, 0),
         fails(host_write, EAGAIN, 0));
}

static void reads_and_writes_may_be_short(void)
{
    walk(is_cut_short(host_read), is_cut_short(host_write), is_cut_short(worker_read), is_cut_short(worker_write));
}

static void a_channel_may_break(void)
{
    walk(fails(host_read, EIO, MAY_CRASH), fails(host_write, EIO, MAY_CRASH | MAY_NOT_START), fails(worker_read, EIO, MAY_CRASH),
         fails(worker_write, EIO, MAY_CRASH));
}

static void a_line_to_a_guard_may_break(void)
{
    walk(fails(guard_send, ENOBUFS, MAY_CRASH | MAY_NOT_START | MAY_LOSE_STATUS),
         fails(guard_receive, ENOMEM, MAY_CRASH | MAY_NOT_START | MAY_LOSE_STATUS));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_clean_run_passes_every_point),
        test(every_allocation_can_fail),
        test(every_descriptor_can_be_refused),
        test(descriptors_can_stay_out_of_reach),
        test(every_thread_and_fork_can_be_refused),
        test(a_poorer_system_will_do),
        test(calls_may_be_interrupted_or_end_without_cause),
        test(reads_and_writes_may_be_short),
        test(a_channel_may_break),
        test(a_line_to_a_guard_may_break),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
