/* ranks_test.c - whose turn it is: the high before the usual before the low, and nobody overtaken for ever. */
#include "harness.h"

#include "dice.h"
#include "task/ranks.h"

enum rank { LOW, USUAL, HIGH, NOBODY };

/* So many wait of each. */
struct waiting {
    struct tdm_ranks ranks;
    struct tdm_node nodes[2][40];
    unsigned counts[3];
};

static struct tdm_node *queue_of(struct waiting *waiting, enum rank rank)
{
    return tdm_ranks_queue(&waiting->ranks, rank == HIGH ? 1 : -1);
}

static void come(struct waiting *waiting, enum rank rank)
{
    unsigned place = waiting->counts[rank]++;
    if (rank == USUAL) return;
    tdm_list_push_back(queue_of(waiting, rank), &waiting->nodes[rank == HIGH][place]);
    tdm_ranks_count(&waiting->ranks, 1);
}

static enum rank take(struct waiting *waiting)
{
    bool usual = waiting->counts[USUAL] > 0;
    if (!usual && tdm_ranks_hint(&waiting->ranks) == 0) return NOBODY;
    struct tdm_node *queue = tdm_ranks_turn(&waiting->ranks, usual);
    tdm_ranks_took(&waiting->ranks, queue, usual);
    enum rank rank = queue == NULL ? USUAL : queue == &waiting->ranks.high ? HIGH : LOW;
    if (queue) {
        assert_true(waiting->counts[rank] > 0);
        tdm_list_remove(&waiting->nodes[rank == HIGH][waiting->counts[rank] - 1]);
        tdm_ranks_count(&waiting->ranks, -1);
    }
    assert_true(waiting->counts[rank]-- > 0);
    return rank;
}

static struct waiting *nobody(void)
{
    static struct waiting waiting;
    waiting = (struct waiting){.counts = {0}};
    tdm_ranks_open(&waiting.ranks);
    return &waiting;
}

static void the_high_go_before_the_usual_and_these_before_the_low(void)
{
    struct waiting *waiting = nobody();
    for (int i = 0; i < 5; i++) {
        come(waiting, LOW);
        come(waiting, USUAL);
        come(waiting, HIGH);
    }
    for (int i = 0; i < 15; i++) assert_int_equal(take(waiting), i < 5 ? HIGH : i < 10 ? USUAL : LOW);
    assert_int_equal(take(waiting), NOBODY);
}

static void one_is_let_through_after_so_many(void)
{
    struct waiting *waiting = nobody();
    come(waiting, LOW);
    come(waiting, USUAL);
    come(waiting, USUAL);
    int usual = 0, low = 0;
    for (int i = 1; i <= 100; i++) {
        come(waiting, HIGH);
        enum rank rank = take(waiting);
        if (rank == USUAL) assert_int_equal(i, ++usual * (TDM_HIGH_BEFORE_USUAL + 1));
        if (rank == LOW) assert_int_equal(i, ++low * (TDM_OTHERS_BEFORE_LOW + 1));
    }
    assert_int_equal(usual, 2);
    assert_int_equal(low, 1);
}

/* Nobody waits for longer than it takes to take those that have the right to go before. */
static void nobody_is_overtaken_for_ever(void)
{
    struct dice dice = {.state = 4711};
    struct waiting *waiting = nobody();
    unsigned overtaken[3] = {0};
    for (size_t i = 0; i < scaled(10000000); i++) {
        enum rank rank = (enum rank)roll_below(&dice, 3);
        if (waiting->counts[rank] < 40) come(waiting, rank);
        if (roll_below(&dice, 8) == 0) continue; /* there are always more */
        rank = take(waiting);
        if (rank == NOBODY) continue;
        for (enum rank other = LOW; other <= HIGH; other++)
            overtaken[other] = other == rank || waiting->counts[other] == 0 ? 0 : overtaken[other] + 1;
        assert_true(overtaken[LOW] <= TDM_OTHERS_BEFORE_LOW);
        assert_true(overtaken[USUAL] <= TDM_HIGH_BEFORE_USUAL + 1);
        assert_true(overtaken[HIGH] <= 2);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(the_high_go_before_the_usual_and_these_before_the_low),
        test(one_is_let_through_after_so_many),
        test(nobody_is_overtaken_for_ever),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
