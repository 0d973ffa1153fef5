/* task.h - the library's part of a task, and its way from NEW to ENDED.
 *
 *   NEW, ENDED -> PREPARING   submit: it is this call's alone; back again if it is refused before a lane has seen it
 *   PREPARING -> QUEUED       all is filled in; back to where it came from if the lane refuses it
 *   QUEUED -> HELD            it was taken out of a queue: by its lane, a waiter, a canceller, a deadline
 *   HELD -> QUEUED            the lane that holds it could not start it after all
 *   QUEUED, HELD -> ENDED     tdm_task_finish and its short forms, the last touch except for on_done.  From QUEUED if it was taken
 *                             from the front part of a thread lane's queue or from a hand: it can be had from nowhere then, and one
 *                             more move would cost more than it tells
 *
 * The state word also carries marks that may be set at any time before the end: somebody sleeps on it, on_done is still owed. */
#ifndef TDM_TASK_TASK_H
#define TDM_TASK_TASK_H

#include "base/atomics.h"
#include "base/heap.h"
#include "base/list.h"
#include "task/ledger.h"

#include <tandem.h>

struct tdm_facts;
struct tdm_lane;
struct tdm_mailbox;

enum tdm_task_state { TDM_NEW = 0, TDM_PREPARING = 1, TDM_QUEUED = 2, TDM_HELD = 3, TDM_ENDED = 4, TDM_STATE_MASK = 7 };
enum tdm_task_mark {
    TDM_WAITED = 1u << 8,      /* wake the word's address at the end */
    TDM_WAITED_ANY = 1u << 9,  /* wake those in tandem_wait_any too */
    TDM_OWED = 1u << 10,       /* ended, on_done not entered yet */
    TDM_GIVEN = 1u << 11,      /* one that waits for it was given something to do meanwhile: see process/reading.h */
    TDM_TIMED = 1u << 12,      /* queued_ns is set, and the function is timed: for a thread task */
    TDM_TALKS = 1u << 13,      /* it has a mailbox: see talk.h */
    TDM_PROGRESSED = 1u << 14, /* ended: how far it was is known */
    TDM_SHORT = 1u << 16,      /* a process task that asks for nothing but to be run: see process/plain.h */
    TDM_PLAIN = 1u << 15       /* a thread task without report, time limit, group and callback: nobody needs to look for them */
};
enum tdm_wish { TDM_WISH_CANCEL = 1u << 0, TDM_WISH_DEADLINE = 1u << 1, TDM_WISH_FIRST_SHIFT = 4 };
enum tdm_deadline_kind { TDM_OF_WAITING = 0, TDM_OF_RUNNING };

#if defined(__GNUC__)
#define TDM_MAY_ALIAS __attribute__((may_alias)) /* lies over an array of the public struct */
#else
#define TDM_MAY_ALIAS
#endif

/* What the public struct's reserved words hold.  Zeroed: NEW. */
struct TDM_MAY_ALIAS tdm_task {
    _Atomic uint32_t state; /* moved by who holds it, marked by waiters; publishes what submit prepared [task-prepared], and by an
                                exchange the end [task-end] */
    _Atomic uint8_t wishes; /* only gains bits while it runs; written by cancel and deadlines, read by the function [wishes] */
    uint8_t deaths : 4;     /* of workers that had it and had not begun it; its holder's */
    bool retried : 1;       /* it has run before, and its process crashed; its holder's */
    bool blank : 1;         /* its report is memory in which nothing has been written yet: see report.h; its holder's */
    bool bare : 1;          /* its report lies on a pad and tells of a run that ended OK: see report.h; its holder's */
    bool called : 1;        /* the thread that submits it waits for it at once; its holder's */
    uint16_t home;          /* the process it was submitted in, as far as it fits: its ancestors' numbers and its own are small */
    struct tdm_lane *lane;  /* from submit on */
    struct tdm_node link;   /* in its lane's queue, under the ledger's lock; later among the callbacks, under theirs */
    void *place;            /* guarded by the ledger's lock.  HELD by the process lane: the slot */
    uint64_t queued_ns;     /* 0: nobody wants to know; of a thread task only with TDM_TIMED */
    /* what most tasks do not need, and so do not touch: it lies in another cache line */
    void (*release)(void *); /* frees the output, if there is one */
    _Atomic(struct tdm_mailbox *)
        mail;                 /* with TDM_TALKS, else NULL; set under the lock of talk.c, stays until the task ends [task-mail] */
    struct tdm_node in_group; /* guarded by the group's lock */
    union {
        struct tdm_heap_node deadline;
        struct {
            uint64_t done, total;
        } progress; /* ended, with TDM_PROGRESSED */
    };
};

static inline struct tdm_task *tdm_task_of(tandem_task *task) { return (struct tdm_task *)(void *)task->reserved; }
static inline tandem_task *tdm_task_public(struct tdm_task *task) { return container_of(task, tandem_task, reserved); }

static inline enum tdm_task_state tdm_task_state(uint32_t word) { return (enum tdm_task_state)(word & TDM_STATE_MASK); }

/* Never submitted, or not yet. */
static inline bool tdm_task_is_new(uint32_t word) { return tdm_task_state(word) <= TDM_PREPARING; }

/* Has it a mailbox?  Known by a word that is at hand anyway: the mark comes after the mailbox, and then the lane is told. */
static inline bool tdm_task_talks(const struct tdm_task *task) { return load_seq(&task->state) & TDM_TALKS; }

/* To a state in which nobody may talk to it: its mailbox, if it has one, is closed before and set here, for the caller to let go.  The word
 * as it was. */
uint32_t tdm_task_move_out(struct tdm_task *task, uint32_t to, struct tdm_mailbox **mailbox);

/* Of one that is being prepared.  Left alone where it is in order: a cancel that came just before its last end may still look at it. */
static inline void tdm_task_set_lane(struct tdm_task *task, struct tdm_lane *lane, uint32_t home)
{
    if (task->lane == lane && task->home == (uint16_t)home) return;
    task->home = (uint16_t)home;
    task->lane = lane;
}

/* No lane has taken it, though it was QUEUED in name: it is what it was before, and somebody may have begun to wait for it. */
void tdm_task_give_up(struct tdm_task *task, uint32_t before);

/* Its marks stay. */
void tdm_task_move(struct tdm_task *task, enum tdm_task_state from, enum tdm_task_state to);

/* The first wish is remembered as such. */
void tdm_task_wish(struct tdm_task *task, enum tdm_wish wish);
bool tdm_task_wished_first(const struct tdm_task *task, enum tdm_wish wish);

/* How a task ended. */
struct tdm_outcome {
    int status; /* a tandem_status */
    int code, signal;
    void *output;
    size_t output_size;
    void (*release)(void *); /* of output */
    uint64_t started_ns;     /* 0: never, or nobody asked */
    uint64_t ended_ns;       /* 0: now */
    const char *step;
    const struct tdm_facts *facts; /* what more is known; NULL: nothing */
};

/* Ends a task that the caller holds: no queue, no deadline and no slot knows it any more.  tally: the caller's own, or NULL.
 * on_done is called here if this is a pool thread and it is due on one, else put where it is run. */
void tdm_task_finish(struct tdm_task *task, const struct tdm_outcome *outcome, struct tdm_tally *tally);

/* The same for one with TDM_PLAIN and without TDM_TIMED that has left nothing, and was not talked to before the caller looked.  tally: the
 * caller's own. */
void tdm_task_finish_plainly(struct tdm_task *task, int status, int code, struct tdm_tally *tally);

/* The same for one with TDM_SHORT that has returned 0, and no output, and whose report tells so already.  tally: the caller's own. */
void tdm_task_finish_plain_run(struct tdm_task *task, bool sampled, struct tdm_tally *tally);

/* Calls on_done, if there is one, and does what may only come after it and after the last message. */
void tdm_task_call_back(struct tdm_task *task, struct tdm_tally *tally);

/* Frees output and report; see report.h. */
void tdm_task_free_results(void *output, void (*release)(void *), const tandem_report *report);

#endif
