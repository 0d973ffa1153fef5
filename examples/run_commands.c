/* run_commands.c - you will see shell commands, one per line of a file, run a few at a time, a bar that grows meanwhile, and a table of how they ended.
 *
 *     run_commands [--jobs N] [--timeout MS] [--fail-fast] [FILE]
 *
 *     [##########] 4 of 4
 *      ms  ending             command
 *       2  ok                 echo hello
 *     103  ok                 sleep 0.1
 *       2  failed, code 3     exit 3
 *       3  crashed, signal 9  kill -9 $$
 *     4 commands, 2 ended badly
 *
 * Without FILE it runs these four.  --fail-fast cancels the rest as soon as one has ended badly.  The exit status is 0 if all ended well, 1 if not, 2 for
 * a usage error.  The bar is drawn on standard error if that is a terminal. */
#define _POSIX_C_SOURCE 200809L
#include "tandem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 10, LONGEST = 4096 };

/* One line, as a task.  The line belongs to the command until the task has ended. */
struct job {
    tandem_command command;
    tandem_task task;
    char *line;
};

struct options {
    uint32_t jobs, timeout_ms;
    int fail_fast;
    const char *file;
};

/* ---- what is to be run ---- */

static int add_job(struct job **jobs, size_t *count, const char *line)
{
    struct job *more = realloc(*jobs, (*count + 1) * sizeof **jobs);
    if (!more) return -1;
    *jobs = more;
    more[*count] = (struct job){.line = strdup(line)};
    return more[*count].line ? (++*count, 0) : -1;
}

static int read_jobs(FILE *file, struct job **jobs, size_t *count)
{
    char line[LONGEST];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 0 || line[0] == '#') continue;
        if (add_job(jobs, count, line) != 0) return -1;
    }
    return 0;
}

static int collect(const struct options *options, struct job **jobs, size_t *count)
{
    static const char *const shown[] = {"echo hello", "sleep 0.1", "exit 3", "kill -9 $$"};
    if (!options->file) {
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
            if (add_job(jobs, count, shown[i]) != 0) return -1;
        return 0;
    }
    FILE *file = strcmp(options->file, "-") == 0 ? stdin : fopen(options->file, "r");
    if (!file) return -1;
    int result = read_jobs(file, jobs, count);
    if (file != stdin) fclose(file);
    return result;
}

/* ---- running them ---- */

static void draw_bar(size_t done, size_t count)
{
    if (!isatty(STDERR_FILENO)) return;
    int filled = (int)(done * WIDTH / count);
    fprintf(stderr, "\r[%.*s%.*s] %zu of %zu%s", filled, "##########", WIDTH - filled, "..........", done, count,
            done == count ? "\n" : "");
}

/* The last 2 KB of a command's output are enough for a table. */
static int submit_all(tandem_pool *pool, const struct options *options, struct job *jobs, size_t count, tandem_group *group)
{
    for (size_t i = 0; i < count; i++) {
        jobs[i].command = (tandem_command){
            .shell = jobs[i].line, .flags = TANDEM_COMMAND_ERR_TO_OUT, .output_limit = 2048, .overflow = TANDEM_OVERFLOW_TAIL};
        jobs[i].task = (tandem_task){.command = &jobs[i].command, .timeout_ms = options->timeout_ms, .group = group};
        if (tandem_submit(pool, &jobs[i].task) != 0) return -1;
    }
    return 0;
}

/* Waits for whichever ends next, and crosses it out. */
static int await_all(const struct options *options, struct job *jobs, size_t count, tandem_group *group)
{
    tandem_task **open = calloc(count, sizeof *open);
    if (!open) return -1;
    for (size_t i = 0; i < count; i++) open[i] = &jobs[i].task;
    draw_bar(0, count);
    for (size_t done = 1; done <= count; done++) {
        int ended = tandem_wait_any(open, count, -1);
        if (ended < 0) break;
        if (options->fail_fast && open[ended]->status != TANDEM_OK) tandem_group_cancel(group);
        open[ended] = NULL;
        draw_bar(done, count);
    }
    free(open);
    tandem_group_wait(group, -1);
    return 0;
}

/* ---- what became of them ---- */

static void print_row(const struct job *job)
{
    const tandem_task *task = &job->task;
    char ending[64];
    uint64_t ns = task->report->started_ns != 0 ? task->report->ended_ns - task->report->started_ns : 0;
    if (task->status == TANDEM_FAILED)
        snprintf(ending, sizeof ending, "%s, code %d", tandem_status_name(task->status), (int)task->code);
    else if (task->status == TANDEM_CRASHED)
        snprintf(ending, sizeof ending, "%s, signal %d", tandem_status_name(task->status), (int)task->signal);
    else
        snprintf(ending, sizeof ending, "%s", tandem_status_name(task->status));
    printf("%6llu  %-18s %s\n", (unsigned long long)(ns / 1000000u), ending, job->line);
    if (task->status != TANDEM_OK && task->output_size > 0) printf("%s", (const char *)task->output);
}

static size_t print_table(const struct job *jobs, size_t count)
{
    size_t bad = 0;
    printf("%6s  %-18s %s\n", "ms", "ending", "command");
    for (size_t i = 0; i < count; i++) {
        print_row(&jobs[i]);
        if (jobs[i].task.status != TANDEM_OK) bad++;
    }
    printf("%zu commands, %zu ended badly\n", count, bad);
    return bad;
}

static int run(const struct options *options, struct job *jobs, size_t count)
{
    tandem_pool *pool;
    tandem_group group = {0};
    tandem_options wanted = {.threads = TANDEM_NONE, .processes = options->jobs, .kill_grace_ms = 200};
    if (tandem_pool_create(&pool, &wanted) != 0) return 1;
    int result = submit_all(pool, options, jobs, count, &group);
    if (result == 0) result = await_all(options, jobs, count, &group);
    tandem_pool_destroy(pool); /* ends whatever could not be waited for */
    if (result == 0 && print_table(jobs, count) > 0) result = 1;
    for (size_t i = 0; i < count; i++) tandem_task_clear(&jobs[i].task);
    return result == 0 ? 0 : 1;
}

static int parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--fail-fast") == 0)
            options->fail_fast = 1;
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
            options->jobs = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--timeout") == 0 && i + 1 < argc)
            options->timeout_ms = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if ((argv[i][0] != '-' || argv[i][1] == 0) && !options->file)
            options->file = argv[i];
        else
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct job *jobs = NULL;
    size_t count = 0;
    if (parse(argc, argv, &options) != 0) {
        fputs("usage: run_commands [--jobs N] [--timeout MS] [--fail-fast] [FILE]\n", stderr);
        return 2;
    }
    if (tandem_init() != 0) return 1;
    int result = collect(&options, &jobs, &count);
    if (result != 0) fputs("run_commands: the commands cannot be read\n", stderr);
    result = result != 0 ? 2 : count > 0 ? run(&options, jobs, count) : 0;
    for (size_t i = 0; i < count; i++) free(jobs[i].line);
    free(jobs);
    return result;
}
