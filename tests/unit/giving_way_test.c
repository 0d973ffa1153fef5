/* giving_way_test.c - task/wait.c, on the only processor: who waits for one of many lets others have it, as long as that brings ends. */
#include "harness.h"

#include "base/identity.h"
#include "task/lane.h"
#include "task/self.h"

#include <pthread.h>

#define WAITS 1000

/* Has tasks that can always be taken back; says whether many wait, and so many are taken up by the next time. */
static struct tdm_core core;
static bool many;
static uint64_t taken_up;
static unsigned asked;

static bool holds_more(struct tdm_lane *lane, struct tdm_task *task, uint32_t count)
{
    (void)lane, (void)task, (void)count;
    asked++;
    add_seq(&core.ledger.left, taken_up);
    return many;
}

static bool take_back(struct tdm_lane *lane, struct tdm_task *task)
{
    (void)lane, (void)task;
    return true;
}

static void run_here(struct tdm_lane *lane, struct tdm_task *task)
{
    (void)lane;
    store_release(&task->state, TDM_ENDED);
}

static const struct tdm_lane_ops ops = {.take_back = take_back, .run_here = run_here, .holds_more = holds_more};

/* A thread that has learned nothing yet. */
static void *wait_often(void *argument)
{
    (void)argument;
    struct tdm_lane lane = {.ops = &ops, .core = &core};
    for (int i = 0; i < WAITS; i++) {
        tandem_task public = {.status = TANDEM_OK};
        struct tdm_task *task = tdm_task_of(&public);
        tdm_task_set_lane(task, &lane, tdm_identity());
        store_release(&task->state, TDM_QUEUED);
        if (tandem_wait(&public) != TANDEM_OK) return NULL;
    }
    return &core;
}

static unsigned count_looks(bool one_processor, bool many_wait, uint64_t taken_up_each_time)
{
    pthread_t thread;
    void *went_well;
    core.one_processor = one_processor;
    core.waiters_help = true;
    many = many_wait;
    taken_up = taken_up_each_time;
    asked = 0;
    assert_int_equal(pthread_create(&thread, NULL, wait_often, NULL), 0);
    assert_int_equal(pthread_join(thread, &went_well), 0);
    assert_non_null(went_well);
    return asked;
}

static void where_it_brings_many_ends_it_is_done_each_time(void)
{
    assert_int_equal(count_looks(true, true, (uint64_t)1 << 40), WAITS);
}

/* Each time that it was in vain is found at the next look, and twice as many waits go by before the one after. */
static void where_it_brings_none_it_is_tried_less_and_less(void)
{
    unsigned looks = count_looks(true, true, 0);
    assert_in_range(looks, 4, 24);
}

static void where_few_wait_nobody_looks_for_a_while(void) { assert_in_range(count_looks(true, false, 0), 1, WAITS / 32); }

static void where_there_are_several_processors_nobody_looks(void) { assert_int_equal(count_looks(false, true, 0), 0); }

int main(int argc, char **argv)
{
    const struct harness_test tests[] = {
        test(where_it_brings_many_ends_it_is_done_each_time),
        test(where_it_brings_none_it_is_tried_less_and_less),
        test(where_few_wait_nobody_looks_for_a_while),
        test(where_there_are_several_processors_nobody_looks),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
