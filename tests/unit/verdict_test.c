/* verdict_test.c - how a task ends whose worker has died: every kind of death, with and without a decision of the host. */
#include "harness.h"

#include "process/verdict.h"

#include <signal.h>

static const struct {
    struct tdm_death death;
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
    for (size_t i = 0; i < count_of(cases); i++) {
        struct tdm_outcome outcome = tdm_verdict(&cases[i].death, cases[i].decided, cases[i].step);
        if (outcome.status != cases[i].status || outcome.signal != cases[i].signal || outcome.code != cases[i].code)
            fail_msg("case %zu: %s, signal %d, code %d", i, tandem_status_name(outcome.status), outcome.signal, outcome.code);
        if (cases[i].told == NULL)
            assert_null(outcome.step);
        else
            assert_string_equal(outcome.step, cases[i].told);
        assert_null(outcome.output);
        assert_int_equal(outcome.output_size, 0);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {test(every_death_has_its_verdict)};
    return harness_main(argc, argv, tests, count_of(tests));
}
