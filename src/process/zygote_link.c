/* zygote_link.c - the host's end of the line to the zygote. */
#define _POSIX_C_SOURCE 200809L
#include "process/zygote_link.h"

#include "base/atomics.h"
#include "base/fds.h"
#include "base/platform.h"
#include "base/proc.h"
#include "base/reactor.h"
#include "child/zygote.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static struct link {
    _Atomic bool alive; /* set by start, cleared by whoever reads the end of the socket or stops it */
    pid_t pid;
    /* the reactor's */
    struct tdm_source source; /* its fd is the socket */
    unsigned listeners;
    uint64_t numbers;         /* given out so far */
    struct tdm_node children; /* asked for or alive */
    struct tdm_node outgoing; /* want something sent that the socket would not take yet */
} zygote = {.source.fd = -1};

/* ---- starting and ending ---- */

static void ready(struct tdm_source *source, unsigned events);

/* All signals are blocked across the fork: a handler of the host's must not run in the zygote.  What stdio still holds is written
 * first, or every process of ours would write it again. */
static pid_t fork_zygote(int ends[2])
{
    sigset_t all, before;
    pid_t host = getpid();
    fflush(NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    tdm_fds_hand_down(true);
    pid_t pid = tdm_platform_fork_unseen();
    if (pid == 0) tdm_zygote_main(ends[1], host);
    tdm_fds_hand_down(false);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

/* One that died while nobody listened is found here. */
static bool has_ended(void)
{
    struct pollfd socket = {.fd = zygote.source.fd, .events = POLLIN};
    return poll(&socket, 1, 0) == 1 && socket.revents & POLLHUP;
}

int tdm_zygote_start(bool asked_for)
{
    bool alive = load_seq(&zygote.alive);
    int threads = tdm_proc_threads();
    if (alive && (threads != 1 || !has_ended())) return 0; /* with a reactor there are more threads, and it listens */
    if (threads > 1 || (threads < 0 && !asked_for)) return -ENOTSUP;
    if (zygote.pid > 0) tdm_zygote_stop(); /* one that died by itself */
    int ends[2];
    int error = tdm_fds_socketpair(ends);
    if (error == 0) error = tdm_fds_nonblocking(ends[0]);
    if (error != 0) return error;
    tdm_proc_note_code();
    pid_t pid = fork_zygote(ends);
    tdm_fds_close(&ends[1]);
    if (pid < 0) {
        tdm_fds_close(&ends[0]);
        return (int)pid;
    }
    tdm_list_init(&zygote.children);
    tdm_list_init(&zygote.outgoing);
    zygote.pid = pid;
    zygote.listeners = 0;
    zygote.source = (struct tdm_source){.fd = ends[0], .ready = ready};
    store_seq(&zygote.alive, true);
    return 0;
}

/* The socket's end tells it to go; a child that the host has forked may hold a copy, so it is shut down, not only closed. */
void tdm_zygote_stop(void)
{
    if (zygote.pid <= 0) return;
    store_seq(&zygote.alive, false);
    shutdown(zygote.source.fd, SHUT_RDWR);
    tdm_fds_close(&zygote.source.fd);
    tdm_platform_end_unseen(zygote.pid);
    zygote.pid = 0;
}

void tdm_zygote_reset(void) { zygote = (struct link){.source.fd = -1}; }

/* ---- sending ---- */

static void close_fds(struct tdm_child *child)
{
    for (int i = 0; i < TDM_WORKER_FDS; i++) tdm_fds_close(&child->fds[i]);
}

void tdm_zygote_forget(struct tdm_child *child)
{
    if (child->number == 0) return;
    tdm_list_remove(&child->link);
    tdm_list_remove(&child->outgoing);
    close_fds(child);
    child->number = 0;
    child->pid = 0;
    child->wants_spawn = child->wants_kill = false;
}

static void died(void)
{
    if (!exchange_seq(&zygote.alive, false)) return;
    tdm_reactor_watch(&zygote.source, 0);
    for (struct tdm_node *node; (node = tdm_list_pop_front(&zygote.children)) != NULL;) {
        struct tdm_child *child = container_of(node, struct tdm_child, link);
        bool was_spawned = child->pid != 0;
        tdm_zygote_forget(child);
        if (was_spawned)
            child->orphaned(child);
        else
            child->spawned(child, ECHILD);
    }
}

/* 0, or a negative errno value.  A kill for a worker whose pid is not known yet waits for SPAWNED. */
static int send_wants(struct tdm_child *child)
{
    if (child->wants_spawn) {
        struct tdm_zygote_request request = {.kind = TDM_SPAWN, .number = child->number};
        int error = tdm_fds_send(zygote.source.fd, &request, sizeof request, child->fds, TDM_WORKER_FDS);
        if (error != 0) return error;
        child->wants_spawn = false;
        close_fds(child);
    }
    if (child->wants_kill && child->pid != 0) {
        struct tdm_zygote_request request = {.kind = TDM_KILL, .pid = child->pid};
        int error = tdm_fds_send(zygote.source.fd, &request, sizeof request, NULL, 0);
        if (error != 0) return error;
        child->wants_kill = false;
    }
    return 0;
}

/* First come, first served; what the socket does not take now goes when it has room. */
static void flush(void)
{
    while (!tdm_list_empty(&zygote.outgoing)) {
        struct tdm_child *child = container_of(zygote.outgoing.next, struct tdm_child, outgoing);
        int error = send_wants(child);
        if (error == -EAGAIN) break;
        tdm_list_remove(&child->outgoing);
        if (error == 0 || error == -EPIPE) continue; /* a zygote that is gone is noticed by the end of its socket */
        if (!child->wants_spawn) continue;           /* a kill: the lifeline is closed all the same */
        tdm_zygote_forget(child);
        child->spawned(child, -error);
    }
    unsigned wants = TDM_POLL_IN | (tdm_list_empty(&zygote.outgoing) ? 0u : TDM_POLL_OUT);
    if (load_seq(&zygote.alive)) tdm_reactor_watch(&zygote.source, wants);
}

static void queue(struct tdm_child *child)
{
    tdm_list_remove(&child->outgoing);
    tdm_list_push_back(&zygote.outgoing, &child->outgoing);
    flush();
}

void tdm_zygote_spawn(struct tdm_child *child)
{
    child->number = ++zygote.numbers;
    child->pid = 0;
    child->wants_spawn = true;
    child->wants_kill = false;
    tdm_list_init(&child->outgoing);
    tdm_list_push_back(&zygote.children, &child->link);
    if (load_seq(&zygote.alive)) {
        queue(child);
    } else {
        tdm_zygote_forget(child);
        child->spawned(child, ECHILD);
    }
}

void tdm_zygote_kill(struct tdm_child *child)
{
    if (child->number == 0) return;
    child->wants_kill = true;
    queue(child);
}

/* ---- hearing ---- */

static struct tdm_child *find(const struct tdm_zygote_notice *notice)
{
    for (struct tdm_node *node = zygote.children.next; node != &zygote.children; node = node->next) {
        struct tdm_child *child = container_of(node, struct tdm_child, link);
        if (notice->kind == TDM_SPAWNED ? child->number == notice->number : child->pid == notice->pid) return child;
    }
    return NULL;
}

static void hear(const struct tdm_zygote_notice *notice)
{
    struct tdm_child *child = find(notice);
    if (!child) return;
    if (notice->kind == TDM_ENDED) {
        tdm_zygote_forget(child);
        child->ended(child, notice->signal, notice->code);
    } else if (notice->pid < 0) {
        tdm_zygote_forget(child);
        child->spawned(child, -notice->pid);
    } else {
        child->pid = notice->pid;
        if (child->wants_kill) queue(child);
        child->spawned(child, 0);
    }
}

static void ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    struct tdm_zygote_notice notice;
    int none[TDM_FDS_MOST], got;
    while ((got = tdm_fds_receive(source->fd, &notice, sizeof notice, none)) == 1) hear(&notice);
    if (got == 0 || (got < 0 && got != -EAGAIN))
        died();
    else
        flush();
}

void tdm_zygote_listen(void)
{
    if (zygote.listeners++ == 0 && load_seq(&zygote.alive)) tdm_reactor_watch(&zygote.source, TDM_POLL_IN);
}

void tdm_zygote_unlisten(void)
{
    if (--zygote.listeners == 0 && load_seq(&zygote.alive)) tdm_reactor_watch(&zygote.source, 0);
}
