/* belt.c - a channel's memory.  The argument is in belt.h. */
#include "job/belt.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/watch.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "a word shared between processes must not hide a lock");

#define MARK 0x74646d63u

/* Who holds the lock may have no processor at the moment. */
#define PATIENCE_NS 100000000u

/* A worker may have destroyed the lock.  Who wants to get out of a channel can close it; that is seen at the latest after this. */
#define LOOK_NS 1000000000u

/* Who has no time limit of its own thinks so after this. */
#define DAMAGED_NS 1000000000u

/* A reader's number is turn << 8 | place, above 0. */
#define PLACES    256u
#define TURN_MASK 0x7fffffu

/* A place for one message. */
struct place {
    _Atomic uint32_t size;
    uint32_t unused;
    char bytes[];
};

static size_t stride_of(const struct tdm_shape *shape) { return (sizeof(struct place) + shape->message_size + 7) / 8 * 8; }

static size_t start_of(const struct tdm_shape *shape)
{
    return sizeof(struct tdm_belt) + shape->readers * sizeof(struct tdm_reader_place);
}

size_t tdm_belt_size(const struct tdm_shape *shape)
{
    size_t stride = stride_of(shape), start = start_of(shape);
    return shape->messages <= (SIZE_MAX / 2 - start) / stride ? start + shape->messages * stride : 0;
}

void tdm_belt_make(struct tdm_belt *belt, const struct tdm_shape *shape)
{
    belt->shape = *shape;
    belt->mark = MARK;
    if (!shape->broadcast) store_seq(&belt->readers[0].owner, TDM_MEMBER_HOST); /* [belt-owner] */
}

bool tdm_belt_is_one(const struct tdm_belt *belt) { return belt->mark == MARK; }

/* ---- the lock ---- */

static bool is_over(uint64_t deadline_ns) { return deadline_ns != TDM_FOREVER && tdm_clock_ns() >= deadline_ns; }

static int enter_slowly(const struct tdm_hold *hold, uint64_t deadline_ns)
{
    uint64_t now = tdm_clock_ns(), patience = now + PATIENCE_NS;
    if (deadline_ns < patience) deadline_ns = patience;
    for (;; now = tdm_clock_ns()) {
        uint64_t look = now + LOOK_NS < deadline_ns ? now + LOOK_NS : deadline_ns;
        if (tdm_word_take(&hold->belt->lock, hold->me, look, NULL) >= 0) return 0;
        if (is_over(deadline_ns)) return -ETIMEDOUT;
        if (load_seq(&hold->belt->closed)) return -EPIPE; /* [belt-closed] */
    }
}

/* What the last holder may have left half done does not matter, so that it died is not even looked at.  [belt-lock] */
static int enter(const struct tdm_hold *hold, uint64_t deadline_ns)
{
    return tdm_word_take(&hold->belt->lock, hold->me, 0, NULL) >= 0 ? 0 : enter_slowly(hold, deadline_ns);
}

static int enter_or_fail(const struct tdm_hold *hold)
{
    int error = enter(hold, tdm_clock_ns() + DAMAGED_NS);
    return error == -ETIMEDOUT ? -EIO : error;
}

/* From here on, with the lock held, which orders all these: so relaxed. [belt-lock] */
static uint32_t add(_Atomic uint32_t *count, uint32_t by)
{
    uint32_t sum = load_relaxed(count) + by;
    store_relaxed(count, sum);
    return sum;
}

static void take_one(_Atomic uint32_t *count)
{
    if (load_relaxed(count) > 0) add(count, (uint32_t)-1);
}

/* ---- sleeping and waking ---- */

/* How many to wake once the lock is open. */
static int call(struct tdm_belt *belt, enum tdm_side side, bool all)
{
    uint32_t waiting = load_relaxed(&belt->waiting[side]), called = load_relaxed(&belt->called[side]);
    if (waiting <= called) return 0;
    store_relaxed(&belt->called[side], all ? waiting : called + 1);
    add_seq(&belt->bell[side], 1); /* [belt-bell] */
    tdm_fault(TDM_FAULT_belt_called);
    return all ? INT_MAX : 1;
}

static void leave(const struct tdm_hold *hold, enum tdm_side side, int wake)
{
    tdm_word_open(&hold->belt->lock);
    tdm_fault(TDM_FAULT_belt_opened);
    if (wake > 0) tdm_futex_wake_shared(&hold->belt->bell[side], wake);
}

static int leave_with(const struct tdm_hold *hold, int result)
{
    tdm_word_open(&hold->belt->lock);
    return result;
}

static void wake_all(struct tdm_belt *belt, enum tdm_side side)
{
    add_seq(&belt->bell[side], 1); /* [belt-bell] */
    tdm_futex_wake_shared(&belt->bell[side], INT_MAX);
}

/* With the lock held, before and after, unless it fails.  bell: as it was before this one looked at anything.  A closing and a burial, which take no
 * lock, write first and then ring: who reads the bell after that sees what they wrote, and who has read it before does not sleep. */
static int doze(const struct tdm_hold *hold, enum tdm_side side, uint32_t bell, uint64_t deadline_ns)
{
    struct tdm_belt *belt = hold->belt;
    add(&belt->waiting[side], 1);
    tdm_fault(TDM_FAULT_belt_counted_in);
    tdm_word_open(&belt->lock);
    if (hold->sleeps) hold->sleeps(true);
    tdm_futex_wait_shared(&belt->bell[side], bell, deadline_ns);
    if (hold->sleeps) hold->sleeps(false);
    tdm_fault(TDM_FAULT_belt_slept);
    int error = enter(hold, deadline_ns);
    if (error != 0) {
        wake_all(belt, side); /* what this one may have been called for is another's now */
        return error;
    }
    take_one(&belt->called[side]); /* first: to die in between must not leave more called than wait */
    tdm_fault(TDM_FAULT_belt_answered);
    take_one(&belt->waiting[side]);
    return 0;
}

/* ---- messages ---- */

static struct place *place_of(const struct tdm_hold *hold, uint64_t message)
{
    size_t offset = start_of(&hold->shape) + (size_t)(message % hold->shape.messages) * stride_of(&hold->shape);
    return (struct place *)(void *)((char *)hold->belt + offset);
}

/* What the slowest has taken; no readers: all. */
static uint64_t least_taken(const struct tdm_hold *hold, uint64_t sent)
{
    uint64_t most_left = 0;
    for (uint32_t i = 0; i < hold->shape.readers; i++) {
        const struct tdm_reader_place *reader = &hold->belt->readers[i];
        if (load_seq(&reader->owner) == TDM_MEMBER_NONE) continue; /* [belt-owner] */
        uint64_t left = sent - load_relaxed(&reader->taken);
        if (left > most_left) most_left = left;
    }
    return sent - most_left;
}

/* ---- watching ---- */

static _Thread_local uint64_t watch_ns = UINT64_MAX; /* learned: how long it pays; at first as long as it may be */

/* Without the lock: a hint, what is there is found under it. */
static bool has_news(const struct tdm_hold *hold, enum tdm_side side, uint64_t sent)
{
    const struct tdm_belt *belt = hold->belt;
    if (load_seq(&belt->closed)) return true; /* [belt-closed] */
    return side == TDM_RECEIVERS ? load_seq(&belt->sent) != sent : sent - least_taken(hold, sent) < hold->shape.messages;
}

static void watch(const struct tdm_hold *hold, enum tdm_side side, uint64_t sent, uint64_t deadline_ns)
{
    struct tdm_look look = {.until_ns = tdm_clock_ns() + watch_ns};
    if (look.until_ns > deadline_ns) look.until_ns = deadline_ns;
    bool saw;
    while (!(saw = has_news(hold, side, sent)) && tdm_watch_goes_on(&look)) {
    }
    watch_ns = tdm_watch_after(watch_ns, hold->shape.watch_ns, saw && !look.gave_way);
}

/* With the lock held, before and after, unless it fails: looks again, at the first time after a while, later when the bell has been rung. */
static int await(const struct tdm_hold *hold, enum tdm_side side, uint32_t bell, uint64_t deadline_ns, bool *watched)
{
    uint64_t longest_ns = hold->shape.watch_ns, sent = load_relaxed(&hold->belt->sent);
    if (deadline_ns == 0 || is_over(deadline_ns)) return leave_with(hold, -ETIMEDOUT);
    if (longest_ns == 0) return doze(hold, side, bell, deadline_ns);
    if (watch_ns > longest_ns) watch_ns = longest_ns;
    if (!*watched && watch_ns > 0) {
        *watched = true;
        tdm_word_open(&hold->belt->lock);
        watch(hold, side, sent, deadline_ns);
        return enter(hold, deadline_ns);
    }
    uint64_t since = tdm_clock_ns();
    int error = doze(hold, side, bell, deadline_ns);
    watch_ns = tdm_watch_after_nap(watch_ns, longest_ns, tdm_clock_ns() - since);
    return error;
}

int tdm_belt_send(const struct tdm_hold *hold, const void *data, size_t size, uint64_t deadline_ns)
{
    struct tdm_belt *belt = hold->belt;
    if (size > hold->shape.message_size) return -EMSGSIZE;
    bool watched = false;
    int error = enter(hold, deadline_ns);
    for (uint32_t bell; error == 0; error = await(hold, TDM_SENDERS, bell, deadline_ns, &watched)) {
        bell = load_seq(&belt->bell[TDM_SENDERS]);                    /* before all else [belt-bell] */
        if (load_seq(&belt->closed)) return leave_with(hold, -EPIPE); /* [belt-closed] */
        uint64_t sent = load_relaxed(&belt->sent), left = sent - least_taken(hold, sent);
        if (left > hold->shape.messages) return leave_with(hold, -EIO);
        if (left == hold->shape.messages) continue;
        struct place *place = place_of(hold, sent);
        store_relaxed(&place->size, (uint32_t)size);
        tdm_fault(TDM_FAULT_belt_begun);
        if (size > 0) memcpy(place->bytes, data, size);
        tdm_fault(TDM_FAULT_belt_written);
        store_seq(&belt->sent, sent + 1); /* now it is sent */
        tdm_fault(TDM_FAULT_belt_sent);
        leave(hold, TDM_RECEIVERS, call(belt, TDM_RECEIVERS, hold->shape.broadcast));
        return 0;
    }
    return error;
}

/* NULL: there is no such reader (any more). */
static struct tdm_reader_place *find_reader(const struct tdm_hold *hold, int number)
{
    struct tdm_reader_place *reader = &hold->belt->readers[0];
    if (!hold->shape.broadcast) return number == 0 ? reader : NULL;
    uint32_t place = (uint32_t)number % PLACES, turn = (uint32_t)number / PLACES;
    if (number <= 0 || place >= hold->shape.readers) return NULL;
    reader += place;
    return load_seq(&reader->owner) != TDM_MEMBER_NONE && load_relaxed(&reader->turn) == turn ? reader : NULL; /* [belt-owner] */
}

/* With the lock held, which it opens.  There is a message. */
static ssize_t take(const struct tdm_hold *hold, struct tdm_reader_place *reader, uint64_t message, void *buffer, size_t size)
{
    struct tdm_belt *belt = hold->belt;
    const struct place *place = place_of(hold, message);
    uint32_t length = load_relaxed(&place->size);
    if (length > hold->shape.message_size) return leave_with(hold, -EIO);
    if (length > size) {
        leave(hold, TDM_RECEIVERS,
              call(belt, TDM_RECEIVERS, false)); /* this one may have been called for it; another can take it */
        return -EMSGSIZE;
    }
    if (length > 0) memcpy(buffer, place->bytes, length);
    uint64_t sent = load_relaxed(&belt->sent), before = least_taken(hold, sent);
    tdm_fault(TDM_FAULT_belt_copied);
    store_seq(&reader->taken, message + 1); /* now it is taken */
    tdm_fault(TDM_FAULT_belt_taken);
    bool is_room = least_taken(hold, sent) != before;
    leave(hold, TDM_SENDERS, is_room ? call(belt, TDM_SENDERS, false) : 0);
    return (ssize_t)length;
}

ssize_t tdm_belt_receive(const struct tdm_hold *hold, int number, void *buffer, size_t size, uint64_t deadline_ns)
{
    struct tdm_belt *belt = hold->belt;
    bool watched = false;
    int error = enter(hold, deadline_ns);
    for (uint32_t bell; error == 0; error = await(hold, TDM_RECEIVERS, bell, deadline_ns, &watched)) {
        bell = load_seq(&belt->bell[TDM_RECEIVERS]); /* before all else [belt-bell] */
        struct tdm_reader_place *reader = find_reader(hold, number);
        if (!reader) return leave_with(hold, -EINVAL);
        uint64_t message = load_relaxed(&reader->taken), left = load_relaxed(&belt->sent) - message;
        if (left > hold->shape.messages) return leave_with(hold, -EIO);
        if (left > 0) return take(hold, reader, message, buffer, size);
        if (load_seq(&belt->closed)) return leave_with(hold, -EPIPE); /* [belt-closed] */
    }
    return error;
}

/* ---- readers of a broadcast ---- */

int tdm_belt_join(const struct tdm_hold *hold)
{
    struct tdm_belt *belt = hold->belt;
    int error = enter_or_fail(hold);
    if (error != 0) return error;
    if (load_seq(&belt->closed)) return leave_with(hold, -EPIPE);
    for (uint32_t i = 0; i < hold->shape.readers; i++) {
        struct tdm_reader_place *reader = &belt->readers[i];
        if (load_seq(&reader->owner) != TDM_MEMBER_NONE) continue;
        uint32_t turn = (add(&reader->turn, 1) & TURN_MASK);
        if (turn == 0) turn = 1;
        store_relaxed(&reader->turn, turn);
        store_relaxed(&reader->taken, load_relaxed(&belt->sent));
        store_seq(&reader->owner, hold->me); /* now it is one [belt-owner] */
        tdm_fault(TDM_FAULT_belt_joined);
        return leave_with(hold, (int)(turn * PLACES + i));
    }
    return leave_with(hold, -EAGAIN);
}

/* Receivers for it, if there are any, look again and find it gone. */
int tdm_belt_quit(const struct tdm_hold *hold, int number)
{
    int error = enter_or_fail(hold);
    if (error != 0) return error;
    struct tdm_reader_place *reader = find_reader(hold, number);
    if (!reader || !hold->shape.broadcast) return leave_with(hold, -EINVAL);
    store_seq(&reader->owner, TDM_MEMBER_NONE); /* [belt-owner] */
    int senders = call(hold->belt, TDM_SENDERS, true), receivers = call(hold->belt, TDM_RECEIVERS, true);
    leave(hold, TDM_SENDERS, senders);
    if (receivers > 0) tdm_futex_wake_shared(&hold->belt->bell[TDM_RECEIVERS], receivers);
    return 0;
}

/* ---- without the lock ---- */

void tdm_belt_close(struct tdm_belt *belt)
{
    store_seq(&belt->closed, 1); /* [belt-closed]; and wakes in any case: a worker may have written it and woken nobody */
    wake_all(belt, TDM_RECEIVERS);
    wake_all(belt, TDM_SENDERS);
}

/* Who owns a reader that dies while it is received for elsewhere: that receiver finds it gone. */
void tdm_belt_bury(struct tdm_belt *belt, const struct tdm_shape *shape, uint32_t dead)
{
    for (uint32_t i = 0; i < shape->readers; i++) {
        uint32_t owner = dead;
        cas_seq(&belt->readers[i].owner, &owner, TDM_MEMBER_NONE); /* [belt-owner] */
    }
    tdm_word_bury(&belt->lock, dead);
    wake_all(belt, TDM_RECEIVERS);
    wake_all(belt, TDM_SENDERS);
}
