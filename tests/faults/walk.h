/* walk.h - one run of scenario.h after the other, each with another pass of another point failing, in a process of its own.
 *
 * A clean run counts how often each point is passed.  TANDEM_FAULT=memory:3 walks the third pass of that point only. */
#ifndef TANDEM_WALK_H
#define TANDEM_WALK_H

#include "scenario.h"

#include "base/fault.h"

/* Passes of one point that are walked: all of them with TANDEM_FULL=1. */
#define PASSES_MOST 8
#define STOPS_MOST  4 /* each costs a time limit */

struct row {
    enum tdm_fault_point point;
    enum tdm_fault_action action;
    int value;
    unsigned may;
    enum tdm_fault_point killed; /* 0, or where somebody is killed besides, in that run, on the first pass */
};

/* ---- one run ---- */

static struct cell *cells;
static int (*scenario)(unsigned may, struct cell cells[32]) = run_scenario; /* a program may have its own */

static pid_t start_run(unsigned may)
{
    memset((void *)cells, 0, 32 * sizeof *cells);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) exit(scenario(may, cells) == 0 ? 0 : 1); /* not _exit: a sanitizer looks for leaks there */
    return pid;
}

static void print_all(void)
{
    char mark[128];
    snprintf(mark, sizeof mark, MARK "=%s", getenv(MARK));
    print_marked(stderr, mark);
}

/* Its status, or -1 if it hung; then nothing is left of it either. */
static int end_run(pid_t pid)
{
    const int64_t begun = now_ms();
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now_ms() - begun > patience_ms() / 2) {
            print_all();
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            status = -1;
            break;
        }
        moment();
    }
    return status;
}

static void expect_no_process(const char *what, unsigned long long nth)
{
    const int64_t begun = now_ms();
    while (processes_of_ours() != 0) {
        if (now_ms() - begun > allowed_ms(500)) {
            print_all();
            fail_msg("processes are left after %s:%llu", what, nth);
        }
        moment();
    }
}

static void expect_good_run(const struct row *row, const char *what, unsigned long long nth)
{
    bool kills_host = row->action == TDM_FAULT_KILL && strncmp(what, "host_", 5) == 0;
    tdm_fault_arm(row->point, nth, row->action, row->value);
    if (row->killed != 0) tdm_fault_arm(row->killed, 1, TDM_FAULT_KILL, 0);
    int status = end_run(start_run(row->may));
    bool fired = tdm_fault_fired(row->point) != 0;
    tdm_fault_disarm_all();
    if (status == -1) fail_msg("hung: %s:%llu, action %d, value %d", what, nth, row->action, row->value);
    if (kills_host && fired ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL : status == 0) {
        expect_no_process(what, nth);
        return;
    }
    fail_msg("%s:%llu, action %d, value %d%s: see above; its status is 0x%x", what, nth, row->action, row->value,
             fired ? "" : " (it did not come to that pass)", (unsigned)status);
}

/* ---- walking ---- */

static uint64_t passes[TDM_FAULT_COUNT]; /* in a clean run */

static void begin(void)
{
    skip_under_valgrind("a walk is thousands of processes");
    cells = shared(32 * sizeof *cells);
    assert_int_equal(tdm_fault_open(), 0);
    assert_int_equal(end_run(start_run(0)), 0);
    for (unsigned i = 0; i < TDM_FAULT_COUNT; i++) passes[i] = tdm_fault_passes(i);
    expect_no_process("a clean run", 0);
}

/* Each of the first ones, as many as half of those that may be walked, then evenly spread: beginnings differ, later passes resemble
 * each other. */
static uint64_t next_pass(uint64_t nth, uint64_t all, uint64_t most)
{
    if (full_run() || all <= most || nth < most / 2) return nth + 1;
    return nth + (all - most / 2) / (most / 2) + 1;
}

static void walk_row(const struct row *row)
{
    const char *what = tdm_fault_name(row->point), *only = getenv("TANDEM_FAULT");
    size_t length = strlen(what);
    if (only != NULL && (strncmp(only, what, length) != 0 || only[length] != ':')) return;
    if (only != NULL) {
        expect_good_run(row, what, strtoull(only + length + 1, NULL, 10));
        return;
    }
    const int64_t begun = now_ms();
    const uint64_t all = passes[row->point] + (row->killed != 0 ? 2 : 0); /* and what the replacement needs */
    const uint64_t most = row->action == TDM_FAULT_STOP ? STOPS_MOST : PASSES_MOST;
    uint64_t walked = 0;
    for (uint64_t nth = 1; nth <= all; nth = next_pass(nth, all, most), walked++) expect_good_run(row, what, nth);
    fprintf(stderr, "%s, action %d, value %d: %llu of %llu passes in %lld ms\n", what, row->action, row->value,
            (unsigned long long)walked, (unsigned long long)all, (long long)(now_ms() - begun));
}

/* The layout tool takes these braces for blocks. */
/* clang-format off */
#define row_of(name, what, how, allowed) {.point = TDM_FAULT_##name, .action = what, .value = how, .may = allowed}
#define fails(name, error, may)    row_of(name, TDM_FAULT_FAIL, error, may)
#define fails_on(name, error, may) row_of(name, TDM_FAULT_FAIL_ON, error, (may) | STAYS_BROKEN)
#define is_cut_short(name)         row_of(name, TDM_FAULT_CUT_SHORT, -1, 0)
#define killed_at(name, may)       row_of(name, TDM_FAULT_KILL, 0, may)
#define stopped_at(name)           row_of(name, TDM_FAULT_STOP, 0, MAY_BE_STOPPED)
#define fails_when_one_is_killed_at(place, name, error, allowed) \
    {.point = TDM_FAULT_##name, .action = TDM_FAULT_FAIL, .value = error, .may = allowed, .killed = TDM_FAULT_##place}
#define two_are_killed_at(place, name, allowed) \
    {.point = TDM_FAULT_##name, .action = TDM_FAULT_KILL, .may = allowed, .killed = TDM_FAULT_##place}
/* clang-format on */

#define walk(...)                                                                                                                  \
    do {                                                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                                                            \
        begin();                                                                                                                   \
        for (size_t i = 0; i < count_of(rows); i++) walk_row(&rows[i]);                                                            \
    } while (0)

#endif
