/* shards_test.c - threads/shards.h: what comes into any part of the queue is seen, and called for. */
#include "harness.h"

#include <pthread.h>
#include <string.h>

#include "threads/shards.h"

static struct tdm_shards shards;

static void open_for(uint32_t threads)
{
    memset(&shards, 0, sizeof shards);
    tdm_shards_open(&shards, threads);
}

static uintptr_t put(uint32_t part, struct tdm_link *link)
{
    tdm_link_init(link);
    return tdm_injector_push(tdm_shards_part(&shards, part), link);
}

static void expect_next(uint32_t part, const struct tdm_link *link)
{
    uint64_t uncounted = 0;
    assert_ptr_equal(tdm_injector_pop(tdm_shards_part(&shards, part), &uncounted, 0), link);
}

static void there_are_no_more_parts_than_threads(void)
{
    static const uint32_t threads[] = {1, 2, 3, 4, 7, 8, 64}, parts[] = {1, 2, 2, 4, 4, 8, 8};
    for (size_t i = 0; i < count_of(threads); i++) {
        open_for(threads[i]);
        assert_int_equal(shards.last + 1, parts[i]);
    }
}

static void *my_part(void *part)
{
    *(uint32_t *)part = tdm_shards_mine(&shards);
    return NULL;
}

static void a_thread_keeps_to_its_part_and_the_next_has_another(void)
{
    uint32_t parts[4];
    pthread_t thread;
    open_for(4);
    assert_int_equal(tdm_shards_mine(&shards), tdm_shards_mine(&shards));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&thread, NULL, my_part, &parts[i]), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        for (int j = 0; j < i; j++) assert_int_not_equal(parts[i], parts[j]);
    }
    open_for(1);
    assert_int_equal(tdm_shards_mine(&shards), 0);
}

static void whichever_part_something_comes_into_it_finds_that_a_call_was_asked_for(void)
{
    struct tdm_link link, other;
    for (uint32_t part = 0; part < 4; part++) {
        open_for(4);
        assert_true(tdm_shards_ask_for_call(&shards));
        assert_false(tdm_shards_have_something(&shards));
        assert_int_equal(put(part, &link), TDM_INJECTOR_CALL);
        assert_true(tdm_shards_have_something(&shards));
        assert_false(tdm_shards_are_empty(&shards));
        assert_false(tdm_shards_ask_for_call(&shards)); /* something is there */
        tdm_shards_ask_for_no_call(&shards);
        assert_int_equal(put(part ^ 1, &other), 0);
        expect_next(part, &link);
        assert_false(tdm_shards_are_empty(&shards));
        expect_next(part ^ 1, &other);
        assert_true(tdm_shards_are_empty(&shards));
    }
}

static void asked_for_anyway_it_is_so_in_each(void)
{
    struct tdm_link links[4];
    open_for(4);
    tdm_shards_ask_for_call_anyway(&shards);
    for (uint32_t part = 0; part < 4; part++) assert_int_equal(put(part, &links[part]), TDM_INJECTOR_CALL);
}

static void all_are_counted_and_none_twice(void)
{
    struct tdm_link links[6];
    open_for(2);
    for (uint32_t i = 0; i < 6; i++) {
        assert_false(tdm_shards_hold_more_than(&shards, i));
        put(i % 2, &links[i]);
        assert_true(tdm_shards_hold_more_than(&shards, i));
    }
    assert_int_equal(tdm_shards_count(&shards), 6);
    assert_int_equal(tdm_shards_count(&shards), 0);
}

static void what_is_closed_is_closed_in_each(void)
{
    struct tdm_link links[2];
    open_for(2);
    assert_false(tdm_shards_ask(&shards));
    tdm_shards_close(&shards);
    assert_true(tdm_shards_ask(&shards));
    for (uint32_t part = 0; part < 2; part++) assert_int_equal(put(part, &links[part]), TDM_INJECTOR_ASK);
    assert_true(tdm_shards_are_empty(&shards));
    assert_true(tdm_shards_point_out(&shards) == false && tdm_shards_have_something(&shards));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(there_are_no_more_parts_than_threads),
        test(a_thread_keeps_to_its_part_and_the_next_has_another),
        test(whichever_part_something_comes_into_it_finds_that_a_call_was_asked_for),
        test(asked_for_anyway_it_is_so_in_each),
        test(all_are_counted_and_none_twice),
        test(what_is_closed_is_closed_in_each),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
