/* hostile.c - a worker that has turned against its host, and writes what it likes into its channel and its control page.
 *
 * Promised is only: every task ends exactly once, the host and the tasks of other workers go on as if nothing were, and the worker is
 * replaced.  What such a worker says of the tasks in its own hands may be a lie. */
#include "hostile.h"

#include <errno.h>

/* ---- a hostile task, and others beside it ---- */

enum ending { RETURNS, EXITS, ABORTS, LINGERS, SPINS };

#define PIDS       (1u << 22) /* more than any Linux has */
#define DEEDS      4u         /* most of one task */
#define BYSTANDERS 5u

/* Seen by all workers. */
static struct shared_state {
    atomic_int begun;      /* hostile tasks and starts */
    atomic_int bad_starts; /* that are still to come */
    atomic_int last;       /* pid */
    atomic_uchar is_hostile[PIDS];
} * state;

struct order {
    deed_fn *deeds[DEEDS]; /* one after the other, until NULL */
    uint64_t variant, seed;
    enum ending ending;
};

static void turn_hostile(void)
{
    atomic_store(&state->last, (int)getpid());
    atomic_store(&state->is_hostile[(unsigned)getpid() % PIDS], 1);
    atomic_fetch_add(&state->begun, 1);
}

static bool is_hostile(pid_t pid) { return atomic_load(&state->is_hostile[(unsigned)pid % PIDS]) != 0; }

/* A deed that needs what cannot be found here does nothing, and 99 says so. */
static int obey(const struct order *order)
{
    struct own own = find_own(order->variant, order->seed);
    if (own.replies < 0 || own.requests < 0 || own.lifeline < 0) return 99;
    for (size_t i = 0; i < DEEDS && order->deeds[i] != NULL; i++) order->deeds[i](&own);
    return 0;
}

static int hostile_task(tandem_context *context, void *input, size_t size)
{
    static const struct rlimit no_core;
    struct order order;
    if (size != sizeof order) return __LINE__;
    memcpy(&order, input, size);
    turn_hostile();
    setrlimit(RLIMIT_CORE, &no_core);
    int found = obey(&order);
    if (found != 0) return found;
    tandem_reply(context, "an honest reply", 15);
    switch (order.ending) {
    case EXITS: _exit(3);
    case ABORTS: abort();
    case SPINS:
        for (;;) moment();
    case LINGERS:
        for (int i = 0; i < 100; i++) moment();
        break;
    default: break;
    }
    return 0;
}

struct counted {
    tandem_task task;
    atomic_int ends;
};

static void count_end(tandem_task *task) { atomic_fetch_add((atomic_int *)task->user_data, 1); }

static void submit(tandem_pool *pool, struct counted *one, tandem_group *group)
{
    one->task.on_done = count_end;
    one->task.user_data = &one->ends;
    one->task.group = group;
    atomic_store(&one->ends, 0);
    assert_int_equal(tandem_submit(pool, &one->task), 0);
}

static void wait_for_all(tandem_group *group)
{
    if (tandem_group_wait(group, patience_ms()) == TANDEM_PENDING)
        fail_msg("a task has not ended within %d s", (int)(patience_ms() / 1000));
}

static char pattern[100000];

static void begin(void)
{
    if (state != NULL) return;
    state = shared(sizeof *state);
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (char)(i * 7 + i / 251);
}

/* An honest task with a reply of its own. */
static void submit_bystander(tandem_pool *pool, struct counted *one, unsigned number, tandem_group *group)
{
    static const size_t sizes[] = {1, 40, 3000, 70000, 0, 8192};
    one->task = task_of(TANDEM_PROCESS, echo_task, pattern + number % 1000, sizes[number % count_of(sizes)]);
    submit(pool, one, group);
}

/* Once, and as it should unless a hostile worker had it in its hands. */
static void check_bystander(struct counted *one)
{
    tandem_task *task = &one->task;
    assert_int_equal(atomic_load(&one->ends), 1);
    assert_int_not_equal(task->status, TANDEM_PENDING);
    if (!is_hostile(task->report->pid)) {
        expect_end(task, TANDEM_OK);
        assert_int_equal(task->output_size, task->input_size);
        if (task->output_size > 0) assert_int_equal(memcmp(task->output, task->input, task->output_size), 0);
    }
    tandem_task_clear(task);
}

static void submit_hostile(tandem_pool *pool, struct counted *one, struct order *order, uint32_t timeout_ms, tandem_group *group)
{
    one->task = task_of(TANDEM_PROCESS, hostile_task, order, sizeof *order);
    one->task.timeout_ms = timeout_ms;
    submit(pool, one, group);
}

static void check_hostile(struct counted *one, unsigned statuses)
{
    char line[512];
    assert_int_equal(atomic_load(&one->ends), 1);
    tandem_describe(&one->task, line, sizeof line);
    if (one->task.status == TANDEM_FAILED && one->task.code == 99) fail_msg("the worker did not find its own channel");
    if ((statuses >> one->task.status & 1) == 0) fail_msg("ended in another way than it should: %s", line);
    if (getenv("TANDEM_TEST_VERBOSE") != NULL) printf("%s\n", line);
    tandem_task_clear(&one->task);
}

/* The books balance, and nothing is left in them. */
static void check_books(tandem_pool *pool)
{
    tandem_stats stats = stats_of(pool);
    uint64_t ended = 0;
    for (size_t i = 0; i < count_of(stats.ended); i++) ended += stats.ended[i];
    assert_int_equal(stats.submitted, ended);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.running, 0);
}

/* ---- one trial ---- */

#define ONLY(status) (1u << (status))
#define CRASHED_ONLY ONLY(TANDEM_CRASHED)
#define STOPPED      (ONLY(TANDEM_CRASHED) | ONLY(TANDEM_TIMED_OUT))
#define ANY          (STOPPED | ONLY(TANDEM_OK) | ONLY(TANDEM_FAILED))
#define NEVER        600000 /* a timeout that no test reaches */

struct trial {
    deed_fn *deed, *then;
    enum ending ending;
    uint32_t timeout_ms;
    unsigned statuses;
    bool lives_on; /* its worker need not be replaced */
};

/* The host may hear of a death a little later, and what a dead worker has left in its pipe it reads later still. */
static void expect_replaced(tandem_pool *pool)
{
    pid_t pid = atomic_load(&state->last);
    wait_until(!process_lives(pid));
    for (int clean = 0, tries = 0; clean < 3; tries++) {
        struct counted one;
        tandem_group group = {0};
        submit_bystander(pool, &one, 1, &group);
        wait_for_all(&group);
        if (!is_hostile(one.task.report->pid)) clean++;
        check_bystander(&one);
        assert_true(tries < 100);
    }
}

static void try_in(tandem_pool *pool, const struct trial *trial, uint64_t variant)
{
    struct order order = {.deeds = {trial->deed, trial->then}, .variant = variant, .seed = variant, .ending = trial->ending};
    struct counted hostile, bystanders[BYSTANDERS];
    tandem_group group = {0};
    submit_bystander(pool, &bystanders[0], (unsigned)variant, &group);
    submit_hostile(pool, &hostile, &order, trial->timeout_ms, &group);
    for (unsigned i = 1; i < BYSTANDERS; i++) submit_bystander(pool, &bystanders[i], (unsigned)variant + i, &group);
    wait_for_all(&group);
    check_hostile(&hostile, trial->statuses);
    for (unsigned i = 0; i < BYSTANDERS; i++) check_bystander(&bystanders[i]);
    if (!trial->lives_on) expect_replaced(pool);
    check_books(pool);
}

/* Each way of a deed, beside an honest worker. */
static void try_all(struct trial trial, uint64_t variants)
{
    begin();
    if (trial.timeout_ms == 0) trial.timeout_ms = NEVER;
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
    for (uint64_t variant = 0; variant < variants; variant++) try_in(pool, &trial, variant);
    end_pool(pool);
}

static void skip_without_maps(void) { skip_without("/proc/self/maps", "the task must know where the page is"); }

/* ---- frames ---- */

/* promise 29 */
static void a_worker_that_writes_garbage_is_killed(void)
{
    try_all((struct trial){.deed = write_garbage, .ending = SPINS, .statuses = CRASHED_ONLY}, 20);
}

/* promise 29 */
static void garbage_before_a_reply_is_not_forgiven(void)
{
    try_all((struct trial){.deed = write_garbage, .ending = RETURNS, .statuses = CRASHED_ONLY}, 20);
    try_all((struct trial){.deed = write_wrong_field, .then = replay_reply, .ending = SPINS, .statuses = CRASHED_ONLY},
            2 * WRONG_FIELDS);
}

/* promise 29 */
static void a_frame_with_a_wrong_field_costs_its_worker(void)
{
    try_all((struct trial){.deed = write_wrong_field, .ending = SPINS, .statuses = CRASHED_ONLY}, 2 * WRONG_FIELDS);
}

/* promise 29 */
static void a_huge_length_that_is_never_filled_ends_by_the_timeout(void)
{
    try_all((struct trial){.deed = write_huge_length, .ending = SPINS, .timeout_ms = 100, .statuses = STOPPED}, HUGE_LENGTHS);
}

/* promise 29: its own reply is then part of a payload that never ends */
static void a_huge_length_before_a_reply_ends_by_the_timeout(void)
{
    try_all((struct trial){.deed = write_huge_length, .ending = RETURNS, .timeout_ms = 100, .statuses = STOPPED}, HUGE_LENGTHS);
}

/* promise 29 */
static void a_reply_to_another_task_costs_its_worker(void)
{
    try_all((struct trial){.deed = reply_to_another_task, .ending = SPINS, .statuses = CRASHED_ONLY}, OTHER_TASKS);
    try_all((struct trial){.deed = reply_to_another_task, .ending = RETURNS, .statuses = CRASHED_ONLY}, OTHER_TASKS);
}

/* promise 29 */
static void a_worker_that_says_again_that_it_has_started_is_killed(void)
{
    try_all((struct trial){.deed = say_ready_again, .ending = SPINS, .statuses = CRASHED_ONLY}, 2);
}

/* promise 29 */
static void a_reply_that_is_replayed_ends_its_task_once(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = replay_reply, .ending = SPINS, .statuses = ONLY(TANDEM_OK)}, 7);
    try_all((struct trial){.deed = replay_reply, .ending = RETURNS, .statuses = ONLY(TANDEM_OK)}, 7);
}

/* promise 29 */
static void half_a_frame_and_silence_ends_by_the_timeout(void)
{
    try_all((struct trial){.deed = write_half_header, .ending = SPINS, .timeout_ms = 20, .statuses = STOPPED},
            sizeof(struct tdm_frame) - 1);
    try_all((struct trial){.deed = write_half_payload, .ending = SPINS, .timeout_ms = 20, .statuses = STOPPED}, 4);
}

/* promise 29 */
static void half_a_frame_and_death_is_a_crash(void)
{
    try_all((struct trial){.deed = write_half_header, .ending = EXITS, .statuses = CRASHED_ONLY}, sizeof(struct tdm_frame) - 1);
    try_all((struct trial){.deed = write_half_payload, .ending = EXITS, .statuses = CRASHED_ONLY}, 4);
    try_all((struct trial){.deed = write_half_payload, .ending = ABORTS, .statuses = CRASHED_ONLY}, 4);
}

/* promise 29: what follows the half does not fit, or ends as a payload of which the rest is missing */
static void half_a_frame_before_a_reply_ends_its_task_once(void)
{
    try_all((struct trial){.deed = write_half_header, .ending = RETURNS, .timeout_ms = 100, .statuses = STOPPED}, 10);
    try_all((struct trial){.deed = write_half_payload, .ending = RETURNS, .timeout_ms = 100, .statuses = STOPPED}, 2);
}

/* promise 29 */
static void a_flood_of_frames_does_not_hold_up_the_others(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = flood, .ending = SPINS, .statuses = ONLY(TANDEM_OK) | ONLY(TANDEM_CRASHED)}, FLOODS);
}

/* ---- the control page ---- */

/* promise 29 */
static void a_word_of_the_page_that_lies_ends_no_task_twice(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = set_word, .ending = SPINS, .timeout_ms = 50, .statuses = STOPPED}, 8);
    try_all((struct trial){.deed = set_word, .ending = RETURNS, .timeout_ms = 50, .statuses = ANY, .lives_on = true}, 8);
    try_all((struct trial){.deed = set_word, .ending = EXITS, .statuses = CRASHED_ONLY}, 8);
}

/* promise 29 */
static void random_words_in_the_page_end_no_task_twice(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = set_random_words, .ending = SPINS, .timeout_ms = 20, .statuses = STOPPED}, 10);
    try_all((struct trial){.deed = set_random_words, .ending = RETURNS, .timeout_ms = 50, .statuses = ANY, .lives_on = true}, 10);
    try_all((struct trial){.deed = set_random_words, .ending = EXITS, .statuses = CRASHED_ONLY}, 10);
}

/* promise 29: what a worker leaves behind of its last moments is not believed */
static void random_last_words_harm_nobody(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = set_random_page, .ending = ABORTS, .statuses = CRASHED_ONLY}, 15);
    try_all((struct trial){.deed = set_random_page, .ending = EXITS, .statuses = CRASHED_ONLY}, 6);
    try_all((struct trial){.deed = set_random_page, .ending = SPINS, .timeout_ms = 20, .statuses = STOPPED}, 6);
}

/* ---- descriptors ---- */

/* promise 29 */
static void a_worker_that_closes_its_channel_costs_its_own_task(void)
{
    try_all((struct trial){.deed = close_own, .ending = SPINS, .timeout_ms = 20, .statuses = STOPPED}, 7);
    try_all((struct trial){.deed = close_own, .ending = EXITS, .statuses = CRASHED_ONLY}, 7);
    try_all((struct trial){.deed = close_own, .ending = RETURNS, .statuses = ONLY(TANDEM_OK) | CRASHED_ONLY}, 7);
}

/* promise 29 */
static void a_worker_that_steals_what_comes_next_is_replaced(void)
{
    try_all((struct trial){.deed = steal_requests, .ending = SPINS, .timeout_ms = 50, .statuses = STOPPED}, 2);
    try_all((struct trial){.deed = steal_requests, .ending = RETURNS, .statuses = ANY, .lives_on = true}, 4);
}

/* Whatever is open besides stdio and its own three leads nowhere. */
static int count_strange_descriptors_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    struct own own = find_own(0, 0);
    int strange = 0;
    for (int fd = 3; fd < 1024; fd++)
        if (fd != own.requests && fd != own.replies && fd != own.lifeline && fcntl(fd, F_GETFD) >= 0) strange++;
    return strange;
}

static int count_pages_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    char line[512];
    int pages = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return __LINE__;
    while (fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "rw-s") != NULL && strstr(line, "tandem") != NULL) pages++;
    fclose(maps);
    return pages - 1;
}

/* promise 29: what a worker does not have it cannot write to */
static void a_worker_has_no_way_to_another_workers_channel(void)
{
    skip_without_maps();
    begin();
    struct gate *gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 3, NULL);
    tandem_task busy[2], look[2];
    for (size_t i = 0; i < 2; i++) {
        busy[i] = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        assert_int_equal(tandem_submit(pool, &busy[i]), 0);
    }
    assert_true(await(&gate->entered, 2));
    look[0] = task_of(TANDEM_PROCESS, count_strange_descriptors_task, NULL, 0);
    look[1] = task_of(TANDEM_PROCESS, count_pages_task, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tandem_submit(pool, &look[i]), 0);
        expect_end(&look[i], TANDEM_OK);
        tandem_task_clear(&look[i]);
    }
    atomic_store(&gate->opened, 1);
    for (size_t i = 0; i < 2; i++) {
        expect_end(&busy[i], TANDEM_OK);
        tandem_task_clear(&busy[i]);
    }
    end_pool(pool);
}

/* ---- those that go on when the task has ended ---- */

/* promise 29 */
static void a_child_that_goes_on_writing_ends_no_task_twice(void)
{
    try_all((struct trial){.deed = leave_child, .ending = RETURNS, .statuses = ANY, .lives_on = true}, 4 * FLOODS);
    try_all((struct trial){.deed = leave_child, .ending = EXITS, .statuses = ANY}, 4 * FLOODS);
}

/* promise 29 */
static void a_thread_that_goes_on_writing_ends_no_task_twice(void)
{
    try_all((struct trial){.deed = leave_thread, .ending = RETURNS, .statuses = ANY, .lives_on = true}, 4 * FLOODS);
}

/* ---- stopping ---- */

static deed_fn *const all_deeds[] = {write_garbage,   write_wrong_field, write_huge_length, reply_to_another_task,
                                     say_ready_again, replay_reply,      write_half_header, write_half_payload,
                                     flood,           set_word,          set_random_words,  set_random_page,
                                     close_own,       steal_requests,    leave_child,       leave_thread};

#define WAYS (count_of(all_deeds) * 8)

static void begin_way(tandem_pool *pool, size_t way, struct counted *hostile, struct order *order, tandem_group *group)
{
    int begun = atomic_load(&state->begun);
    *order = (struct order){.deeds = {all_deeds[way / 8]}, .variant = way % 8, .seed = way, .ending = SPINS};
    submit_hostile(pool, hostile, order, 0, group);
    assert_true(await(&state->begun, begun + 1));
}

/* promise 29 */
static void a_hostile_task_can_be_cancelled(void)
{
    begin();
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
    for (size_t way = 0; way < WAYS; way++) {
        struct order order;
        struct counted hostile, bystander;
        tandem_group group = {0};
        begin_way(pool, way, &hostile, &order, &group);
        submit_bystander(pool, &bystander, (unsigned)way, &group);
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
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, NULL);
        begin_way(pool, way, &hostile, &order, &group);
        end_pool(pool);
        wait_for_all(&group);
        check_hostile(&hostile, ANY | ONLY(TANDEM_CANCELLED));
    }
}

/* ---- hostile from the start ---- */

static int hostile_start(void **worker_data, void *argument)
{
    struct order order;
    (void)worker_data;
    memcpy(&order, argument, sizeof order);
    if (atomic_fetch_sub(&state->bad_starts, 1) <= 0) return 0;
    turn_hostile();
    int found = obey(&order);
    for (int i = 0; i < 2000 && order.ending == LINGERS; i++) moment();
    if (order.ending == EXITS) _exit(0);
    return found;
}

static void try_starts(int bad_starts, unsigned statuses)
{
    begin();
    for (size_t way = 0; way < WAYS; way++) {
        struct order order = {.deeds = {all_deeds[way / 8]}, .variant = way % 8, .seed = way, .ending = way % 2 ? RETURNS : EXITS};
        tandem_options options = {.on_worker_start = hostile_start, .argument = &order, .argument_size = sizeof order};
        options.start_timeout_ms = 50; /* for those that wait for ever */
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
        struct counted tasks[2];
        tandem_group group = {0};
        atomic_store(&state->bad_starts, bad_starts);
        for (unsigned i = 0; i < 2; i++) submit_bystander(pool, &tasks[i], (unsigned)way + i, &group);
        wait_for_all(&group);
        for (unsigned i = 0; i < 2; i++) check_hostile(&tasks[i], statuses);
        end_pool(pool);
    }
}

/* promise 29 */
static void a_start_that_is_hostile_twice_delays_its_tasks_only(void) { try_starts(2, ANY); }

/* promise 29 */
static void starts_that_are_always_hostile_end_each_task_once(void) { try_starts(1000000, ANY | ONLY(TANDEM_NOT_STARTED)); }

/* ---- anything ---- */

static bool leaves_frame_open(const struct order *order)
{
    for (size_t i = 0; i < DEEDS && order->deeds[i] != NULL; i++)
        if (order->deeds[i] == write_huge_length || order->deeds[i] == write_half_payload) return true;
    return false;
}

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
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 8, NULL);
    for (size_t round = 0; round < count / AT_ONCE + 1; round++) {
        struct counted hostile[AT_ONCE], bystanders[AT_ONCE];
        struct order orders[AT_ONCE];
        tandem_group group = {0};
        for (unsigned i = 0; i < AT_ONCE; i++) {
            orders[i] = order_of(seed + i);
            submit_hostile(pool, &hostile[i], &orders[i], 20, &group);
            submit_bystander(pool, &bystanders[i], (unsigned)seed + i, &group);
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
        test(a_worker_that_writes_garbage_is_killed),
        test(garbage_before_a_reply_is_not_forgiven),
        test(a_frame_with_a_wrong_field_costs_its_worker),
        test(a_huge_length_that_is_never_filled_ends_by_the_timeout),
        test(a_huge_length_before_a_reply_ends_by_the_timeout),
        test(a_reply_to_another_task_costs_its_worker),
        test(a_worker_that_says_again_that_it_has_started_is_killed),
        test(a_reply_that_is_replayed_ends_its_task_once),
        test(half_a_frame_and_silence_ends_by_the_timeout),
        test(half_a_frame_and_death_is_a_crash),
        test(half_a_frame_before_a_reply_ends_its_task_once),
        test(a_flood_of_frames_does_not_hold_up_the_others),
        test(a_word_of_the_page_that_lies_ends_no_task_twice),
        test(random_words_in_the_page_end_no_task_twice),
        test(random_last_words_harm_nobody),
        test(a_worker_that_closes_its_channel_costs_its_own_task),
        test(a_worker_that_steals_what_comes_next_is_replaced),
        test(a_worker_has_no_way_to_another_workers_channel),
        test(a_child_that_goes_on_writing_ends_no_task_twice),
        test(a_thread_that_goes_on_writing_ends_no_task_twice),
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
