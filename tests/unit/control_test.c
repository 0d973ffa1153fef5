/* control_test.c - the words that say who has a task: what moves, what does not, and who wins. */
#include "harness.h"

#include "job/control.h"
#include "meeting.h"

#include <pthread.h>

static const enum tdm_control_state states[] = {TDM_FREE, TDM_OFFERED, TDM_CLAIMED, TDM_FINISHED, TDM_REVOKED, TDM_KILLING};

static void a_word_moves_only_from_where_it_is(void)
{
    for (size_t is = 0; is < count_of(states); is++)
        for (size_t from = 0; from < count_of(states); from++)
            for (size_t to = 0; to < count_of(states); to++) {
                struct tdm_control control = {0};
                atomic_store(&control.words[3].now, tdm_control_word(5, states[is]));
                assert_true(tdm_control_move(&control, 3, 5, states[from], states[to]) == (from == is));
                assert_true(tdm_control_is(&control, 3, 5, states[from == is ? to : is]));
            }
}

static void a_task_goes_its_way_and_no_other(void)
{
    struct tdm_control control = {0};
    assert_false(tdm_control_move(&control, 0, 1, TDM_OFFERED, TDM_CLAIMED)); /* not offered yet */
    tdm_control_offer(&control, 0, 1);
    assert_false(tdm_control_move(&control, 0, 1, TDM_CLAIMED, TDM_KILLING)); /* not claimed yet */
    assert_true(tdm_control_move(&control, 0, 1, TDM_OFFERED, TDM_CLAIMED));
    assert_false(tdm_control_move(&control, 0, 1, TDM_OFFERED, TDM_CLAIMED)); /* a second time */
    assert_false(tdm_control_move(&control, 0, 1, TDM_OFFERED, TDM_REVOKED)); /* too late to take it back */
    assert_true(tdm_control_move(&control, 0, 1, TDM_CLAIMED, TDM_FINISHED));
    assert_false(tdm_control_move(&control, 0, 1, TDM_CLAIMED, TDM_KILLING)); /* too late to kill */
    tdm_control_offer(&control, 0, 2);
    assert_true(tdm_control_move(&control, 0, 2, TDM_OFFERED, TDM_REVOKED));
    assert_false(tdm_control_move(&control, 0, 2, TDM_OFFERED, TDM_CLAIMED));
    tdm_control_offer(&control, 0, 3);
    assert_true(tdm_control_move(&control, 0, 3, TDM_OFFERED, TDM_CLAIMED));
    assert_true(tdm_control_move(&control, 0, 3, TDM_CLAIMED, TDM_KILLING));
    assert_false(tdm_control_move(&control, 0, 3, TDM_CLAIMED, TDM_FINISHED));
}

static void a_move_for_another_task_fails(void)
{
    static const uint64_t sequences[] = {1, 2, 3, 255, 65535, 65536, 65537, UINT64_C(1) << 32, (UINT64_C(1) << 48) - 1};
    for (size_t mine = 0; mine < count_of(sequences); mine++)
        for (size_t other = 0; other < count_of(sequences); other++) {
            struct tdm_control control = {0};
            tdm_control_offer(&control, 0, sequences[mine]);
            assert_true(tdm_control_is(&control, 0, sequences[other], TDM_OFFERED) == (mine == other));
            assert_true(tdm_control_move(&control, 0, sequences[other], TDM_OFFERED, TDM_CLAIMED) == (mine == other));
        }
}

static void the_words_are_apart(void)
{
    struct tdm_control control = {0};
    for (unsigned i = 0; i < TDM_CONTROL_WORDS; i++) tdm_control_offer(&control, i, i + 1);
    for (unsigned i = 0; i < TDM_CONTROL_WORDS; i += 2) assert_true(tdm_control_move(&control, i, i + 1, TDM_OFFERED, TDM_CLAIMED));
    for (unsigned i = 0; i < TDM_CONTROL_WORDS; i++)
        assert_true(tdm_control_is(&control, i, i + 1, i % 2 == 0 ? TDM_CLAIMED : TDM_OFFERED));
}

/* ---- two at once ---- */

struct race {
    struct tdm_control *control;
    enum tdm_control_state from, to[2];
    atomic_uint arrived;
    atomic_uint won[2];
    unsigned rounds;
};

static void run_in_race(struct race *race, int side)
{
    for (unsigned round = 1; round <= race->rounds; round++) {
        unsigned entry = round % TDM_CONTROL_WORDS;
        meet(&race->arrived, 2 * round - 1);
        if (tdm_control_move(race->control, entry, round, race->from, race->to[side])) atomic_fetch_add(&race->won[side], 1);
        meet(&race->arrived, 2 * round);
        unsigned next = (round + 1) % TDM_CONTROL_WORDS;
        if (side == 0) atomic_store(&race->control->words[next].now, tdm_control_word(round + 1, race->from));
    }
}

static void *second_runner(void *argument)
{
    run_in_race(argument, 1);
    return NULL;
}

static void expect_one_winner(enum tdm_control_state from, enum tdm_control_state first, enum tdm_control_state second)
{
    struct race race = {.from = from, .to = {first, second}, .rounds = (unsigned)scaled(500000)};
    pthread_t thread;
    race.control = shared(TDM_CONTROL_SIZE);
    atomic_store(&race.control->words[1].now, tdm_control_word(1, from));
    assert_int_equal(pthread_create(&thread, NULL, second_runner, &race), 0);
    run_in_race(&race, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(race.won[0] + race.won[1], race.rounds);
}

static void a_claim_and_a_taking_back_have_one_winner(void) { expect_one_winner(TDM_OFFERED, TDM_CLAIMED, TDM_REVOKED); }

static void a_finish_and_a_kill_have_one_winner(void) { expect_one_winner(TDM_CLAIMED, TDM_FINISHED, TDM_KILLING); }

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_word_moves_only_from_where_it_is),
        test(a_task_goes_its_way_and_no_other),
        test(a_move_for_another_task_fails),
        test(the_words_are_apart),
        test(a_claim_and_a_taking_back_have_one_winner),
        test(a_finish_and_a_kill_have_one_winner),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
