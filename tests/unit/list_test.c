/* list_test.c - the intrusive list: order, removal from anywhere, containers. */
#include "harness.h"

#include "base/list.h"

struct bead {
    int number;
    struct tdm_node link;
};

/* Read in both directions. */
static void expect_order(const struct tdm_node *head, const int *numbers, size_t count)
{
    const struct tdm_node *forth = head->next, *back = head->previous;
    for (size_t i = 0; i < count; i++, forth = forth->next, back = back->previous) {
        assert_int_equal(container_of(forth, struct bead, link)->number, numbers[i]);
        assert_int_equal(container_of(back, struct bead, link)->number, numbers[count - 1 - i]);
    }
    assert_ptr_equal(forth, head);
    assert_ptr_equal(back, head);
    assert_true(tdm_list_empty(head) == (count == 0));
}

static void nodes_stand_where_they_were_put(void)
{
    struct tdm_node head;
    struct bead beads[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    tdm_list_init(&head);
    expect_order(&head, NULL, 0);
    tdm_list_push_back(&head, &beads[1].link);
    tdm_list_push_front(&head, &beads[0].link);
    tdm_list_push_back(&head, &beads[3].link);
    tdm_list_insert_after(&beads[1].link, &beads[2].link);
    expect_order(&head, (const int[]){0, 1, 2, 3}, 4);
    for (int i = 0; i < 4; i++) assert_ptr_equal(tdm_list_pop_front(&head), &beads[i].link);
    assert_null(tdm_list_pop_front(&head));
    expect_order(&head, NULL, 0);
}

static void any_node_can_be_removed_and_twice_does_no_harm(void)
{
    for (int gone = 0; gone < 3; gone++) {
        struct tdm_node head;
        struct bead beads[3];
        int left[2], count = 0;
        tdm_list_init(&head);
        for (int i = 0; i < 3; i++) {
            beads[i].number = i;
            tdm_list_push_back(&head, &beads[i].link);
            if (i != gone) left[count++] = i;
        }
        for (int times = 0; times < 2; times++) {
            tdm_list_remove(&beads[gone].link);
            assert_true(tdm_list_empty(&beads[gone].link));
            expect_order(&head, left, 2);
        }
    }
}

static void a_popped_node_can_be_put_into_another_list(void)
{
    struct tdm_node first, second;
    struct bead beads[2] = {{.number = 0}, {.number = 1}};
    tdm_list_init(&first);
    tdm_list_init(&second);
    for (int i = 0; i < 2; i++) tdm_list_push_back(&first, &beads[i].link);
    tdm_list_push_front(&second, tdm_list_pop_front(&first));
    expect_order(&first, (const int[]){1}, 1);
    expect_order(&second, (const int[]){0}, 1);
}

static void a_list_may_take_all_of_another(void)
{
    struct tdm_node to, from;
    struct bead beads[5] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    tdm_list_init(&to);
    tdm_list_init(&from);
    tdm_list_splice_back(&to, &from);
    expect_order(&to, NULL, 0);
    for (int i = 0; i < 2; i++) tdm_list_push_back(&from, &beads[i].link);
    tdm_list_splice_back(&to, &from);
    expect_order(&to, (const int[]){0, 1}, 2);
    expect_order(&from, NULL, 0);
    for (int i = 2; i < 5; i++) tdm_list_push_back(&from, &beads[i].link);
    tdm_list_splice_back(&to, &from);
    expect_order(&to, (const int[]){0, 1, 2, 3, 4}, 5);
    expect_order(&from, NULL, 0);
    tdm_list_splice_back(&to, &from);
    expect_order(&to, (const int[]){0, 1, 2, 3, 4}, 5);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(nodes_stand_where_they_were_put),
        test(any_node_can_be_removed_and_twice_does_no_harm),
        test(a_popped_node_can_be_put_into_another_list),
        test(a_list_may_take_all_of_another),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
