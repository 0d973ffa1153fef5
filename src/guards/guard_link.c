/* guard_link.c - the host's end of the lines to keeper and zygote. */
#define _POSIX_C_SOURCE 200809L
#include "guards/guard_link.h"

#include "base/atomics.h"
#include "base/clock.h"
#include "base/fds.h"
#include "base/platform.h"
#include "base/proc.h"
#include "base/reactor.h"
#include "base/region.h"
#include "child/roll.h"
#include "guards/adopted.h"
#include "guards/guard_inside.h"

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

struct tdm_line tdm_line;

static struct {
    uid_t real_user, user;
    gid_t real_group, group;
} started_as;

/* For answers that do not come. */
static struct {
    uint64_t zygote_lost_ns; /* when there was none any more, or 0 */
    struct tdm_timer timer;
    bool timing; /* it is set; a later question must not put it off */
} asking;

static void ready(struct tdm_source *source, unsigned events);
static void look_for_answers(struct tdm_timer *timer);

/* ---- the guards themselves ---- */

static void open_line(void)
{
    for (int i = 0; i < TDM_GUARDS_MOST; i++) tdm_line.guards[i] = (struct tdm_guard){.source.fd = -1, .watch = -1};
    tdm_line.keeper = tdm_line.zygote = NULL;
    asking.zygote_lost_ns = 0;
    tdm_line.listeners = 0;
    asking.timing = false;
    asking.timer.due = look_for_answers;
    tdm_guards_open_children();
}

/* NULL: there are too many, or the descriptor cannot be had: it is closed. */
static struct tdm_guard *add_guard(pid_t pid, int socket, int watch)
{
    struct tdm_guard *guard = tdm_line.guards;
    while (guard < tdm_line.guards + TDM_GUARDS_MOST && guard->source.fd >= 0) guard++;
    if (guard == tdm_line.guards + TDM_GUARDS_MOST || tdm_fds_nonblocking(socket) != 0) {
        tdm_fds_close(&socket);
        tdm_fds_close(&watch);
        return NULL;
    }
    *guard = (struct tdm_guard){.source = {.fd = socket, .ready = ready}, .pid = pid, .watch = watch};
    tdm_list_init(&guard->children);
    if (tdm_line.listeners > 0) tdm_reactor_watch(&guard->source, TDM_POLL_IN);
    return guard;
}

static void drop_guard(struct tdm_guard *guard)
{
    if (guard->source.wants != 0) tdm_reactor_watch(&guard->source, 0);
    tdm_fds_close(&guard->source.fd);
    if (guard->is_child) tdm_platform_end_unseen(guard->pid);
    tdm_fds_close(&guard->watch);
    if (tdm_line.listeners > 0) tdm_adopted_look();
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
    tdm_line.keeper = keeper;
    while (!tdm_line.zygote && !keeper->ended) {
        struct pollfd socket = {.fd = keeper->source.fd, .events = POLLIN};
        uint64_t now = tdm_clock_ns();
        if (now >= deadline) return -ETIMEDOUT;
        if (poll(&socket, 1, (int)((deadline - now) / 1000000) + 1) < 0) continue;
        int error = hear_all(keeper);
        if (error != 0) return error;
    }
    return tdm_line.zygote ? 0 : -ECHILD;
}

static int start(void)
{
    int ends[2];
    int error = tdm_fds_socketpair(ends);
    if (error != 0) return error;
    open_line();
    tdm_region_open(); /* before the fork, so that it is free at the same place in all workers */
    tdm_proc_note_code();
    started_as.real_user = getuid();
    started_as.user = geteuid();
    started_as.real_group = getgid();
    started_as.group = getegid();
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
    store_seq(&tdm_line.alive, true);
    if (error != 0) tdm_guards_stop();
    return error;
}

/* What they have said while nobody listened: one may have died and been replaced, or both are gone. */
static bool still_there(void)
{
    for (int i = 0; i < TDM_GUARDS_MOST; i++)
        if (tdm_line.guards[i].source.fd >= 0 && !tdm_line.guards[i].ended) hear_all(&tdm_line.guards[i]);
    return load_seq(&tdm_line.alive);
}

int tdm_guards_start(bool asked_for)
{
    int threads = tdm_proc_threads();
    if (load_seq(&tdm_line.alive) && (threads != 1 || still_there()))
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
    if (!asking.timer.due) return; /* there have never been any */
    store_seq(&tdm_line.alive, false);
    for (int i = 0; i < TDM_GUARDS_MOST; i++) {
        if (tdm_line.guards[i].source.fd < 0) continue;
        shutdown(tdm_line.guards[i].source.fd, SHUT_WR);
        signal_guard(&tdm_line.guards[i], SIGCONT);
    }
    for (int i = 0; i < TDM_GUARDS_MOST; i++)
        if (tdm_line.guards[i].source.fd >= 0) await_end(&tdm_line.guards[i]);
    for (int i = TDM_GUARDS_MOST - 1; i >= 0; i--)
        if (tdm_line.guards[i].source.fd >= 0) drop_guard(&tdm_line.guards[i]);
    tdm_line.keeper = tdm_line.zygote = NULL;
    tdm_adopted_end();
    tdm_roll_drop();
}

void tdm_guards_reset(void)
{
    store_seq(&tdm_line.alive, false);
    asking.timer = (struct tdm_timer){0};
    tdm_roll_drop();
    open_line();
}

bool tdm_guards_have_our_credentials(void)
{
    return getuid() == started_as.real_user && geteuid() == started_as.user && getgid() == started_as.real_group &&
           getegid() == started_as.group;
}

/* ---- hearing ---- */

/* Nothing new can be started; what runs goes on. */
static void both_gone(void)
{
    if (!exchange_seq(&tdm_line.alive, false)) return;
    tdm_line.keeper = tdm_line.zygote = NULL;
    for (int i = 0; i < TDM_GUARDS_MOST; i++)
        if (tdm_line.guards[i].source.fd >= 0) tdm_guards_orphan_all(&tdm_line.guards[i]);
    tdm_guards_fail_outgoing();
}

static bool lives(const struct tdm_guard *guard) { return guard && !guard->ended; }

/* Its socket has ended: it is dead.  A zygote's workers wait until the keeper has said that it has them; a keeper's own have nobody any
 * more. */
static void has_ended(struct tdm_guard *guard)
{
    guard->ended = true;
    if (guard->source.wants != 0) tdm_reactor_watch(&guard->source, 0);
    if (guard == tdm_line.zygote) asking.zygote_lost_ns = tdm_clock_ns();
    if (!lives(tdm_line.keeper) && !lives(tdm_line.zygote)) {
        both_gone();
    } else if (guard == tdm_line.keeper) {
        tdm_guards_orphan_all(guard);
    } else if (guard == tdm_line.zygote) {
        tdm_guards_look_later();
    }
}

/* The one that has died, to its last word. */
static void settle(struct tdm_guard *dead, struct tdm_guard *heir, bool inherits)
{
    if (!dead) return;
    if (!dead->ended) hear_all(dead);
    dead->ended = true;
    if (heir && inherits) tdm_guards_hand_over(dead, heir);
    tdm_guards_orphan_all(dead);
    drop_guard(dead);
}

/* Whoever says it is the keeper now: the one that was, whose zygote has died; or the zygote that was, whose keeper has died. */
static int take_pair(struct tdm_guard *from, const struct tdm_guard_notice *notice, int fds[TDM_FDS_MOST])
{
    struct tdm_guard *was_keeper = tdm_line.keeper, *was_zygote = tdm_line.zygote;
    if (from == was_zygote) {
        tdm_line.keeper = from;
        tdm_line.zygote = NULL;
        if (was_keeper) settle(was_keeper, NULL, false);
        tdm_guards_bare_all(from);
    } else if (was_zygote) {
        tdm_line.zygote = NULL;
        settle(was_zygote, from, notice->inherits != 0);
        tdm_guards_bare_all(from);
    }
    asking.zygote_lost_ns = notice->pid > 0 ? 0 : tdm_clock_ns();
    int socket = fds[0] < 0 ? -1 : tdm_fds_take_in(fds[0]), watch = fds[1] < 0 ? -1 : tdm_fds_take_in(fds[1]);
    fds[0] = fds[1] = -1;
    if (watch < 0) watch = -1;
    if (notice->pid > 0 && socket >= 0)
        tdm_line.zygote = add_guard(notice->pid, socket, watch);
    else
        tdm_fds_close(&watch);
    return notice->pid < 0 ? notice->pid : tdm_line.zygote ? 0 : -EMFILE;
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
        if (got == 1) guard->heard_ns = tdm_clock_ns();
        if (got == 1 && notice.kind == TDM_PAIR)
            error = take_pair(guard, &notice, fds);
        else if (got == 1)
            tdm_guards_hear_of_child(guard, &notice);
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
    tdm_guards_flush();
}

/* ---- answers that do not come ---- */

/* The timer runs only while an answer is due. */
void tdm_guards_look_later(void)
{
    if (asking.timing || tdm_line.listeners == 0) return;
    asking.timing = true;
    tdm_reactor_set_timer(&asking.timer, tdm_clock_ns() + NUDGE_NS);
}

/* A guard that was stopped is told to go on; one that still does not do what it was asked is killed, and the other replaces it.  One that
 * tells of something is at work, and has more to do than it can do at once.  A kill without an end is no proof: the worker may hang in the
 * kernel. */
static bool press(struct tdm_guard *guard, uint64_t now)
{
    if (!lives(guard)) return false;
    bool is_waited_for = guard == tdm_line.keeper && asking.zygote_lost_ns != 0;
    uint64_t asked = tdm_guards_oldest_question(guard, false), spawn = tdm_guards_oldest_question(guard, true);
    if (is_waited_for && (spawn == 0 || asking.zygote_lost_ns < spawn)) spawn = asking.zygote_lost_ns;
    if (spawn != 0 && (asked == 0 || spawn < asked)) asked = spawn;
    if (asked == 0) return false;
    if (spawn != 0 && spawn < guard->heard_ns) spawn = guard->heard_ns;
    if (asked < guard->heard_ns) asked = guard->heard_ns;
    if (spawn != 0 && now - spawn > LOST_NS)
        signal_guard(guard, SIGKILL);
    else if (now - asked > NUDGE_NS - NUDGE_NS / 10)
        signal_guard(guard, SIGCONT);
    return true;
}

static void look_for_answers(struct tdm_timer *timer)
{
    (void)timer;
    asking.timing = false;
    /* This program may have been stopped, and they have answered meanwhile. */
    if (lives(tdm_line.keeper)) ready(&tdm_line.keeper->source, 0);
    if (lives(tdm_line.zygote)) ready(&tdm_line.zygote->source, 0);
    uint64_t now = tdm_clock_ns();
    bool more = press(tdm_line.keeper, now);
    more |= press(tdm_line.zygote, now);
    if (more) tdm_guards_look_later();
}

/* ---- listening ---- */

static void watch_all(unsigned wants)
{
    for (int i = 0; i < TDM_GUARDS_MOST; i++)
        if (tdm_line.guards[i].source.fd >= 0 && !tdm_line.guards[i].ended) tdm_reactor_watch(&tdm_line.guards[i].source, wants);
}

void tdm_guards_listen(void)
{
    if (tdm_line.listeners++ == 0) watch_all(TDM_POLL_IN);
}

void tdm_guards_unlisten(void)
{
    if (--tdm_line.listeners > 0) return;
    watch_all(0);
    tdm_adopted_look_no_more();
    tdm_reactor_clear_timer(&asking.timer);
    asking.timing = false;
}
