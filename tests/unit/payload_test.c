/* payload_test.c - memory for payloads: what a worker keeps of it, and for how long. */
#include "harness.h"

#include "job/payload.h"

#include <stdlib.h>
#include <string.h>

enum { LARGE = 8 << 20, LARGER = 12 << 20, SMALL = 100 };

static void *filled(size_t size)
{
    void *memory = tdm_payload_alloc(size);
    assert_non_null(memory);
    memset(memory, 1, size);
    return memory;
}

static void nothing_is_kept_where_nobody_said_so(void)
{
    tdm_payload_free(filled(LARGE));
    assert_false(tdm_payload_has_kept());
    tdm_payload_free(NULL);
}

static void a_large_one_is_kept_for_the_next_and_given_back_when_told(void)
{
    tdm_payload_set_keeping(true);
    void *first = filled(LARGE);
    assert_false(tdm_payload_has_kept());
    tdm_payload_free(first);
    assert_true(tdm_payload_has_kept());
    void *again = filled(LARGE - 1);
    assert_ptr_equal(again, first);
    tdm_payload_drop(); /* not what is in use */
    memset(again, 2, LARGE - 1);
    tdm_payload_free(again);
    assert_true(tdm_payload_has_kept());
    tdm_payload_drop();
    assert_false(tdm_payload_has_kept());
}

static void a_small_one_is_not_kept(void)
{
    tdm_payload_set_keeping(true);
    tdm_payload_free(filled(SMALL));
    assert_false(tdm_payload_has_kept());
}

static void a_larger_one_takes_the_place_of_one_that_is_kept(void)
{
    tdm_payload_set_keeping(true);
    void *a = filled(LARGE), *b = filled(LARGE), *too_many = filled(LARGE);
    tdm_payload_free(too_many);
    assert_false(tdm_payload_has_kept());
    tdm_payload_free(a);
    tdm_payload_free(b);
    void *larger = filled(LARGER), *same = filled(LARGE);
    assert_true(same == a || same == b);
    assert_false(tdm_payload_has_kept());
    tdm_payload_free(larger);
    tdm_payload_free(same);
    void *smaller = filled(LARGE), *larger_again = filled(LARGER);
    assert_non_null(smaller);
    tdm_payload_free(larger_again);
    tdm_payload_free(smaller);
    tdm_payload_drop();
    assert_false(tdm_payload_has_kept());
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(nothing_is_kept_where_nobody_said_so),
        test(a_large_one_is_kept_for_the_next_and_given_back_when_told),
        test(a_small_one_is_not_kept),
        test(a_larger_one_takes_the_place_of_one_that_is_kept),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
