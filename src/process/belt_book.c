/* belt_book.c - the channels that this process has made. */
#include "process/belt_book.h"

#include "base/identity.h"
#include "base/lock.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct tdm_belt *belt;
    struct tdm_shape shape;
    struct tdm_shared *shared;
    bool ended; /* its pool ends: whatever a worker writes there, it is closed once all workers are dead */
};

/* Guarded by lock, but for changes. */
static struct {
    struct tdm_lock lock;  /* rank BELTS */
    uint32_t home;         /* the process whose channels they are: a worker has inherited a copy */
    struct entry *entries; /* in order of their addresses */
    size_t count, room;
    _Atomic uint32_t changes; /* of the book; written with the lock, looked at without it [belt-book] */
} book;

/* What this thread has looked up last.  It holds as long as the book has not changed since. */
static _Thread_local struct {
    uint32_t changes;
    const struct tdm_belt *belt;
    struct tdm_shape shape;
} last;

static void lock(void) { tdm_lock(&book.lock, TDM_RANK_BELTS); }
static void unlock(void) { tdm_unlock(&book.lock, TDM_RANK_BELTS); }

/* With the lock held: the first that does not lie before it. */
static size_t find(const struct tdm_belt *belt)
{
    size_t from = 0, to = book.count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if ((uintptr_t)book.entries[middle].belt < (uintptr_t)belt)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool is_at(size_t place, const struct tdm_belt *belt) { return place < book.count && book.entries[place].belt == belt; }

static bool make_room(void)
{
    if (book.count < book.room) return true;
    size_t room = book.room > 0 ? 2 * book.room : 16;
    struct entry *entries = tdm_realloc(book.entries, room * sizeof *entries);
    if (!entries) return false;
    book.entries = entries;
    book.room = room;
    return true;
}

static void move(size_t to, size_t from)
{
    memmove(&book.entries[to], &book.entries[from], (book.count - from) * sizeof *book.entries);
    book.count = book.count + to - from;
    add_seq(&book.changes, 1); /* [belt-book] */
    if (book.count > 0) return;
    free(book.entries);
    book.entries = NULL;
    book.room = 0;
}

int tdm_belt_book_add(struct tdm_belt *belt, const struct tdm_shape *shape, struct tdm_shared *shared)
{
    lock();
    bool has_room = make_room();
    book.home = tdm_identity();
    if (has_room) {
        size_t place = find(belt);
        move(place + 1, place);
        book.entries[place] = (struct entry){.belt = belt, .shape = *shape, .shared = shared};
    }
    unlock();
    return has_room ? 0 : -ENOMEM;
}

struct tdm_shared *tdm_belt_book_remove(const struct tdm_belt *belt)
{
    struct tdm_shared *shared = NULL;
    lock();
    size_t place = find(belt);
    if (is_at(place, belt) && book.home == tdm_identity()) {
        shared = book.entries[place].shared;
        move(place, place + 1);
    }
    unlock();
    return shared;
}

bool tdm_belt_book_find(const struct tdm_belt *belt, struct tdm_shape *shape)
{
    if (last.belt != belt || last.changes != load_seq(&book.changes)) { /* [belt-book] */
        lock();
        size_t place = find(belt);
        bool found = is_at(place, belt) && book.home == tdm_identity();
        last.belt = found ? belt : NULL;
        if (found) last.shape = book.entries[place].shape;
        last.changes = load_seq(&book.changes);
        unlock();
    }
    *shape = last.shape;
    return last.belt != NULL;
}

void tdm_belt_book_bury(const struct tdm_shared *shared, uint32_t dead)
{
    lock();
    for (size_t i = 0; i < book.count; i++) {
        struct entry *entry = book.entries + i;
        if (entry->shared != shared) continue;
        tdm_belt_bury(entry->belt, &entry->shape, dead);
        if (entry->ended) tdm_belt_close(entry->belt);
    }
    unlock();
}

void tdm_belt_book_close(const struct tdm_shared *shared)
{
    lock();
    for (size_t i = 0; i < book.count; i++) {
        struct entry *entry = book.entries + i;
        if (entry->shared != shared) continue;
        entry->ended = true;
        tdm_belt_close(entry->belt);
    }
    unlock();
}

void tdm_belt_book_forget(const struct tdm_shared *shared)
{
    lock();
    for (size_t i = book.count; i-- > 0;)
        if (book.entries[i].shared == shared) move(i, i + 1);
    unlock();
}

/* Nothing is freed: another thread of the parent may have been about to. */
void tdm_belt_book_reset(void)
{
    book.lock = (struct tdm_lock){0};
    book.entries = NULL;
    book.count = book.room = 0;
    add_seq(&book.changes, 1); /* [belt-book] */
}
