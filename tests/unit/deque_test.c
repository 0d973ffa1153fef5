/* deque_test.c - threads/deque.h: each item comes out once, to its owner or to one thief, whoever takes what. */
#include "dice.h"
#include "harness.h"

#include <pthread.h>
#include <string.h>

#include "threads/deque.h"

static struct tdm_deque *fresh(void)
{
    static struct tdm_deque deque;
    memset(&deque, 0, sizeof deque);
    tdm_deque_open(&deque);
    return &deque;
}

static uint64_t items[1000];

static void the_owner_gets_the_newest_first(void)
{
    struct tdm_deque *deque = fresh();
    for (int i = 0; i < 100; i++) assert_true(tdm_deque_push(deque, &items[i]));
    assert_false(tdm_deque_pop_private(deque, &items[98]));
    for (int i = 100; i-- > 0;) assert_true(tdm_deque_pop_private(deque, &items[i]));
    assert_false(tdm_deque_pop_private(deque, &items[0]));
    assert_false(tdm_deque_reclaim(deque));
}

static void a_thief_gets_the_oldest_of_what_is_public_and_nothing_else(void)
{
    struct tdm_deque *deque = fresh();
    for (int i = 0; i < 4; i++) tdm_deque_push(deque, &items[i]);
    assert_null(tdm_deque_steal(deque));
    tdm_deque_want(deque);
    assert_true(tdm_deque_is_wanted(deque));
    assert_true(tdm_deque_publish(deque)); /* half */
    assert_false(tdm_deque_is_wanted(deque));
    assert_ptr_equal(tdm_deque_steal(deque), &items[0]);
    assert_ptr_equal(tdm_deque_steal(deque), &items[1]);
    assert_null(tdm_deque_steal(deque));
    assert_true(tdm_deque_pop_private(deque, &items[3]));
    assert_true(tdm_deque_pop_private(deque, &items[2]));
    assert_false(tdm_deque_reclaim(deque));
    assert_false(tdm_deque_publish(deque));
}

static void what_is_public_and_not_stolen_is_taken_back(void)
{
    struct tdm_deque *deque = fresh();
    for (int i = 0; i < 8; i++) {
        tdm_deque_push(deque, &items[i]);
        assert_true(tdm_deque_publish(deque)); /* all, one after the other */
    }
    assert_ptr_equal(tdm_deque_steal(deque), &items[0]);
    for (int i = 8; i-- > 1;) {
        while (!tdm_deque_pop_private(deque, &items[i])) assert_true(tdm_deque_reclaim(deque));
    }
    assert_false(tdm_deque_reclaim(deque));
}

static void a_full_one_takes_no_more(void)
{
    struct tdm_deque *deque = fresh();
    unsigned room = 0;
    while (tdm_deque_push(deque, &items[room])) room++;
    assert_int_equal(room, TDM_DEQUE_PLACES);
    assert_true(tdm_deque_pop_private(deque, &items[room - 1]));
    assert_true(tdm_deque_push(deque, &items[room]));
    assert_true(tdm_deque_publish(deque));
    assert_ptr_equal(tdm_deque_steal(deque), &items[0]); /* its place is behind, and is used again when all are gone */
    assert_false(tdm_deque_push(deque, &items[0]));
}

/* ---- with thieves ---- */

enum { THIEVES = 3 };

static struct {
    struct tdm_deque *deque;
    atomic_int ended;
    atomic_int taken[1 << 16]; /* how often each was */
} robbery;

static void *rob(void *argument)
{
    (void)argument;
    while (!atomic_load(&robbery.ended)) {
        atomic_int *item = tdm_deque_steal(robbery.deque);
        if (item)
            atomic_fetch_add(item, 1);
        else
            tdm_deque_want(robbery.deque);
    }
    return NULL;
}

/* As tandem_join does: its own, or taken back, or stolen. */
static void join(atomic_int *item)
{
    struct tdm_deque *deque = robbery.deque;
    while (!tdm_deque_pop_private(deque, item))
        if (!tdm_deque_reclaim(deque)) return;
    atomic_fetch_add(item, 1);
}

static void each_item_is_taken_once_with_thieves_around(void)
{
    struct dice dice = {7};
    pthread_t thieves[THIEVES];
    robbery.deque = fresh();
    atomic_store(&robbery.ended, 0);
    for (int i = 0; i < THIEVES; i++) assert_int_equal(pthread_create(&thieves[i], NULL, rob, NULL), 0);
    for (size_t round = 0; round < scaled(2000); round++) {
        size_t next = 0, open[TDM_DEQUE_PLACES], depth = 0;
        memset(robbery.taken, 0, sizeof robbery.taken);
        while (next < count_of(robbery.taken) || depth > 0) {
            bool spawns = next < count_of(robbery.taken) && depth < count_of(open) && (depth == 0 || roll_below(&dice, 2) == 0);
            if (!spawns) {
                join(&robbery.taken[open[--depth]]);
            } else if (tdm_deque_push(robbery.deque, &robbery.taken[next])) {
                open[depth++] = next++;
                if (tdm_deque_is_wanted(robbery.deque)) tdm_deque_publish(robbery.deque);
            } else {
                atomic_fetch_add(&robbery.taken[next++], 1); /* there was no room: at once */
            }
        }
        for (size_t i = 0; i < count_of(robbery.taken); i++)
            wait_until(atomic_load(&robbery.taken[i]) == 1); /* a thief may be about to count it */
    }
    atomic_store(&robbery.ended, 1);
    for (int i = 0; i < THIEVES; i++) assert_int_equal(pthread_join(thieves[i], NULL), 0);
    for (size_t i = 0; i < count_of(robbery.taken); i++) assert_int_equal(atomic_load(&robbery.taken[i]), 1);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(the_owner_gets_the_newest_first),
        test(a_thief_gets_the_oldest_of_what_is_public_and_nothing_else),
        test(what_is_public_and_not_stolen_is_taken_back),
        test(a_full_one_takes_no_more),
        test(each_item_is_taken_once_with_thieves_around),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
