/* guard_link.c - the host's end of the lines to keeper and zygote. */
#define _POSIX_C_SOURCE 200809L
#include "process/guard_link.h"

#include "base/atomics.h"
#include "base/clock.h"
#include "base/fds.h"
#include "base/platform.h"
#include "base/proc.h"
#include "base/reactor.h"
#include "base/region.h"
#include "child/roll.h"
#include "process/adopted.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* A guard that has not answered for so long may have been stopped; for so long: is of no use. */
#define NUDGE_NS ((uint64_t)1000000000u)
#define LOST_NS  ((uint64_t)4 * 1000000000u)

#define FIRST_PAIR_MS 10000 /* from the fork of the keeper to its first word */
#define END_MS        5000  /* from the end of its socket to its own */

struct tdm_guard {
    struct tdm_source source; /* its fd is the socket, -1: this entry is free */
    pid_t pid;
    int watch;                /* see tdm_platform_watch_process; -1: none */
    bool is_child;            /* the host's own, to be reaped */
    bool ended;               /* its socket has been read to the end */
    bool full;                /* its socket would not take what was to be sent */
    struct tdm_node children; /* whose ends it tells, and those that it was asked to fork */
};

/* Two live, and one or two whose last words are still to be read. */
#define GUARDS_MOST 4

static struct {
    _Atomic bool alive; /* set by start, cleared by whoever notices that both are gone or stops them */
    uid_t real_user, user;
    gid_t real_group, group;
    /* the reactor's, or while there is none start's and stop's */
    struct tdm_guard guards[GUARDS_MOST];
    struct tdm_guard *keeper, *zygote; /* NULL: there is none now, another will be told of */
    uint64_t zygote_lost_ns;           /* when there was none any more, or 0 */
    unsigned listeners;
    uint64_t numbers;         /* given out so far */
    struct tdm_node outgoing; /* children that want something sent: no zygote yet, or its socket would not take it */
    struct tdm_timer timer;   /* for answers that do not come */
    bool timing;              /* it is set; a later question must not put it off */
} line;

static void ready(struct tdm_source *source, unsigned events);
static void look_for_answers(struct tdm_timer *timer);

/* ---- the guards themselves ---- */

static void open_line(void)
{
    for (int i = 0; i < GUARDS_MOST; i++) line.guards[i] = (struct tdm_guard){.source.fd = -1, .watch = -1};
    line.keeper = line.zygote = NULL;
    line.zygote_lost_ns = 0;
    line.listeners = 0;
    line.timing = false;
    line.timer.due = look_for_answers;
    tdm_list_init(&line.outgoing);
}

/* NULL: there are too many, or the descriptor cannot be had: it is closed. */
static struct tdm_guard *add_guard(pid_t pid, int socket, int watch)
{
    struct tdm_guard *guard = line.guards;
    while (guard < line.guards + GUARDS_MOST && guard->source.fd >= 0) guard++;
    if (guard == line.guards + GUARDS_MOST || tdm_fds_nonblocking(socket) != 0) {
        tdm_fds_close(&socket);
        tdm_fds_close(&watch);
        return NULL;
    }
    *guard = (struct tdm_guard){.source = {.fd = socket, .ready = ready}, .pid = pid, .watch = watch};
    tdm_list_init(&guard->children);
    if (line.listeners > 0) tdm_reactor_watch(&guard->source, TDM_POLL_IN);
    return guard;
}

static void drop_guard(struct tdm_guard *guard)
{
    if (guard->source.wants != 0) tdm_reactor_watch(&guard->source, 0);
    tdm_fds_close(&guard->source.fd);
    if (guard->is_child) tdm_platform_end_unseen(guard->pid);
    tdm_fds_close(&guard->watch);
    if (line.listeners > 0) tdm_adopted_look();
}

/* While its socket has not ended the process is there, so the number is its own even where there is nothing better. */
static void signal_guard(const struct tdm_guard *guard, int signal)
{
    if (guard->ended || tdm_platform_signal_watched(guard->watch, signal)) return;
    struct pollfd socket = {.fd = guard->source.fd, .events = POLLIN};
    if (poll(&socket, 1, 0) >= 0 && !(socket.revents & POLLHUP) && guard->pid > 1) kill(guard->pid, signal);
}

/* ---- starting and ending ---- */

/* All signals are blocked across the fork: a handler of the host's must not run in the keeper.  What stdio still holds is written
 * first, or every process of ours would write it again. */
static pid_t fork_keeper(int ends[2])
{
    sigset_t all, before;
    pid_t host = getpid();
    fflush(NULL);
    tdm_roll_open();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    tdm_fds_hand_down(true);
    pid_t pid = tdm_platform_fork_unseen();
    if (pid == 0) {
        tdm_region_reset(); /* what pools have in it is for the host and for workers of theirs */
        tdm_keeper_main(ends[1], host);
    }
    tdm_fds_hand_down(false);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid;
}

static int hear_all(struct tdm_guard *guard);

/* Its first word is of the zygote. */
static int await_pair(struct tdm_guard *keeper)
{
    uint64_t deadline = tdm_clock_deadline(FIRST_PAIR_MS);
    line.keeper = keeper;
    while (!line.zygote && !keeper->ended) {
        struct pollfd socket = {.fd = keeper->source.fd, .events = POLLIN};
        uint64_t now = tdm_clock_ns();
        if (now >= deadline) return -ETIMEDOUT;
        if (poll(&socket, 1, (int)((deadline - now) / 1000000) + 1) < 0) continue;
        int error = hear_all(keeper);
        if (error != 0) return error;
    }
    return line.zygote ? 0 : -ECHILD;
}

static int start(void)
{
    int ends[2];
    int error = tdm_fds_socketpair(ends);
    if (error != 0) return error;
    open_line();
    tdm_region_open(); /* before the fork, so that it is free at the same place in all workers */
    tdm_proc_note_code();
    line.real_user = getuid();
    line.user = geteuid();
    line.real_group = getgid();
    line.group = getegid();
    pid_t pid = fork_keeper(ends);
    tdm_fds_close(&ends[1]);
    if (pid < 0) {
        tdm_fds_close(&ends[0]);
        return (int)pid;
    }
    int watch = tdm_platform_watch_process(pid);
    if (watch >= 0) watch = tdm_fds_take_in(watch);
    struct tdm_guard *keeper = add_guard(pid, ends[0], watch < 0 ? -1 : watch);
    if (keeper)
        keeper->is_child = true;
    else
        tdm_platform_end_unseen(pid);
    error = keeper ? await_pair(keeper) : -EMFILE;
    store_seq(&line.alive, true);
    if (error != 0) tdm_guards_stop();
    return error;
}

/* What they have said while nobody listened: one may have died and been replaced, or both are gone. */
static bool still_there(void)
{
    for (int i = 0; i < GUARDS_MOST; i++)
        if (line.guards[i].source.fd >= 0 && !line.guards[i].ended) hear_all(&line.guards[i]);
    return load_seq(&line.alive);
}

int tdm_guards_start(bool asked_for)
{
    int threads = tdm_proc_threads();
    if (load_seq(&line.alive) && (threads != 1 || still_there()))
        return 0; /* with a reactor there are more threads, and it listens */
    if (threads > 1 || (threads < 0 && !asked_for)) return -ENOTSUP;
    tdm_guards_stop(); /* those that died by themselves */
    return start();
}

/* Reads on until the guard has closed its end: it has ended then, and so has all it was to kill. */
static void await_end(struct tdm_guard *guard)
{
    uint64_t deadline = tdm_clock_deadline(END_MS);
    while (!guard->ended) {
        struct tdm_guard_notice notice;
        int fds[TDM_FDS_MOST];
        int got = tdm_fds_receive(guard->source.fd, &notice, sizeof notice, fds);
        for (int i = 0; i < TDM_FDS_MOST; i++)
            if (fds[i] >= 0) close(fds[i]);
        if (got == 1) continue;
        if (got != -EAGAIN) return;
        uint64_t now = tdm_clock_ns();
        if (now >= deadline) {
            signal_guard(guard, SIGKILL);
            return;
        }
        struct pollfd socket = {.fd = guard->source.fd, .events = POLLIN};
        poll(&socket, 1, (int)((deadline - now) / 1000000) + 1);
    }
}

/* The sockets' ends tell them to go; a child that the host has forked may hold copies, so they are shut down, not only closed.  A
 * stopped one is woken to hear it.  The keeper comes last: it outlives its zygote. */
void tdm_guards_stop(void)
{
    if (!line.timer.due) return; /* there have never been any */
    store_seq(&line.alive, false);
    for (int i = 0; i < GUARDS_MOST; i++) {
        if (line.guards[i].source.fd < 0) continue;
        shutdown(line.guards[i].source.fd, SHUT_WR);
        signal_guard(&line.guards[i], SIGCONT);
    }
    for (int i = 0; i < GUARDS_MOST; i++)
        if (line.guards[i].source.fd >= 0) await_end(&line.guards[i]);
    for (int i = GUARDS_MOST - 1; i >= 0; i--)
        if (line.guards[i].source.fd >= 0) drop_guard(&line.guards[i]);
    line.keeper = line.zygote = NULL;
    tdm_adopted_end();
    tdm_roll_drop();
}

void tdm_guards_reset(void)
{
    store_seq(&line.alive, false);
    line.timer = (struct tdm_timer){0};
    tdm_roll_drop();
    open_line();
}

bool tdm_guards_have_our_credentials(void)
{
    return getuid() == line.real_user && geteuid() == line.user && getgid() == line.real_group && getegid() == line.group;
}

/* ---- children ---- */

static void close_fds(struct tdm_child *child)
{
    for (int i = 0; i < TDM_WORKER_FDS; i++) tdm_fds_close(&child->fds[i]);
}

void tdm_guards_forget(struct tdm_child *child)
{
    if (child->number == 0) return;
    tdm_list_remove(&child->link);
    tdm_list_remove(&child->outgoing);
    close_fds(child);
    child->number = 0;
    child->pid = 0;
    child->guard = NULL;
    child->asked_ns = 0;
    child->wants_spawn = false;
    child->wants_signal = child->killed = 0;
}

static void fail_spawn(struct tdm_child *child, int error)
{
    tdm_guards_forget(child);
    child->spawned(child, error);
}

static struct tdm_child *first_of(struct tdm_node *list)
{
    return tdm_list_empty(list) ? NULL : container_of(list->next, struct tdm_child, link);
}

/* Nobody is left who could tell of them. */
static void orphan_all(struct tdm_guard *guard)
{
    for (struct tdm_child *child; (child = first_of(&guard->children)) != NULL;) {
        pid_t pid = child->pid;
        tdm_guards_forget(child);
        if (pid != 0)
            child->orphaned(child);
        else
            child->spawned(child, ESTALE);
    }
}

/* The guard is dead and its socket read to the end.  What it was asked to fork and has not told of is given up, and asked for anew;
 * the others' ends will be told by the heir, who gets their kills again. */
static void hand_over(struct tdm_guard *dead, struct tdm_guard *heir)
{
    for (struct tdm_child *child; (child = first_of(&dead->children)) != NULL;) {
        if (child->pid == 0) {
            fail_spawn(child, ESTALE);
            continue;
        }
        tdm_list_remove(&child->link);
        tdm_list_push_back(&heir->children, &child->link);
        child->guard = heir;
        child->asked_ns = 0;
        if (child->killed) tdm_guards_signal(child, SIGKILL);
    }
}

/* ---- sending ---- */

/* The timer runs only while an answer is due. */
static void look_later(void)
{
    if (line.timing || line.listeners == 0) return;
    line.timing = true;
    tdm_reactor_set_timer(&line.timer, tdm_clock_ns() + NUDGE_NS);
}

static void expect_answer(struct tdm_child *child)
{
    child->asked_ns = tdm_clock_ns();
    look_later();
}

/* To one of the guards: 0 or a negative errno value. */
static int send_to(struct tdm_guard *guard, const struct tdm_guard_request *request, const int *fds, size_t count)
{
    int error = tdm_fds_send(guard->source.fd, request, sizeof *request, fds, count);
    if (error == -EAGAIN) guard->full = true;
    return error;
}

static int send_spawn(struct tdm_child *child)
{
    struct tdm_guard_request request = {.kind = TDM_SPAWN, .number = child->number};
    int fds[TDM_WORKER_FDS];
    size_t count = 0;
    for (int i = 0; i < TDM_WORKER_FDS; i++) {
        if (child->fds[i] < 0) continue;
        request.fds |= 1u << i;
        fds[count++] = child->fds[i];
    }
    int error = send_to(line.zygote, &request, fds, count);
    if (error == -EPIPE) return -EAGAIN; /* it has died: the next one gets it */
    if (error != 0) return error;
    child->wants_spawn = false;
    child->guard = line.zygote;
    tdm_list_remove(&child->link);
    tdm_list_push_back(&line.zygote->children, &child->link);
    close_fds(child);
    expect_answer(child);
    return 0;
}

/* 0, or a negative errno value.  A signal for a worker whose pid is not known yet waits for SPAWNED. */
static int send_wants(struct tdm_child *child)
{
    if (child->wants_spawn) {
        int error = line.zygote ? send_spawn(child) : -EAGAIN;
        if (error != 0) return error;
    }
    if (child->wants_signal != 0 && child->pid != 0) {
        struct tdm_guard_request request = {.kind = TDM_KILL, .pid = child->pid, .signal = child->wants_signal};
        int error = send_to(child->guard, &request, NULL, 0);
        if (error == -EAGAIN) return error;
        child->wants_signal = 0; /* a dead guard's heir gets the kill again */
        expect_answer(child);
    }
    return 0;
}

/* First come, first served; what a socket does not take now goes when it has room, and what has no zygote when there is one. */
static void flush(void)
{
    struct tdm_node *node = line.outgoing.next;
    for (int i = 0; i < GUARDS_MOST; i++) line.guards[i].full = false;
    while (node != &line.outgoing) {
        struct tdm_child *child = container_of(node, struct tdm_child, outgoing);
        node = node->next;
        int error = send_wants(child);
        if (error == -EAGAIN) continue;
        tdm_list_remove(&child->outgoing);
        if (error == 0) continue;
        fail_spawn(child, -error);
        node = line.outgoing.next; /* it may have asked for another */
    }
    for (int i = 0; i < GUARDS_MOST; i++) {
        struct tdm_guard *guard = &line.guards[i];
        if (guard->source.fd >= 0 && !guard->ended && line.listeners > 0)
            tdm_reactor_watch(&guard->source, TDM_POLL_IN | (guard->full ? TDM_POLL_OUT : 0u));
    }
}

static void queue(struct tdm_child *child)
{
    tdm_list_remove(&child->outgoing);
    tdm_list_push_back(&line.outgoing, &child->outgoing);
    flush();
}

void tdm_guards_spawn(struct tdm_child *child)
{
    child->number = ++line.numbers;
    child->pid = 0;
    child->guard = NULL;
    child->asked_ns = 0;
    child->wants_spawn = true;
    child->wants_signal = child->killed = 0;
    tdm_list_init(&child->outgoing);
    tdm_list_init(&child->link);
    if (load_seq(&line.alive))
        queue(child);
    else
        fail_spawn(child, ECHILD);
}

void tdm_guards_signal(struct tdm_child *child, int signal)
{
    if (child->number == 0 || child->wants_signal == SIGKILL) return;
    child->wants_signal = signal;
    if (signal == SIGKILL) child->killed = 1;
    queue(child);
}

void tdm_guards_expect_end(struct tdm_child *child)
{
    if (child->number != 0 && child->asked_ns == 0) expect_answer(child);
}

/* ---- hearing ---- */

/* Nothing new can be started; what runs goes on. */
static void both_gone(void)
{
    if (!exchange_seq(&line.alive, false)) return;
    line.keeper = line.zygote = NULL;
    for (int i = 0; i < GUARDS_MOST; i++)
        if (line.guards[i].source.fd >= 0) orphan_all(&line.guards[i]);
    while (!tdm_list_empty(&line.outgoing)) fail_spawn(container_of(line.outgoing.next, struct tdm_child, outgoing), ECHILD);
}

static bool lives(const struct tdm_guard *guard) { return guard && !guard->ended; }

/* Its socket has ended: it is dead.  A zygote's workers wait until the keeper has said that it has them; a keeper's own have nobody any
 * more. */
static void has_ended(struct tdm_guard *guard)
{
    guard->ended = true;
    if (guard->source.wants != 0) tdm_reactor_watch(&guard->source, 0);
    if (guard == line.zygote) line.zygote_lost_ns = tdm_clock_ns();
    if (!lives(line.keeper) && !lives(line.zygote)) {
        both_gone();
    } else if (guard == line.keeper) {
        orphan_all(guard);
    } else if (guard == line.zygote) {
        look_later();
    }
}

/* The one that has died, to its last word. */
static void settle(struct tdm_guard *dead, struct tdm_guard *heir, bool inherits)
{
    if (!dead) return;
    if (!dead->ended) hear_all(dead);
    dead->ended = true;
    if (heir && inherits) hand_over(dead, heir);
    orphan_all(dead);
    drop_guard(dead);
}

static void bare_all(struct tdm_guard *guard)
{
    for (struct tdm_node *node = guard->children.next, *next; node != &guard->children; node = next) {
        struct tdm_child *child = container_of(node, struct tdm_child, link);
        next = node->next;
        child->bared(child);
    }
}

/* Whoever says it is the keeper now: the one that was, whose zygote has died; or the zygote that was, whose keeper has died. */
static int take_pair(struct tdm_guard *from, const struct tdm_guard_notice *notice, int fds[TDM_FDS_MOST])
{
    struct tdm_guard *was_keeper = line.keeper, *was_zygote = line.zygote;
    if (from == was_zygote) {
        line.keeper = from;
        line.zygote = NULL;
        if (was_keeper) settle(was_keeper, NULL, false);
        bare_all(from);
    } else if (was_zygote) {
        line.zygote = NULL;
        settle(was_zygote, from, notice->inherits != 0);
        bare_all(from);
    }
    line.zygote_lost_ns = notice->pid > 0 ? 0 : tdm_clock_ns();
    int socket = fds[0] < 0 ? -1 : tdm_fds_take_in(fds[0]), watch = fds[1] < 0 ? -1 : tdm_fds_take_in(fds[1]);
    fds[0] = fds[1] = -1;
    if (watch < 0) watch = -1;
    if (notice->pid > 0 && socket >= 0)
        line.zygote = add_guard(notice->pid, socket, watch);
    else
        tdm_fds_close(&watch);
    return notice->pid < 0 ? notice->pid : line.zygote ? 0 : -EMFILE;
}

static struct tdm_child *find(const struct tdm_guard *guard, const struct tdm_guard_notice *notice)
{
    for (struct tdm_node *node = guard->children.next; node != &guard->children; node = node->next) {
        struct tdm_child *child = container_of(node, struct tdm_child, link);
        if (notice->kind == TDM_SPAWNED ? child->number == notice->number : child->pid == notice->pid) return child;
    }
    return NULL;
}

static void hear(struct tdm_guard *guard, const struct tdm_guard_notice *notice)
{
    struct tdm_child *child = find(guard, notice);
    if (!child) return; /* given up, or never ours */
    if (notice->kind == TDM_EXIT) {
        tdm_guards_forget(child);
        child->ended(child, notice);
    } else if (notice->pid < 0) {
        fail_spawn(child, -notice->pid);
    } else {
        child->pid = notice->pid;
        child->asked_ns = 0;
        if (child->wants_signal != 0) queue(child);
        child->spawned(child, 0);
        if (child->guard == line.keeper && child->number != 0) child->bared(child);
    }
}

/* A message that came without its descriptors, because this program has no room for them.  A new zygote notices that its socket is gone,
 * and ends; the keeper makes another, after a while. */
static int drop_all(int fds[TDM_FDS_MOST])
{
    for (int i = 0; i < TDM_FDS_MOST; i++) {
        if (fds[i] >= 0) close(fds[i]);
        fds[i] = -1;
    }
    return 1;
}

/* What is there now.  0, or what a PAIR told of: a negative errno value. */
static int hear_all(struct tdm_guard *guard)
{
    int error = 0;
    while (!guard->ended) {
        struct tdm_guard_notice notice;
        int fds[TDM_FDS_MOST];
        int got = tdm_fds_receive(guard->source.fd, &notice, sizeof notice, fds);
        if (got == -EMFILE) got = drop_all(fds);
        if (got == 1 && notice.kind == TDM_PAIR)
            error = take_pair(guard, &notice, fds);
        else if (got == 1)
            hear(guard, &notice);
        for (int i = 0; i < TDM_FDS_MOST; i++)
            if (fds[i] >= 0) close(fds[i]);
        if (got == -EAGAIN) break;
        if (got == 0) has_ended(guard);
        if (got < 0) {
            signal_guard(guard, SIGKILL); /* it may have said what cannot be heard; its end will be */
            break;
        }
    }
    return error;
}

static void ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    struct tdm_guard *guard = container_of(source, struct tdm_guard, source);
    if (guard->source.fd >= 0) hear_all(guard);
    flush();
}

/* ---- answers that do not come ---- */

static uint64_t oldest_question(const struct tdm_guard *guard, bool spawns_only)
{
    uint64_t oldest = 0;
    for (const struct tdm_node *node = guard->children.next; node != &guard->children; node = node->next) {
        const struct tdm_child *child = container_of(node, struct tdm_child, link);
        if (child->asked_ns == 0 || (spawns_only && child->pid != 0)) continue;
        if (oldest == 0 || child->asked_ns < oldest) oldest = child->asked_ns;
    }
    return oldest;
}

/* A guard that was stopped is told to go on; one that still does not do what it was asked is killed, and the other replaces it.  A kill
 * without an end is no proof: the worker may hang in the kernel. */
static bool press(struct tdm_guard *guard, uint64_t now)
{
    if (!lives(guard)) return false;
    bool is_waited_for = guard == line.keeper && line.zygote_lost_ns != 0;
    uint64_t asked = oldest_question(guard, false), spawn = oldest_question(guard, true);
    if (is_waited_for && (spawn == 0 || line.zygote_lost_ns < spawn)) spawn = line.zygote_lost_ns;
    if (spawn != 0 && (asked == 0 || spawn < asked)) asked = spawn;
    if (asked == 0) return false;
    if (spawn != 0 && now - spawn > LOST_NS)
        signal_guard(guard, SIGKILL);
    else if (now - asked > NUDGE_NS - NUDGE_NS / 10)
        signal_guard(guard, SIGCONT);
    return true;
}

static void look_for_answers(struct tdm_timer *timer)
{
    (void)timer;
    uint64_t now = tdm_clock_ns();
    line.timing = false;
    bool more = press(line.keeper, now);
    more |= press(line.zygote, now);
    if (more) look_later();
}

/* ---- listening ---- */

static void watch_all(unsigned wants)
{
    for (int i = 0; i < GUARDS_MOST; i++)
        if (line.guards[i].source.fd >= 0 && !line.guards[i].ended) tdm_reactor_watch(&line.guards[i].source, wants);
}

void tdm_guards_listen(void)
{
    if (line.listeners++ == 0) watch_all(TDM_POLL_IN);
}

void tdm_guards_unlisten(void)
{
    if (--line.listeners > 0) return;
    watch_all(0);
    tdm_adopted_look_no_more();
    tdm_reactor_clear_timer(&line.timer);
    line.timing = false;
}
