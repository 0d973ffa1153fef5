/* ledger_test.c - a pool's books: who is let in, who waits for room or quiet, and what is counted. */
#include "harness.h"

#include "base/clock.h"
#include "task/core.h"
#include "task/self.h"

#include <errno.h>
#include <pthread.h>

/* As the pool's own thread inside a task of it, or as any other. */
static int admit(struct tdm_core *core, bool waits, bool own, bool may_run_here)
{
    struct tdm_inside inside;
    if (own) tdm_self_enter(&inside, core, NULL, NULL);
    tdm_ledger_lock(&core->ledger);
    int result = tdm_ledger_admit(&core->ledger, core, waits, may_run_here);
    tdm_ledger_unlock(&core->ledger);
    if (own) tdm_self_leave(&inside);
    return result;
}

static int admit_foreign(struct tdm_core *core) { return admit(core, true, false, false); }

static void take_out(struct tdm_core *core, uint64_t count)
{
    tdm_ledger_lock(&core->ledger);
    tdm_ledger_taken(&core->ledger, count);
    tdm_ledger_unlock(&core->ledger);
}

static uint64_t waiting(struct tdm_core *core)
{
    tdm_ledger_lock(&core->ledger);
    uint64_t waiting_now = tdm_ledger_waiting(&core->ledger);
    tdm_ledger_unlock(&core->ledger);
    return waiting_now;
}

static void end_one(struct tdm_core *core, struct tdm_tally *tally, int status)
{
    tdm_tally_count(tally, status);
    tdm_ledger_settle_one(&core->ledger, tally);
}

static struct tdm_core core_of(uint32_t limit, int when_full)
{
    return (struct tdm_core){.ledger = {.limit = limit, .when_full = when_full, .others = {.shared = true}}};
}

/* ---- who is let in ---- */

static void a_full_queue_refuses_until_there_is_room(void)
{
    struct tdm_core core = core_of(3, TANDEM_FULL_REFUSE);
    for (int i = 0; i < 3; i++) assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(admit_foreign(&core), -EAGAIN);
        take_out(&core, 1);
        assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
    }
    assert_int_equal(admit(&core, true, true, false), TDM_ADMITTED);   /* a pool must not wait for itself */
    assert_int_equal(admit(&core, false, false, false), TDM_ADMITTED); /* starts at once, needs no room */
    assert_int_equal(core.ledger.submitted, 8);
    assert_int_equal(tdm_ledger_open(&core.ledger), 8);
    assert_int_equal(waiting(&core), 4);
}

static void without_a_limit_there_is_always_room(void)
{
    struct tdm_core core = core_of(0, TANDEM_FULL_REFUSE);
    for (int i = 0; i < 1000; i++) assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
    assert_int_equal(waiting(&core), 1000);
}

static void a_full_queue_has_the_submitter_run_it(void)
{
    struct tdm_core core = core_of(1, TANDEM_FULL_RUN_HERE);
    assert_int_equal(admit(&core, true, false, true), TDM_ADMITTED);
    assert_int_equal(admit(&core, true, false, true), TDM_RUN_HERE);
    assert_int_equal(waiting(&core), 1);
    assert_int_equal(tdm_ledger_open(&core.ledger), 2);
}

static void a_gate_lets_through_whom_it_should_and_never_opens_again(void)
{
    struct tdm_core core = core_of(0, TANDEM_FULL_REFUSE);
    tdm_ledger_close(&core.ledger, TDM_GATE_DRAINING);
    assert_int_equal(admit_foreign(&core), -ESHUTDOWN);
    assert_int_equal(admit(&core, true, true, false), TDM_ADMITTED);
    tdm_ledger_close(&core.ledger, TDM_GATE_CLOSED);
    tdm_ledger_close(&core.ledger, TDM_GATE_DRAINING);
    assert_int_equal(admit_foreign(&core), -ESHUTDOWN);
    assert_int_equal(admit(&core, true, true, false), -ESHUTDOWN);
    assert_int_equal(core.ledger.submitted, 1);
}

/* ---- who waits for room ---- */

struct submitter {
    pthread_t thread;
    struct tdm_core *core;
    int result;
};

static void *admit_when_there_is_room(void *argument)
{
    struct submitter *me = argument;
    while ((me->result = admit_foreign(me->core)) == TDM_LOOK_AGAIN) {
    }
    return NULL;
}

static unsigned room_waiters(struct tdm_core *core)
{
    tdm_ledger_lock(&core->ledger);
    unsigned waiters = core->ledger.room_waiters;
    tdm_ledger_unlock(&core->ledger);
    return waiters;
}

enum { SUBMITTERS = 5 };

static void start_submitters(struct submitter *submitters, struct tdm_core *core)
{
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i].core = core;
        assert_int_equal(pthread_create(&submitters[i].thread, NULL, admit_when_there_is_room, &submitters[i]), 0);
    }
    wait_until(room_waiters(core) == SUBMITTERS);
}

static void expect_results(struct submitter *submitters, int result)
{
    for (int i = 0; i < SUBMITTERS; i++) {
        assert_int_equal(pthread_join(submitters[i].thread, NULL), 0);
        assert_int_equal(submitters[i].result, result);
    }
}

static void one_gets_in_for_each_that_leaves(void)
{
    struct tdm_core core = core_of(1, TANDEM_FULL_BLOCK);
    struct submitter submitters[SUBMITTERS];
    assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
    start_submitters(submitters, &core);
    for (int i = 0; i < SUBMITTERS; i++) {
        wait_until(waiting(&core) == 1);
        take_out(&core, 1);
    }
    expect_results(submitters, TDM_ADMITTED);
    assert_int_equal(core.ledger.submitted, 1 + SUBMITTERS);
    assert_int_equal(waiting(&core), 1);
}

static void a_gate_that_closes_sends_away_who_waits_for_room(void)
{
    struct tdm_core core = core_of(1, TANDEM_FULL_BLOCK);
    struct submitter submitters[SUBMITTERS];
    assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
    start_submitters(submitters, &core);
    tdm_ledger_close(&core.ledger, TDM_GATE_DRAINING);
    expect_results(submitters, -ESHUTDOWN);
    assert_int_equal(core.ledger.submitted, 1);
}

/* ---- who waits for quiet ---- */

static void it_is_quiet_when_nothing_is_open(void)
{
    struct tdm_core core = core_of(0, TANDEM_FULL_BLOCK);
    struct tdm_tally own = {.next = NULL};
    assert_int_equal(tdm_ledger_wait_quiet(&core.ledger, TDM_FOREVER), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
    assert_int_equal(tdm_ledger_wait_quiet(&core.ledger, 0), -ETIMEDOUT);
    uint64_t deadline = tdm_clock_deadline(10);
    assert_int_equal(tdm_ledger_wait_quiet(&core.ledger, deadline), -ETIMEDOUT);
    assert_true(tdm_clock_ns() >= deadline);
    end_one(&core, &core.ledger.others, TANDEM_OK);
    end_one(&core, &own, TANDEM_OK);
    assert_int_equal(tdm_ledger_wait_quiet(&core.ledger, 0), -ETIMEDOUT); /* a thread's own tally is not settled */
    tdm_ledger_lock(&core.ledger);
    tdm_ledger_settle(&core.ledger, &own);
    tdm_ledger_settle(&core.ledger, &own); /* once is all it takes */
    tdm_ledger_unlock(&core.ledger);
    assert_int_equal(tdm_ledger_wait_quiet(&core.ledger, 0), 0);
}

static void *wait_for_quiet(void *argument)
{
    struct submitter *me = argument;
    me->result = tdm_ledger_wait_quiet(&me->core->ledger, TDM_FOREVER);
    return NULL;
}

static void all_who_wait_for_quiet_are_woken(void)
{
    for (size_t round = 0; round < scaled(10000); round++) {
        struct tdm_core core = core_of(0, TANDEM_FULL_BLOCK);
        struct submitter waiters[SUBMITTERS];
        assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
        for (int i = 0; i < SUBMITTERS; i++) {
            waiters[i].core = &core;
            assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_quiet, &waiters[i]), 0);
        }
        end_one(&core, &core.ledger.others, TANDEM_OK);
        expect_results(waiters, 0);
    }
}

/* ---- what is counted ---- */

static void every_end_is_counted_under_its_status(void)
{
    struct tdm_core core = core_of(0, TANDEM_FULL_BLOCK);
    struct tdm_tally second = {.next = NULL}, first = {.next = &second};
    struct tdm_tally *tallies[] = {&core.ledger.others, &first, &second};
    tandem_stats stats = {0};
    core.ledger.tallies = &first;
    for (int i = 0; i < 60; i++) assert_int_equal(admit_foreign(&core), TDM_ADMITTED);
    for (int i = 0; i < 50; i++) take_out(&core, 1);
    for (int status = 1; status <= 8; status++)
        for (int i = 0; i < status; i++) end_one(&core, tallies[i % 3], status);
    tdm_ledger_fill_stats(&core.ledger, &stats);
    for (int status = 1; status <= 8; status++) assert_int_equal(stats.ended[status], status);
    assert_int_equal(stats.submitted, 60);
    assert_int_equal(stats.waiting, 10);
    assert_int_equal(stats.running, 60 - 10 - 36);
}

static void percentiles_are_those_of_the_last_samples(void)
{
    struct tdm_core core = core_of(0, TANDEM_FULL_BLOCK);
    tandem_stats stats = {0};
    tdm_ledger_fill_stats(&core.ledger, &stats);
    assert_int_equal(stats.wait_ns_p50, 0);
    tdm_ledger_add_sample(&core.ledger, 7, 9);
    tdm_ledger_fill_stats(&core.ledger, &stats);
    assert_true(stats.wait_ns_p50 == 7 && stats.wait_ns_p99 == 7 && stats.run_ns_p50 == 9 && stats.run_ns_p99 == 9);
    for (uint64_t i = 0; i < 1000; i++) tdm_ledger_add_sample(&core.ledger, UINT64_MAX, UINT64_MAX); /* all pushed out again */
    tdm_ledger_fill_stats(&core.ledger, &stats);
    assert_true(stats.run_ns_p50 == UINT32_MAX);
    for (uint64_t i = TDM_SAMPLES; i > 0; i--) tdm_ledger_add_sample(&core.ledger, 1000 * i, 5000 + i);
    tdm_ledger_fill_stats(&core.ledger, &stats);
    assert_int_equal(stats.wait_ns_p50, 1000 * (1 + (TDM_SAMPLES - 1) * 50 / 100));
    assert_int_equal(stats.wait_ns_p99, 1000 * (1 + (TDM_SAMPLES - 1) * 99 / 100));
    assert_int_equal(stats.run_ns_p50, 5000 + 1 + (TDM_SAMPLES - 1) * 50 / 100);
    assert_int_equal(stats.run_ns_p99, 5000 + 1 + (TDM_SAMPLES - 1) * 99 / 100);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_full_queue_refuses_until_there_is_room), test(without_a_limit_there_is_always_room),
        test(a_full_queue_has_the_submitter_run_it),    test(a_gate_lets_through_whom_it_should_and_never_opens_again),
        test(one_gets_in_for_each_that_leaves),         test(a_gate_that_closes_sends_away_who_waits_for_room),
        test(it_is_quiet_when_nothing_is_open),         test(all_who_wait_for_quiet_are_woken),
        test(every_end_is_counted_under_its_status),    test(percentiles_are_those_of_the_last_samples),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
