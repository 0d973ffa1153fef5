/* callbacks.c - tasks whose on_done is still to be called. */
#include "task/callbacks.h"

#include "base/clock.h"
#include "base/fds.h"
#include "base/platform.h"
#include "base/thread.h"
#include "base/watch.h"
#include "task/core.h"
#include "task/lane.h"
#include "task/mailbox.h"
#include "task/self.h"

#include <limits.h>

static void lock(struct tdm_callbacks *callbacks) { tdm_lock(&callbacks->lock, TDM_RANK_CALLBACKS); }
static void unlock(struct tdm_callbacks *callbacks) { tdm_unlock(&callbacks->lock, TDM_RANK_CALLBACKS); }

int tdm_callbacks_open(struct tdm_callbacks *callbacks, const struct tdm_core *core, bool by_host, size_t stack_size)
{
    *callbacks = (struct tdm_callbacks){.by_host = by_host, .bell = {-1, -1}, .stack_size = stack_size, .core = core};
    tdm_list_init(&callbacks->waiting);
    tdm_list_init(&callbacks->calls);
    tdm_list_init(&callbacks->talking);
    return by_host ? tdm_fds_bell(callbacks->bell) : 0;
}

/* ---- what is to be called ---- */

/* With the lock held, and after what changes count: the bell says whether there is something that could be called now.  A thread that looks takes its
 * mark off and then reads count and bell, so either it is seen here, or it sees what was left to it [callback-look]. */
static void set_bell(struct tdm_callbacks *callbacks)
{
    bool ready = !tdm_list_empty(&callbacks->calls) || !tdm_list_empty(&callbacks->waiting) || !tdm_list_empty(&callbacks->talking);
    if (!callbacks->by_host || ready == (load_seq(&callbacks->rung) != 0) || load_seq(&callbacks->looking)) return;
    store_seq(&callbacks->rung, ready);
    if (ready)
        tdm_fds_ring(callbacks->bell);
    else
        tdm_fds_empty(callbacks->bell);
}

/* With the lock held: so many more, or fewer. */
static void count(struct tdm_callbacks *callbacks, size_t by)
{
    store_seq(&callbacks->count, load_relaxed(&callbacks->count) + by); /* relaxed: written under the lock only [callback-look] */
}

/* With the lock held, which it lets go: after the unlock what was pushed may be called, and the pool may end.  Only the thread sleeps, and
 * only in a pool that is not by_host; it is joined before that ends, but not before it has been woken. */
static void pushed(struct tdm_callbacks *callbacks)
{
    count(callbacks, 1);
    set_bell(callbacks);
    bool wakes = callbacks->asleep;
    callbacks->asleep = false;
    if (!callbacks->by_host) add_seq(&callbacks->pushed, 1); /* [callback-pushed] */
    unlock(callbacks);
    if (wakes) tdm_futex_wake_all(&callbacks->pushed);
}

void tdm_callbacks_push(struct tdm_callbacks *callbacks, struct tdm_task *task)
{
    lock(callbacks);
    tdm_list_push_back(&callbacks->waiting, &task->link);
    pushed(callbacks);
}

void tdm_callbacks_push_call(struct tdm_callbacks *callbacks, struct tdm_call *call)
{
    lock(callbacks);
    tdm_list_push_back(&callbacks->calls, &call->link);
    pushed(callbacks);
}

bool tdm_callbacks_withdraw_call(struct tdm_callbacks *callbacks, struct tdm_call *call)
{
    lock(callbacks);
    bool waits = !tdm_list_empty(&call->link);
    if (waits) {
        tdm_list_remove(&call->link);
        count(callbacks, (size_t)-1);
        set_bell(callbacks);
    }
    unlock(callbacks);
    return waits;
}

/* With the lock held, which it lets go. */
static void push_due(struct tdm_callbacks *callbacks, struct tdm_mailbox *mailbox)
{
    mailbox->due++;
    if (!mailbox->has_turn) tdm_list_push_back(&callbacks->talking, &mailbox->turn);
    mailbox->has_turn = true;
    pushed(callbacks);
}

bool tdm_callbacks_push_message(struct tdm_callbacks *callbacks, struct tdm_mailbox *mailbox, struct tdm_mail *mail)
{
    lock(callbacks);
    bool fits = tdm_mail_fits(mailbox->sent.count, mailbox->sent.bytes, mail->held);
    if (fits) {
        tdm_mail_push(&mailbox->sent, mail);
        push_due(callbacks, mailbox);
    } else {
        unlock(callbacks);
    }
    return fits;
}

/* What is due last. */
void tdm_callbacks_push_end(struct tdm_callbacks *callbacks, struct tdm_mailbox *mailbox)
{
    lock(callbacks);
    push_due(callbacks, mailbox);
}

/* ---- calling ---- */

/* What is to be called next: one of these. */
struct due {
    struct tdm_call *call;
    struct tdm_mailbox *mailbox;
    struct tdm_task *task;
    struct tdm_mail *mail; /* the mailbox's next; NULL: it has come to its end */
    size_t left, left_bytes;
    bool wakes; /* who waits for room there */
};

/* With the lock held. */
static void take_sent(struct due *due, struct tdm_mailbox *mailbox)
{
    due->mailbox = mailbox;
    due->mail = tdm_mail_pop(&mailbox->sent);
    due->left = mailbox->sent.count;
    due->left_bytes = mailbox->sent.bytes;
    due->wakes = tdm_mail_is_half_empty(due->left, due->left_bytes) && tdm_mail_ring_if_waited(&mailbox->to_send);
    mailbox->due--;
}

/* With the lock held.  Calls come first; tasks and mailboxes take turns. */
static bool pop(struct tdm_callbacks *callbacks, struct due *due)
{
    struct tdm_node *call = tdm_list_pop_front(&callbacks->calls), *mailbox = NULL, *task = NULL;
    bool talks = !tdm_list_empty(&callbacks->talking) && (!callbacks->talked || tdm_list_empty(&callbacks->waiting));
    if (!call && talks) mailbox = tdm_list_pop_front(&callbacks->talking);
    if (!call && !talks) task = tdm_list_pop_front(&callbacks->waiting);
    if (!call && !mailbox && !task) return false;
    *due = (struct due){.call = call ? container_of(call, struct tdm_call, link) : NULL,
                        .task = task ? container_of(task, struct tdm_task, link) : NULL};
    if (mailbox) take_sent(due, container_of(mailbox, struct tdm_mailbox, turn));
    if (!call) callbacks->talked = talks;
    if (mailbox) store_relaxed(&callbacks->heard, 1); /* a hint */
    count(callbacks, (size_t)-1);
    set_bell(callbacks);
    return true;
}

static void hand_over(const struct tdm_core *core, tandem_task *task, struct tdm_mail *mail)
{
    struct tdm_inside inside;
    tandem_message message = tdm_mail_hand_over(mail);
    tdm_self_enter(&inside, core, NULL, task->group);
    task->on_message(task, &message);
    tdm_self_leave(&inside);
    tdm_mail_free(mail);
}

/* The worker may send more for it.  It is told of some at once, but not so late that it waits. */
#define UNTOLD_MOST       (TDM_MAIL_COUNT_MOST / 4)
#define UNTOLD_BYTES_MOST (TDM_MAIL_BYTES_MOST / 4)

static void tell_worker(struct tdm_mailbox *mailbox, const struct tdm_mail *mail, size_t left, size_t left_bytes)
{
    mailbox->untold++;
    mailbox->untold_bytes += mail->held;
    bool can_wait = left > 0 && tdm_mail_is_half_empty(left, left_bytes) && mailbox->untold < UNTOLD_MOST &&
                    mailbox->untold_bytes < UNTOLD_BYTES_MOST;
    if (!can_wait) mailbox->task->lane->ops->consumed(mailbox);
}

/* Its turn: a message, or, when there is none any more, the end.  The lock is held afterwards. */
static void take_turn(struct tdm_callbacks *callbacks, const struct due *due)
{
    struct tdm_mailbox *mailbox = due->mailbox;
    if (due->wakes) tdm_futex_wake_all(&mailbox->to_send.count);
    if (!due->mail) {
        struct tdm_task *task = mailbox->task;
        tdm_mailbox_let_go(mailbox);
        tdm_task_call_back(task, NULL);
        lock(callbacks);
        return;
    }
    if (load_acquire(&mailbox->carrier)) tell_worker(mailbox, due->mail, due->left, due->left_bytes); /* [mail-carrier] */
    hand_over(callbacks->core, tdm_task_public(mailbox->task), due->mail);
    lock(callbacks);
    mailbox->has_turn = mailbox->due > 0;
    if (mailbox->has_turn) tdm_list_push_back(&callbacks->talking, &mailbox->turn);
}

/* With the lock held, which it lets go meanwhile. */
static void call_one(struct tdm_callbacks *callbacks, const struct due *due)
{
    unlock(callbacks);
    if (due->mailbox) {
        take_turn(callbacks, due);
        return;
    }
    if (due->call)
        due->call->run(due->call);
    else
        tdm_task_call_back(due->task, NULL);
    lock(callbacks);
}

/* With the lock held, which it lets go. */
static int run_locked(struct tdm_callbacks *callbacks, size_t most)
{
    struct due due;
    int done = 0;
    size_t left = load_seq(&callbacks->count);
    if (most != 0 && most < left) left = most;
    for (; left > 0 && done < INT_MAX && pop(callbacks, &due); left--) {
        call_one(callbacks, &due);
        done++;
    }
    set_bell(callbacks); /* also for what was found by a look and is left, and for a mailbox that has more */
    unlock(callbacks);
    return done;
}

int tdm_callbacks_run(struct tdm_callbacks *callbacks, size_t most)
{
    lock(callbacks);
    return run_locked(callbacks, most);
}

void tdm_callbacks_begin_look(struct tdm_callbacks *callbacks) { store_seq(&callbacks->looking, 1); /* [callback-look] */ }

#define WATCH_NS 5000u

/* A thread that was handed a message, and comes again, is most likely waiting for the next in a loop.  While it is here, no bell is needed.
 * Relaxed: these are hints, what is there is found below. */
void tdm_callbacks_watch(struct tdm_callbacks *callbacks)
{
    uint32_t most_ns = callbacks->core->watch_ns;
    if (load_relaxed(&callbacks->heard) == 0 || most_ns == 0 || load_relaxed(&callbacks->count) != 0) return;
    struct tdm_look look = {.until_ns = tdm_clock_ns() + (most_ns < WATCH_NS ? most_ns : WATCH_NS)};
    while (load_relaxed(&callbacks->count) == 0)
        if (!tdm_watch_goes_on(&look)) {
            store_relaxed(&callbacks->heard, 0);
            return;
        }
}

/* What was found and is called at once has not rung the bell, which would be two system calls. */
int tdm_callbacks_end_look(struct tdm_callbacks *callbacks, size_t most)
{
    store_seq(&callbacks->looking, 0);
    if (load_seq(&callbacks->count) == 0 && load_seq(&callbacks->rung) == 0) return 0; /* [callback-look] */
    lock(callbacks);
    return run_locked(callbacks, most);
}

static void *run(void *argument)
{
    struct tdm_callbacks *callbacks = argument;
    tdm_thread_begin();
    tdm_platform_name_thread("tandem-done");
    bool has_watched = false;
    for (;;) {
        uint32_t before = load_seq(&callbacks->pushed);
        if (tdm_callbacks_run(callbacks, 0) > 0) has_watched = false;
        /* who has handed over a message will most likely have another soon [callback-pushed] */
        if (callbacks->talked && !has_watched && tdm_clock_watch(&callbacks->pushed, before, callbacks->core->watch_ns)) continue;
        has_watched = true;
        lock(callbacks);
        bool idle = load_seq(&callbacks->count) == 0, stopping = callbacks->stopping;
        callbacks->asleep = idle;
        uint32_t seen = load_seq(&callbacks->pushed);
        unlock(callbacks);
        if (idle && stopping) return NULL;
        if (idle) tdm_futex_wait(&callbacks->pushed, seen, TDM_FOREVER); /* [callback-pushed] */
    }
}

int tdm_callbacks_need(struct tdm_callbacks *callbacks)
{
    if (callbacks->by_host || load_seq(&callbacks->started)) return 0;
    tdm_lock(&callbacks->start_lock, TDM_RANK_NEED);
    int error = 0;
    if (!load_seq(&callbacks->started)) {
        error = tdm_thread_start(&callbacks->thread, run, callbacks, callbacks->stack_size);
        if (error == 0) store_seq(&callbacks->started, 1);
    }
    tdm_unlock(&callbacks->start_lock, TDM_RANK_NEED);
    return error;
}

void tdm_callbacks_close(struct tdm_callbacks *callbacks)
{
    if (load_seq(&callbacks->started)) {
        lock(callbacks);
        callbacks->stopping = true;
        add_seq(&callbacks->pushed, 1);
        unlock(callbacks);
        tdm_futex_wake_all(&callbacks->pushed);
        pthread_join(callbacks->thread, NULL);
    }
    while (tdm_callbacks_run(callbacks, 0) > 0) {
    }
    tdm_fds_close_bell(callbacks->bell);
}
