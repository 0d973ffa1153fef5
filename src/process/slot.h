/* slot.h - one worker process as the host sees it: its pipes, its page, the task it has in hand.
 *
 * Any thread may hand a task to a ready slot and stop the task it holds, under the slot's lock.  Everything else - starting, reading,
 * killing, burying - happens on the reactor's thread. */
#ifndef TDM_PROCESS_SLOT_H
#define TDM_PROCESS_SLOT_H

#include "base/reactor.h"
#include "job/control.h"
#include "job/stream.h"
#include "process/zygote_link.h"
#include "task/lane.h"

struct tdm_process_lane;

enum tdm_slot_state {
    TDM_SLOT_EMPTY = 0, /* no process */
    TDM_SLOT_STARTING,  /* asked for; has not said READY */
    TDM_SLOT_READY,     /* idle, or with a task */
    TDM_SLOT_LEAVING,   /* told to end in peace, or ending by itself; gets no more tasks */
    TDM_SLOT_DYING      /* to be killed */
};

struct tdm_slot {
    struct tdm_process_lane *lane;

    /* guarded by lock (rank SLOT) */
    struct tdm_lock lock;
    enum tdm_slot_state state;
    uint32_t number;       /* of the worker within its pool, never used again; also constant while the slot is on the idle list */
    struct tdm_task *task; /* in the worker's hands, or on the way there; NULL: none */
    bool freed;            /* it was given up by its last taker without a task: the reactor makes it idle */
    int decided;           /* status of a kill that won: the task ends as that, whatever else arrives; 0: none */
    int input_error;       /* decided is NOT_STARTED: why the input could not be sent */
    bool suspect;          /* its word says that it has finished, when its reply was due */
    const char *step;      /* static; why a start failed, or what was wrong with the worker */
    uint64_t sequence;     /* of the last task handed over; counts on, also over replaced workers */
    uint64_t deadline_ns, started_ns; /* of the task */
    pid_t pid;                        /* from READY on */
    struct tdm_outbox outbox;

    /* set up before READY and gone after the burial; in between constant */
    int requests[2]; /* both ends are kept open, so that a write never meets a pipe without a reader */
    int replies, lifeline;
    struct tdm_control *control;

    /* the reactor's */
    struct tdm_child child;
    struct tdm_inbox inbox;
    struct tdm_source reply_source, request_source;
    struct tdm_timer timer; /* of what the state is about: its start, its task, its leaving, its death */
    struct tdm_job attend;
    int start_error;
    bool in_use; /* not empty */
    bool swept;  /* told to leave because it was idle for long */
    bool said_ready, was_ready;
    bool was_offered; /* it has been handed a task at least once */
    bool orphan;      /* the zygote has died: its end shows only in its pipe */
    bool kill_sent;

    /* guarded by the ledger's lock */
    struct tdm_node idle;
    uint64_t idle_since_ns;
};

enum tdm_offer { TDM_OFFER_TAKEN, TDM_OFFER_CANCELLED, TDM_OFFER_DEAD };

void tdm_slot_open(struct tdm_slot *slot, struct tdm_process_lane *lane);

/* Any thread, with no lock. */
enum tdm_offer tdm_slot_offer(struct tdm_slot *slot, uint32_t number, struct tdm_task *task); /* to the worker of this number.  Not
                                                                      TAKEN: the task is still the caller's */
void tdm_slot_release(struct tdm_slot *slot, uint32_t number); /* that worker was taken off the idle list, and got no task */
/* Does nothing if the slot does not hold that task.  True: the worker had not begun it, and it is the caller's; only for CANCELLED. */
bool tdm_slot_stop(struct tdm_slot *slot, struct tdm_task *task, int status);

/* The reactor. */
bool tdm_slot_look(struct tdm_slot *slot,
                   uint64_t before_ns); /* a task handed over before and not begun is taken away.  Has it one? */
void tdm_slot_start(struct tdm_slot *slot, uint32_t number);
void tdm_slot_leave(struct tdm_slot *slot); /* an idle one ends in peace */
void tdm_slot_kill(struct tdm_slot *slot);  /* one without a task */
void tdm_slot_end(struct tdm_slot *slot);   /* whatever it does; its task ends as CANCELLED */

#endif
