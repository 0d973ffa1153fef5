/* parking_test.c - threads/parking.h: one is called at a time, the latest to lie down first, and none that is needed sleeps on. */
#include "harness.h"

#include "base/clock.h"
#include "base/lock.h"

#include <pthread.h>

#include "threads/parking.h"

static void the_latest_to_lie_down_is_called_first(void)
{
    struct tdm_parking parking;
    struct tdm_parker parkers[3];
    tdm_parking_open(&parking, 0, false);
    assert_null(tdm_parking_choose(&parking));
    for (int i = 0; i < 3; i++) tdm_parking_lie_down(&parking, &parkers[i]);
    for (int i = 3; i-- > 0;) {
        assert_true(tdm_parking_lies(&parkers[i]));
        assert_ptr_equal(tdm_parking_choose(&parking), &parkers[i]);
        assert_false(tdm_parking_lies(&parkers[i]));
        tdm_parking_awake(&parking, 0);
    }
    assert_false(tdm_parking_has_sleepers(&parking));
}

static void nobody_is_called_while_one_is_on_the_way(void)
{
    struct tdm_parking parking;
    struct tdm_parker parkers[2];
    tdm_parking_open(&parking, 50000, false);
    for (int i = 0; i < 2; i++) tdm_parking_lie_down(&parking, &parkers[i]);
    assert_non_null(tdm_parking_choose(&parking));
    assert_null(tdm_parking_choose(&parking));
    assert_false(tdm_parking_may_watch(&parking)); /* the one on the way looks at the queue anyway */
    tdm_parking_awake(&parking, 0);
    assert_ptr_equal(tdm_parking_choose(&parking), &parkers[0]);
}

static void who_gets_up_by_himself_is_not_called(void)
{
    struct tdm_parking parking;
    struct tdm_parker parkers[2];
    tdm_parking_open(&parking, 0, false);
    for (int i = 0; i < 2; i++) tdm_parking_lie_down(&parking, &parkers[i]);
    tdm_parking_get_up(&parkers[1]);
    assert_ptr_equal(tdm_parking_choose(&parking), &parkers[0]);
    tdm_parking_call(NULL);
}

static void a_call_that_comes_before_the_sleep_ends_it_and_so_does_its_time(void)
{
    struct tdm_parking parking;
    struct tdm_parker parker;
    tdm_parking_open(&parking, 0, false);
    tdm_parking_lie_down(&parking, &parker);
    tdm_parking_call(tdm_parking_choose(&parking));
    tdm_parking_sleep(&parker, TDM_FOREVER);
    tdm_parking_awake(&parking, 0);
    tdm_parking_lie_down(&parking, &parker);
    uint64_t begun = tdm_clock_ns();
    assert_true(tdm_parking_sleep(&parker, begun + 2000000) > 0);
    assert_true(tdm_clock_ns() - begun >= 2000000);
    assert_true(tdm_parking_lies(&parker)); /* nobody has taken it off the list */
    tdm_parking_get_up(&parker);
}

static void looking_out_sees_what_comes_and_is_given_up_where_it_does_not_pay(void)
{
    struct tdm_parking parking;
    struct tdm_shards shards = {0};
    struct tdm_link link;
    bool paid;
    tdm_parking_open(&parking, 16000, false);
    tdm_link_init(&link);
    for (int vain = 0; tdm_parking_may_watch(&parking); vain++) {
        assert_true(vain < 10);
        assert_false(tdm_parking_watch(&shards, parking.watch_ns, &paid));
        tdm_parking_watched(&parking, paid);
    }
    tdm_parking_awake(&parking, 20000); /* a long sleep says nothing for it */
    assert_false(tdm_parking_may_watch(&parking));
    tdm_parking_awake(&parking, 5000); /* a short one does */
    assert_true(tdm_parking_may_watch(&parking));
    assert_int_equal(tdm_injector_push(tdm_shards_part(&shards, 0), &link), 0);
    assert_true(tdm_parking_watch(&shards, parking.watch_ns, &paid));
    assert_true(paid);
    tdm_parking_watched(&parking, paid);
    assert_int_equal(parking.watch_ns, 16000);
}

static void who_is_never_to_look_out_does_not(void)
{
    struct tdm_parking parking;
    tdm_parking_open(&parking, 0, false);
    for (int i = 0; i < 3; i++) {
        assert_false(tdm_parking_may_watch(&parking));
        tdm_parking_awake(&parking, 0);
    }
}

static void on_one_processor_it_gives_way_and_looks_once(void)
{
    struct tdm_parking parking;
    struct tdm_shards shards = {0};
    struct tdm_link link;
    bool paid;
    tdm_parking_open(&parking, 0, true);
    tdm_link_init(&link);
    for (int i = 0; i < 3; i++) {
        assert_true(tdm_parking_may_watch(&parking));
        assert_false(tdm_parking_watch(&shards, parking.watch_ns, &paid)); /* it returns */
        tdm_parking_watched(&parking, true);
        assert_int_equal(parking.watch_ns, 0);
        tdm_parking_awake(&parking, 0);
    }
    assert_int_equal(tdm_injector_push(tdm_shards_part(&shards, 0), &link), 0);
    assert_true(tdm_parking_watch(&shards, parking.watch_ns, &paid));
    parking.on_the_way = true;
    assert_false(tdm_parking_may_watch(&parking)); /* another does */
}

static unsigned sleeps_in_a_row(struct tdm_parking *parking)
{
    unsigned count = 0;
    while (!tdm_parking_may_watch(parking)) count++;
    return count;
}

static void on_one_processor_it_seldom_gives_way_where_others_keep_it_for_long(void)
{
    struct tdm_parking parking;
    tdm_parking_open(&parking, 0, true);
    unsigned before = 0;
    for (int i = 0; i < 20; i++) {
        tdm_parking_watched(&parking, false);
        unsigned now = sleeps_in_a_row(&parking);
        assert_in_range(now, i < 10 ? before + 1 : 1000, 1100);
        before = now;
    }
    tdm_parking_watched(&parking, true);
    assert_int_equal(sleeps_in_a_row(&parking), 0);
}

/* Workers that find nothing lie down, one that finds more than it takes calls the next; all under one lock, as parking.h asks. */
enum { WORKERS = 4, SUBMITTERS = 2 };

struct yard {
    pthread_mutex_t lock;
    struct tdm_parking parking;
    struct tdm_parker parkers[WORKERS];
    size_t waiting, taken, workers, submits;
    bool over;
};

static void submit(struct yard *yard)
{
    pthread_mutex_lock(&yard->lock);
    yard->waiting++;
    struct tdm_parker *chosen = tdm_parking_choose(&yard->parking);
    pthread_mutex_unlock(&yard->lock);
    tdm_parking_call(chosen);
}

static void *submits(void *argument)
{
    struct yard *yard = argument;
    for (size_t i = 0; i < yard->submits; i++) submit(yard);
    return NULL;
}

/* With the lock held before and after. */
static void take_one(struct yard *yard)
{
    yard->waiting--;
    yard->taken++;
    struct tdm_parker *chosen = yard->waiting > 0 ? tdm_parking_choose(&yard->parking) : NULL;
    pthread_mutex_unlock(&yard->lock);
    tdm_parking_call(chosen);
    pthread_mutex_lock(&yard->lock);
}

static void *works(void *argument)
{
    struct yard *yard = argument;
    pthread_mutex_lock(&yard->lock);
    struct tdm_parker *parker = &yard->parkers[yard->workers++];
    while (!yard->over || yard->waiting > 0) {
        if (yard->waiting > 0) {
            take_one(yard);
            continue;
        }
        tdm_parking_lie_down(&yard->parking, parker);
        pthread_mutex_unlock(&yard->lock);
        uint64_t slept_ns = tdm_parking_sleep(parker, TDM_FOREVER);
        pthread_mutex_lock(&yard->lock);
        tdm_parking_awake(&yard->parking, slept_ns);
    }
    struct tdm_parker *chosen = tdm_parking_choose(&yard->parking); /* they go home, too */
    pthread_mutex_unlock(&yard->lock);
    tdm_parking_call(chosen);
    return NULL;
}

static void none_that_is_needed_sleeps_on(void)
{
    static struct yard yard;
    yard = (struct yard){.lock = PTHREAD_MUTEX_INITIALIZER, .submits = scaled(1000000)};
    tdm_parking_open(&yard.parking, 0, false);
    pthread_t workers[WORKERS], submitters[SUBMITTERS];
    for (int i = 0; i < WORKERS; i++) assert_int_equal(pthread_create(&workers[i], NULL, works, &yard), 0);
    for (int i = 0; i < SUBMITTERS; i++) assert_int_equal(pthread_create(&submitters[i], NULL, submits, &yard), 0);
    for (int i = 0; i < SUBMITTERS; i++) pthread_join(submitters[i], NULL);
    pthread_mutex_lock(&yard.lock);
    yard.over = true;
    struct tdm_parker *chosen = tdm_parking_choose(&yard.parking);
    pthread_mutex_unlock(&yard.lock);
    tdm_parking_call(chosen);
    for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
    assert_int_equal(yard.taken, SUBMITTERS * yard.submits);
    assert_int_equal(yard.waiting, 0);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(the_latest_to_lie_down_is_called_first),
        test(nobody_is_called_while_one_is_on_the_way),
        test(who_gets_up_by_himself_is_not_called),
        test(a_call_that_comes_before_the_sleep_ends_it_and_so_does_its_time),
        test(looking_out_sees_what_comes_and_is_given_up_where_it_does_not_pay),
        test(who_is_never_to_look_out_does_not),
        test(on_one_processor_it_gives_way_and_looks_once),
        test(on_one_processor_it_seldom_gives_way_where_others_keep_it_for_long),
        test(none_that_is_needed_sleeps_on),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
