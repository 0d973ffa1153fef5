/* lock_test.c - the mutex in a word: one at a time, everybody in the end, and nothing touched after the unlock. */
#include "harness.h"

#include "base/lock.h"
#include "forked.h"
#include "meeting.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#define RANK TDM_RANK_LEDGER

enum { THREADS = 8 };

struct counted_thing {
    struct tdm_lock lock;
    size_t turns, rounds; /* turns: guarded by lock, and nothing else protects it */
    bool inside;
    atomic_uint intruders;
};

static void *take_turns(void *argument)
{
    struct counted_thing *thing = argument;
    for (size_t i = 0; i < thing->rounds; i++) {
        tdm_lock(&thing->lock, RANK);
        if (thing->inside) atomic_fetch_add(&thing->intruders, 1);
        thing->inside = true;
        thing->turns++;
        thing->inside = false;
        tdm_unlock(&thing->lock, RANK);
    }
    return NULL;
}

static void one_thread_at_a_time_is_inside(void)
{
    struct counted_thing thing = {.rounds = scaled(5000000)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &thing), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(thing.intruders, 0);
    assert_int_equal(thing.turns, THREADS * thing.rounds);
    assert_int_equal(load_seq(&thing.lock.word), 0);
}

/* ---- everybody in the end ---- */

struct queue_jumper {
    pthread_t thread;
    struct tdm_lock *lock;
    atomic_bool *enough;
    _Atomic size_t turns;
};

/* Asks for the lock again as soon as it has let go. */
static void *never_stop_asking(void *argument)
{
    struct queue_jumper *me = argument;
    while (!atomic_load(me->enough)) {
        tdm_lock(me->lock, RANK);
        atomic_fetch_add(&me->turns, 1);
        tdm_unlock(me->lock, RANK);
    }
    return NULL;
}

static bool all_had(struct queue_jumper *jumpers, size_t turns)
{
    for (int i = 0; i < THREADS; i++)
        if (atomic_load(&jumpers[i].turns) < turns) return false;
    return true;
}

static void no_thread_starves_among_others_that_never_stop(void)
{
    struct tdm_lock lock = {0};
    atomic_bool enough = false;
    struct queue_jumper jumpers[THREADS] = {{.turns = 0}};
    for (int i = 0; i < THREADS; i++) {
        jumpers[i].lock = &lock;
        jumpers[i].enough = &enough;
        assert_int_equal(pthread_create(&jumpers[i].thread, NULL, never_stop_asking, &jumpers[i]), 0);
    }
    for (size_t turns = 1; turns <= scaled(1000); turns++) wait_until(all_had(jumpers, turns));
    atomic_store(&enough, true);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(jumpers[i].thread, NULL), 0);
}

static void all_who_sleep_before_it_get_in_after_one_unlock(void)
{
    for (size_t round = 0; round < scaled(10000); round++) {
        struct counted_thing thing = {.rounds = 1};
        pthread_t threads[THREADS];
        tdm_lock(&thing.lock, RANK);
        for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &thing), 0);
        wait_until(load_seq(&thing.lock.word) == 2);
        assert_int_equal(thing.turns, 0);
        tdm_unlock(&thing.lock, RANK);
        for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(thing.turns, THREADS);
    }
}

/* ---- nothing touched after the unlock ---- */

struct shared_thing {
    struct tdm_lock lock;
    int users; /* guarded by lock; the last one frees it */
};

struct freeing {
    struct shared_thing **things;
    unsigned count;
    atomic_uint arrived;
};

static void *leave_things(void *argument)
{
    struct freeing *freeing = argument;
    for (unsigned i = 0; i < freeing->count; i++) {
        struct shared_thing *thing = freeing->things[i];
        meet(&freeing->arrived, i + 1);
        tdm_lock(&thing->lock, RANK);
        bool last = --thing->users == 0;
        tdm_unlock(&thing->lock, RANK);
        if (last) free(thing);
    }
    return NULL;
}

/* The other thread may still be on its way out of its unlock.  A sanitizer sees a touch too many; so would the heap. */
static void whoever_gets_it_next_may_free_it(void)
{
    struct freeing freeing = {.count = (unsigned)scaled(1000000)};
    pthread_t other;
    freeing.things = calloc(freeing.count, sizeof(struct shared_thing *));
    assert_non_null(freeing.things);
    for (unsigned i = 0; i < freeing.count; i++) {
        freeing.things[i] = calloc(1, sizeof **freeing.things);
        assert_non_null(freeing.things[i]);
        freeing.things[i]->users = 2;
    }
    assert_int_equal(pthread_create(&other, NULL, leave_things, &freeing), 0);
    leave_things(&freeing);
    assert_int_equal(pthread_join(other, NULL), 0);
    free(freeing.things);
}

/* ---- ranks ---- */

struct two_ranks {
    enum tdm_rank first, second;
};

static int lock_both(void *argument)
{
    const struct two_ranks *ranks = argument;
    struct tdm_lock outer = {0}, inner = {0};
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    for (int times = 0; times < 2; times++) {
        tdm_lock(&outer, ranks->first);
        tdm_lock(&inner, ranks->second);
        tdm_unlock(&inner, ranks->second);
        tdm_unlock(&outer, ranks->first);
    }
    return 0;
}

static void locks_may_be_taken_in_rising_order(void)
{
    for (int first = TDM_RANK_POOLS; first < TDM_RANK_REACTOR; first++)
        for (int second = first + 1; second <= TDM_RANK_REACTOR; second++)
            expect_in_child(lock_both, &((struct two_ranks){(enum tdm_rank)first, (enum tdm_rank)second}));
}

#ifndef NDEBUG
static void a_debug_build_aborts_where_ranks_do_not_rise(void)
{
    for (int first = TDM_RANK_POOLS; first <= TDM_RANK_REACTOR; first++)
        for (int second = TDM_RANK_POOLS; second <= first; second++) {
            int status = status_of_child(lock_both, &(struct two_ranks){(enum tdm_rank)first, (enum tdm_rank)second});
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        }
}
#endif

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(one_thread_at_a_time_is_inside),
        test(no_thread_starves_among_others_that_never_stop),
        test(all_who_sleep_before_it_get_in_after_one_unlock),
        test(whoever_gets_it_next_may_free_it),
        test(locks_may_be_taken_in_rising_order),
#ifndef NDEBUG
        test(a_debug_build_aborts_where_ranks_do_not_rise),
#endif
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
