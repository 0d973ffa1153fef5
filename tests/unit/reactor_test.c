/* reactor_test.c - the one waiting thread: timers, jobs and descriptors are told in time, once, and not after they were taken back. */
#include "harness.h"

#include "base/clock.h"
#include "base/fds.h"
#include "base/reactor.h"
#include "dice.h"
#include "meeting.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define MS   UINT64_C(1000000)
#define HOUR (UINT64_C(3600000) * MS)

static void hold(void) { assert_int_equal(tdm_reactor_hold(), 0); }

/* ---- what the reactor does for the test: errands, watching pipes, standing still ---- */

struct errand {
    struct tdm_job job;
    void (*body)(void *argument);
    void *argument;
    struct tally_word done;
};

static void do_errand(struct tdm_job *job)
{
    struct errand *errand = container_of(job, struct errand, job);
    errand->body(errand->argument);
    count_up(&errand->done);
}

static void on_reactor(void (*body)(void *argument), void *argument)
{
    struct errand errand = {.job = {.run = do_errand}, .body = body, .argument = argument};
    tdm_reactor_post(&errand.job);
    assert_true(counted(&errand.done, 1));
}

static void do_nothing(void *unused) { (void)unused; }

struct watched_pipe {
    struct tdm_source source;
    int ends[2];
    unsigned wants;
    int error;
    atomic_uint seen; /* all events told */
    atomic_int bytes;
    struct tally_word told;
    struct watched_pipe *other;
};

static void stop_watching(struct tdm_source *source, unsigned events)
{
    struct watched_pipe *watched = container_of(source, struct watched_pipe, source);
    watched->seen |= events;
    tdm_reactor_watch(source, 0);
    count_up(&watched->told);
}

static void set_watch(void *argument)
{
    struct watched_pipe *watched = argument;
    watched->error = tdm_reactor_watch(&watched->source, watched->wants);
}

static void watch(struct watched_pipe *watched, unsigned wants)
{
    watched->wants = wants;
    on_reactor(set_watch, watched);
    assert_int_equal(watched->error, 0);
}

static struct watched_pipe pipe_watched_at(int end, void (*ready)(struct tdm_source *source, unsigned events))
{
    struct watched_pipe watched = {.wants = 0};
    assert_int_equal(tdm_fds_pipe(watched.ends), 0);
    watched.source = (struct tdm_source){.fd = watched.ends[end], .ready = ready};
    return watched;
}

static void close_pipe(struct watched_pipe *watched)
{
    tdm_fds_close(&watched->ends[0]);
    tdm_fds_close(&watched->ends[1]);
}

/* Descriptors are looked at last in each turn of the reactor's loop, so after two such looks and the end of the second's turn
 * everything that was to be told before has been told. */
static void two_rounds(void)
{
    for (int i = 0; i < 2; i++) {
        struct watched_pipe marker = pipe_watched_at(0, stop_watching);
        watch(&marker, TDM_POLL_IN);
        assert_int_equal(write(marker.ends[1], "x", 1), 1);
        assert_true(counted(&marker.told, 1));
        on_reactor(do_nothing, NULL);
        close_pipe(&marker);
    }
}

/* A job that keeps the reactor from everything else until it is let go. */
struct stopper {
    struct tdm_job job;
    struct tally_word entered, opened, left;
};

static void stand_in_the_way(struct tdm_job *job)
{
    struct stopper *stopper = container_of(job, struct stopper, job);
    count_up(&stopper->entered);
    counted(&stopper->opened, 1);
    count_up(&stopper->left);
}

static void stop(struct stopper *stopper)
{
    *stopper = (struct stopper){.job = {.run = stand_in_the_way}};
    tdm_reactor_post(&stopper->job);
    assert_true(counted(&stopper->entered, 1));
}

static void let_go(struct stopper *stopper)
{
    count_up(&stopper->opened);
    assert_true(counted(&stopper->left, 1));
}

/* ---- timers ---- */

enum { TIMERS = 200 };

static struct {
    struct tdm_timer timers[TIMERS];
    uint64_t deadlines[TIMERS];
    int order[TIMERS];
    bool early;
    struct tally_word fired;
} alarms;

static void note_alarm(struct tdm_timer *timer)
{
    int i = (int)(timer - alarms.timers);
    if (tdm_clock_ns() < alarms.deadlines[i]) alarms.early = true;
    alarms.order[load_seq(&alarms.fired.count)] = i;
    count_up(&alarms.fired);
}

/* On the reactor's thread, so that none is due before all are set. */
static void set_alarms(void *argument)
{
    struct dice *dice = argument;
    uint64_t now = tdm_clock_ns();
    for (int i = 0; i < TIMERS; i++) {
        alarms.timers[i] = (struct tdm_timer){.due = note_alarm};
        alarms.deadlines[i] = now - 10 * MS + roll_below(dice, 30 * MS);
        tdm_reactor_set_timer(&alarms.timers[i], alarms.deadlines[i]);
    }
}

static void timers_are_due_in_order_and_not_before_their_time(void)
{
    struct dice dice = {1};
    hold();
    on_reactor(set_alarms, &dice);
    assert_true(counted(&alarms.fired, TIMERS));
    assert_false(alarms.early);
    for (int i = 1; i < TIMERS; i++) assert_true(alarms.deadlines[alarms.order[i - 1]] <= alarms.deadlines[alarms.order[i]]);
    two_rounds();
    assert_int_equal(load_seq(&alarms.fired.count), TIMERS);
    tdm_reactor_release();
}

struct alarm_clock {
    struct tdm_timer timer;
    struct tally_word entered;
    int inside, runs; /* the reactor's, and after a clear its caller's */
    struct alarm_clock *other;
};

static void ring(struct tdm_timer *timer) { count_up(&container_of(timer, struct alarm_clock, timer)->entered); }

static void an_earlier_timer_wakes_a_reactor_that_sleeps_for_a_later_one(void)
{
    struct alarm_clock late = {.timer = {.due = ring}}, soon = {.timer = {.due = ring}};
    hold();
    tdm_reactor_set_timer(&late.timer, tdm_clock_ns() + HOUR);
    for (uint32_t i = 1; i <= 20; i++) {
        two_rounds();
        tdm_reactor_set_timer(&soon.timer, tdm_clock_ns() + i % 2 * MS);
        assert_true(counted(&soon.entered, i));
    }
    tdm_reactor_clear_timer(&late.timer);
    tdm_reactor_clear_timer(&soon.timer);
    assert_int_equal(load_seq(&late.entered.count), 0);
    tdm_reactor_release();
}

static void put_off(void *argument)
{
    struct alarm_clock *alarm = argument;
    tdm_reactor_set_timer(&alarm->timer, 1);
    tdm_reactor_set_timer(&alarm->timer, tdm_clock_ns() + HOUR);
}

static void a_timer_that_is_set_again_is_moved(void)
{
    struct alarm_clock alarm = {.timer = {.due = ring}};
    hold();
    on_reactor(put_off, &alarm);
    two_rounds();
    assert_int_equal(load_seq(&alarm.entered.count), 0);
    tdm_reactor_set_timer(&alarm.timer, tdm_clock_ns());
    assert_true(counted(&alarm.entered, 1));
    two_rounds();
    assert_int_equal(load_seq(&alarm.entered.count), 1);
    tdm_reactor_clear_timer(&alarm.timer);
    tdm_reactor_release();
}

static void ring_long(struct tdm_timer *timer)
{
    struct alarm_clock *alarm = container_of(timer, struct alarm_clock, timer);
    alarm->inside = 1;
    count_up(&alarm->entered);
    moment(); /* a clear that did not wait for the end would be back by now */
    alarm->inside = 0;
    alarm->runs++;
}

static void a_clear_waits_for_the_end_of_a_running_timer(void)
{
    hold();
    for (size_t round = 0; round < scaled(20000); round++) {
        struct alarm_clock *alarm = calloc(1, sizeof *alarm);
        assert_non_null(alarm);
        alarm->timer.due = ring_long;
        tdm_reactor_set_timer(&alarm->timer, tdm_clock_ns());
        assert_true(counted(&alarm->entered, 1));
        tdm_reactor_clear_timer(&alarm->timer);
        assert_int_equal(alarm->inside, 0);
        assert_int_equal(alarm->runs, 1);
        free(alarm);
    }
    tdm_reactor_release();
}

static void ring_shortly(struct tdm_timer *timer) { container_of(timer, struct alarm_clock, timer)->runs++; }

/* It is freed at once, be it not due yet, just running or over. */
static void a_cleared_timer_may_be_freed(void)
{
    struct dice dice = {2};
    hold();
    for (size_t round = 0; round < scaled(1000000); round++) {
        struct alarm_clock *alarm = calloc(1, sizeof *alarm);
        assert_non_null(alarm);
        alarm->timer.due = ring_shortly;
        tdm_reactor_set_timer(&alarm->timer, tdm_clock_ns() + roll_below(&dice, 20000));
        for (uint32_t looks = roll_below(&dice, 200); looks > 0; looks--) (void)tdm_clock_ns();
        tdm_reactor_clear_timer(&alarm->timer);
        assert_in_range(alarm->runs, 0, 1);
        free(alarm);
    }
    tdm_reactor_release();
}

static void ring_three_times(struct tdm_timer *timer)
{
    struct alarm_clock *alarm = container_of(timer, struct alarm_clock, timer);
    tdm_reactor_clear_timer(timer); /* its own, from inside: must not wait for itself */
    if (load_seq(&alarm->entered.count) < 2) tdm_reactor_set_timer(timer, 0);
    count_up(&alarm->entered);
}

static void a_timer_may_clear_and_set_itself(void)
{
    struct alarm_clock alarm = {.timer = {.due = ring_three_times}};
    hold();
    tdm_reactor_set_timer(&alarm.timer, 0);
    assert_true(counted(&alarm.entered, 3));
    two_rounds();
    assert_int_equal(load_seq(&alarm.entered.count), 3);
    tdm_reactor_clear_timer(&alarm.timer);
    tdm_reactor_release();
}

static void clear_the_other(struct tdm_timer *timer)
{
    struct alarm_clock *alarm = container_of(timer, struct alarm_clock, timer);
    alarm->runs++;
    tdm_reactor_clear_timer(&alarm->other->timer);
}

static void set_both(void *argument)
{
    struct alarm_clock *alarm = argument;
    tdm_reactor_set_timer(&alarm->timer, 1);
    tdm_reactor_set_timer(&alarm->other->timer, 2);
}

static void a_timer_that_another_clears_is_not_due_any_more(void)
{
    struct alarm_clock two[2] = {{.timer = {.due = clear_the_other}}, {.timer = {.due = clear_the_other}}};
    two[0].other = &two[1];
    two[1].other = &two[0];
    hold();
    on_reactor(set_both, &two[0]);
    two_rounds();
    tdm_reactor_clear_timer(&two[0].timer);
    tdm_reactor_clear_timer(&two[1].timer);
    assert_int_equal(two[0].runs, 1);
    assert_int_equal(two[1].runs, 0);
    tdm_reactor_release();
}

/* ---- jobs ---- */

enum { JOBS = 1000 };

static struct {
    struct tdm_job jobs[JOBS];
    int order[2 * JOBS];
    struct tally_word done;
} work;

static void note_work(struct tdm_job *job)
{
    work.order[load_seq(&work.done.count)] = (int)(job - work.jobs);
    count_up(&work.done);
}

static void jobs_are_done_once_each_and_in_order(void)
{
    hold();
    for (int i = 0; i < JOBS; i++) {
        work.jobs[i].run = note_work;
        tdm_reactor_post(&work.jobs[i]);
    }
    assert_true(counted(&work.done, JOBS));
    two_rounds();
    assert_int_equal(load_seq(&work.done.count), JOBS);
    for (int i = 0; i < JOBS; i++) assert_int_equal(work.order[i], i);
    tdm_reactor_release();
}

static void a_job_posted_again_before_it_has_begun_is_done_once(void)
{
    struct stopper stopper;
    work.jobs[0].run = note_work;
    hold();
    for (uint32_t round = 1; round <= 10; round++) {
        stop(&stopper);
        for (int i = 0; i < 10; i++) tdm_reactor_post(&work.jobs[0]);
        let_go(&stopper);
        two_rounds();
        assert_int_equal(load_seq(&work.done.count), round);
    }
    tdm_reactor_release();
}

/* Each of them waits for its job before it posts it again, so the reactor falls asleep in between again and again. */
static void *post_and_wait(void *unused)
{
    struct errand errand = {.job = {.run = do_errand}, .body = do_nothing};
    (void)unused;
    for (uint32_t i = 1; i <= scaled(500000); i++) {
        tdm_reactor_post(&errand.job);
        if (!counted(&errand.done, i)) return "a job was not done";
    }
    return NULL;
}

static void no_post_is_overslept(void)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    void *complaint;
    hold();
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, post_and_wait, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        if (complaint != NULL) fail_msg("%s", (char *)complaint);
    }
    tdm_reactor_release();
}

/* ---- descriptors ---- */

static void read_what_is_there(struct tdm_source *source, unsigned events)
{
    struct watched_pipe *watched = container_of(source, struct watched_pipe, source);
    char byte;
    watched->seen |= events;
    if (events & TDM_POLL_IN && tdm_fds_read(source->fd, &byte, 1) == 1)
        watched->bytes++;
    else
        tdm_reactor_watch(source, 0);
    count_up(&watched->told);
}

static void a_pipe_is_told_readable_while_it_is(void)
{
    struct watched_pipe in = pipe_watched_at(0, read_what_is_there);
    hold();
    watch(&in, TDM_POLL_IN);
    two_rounds();
    assert_int_equal(load_seq(&in.told.count), 0);
    for (uint32_t i = 1; i <= 100; i++) {
        assert_int_equal(write(in.ends[1], "x", 1), 1);
        assert_true(counted(&in.told, i));
    }
    assert_int_equal(write(in.ends[1], "abc", 3), 3); /* it takes one at a time, and is told again for what is left */
    assert_true(counted(&in.told, 103));
    two_rounds();
    assert_int_equal(load_seq(&in.told.count), 103);
    assert_int_equal(in.bytes, 103);
    assert_int_equal(in.seen, TDM_POLL_IN);
    tdm_fds_close(&in.ends[1]);
    assert_true(counted(&in.told, 104));
    assert_true(in.seen & TDM_POLL_ENDED);
    two_rounds();
    assert_int_equal(load_seq(&in.told.count), 104); /* it stopped watching */
    close_pipe(&in);
    tdm_reactor_release();
}

static void a_pipe_is_told_writable_and_its_reader_gone(void)
{
    struct watched_pipe out = pipe_watched_at(1, stop_watching);
    hold();
    watch(&out, TDM_POLL_OUT);
    assert_true(counted(&out.told, 1));
    assert_int_equal(out.seen, TDM_POLL_OUT);
    tdm_fds_close(&out.ends[0]);
    watch(&out, TDM_POLL_IN); /* an end is told whatever is wanted */
    assert_true(counted(&out.told, 2));
    assert_true(out.seen & TDM_POLL_ENDED);
    close_pipe(&out);
    tdm_reactor_release();
}

static void what_is_not_watched_any_more_is_not_told(void)
{
    struct watched_pipe in = pipe_watched_at(0, read_what_is_there);
    hold();
    for (uint32_t round = 1; round <= 10; round++) {
        watch(&in, TDM_POLL_IN);
        assert_int_equal(write(in.ends[1], "x", 1), 1);
        assert_true(counted(&in.told, round));
        watch(&in, 0);
        watch(&in, 0);
        assert_int_equal(write(in.ends[1], "x", 1), 1);
        two_rounds();
        assert_int_equal(load_seq(&in.told.count), round);
        char byte;
        assert_int_equal(tdm_fds_read(in.ends[0], &byte, 1), 1);
    }
    close_pipe(&in);
    tdm_reactor_release();
}

static void drop_both(struct tdm_source *source, unsigned events)
{
    struct watched_pipe *watched = container_of(source, struct watched_pipe, source);
    (void)events;
    tdm_reactor_watch(&watched->source, 0);
    tdm_reactor_watch(&watched->other->source, 0);
    count_up(&watched->told);
}

/* Both are found ready by the same look; whichever comes first drops the other. */
static void what_is_dropped_after_it_was_found_ready_is_not_told(void)
{
    struct stopper stopper;
    struct watched_pipe two[2] = {pipe_watched_at(0, drop_both), pipe_watched_at(0, drop_both)};
    two[0].other = &two[1];
    two[1].other = &two[0];
    hold();
    for (uint32_t round = 1; round <= 20; round++) {
        watch(&two[0], TDM_POLL_IN);
        watch(&two[1], TDM_POLL_IN);
        stop(&stopper);
        for (int i = 0; i < 2; i++) assert_int_equal(write(two[i].ends[1], "x", 1), 1);
        let_go(&stopper);
        two_rounds();
        assert_int_equal(load_seq(&two[0].told.count) + load_seq(&two[1].told.count), round);
        for (int i = 0; i < 2; i++) assert_int_equal(tdm_fds_read(two[i].ends[0], &(char){0}, 1), 1);
    }
    close_pipe(&two[0]);
    close_pipe(&two[1]);
    tdm_reactor_release();
}

static void many_that_are_ready_at_once_are_all_told(void)
{
    enum { PIPES = 150 };
    static struct watched_pipe pipes[PIPES];
    struct stopper stopper;
    hold();
    for (int i = 0; i < PIPES; i++) {
        pipes[i] = pipe_watched_at(0, read_what_is_there);
        watch(&pipes[i], TDM_POLL_IN);
    }
    stop(&stopper);
    for (int i = 0; i < PIPES; i++) assert_int_equal(write(pipes[i].ends[1], "x", 1), 1);
    let_go(&stopper);
    for (int i = 0; i < PIPES; i++) {
        assert_true(counted(&pipes[i].told, 1));
        watch(&pipes[i], 0);
        assert_int_equal(pipes[i].bytes, 1);
        close_pipe(&pipes[i]);
    }
    tdm_reactor_release();
}

/* ---- all at once ---- */

struct busybody {
    struct tdm_job job;
    _Atomic uint32_t enough;
    struct tally_word stopped;
};

static void post_myself_again(struct tdm_job *job)
{
    struct busybody *busybody = container_of(job, struct busybody, job);
    if (load_seq(&busybody->enough))
        count_up(&busybody->stopped);
    else
        tdm_reactor_post(job);
}

static void jobs_without_end_starve_neither_timers_nor_descriptors(void)
{
    struct busybody busybody = {.job = {.run = post_myself_again}};
    struct alarm_clock alarm = {.timer = {.due = ring}};
    struct watched_pipe in = pipe_watched_at(0, read_what_is_there);
    hold();
    tdm_reactor_post(&busybody.job);
    watch(&in, TDM_POLL_IN);
    for (uint32_t i = 1; i <= 20; i++) {
        tdm_reactor_set_timer(&alarm.timer, tdm_clock_ns());
        assert_int_equal(write(in.ends[1], "x", 1), 1);
        assert_true(counted(&alarm.entered, i));
        assert_true(counted(&in.told, i));
    }
    tdm_reactor_clear_timer(&alarm.timer);
    watch(&in, 0);
    store_seq(&busybody.enough, 1);
    assert_true(counted(&busybody.stopped, 1));
    close_pipe(&in);
    tdm_reactor_release();
}

/* ---- who uses it ---- */

static void *use_again_and_again(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < scaled(20000); i++) {
        struct errand errand = {.job = {.run = do_errand}, .body = do_nothing};
        if (tdm_reactor_hold() != 0) return "it could not be held";
        tdm_reactor_post(&errand.job);
        if (!counted(&errand.done, 1)) return "a job was not done";
        tdm_reactor_release();
    }
    return NULL;
}

static void it_may_be_held_and_released_by_anybody_at_any_time(void)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    void *complaint;
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_again_and_again, NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        if (complaint != NULL) fail_msg("%s", (char *)complaint);
    }
    complaint = use_again_and_again(NULL); /* each of these starts a thread and ends it */
    if (complaint != NULL) fail_msg("%s", (char *)complaint);
}

static void it_lives_as_long_as_somebody_holds_it(void)
{
    for (int i = 0; i < 5; i++) hold();
    for (int i = 0; i < 5; i++) {
        two_rounds();
        tdm_reactor_release();
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(timers_are_due_in_order_and_not_before_their_time),
        test(an_earlier_timer_wakes_a_reactor_that_sleeps_for_a_later_one),
        test(a_timer_that_is_set_again_is_moved),
        test(a_clear_waits_for_the_end_of_a_running_timer),
        test(a_cleared_timer_may_be_freed),
        test(a_timer_may_clear_and_set_itself),
        test(a_timer_that_another_clears_is_not_due_any_more),
        test(jobs_are_done_once_each_and_in_order),
        test(a_job_posted_again_before_it_has_begun_is_done_once),
        test(no_post_is_overslept),
        test(a_pipe_is_told_readable_while_it_is),
        test(a_pipe_is_told_writable_and_its_reader_gone),
        test(what_is_not_watched_any_more_is_not_told),
        test(what_is_dropped_after_it_was_found_ready_is_not_told),
        test(many_that_are_ready_at_once_are_all_told),
        test(jobs_without_end_starve_neither_timers_nor_descriptors),
        test(it_may_be_held_and_released_by_anybody_at_any_time),
        test(it_lives_as_long_as_somebody_holds_it),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
