/* verdict_test.c - how a task ends whose worker has died: every kind of death, with and without a decision of the host. */
#include "harness.h"

#include "base/platform.h"
#include "process/verdict.h"

#include <signal.h>

static const struct {
    struct {
        bool known;
        int signal, code;
    } death;
    int decided;
    const char *step; /* what was wrong with the worker */
    int status, signal, code;
    const char *told; /* the step that the report is to name */
} cases[] = {
    {{true, SIGSEGV, 0}, 0, NULL, TANDEM_CRASHED, SIGSEGV, 0, NULL},
    {{true, SIGKILL, 0}, 0, NULL, TANDEM_CRASHED, SIGKILL, 0, NULL},
    {{true, 0, 0}, 0, NULL, TANDEM_CRASHED, 0, 0, NULL},
    {{true, 0, 3}, 0, NULL, TANDEM_CRASHED, 0, 3, NULL},
    {{true, 0, 255}, 0, NULL, TANDEM_CRASHED, 0, 255, NULL},
    {{true, 0, 119}, 0, NULL, TANDEM_CRASHED, 0, 119, NULL},
    {{true, 0, 120}, 0, NULL, TANDEM_CRASHED, 0, 120, "it closed its worker's descriptors"},
    {{true, SIGTERM, 120}, 0, NULL, TANDEM_CRASHED, SIGTERM, 0, NULL},
    {{false, 0, 0}, 0, NULL, TANDEM_CRASHED, 0, 0, "its process ended, its status was lost"},
    {{false, SIGSEGV, 9}, 0, NULL, TANDEM_CRASHED, 0, 0, "its process ended, its status was lost"},
    /* a worker that had to be killed for what it sent: the death says nothing more */
    {{true, SIGKILL, 0}, 0, "protocol", TANDEM_CRASHED, 0, 0, "protocol"},
    {{false, 0, 0}, 0, "protocol", TANDEM_CRASHED, 0, 0, "protocol"},
    {{true, SIGKILL, 0}, TANDEM_CRASHED, "protocol", TANDEM_CRASHED, 0, 0, "protocol"},
    {{true, SIGSEGV, 0}, TANDEM_CRASHED, NULL, TANDEM_CRASHED, SIGSEGV, 0, NULL},
    /* the host had decided before: whatever the death looks like */
    {{true, SIGKILL, 0}, TANDEM_CANCELLED, NULL, TANDEM_CANCELLED, SIGKILL, 0, NULL},
    {{true, SIGKILL, 0}, TANDEM_TIMED_OUT, NULL, TANDEM_TIMED_OUT, SIGKILL, 0, NULL},
    {{true, SIGSEGV, 0}, TANDEM_TIMED_OUT, NULL, TANDEM_TIMED_OUT, SIGSEGV, 0, NULL},
    {{true, 0, 3}, TANDEM_CANCELLED, NULL, TANDEM_CANCELLED, 0, 0, NULL},
    {{false, 0, 0}, TANDEM_CANCELLED, NULL, TANDEM_CANCELLED, 0, 0, NULL},
};

static void every_death_has_its_verdict(void)
{
    static const struct tdm_testament left;
    static const tandem_limits none;
    for (size_t i = 0; i < count_of(cases); i++) {
        struct tdm_death death = {.known = cases[i].death.known, .signal = cases[i].death.signal, .code = cases[i].death.code};
        struct tdm_case judged = {
            .death = &death, .left = &left, .limits = &none, .decided = cases[i].decided, .step = cases[i].step};
        struct tdm_facts facts = {0};
        struct tdm_outcome outcome = tdm_verdict(&judged, &facts);
        if (outcome.status != cases[i].status || outcome.signal != cases[i].signal || outcome.code != cases[i].code)
            fail_msg("case %zu: %s, signal %d, code %d", i, tandem_status_name(outcome.status), outcome.signal, outcome.code);
        if (cases[i].told == NULL)
            assert_null(outcome.step);
        else
            assert_string_equal(outcome.step, cases[i].told);
        assert_null(outcome.output);
        assert_int_equal(outcome.output_size, 0);
        assert_null(facts.limit);
    }
}

/* ---- limits, and what a crash has left ---- */

#define OF_TIME -1 /* the signal that ends a process whose processor time is over */
#define MS      ((uint64_t)1000000u)
#define MB      ((uint64_t)1 << 20)

static const struct {
    const char *what;
    struct tdm_death death;
    tandem_limits limits;
    uint64_t used_before_ns, memory_most, memory;
    int noted; /* the signal that the crash handler has noted, or 0 */
    int decided;
    int status;
    const char *limit;
} limited[] = {
    {"out of processor time",
     {true, OF_TIME, 0, 150 * MS, 55 * MS, 0},
     {.cpu_ms = 100},
     100 * MS,
     0,
     0,
     0,
     0,
     TANDEM_OVER_LIMIT,
     "cpu_ms"},
    {"killed before its time", {true, SIGKILL, 0, 150 * MS, 0, 0}, {.cpu_ms = 100}, 100 * MS, 0, 0, 0, 0, TANDEM_CRASHED, NULL},
    {"killed, with a limit for ages",
     {true, SIGKILL, 0, 50 * MS, 0, 0},
     {.cpu_ms = UINT64_C(1) << 58},
     0,
     0,
     0,
     0,
     0,
     TANDEM_CRASHED,
     NULL},
    {"killed, without a limit", {true, SIGKILL, 0, 950 * MS, 0, 0}, {.output = 1}, 0, 0, 0, 0, 0, TANDEM_CRASHED, NULL},
    {"too large a file", {true, SIGXFSZ, 0, 0, 0, 0}, {.file_size = 1}, 0, 0, 0, 0, 0, TANDEM_OVER_LIMIT, "file_size"},
    {"too large a file for the program", {true, SIGXFSZ, 0, 0, 0, 0}, {.memory = 1}, 0, 0, 0, 0, 0, TANDEM_CRASHED, NULL},
    {"no memory left",
     {true, SIGSEGV, 0, 0, 0, 0},
     {.memory = 8 * MB},
     0,
     99 * MB,
     99 * MB,
     SIGSEGV,
     0,
     TANDEM_OVER_LIMIT,
     "memory"},
    {"hardly any",
     {true, SIGABRT, 0, 0, 0, 0},
     {.memory = 8 * MB},
     0,
     99 * MB,
     98 * MB + 1,
     SIGABRT,
     0,
     TANDEM_OVER_LIMIT,
     "memory"},
    {"half of it left", {true, SIGSEGV, 0, 0, 0, 0}, {.memory = 8 * MB}, 0, 99 * MB, 95 * MB, SIGSEGV, 0, TANDEM_CRASHED, NULL},
    {"none left, but killed by others",
     {true, SIGKILL, 0, 0, 0, 0},
     {.memory = 8 * MB},
     0,
     99 * MB,
     99 * MB,
     SIGSEGV,
     0,
     TANDEM_CRASHED,
     NULL},
    {"decided before", {true, SIGXFSZ, 0, 0, 0, 0}, {.file_size = 1}, 0, 0, 0, 0, TANDEM_CANCELLED, TANDEM_CANCELLED, NULL},
};

static void only_what_a_process_died_of_is_a_limit(void)
{
    for (size_t i = 0; i < count_of(limited); i++) {
        struct tdm_testament left = {.memory_most = limited[i].memory_most,
                                     .words = {.crash = limited[i].noted != 0,
                                               .signal = limited[i].noted,
                                               .memory = limited[i].memory,
                                               .user_ns = limited[i].used_before_ns}};
        struct tdm_death death = limited[i].death;
        struct tdm_case judged = {.death = &death, .left = &left, .limits = &limited[i].limits, .decided = limited[i].decided};
        struct tdm_facts facts = {0};
        if (limited[i].death.signal == OF_TIME) death.signal = tdm_platform_cpu_signal();
        struct tdm_outcome outcome = tdm_verdict(&judged, &facts);
        if (outcome.status != limited[i].status) fail_msg("%s: %s", limited[i].what, tandem_status_name(outcome.status));
        if (limited[i].limit == NULL)
            assert_null(facts.limit);
        else
            assert_string_equal(facts.limit, limited[i].limit);
    }
}

static void a_crash_whose_handler_was_cut_off_is_told_by_what_it_had_noted(void)
{
    struct tdm_testament left = {.words = {.crash = 1, .signal = SIGSEGV, .address = 4711, .frame_count = UINT32_MAX}};
    static const tandem_limits none;
    struct tdm_death death = {.known = true, .signal = SIGALRM};
    struct tdm_case judged = {.death = &death, .left = &left, .limits = &none};
    struct tdm_facts facts = {0};
    struct tdm_outcome outcome = tdm_verdict(&judged, &facts);
    assert_int_equal(outcome.status, TANDEM_CRASHED);
    assert_int_equal(outcome.signal, SIGSEGV);
    assert_int_equal(facts.fault_address, 4711);
    assert_int_equal(facts.frame_count, TDM_FRAMES_MOST);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {test(every_death_has_its_verdict), test(only_what_a_process_died_of_is_a_limit),
                                                test(a_crash_whose_handler_was_cut_off_is_told_by_what_it_had_noted)};
    return harness_main(argc, argv, tests, count_of(tests));
}
