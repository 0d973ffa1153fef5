/* guard.c - keeper and zygote, the two processes that stand between host and workers. */
#define _POSIX_C_SOURCE 200809L
#include "child/guard.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fds.h"
#include "base/platform.h"
#include "child/after_fork.h"
#include "child/crash_handler.h"
#include "child/exec_child.h"
#include "child/process_worker.h"
#include "child/roll.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A zygote that could not be forked, or did not live for so long, is tried again after this. */
#define TRY_AGAIN_MS 50

static struct {
    pid_t host;
    int socket;
    int host_watch;  /* readable when the host has ended, or -1.  A child that the host forked may hold the socket open for long */
    int keeper_pipe; /* the zygote's: it ends with the keeper; -1 in the keeper */
    int zygote_hold; /* the keeper's: the other end */
    pid_t zygote;    /* the keeper's: 0: there is none */
    uint64_t zygote_ns; /* when it was forked */
    uint64_t tried_ns;  /* when the last was tried for */
    bool inherits;
    sigset_t while_waiting;
} guard;

static bool is_keeper(void) { return guard.keeper_pipe < 0; }

/* ---- setting up ---- */

static void nothing_but_wake(int signal) { (void)signal; }

/* Children's ends are taken note of only while waiting, so none falls between a look and a sleep. */
static void set_signals(void)
{
    tdm_after_fork_default_signals();
    tdm_after_fork_ignore_signals();
    struct sigaction action = {.sa_handler = nothing_but_wake};
    sigaction(SIGCHLD, &action, NULL);
    sigset_t mask;
    sigemptyset(&mask);
    guard.while_waiting = mask;
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* Small numbers, because select() takes no others. */
static void set_descriptors(int socket, int keeper_pipe)
{
    int keep[] = {socket, keeper_pipe};
    tdm_after_fork_close_all_but(keep, 2);
    int least = fcntl(socket, F_DUPFD_CLOEXEC, 3);
    if (least >= 0 && least < socket) {
        close(socket);
        socket = least;
    } else if (least >= 0) {
        close(least);
    }
    guard.socket = socket;
    guard.keeper_pipe = keeper_pipe;
    guard.zygote_hold = -1;
    guard.host_watch = tdm_platform_watch_process(guard.host);
    fcntl(guard.socket, F_SETFD, FD_CLOEXEC);
}

/* ---- telling ---- */

static _Noreturn void leave(void);

/* The line has failed although the host lives: to end is to hand all over to the other guard, which the host can still hear. */
static _Noreturn void give_up(void) { _exit(1); }

/* Blocks while the host does not read; a host that is gone ends it. */
static void tell(const struct tdm_guard_notice *notice, const int *fds, size_t count)
{
    int error = tdm_fds_send(guard.socket, notice, sizeof *notice, fds, count);
    for (size_t i = 0; error != 0 && i < count; i++) close(fds[i]); /* whoever waits for the end of these must see it */
    if (error == -EPIPE || error == -ECONNRESET) leave();
    if (error != 0) give_up();
}

/* ---- workers ---- */

/* Is it a child of ours, alive or not yet reaped?  Until it is reaped neither its pid nor its group can be anybody else's. */
static bool is_child(pid_t pid)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void kill_worker(pid_t pid, int signal)
{
    if (!is_child(pid)) return;
    bool is_program = tdm_roll_condemn(pid);
    kill(-pid, signal);
    if (is_program) kill(-pid, SIGCONT); /* one that is stopped could not do what it is asked for */
    if (signal == SIGKILL) kill(pid, signal);
}

/* Those that did not come are -1. */
static void sort_out(const struct tdm_guard_request *request, const int got[TDM_FDS_MOST], int fds[TDM_FDS_MOST])
{
    for (int i = 0, next = 0; i < TDM_FDS_MOST; i++) fds[i] = request->fds & 1u << i ? got[next++] : -1;
}

static void start_program(const struct tdm_guard_request *request, const int got[TDM_FDS_MOST])
{
    int fds[TDM_FDS_MOST];
    sort_out(request, got, fds);
    struct tdm_guard_notice notice = {.kind = TDM_SPAWNED, .number = request->number};
    notice.pid = tdm_exec_child(fds);
    tell(&notice, NULL, 0);
    tdm_fault(TDM_FAULT_guard_told_spawned);
}

static void spawn(const struct tdm_guard_request *request, const int got[TDM_FDS_MOST])
{
    int fds[TDM_FDS_MOST];
    sort_out(request, got, fds);
    struct tdm_guard_notice notice = {.kind = TDM_SPAWNED, .number = request->number};
    int fault = tdm_fault(TDM_FAULT_guard_fork_worker);
    pid_t pid = fault != 0 ? -1 : fork();
    int error = fault != 0 ? fault : errno;
    if (pid == 0) tdm_worker_main(fds);
    tdm_fault(TDM_FAULT_guard_forked_worker);
    if (pid > 0) {
        setpgid(pid, pid); /* here and in the worker: whoever comes first, before anybody is told the pid */
        tdm_roll_add(pid);
    }
    notice.pid = pid > 0 ? pid : -error;
    tell(&notice, NULL, 0);
    tdm_fault(TDM_FAULT_guard_told_spawned);
}

/* What it left behind in its group goes first: the zombie still holds the number. */
static void report_end(const struct tdm_end *end)
{
    tdm_fault(TDM_FAULT_guard_saw_end);
    if (tdm_roll_has_condemned(end->pid)) kill(-end->pid, SIGKILL); /* not that of a daemon which a task has made */
    struct tdm_guard_notice notice = {.kind = TDM_EXIT,
                                      .pid = end->pid,
                                      .signal = end->signal,
                                      .code = end->code,
                                      .dumped = end->dumped,
                                      .user_ns = end->user_ns,
                                      .system_ns = end->system_ns,
                                      .peak_memory = end->peak_memory};
    tell(&notice, NULL, 0);
    tdm_fault(TDM_FAULT_guard_told_end);
    waitpid(end->pid, NULL, 0);
    tdm_roll_remove(end->pid);
    tdm_fault(TDM_FAULT_guard_reaped);
}

/* ---- the other guard ---- */

static _Noreturn void serve_for_ever(void);

static _Noreturn void be_zygote(int socket, int keeper_pipe)
{
    tdm_roll_add(getpid());
    guard.zygote = 0;
    set_descriptors(socket, keeper_pipe);
    tdm_platform_name_thread("tandem-zygote");
    guard.inherits = tdm_platform_inherit_orphans();
    serve_for_ever();
}

/* 0 or -errno. */
static int fork_zygote(int *socket)
{
    int ends[2], hold[2];
    int error = tdm_platform_socketpair(ends);
    if (error != 0) return error;
    error = tdm_platform_pipe(hold);
    if (error != 0) {
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    int fault = tdm_fault(TDM_FAULT_guard_fork_guard);
    pid_t pid = fault != 0 ? -1 : fork();
    error = fault != 0 ? -fault : pid < 0 ? -errno : 0;
    if (pid == 0) be_zygote(ends[1], hold[0]);
    tdm_fault(TDM_FAULT_guard_forked_guard);
    close(ends[1]);
    close(hold[0]);
    if (error != 0) {
        close(ends[0]);
        close(hold[1]);
        return error;
    }
    if (guard.zygote_hold >= 0) close(guard.zygote_hold);
    guard.zygote_hold = hold[1];
    guard.zygote = pid;
    guard.zygote_ns = tdm_clock_ns();
    *socket = ends[0];
    return 0;
}

static void pair(void)
{
    struct tdm_guard_notice notice = {.kind = TDM_PAIR, .inherits = guard.inherits};
    int fds[2] = {-1, -1};
    guard.tried_ns = tdm_clock_ns();
    bool too_soon = guard.tried_ns - guard.zygote_ns < TRY_AGAIN_MS * 1000000u;
    int error = too_soon ? -EAGAIN : fork_zygote(&fds[0]);
    notice.pid = error != 0 ? error : guard.zygote;
    if (error == 0) fds[1] = tdm_platform_watch_process(guard.zygote);
    tell(&notice, fds, error != 0 ? 0 : fds[1] < 0 ? 1 : 2);
    tdm_fault(TDM_FAULT_guard_told_pair);
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0) close(fds[i]);
}

/* Called before any other end is told: the host must know who tells it of a dead zygote's workers. */
static void replace_dead_zygote(void)
{
    struct tdm_end end;
    if (guard.zygote == 0 || !tdm_platform_peek_end(guard.zygote, &end)) return;
    waitpid(guard.zygote, NULL, 0);
    tdm_roll_tidy();
    guard.zygote = 0;
    pair();
}

static void become_keeper(void)
{
    close(guard.keeper_pipe);
    guard.keeper_pipe = -1;
    tdm_platform_name_thread("tandem-keeper");
    tdm_roll_tidy();
    pair();
}

static void report_ends(void)
{
    struct tdm_end end;
    while (tdm_platform_peek_end(0, &end)) {
        replace_dead_zygote();
        if (end.pid == guard.zygote || !is_child(end.pid)) continue; /* died since the peek; or was the zygote */
        report_end(&end);
    }
}

/* ---- the end ---- */

/* The host is gone, or wants no more.  A dead zygote's workers are the keeper's; where they are not, the zygote,
 * whose socket has ended too, kills them itself.  What is not ours any more - a daemon that some task has made - is not waited for. */
static _Noreturn void leave(void)
{
    if (guard.zygote != 0) {
        kill(guard.zygote, guard.inherits ? SIGKILL : SIGCONT);
        waitpid(guard.zygote, NULL, 0);
    }
    for (pid_t worker; (worker = tdm_roll_find(is_child)) != 0; tdm_roll_remove(worker)) {
        kill_worker(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    _exit(0);
}

/* ---- serving ---- */

static void serve_request(void)
{
    struct tdm_guard_request request = {0};
    int fds[TDM_FDS_MOST];
    int got = tdm_fds_receive(guard.socket, &request, sizeof request, fds);
    if (got == -EMFILE)
        tell(&(struct tdm_guard_notice){.kind = TDM_SPAWNED, .number = request.number, .pid = -EMFILE}, NULL, 0);
    else if (got == 0)
        leave();
    else if (got < 0)
        give_up();
    else if (request.kind == TDM_SPAWN)
        spawn(&request, fds);
    else if (request.kind == TDM_EXEC)
        start_program(&request, fds);
    else if (request.kind == TDM_KILL)
        kill_worker(request.pid, request.signal);
    for (int i = 0; i < TDM_FDS_MOST; i++)
        if (fds[i] >= 0) close(fds[i]);
}

static void watch(fd_set *set, int fd, int *most)
{
    if (fd < 0) return;
    FD_SET(fd, set);
    if (fd > *most) *most = fd;
}

static bool is_set(const fd_set *set, int fd) { return fd >= 0 && FD_ISSET(fd, set); }

static _Noreturn void serve_for_ever(void)
{
    for (;;) {
        report_ends();
        fd_set readable;
        int most = 0;
        FD_ZERO(&readable);
        watch(&readable, guard.socket, &most);
        watch(&readable, guard.host_watch, &most);
        watch(&readable, guard.keeper_pipe, &most);
        bool wants_zygote = is_keeper() && guard.zygote == 0;
        struct timespec while_without = {.tv_nsec = TRY_AGAIN_MS * 1000000L};
        int ready = pselect(most + 1, &readable, NULL, NULL, wants_zygote ? &while_without : NULL, &guard.while_waiting);
        if (ready < 0 && errno != EINTR) give_up();
        if (wants_zygote && tdm_clock_ns() - guard.tried_ns >= TRY_AGAIN_MS * 1000000u) pair();
        if (ready <= 0) continue;
        if (is_set(&readable, guard.host_watch)) leave();
        if (is_set(&readable, guard.keeper_pipe)) become_keeper();
        if (is_set(&readable, guard.socket)) serve_request();
    }
}

_Noreturn void tdm_keeper_main(int socket, pid_t host)
{
    guard.host = host;
    set_signals();
    setpgid(0, 0);
    tdm_after_fork_adopt();
    tdm_after_fork_set_stdio();
    set_descriptors(socket, -1);
    tdm_platform_name_thread("tandem-keeper");
    guard.inherits = tdm_platform_inherit_orphans();
    tdm_crash_handler_prepare();
    pair();
    if (guard.zygote == 0) _exit(0); /* the host is told why, and gives up */
    serve_for_ever();
}
