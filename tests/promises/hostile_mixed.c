/* hostile_mixed.c - a worker that has turned against its host: stopped, from its start on, and doing anything in any order. */
#include "hostile_trial.h"

#include <errno.h>

/* ---- stopping ---- */

static deed_fn *const all_deeds[] = {write_garbage,
                                     write_wrong_field,
                                     write_huge_length,
                                     reply_to_another_task,
                                     say_ready_again,
                                     replay_reply,
                                     write_half_header,
                                     write_half_payload,
                                     flood,
                                     set_word,
                                     set_random_words,
                                     set_random_page,
                                     close_own,
                                     steal_requests,
                                     leave_child,
                                     leave_thread,
                                     answer_otherwise,
                                     lie_in_last_words,
                                     lie_in_rings,
                                     flood_errors};

/* Else the flood of errors would be in the test's own. */
static const tandem_options capturing = {.worker_error = TANDEM_STDIO_CAPTURE};

#define WAYS (count_of(all_deeds) * 8)

/* One that has replied for itself, or says that it has not begun, is idle in its host's eyes, and waited for if it does not leave. */
static enum ending ending_of(deed_fn *deed)
{
    return deed == answer_otherwise || deed == set_word || deed == set_random_words ? LINGERS : SPINS;
}

static void begin_way(tandem_pool *pool, size_t way, struct counted *hostile, struct order *order, tandem_group *group)
{
    int begun = atomic_load(&state->begun);
    deed_fn *deed = all_deeds[way / 8];
    *order = (struct order){.deeds = {deed}, .variant = way % 8, .seed = way, .ending = ending_of(deed)};
    submit_hostile(pool, hostile, order, 0, group);
    assert_true(await(&state->begun, begun + 1));
}

/* promise 29 */
static void a_hostile_task_can_be_cancelled(void)
{
    begin();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &capturing);
    for (size_t way = 0; way < WAYS; way++) {
        struct order order;
        struct counted hostile, bystander;
        tandem_group group = {0};
        begin_way(pool, way, &hostile, &order, &group);
        submit_bystander(pool, &bystander, (unsigned)way, NEVER, &group);
        int result = tandem_cancel(&hostile.task);
        assert_true(result == 0 || result == -EALREADY);
        wait_for_all(&group);
        check_hostile(&hostile, ANY | ONLY(TANDEM_CANCELLED));
        check_bystander(&bystander);
    }
    check_books(pool);
    end_pool(pool);
}

/* promise 29 */
static void a_pool_with_a_hostile_worker_can_be_destroyed(void)
{
    begin();
    for (size_t way = 0; way < WAYS; way++) {
        struct order order;
        struct counted hostile;
        tandem_group group = {0};
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &capturing);
        begin_way(pool, way, &hostile, &order, &group);
        end_pool(pool);
        wait_for_all(&group);
        check_hostile(&hostile, ANY | ONLY(TANDEM_CANCELLED));
    }
}

/* ---- hostile from the start ---- */

static bool leaves_frame_open(const struct order *order)
{
    for (size_t i = 0; i < DEEDS && order->deeds[i] != NULL; i++)
        if (order->deeds[i] == write_huge_length || order->deeds[i] == write_half_payload) return true;
    return false;
}

static int hostile_start(void **worker_data, void *argument)
{
    struct order order;
    (void)worker_data;
    memcpy(&order, argument, sizeof order);
    if (atomic_fetch_sub(&state->bad_starts, 1) <= 0) return 0;
    turn_hostile();
    int found = obey(&order);
    if (order.ending == EXITS) _exit(0);
    return found;
}

static void try_way_to_start(int bad_starts, struct order *order, bool must_run)
{
    tandem_options options = capturing;
    options.on_worker_start = hostile_start;
    options.argument = order;
    options.argument_size = sizeof *order;
    options.start_timeout_ms = 2000 * (uint32_t)slowness(); /* an honest one must be able to start in that */
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    struct counted tasks[2];
    tandem_group group = {0};
    atomic_store(&state->bad_starts, bad_starts);
    for (unsigned i = 0; i < 2; i++) submit_bystander(pool, &tasks[i], (unsigned)order->seed + i, NEVER, &group);
    wait_for_all(&group);
    for (unsigned i = 0; i < 2; i++) must_run ? check_bystander(&tasks[i]) : check_hostile(&tasks[i], ANY);
    end_pool(pool);
}

/* It does not end, or says that it has failed or half of something, and goes on: it is waited for until its time is over. */
static bool hangs(const struct order *order)
{
    if (order->deeds[0] == flood_errors) return order->variant % 2 == 0;
    if (order->deeds[0] == say_ready_again) return order->variant % 2 == 1;
    return order->ending == RETURNS && leaves_frame_open(order);
}

/* Half of the ways, and one that hangs. */
static void try_starts(int bad_starts, bool must_run)
{
    bool has_hung = false;
    begin();
    for (size_t way = 0; way < WAYS; way++) {
        struct order order = {.deeds = {all_deeds[way / 8]}, .variant = way % 8, .seed = way, .ending = way % 2 ? RETURNS : EXITS};
        if (way % 8 > 4 || (hangs(&order) && has_hung)) continue;
        has_hung = has_hung || hangs(&order);
        try_way_to_start(bad_starts, &order, must_run);
    }
}

/* promise 29 */
static void a_start_that_is_hostile_twice_delays_its_tasks_only(void) { try_starts(2, true); }

/* promise 29 */
static void starts_that_are_always_hostile_end_each_task_once(void) { try_starts(1000000, false); }

/* ---- anything ---- */

/* A few deeds, in any order and any of their ways; then any ending.  Two of them make the host wait for a second, and come rarely: the
 * reply of a worker that says it has finished, and the claim of one that has replied and does something else. */
static struct order order_of(uint64_t seed)
{
    struct dice dice = {(seed + 1) * 0x9e3779b97f4a7c15u};
    for (int i = 0; i < 5; i++) roll(&dice);
    struct order order = {.variant = roll(&dice) >> 8, .seed = seed};
    size_t count = 1 + roll_below(&dice, DEEDS);
    for (size_t i = 0; i < count; i++) order.deeds[i] = all_deeds[roll_below(&dice, count_of(all_deeds))];
    bool patient = roll_below(&dice, 50) == 0;
    order.ending = (enum ending)roll_below(&dice, patient ? SPINS + 1 : SPINS);
    if (order.ending == RETURNS && !patient && leaves_frame_open(&order)) order.ending = EXITS;
    return order;
}

#define AT_ONCE 16u

/* promise 29: TANDEM_SEED=n begins with that one */
static void any_mixture_of_these_ends_each_task_once(int quarter)
{
    begin();
    const char *first = getenv("TANDEM_SEED");
    size_t count = scaled(100000) / 4;
    uint64_t seed = first != NULL ? strtoull(first, NULL, 10) : (size_t)quarter * count;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 8, &capturing);
    for (size_t round = 0; round < count / AT_ONCE + 1; round++) {
        struct counted hostile[AT_ONCE], bystanders[AT_ONCE];
        struct order orders[AT_ONCE];
        tandem_group group = {0};
        for (unsigned i = 0; i < AT_ONCE; i++) {
            orders[i] = order_of(seed + i);
            submit_hostile(pool, &hostile[i], &orders[i], 20, &group);
            submit_bystander(pool, &bystanders[i], (unsigned)seed + i, patience_ms() / 3, &group);
        }
        wait_for_all(&group);
        for (unsigned i = 0; i < AT_ONCE; i++) {
            check_hostile(&hostile[i], ANY);
            check_bystander(&bystanders[i]);
        }
        check_books(pool);
        seed += AT_ONCE;
    }
    end_pool(pool);
}

/* The layout tool takes these braces for a block. */
/* clang-format off */
#define quarter(n) {.name = "any_mixture_of_these_ends_each_task_once_" #n, .run_where = any_mixture_of_these_ends_each_task_once, .isolation = n}
/* clang-format on */

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_hostile_task_can_be_cancelled),
        test(a_pool_with_a_hostile_worker_can_be_destroyed),
        test(a_start_that_is_hostile_twice_delays_its_tasks_only),
        test(starts_that_are_always_hostile_end_each_task_once),
        quarter(0),
        quarter(1),
        quarter(2),
        quarter(3),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
