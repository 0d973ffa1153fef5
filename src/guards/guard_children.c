/* guard_children.c - workers and programs as the guards know them: asked for, signalled, heard of. */
#define _POSIX_C_SOURCE 200809L
#include "guards/guard_inside.h"

#include "base/atomics.h"
#include "base/clock.h"
#include "base/fds.h"

#include <errno.h>
#include <signal.h>

static struct {
    uint64_t numbers;         /* given out so far */
    struct tdm_node outgoing; /* children that want something sent: no zygote yet, or its socket would not take it */
} sending;

void tdm_guards_open_children(void) { tdm_list_init(&sending.outgoing); }

static void close_fds(struct tdm_child *child)
{
    for (int i = 0; i < TDM_FDS_MOST; i++) tdm_fds_close(&child->fds[i]);
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

/* ---- sending ---- */

static void expect_answer(struct tdm_child *child)
{
    child->asked_ns = tdm_clock_ns();
    tdm_guards_look_later();
}

/* To one of the guards: 0 or a negative errno value.  What its socket has just refused it would refuse again, for each of hundreds. */
static int send_to(struct tdm_guard *guard, const struct tdm_guard_request *request, const int *fds, size_t count)
{
    if (guard->full) return -EAGAIN;
    int error = tdm_fds_send(guard->source.fd, request, sizeof *request, fds, count);
    if (error == -EAGAIN) guard->full = true;
    return error;
}

static int send_spawn(struct tdm_child *child)
{
    struct tdm_guard_request request = {.kind = child->kind, .number = child->number};
    int fds[TDM_FDS_MOST];
    size_t count = 0;
    for (int i = 0; i < TDM_FDS_MOST; i++) {
        if (child->fds[i] < 0) continue;
        request.fds |= 1u << i;
        fds[count++] = child->fds[i];
    }
    int error = send_to(tdm_line.zygote, &request, fds, count);
    if (error == -EPIPE || error == -ECONNRESET) return -EAGAIN; /* it has died: the next one gets it */
    if (error != 0) return error;
    child->wants_spawn = false;
    child->guard = tdm_line.zygote;
    tdm_list_remove(&child->link);
    tdm_list_push_back(&tdm_line.zygote->children, &child->link);
    close_fds(child);
    expect_answer(child);
    return 0;
}

/* 0, or a negative errno value.  A signal for a worker whose pid is not known yet waits for SPAWNED. */
static int send_wants(struct tdm_child *child)
{
    if (child->wants_spawn) {
        int error = tdm_line.zygote ? send_spawn(child) : -EAGAIN;
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
void tdm_guards_flush(void)
{
    struct tdm_node *node = sending.outgoing.next;
    for (int i = 0; i < TDM_GUARDS_MOST; i++) tdm_line.guards[i].full = false;
    while (node != &sending.outgoing) {
        struct tdm_child *child = container_of(node, struct tdm_child, outgoing);
        node = node->next;
        int error = send_wants(child);
        if (error == -EAGAIN) continue;
        tdm_list_remove(&child->outgoing);
        if (error == 0) continue;
        fail_spawn(child, -error);
        node = sending.outgoing.next; /* it may have asked for another */
    }
    for (int i = 0; i < TDM_GUARDS_MOST; i++) {
        struct tdm_guard *guard = &tdm_line.guards[i];
        if (guard->source.fd >= 0 && !guard->ended && tdm_line.listeners > 0)
            tdm_reactor_watch(&guard->source, TDM_POLL_IN | (guard->full ? TDM_POLL_OUT : 0u));
    }
}

static void queue(struct tdm_child *child)
{
    tdm_list_remove(&child->outgoing);
    tdm_list_push_back(&sending.outgoing, &child->outgoing);
    tdm_guards_flush();
}

void tdm_guards_spawn(struct tdm_child *child)
{
    child->number = ++sending.numbers;
    child->pid = 0;
    child->guard = NULL;
    child->asked_ns = 0;
    child->wants_spawn = true;
    child->wants_signal = child->killed = 0;
    tdm_list_init(&child->outgoing);
    tdm_list_init(&child->link);
    if (load_seq(&tdm_line.alive))
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

static struct tdm_child *find(const struct tdm_guard *guard, const struct tdm_guard_notice *notice)
{
    for (struct tdm_node *node = guard->children.next; node != &guard->children; node = node->next) {
        struct tdm_child *child = container_of(node, struct tdm_child, link);
        if (notice->kind == TDM_SPAWNED ? child->number == notice->number : child->pid == notice->pid) return child;
    }
    return NULL;
}

void tdm_guards_hear_of_child(struct tdm_guard *guard, const struct tdm_guard_notice *notice)
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
        if (child->guard == tdm_line.keeper && child->number != 0 && child->bared) child->bared(child);
    }
}

uint64_t tdm_guards_oldest_question(const struct tdm_guard *guard, bool spawns_only)
{
    uint64_t oldest = 0;
    for (const struct tdm_node *node = guard->children.next; node != &guard->children; node = node->next) {
        const struct tdm_child *child = container_of(node, struct tdm_child, link);
        if (child->asked_ns == 0 || (spawns_only && child->pid != 0)) continue;
        if (oldest == 0 || child->asked_ns < oldest) oldest = child->asked_ns;
    }
    return oldest;
}

/* ---- when a guard has died ---- */

static struct tdm_child *first_of(struct tdm_node *list)
{
    return tdm_list_empty(list) ? NULL : container_of(list->next, struct tdm_child, link);
}

/* The guard that was to tell what came of it is dead: has something?  Then it is as if it had been told. */
static int look_after(struct tdm_child *child)
{
    pid_t pid = child->look ? child->look(child) : -ESTALE;
    if (pid < 0) return -(int)pid;
    child->pid = pid;
    return 0;
}

/* Nobody is left who could tell of them. */
void tdm_guards_orphan_all(struct tdm_guard *guard)
{
    for (struct tdm_child *child; (child = first_of(&guard->children)) != NULL;) {
        bool was_told = child->pid != 0;
        int error = was_told ? 0 : look_after(child);
        pid_t pid = child->pid;
        if (error != 0) {
            fail_spawn(child, error);
            continue;
        }
        if (!was_told) child->spawned(child, 0);
        tdm_guards_forget(child);
        child->orphaned(child, pid);
    }
}

/* The guard is dead and its socket read to the end.  What it was asked to fork and has not told of is given up, and asked for anew;
 * the others' ends will be told by the heir, who gets their kills again. */
void tdm_guards_hand_over(struct tdm_guard *dead, struct tdm_guard *heir)
{
    for (struct tdm_child *child; (child = first_of(&dead->children)) != NULL;) {
        bool was_told = child->pid != 0;
        int error = was_told ? 0 : look_after(child);
        if (error != 0) {
            fail_spawn(child, error);
            continue;
        }
        tdm_list_remove(&child->link);
        tdm_list_push_back(&heir->children, &child->link);
        child->guard = heir;
        child->asked_ns = 0;
        if (child->killed) child->wants_signal = SIGKILL; /* it may be with the dead guard, or wait for a pid still */
        if (child->killed || (!was_told && child->wants_signal != 0)) queue(child);
        if (!was_told) child->spawned(child, 0);
    }
}

void tdm_guards_bare_all(struct tdm_guard *guard)
{
    for (struct tdm_node *node = guard->children.next, *next; node != &guard->children; node = next) {
        struct tdm_child *child = container_of(node, struct tdm_child, link);
        next = node->next;
        if (child->bared) child->bared(child);
    }
}

void tdm_guards_fail_outgoing(void)
{
    while (!tdm_list_empty(&sending.outgoing)) fail_spawn(container_of(sending.outgoing.next, struct tdm_child, outgoing), ECHILD);
}
