/* zygote.c - the process that forks workers. */
#define _POSIX_C_SOURCE 200809L
#include "child/zygote.h"

#include "base/fds.h"
#include "base/platform.h"
#include "child/after_fork.h"
#include "child/process_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
    int socket;
    int host_watch; /* readable when the host has ended, or -1.  A child that the host forked may hold the socket open for long */
    sigset_t while_waiting;
    pid_t *workers;
    size_t count, room;
} zygote;

/* ---- setting up ---- */

static void nothing_but_wake(int signal) { (void)signal; }

/* Children's ends are taken note of only while waiting, so none falls between a look and a sleep.  A terminal's signals are for the
 * host alone; who wants this process to end ends the host. */
static void set_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
    tdm_after_fork_default_signals();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    struct sigaction action = {.sa_handler = nothing_but_wake};
    sigaction(SIGCHLD, &action, NULL);
    sigset_t mask;
    sigemptyset(&mask);
    zygote.while_waiting = mask;
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* The socket gets the lowest number that is not stdio's, because select() takes only small ones. */
static void set_descriptors(int socket, pid_t host)
{
    if (socket != 3) {
        dup2(socket, 3);
        socket = 3;
    }
    fcntl(socket, F_SETFD, FD_CLOEXEC);
    tdm_after_fork_close_all_but(&socket, 1);
    zygote.socket = socket;
    zygote.host_watch = tdm_platform_watch_process(host);
}

/* ---- workers ---- */

static bool make_room(void)
{
    if (zygote.count < zygote.room) return true;
    size_t larger = zygote.room ? zygote.room * 2 : 64;
    pid_t *more = realloc(zygote.workers, larger * sizeof *more);
    if (!more) return false;
    zygote.workers = more;
    zygote.room = larger;
    return true;
}

/* Its index, or count. */
static size_t find(pid_t pid)
{
    size_t i = 0;
    while (i < zygote.count && zygote.workers[i] != pid) i++;
    return i;
}

/* Only for a child that has not been reaped: until then neither its pid nor its group can be anybody else's. */
static void kill_group(pid_t pid)
{
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
}

static _Noreturn void leave(void)
{
    for (size_t i = 0; i < zygote.count; i++) kill_group(zygote.workers[i]);
    _exit(0);
}

/* Blocks while the host does not read; a host that is gone ends it. */
static void tell(const struct tdm_zygote_notice *notice)
{
    if (tdm_fds_send(zygote.socket, notice, sizeof *notice, NULL, 0) != 0) leave();
}

static void spawn(const struct tdm_zygote_request *request, const int fds[TDM_WORKER_FDS])
{
    struct tdm_zygote_notice notice = {.kind = TDM_SPAWNED, .number = request->number};
    pid_t pid = make_room() ? fork() : -1;
    if (pid == 0) tdm_worker_main(fds);
    if (pid > 0) {
        setpgid(pid, pid); /* here and in the worker: whoever comes first, before anybody is told the pid */
        zygote.workers[zygote.count++] = pid;
        notice.pid = pid;
    } else {
        notice.pid = -errno;
    }
    tell(&notice);
}

static void report_ends(void)
{
    for (;;) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
        size_t index = find(info.si_pid);
        if (index < zygote.count) {
            kill_group(info.si_pid); /* what it left behind in its group; the zombie still holds the number */
            struct tdm_zygote_notice notice = {.kind = TDM_ENDED, .pid = info.si_pid};
            if (info.si_code == CLD_EXITED)
                notice.code = info.si_status;
            else
                notice.signal = info.si_status;
            tell(&notice);
            zygote.workers[index] = zygote.workers[--zygote.count];
        }
        waitpid(info.si_pid, NULL, 0);
    }
}

/* ---- serving ---- */

static void serve(void)
{
    struct tdm_zygote_request request;
    int fds[TDM_FDS_MOST];
    int got = tdm_fds_receive(zygote.socket, &request, sizeof request, fds);
    if (got == -EMFILE) {
        tell(&(struct tdm_zygote_notice){.kind = TDM_SPAWNED, .number = request.number, .pid = -EMFILE});
    } else if (got <= 0) {
        leave();
    } else if (request.kind == TDM_SPAWN) {
        spawn(&request, fds);
    } else if (request.kind == TDM_KILL && find(request.pid) < zygote.count) {
        kill_group(request.pid);
    }
    for (int i = 0; i < TDM_FDS_MOST; i++)
        if (fds[i] >= 0) close(fds[i]);
}

_Noreturn void tdm_zygote_main(int socket, pid_t host)
{
    set_signals();
    setpgid(0, 0);
    tdm_after_fork_adopt();
    tdm_after_fork_set_stdio();
    set_descriptors(socket, host);
    tdm_platform_name_thread("tandem-zygote");
    for (;;) {
        report_ends();
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(zygote.socket, &readable);
        if (zygote.host_watch >= 0) FD_SET(zygote.host_watch, &readable);
        int most = zygote.host_watch > zygote.socket ? zygote.host_watch : zygote.socket;
        if (pselect(most + 1, &readable, NULL, NULL, NULL, &zygote.while_waiting) <= 0) continue;
        if (zygote.host_watch >= 0 && FD_ISSET(zygote.host_watch, &readable)) leave();
        if (FD_ISSET(zygote.socket, &readable)) serve();
    }
}
