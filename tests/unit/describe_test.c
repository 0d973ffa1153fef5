/* describe_test.c - the very lines that tandem_describe makes of each kind of end. */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* 12.34 ms, in a worker or on a thread; never started; started on no pool thread. */
#define AT UINT64_C(5000000000)
static const tandem_report in_worker = {.started_ns = AT, .ended_ns = AT + 12340000, .pid = 4711, .worker = 3};
static const tandem_report on_thread = {.started_ns = AT, .ended_ns = AT + 12340000, .worker = 2};
static const tandem_report on_waiter = {.started_ns = AT, .ended_ns = AT + 12340000};
static const tandem_report no_start = {.queued_ns = AT, .ended_ns = AT + 12340000};
static const tandem_report no_fork = {.queued_ns = AT, .ended_ns = AT, .step = "fork"};
static const tandem_report no_code = {.queued_ns = AT, .ended_ns = AT, .step = "function"};
static const tandem_report no_channel = {
    .started_ns = AT, .ended_ns = AT, .pid = 4711, .worker = 3, .step = "it closed its worker's descriptors"};

static const char *const frames[] = {"inflate+0x1f (unzip)", "main+0x2 (unzip)"};
static const tandem_report faulted = {.started_ns = AT,
                                      .ended_ns = AT + 12340000,
                                      .pid = 4711,
                                      .worker = 3,
                                      .runs = 2,
                                      .name = "unzip",
                                      .fault_address = 16,
                                      .frames = frames,
                                      .frame_count = 2};
static const char *const inside[] = {"0x7f00aeec (libc.so.6)", "raise+0x12 (libc.so.6)", "0x7f00c0de (viewer)",
                                     "decode+0x9 (viewer)"};
static const tandem_report aborted = {.frames = inside, .frame_count = 4}, aborted_alone = {.frames = inside, .frame_count = 3};
static const char *const nowhere[] = {"0x1234", "0x1238", "jump+0x4 (viewer)"};
static const tandem_report astray = {.fault_address = 0x1234, .frames = nowhere, .frame_count = 3};
static const tandem_report no_file = {.limit = "output", .step = "file"};
static const tandem_report used_up = {
    .started_ns = AT, .ended_ns = AT + 12340000, .pid = 4711, .worker = 3, .runs = 1, .limit = "cpu_ms"};

static const struct {
    tandem_task task;
    const char *line;
} cases[] = {
    {{.name = NULL}, "the task has not ended"},
    {{.name = "decode"}, "decode has not ended"},
    {{.name = "decode", .status = TANDEM_OK}, "decode ended well"},
    {{.name = "decode", .status = TANDEM_OK, .report = &on_thread}, "decode ended well (thread 2, after 12.3 ms)"},
    {{.name = "decode", .status = TANDEM_OK, .report = &on_waiter}, "decode ended well (after 12.3 ms)"},
    {{.name = "decode", .status = TANDEM_FAILED, .code = -7}, "decode failed with code -7"},
    {{.name = "decode", .status = TANDEM_FAILED, .code = 42, .report = &in_worker},
     "decode failed with code 42 (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_CRASHED, .signal = SIGSEGV, .report = &in_worker},
     "the task crashed: SIGSEGV (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_CRASHED, .signal = 99, .report = &in_worker},
     "the task crashed: signal 99 (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_CRASHED, .code = 3, .report = &in_worker},
     "the task crashed: its process called exit(3) (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_CRASHED, .code = 120, .report = &no_channel},
     "the task crashed: it closed its worker's descriptors (worker 3, pid 4711, after 0.0 ms)"},
    {{.status = TANDEM_TIMED_OUT, .signal = SIGKILL, .timeout_ms = 250, .report = &in_worker},
     "the task timed out: it ran longer than 250 ms (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_EXPIRED, .queue_timeout_ms = 4000000000, .report = &no_start},
     "the task expired: it waited longer than 4000000000 ms"},
    {{.status = TANDEM_CANCELLED, .signal = SIGKILL, .report = &in_worker},
     "the task was cancelled (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_CANCELLED, .report = &no_start}, "the task was cancelled"},
    {{.status = TANDEM_NOT_STARTED, .code = ENOMEM}, "the task was not started: start: out of memory (error 12)"},
    {{.status = TANDEM_NOT_STARTED, .code = ENOMEM, .report = &no_fork},
     "the task was not started: fork: out of memory (error 12)"},
    {{.status = TANDEM_NOT_STARTED, .code = ENOEXEC, .report = &no_code},
     "the task was not started: function: the function's code is not in the worker processes (error 8)"
     "; load the library that holds it before tandem_init(), or run the task on a thread"},
    {{.status = TANDEM_CRASHED, .signal = SIGSEGV, .report = &faulted},
     "unzip crashed: SIGSEGV at address 0x10 in inflate+0x1f (unzip) in its run number 2 (worker 3, pid 4711, after 12.3 ms)"},
    {{.name = "unpack", .status = TANDEM_CRASHED, .signal = SIGSEGV, .report = &faulted},
     "unpack crashed: SIGSEGV at address 0x10 in inflate+0x1f (unzip) in its run number 2 (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_OVER_LIMIT, .signal = SIGKILL, .report = &used_up},
     "the task went over its limit: cpu_ms, SIGKILL (worker 3, pid 4711, after 12.3 ms)"},
    {{.status = TANDEM_CRASHED, .signal = SIGABRT, .report = &aborted},
     "the task crashed: SIGABRT in libc.so.6, called from decode+0x9 (viewer)"},
    {{.status = TANDEM_CRASHED, .signal = SIGABRT, .report = &aborted_alone},
     "the task crashed: SIGABRT in 0x7f00aeec (libc.so.6)"},
    {{.status = TANDEM_CRASHED, .signal = SIGSEGV, .report = &astray},
     "the task crashed: SIGSEGV at address 0x1234 in 0x1234, called from jump+0x4 (viewer)"},
    {{.status = TANDEM_OVER_LIMIT, .signal = SIGKILL, .report = &no_file},
     "the task went over its limit: output (there is no file for it), SIGKILL"},
    {{.status = TANDEM_OVER_LIMIT}, "the task went over its limit: a limit"},
    {{.status = 9}, "the task has the unknown status 9"},
    {{.name = "", .status = TANDEM_OK}, " ended well"},
    {{.name = "%s%n", .status = TANDEM_OK}, "%s%n ended well"},
};

static void every_end_has_its_line(void)
{
    for (size_t i = 0; i < count_of(cases); i++) {
        char line[512];
        assert_int_equal(tandem_describe(&cases[i].task, line, sizeof line), strlen(cases[i].line));
        assert_string_equal(line, cases[i].line);
    }
}

/* The number of this error is not the same on all systems. */
static void a_program_that_had_threads_is_told_what_to_do(void)
{
    static const tandem_report late = {.queued_ns = AT, .ended_ns = AT, .step = "tandem_init"};
    static const tandem_task task = {.status = TANDEM_NOT_STARTED, .code = ENOTSUP, .report = &late};
    char line[512], expected[512];
    snprintf(
        expected, sizeof expected,
        "the task was not started: tandem_init: not possible here: worker processes need tandem_init() before the program's "
        "first thread (error %d); the program had threads when its first pool was made: call tandem_init() first thing in main()",
        ENOTSUP);
    assert_int_equal(tandem_describe(&task, line, sizeof line), strlen(expected));
    assert_string_equal(line, expected);
}

static void a_line_that_is_cut_still_tells_its_full_length(void)
{
    for (size_t i = 0; i < count_of(cases); i++) {
        size_t length = strlen(cases[i].line);
        assert_int_equal(tandem_describe(&cases[i].task, NULL, 0), length);
        for (size_t size = 0; size <= length + 2; size++) {
            char cut[512];
            memset(cut, '#', sizeof cut);
            assert_int_equal(tandem_describe(&cases[i].task, cut, size), length);
            size_t there = size == 0 ? 0 : size <= length ? size - 1 : length;
            assert_memory_equal(cut, cases[i].line, there);
            if (size > 0) assert_int_equal(cut[there], 0);
            assert_int_equal(cut[size > 0 ? there + 1 : 0], '#'); /* nothing beyond */
        }
    }
}

static void a_description_without_a_task_or_a_place_is_refused(void)
{
    char line[8];
    assert_int_equal(tandem_describe(NULL, line, sizeof line), -EINVAL);
    assert_int_equal(tandem_describe(&cases[0].task, NULL, 1), -EINVAL);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(every_end_has_its_line),
        test(a_program_that_had_threads_is_told_what_to_do),
        test(a_line_that_is_cut_still_tells_its_full_length),
        test(a_description_without_a_task_or_a_place_is_refused),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
