/* mailbox.h - a task's messages in the host, both ways: those posted and not yet received, those sent and not yet handed over.
 *
 * It is separate from the task, because a thread that waits for room in it must be able to find out that the task has ended even when the
 * task is gone.  The task has a reference until it ends, its callbacks have it from then on, and each waiting poster has one. */
#ifndef TDM_TASK_MAILBOX_H
#define TDM_TASK_MAILBOX_H

#include "base/atomics.h"
#include "base/list.h"
#include "base/lock.h"
#include "job/mail.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tdm_task;

/* The threads that sleep until something changes in one direction, and what changes then. */
struct tdm_mail_bell {
    _Atomic uint32_t count;    /* of changes; slept on; written by who makes one [mail-bell] */
    _Atomic uint32_t sleepers; /* or about to be; written by them, before they look once more [mail-bell] */
};

/* ANSWERED: it is off the list, and all is said. */
enum { TDM_ASKED = 0, TDM_ANSWERED, TDM_ASLEEP };

/* A thread that waits for the answer to what it has posted; on its stack, in the mailbox's list until the answer comes. */
struct tdm_asking {
    struct tdm_node link;
    uint32_t request;
    struct tdm_mail *answer; /* NULL: there will be none */
    _Atomic uint32_t done;   /* one of these; slept on; written under the mailbox's lock, except to go to sleep [asking-done] */
};

struct tdm_mailbox {
    _Atomic uint32_t references; /* written by all who have one [mail-references] */
    struct tdm_task *task;       /* there until its last callback has been called; constant */
    uint32_t watch_ns;           /* how long who waits watches before it sleeps, at most; constant */

    _Atomic uint64_t done, total; /* of one on a thread: how far it says it is; written by its function [progress] */

    /* In one line, which a message to the task then moves from one side to the other and back once: who watches to_receive needs the rest of it next,
     * and who posts is in there for less time than passes between two looks. */
    _Alignas(TDM_CACHE_LINE) struct tdm_lock lock; /* rank MAIL */
    struct tdm_mail_bell to_receive;               /* something was posted, or is to be looked at */
    struct tdm_mail_bell to_post;                  /* there is room */
    /* guarded by lock */
    uint32_t requests; /* counts who have asked */
    bool closed;       /* nothing more is posted */
    bool ended;        /* the task's run is over.  Also written under the lock of talk.c */
    struct tdm_mail_queue posted;
    /* here the line ends */
    struct tdm_node asking; /* who wait for answers */

    struct tdm_mail_bell to_send; /* there is room; looked at for each message that is handed over, seldom written */

    /* guarded by the callbacks' lock */
    _Alignas(TDM_CACHE_LINE) struct tdm_mail_queue sent;
    struct tdm_node turn; /* among those that have something to hand over */
    bool has_turn;        /* it is there, or somebody hands something of it over */
    size_t due;           /* messages, and at the end one more */

    struct tdm_node asleep; /* guarded by the sleepers' lock */

    /* of a task on a thread: its own */
    _Alignas(TDM_CACHE_LINE) struct tdm_mail_queue taken; /* out of posted, all at once */
    uint32_t seen;                                        /* to_receive, when it did so last; */
    bool saw_closed;                                      /* and closed */
    uint64_t watches_ns;                                  /* how long it watches before it sleeps; learned */

    /* in a worker: guarded by the lock of its slot */
    struct tdm_mail_queue
        written; /* what may have to be written once more: the worker has not begun the task, as far as is known */
    uint64_t count_written, bytes_written; /* to this worker */
    uint64_t tells_due;                    /* so often it may still tell that it has received some */
    bool told_closed;
    bool asked_begun; /* it is to tell that it has begun */
    void *last_slot;  /* where it was found last; under the lock of talk.c */
    _Atomic(void *)
        carrier; /* the slot, once the worker has sent something; written by who reads, looked at by who hands over or has asked [mail-carrier] */
    /* who has its turn's: taken and the worker not told yet */
    uint64_t untold, untold_bytes;
};

_Static_assert(offsetof(struct tdm_mailbox, asking) - offsetof(struct tdm_mailbox, lock) <= TDM_CACHE_LINE, "one line");

/* With one reference.  NULL: no memory. */
struct tdm_mailbox *tdm_mailbox_make(struct tdm_task *task, uint32_t watch_ns);
void tdm_mailbox_keep(struct tdm_mailbox *mailbox);
void tdm_mailbox_let_go(struct tdm_mailbox *mailbox); /* also NULL */

/* 0: it is taken, and whoever asks by it, if anyone, is in the list.  -EAGAIN: there is no room; -EPIPE: nothing is taken any more. */
int tdm_mailbox_post(struct tdm_mailbox *mailbox, struct tdm_mail *mail, struct tdm_asking *asking);

/* Gives the answer to a request to whoever asked; false: the asker no longer waits. */
bool tdm_mailbox_answer(struct tdm_mailbox *mailbox, uint32_t request, struct tdm_mail *mail);
/* An asker whose request has been received waits in vain: it died with its receiver. */
void tdm_mailbox_lose_requests(struct tdm_mailbox *mailbox);

/* By the task itself: the next that was posted; NULL: there is none, and if closed there will be none. */
struct tdm_mail *tdm_mailbox_receive(struct tdm_mailbox *mailbox, bool *closed);
/* For its worker: the next, if it fits where so many of so many bytes are; else *more says that there is one. */
struct tdm_mail *tdm_mailbox_receive_within(struct tdm_mailbox *mailbox, size_t count, size_t bytes, bool *closed, bool *more);
bool tdm_mailbox_has_posted(struct tdm_mailbox *mailbox);
bool tdm_mailbox_has_fds_next(struct tdm_mailbox *mailbox); /* the next has descriptors */
/* What was received will be received again, before the others. */
void tdm_mailbox_put_back(struct tdm_mailbox *mailbox, struct tdm_mail_queue *received);

void tdm_mailbox_close(struct tdm_mailbox *mailbox); /* nothing more is posted */
void tdm_mailbox_end(struct tdm_mailbox *mailbox);   /* nothing in either direction; what was posted is of no use */
void tdm_mailbox_wake(struct tdm_mailbox *mailbox);  /* the task, to look around */

/* ---- sleeping: begin, look once more, watch, sleep or not, end ---- */

/* What changes is looked at, and changed, under one lock.  Who looks there after the change sees it; who looked before was in sleepers by then, and is
 * rung for [mail-bell]. */
static inline uint32_t tdm_mail_begin_sleep(struct tdm_mail_bell *bell)
{
    add_seq(&bell->sleepers, 1);
    return load_seq(&bell->count);
}

static inline void tdm_mail_end_sleep(struct tdm_mail_bell *bell) { add_seq(&bell->sleepers, (uint32_t)-1); }

/* With that lock held: is there somebody to wake?  That is done without it. */
static inline bool tdm_mail_ring(struct tdm_mail_bell *bell)
{
    add_seq(&bell->count, 1); /* [mail-bell] */
    return load_seq(&bell->sleepers) > 0;
}

static inline bool tdm_mail_ring_if_waited(struct tdm_mail_bell *bell)
{
    return load_seq(&bell->sleepers) > 0 && tdm_mail_ring(bell); /* [mail-bell] */
}

/* A pool's tasks that sleep on threads; the end of the pool wakes them. */
struct tdm_sleepers {
    struct tdm_lock lock; /* rank SLEEPERS */
    struct tdm_node mailboxes;
};

void tdm_sleepers_open(struct tdm_sleepers *sleepers);
void tdm_sleepers_add(struct tdm_sleepers *sleepers, struct tdm_mailbox *mailbox);
void tdm_sleepers_remove(struct tdm_sleepers *sleepers, struct tdm_mailbox *mailbox);
void tdm_sleepers_wake(struct tdm_sleepers *sleepers);

#endif
