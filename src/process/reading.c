/* reading.c - a worker's replies: who reads them. */
#define _POSIX_C_SOURCE 200809L
#include "process/reading.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fds.h"
#include "base/futex.h"
#include "base/quick_clock.h"
#include "process/gathering.h"
#include "process/reading_pipes.h"
#include "process/replies.h"
#include "process/ringing.h"
#include "process/slot_inside.h"
#include "process/slot_talk.h"

#include <errno.h>
#include <stdlib.h>

static bool has_ended(const struct tdm_task *task) { return tdm_task_state(load_seq(&task->state)) == TDM_ENDED; }

/* It reads in passing, or has what it wanted. */
static bool waits_for_nothing(const struct tdm_task *mine) { return !mine || has_ended(mine); }

/* With the lock held: is there a way to call who sleeps there?  A pipe that has ended lets nobody sleep. */
static bool may_lead(const struct tdm_slot *slot) { return tdm_way_has_ring(&slot->in) || (slot->call[0] >= 0 && !slot->ended); }

/* ---- reading ---- */

/* One pull: 1, a frame; or as tdm_inbox_pull.  What a thread could not take comes first.  Replies that were taken out of the ring together
 * have come at the same time: the clock costs much beside one of them. */
static int pull(struct tdm_slot *slot)
{
    if (slot->has_held) {
        slot->has_held = false;
        return slot->held;
    }
    uint64_t taken = slot->in.ring.own;
    int result = tdm_inbox_pull(&slot->inbox, &slot->in);
    if (result == 1 && (!tdm_way_has_ring(&slot->in) || slot->in.ring.own != taken)) slot->came_ns = tdm_quick_clock_now();
    tdm_fault(TDM_FAULT_host_reply_read);
    return result;
}

/* The reactor.  Of a worker that is well, replies that have come together are taken together. */
static bool take_as_threads_do(struct tdm_slot *slot)
{
    return slot->inbox.frame.kind == TDM_FRAME_REPLY && tdm_way_has_ring(&slot->in) && !slot->orphan &&
           tdm_replies_take_plain(slot) > 0;
}

/* The reactor.  Reads what one reply in hand can bring: another look at an empty pipe would cost as much as the reply itself.  0, or -EAGAIN,
 * -EPIPE or what is wrong. */
static int read_reply(struct tdm_slot *slot)
{
    int result;
    if (slot->deaf) return -EPROTO;
    do {
        result = pull(slot);
        if (result == 1 && !take_as_threads_do(slot)) tdm_replies_take_frame(slot);
    } while (result == 1 && !slot->deaf && tdm_inbox_has_more(&slot->inbox));
    return result == 1 ? 0 : result;
}

/* Not without end, lest somebody who writes on and on hold up the reactor. */
#define REPLIES_MOST 64

/* Nobody will tell of what is not read now, so that nothing is there counts only when it is said twice in a row. */
void tdm_reading_read_all(struct tdm_slot *slot)
{
    int result, empty = 0;
    for (int i = 0; i < REPLIES_MOST && empty < 2; i++) {
        result = read_reply(slot);
        if (result != 0 && result != -EAGAIN) return;
        empty = result == 0 ? 0 : empty + 1;
    }
}

enum plain { ALL_READ, MORE_THERE, FOR_THE_REACTOR };

/* A thread: until its own task, if it has one, has ended, and then what little lies there. */
static enum plain read_plain(struct tdm_slot *slot, struct tdm_task *mine)
{
    int left = REPLIES_MOST;
    while (load_seq(&slot->look_up) == 0) { /* [look-up] */
        if (!waits_for_nothing(mine)) tdm_gathering_wait(slot);
        int result = pull(slot);
        if (result == -EAGAIN) return ALL_READ;
        int taken = result == 1 ? tdm_replies_take_plain(slot) : 0;
        if (taken == 0) {
            slot->has_held = true;
            slot->held = result;
            return FOR_THE_REACTOR;
        }
        bool satisfied = waits_for_nothing(mine);
        if (satisfied && (left -= taken) <= 0) return MORE_THERE;
        if (satisfied && mine && tdm_gathering_goes_on(slot, taken)) return ALL_READ;
        if (!mine && !tdm_inbox_has_more(&slot->inbox)) return MORE_THERE; /* what comes meanwhile is for the next time */
        if (!tdm_way_has_ring(&slot->in) && !tdm_inbox_has_more(&slot->inbox)) return ALL_READ; /* as far as one read tells */
    }
    return MORE_THERE;
}

static enum plain read_and_settle(struct tdm_slot *slot, struct tdm_task *mine)
{
    enum plain left = read_plain(slot, mine);
    tdm_replies_settle(slot);
    return left;
}

/* ---- the right ---- */

struct tdm_parked {
    struct tdm_task *task;
    struct tdm_node link;
};

static bool holds(struct tdm_slot *slot, const struct tdm_task *task)
{
    for (const struct tdm_entry *entry = slot->entries; entry < slot->entries + TDM_IN_HAND; entry++)
        if (entry->task == task) return true;
    return false;
}

/* Never takes back a bell.  It wakes although there is no wish any more: a worker may have taken that back, and died before it woke. */
static void wake_reader(struct tdm_slot *slot)
{
    uint32_t wish = TDM_HOST_FUTEX, later = TDM_HOST_FUTEX_LATER;
    if (!tdm_way_has_ring(&slot->in)) {
        tdm_fds_ring(slot->call);
        return;
    }
    if (!cas_seq(&slot->in.rings->host_wish, &wish, TDM_HOST_AWAKE)) cas_seq(&slot->in.rings->host_wish, &later, TDM_HOST_AWAKE);
    tdm_futex_wake_shared(&slot->in.rings->host_wish, 1);
}

void tdm_reading_look_up(struct tdm_slot *slot)
{
    if (slot->reader != TDM_THREAD_READS) return;
    store_seq(&slot->look_up, 1); /* [look-up] */
    wake_reader(slot);
}

/* With the lock held, by whoever takes the right.  A thread that was given it and has not noticed yet loses nothing: it still waits, so its task is
 * there, and until it has woken up another could have read that task's end. */
static void take_back(struct tdm_slot *slot)
{
    if (slot->given) and_seq(&slot->given->task->state, ~(uint32_t)TDM_GIVEN);
    slot->given = NULL;
}

bool tdm_reading_take(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool can = slot->reader != TDM_THREAD_READS;
    if (can) {
        take_back(slot);
        slot->reader = TDM_REACTOR_READS;
        slot->unread = false;
    } else {
        slot->unread = true;
        tdm_reading_look_up(slot);
    }
    tdm_slot_unlock(slot);
    return can;
}

/* With the lock held: the next one whose task this worker has. */
static struct tdm_parked *next_parked(struct tdm_slot *slot)
{
    for (struct tdm_node *node = slot->parked.next; node != &slot->parked; node = node->next) {
        struct tdm_parked *parked = container_of(node, struct tdm_parked, link);
        if (holds(slot, parked->task)) return parked;
    }
    return NULL;
}

/* With the lock held.  While the slot holds it the task has not ended, and its memory is there; the wake uses the address only. */
static void give(struct tdm_slot *slot, struct tdm_parked *next)
{
    slot->reader = TDM_RIGHT_GIVEN;
    slot->given = next;
    or_seq(&next->task->state, (uint32_t)TDM_GIVEN);
    tdm_futex_wake_all(&next->task->state);
}

/* With the lock held: the right is a thread's from now on. */
static void read_by_thread(struct tdm_slot *slot)
{
    slot->reader = TDM_THREAD_READS;
    if (!tdm_way_has_ring(&slot->in)) tdm_reading_hush_pipe(slot);
}

/* HAD_ENOUGH: there may be more, for whoever comes.  HAS_PASSED: the same, and the next comes soon. */
enum why { ALL_IS_READ, HAD_ENOUGH, HAS_PASSED, IS_FOR_THE_REACTOR };
enum let_go { IS_FREE, READ_ON };

/* With the lock held: does a thread that submits, or waits for brief tasks, come by again? */
static bool comes_again(const struct tdm_slot *slot, enum tdm_reader who)
{
    if (who == TDM_REACTOR_READS && slot->came_by) return true;
    return (who == TDM_THREAD_READS || slot->visited) && tdm_ringing_is_brief(slot);
}

/* READ_ON: there is something again, and nobody else to read it; the right is the caller's still. */
static enum let_go let_go(struct tdm_slot *slot, enum tdm_reader who, enum why why)
{
    enum let_go result = IS_FREE;
    bool leave_it = why == IS_FOR_THE_REACTOR;
    tdm_slot_lock(slot);
    bool called = load_seq(&slot->look_up) != 0;                        /* to where its task is by now, perhaps [look-up] */
    if (called) store_seq(&slot->look_up, 0);                           /* [look-up] */
    bool is_for_threads = !leave_it && !slot->unread && may_lead(slot); /* one may wait since the slot's last worker */
    struct tdm_parked *next = is_for_threads ? next_parked(slot) : NULL;
    bool passes = why == HAS_PASSED || (!leave_it && comes_again(slot, who));
    slot->came_by = false;
    if (who == TDM_THREAD_READS && !tdm_outbox_empty(&slot->outbox)) tdm_reactor_post(&slot->attend);
    if (leave_it || (slot->unread && who == TDM_THREAD_READS)) {
        slot->reader = TDM_NOBODY_READS;
        slot->unread = true;
        tdm_reactor_post(&slot->attend);
    } else if (next) {
        give(slot, next);
    } else if (passes && tdm_ringing_leave_to_next(slot)) {
        /* the right is free */
    } else if (why == HAD_ENOUGH || called || (why == HAS_PASSED && tdm_slot_has_news(slot))) {
        slot->reader = TDM_NOBODY_READS;
        slot->unlooked = true;
        tdm_reactor_post(&slot->attend);
    } else if (tdm_ringing_arm(slot)) {
        slot->reader = who;
        store_seq(&slot->in.rings->host_wish, TDM_HOST_AWAKE);
        result = READ_ON;
    }
    tdm_slot_unlock(slot);
    return result;
}

/* ---- a thread that waits ---- */

/* A large input goes into the ring as fast as the worker takes it out.  True: there is more; then, how the ring was left.  (The reactor, too,
 * may write to it at any time.)  What is wrong the reactor finds as well. */
static bool pump(struct tdm_slot *slot, struct tdm_way *left_at, bool *later)
{
    int left = 0;
    tdm_slot_lock(slot);
    if ((slot->state == TDM_SLOT_READY || slot->state == TDM_SLOT_LEAVING) && !tdm_outbox_empty(&slot->outbox)) {
        store_seq(&slot->out.rings->host_wants_room, TDM_ROOM_NOT_WANTED);
        left = tdm_slot_push(slot, false);
        if (left != 0 && left != -EAGAIN) tdm_reactor_post(&slot->attend);
        *left_at = slot->out;
    }
    *later = left == 0 && tdm_ringing_can_be_later(slot);
    tdm_slot_unlock(slot);
    return left == -EAGAIN;
}

/* A worker that has turned against its host can write the wish again just when somebody has taken it back to wake the thread that sleeps on it;
 * so that one looks around by itself, too. */
#define LIE_NS 100000000u

/* What it has begun takes longer than was expected: the next reply is to be told at once. */
static void be_hasty(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    slot->hasty = true;
    tdm_slot_unlock(slot);
}

/* A worker that has begun a frame, or been sent a part of one, does not pause. */
static bool watch(struct tdm_slot *slot, const struct tdm_way *way, bool writes)
{
    if (slot->watch.most_ns != 0 && !tdm_slot_may_watch(slot)) return tdm_ring_has_news(&way->ring, writes);
    bool amid = writes || slot->inbox.has_frame;
    return amid ? tdm_way_watch_amid(way, writes, &slot->watch) : tdm_way_watch(way, writes, &slot->watch);
}

/* With the right.  Sleeps until there is something to read, room for more of an input, or something to look at. */
static void watch_and_sleep(struct tdm_slot *slot, const struct tdm_task *mine, uint64_t deadline)
{
    _Atomic uint32_t *word = &slot->in.rings->host_wish;
    struct tdm_way out;
    bool later, has_input = pump(slot, &out, &later);
    if (watch(slot, has_input ? &out : &slot->in, has_input)) return;
    uint32_t wish = later ? TDM_HOST_FUTEX_LATER : TDM_HOST_FUTEX;
    uint64_t look_ns = tdm_clock_ns() + (later ? TDM_RINGING_LATER_NS : LIE_NS);
    /* One sleep for both: the worker, when it has made room, looks at the first of these, and then at the other. */
    if (has_input) store_seq(&out.rings->host_wants_room, TDM_ROOM_FUTEX); /* [ring-wish] */
    store_seq(word, wish);                                                 /* [ring-wish] */
    bool has_room = has_input && !tdm_ring_is_full(&out.ring);
    if (!has_room && !tdm_ring_has_news(&slot->in.ring, false) && load_seq(&slot->look_up) == 0 && !has_ended(mine))
        tdm_way_sleep(word, wish, &slot->watch, look_ns < deadline ? look_ns : deadline);
    store_seq(word, TDM_HOST_AWAKE);
    if (later && !tdm_ring_has_news(&slot->in.ring, false)) be_hasty(slot);
}

static void sleep_until_news(struct tdm_slot *slot, const struct tdm_task *mine, uint64_t deadline)
{
    if (tdm_way_has_ring(&slot->in))
        watch_and_sleep(slot, mine, deadline);
    else if (!has_ended(mine))
        tdm_reading_sleep_on_pipe(slot, deadline);
}

/* Of a ring, the worker need not ring.  Mostly that is so already. */
static void lower_wish(struct tdm_slot *slot)
{
    _Atomic uint32_t *wish = &slot->in.rings->host_wish;
    if (load_seq(wish) != TDM_HOST_AWAKE) store_seq(wish, TDM_HOST_AWAKE); /* [ring-wish] */
}

/* With the right. */
static void begin(struct tdm_slot *slot, const struct tdm_task *mine, uint64_t deadline)
{
    if (tdm_way_has_ring(&slot->in))
        lower_wish(slot);
    else if (!has_ended(mine))
        tdm_reading_begin_at_pipe(slot, deadline);
}

static bool is_over(uint64_t deadline) { return deadline != TDM_FOREVER && tdm_clock_ns() >= deadline; }

/* So often it goes on reading what others wait for, while that comes faster than it can be read; in passing once, for who submits wants to go
 * on. */
#define ROUNDS_MOST 16
#define PASSES_MOST 1

static void read_until(struct tdm_slot *slot, struct tdm_task *mine, uint64_t deadline)
{
    enum plain left;
    enum why why;
    int rounds = mine ? ROUNDS_MOST : PASSES_MOST;
    begin(slot, mine, deadline);
    do {
        while ((left = read_and_settle(slot, mine)) == ALL_READ && !waits_for_nothing(mine) && !is_over(deadline) &&
               load_seq(&slot->look_up) == 0)
            sleep_until_news(slot, mine, deadline);
        why = ALL_IS_READ;
        if (left == FOR_THE_REACTOR)
            why = IS_FOR_THE_REACTOR;
        else if (waits_for_nothing(mine) && --rounds <= 0)
            why = mine ? HAD_ENOUGH : HAS_PASSED;
        else if (!tdm_way_has_ring(&slot->in) && tdm_inbox_has_header(&slot->inbox))
            why = HAD_ENOUGH; /* no pipe tells of that */
    } while (let_go(slot, TDM_THREAD_READS, why) == READ_ON);
}

/* With the lock held: is the right this one's now?  Its task may have been taken away since it was given; then nobody will tell it of the
 * task's end where it reads, so it only passes the right on. */
static bool receive(struct tdm_slot *slot, const struct tdm_parked *me)
{
    if (slot->given != me) return false;
    slot->given = NULL;
    if (!holds(slot, me->task)) store_seq(&slot->look_up, 1); /* [look-up] */
    read_by_thread(slot);
    and_seq(&me->task->state, ~(uint32_t)TDM_GIVEN);
    return true;
}

/* The mark stands while one of those who wait for the task is given the right, and has not noticed.  The others must not sleep on a word
 * with the mark: it would look the same when it is their turn. */
#define NOTICE_NS 100000u

/* True: the right was given to me. */
static bool park(struct tdm_slot *slot, struct tdm_parked *me, uint64_t deadline)
{
    bool mine = false;
    while (!mine) {
        uint32_t word = load_seq(&me->task->state);
        if (tdm_task_state(word) == TDM_ENDED || is_over(deadline)) break;
        if (word & TDM_GIVEN) {
            tdm_slot_lock(slot);
            mine = receive(slot, me);
            tdm_slot_unlock(slot);
            if (!mine) tdm_futex_wait(&me->task->state, word, tdm_clock_ns() + NOTICE_NS);
        } else {
            tdm_futex_wait(&me->task->state, word, deadline);
        }
    }
    tdm_slot_lock(slot);
    if (!mine) mine = receive(slot, me);
    tdm_list_remove(&me->link);
    tdm_slot_unlock(slot);
    return mine;
}

/* With the lock held; the slot holds the task, so it has not ended. */
static void push_parked(struct tdm_slot *slot, struct tdm_parked *me)
{
    tdm_list_push_back(&slot->parked, &me->link);
    or_seq(&me->task->state, (uint32_t)TDM_WAITED);
}

bool tdm_reading_lead(struct tdm_slot *slot, struct tdm_task *task, uint64_t deadline)
{
    struct tdm_parked me = {.task = task};
    tdm_slot_lock(slot);
    bool here = holds(slot, task) && may_lead(slot);
    bool reads = here && slot->reader <= TDM_RIGHT_GIVEN && !slot->unread;
    if (reads) {
        take_back(slot);
        read_by_thread(slot);
    } else if (here) {
        push_parked(slot, &me);
    }
    tdm_slot_unlock(slot);
    if (!here) return false;
    if (reads || park(slot, &me, deadline)) read_until(slot, task, deadline);
    return true;
}

/* ---- a thread that comes by ---- */

static void pass(struct tdm_slot *slot, bool only_heard)
{
    tdm_slot_lock(slot);
    bool can = slot->state == TDM_SLOT_READY && tdm_way_has_ring(&slot->in) && slot->reader == TDM_NOBODY_READS && !slot->unread;
    bool reads = can && (slot->heard || !only_heard) && tdm_ring_has_news(&slot->in.ring, false);
    if (reads) read_by_thread(slot);
    if (!only_heard && slot->reader == TDM_REACTOR_READS) slot->came_by = true;
    tdm_slot_unlock(slot);
    if (reads) read_until(slot, NULL, 0);
}

void tdm_reading_pass(struct tdm_slot *slot) { pass(slot, false); }
void tdm_reading_pass_heard(struct tdm_slot *slot) { pass(slot, true); }

/* ---- the reactor ---- */

/* Pipes: nothing that it says matters, but its end shows only here. */
static int read_nothing(struct tdm_slot *slot)
{
    char bytes[4096];
    ssize_t got = tdm_fds_read(slot->replies, bytes, sizeof bytes);
    return got == 0 ? -EPIPE : got > 0 ? 0 : (int)got;
}

/* With the right.  0: there may be more; -EAGAIN; -EPIPE: the pipe has ended; or what is wrong. */
static int read_now(struct tdm_slot *slot, bool *was_deaf)
{
    int result;
    *was_deaf = slot->deaf;
    if (!tdm_way_has_ring(&slot->in)) return slot->deaf && slot->orphan ? read_nothing(slot) : read_reply(slot);
    store_seq(&slot->in.rings->host_wish, TDM_HOST_AWAKE);
    for (int i = 0; i < REPLIES_MOST; i++) {
        if ((result = read_reply(slot)) != 0) return result;
        if (slot->deaf) return -EAGAIN;
    }
    return 0;
}

/* With the right, which nobody gets who might read on. */
static void lost(struct tdm_slot *slot, bool was_deaf)
{
    slot->deaf = true;
    if (!tdm_way_has_ring(&slot->in)) tdm_reactor_watch(&slot->reply_source, 0);
    tdm_slot_set_dying(slot, was_deaf ? NULL : tdm_slot_broken);
}

/* Otherwise whoever waits would be told of it again and again. */
static void note_end(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    slot->ended = true;
    tdm_slot_unlock(slot);
}

/* -EPIPE: the pipe has ended, that is the replies themselves or the bell. */
static int read_and_let_go(struct tdm_slot *slot)
{
    bool was_deaf;
    int result;
    enum why why;
    do {
        result = read_now(slot, &was_deaf);
        tdm_replies_settle(slot);
        if (result == -EPIPE)
            note_end(slot);
        else if (result != 0 && result != -EAGAIN)
            lost(slot, was_deaf);
        why = result == 0 && tdm_way_has_ring(&slot->in) ? HAD_ENOUGH : ALL_IS_READ;
    } while (let_go(slot, TDM_REACTOR_READS, why) == READ_ON && result == -EAGAIN);
    return result;
}

void tdm_reading_now(struct tdm_slot *slot)
{
    if (tdm_reading_take(slot)) read_and_let_go(slot);
}

/* Its end is told by its guard, or it has only closed this pipe and still runs; but nobody tells of an orphan's. */
static void pipe_ended(struct tdm_slot *slot)
{
    tdm_reactor_watch(&slot->reply_source, 0);
    if (slot->orphan)
        tdm_slot_bury(slot, &(struct tdm_death){.known = false});
    else
        tdm_guards_expect_end(&slot->child);
}

/* Somebody was to tell the reactor when something came, and by now a thread has the right: it sees that. */
static bool is_read_by_thread(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool is = slot->reader == TDM_THREAD_READS;
    tdm_slot_unlock(slot);
    return is;
}

/* Forgotten first: a slot that is left to be looked at from now on is seen below, or sets the timer again. */
void tdm_reading_look(struct tdm_timer *timer)
{
    struct tdm_process_lane *lane = container_of(timer, struct tdm_process_lane, look_timer);
    store_seq(&lane->looks, 0); /* [lane-looks] */
    for (struct tdm_slot *slot = lane->slots; slot; slot = slot->next)
        if (tdm_ringing_look(slot) && !is_read_by_thread(slot)) tdm_reading_now(slot);
}

static void bell_rung(struct tdm_slot *slot)
{
    char bytes[64];
    ssize_t got = tdm_fds_read(slot->replies, bytes, sizeof bytes);
    if (got == 0 || !is_read_by_thread(slot)) tdm_reading_now(slot);
    if (got == 0)
        pipe_ended(slot);
    else
        tdm_reactor_post(&slot->attend); /* it may have rung because there is room */
}

void tdm_reading_ready(struct tdm_source *source, unsigned events)
{
    struct tdm_slot *slot = container_of(source, struct tdm_slot, reply_source);
    if (tdm_way_has_ring(&slot->in))
        bell_rung(slot);
    else if (!(events & TDM_POLL_ENDED) && is_read_by_thread(slot))
        return;
    else if (tdm_reading_take(slot) && read_and_let_go(slot) == -EPIPE)
        pipe_ended(slot);
}

void tdm_reading_end(struct tdm_slot *slot)
{
    if (slot->has_held && slot->held == 1) tdm_inbox_drop(&slot->inbox);
    tdm_inbox_clear(&slot->inbox);
    tdm_slot_lock(slot);
    slot->reader = TDM_NOBODY_READS;
    slot->has_held = slot->gathers = slot->unread = slot->unlooked = slot->came_by = slot->visited = false;
    store_seq(&slot->look_up, 0);
    tdm_slot_unlock(slot);
}

void tdm_reading_attend(struct tdm_slot *slot)
{
    tdm_slot_lock(slot);
    bool unread = slot->unread && slot->reader != TDM_THREAD_READS;
    bool unlooked = slot->unlooked && slot->reader == TDM_NOBODY_READS;
    slot->unlooked = false;
    tdm_slot_unlock(slot);
    if (slot->is_dead)
        tdm_slot_bury(slot, &slot->death);
    else if (unread || unlooked)
        tdm_reading_now(slot);
}
