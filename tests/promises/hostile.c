/* hostile.c - a worker that has turned against its host: each thing it may do to its channel and its control page. */
#include "hostile_trial.h"

/* ---- one trial ---- */

struct trial {
    deed_fn *deed, *then;
    enum ending ending;
    uint32_t timeout_ms;
    unsigned statuses;
    bool lives_on;    /* its worker need not be replaced */
    bool is_captured; /* its standard error */
    bool is_heard;    /* its messages */
};

/* The host may hear of a death a little later, and what a dead worker has left in its pipe it reads later still. */
static void expect_replaced(tandem_pool *pool)
{
    pid_t pid = atomic_load(&state->last);
    wait_until(!process_lives(pid));
    for (int clean = 0, tries = 0; clean < 3; tries++) {
        struct counted one;
        tandem_group group = {0};
        submit_bystander(pool, &one, 1, NEVER, &group);
        wait_for_all(&group);
        if (!is_hostile(one.task.report->pid)) clean++;
        check_bystander(&one);
        assert_true(tries < 100);
    }
}

static void try_in(tandem_pool *pool, const struct trial *trial, uint64_t variant)
{
    struct order order = {.deeds = {trial->deed, trial->then},
                          .variant = variant,
                          .seed = variant,
                          .ending = trial->ending,
                          .is_heard = trial->is_heard};
    struct counted hostile, bystanders[BYSTANDERS];
    tandem_group group = {0};
    submit_bystander(pool, &bystanders[0], (unsigned)variant, NEVER, &group);
    submit_hostile(pool, &hostile, &order, trial->timeout_ms, &group);
    for (unsigned i = 1; i < BYSTANDERS; i++) submit_bystander(pool, &bystanders[i], (unsigned)variant + i, NEVER, &group);
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
    tandem_options options = {.worker_error = trial.is_captured ? TANDEM_STDIO_CAPTURE : TANDEM_STDIO_DEFAULT};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 2, &options);
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
static void a_message_out_of_turn_costs_its_worker(void)
{
    try_all((struct trial){.deed = talk_out_of_turn, .ending = SPINS, .statuses = CRASHED_ONLY}, OTHER_MESSAGES);
    try_all((struct trial){.deed = talk_out_of_turn, .ending = RETURNS, .statuses = CRASHED_ONLY}, OTHER_MESSAGES);
}

/* promise 29, promise 41: somebody listens, and takes none */
static void a_flood_of_messages_costs_its_worker(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = flood_with_messages, .ending = SPINS, .statuses = CRASHED_ONLY, .is_heard = true},
            2 * MESSAGE_FLOODS);
}

/* promise 29, promise 43: whatever came of them is closed */
static void other_descriptors_than_a_message_tells_of_cost_its_worker(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = send_other_parcel, .ending = SPINS, .statuses = CRASHED_ONLY, .is_heard = true},
            2 * OTHER_PARCELS);
}

/* promise 29 */
static void descriptors_of_no_message_trouble_nobody(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = flood_with_parcels, .ending = RETURNS, .statuses = ONLY(TANDEM_OK), .lives_on = true}, 3);
    try_all((struct trial){.deed = flood_with_parcels, .ending = EXITS, .statuses = CRASHED_ONLY}, 3);
}

/* promise 29 */
static void a_reply_that_is_replayed_ends_its_task_once(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = replay_reply, .ending = SPINS, .statuses = ONLY(TANDEM_OK)}, 7);
    try_all((struct trial){.deed = replay_reply, .ending = RETURNS, .statuses = ONLY(TANDEM_OK)}, 7);
}

/* promise 29 */
static void another_answer_than_a_reply_ends_its_task_once(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = answer_otherwise, .ending = LINGERS, .timeout_ms = 50, .statuses = ANY, .lives_on = true},
            2 * OTHER_ANSWERS);
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

/* promise 29: what follows the half does not fit, or ends as a payload of which the rest is missing.  In a ring the honest reply lies over
 * it, and may fit. */
static void half_a_frame_before_a_reply_ends_its_task_once(void)
{
    unsigned fits = over_pipes() ? 0 : ONLY(TANDEM_OK);
    try_all(
        (struct trial){
            .deed = write_half_header, .ending = RETURNS, .timeout_ms = 100, .statuses = STOPPED | fits, .lives_on = fits != 0},
        10);
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

/* As if it had begun, out of turn, what waits behind its task, and not the task itself.  The next worker that has the task is honest. */
static void deny_its_task(struct own *own)
{
    if (own->control == NULL || atomic_load(&state->begun) > 1) return;
    for (unsigned i = 0; i < TDM_CONTROL_WORDS; i++) {
        uint64_t word = atomic_load(&own->control->words[i].now);
        if ((word & 0xffff) == TDM_OFFERED) atomic_store(&own->control->words[i].now, (word & ~UINT64_C(0xffff)) | own->variant);
    }
    atomic_store(&own->control->words[own->entry].now, own->sequence << 16 | TDM_OFFERED);
}

/* promise 29: enough tasks, and short enough, that a worker has several in hand */
static void a_worker_that_has_begun_only_what_comes_later_is_killed(void)
{
    enum { MANY = 400 };
    static struct counted bystanders[MANY];
    static const uint64_t states[] = {TDM_CLAIMED, TDM_FINISHED, TDM_FREE};
    skip_without_maps();
    begin();
    for (size_t turn = 0; turn < count_of(states); turn++) {
        struct order order = {.deeds = {deny_its_task}, .variant = states[turn], .ending = SPINS};
        struct counted hostile;
        tandem_group group = {0};
        atomic_store(&state->begun, 0);
        tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
        for (unsigned i = 0; i < MANY / 2; i++) submit_bystander(pool, &bystanders[i], 0, NEVER, &group);
        submit_hostile(pool, &hostile, &order, 100, &group);
        for (unsigned i = MANY / 2; i < MANY; i++) submit_bystander(pool, &bystanders[i], 0, NEVER, &group);
        wait_for_all(&group);
        check_hostile(&hostile, STOPPED);
        for (unsigned i = 0; i < MANY; i++) check_bystander(&bystanders[i]);
        check_books(pool);
        end_pool(pool);
    }
}

/* promise 29 */
static void rings_that_lie_end_no_task_twice(void)
{
    if (over_pipes()) return;
    skip_on_portable("bytes go through pipes");
    try_all((struct trial){.deed = lie_in_rings, .ending = SPINS, .timeout_ms = 100, .statuses = ANY, .lives_on = true},
            2 * RING_LIES);
    try_all((struct trial){.deed = lie_in_rings, .ending = RETURNS, .timeout_ms = 100, .statuses = ANY, .lives_on = true},
            2 * RING_LIES);
    try_all((struct trial){.deed = lie_in_rings, .ending = EXITS, .statuses = ANY, .lives_on = true}, RING_LIES);
}

/* promise 29: what a worker leaves behind of its last moments is not believed */
static void random_last_words_harm_nobody(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = set_random_page, .ending = ABORTS, .statuses = CRASHED_ONLY}, 15);
    try_all((struct trial){.deed = set_random_page, .ending = EXITS, .statuses = CRASHED_ONLY}, 6);
    try_all((struct trial){.deed = set_random_page, .ending = SPINS, .timeout_ms = 20, .statuses = STOPPED}, 6);
}

/* promise 29: where it fits what the process really died of, it is told, but never taken for more than words */
static void lies_in_the_last_words_harm_nobody(void)
{
    skip_without_maps();
    try_all((struct trial){.deed = lie_in_last_words, .ending = ABORTS, .statuses = CRASHED_ONLY}, 2 * LIES);
    try_all((struct trial){.deed = lie_in_last_words, .ending = EXITS, .statuses = CRASHED_ONLY}, LIES);
}

/* ---- descriptors ---- */

/* promise 29 */
static void a_flood_on_standard_error_does_not_hold_up_the_others(void)
{
    struct trial trial = {.deed = flood_errors, .ending = RETURNS, .timeout_ms = 200, .statuses = ANY};
    trial.lives_on = trial.is_captured = true;
    try_all(trial, 4);
}

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
        if (fd != own.requests && fd != own.replies && fd != own.lifeline && fd != own.parcels && fcntl(fd, F_GETFD) >= 0)
            strange++;
    return strange;
}

static int count_pages_task(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    char line[512];
    unsigned long from, to;
    int pages = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return __LINE__;
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx", &from, &to) == 2 && to - from < SHARED_LEAST && strstr(line, "rw-s") != NULL &&
            strstr(line, "tandem") != NULL)
            pages++;
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
        test(other_descriptors_than_a_message_tells_of_cost_its_worker),
        test(descriptors_of_no_message_trouble_nobody),
        test(a_reply_that_is_replayed_ends_its_task_once),
        test(another_answer_than_a_reply_ends_its_task_once),
        test(half_a_frame_and_silence_ends_by_the_timeout),
        test(half_a_frame_and_death_is_a_crash),
        test(half_a_frame_before_a_reply_ends_its_task_once),
        test(a_flood_of_frames_does_not_hold_up_the_others),
        test(a_message_out_of_turn_costs_its_worker),
        test(a_flood_of_messages_costs_its_worker),
        test(a_word_of_the_page_that_lies_ends_no_task_twice),
        test(random_words_in_the_page_end_no_task_twice),
        test(a_worker_that_has_begun_only_what_comes_later_is_killed),
        test(rings_that_lie_end_no_task_twice),
        test(random_last_words_harm_nobody),
        test(lies_in_the_last_words_harm_nobody),
        test(a_flood_on_standard_error_does_not_hold_up_the_others),
        test(a_worker_that_closes_its_channel_costs_its_own_task),
        test(a_worker_that_steals_what_comes_next_is_replaced),
        test(a_worker_has_no_way_to_another_workers_channel),
        test(a_child_that_goes_on_writing_ends_no_task_twice),
        test(a_thread_that_goes_on_writing_ends_no_task_twice),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
