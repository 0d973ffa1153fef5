/* command_faults.c - all that can fail while commands run fails once, and those who start them are killed at every step: each command ends once,
 * none runs twice, nothing is left. */
#include "walk.h"

enum { COMMANDS = 8 };

struct ordered {
    tandem_command command;
    tandem_task task;
    int status; /* without a fault */
    const char *output;
    bool taken;
};

static char large[200000];

static void hear(tandem_task *task, int stream, const void *data, size_t size) { (void)task, (void)stream, (void)data, (void)size; }

/* Each that begins writes one byte to the pipe. */
static void order_all(struct ordered *all, int tally)
{
    static const char *const sum[] = {"wc", "-c", NULL}, *const changes[] = {"COMMAND=one", NULL};
    all[0] = (struct ordered){{.shell = "printf $COMMAND", .env_change = changes}, .status = TANDEM_OK, .output = "one"};
    all[1] = (struct ordered){{.argv = sum}, .status = TANDEM_OK, .output = "200000\n"};
    all[2] = (struct ordered){
        {.shell = "head -c 3000 /dev/zero | tr '\\000' s", .output_limit = 1000, .overflow = TANDEM_OVERFLOW_SPILL},
        .status = TANDEM_OK};
    all[3] = (struct ordered){
        {.shell = "printf x >&2; exit 3", .err = TANDEM_STDIO_FD, .err_fd = tally}, .status = TANDEM_FAILED, .output = ""};
    all[4] = (struct ordered){
        {.shell = "echo heard; echo too >&2", .out = TANDEM_STDIO_STREAM, .err = TANDEM_STDIO_STREAM, .on_output = hear},
        .status = TANDEM_OK};
    all[5] = (struct ordered){{.shell = "sleep 1000"}, .status = TANDEM_TIMED_OUT};
    all[6] = (struct ordered){{.shell = "echo through"}, .status = TANDEM_OK};
    all[7] = (struct ordered){
        {.shell = "cat; printf x >&2", .err = TANDEM_STDIO_FD, .err_fd = tally}, .status = TANDEM_OK, .output = "through\n"};
    for (int i = 0; i < COMMANDS; i++) all[i].task.command = &all[i].command;
    all[1].task.input = large;
    all[1].task.input_size = sizeof large;
    all[5].task.timeout_ms = 30;
}

static void submit_command(tandem_pool *pool, struct ordered *ordered)
{
    int result, tries = 0;
    do result = tandem_submit(pool, &ordered->task);
    while (try_again("tandem_submit", result, &tries));
    ordered->taken = result == 0;
}

static void submit_both(tandem_pool *pool, struct ordered *first, struct ordered *second)
{
    tandem_task *tasks[] = {&first->task, &second->task};
    int result, tries = 0;
    do result = tandem_pipeline(pool, tasks, 2);
    while (try_again("tandem_pipeline", result, &tries));
    first->taken = second->taken = result == 0;
}

/* One end of a pipeline that did not start is the end of the other's input or output, whatever that makes of it. */
static bool may_be_otherwise(const struct ordered *ordered, int at, const struct ordered *all)
{
    const tandem_task *task = &ordered->task;
    if (task->status == TANDEM_NOT_STARTED) return verdicts.may & MAY_NOT_START && task->code > 0 && task->report->step;
    if (task->status == TANDEM_CRASHED && verdicts.may & MAY_LOSE_STATUS) return task->signal == 0 && task->report->step;
    if (task->status == TANDEM_OVER_LIMIT) return verdicts.may & MAY_LOSE_REPLY && task->report->limit;
    if (at == 6) return all[7].task.status != TANDEM_OK;
    return at == 7 && all[6].task.status != TANDEM_OK && task->status == TANDEM_OK;
}

static void judge_command(struct ordered *ordered, int at, const struct ordered *all)
{
    char line[512];
    tandem_task *task = &ordered->task;
    bool good = task->status == ordered->status &&
                (!ordered->output || verdicts.may & MAY_LOSE_REPLY || (task->output && strstr(task->output, ordered->output)));
    if (good && task->status == TANDEM_OK) good = task->report && !task->report->step;
    if (at == 2 && good) good = verdicts.may & MAY_LOSE_REPLY || task->output_size == 3000;
    if (!good && !may_be_otherwise(ordered, at, all)) {
        tandem_describe(task, line, sizeof line);
        complain("command %d: %s (output %zu)", at, line, task->output_size);
    }
}

/* How often those that write a byte there have begun. */
static void check_tally(int from, const struct ordered *all)
{
    char bytes[64];
    int could = all[3].taken + all[7].taken;
    ssize_t got = read(from, bytes, sizeof bytes);
    if (got > could) complain("%d commands began %zd times", could, got);
}

static void use_commands(void)
{
    struct ordered all[COMMANDS];
    int tally[2];
    size_t taken = 0;
    tandem_pool *pool = create((tandem_options){.threads = TANDEM_NONE, .processes = 2});
    if (!pool) return;
    if (pipe2(tally, O_CLOEXEC | O_NONBLOCK) != 0) abort();
    order_all(all, tally[1]);
    for (int i = 0; i < 6; i++) submit_command(pool, &all[i]);
    submit_both(pool, &all[6], &all[7]);
    for (int i = 0; i < COMMANDS; i++)
        if (all[i].taken) tandem_wait(&all[i].task);
    check_tally(tally[0], all);
    for (int i = 0; i < COMMANDS; i++) taken += all[i].taken;
    int drained = tandem_pool_drain(pool, -1);
    if (drained != 0) complain("tandem_pool_drain gives %d", drained);
    check_stats(pool, taken);
    int destroyed = tandem_pool_destroy(pool);
    if (destroyed != 0) complain("tandem_pool_destroy gives %d", destroyed);
    for (int i = 0; i < COMMANDS; i++)
        if (all[i].taken) judge_command(&all[i], i, all);
    for (int i = 0; i < COMMANDS; i++) tandem_task_clear(&all[i].task);
    close(tally[0]);
    close(tally[1]);
}

static int run_commands(unsigned may, struct cell unused[32])
{
    int result, tries = 0;
    struct names *descriptors = names_in("/proc/self/fd");
    size_t threads = entries_in("/proc/self/task");
    (void)unused;
    verdicts = (struct verdicts){.may = may};
    do result = tandem_init();
    while (try_again("tandem_init", result, &tries));
    use_commands();
    result = tandem_quit();
    if (result != 0) complain("tandem_quit gives %d", result);
    look_around(descriptors, threads);
    names_free(descriptors);
    return verdicts.complaints;
}

/* ---- the walks ---- */

static void a_clean_run_passes_what_commands_pass(void)
{
    static const enum tdm_fault_point points[] = {TDM_FAULT_spawn, TDM_FAULT_spill, TDM_FAULT_unnamed_file, TDM_FAULT_program_begun,
                                                  TDM_FAULT_guard_spawned_program};
    scenario = run_commands;
    begin();
    for (size_t i = 0; i < count_of(points); i++)
        if (passes[points[i]] == 0 && !(is_portable() && points[i] == TDM_FAULT_unnamed_file))
            fail_msg("%s is not passed", tdm_fault_name(points[i]));
}

/* promise 36 */
static void every_resource_of_a_command_can_fail(void)
{
    scenario = run_commands;
    walk(fails(memory, ENOMEM, MAY_NOT_START | MAY_LOSE_REPLY), fails(map, ENOMEM, MAY_NOT_START),
         fails(descriptor_memory, EMFILE, MAY_NOT_START), fails(commit, ENOSPC, MAY_NOT_START), fails(pipe, EMFILE, MAY_NOT_START),
         fails(duplicate, EMFILE, MAY_NOT_START), fails(nonblocking, EINVAL, MAY_NOT_START),
         fails(take_in, EMFILE, MAY_NOT_START | MAY_LOSE_REPLY), fails(open_cwd, EMFILE, MAY_NOT_START),
         fails(poller_add, ENOSPC, MAY_NOT_START), fails(spawn, EAGAIN, MAY_NOT_START), fails(spill, ENOSPC, MAY_LOSE_REPLY),
         fails(unnamed_file, EOPNOTSUPP, 0), fails(guard_rights, EMFILE, MAY_NOT_START), fails(thread, EAGAIN, MAY_NOT_START),
         fails(any_read, EINTR, 0), fails(any_write, EINTR, 0), fails(poller_wait, EINTR, 0));
}

/* promise 36 */
static void what_commands_need_can_stay_out_of_reach(void)
{
    scenario = run_commands;
    walk(fails_on(memory, ENOMEM, MAY_NOT_START | MAY_LOSE_REPLY), fails_on(pipe, EMFILE, MAY_NOT_START),
         fails_on(descriptor_memory, EMFILE, MAY_NOT_START), fails_on(spawn, EAGAIN, MAY_NOT_START),
         fails_on(duplicate, EMFILE, MAY_NOT_START), fails_on(take_in, EMFILE, MAY_NOT_START | MAY_LOSE_REPLY),
         fails_on(watch_process, ENOSYS, 0), fails_on(signal_watched, ENOSYS, 0));
}

/* promise 26 */
static void who_starts_commands_may_be_killed_at_any_step(void)
{
    scenario = run_commands;
    skip_on_portable("nobody inherits what a dead zygote leaves");
    walk(killed_at(guard_spawned_program, 0), killed_at(guard_told_spawned, 0), killed_at(guard_saw_end, 0),
         killed_at(guard_told_end, 0), killed_at(guard_reaped, 0));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_clean_run_passes_what_commands_pass),
        test(every_resource_of_a_command_can_fail),
        test(what_commands_need_can_stay_out_of_reach),
        test(who_starts_commands_may_be_killed_at_any_step),
    };
    memset(large, 'l', sizeof large);
    return harness_main(argc, argv, tests, count_of(tests));
}
