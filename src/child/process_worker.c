/* process_worker.c - a worker process's life. */
#define _POSIX_C_SOURCE 200809L
#include "child/process_worker.h"

#include "base/fds.h"
#include "base/identity.h"
#include "base/platform.h"
#include "child/after_fork.h"
#include "job/context.h"
#include "job/control.h"
#include "job/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above what programs use themselves, and where a program that counts on the lowest free number never gets in the way. */
#define LOWEST_OWN 64

static struct {
    struct tdm_channel channel;
    struct tdm_control *control;
    int lifeline;
    uint32_t identity; /* differs in a child that a task has forked */
    struct tdm_setup setup;
    void *argument;
    void *data; /* what on_worker_start left */
} worker;

/* ---- setting up ---- */

static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_OWN);
    return moved < 0 ? fd : moved; /* too low a limit of descriptors: it stays where it is */
}

static void set_descriptors(const int fds[TDM_WORKER_FDS])
{
    int own[TDM_WORKER_FDS];
    for (int i = 0; i < TDM_WORKER_FDS; i++) own[i] = move_up(fds[i]);
    worker.channel.in = own[TDM_WORKER_REQUESTS];
    worker.channel.out = own[TDM_WORKER_REPLIES];
    worker.lifeline = own[TDM_WORKER_LIFELINE];
    int control = own[TDM_WORKER_CONTROL];
    void *page = mmap(NULL, TDM_CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, control, 0);
    if (page == MAP_FAILED) _exit(TDM_EXIT_CHANNEL_LOST);
    worker.control = page;
    int keep[] = {worker.channel.in, worker.channel.out, worker.lifeline};
    tdm_after_fork_close_all_but(keep, sizeof keep / sizeof *keep);
}

static void set_signals(void)
{
    tdm_after_fork_default_signals();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool read_setup(void)
{
    struct tdm_frame frame;
    struct tdm_channel *channel = &worker.channel;
    if (!tdm_channel_read(channel, &frame, sizeof frame) || frame.kind != TDM_FRAME_SETUP) return false;
    if (!tdm_channel_read(channel, &worker.setup, sizeof worker.setup)) return false;
    size_t size = frame.payload - sizeof worker.setup;
    if (size > 0) worker.argument = malloc(size);
    return size == 0 || (worker.argument && tdm_channel_read(channel, worker.argument, size));
}

static void send_plain(enum tdm_frame_kind kind, const struct tdm_frame *about, int code)
{
    struct tdm_frame frame = tdm_frame_make(kind, 0);
    frame.code = code;
    if (about) frame.sequence = about->sequence, frame.entry = about->entry;
    if (tdm_channel_write(&worker.channel, &frame, NULL) != 0) _exit(TDM_EXIT_CHANNEL_LOST);
}

typedef int start_fn(void **worker_data, void *argument);
typedef void stop_fn(void *worker_data, void *argument);

static void start(void)
{
    start_fn *on_start = (start_fn *)(uintptr_t)worker.setup.on_start;
    int code = on_start ? on_start(&worker.data, worker.argument) : 0;
    if (tdm_identity() != worker.identity) _exit(TDM_EXIT_LEFT); /* on_worker_start forked, and this is the child */
    fflush(NULL);
    send_plain(code == 0 ? TDM_FRAME_READY : TDM_FRAME_FAILED, NULL, code);
    if (code != 0) _exit(TDM_EXIT_LEFT);
}

static _Noreturn void leave(void)
{
    stop_fn *on_stop = (stop_fn *)(uintptr_t)worker.setup.on_stop;
    if (on_stop) on_stop(worker.data, worker.argument);
    fflush(NULL);
    _exit(TDM_EXIT_LEFT);
}

/* ---- after each task: is this still the worker it was? ---- */

/* A child, or a descriptor of ours or of stdio that has been closed: the next task must not find that.  The result of the last one
 * has been sent already. */
static bool is_clean(void)
{
    siginfo_t info;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) return false;
    struct pollfd fds[] = {
        {.fd = 0}, {.fd = 1}, {.fd = 2}, {.fd = worker.channel.in}, {.fd = worker.channel.out}, {.fd = worker.lifeline}};
    nfds_t count = sizeof fds / sizeof *fds;
    poll(fds, count, 0);
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].revents & POLLNVAL) return false;
    return true;
}

/* ---- a task ---- */

/* The whole input, in memory that suits any type; false: it could not be had, and is thrown away. */
static bool read_input(const struct tdm_frame *frame, void **input)
{
    *input = frame->payload > 0 ? malloc(frame->payload) : NULL;
    bool have = *input || frame->payload == 0;
    bool there =
        have ? tdm_channel_read(&worker.channel, *input, frame->payload) : tdm_channel_skip(&worker.channel, frame->payload);
    if (!there) _exit(TDM_EXIT_LEFT);
    return have;
}

static void reply(const struct tdm_frame *task, tandem_context *context, int code)
{
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_REPLY, context->output_size);
    frame.sequence = task->sequence;
    frame.entry = task->entry;
    frame.code = code;
    if (context->output) frame.flags |= TDM_FRAME_HAS_OUTPUT;
    if (tdm_channel_write(&worker.channel, &frame, context->output) != 0) _exit(TDM_EXIT_CHANNEL_LOST);
}

/* What stdout and stderr hold is written before the reply: who has the result has the output too. */
static void run(const struct tdm_frame *task, void *input)
{
    tandem_context context = {.isolation = TANDEM_PROCESS, .worker_data = worker.data, .reply_most = TDM_FRAME_PAYLOAD_MOST};
    tandem_fn *function = (tandem_fn *)(uintptr_t)task->function;
    int code = function(&context, input, task->payload);
    if (tdm_identity() != worker.identity) _exit(TDM_EXIT_LEFT); /* the task forked and returned in both */
    fflush(stdout);
    fflush(stderr);
    reply(task, &context, code);
    tdm_context_drop_output(&context);
}

/* Claimed on the header, before memory is taken for the payload: an input that kills its reader is this task's, nobody else's.  A
 * finish that fails because the host won means: touch nothing more.  One that fails otherwise: the host has read the reply already and
 * the word is the next task's. */
static void take(const struct tdm_frame *task)
{
    if (!tdm_control_move(worker.control, task->entry, task->sequence, TDM_OFFERED, TDM_CLAIMED)) {
        if (!tdm_channel_skip(&worker.channel, task->payload)) _exit(TDM_EXIT_LEFT);
        return;
    }
    void *input;
    if (read_input(task, &input))
        run(task, input);
    else
        send_plain(TDM_FRAME_REFUSED, task, ENOMEM);
    if (!tdm_control_move(worker.control, task->entry, task->sequence, TDM_CLAIMED, TDM_FINISHED) &&
        tdm_control_is(worker.control, task->entry, task->sequence, TDM_KILLING))
        _exit(TDM_EXIT_LEFT);
    free(input);
    if (!is_clean()) leave();
}

_Noreturn void tdm_worker_main(const int fds[TDM_WORKER_FDS])
{
    setpgid(0, 0);
    tdm_platform_arm_lifeline(fds[TDM_WORKER_LIFELINE]);
    set_signals();
    tdm_after_fork_adopt();
    set_descriptors(fds);
    worker.identity = tdm_identity();
    tdm_platform_shield_exit();
    if (!read_setup()) _exit(TDM_EXIT_LEFT);
    tdm_platform_name_thread(worker.setup.name);
    start();
    for (struct tdm_frame frame; tdm_channel_read(&worker.channel, &frame, sizeof frame);) {
        if (frame.kind == TDM_FRAME_LEAVE) leave();
        take(&frame);
    }
    _exit(TDM_EXIT_LEFT);
}
