/* scan.c - measures every file of a tree, each as one task: on threads, or with --isolate in processes.
 *
 * You will see a progress bar, then a table with a row for each file that says where it was scanned and how that went,
 * and one line that sums up.  With --isolate --poison three more tasks are added, of which one crashes, one loops for
 * ever and one eats memory, and nothing else is harmed.
 *
 * The work is in scan_file.c.  This file shows how a program hands work over, limits it, and carries on meanwhile. */
#define _XOPEN_SOURCE 700
#include "scan_json.h"
#include "scan_poison.h"
#include "scan_table.h"
#include "scan_walk.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef SCAN_DEFAULT_TREE
#define SCAN_DEFAULT_TREE "."
#endif

#define IN_FLIGHT 64 /* tasks in the pool at a time: enough to keep it busy, few enough to cost nothing */
#define MOST_JOBS 1024

enum { ALL_WELL = 0, SOME_NOT = 1, BAD_USE = 2 };

struct settings {
    bool isolate, json, poison, help;
    uint32_t jobs, timeout_ms; /* 0: not given */
    char **paths;
    int path_count;
};

struct scan {
    const struct settings *settings;
    tandem_pool *pool;
    struct scan_list list;
    size_t first; /* the row to begin with */
    size_t taken; /* rows taken so far, from there on and around */
    size_t ended;
};

/* A task and the row it fills; used again for row after row. */
struct slot {
    tandem_task task;
    struct scan *scan;
    struct scan_row *row;
};

/* ---- the tasks ---- */

static struct scan_row *take_row(struct scan *scan)
{
    if (scan->taken == scan->list.count) return NULL;
    return &scan->list.rows[(scan->first + scan->taken++) % scan->list.count];
}

static void on_done(tandem_task *task);

/* Hands the next row that has something to run to the pool, unless none is left. */
static void start_next(struct slot *slot)
{
    struct scan *scan = slot->scan;
    const struct settings *settings = scan->settings;
    while ((slot->row = take_row(scan)) != NULL) {
        struct scan_row *row = slot->row;
        int error = 0;
        if (row->run != NULL) {
            slot->task = (tandem_task){
                .run = row->run,
                .input = row->path,
                .input_size = row->path != NULL ? strlen(row->path) + 1 : 0,
                .isolation = settings->isolate ? TANDEM_PROCESS : TANDEM_THREAD,
                .flags = TANDEM_REPORT,
                .timeout_ms = settings->timeout_ms != 0 ? settings->timeout_ms : row->timeout_ms,
                .on_done = on_done,
                .user_data = slot,
            };
            error = tandem_submit(scan->pool, &slot->task);
            if (error == 0) return;
            row->status = TANDEM_NOT_STARTED;
            row->code = -error;
        }
        scan->ended++;
    }
}

/* Runs inside tandem_run_callbacks(), on the main thread: it needs no lock. */
static void on_done(tandem_task *task)
{
    struct slot *slot = task->user_data;
    struct scan_row *row = slot->row;
    row->status = task->status;
    row->code = task->code;
    row->signal = task->signal;
    if (task->report != NULL) {
        row->pid = task->report->pid;
        row->worker = task->report->worker;
        row->time_ns = task->report->started_ns != 0 ? task->report->ended_ns - task->report->started_ns : 0;
    }
    if (task->output_size == sizeof row->result) memcpy(&row->result, task->output, sizeof row->result);
    tandem_task_clear(task);
    slot->scan->ended++;
    start_next(slot);
}

/* The main thread sleeps in poll until tasks have ended; a program with sockets would poll them here as well. */
static void run_tasks(struct scan *scan)
{
    static struct slot slots[IN_FLIGHT];
    bool bar = isatty(STDERR_FILENO) != 0;
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        slots[i].scan = scan;
        start_next(&slots[i]);
    }
    while (scan->ended < scan->list.count) {
        if (bar) scan_bar(stderr, scan->ended, scan->list.count);
        poll(&(struct pollfd){.fd = tandem_fd(scan->pool), .events = POLLIN}, 1, -1);
        tandem_run_callbacks(scan->pool, 0);
    }
    if (bar) scan_bar(stderr, scan->ended, scan->list.count);
}

/* ---- the program around them ---- */

static void print_help(void)
{
    printf("usage: scan [--isolate] [--jobs N] [--timeout MS] [--json] [--poison] [--] [PATH...]\n"
           "\n"
           "Measures each file: size, lines, SHA-256, entropy of its bytes, the three most frequent words.  Symbolic\n"
           "links are followed.  Below a folder named here, hidden folders and build folders (with a CMakeCache.txt)\n"
           "are left out.  Without a PATH: %s\n"
           "\n"
           "  --isolate     run the tasks in worker processes instead of threads\n"
           "  --jobs N      that many threads or processes (1 to %d); as many as CPUs if not given\n"
           "  --timeout MS  a task that runs longer has timed out; no limit if not given\n"
           "  --json        one JSON object a line for each file, the summary last.  A name that is not UTF-8 has\n"
           "                U+FFFD for its odd bytes in \"file\", and all its true bytes as hex digits in \"file_hex\"\n"
           "  --poison      add three tasks that crash, loop for ever and eat memory; needs --isolate.  Without\n"
           "                --timeout, the one that loops gets %d ms\n"
           "\n"
           "Exit status: 0 all files were scanned; 1 some were not, or a poison task ended badly, as it should;\n"
           "2 bad use.\n",
           SCAN_DEFAULT_TREE, MOST_JOBS, SCAN_POISON_TIMEOUT_MS);
}

static bool parse_number(const char *text, uint32_t most, uint32_t *number)
{
    char *end;
    errno = 0;
    unsigned long long value = text != NULL && text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (value == 0 || errno != 0 || *end != 0 || value > most) return false;
    *number = (uint32_t)value;
    return true;
}

static bool parse(struct settings *settings, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *option = argv[i];
        bool good = true;
        if (strcmp(option, "--") == 0) {
            i++;
            break;
        } else if (strcmp(option, "--isolate") == 0) {
            settings->isolate = true;
        } else if (strcmp(option, "--json") == 0) {
            settings->json = true;
        } else if (strcmp(option, "--poison") == 0) {
            settings->poison = true;
        } else if (strcmp(option, "--help") == 0) {
            settings->help = true;
        } else if (strcmp(option, "--jobs") == 0) {
            good = parse_number(argv[++i], MOST_JOBS, &settings->jobs);
        } else if (strcmp(option, "--timeout") == 0) {
            good = parse_number(argv[++i], UINT32_MAX, &settings->timeout_ms);
        } else {
            fprintf(stderr, "scan: there is no option %s; see scan --help\n", option);
            return false;
        }
        if (!good) {
            fprintf(stderr, "scan: %s needs a number that makes sense; see scan --help\n", option);
            return false;
        }
    }
    settings->paths = argv + i;
    settings->path_count = argc - i;
    if (settings->poison && !settings->isolate) {
        fputs("scan: --poison needs --isolate, because on a thread its crash would be this program's own.\n", stderr);
        return false;
    }
    return true;
}

/* The files of the default tree are shown by their names below it. */
static void collect_default_tree(struct scan_list *list)
{
    static const char prefix[] = SCAN_DEFAULT_TREE "/";
    scan_walk(list, SCAN_DEFAULT_TREE);
    for (struct scan_row *row = list->rows; row < list->rows + list->count; row++) {
        if (strncmp(row->path, prefix, sizeof prefix - 1) == 0) row->name = row->path + sizeof prefix - 1;
    }
}

static void collect(struct scan *scan)
{
    const struct settings *settings = scan->settings;
    for (int i = 0; i < settings->path_count; i++) scan_walk(&scan->list, settings->paths[i]);
    if (settings->path_count == 0) collect_default_tree(&scan->list);
    if (!settings->poison) return;
    scan->first = scan->list.count; /* the poison goes first, so that all files are exposed to it */
    for (size_t i = 0; i < SCAN_POISONS; i++) {
        struct scan_row *row = scan_list_add(&scan->list, NULL);
        row->poison = scan_poisons[i].name;
        row->run = scan_poisons[i].run;
        row->timeout_ms = scan_poisons[i].timeout_ms;
    }
    if (settings->timeout_ms == 0) {
        fprintf(stderr, "scan: --poison without --timeout: the task that loops gets %d ms\n", SCAN_POISON_TIMEOUT_MS);
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int report(const struct scan *scan, uint64_t took_ns)
{
    if (scan->settings->json) {
        scan_json(stdout, &scan->list, took_ns);
    } else {
        tandem_stats stats;
        tandem_pool_stats(scan->pool, &stats);
        char workers[64];
        if (scan->settings->isolate) {
            snprintf(workers, sizeof workers, "by %d worker processes", (int)stats.workers_started);
        } else {
            snprintf(workers, sizeof workers, "on %d threads", (int)stats.threads);
        }
        if (scan->settings->path_count == 0) printf("%s:\n", SCAN_DEFAULT_TREE);
        scan_table(stdout, &scan->list, isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL);
        scan_summary(stdout, &scan->list, workers, took_ns);
    }
    if (fflush(stdout) != 0) {
        fprintf(stderr, "scan: cannot write: %s\n", strerror(errno));
        return SOME_NOT;
    }
    struct scan_totals totals = scan_list_totals(&scan->list);
    return totals.scanned == totals.files && totals.poisons_ended_badly == 0 ? ALL_WELL : SOME_NOT;
}

int main(int argc, char **argv)
{
    int error = tandem_init();
    struct settings settings = {0};
    if (!parse(&settings, argc, argv)) return BAD_USE;
    if (settings.help) {
        print_help();
        return ALL_WELL;
    }
    setlocale(LC_CTYPE, "");

    struct scan scan = {.settings = &settings};
    collect(&scan);
    tandem_options options = {
        .threads = settings.isolate ? TANDEM_NONE : settings.jobs,
        .processes = settings.isolate ? settings.jobs : TANDEM_NONE,
        .callbacks_by_host = 1,
        .name = "scan",
    };
    if (error == 0) error = tandem_pool_create(&scan.pool, &options);
    if (error != 0) {
        fprintf(stderr, "scan: cannot start: %s\n", tandem_strerror(error));
        return SOME_NOT;
    }
    uint64_t start_ns = now_ns();
    run_tasks(&scan);
    int status = report(&scan, now_ns() - start_ns);
    tandem_pool_destroy(scan.pool);
    scan_list_free(&scan.list);
    return status;
}
