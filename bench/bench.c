/* bench.c - measures tandem beside other libraries, the textbook and the machine's limits: the options, and the rounds. */
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "plot.h"
#include "row.h"
#include "summary.h"
#include "trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tandem.h>
#include <unistd.h>

enum { FULL_RUNS = 5, QUICK_RUNS = 3, MOST_RUNS = 1000, BAD_USE = 2 };

static const struct row *const rows[] = {
    &row_thread_submit,       &row_thread_submit_4,     &row_thread_round_trip,  &row_fork_join,
    &row_parallel_for,        &row_parallel_for_skewed, &row_process_round_trip, &row_process_round_trip_pinned,
    &row_process_submit,      &row_process_scaling,     &row_process_payload,    &row_shared_handover,
    &row_shared_handover_64k, &row_message_round_trip,  &row_message_stream,     &row_request_round_trip,
    &row_channel_round_trip,  &row_worker_start,        &row_crash_recovery,     &row_crash_cost,
    &row_command_run,         &row_command_capture,     &row_idle_cpu,           &row_task_memory,
};
enum { ROWS = sizeof rows / sizeof *rows };

struct wish {
    bool quick;
    bool list;
    size_t runs; /* 0: not said */
    const char *plot_folder;
    bool row[ROWS];
    bool some_row;
};

static _Noreturn void refuse(const char *what, const char *argument)
{
    fprintf(stderr,
            "bench: %s: %s\n"
            "usage: bench [--quick] [--runs N] [--plot DIR] [ROW...]\n"
            "       bench --list\n",
            argument, what);
    exit(BAD_USE);
}

static size_t parse_runs(const char *text)
{
    char *end;
    long runs = strtol(text, &end, 10);
    if (end == text || *end || runs < 1 || runs > MOST_RUNS) refuse("not a number from 1 to 1000", text);
    return (size_t)runs;
}

static void wish_row(struct wish *wish, const char *name)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i]->name, name) != 0) continue;
        wish->row[i] = wish->some_row = true;
        return;
    }
    refuse("no such row; --list shows them", name);
}

static struct wish parse(char **arguments)
{
    struct wish wish = {0};
    for (; *arguments; arguments++) {
        const char *argument = *arguments;
        bool takes_value = strcmp(argument, "--runs") == 0 || strcmp(argument, "--plot") == 0;
        if (takes_value && !*++arguments) refuse("needs a value", argument);
        if (strcmp(argument, "--quick") == 0)
            wish.quick = true;
        else if (strcmp(argument, "--list") == 0)
            wish.list = true;
        else if (strcmp(argument, "--runs") == 0)
            wish.runs = parse_runs(*arguments);
        else if (strcmp(argument, "--plot") == 0)
            wish.plot_folder = *arguments;
        else if (argument[0] == '-')
            refuse("no such option", argument);
        else
            wish_row(&wish, argument);
    }
    if (wish.runs == 0) wish.runs = wish.quick ? QUICK_RUNS : FULL_RUNS;
    return wish;
}

/* How many tasks that subject gets. */
static size_t work(const struct row *row, const struct wish *wish, const struct peer *peer)
{
    size_t tasks = wish->quick ? row->quick_count : row->count;
    if (peer->most && peer->most < tasks) return peer->most;
    return peer->least > tasks ? peer->least : tasks;
}

/* Subjects take turns, A B C A B C: what slows the machine for a while then slows all of them, and a round's ratio still holds. */
static void run_rounds(const struct row *row, const struct wish *wish, struct summary *subjects, size_t count)
{
    for (size_t i = 0; i < count; i++) subjects[i].figures = must_reserve(wish->runs, sizeof *subjects[i].figures);
    for (size_t round = 0; round < wish->runs; round++)
        for (size_t i = 0; i < count; i++)
            subjects[i].figures[round] = trial(row, subjects[i].peer, work(row, wish, subjects[i].peer));
    for (size_t i = 0; i < count; i++) {
        subjects[i].runs = wish->runs;
        summarize(&subjects[i]);
    }
}

/* Why the subject is left out, or NULL. */
static const char *absence(const struct row *row, const struct wish *wish, const struct peer *peer)
{
    if (peer->absent) return peer->absent;
    if (wish->quick && peer->only_in_full) return "not with --quick";
    return row->subject_absent ? row->subject_absent(peer) : NULL;
}

static void run_row(const struct row *row, const struct wish *wish)
{
    const char *absent = row->absent ? row->absent() : NULL;
    if (absent) {
        printf("# %s left out: %s\n", row->name, absent);
        return;
    }
    size_t most = 0;
    while (row->peers[most]) most++;
    struct summary *subjects = must_reserve(most, sizeof *subjects);
    size_t count = 0;
    for (size_t i = 0; i < most; i++) {
        const char *why = absence(row, wish, row->peers[i]);
        if (why)
            printf("# %s %s left out: %s\n", row->name, row->peers[i]->name, why);
        else
            subjects[count++].peer = row->peers[i];
    }
    run_rounds(row, wish, subjects, count);
    print_subjects(row, subjects, count);
    print_ratios(row, subjects, count);
    for (size_t i = 0; i < count && row->remark; i++) row->remark(subjects[i].peer);
    if (wish->plot_folder) plot(wish->plot_folder, row, subjects, count);
    for (size_t i = 0; i < count; i++) free(subjects[i].figures);
    free(subjects);
}

static void print_list(void)
{
    for (size_t i = 0; i < ROWS; i++) printf("%s\t%s\n", rows[i]->name, rows[i]->sentence);
}

static void print_head(void)
{
    printf("# tandem %d.%d.%d on %ld processors\n", TANDEM_VERSION_MAJOR, TANDEM_VERSION_MINOR, TANDEM_VERSION_PATCH,
           sysconf(_SC_NPROCESSORS_ONLN));
#if !defined(__OPTIMIZE__)
    printf("# built without optimization: these figures say little\n");
#endif
    printf("# row\tsubject\tunit\tmedian\tmin\tmax\truns\n");
}

static void measure(const struct wish *wish)
{
    if (wish->plot_folder && mkdir(wish->plot_folder, 0777) == -1 && errno != EEXIST) must(errno, wish->plot_folder);
    print_head();
    for (size_t i = 0; i < ROWS; i++)
        if (wish->row[i] || !wish->some_row) run_row(rows[i], wish);
}

int main(int count, char **arguments)
{
    struct wish wish = parse(count > 0 ? arguments + 1 : arguments);
    if (wish.list)
        print_list();
    else
        measure(&wish);
    must_call(fflush(stdout), "standard output");
    return EXIT_SUCCESS;
}
