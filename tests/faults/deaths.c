/* deaths.c - workers, guards and the host itself killed or stopped at every step of the protocol, in the middle of everything else. */
#include "walk.h"

/* promise 24 */
static void a_worker_may_be_killed_at_any_step(void)
{
    walk(killed_at(worker_set_up, 0), killed_at(worker_read_header, 0), killed_at(worker_claimed, MAY_CRASH),
         killed_at(worker_read_input, MAY_CRASH), killed_at(worker_ran, MAY_CRASH), killed_at(worker_reply_begun, MAY_CRASH),
         killed_at(worker_replied, 0), killed_at(worker_finished, 0));
}

/* promise 21 */
static void a_worker_may_be_stopped_at_any_step(void)
{
    walk(stopped_at(worker_set_up), stopped_at(worker_read_header), stopped_at(worker_claimed), stopped_at(worker_read_input),
         stopped_at(worker_ran), stopped_at(worker_reply_begun), stopped_at(worker_replied), stopped_at(worker_finished));
}

/* promise 26 */
static void a_guard_may_be_killed_at_any_step(void)
{
    walk(killed_at(guard_fork_worker, MAY_LOSE_STATUS), killed_at(guard_forked_worker, MAY_LOSE_STATUS),
         killed_at(guard_told_spawned, MAY_LOSE_STATUS), killed_at(guard_saw_end, MAY_LOSE_STATUS),
         killed_at(guard_told_end, MAY_LOSE_STATUS), killed_at(guard_reaped, MAY_LOSE_STATUS),
         killed_at(guard_fork_guard, MAY_LOSE_STATUS), killed_at(guard_forked_guard, MAY_LOSE_STATUS),
         killed_at(guard_told_pair, MAY_LOSE_STATUS));
}

/* promise 26, promise 36 */
static void a_guard_may_die_when_there_is_little_to_replace_it_with(void)
{
    walk(fails_when_one_is_killed_at(guard_told_spawned, take_in, EMFILE, MAY_LOSE_STATUS),
         fails_when_one_is_killed_at(guard_told_spawned, guard_rights, EMFILE, MAY_LOSE_STATUS),
         fails_when_one_is_killed_at(guard_told_spawned, nonblocking, EINVAL, MAY_LOSE_STATUS),
         fails_when_one_is_killed_at(guard_told_spawned, poller_add, ENOSPC, MAY_LOSE_STATUS),
         fails_when_one_is_killed_at(guard_forked_worker, socketpair, EMFILE, MAY_LOSE_STATUS),
         fails_when_one_is_killed_at(guard_saw_end, pipe, EMFILE, MAY_LOSE_STATUS),
         fails_when_one_is_killed_at(guard_told_spawned, guard_fork_guard, EAGAIN, MAY_LOSE_STATUS),
         fails_when_one_is_killed_at(guard_forked_worker, guard_fork_worker, EAGAIN, MAY_LOSE_STATUS));
}

/* promise 26 */
static void both_guards_may_be_killed(void)
{
    walk(two_are_killed_at(guard_fork_worker, guard_told_spawned, MAY_LOSE_STATUS | MAY_NOT_START | MAY_CRASH),
         two_are_killed_at(guard_told_spawned, guard_saw_end, MAY_LOSE_STATUS | MAY_NOT_START | MAY_CRASH),
         two_are_killed_at(guard_told_spawned, guard_fork_guard, MAY_LOSE_STATUS | MAY_NOT_START | MAY_CRASH),
         two_are_killed_at(guard_told_spawned, guard_told_pair, MAY_LOSE_STATUS | MAY_NOT_START | MAY_CRASH),
         two_are_killed_at(guard_saw_end, guard_told_end, MAY_LOSE_STATUS | MAY_NOT_START | MAY_CRASH));
}

/* A guard that dies between doing and telling, or between telling and collecting, leaves a child that nobody knows.  Promises 26 and 30. */
static void an_adopting_host_collects_what_dead_guards_leave(void)
{
    enum { MAY = MAY_LOSE_STATUS | MAY_NOT_START | MAY_CRASH | ADOPTS };
    walk(two_are_killed_at(guard_told_spawned, guard_forked_worker, MAY),
         two_are_killed_at(guard_told_spawned, guard_told_end, MAY), two_are_killed_at(guard_told_spawned, guard_forked_guard, MAY),
         two_are_killed_at(guard_told_end, guard_told_end, MAY), two_are_killed_at(guard_forked_worker, guard_saw_end, MAY));
}

/* promise 30 */
static void a_host_killed_at_any_step_leaves_no_process(void)
{
    walk(killed_at(host_offered, 0), killed_at(host_frame_written, 0), killed_at(host_reply_read, 0), killed_at(host_write, 0));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_worker_may_be_killed_at_any_step),
        test(a_worker_may_be_stopped_at_any_step),
        test(a_guard_may_be_killed_at_any_step),
        test(a_guard_may_die_when_there_is_little_to_replace_it_with),
        test(both_guards_may_be_killed),
        test(an_adopting_host_collects_what_dead_guards_leave),
        test(a_host_killed_at_any_step_leaves_no_process),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
