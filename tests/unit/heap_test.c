/* heap_test.c - the heap of deadlines against a plain list of them. */
#include "harness.h"

#include "base/heap.h"
#include "base/thread.h"
#include "dice.h"

#include <stdlib.h>

enum { NODES = 300 };

static void expect_earliest(const struct tdm_heap *heap, const struct tdm_heap_node *nodes)
{
    const struct tdm_heap_node *earliest = NULL;
    for (size_t i = 0; i < NODES; i++)
        if (tdm_heap_holds(&nodes[i]) && (earliest == NULL || nodes[i].key < earliest->key)) earliest = &nodes[i];
    if (earliest == NULL) {
        assert_null(heap->root);
        return;
    }
    assert_non_null(heap->root);
    assert_int_equal(heap->root->key, earliest->key);
    assert_true(tdm_heap_holds(heap->root));
}

static void expect_random_use(struct dice dice, uint32_t keys)
{
    static struct tdm_heap_node nodes[NODES];
    static bool inside[NODES];
    struct tdm_heap heap = {0};
    for (size_t step = 0; step < scaled(400000); step++) {
        size_t i = roll_below(&dice, NODES);
        bool insert = !inside[i] && roll_below(&dice, 8) < (step / 500 % 2 == 0 ? 7 : 2); /* it grows and shrinks by turns */
        if (insert)
            tdm_heap_insert(&heap, &nodes[i], roll_below(&dice, keys));
        else
            tdm_heap_remove(&heap, &nodes[i]);
        inside[i] = insert;
        for (size_t k = 0; k < NODES; k++) assert_true(tdm_heap_holds(&nodes[k]) == inside[k]);
        expect_earliest(&heap, nodes);
    }
    for (size_t i = 0; i < NODES; i++) {
        tdm_heap_remove(&heap, &nodes[i]);
        inside[i] = false;
    }
    assert_null(heap.root);
}

static void the_root_is_the_earliest_whatever_is_removed(void)
{
    expect_random_use((struct dice){1}, UINT32_MAX);
    expect_random_use((struct dice){2}, 1000);
}

static void few_different_keys_do_no_harm(void)
{
    expect_random_use((struct dice){3}, 3);
    expect_random_use((struct dice){4}, 1);
}

static int ascending(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void roots_come_out_in_order(void)
{
    const size_t count = scaled(1000000);
    struct tdm_heap_node *nodes = calloc(count, sizeof *nodes);
    uint64_t *keys = calloc(count, sizeof *keys);
    struct tdm_heap heap = {0};
    struct dice dice = {5};
    assert_non_null(nodes);
    assert_non_null(keys);
    for (size_t i = 0; i < count; i++) {
        keys[i] = i % 10 == 0 ? UINT64_MAX - i : roll(&dice);
        tdm_heap_insert(&heap, &nodes[i], keys[i]);
    }
    qsort(keys, count, sizeof *keys, ascending);
    for (size_t i = 0; i < count; i++) {
        assert_non_null(heap.root);
        assert_true(heap.root->key == keys[i]);
        tdm_heap_remove(&heap, heap.root);
    }
    assert_null(heap.root);
    free(keys);
    free(nodes);
}

static void removing_what_is_in_no_heap_does_nothing(void)
{
    struct tdm_heap heap = {0};
    struct tdm_heap_node never = {0}, once = {0}, other = {0};
    tdm_heap_insert(&heap, &once, 1);
    tdm_heap_insert(&heap, &other, 2);
    tdm_heap_remove(&heap, &never);
    assert_ptr_equal(heap.root, &once);
    tdm_heap_remove(&heap, &once);
    tdm_heap_remove(&heap, &once);
    assert_ptr_equal(heap.root, &other);
    assert_int_equal(once.key, 1); /* a removed deadline can still be read */
    tdm_heap_insert(&heap, &once, 0);
    assert_ptr_equal(heap.root, &once);
}

/* ---- no recursion ---- */

struct crowd {
    struct tdm_heap heap;
    struct tdm_heap_node *nodes;
    size_t count, taken;
};

static void *insert_and_take_all(void *argument)
{
    struct crowd *crowd = argument;
    for (size_t i = 0; i < crowd->count; i++) tdm_heap_insert(&crowd->heap, &crowd->nodes[i], 7);
    for (; crowd->heap.root != NULL; crowd->taken++) tdm_heap_remove(&crowd->heap, crowd->heap.root);
    return NULL;
}

static void many_equal_keys_need_no_deep_stack(void)
{
    struct crowd crowd = {.count = full_run() ? 1000000 : 100000};
    pthread_t thread;
    crowd.nodes = calloc(crowd.count, sizeof *crowd.nodes);
    assert_non_null(crowd.nodes);
    assert_int_equal(tdm_thread_start(&thread, insert_and_take_all, &crowd, 128 * 1024), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(crowd.taken, crowd.count);
    free(crowd.nodes);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(the_root_is_the_earliest_whatever_is_removed), test(few_different_keys_do_no_harm),      test(roots_come_out_in_order),
        test(removing_what_is_in_no_heap_does_nothing),     test(many_equal_keys_need_no_deep_stack),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
