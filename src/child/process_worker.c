/* process_worker.c - a worker process's life. */
#define _XOPEN_SOURCE 700
#include "child/process_worker.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fds.h"
#include "base/identity.h"
#include "base/memory.h"
#include "base/platform.h"
#include "base/proc.h"
#include "base/quick_clock.h"
#include "base/region.h"
#include "child/after_fork.h"
#include "child/crash_handler.h"
#include "child/roll.h"
#include "child/task_limits.h"
#include "child/worker_talk.h"
#include "job/context.h"
#include "job/control.h"
#include "job/member.h"
#include "job/payload.h"
#include "job/setup.h"
#include "job/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Above what programs use themselves, and where a program that counts on the lowest free number never gets in the way. */
#define LOWEST_OWN 64

static struct {
    struct tdm_channel channel;
    struct tdm_control *control;
    int lifeline;
    int parcels;
    int shared;        /* -1 once it is mapped, but see reach() */
    size_t reached;    /* of the shared memory's window */
    uint32_t identity; /* differs in a child that a task has forked */
    struct tdm_setup setup;
    void *argument;
    void *data; /* what on_worker_start left */
    bool has_said_tired;
    /* what on_worker_start has left is no task's fault */
    bool had_child;
    int threads;
    sigset_t mask;
    uint64_t memory;
    /* looking at oneself */
    uint64_t cheapest_call_ns; /* what the cheapest system call takes */
    uint64_t begun_ns;         /* the task in hand */
    struct tdm_quick_clock clock;
    bool may_be_unclean; /* a task has had the time for a system call since the last look */
    unsigned unlooked;   /* tasks since then */
    struct tdm_use used; /* up to used_ns, when it had slept for slept_ns; what it did not sleep since it has been running */
    uint64_t used_ns, slept_ns;
} worker;

/* ---- setting up ---- */

static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_OWN);
    return moved < 0 ? fd : moved; /* too low a limit of descriptors: it stays where it is */
}

/* There are rings if the memory is large enough for them. */
static void map_page(int fd)
{
    struct stat memory;
    if (fstat(fd, &memory) != 0) _exit(TDM_EXIT_CHANNEL_LOST);
    bool has_rings = (uint64_t)memory.st_size >= sizeof(struct tdm_shared_page);
    size_t size = has_rings ? sizeof(struct tdm_shared_page) : TDM_CONTROL_SIZE;
    struct tdm_shared_page *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) _exit(TDM_EXIT_CHANNEL_LOST);
    tdm_platform_keep_out_of_dumps(page, size);
    worker.control = &page->control;
    if (!has_rings) return;
    worker.channel.in.rings = worker.channel.out.rings = &page->rings;
    worker.channel.in.ring = tdm_ring_of_requests(&page->rings);
    worker.channel.out.ring = tdm_ring_of_replies(&page->rings);
}

static void set_descriptors(const int fds[TDM_WORKER_FDS])
{
    if (fds[TDM_WORKER_CWD] >= 0 && fchdir(fds[TDM_WORKER_CWD]) != 0) _exit(TDM_EXIT_CHANNEL_LOST);
    if (fds[TDM_WORKER_OUTPUT] >= 0) dup2(fds[TDM_WORKER_OUTPUT], STDOUT_FILENO);
    if (fds[TDM_WORKER_ERRORS] >= 0) dup2(fds[TDM_WORKER_ERRORS], STDERR_FILENO);
    worker.channel.in.fd = move_up(fds[TDM_WORKER_REQUESTS]);
    worker.channel.out.fd = move_up(fds[TDM_WORKER_REPLIES]);
    worker.lifeline = move_up(fds[TDM_WORKER_LIFELINE]);
    worker.parcels = move_up(fds[TDM_WORKER_PARCELS]);
    worker.shared = fds[TDM_WORKER_SHARED] < 0 ? -1 : move_up(fds[TDM_WORKER_SHARED]);
    map_page(fds[TDM_WORKER_CONTROL]);
    int keep[] = {worker.channel.in.fd, worker.channel.out.fd, worker.lifeline, worker.parcels, worker.shared};
    tdm_after_fork_close_all_but(keep, sizeof keep / sizeof *keep);
}

static void set_signals(void)
{
    tdm_after_fork_default_signals();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool read_bytes(char **to, uint64_t size)
{
    if (size == 0) return true;
    *to = malloc((size_t)size);
    return *to && tdm_channel_read(&worker.channel, *to, (size_t)size);
}

static char *shared_start(void) { return (char *)(uintptr_t)worker.setup.shared_address; }

/* Under valgrind only: how far the shared file goes now.  What the program allocates there while a task runs is not seen by that task. */
static void reach(void)
{
    struct stat file;
    if (worker.shared < 0 || fstat(worker.shared, &file) != 0) return;
    size_t end = (uint64_t)file.st_size < worker.setup.shared_size ? (size_t)file.st_size : (size_t)worker.setup.shared_size;
    if (end <= worker.reached) return;
    mprotect(shared_start() + worker.reached, end - worker.reached, PROT_READ | PROT_WRITE);
    worker.reached = end;
}

/* The window is far longer than the file.  Valgrind looks for leaks in all that may be written, word by word, and each word beyond the
 * file's end would cost it a signal: for days, where others see no difference. */
static bool must_hide_what_is_not_there(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    bool under_valgrind = preloaded && strstr(preloaded, "/vgpreload_");
    return under_valgrind && mprotect(shared_start(), (size_t)worker.setup.shared_size, PROT_NONE) == 0;
}

/* At the host's addresses, which are reserved here too.  A pool that a task makes has a region of its own. */
static bool map_shared(void)
{
    tdm_member_become(worker.setup.number, 0, 0, NULL);
    if (worker.setup.shared_size == 0 || worker.shared < 0) return worker.setup.shared_size == 0;
    struct tdm_span at = {shared_start(), (size_t)worker.setup.shared_size};
    int error = tdm_region_map(at, worker.shared, 0);
    if (error == 0 && must_hide_what_is_not_there()) {
        reach();
    } else {
        close(worker.shared);
        worker.shared = -1;
    }
    tdm_region_leave();
    tdm_member_become(worker.setup.number, (uintptr_t)at.start, error == 0 ? at.size : 0, &worker.control->holdings);
    return error == 0;
}

static bool read_setup(void)
{
    struct tdm_frame frame;
    struct tdm_channel *channel = &worker.channel;
    char *environment = NULL, *argument = NULL;
    if (!tdm_channel_read(channel, &frame, sizeof frame) || frame.kind != TDM_FRAME_SETUP) return false;
    if (!tdm_channel_read(channel, &worker.setup, sizeof worker.setup)) return false;
    if (!read_bytes(&environment, worker.setup.environment_size) || !read_bytes(&argument, worker.setup.argument_size))
        return false;
    worker.argument = argument;
    tdm_worker_talk_open(channel, worker.control, worker.parcels);
    if (!tdm_worker_talk_set_data(worker.setup.data_version, worker.setup.data_size)) return false;
    if (!tdm_channel_skip(channel, frame.payload - (size_t)tdm_setup_size(&worker.setup))) return false;
    if (!map_shared()) return false;
    tdm_setup_adopt(&worker.setup, environment);
    return true;
}

/* All workers are copies of one process, whose numbers would all be the same. */
static void set_seeds(uint64_t seed)
{
    srand((unsigned)seed);
    srandom((unsigned)(seed >> 16));
    srand48((long)(seed >> 32));
}

static void silence(int stream)
{
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, stream);
    if (null > STDERR_FILENO) close(null);
}

static void set_rest(void)
{
    if (worker.setup.output_nowhere) silence(STDOUT_FILENO);
    if (worker.setup.error_nowhere) silence(STDERR_FILENO);
    set_seeds(worker.setup.seed);
    if (tdm_platform_cpus() > 1) worker.channel.watch.now_ns = worker.channel.watch.most_ns = (uint32_t)worker.setup.watch_ns;
    tdm_platform_offer_to_oom();
    tdm_platform_name_thread(worker.setup.name);
    tdm_platform_shield_exit();
    tdm_payload_set_keeping(worker.setup.memory_per_worker == 0); /* else it would count */
    if (!worker.setup.no_crash_report) tdm_crash_handler_install(&worker.control->last_words);
}

static void send_plain(enum tdm_frame_kind kind, const struct tdm_frame *about, int code, const struct tdm_use *use)
{
    struct tdm_frame frame = tdm_frame_make(kind, 0);
    if (use) frame.use = *use;
    frame.code = code;
    if (about) frame.sequence = about->sequence, frame.entry = about->entry;
    if (tdm_channel_write(&worker.channel, &frame, NULL) != 0) _exit(TDM_EXIT_CHANNEL_LOST);
}

typedef int start_fn(void **worker_data, void *argument);
typedef void stop_fn(void *worker_data, void *argument);

/* What a fork has copied of the program counts as resident, so only what comes on top is this worker's. */
static void note_what_is(void)
{
    siginfo_t info;
    worker.had_child = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
    worker.threads = tdm_platform_surely_single_threaded() ? 1 : tdm_proc_threads();
    if (worker.setup.memory_per_worker != 0) worker.memory = tdm_platform_private_memory();
    sigprocmask(SIG_SETMASK, NULL, &worker.mask);
}

static void start(void)
{
    start_fn *on_start = (start_fn *)(uintptr_t)worker.setup.on_start;
    tandem_context context = {.isolation = TANDEM_PROCESS, .home = worker.identity, .talk = &tdm_worker_talk};
    tdm_context_starting = &context;
    int code = on_start ? on_start(&worker.data, worker.argument) : 0;
    tdm_context_starting = NULL;
    if (tdm_identity() != worker.identity) _exit(TDM_EXIT_LEFT); /* on_worker_start forked, and this is the child */
    note_what_is();
    fflush(NULL);
    send_plain(code == 0 ? TDM_FRAME_READY : TDM_FRAME_FAILED, NULL, code, NULL);
    if (code != 0) _exit(TDM_EXIT_LEFT);
}

static _Noreturn void leave(void)
{
    tdm_channel_settle(&worker.channel);
    stop_fn *on_stop = (stop_fn *)(uintptr_t)worker.setup.on_stop;
    if (on_stop) on_stop(worker.data, worker.argument);
    fflush(NULL);
    _exit(TDM_EXIT_LEFT);
}

/* ---- after each task: is this still the worker it was? ---- */

/* A child, or a descriptor of ours or of stdio that has been closed. */
static bool has_lost_or_left_something(void)
{
    siginfo_t info;
    if (!worker.had_child && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) return true;
    struct pollfd fds[] = {{.fd = 0},
                           {.fd = 1},
                           {.fd = 2},
                           {.fd = worker.channel.in.fd},
                           {.fd = worker.channel.out.fd},
                           {.fd = worker.lifeline},
                           {.fd = worker.parcels}};
    nfds_t count = sizeof fds / sizeof *fds;
    poll(fds, count, 0);
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].revents & POLLNVAL) return true;
    return false;
}

static bool has_blocked_signals(void)
{
    sigset_t now;
    if (sigprocmask(SIG_SETMASK, NULL, &now) != 0) return false;
    for (int signal = 1; signal < 32; signal++)
        if (sigismember(&now, signal) != sigismember(&worker.mask, signal)) return true;
    return false;
}

/* Looked up in /proc only when the C library cannot rule it out. */
static bool has_threads(void) { return !tdm_platform_surely_single_threaded() && tdm_proc_threads() > worker.threads; }

static bool is_clean(void)
{
    if (has_lost_or_left_something() || has_blocked_signals() || has_threads()) return false;
    return worker.setup.no_crash_report || tdm_crash_handler_is_intact();
}

/* What one look costs is little beside such a task, and not too much beside so many. */
#define LONG_TASK_NS  50000u
#define UNLOOKED_MOST 64

/* The least of a few, so that an interruption does not count; without what the clock takes, which may be quicker when tasks are measured. */
static uint64_t measure_cheapest_call(void)
{
    uint64_t least = UINT64_MAX, nothing = UINT64_MAX;
    for (int i = 0; i < 8; i++) {
        uint64_t before = tdm_clock_ns(), again = tdm_clock_ns();
        close(-1);
        uint64_t took = tdm_clock_ns() - again;
        if (took < least) least = took;
        if (again - before < nothing) nothing = again - before;
    }
    return least > nothing ? least - nothing : 1;
}

/* The next task must find none of it; the result of the last one has been sent already.  A task that took less time than a system call has
 * made none, so it has left nothing that a look could find.  Tasks that were handed over together follow each other without a look in
 * between, unless they are long or many. */
static void stay_clean(uint64_t ran_ns, bool next_was_there)
{
    if (ran_ns >= worker.cheapest_call_ns) worker.may_be_unclean = true;
    worker.unlooked++;
    if (tdm_member_holds_any()) leave(); /* nobody here would ever open it */
    if (!worker.may_be_unclean || (next_was_there && ran_ns < LONG_TASK_NS && worker.unlooked < UNLOOKED_MOST)) return;
    worker.may_be_unclean = false;
    worker.unlooked = 0;
    if (!is_clean()) leave();
}

/* It works on until the host, which first has another ready, tells it to leave. */
static void look_at_size(void)
{
    uint64_t most = worker.setup.memory_per_worker;
    if (most == 0 || worker.has_said_tired) return;
    tdm_channel_settle(&worker.channel);
    uint64_t now = tdm_platform_private_memory();
    if (now <= worker.memory || now - worker.memory <= most) return;
    worker.has_said_tired = true;
    send_plain(TDM_FRAME_TIRED, NULL, 0, NULL);
}

/* ---- a task ---- */

static bool is_in_shared(const struct tdm_frame *task) { return task->flags & TDM_FRAME_IN_SHARED; }

/* The whole input, where it lies in shared memory or in memory that suits any type; false: it could not be had, and is thrown away. */
static bool read_input(const struct tdm_frame *frame, void **input)
{
    if (is_in_shared(frame)) {
        *input = (void *)(uintptr_t)frame->address;
        return true;
    }
    if (tdm_worker_talk_gave()) return tdm_worker_talk_input(input);
    *input = frame->payload > 0 ? tdm_payload_alloc(frame->payload) : NULL;
    bool have = *input || frame->payload == 0;
    bool there =
        have ? tdm_channel_read(&worker.channel, *input, frame->payload) : tdm_channel_skip(&worker.channel, frame->payload);
    if (!there) _exit(TDM_EXIT_LEFT);
    return have;
}

static void skip_input(const struct tdm_frame *frame)
{
    void *input;
    if (frame->kind == TDM_FRAME_MESSAGE) tdm_worker_talk_skip_fds(frame);
    if (tdm_worker_talk_gave()) {
        tdm_worker_talk_input(&input);
        tdm_payload_free(input);
    } else if (!tdm_channel_skip(&worker.channel, frame->payload)) {
        _exit(TDM_EXIT_LEFT);
    }
}

static uint64_t ns_of(const struct timeval *time) { return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u; }

static struct tdm_use use_so_far(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return (struct tdm_use){0};
    return (struct tdm_use){
        .user_ns = ns_of(&usage.ru_utime), .system_ns = ns_of(&usage.ru_stime), .peak_memory = (uint64_t)usage.ru_maxrss * 1024};
}

static uint64_t difference(uint64_t after, uint64_t before) { return after > before ? after - before : 0; }

static void look_at_use(uint64_t now_ns)
{
    worker.used = use_so_far();
    worker.used_ns = now_ns;
    worker.slept_ns = worker.channel.slept_ns;
}

/* So that the host can say what a task has used that did not come back.  Asking the system costs more than many a task, so between tasks the
 * clock must do, for so long: while it does not sleep this process runs, or waits for a processor.  Where a limit is to be judged by it, it
 * must be exact. */
#define ASK_NS 100000u

static void note_start(const struct tdm_frame *task)
{
    reach();
    worker.begun_ns = tdm_quick_clock_ns(&worker.clock);
    bool exact = task->flags & TDM_FRAME_HAS_LIMITS || difference(worker.begun_ns, worker.used_ns) > ASK_NS;
    if (exact) {
        look_at_use(worker.begun_ns);
        worker.begun_ns = tdm_quick_clock_ns(&worker.clock); /* what that took is not the task's */
    }
    uint64_t awake = exact ? 0 : difference(difference(worker.begun_ns, worker.used_ns), worker.channel.slept_ns - worker.slept_ns);
    worker.control->last_words.user_ns = worker.used.user_ns + awake;
    worker.control->last_words.system_ns = worker.used.system_ns;
}

/* For a short task the time it took is as true as what the system would say.  What was counted on by the clock, as user's, was the system's in
 * part. */
static struct tdm_use use_of(uint64_t ran_ns)
{
    struct tdm_use use = {.user_ns = ran_ns, .peak_memory = worker.used.peak_memory, .ran_ns = ran_ns};
    if (ran_ns >= LONG_TASK_NS) {
        look_at_use(tdm_clock_ns());
        use.user_ns = difference(worker.used.user_ns, worker.control->last_words.user_ns);
        uint64_t systems_ns = difference(worker.control->last_words.user_ns, worker.used.user_ns);
        use.system_ns = difference(worker.used.system_ns, worker.control->last_words.system_ns + systems_ns);
        use.peak_memory = worker.used.peak_memory;
    }
    return use;
}

/* Every field, for there may be anything. */
static void make_reply(struct tdm_frame *frame, const struct tdm_frame *task, const tandem_context *context, int code,
                       const struct tdm_use *use)
{
    frame->magic = TDM_FRAME_MAGIC;
    frame->kind = TDM_FRAME_REPLY;
    frame->entry = task->entry;
    frame->sequence = task->sequence;
    frame->code = code;
    frame->flags = context->output ? TDM_FRAME_HAS_OUTPUT : 0;
    frame->payload = (uint32_t)context->output_size;
    frame->progressed = tdm_worker_talk_has_progressed();
    frame->use = *use;
}

static void reply(const struct tdm_frame *task, tandem_context *context, int code, const struct tdm_use *use)
{
    struct tdm_frame frame, *place = context->output ? NULL : tdm_channel_place(&worker.channel);
    make_reply(place ? place : &frame, task, context, code, use);
    tdm_fault(TDM_FAULT_worker_reply_begun);
    if (place && tdm_channel_put_placed(&worker.channel)) return;
    if (place) make_reply(&frame, task, context, code, use);
    if (tdm_channel_write(&worker.channel, &frame, context->output) != 0) _exit(TDM_EXIT_CHANNEL_LOST);
}

/* A task that ends the thread it runs on ends the worker: nobody is left here who could reply. */
static void thread_ended(void *unused)
{
    (void)unused;
    _exit(tdm_identity() == worker.identity ? TDM_EXIT_THREAD_ENDED : TDM_EXIT_LEFT);
}

static int call_function(tandem_fn *function, tandem_context *context, void *input, size_t size)
{
    int code;
    pthread_cleanup_push(thread_ended, NULL);
    code = function(context, input, size);
    pthread_cleanup_pop(0);
    return code;
}

static void make_context(tandem_context *context)
{
    tdm_zero(context, sizeof *context);
    context->isolation = TANDEM_PROCESS;
    context->in_worker = true;
    context->reply_most = TDM_FRAME_PAYLOAD_MOST;
    context->talk = &tdm_worker_talk;
    context->worker_data = worker.data;
    context->home = worker.identity;
}

/* How much it may reply, or 0. */
static uint64_t begin_limited(const tandem_limits *shared)
{
    tandem_limits limits = *shared;
    tdm_payload_drop(); /* what it had of that it would not count as its own */
    tdm_task_limits_set(&limits, worker.control);
    return limits.output;
}

/* What stdout and stderr hold is written before the reply: who has the result has the output too.  How long the function took. */
static uint64_t run(const struct tdm_frame *task, void *input)
{
    tandem_context context;
    make_context(&context);
    bool limited = task->flags & TDM_FRAME_HAS_LIMITS;
    uint64_t output_most = limited ? begin_limited(&worker.control->limits[task->entry]) : 0;
    if (output_most != 0 && output_most < context.reply_most) context.reply_most = (size_t)output_most;
    size_t size = is_in_shared(task) ? (size_t)task->size : task->payload;
    tdm_worker_talk_tell_start();
    int code = call_function((tandem_fn *)(uintptr_t)task->function, &context, input, size);
    if (tdm_identity() != worker.identity) _exit(TDM_EXIT_LEFT); /* the task forked and returned in both */
    uint64_t ran_ns = difference(tdm_quick_clock_ns(&worker.clock), worker.begun_ns);
    tdm_fault(TDM_FAULT_worker_ran);
    if (context.received) tdm_context_drop_received(&context);
    tdm_payload_drop(); /* what this one did not need, the next may not either */
    tdm_platform_flush(stdout);
    tdm_platform_flush(stderr);
    if (limited) tdm_task_limits_lift(worker.control);
    struct tdm_use use = use_of(ran_ns);
    tdm_worker_talk_end();
    if (context.oversized && output_most != 0)
        send_plain(TDM_FRAME_OVERSIZED, task, 0, &use);
    else
        reply(task, &context, code, &use);
    tdm_fault(TDM_FAULT_worker_replied);
    if (context.output && context.release != tdm_payload_free)
        tdm_channel_settle(&worker.channel); /* it may wait for the task's end */
    tdm_context_drop_output(&context);
    return ran_ns;
}

/* What the host has written last, and will be written here: its reply, and the word of the task after it. */
static void expect_next(const struct tdm_frame *task)
{
    worker.channel.next_word = &worker.control->words[(task->entry + 1) % TDM_IN_HAND].now;
    worker.channel.next_offer = tdm_control_word(task->sequence + 1, TDM_OFFERED);
    if (tdm_way_has_ring(&worker.channel.out)) tdm_ring_expect(&worker.channel.out.ring, sizeof *task);
}

/* Claimed on the header, before memory is taken for the payload: an input that kills its reader is this task's, nobody else's.  A
 * finish that fails because the host won means: touch nothing more.  One that fails otherwise: the host has read the reply already and
 * the word is another task's. */
static void take(const struct tdm_frame *task)
{
    tdm_fault(TDM_FAULT_worker_read_header);
    tdm_worker_talk_begin(task);
    tdm_channel_settle_before_task(&worker.channel, task->payload);
    expect_next(task);
    if (!tdm_control_move(worker.control, task->entry, task->sequence, TDM_OFFERED, TDM_CLAIMED)) {
        skip_input(task);
        return;
    }
    tdm_fault(TDM_FAULT_worker_claimed);
    tdm_worker_talk_claimed();
    note_start(task);
    void *input;
    bool have = read_input(task, &input);
    tdm_fault(TDM_FAULT_worker_read_input);
    bool next_is_there = tdm_worker_talk_has_next() || tdm_channel_has_more(&worker.channel);
    uint64_t ran_ns = LONG_TASK_NS;
    if (have)
        ran_ns = run(task, input);
    else
        send_plain(TDM_FRAME_REFUSED, task, ENOMEM, NULL);
    if (!tdm_control_move(worker.control, task->entry, task->sequence, TDM_CLAIMED, TDM_FINISHED) &&
        tdm_control_is(worker.control, task->entry, task->sequence, TDM_KILLING))
        _exit(TDM_EXIT_LEFT); /* whoever waits for it is told by the host, which has decided its end */
    tdm_channel_look_after_rmw(&worker.channel);
    tdm_fault(TDM_FAULT_worker_finished);
    if (!is_in_shared(task)) tdm_payload_free(input);
    stay_clean(ran_ns, next_is_there);
    look_at_size();
}

/* So long memory is kept for a task that has not come yet. */
#define KEEP_NS 100000000u

/* What a task has put aside comes first.  What was meant for a task that has ended is thrown away. */
static bool read_header(struct tdm_frame *frame)
{
    if (tdm_worker_talk_next(frame)) return true;
    if (tdm_payload_has_kept() && !tdm_channel_wait(&worker.channel, tdm_clock_ns() + KEEP_NS)) tdm_payload_drop();
    return tdm_channel_read(&worker.channel, frame, sizeof *frame);
}

_Noreturn void tdm_worker_main(const int fds[TDM_WORKER_FDS])
{
    tdm_roll_add(getpid());
    setpgid(0, 0);
    tdm_platform_arm_lifeline(fds[TDM_WORKER_LIFELINE]);
    set_signals();
    tdm_after_fork_adopt();
    tdm_roll_drop();
    set_descriptors(fds);
    worker.identity = tdm_identity();
    worker.cheapest_call_ns = measure_cheapest_call();
    look_at_use(tdm_clock_ns());
    if (!read_setup()) _exit(TDM_EXIT_LEFT);
    set_rest();
    tdm_worker_talk_share((uintptr_t)worker.setup.shared_address, (size_t)worker.setup.shared_size);
    tdm_fault(TDM_FAULT_worker_set_up);
    start();
    for (struct tdm_frame frame; read_header(&frame);) {
        if (frame.kind == TDM_FRAME_LEAVE) leave();
        if (frame.kind == TDM_FRAME_TASK)
            take(&frame);
        else
            skip_input(&frame);
    }
    _exit(worker.channel.lost ? TDM_EXIT_CHANNEL_LOST : TDM_EXIT_LEFT);
}
