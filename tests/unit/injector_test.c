/* injector_test.c - threads/injector.h: what is put in comes out once, in order, whoever takes it out of the middle. */
#include "dice.h"
#include "harness.h"

#include "base/list.h"
#include "base/lock.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "threads/injector.h"

static uint64_t uncounted;

static void put(struct tdm_injector *injector, struct tdm_link *link)
{
    tdm_link_init(link);
    assert_int_equal(tdm_injector_push(injector, link), 0);
}

static void expect_next(struct tdm_injector *injector, const struct tdm_link *link)
{
    assert_ptr_equal(tdm_injector_pop(injector, &uncounted, 0), link);
}

static bool take(struct tdm_injector *injector, struct tdm_link *link)
{
    return tdm_injector_take(injector, link, &uncounted) == TDM_INJECTOR_TAKEN;
}

static void first_in_first_out(void)
{
    struct tdm_injector injector = {0};
    struct tdm_link links[10];
    uncounted = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10; i++) put(&injector, &links[i]);
        for (int i = 0; i < 10; i++) expect_next(&injector, &links[i]);
        expect_next(&injector, NULL);
        assert_true(tdm_injector_is_empty(&injector));
    }
    assert_int_equal(uncounted, 30);
}

static void any_one_can_be_taken_out(void)
{
    for (unsigned taken = 0; taken < 1u << 5; taken++) { /* each set of five, after so many were popped */
        for (int popped = 0; popped <= 5; popped++) {
            struct tdm_injector injector = {0};
            struct tdm_link links[6];
            for (int i = 0; i < 5; i++) put(&injector, &links[i]);
            for (int i = 0; i < popped; i++) expect_next(&injector, &links[i]);
            for (int i = 5; i-- > 0;)
                if (taken >> i & 1) assert_int_equal(take(&injector, &links[i]), i >= popped);
            put(&injector, &links[5]);
            for (int i = popped; i < 5; i++)
                if (!(taken >> i & 1)) expect_next(&injector, &links[i]);
            expect_next(&injector, &links[5]);
            expect_next(&injector, NULL);
        }
    }
}

/* Prepares and puts in so many, of which there are some, at once. */
static uintptr_t put_chain(struct tdm_injector *injector, struct tdm_link *const *links, int count)
{
    for (int i = 0; i < count; i++) {
        tdm_link_init(links[i]);
        if (i > 0) tdm_link_chain(links[i - 1], links[i]);
    }
    return tdm_injector_put(injector, links[0], links[count - 1], 0, 0);
}

static void what_is_put_in_at_once_is_there_in_order(void)
{
    for (unsigned taken = 0; taken < 1u << 6; taken++) { /* each set of: one, four at once, one; after so many were popped */
        for (int popped = 0; popped <= 6; popped++) {
            struct tdm_injector injector = {0};
            struct tdm_link links[7], *chain[] = {&links[1], &links[2], &links[3], &links[4]};
            uncounted = 0;
            put(&injector, &links[0]);
            assert_int_equal(put_chain(&injector, chain, 4), 0);
            put(&injector, &links[5]);
            for (int i = 0; i < popped; i++) expect_next(&injector, &links[i]);
            for (int i = 6; i-- > 0;)
                if (taken >> i & 1) assert_int_equal(take(&injector, &links[i]), i >= popped);
            put(&injector, &links[6]);
            for (int i = popped; i < 6; i++)
                if (!(taken >> i & 1)) expect_next(&injector, &links[i]);
            expect_next(&injector, &links[6]);
            expect_next(&injector, NULL);
            assert_int_equal(uncounted, 7);
        }
    }
}

static void all_at_once_find_the_bits_as_one_does(void)
{
    struct tdm_injector injector = {0};
    struct tdm_link links[4], *first[] = {&links[0], &links[1]}, *second[] = {&links[2], &links[3]};
    assert_true(tdm_injector_ask_for_call(&injector));
    assert_int_equal(put_chain(&injector, first, 2), TDM_INJECTOR_CALL);
    tdm_injector_close(&injector);
    assert_int_equal(put_chain(&injector, second, 2), TDM_INJECTOR_ASK);
    expect_next(&injector, &links[0]);
    assert_int_equal(tdm_injector_count(&injector), 1);
    expect_next(&injector, &links[1]);
    assert_true(tdm_injector_is_empty(&injector));
}

/* A submitter has lost its processor between its two steps. */
static void one_before_a_gap_is_not_called_absent(void)
{
    struct tdm_injector injector = {0};
    struct tdm_link link, behind;
    put(&injector, &link);
    tdm_link_init(&behind);
    tdm_link_chain(&link, &behind);
    atomic_store(&injector.word, (uintptr_t)&behind);
    assert_int_equal(tdm_injector_take(&injector, &link, &uncounted), TDM_INJECTOR_UNTOLD);
    atomic_store(&link.newer, &behind);
    assert_int_equal(tdm_injector_take(&injector, &link, &uncounted), TDM_INJECTOR_TAKEN);
    expect_next(&injector, &behind);
}

static void one_on_its_way_is_awaited_unless_nothing_comes_in(void)
{
    struct tdm_injector injector = {0};
    struct tdm_link link;
    tdm_link_init(&link);
    assert_int_equal(tdm_injector_take(&injector, &link, &uncounted), TDM_INJECTOR_UNTOLD);
    tdm_injector_close(&injector);
    assert_int_equal(tdm_injector_take(&injector, &link, &uncounted), TDM_INJECTOR_NOT_THERE);
}

static void the_bits_tell_a_submitter_what_he_has_to_know(void)
{
    struct tdm_injector injector = {0};
    struct tdm_link first, second, third;
    tdm_link_init(&first);
    tdm_link_init(&second);
    tdm_link_init(&third);
    assert_true(tdm_injector_ask_for_call(&injector));
    assert_int_equal(tdm_injector_push(&injector, &first), TDM_INJECTOR_CALL);
    assert_int_equal(tdm_injector_push(&injector, &second), 0); /* one call is enough */
    assert_false(tdm_injector_ask_for_call(&injector));         /* something is there */
    expect_next(&injector, &first);
    assert_ptr_equal(tdm_injector_pop(&injector, &uncounted, TDM_INJECTOR_CALL), &second); /* asks by the same step */
    assert_true(tdm_injector_point_out(&injector));
    assert_false(tdm_injector_point_out(&injector));
    assert_false(tdm_injector_ask_for_call(&injector));
    assert_true(tdm_injector_take_look(&injector));
    assert_false(tdm_injector_take_look(&injector));
    tdm_injector_close(&injector);
    assert_int_equal(tdm_injector_push(&injector, &third), TDM_INJECTOR_ASK);
    assert_true(tdm_injector_is_empty(&injector));
    uncounted = 0;
    assert_false(tdm_injector_push_counted(&injector, &third));
    assert_int_equal(tdm_injector_count(&injector), 0);
    expect_next(&injector, &third);
    assert_int_equal(uncounted, 0);
}

static void each_is_counted_once(void)
{
    struct tdm_injector injector = {0};
    struct tdm_link links[6];
    for (int i = 0; i < 4; i++) put(&injector, &links[i]);
    uncounted = 0;
    expect_next(&injector, &links[0]);
    assert_int_equal(tdm_injector_count(&injector), 3);
    assert_int_equal(tdm_injector_count(&injector), 0);
    for (int i = 4; i < 6; i++) put(&injector, &links[i]);
    assert_true(take(&injector, &links[2]));
    expect_next(&injector, &links[1]);
    expect_next(&injector, &links[3]);
    assert_int_equal(uncounted, 1);
    expect_next(&injector, &links[4]);
    expect_next(&injector, &links[5]);
    assert_int_equal(uncounted, 3);
}

/* ---- with several submitters ---- */

enum { SUBMITTERS = 3, LINKS = 5000 };

struct parcel {
    struct tdm_link link;
    atomic_int out; /* how often it has come out */
    int number;
};

static struct {
    struct tdm_injector injector;
    struct tdm_lock lock; /* who takes out */
    struct parcel parcels[SUBMITTERS][LINKS];
    atomic_int put[SUBMITTERS], taken;
    uint64_t uncounted;
} post;

static void note(struct tdm_link *link) { atomic_fetch_add(&container_of(link, struct parcel, link)->out, 1); }

/* Takes some of its own back, the newest or an older one, while others take from the other end. */
static void *submit(void *argument)
{
    int me = *(int *)argument;
    struct dice dice = {(unsigned)me + 1};
    for (int i = 0, put; i < LINKS; i++) {
        struct tdm_link *links[4];
        for (put = 0; put < 4 && i + put < LINKS; put++) links[put] = &post.parcels[me][i + put].link;
        put = roll_below(&dice, 3) == 0 ? put : 1; /* some at once, or one */
        put_chain(&post.injector, links, put);
        i += put - 1;
        atomic_store(&post.put[me], i + 1);
        if (roll_below(&dice, 3) != 0) continue;
        struct parcel *wanted = &post.parcels[me][(size_t)i - roll_below(&dice, i < 20 ? (unsigned)i + 1 : 20)];
        tdm_lock(&post.lock, TDM_RANK_FRONT);
        bool taken = atomic_load(&wanted->out) == 0 &&
                     tdm_injector_take(&post.injector, &wanted->link, &post.uncounted) == TDM_INJECTOR_TAKEN;
        if (taken) note(&wanted->link);
        tdm_unlock(&post.lock, TDM_RANK_FRONT);
        if (taken) atomic_fetch_add(&post.taken, 1);
    }
    return NULL;
}

static void what_several_put_in_comes_out_once_and_in_each_ones_order(void)
{
    for (size_t round = 0; round < scaled(2000); round++) {
        pthread_t threads[SUBMITTERS];
        int numbers[SUBMITTERS], last[SUBMITTERS];
        memset(&post, 0, sizeof post);
        for (int i = 0; i < SUBMITTERS; i++) {
            numbers[i] = i;
            last[i] = -1;
            for (int j = 0; j < LINKS; j++) post.parcels[i][j].number = i * LINKS + j;
            assert_int_equal(pthread_create(&threads[i], NULL, submit, &numbers[i]), 0);
        }
        for (int popped = 0; popped + atomic_load(&post.taken) < SUBMITTERS * LINKS;) {
            tdm_lock(&post.lock, TDM_RANK_FRONT);
            struct tdm_link *link = tdm_injector_pop(&post.injector, &post.uncounted, 0);
            if (link) note(link);
            if (popped % 64 == 0) post.uncounted += tdm_injector_count(&post.injector);
            tdm_unlock(&post.lock, TDM_RANK_FRONT);
            if (!link) {
                sched_yield();
                continue;
            }
            popped++;
            int number = container_of(link, struct parcel, link)->number;
            assert_true(number % LINKS > last[number / LINKS]);
            last[number / LINKS] = number % LINKS;
        }
        for (int i = 0; i < SUBMITTERS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(tdm_injector_is_empty(&post.injector));
        assert_int_equal(post.uncounted, SUBMITTERS * LINKS);
        for (int i = 0; i < SUBMITTERS; i++)
            for (int j = 0; j < LINKS; j++) assert_int_equal(atomic_load(&post.parcels[i][j].out), 1);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(first_in_first_out),
        test(any_one_can_be_taken_out),
        test(what_is_put_in_at_once_is_there_in_order),
        test(all_at_once_find_the_bits_as_one_does),
        test(one_before_a_gap_is_not_called_absent),
        test(one_on_its_way_is_awaited_unless_nothing_comes_in),
        test(the_bits_tell_a_submitter_what_he_has_to_know),
        test(each_is_counted_once),
        test(what_several_put_in_comes_out_once_and_in_each_ones_order),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
