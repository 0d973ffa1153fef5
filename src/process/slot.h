/* slot.h - one worker process as the host sees it: its pipes and rings, its page, the tasks it has in hand.
 *
 * Any thread may hand tasks to a ready slot and stop those it holds, under the slot's lock, and read its replies if it has the right to
 * (reading.h).  Everything else - starting, killing, burying - happens on the reactor's thread. */
#ifndef TDM_PROCESS_SLOT_H
#define TDM_PROCESS_SLOT_H

#include "base/reactor.h"
#include "guards/guard_children.h"
#include "job/control.h"
#include "job/stream.h"
#include "process/error_tail.h"
#include "process/verdict.h"
#include "process/worker_output.h"
#include "task/lane.h"

struct tdm_process_lane;

enum tdm_reader { TDM_NOBODY_READS = 0, TDM_RIGHT_GIVEN, TDM_THREAD_READS, TDM_REACTOR_READS };

enum tdm_slot_state {
    TDM_SLOT_EMPTY = 0, /* no process */
    TDM_SLOT_STARTING,  /* asked for; has not said READY */
    TDM_SLOT_READY,     /* idle, or with tasks */
    TDM_SLOT_LEAVING,   /* told to end in peace, or ending by itself; gets no more tasks */
    TDM_SLOT_DYING      /* to be killed */
};

/* A task in the worker's hands, or on the way there.  Its index is that of its word in the page. */
struct tdm_entry {
    struct tdm_task *task; /* NULL: free */
    uint64_t sequence;     /* rises in the order in which they were handed over; the worker takes them in that order */
    uint64_t handed_ns;    /* handed over */
    uint64_t next_ns;      /* the same, or the end of the one before it: since then it is what the worker has to do */
    uint64_t begun_ns;     /* the same, or when it was last found not begun: from then on its time counts */
    int decided;           /* status of a kill that won: the task ends as that, whatever else arrives; 0: none */
};

struct tdm_slot {
    struct tdm_process_lane *lane;
    struct tdm_slot *next; /* of all slots of the lane; constant */
    bool dedicated;        /* its worker is for one task; constant while there is a process */

    /* guarded by lock (rank SLOT) */
    struct tdm_lock lock;
    enum tdm_slot_state state;
    uint32_t number; /* of the worker within its pool, never used again; also constant while the slot is on the idle list */
    struct tdm_entry entries[TDM_IN_HAND];
    struct tdm_entry *oldest; /* of those that are not free; NULL: there is none */
    unsigned in_hand;         /* entries that are not free */
    uint64_t usual_ns;        /* what its tasks take, as it says itself; 0: it has had none */
    uint32_t handed;          /* tasks this worker was given and not taken back from before it began them */
    bool freed;               /* its last task was taken away by another thread: the reactor makes it idle */
    bool suspect;             /* the oldest task's word says that it has finished, when its reply was due */
    bool gently;              /* it is to be killed, but asked to end first */
    int input_error;          /* decided is NOT_STARTED: why the input could not be sent */
    const char *step;         /* static; why a start failed, or what was wrong with the worker */
    uint64_t sequence;        /* of the last task handed over; counts on, also over replaced workers */
    uint64_t deadline_ns;     /* of the oldest task */
    pid_t pid;                /* from READY on */
    uint64_t state_ns;        /* since when it is in this state */
    struct tdm_outbox outbox;
    struct tdm_mail *mail; /* the message that is in it; the slot's until it is written; NULL: none */
    struct tdm_mail *data; /* what was set for the pool, for the task of: */
    int32_t data_version;
    uint64_t data_due; /* that sequence; the rest of its way is that of a message */
    bool heard;        /* it has had a task that may send messages */
    uint64_t parcels_sent, parcels_read;
    bool parcels_full;        /* the socket takes no more: the reactor waits for room */
    uint64_t credit_due;      /* the sequence of the task that is to be told that it may send on; 0: none */
    bool leave_due;           /* it is to be told to leave, once the outbox is empty */
    struct tdm_way out;       /* requests */
    bool unpublished;         /* frames are in its ring that the worker does not see yet; only while tasks are handed over */
    enum tdm_reader reader;   /* who has the right to read the replies */
    struct tdm_parked *given; /* to whom it was given, who has not noticed yet */
    struct tdm_node parked;   /* those who wait for a task of this worker and have not the right */
    bool unread;              /* the reader that was a thread has left the reactor something that only it may read */
    bool hasty;               /* whoever reads is to be told of the next reply at once: what the worker does takes long */
    bool came_by;             /* a thread that submits has come by while the reactor read: it will again */
    bool visited;             /* a thread that will come by again has read since the reactor last looked */
    bool ended;               /* pipes: that of the replies has, though its worker may go on; no thread waits there any more */
    bool unlooked;            /* the reader had had enough: if nobody else reads, the reactor is to go on */
    _Atomic uint32_t look_up; /* not 0: the thread that reads is to let go; also looked at without the lock [look-up] */
    bool is_dead;             /* and is to be buried as soon as the reactor may read; how: */
    struct tdm_death death;

    /* the reader's */
    struct tdm_way in;      /* replies */
    struct tdm_tally tally; /* of the tasks whose ends threads have read */
    struct tdm_inbox inbox;
    struct tdm_watch watch;
    uint64_t came_ns; /* when what it has brought last had come */
    uint64_t told_ns; /* the end of the task that was answered last, as its report tells it */
    bool gathers;     /* its tasks are brief and many: see gathering.h */
    bool has_held;    /* what the inbox has brought last was not for a thread to take: 1 a frame, or what is wrong */
    int held;
    bool deaf;         /* nothing more it says is listened to: it has broken the protocol, or what it says cannot matter */
    bool has_answered; /* at least one task */

    /* set up before READY and gone after the burial; in between constant */
    int requests[2]; /* both ends are kept open, so that a write never meets a pipe without a reader */
    int replies, lifeline;
    int call[2]; /* pipes: a bell for the thread that sleeps on the replies; -1: there is none, so the reactor reads them */
    int parcels; /* socket: descriptors of messages */
    struct tdm_control *control;
    size_t control_size; /* of what is mapped there: the page, and the rings if there are any */
    void *setup;         /* what it is sent first */

    /* the reactor's */
    struct tdm_child child;
    struct tdm_error_tail errors;    /* its size is for all; constant while there is a process */
    struct tdm_worker_output output; /* also others', with the lock */
    struct tdm_source reply_source, request_source, parcel_source;
    struct tdm_timer timer; /* of what the state is about: its start, its oldest task, its leaving, its death */
    struct tdm_job attend;
    int start_error;
    bool cannot_start; /* and no other worker could */
    bool in_use;       /* not empty */
    bool said_ready, was_ready, said_tired;
    bool was_offered; /* it has been handed a task at least once; written with the lock */
    bool stands;      /* ready, and waits for a seat; guarded by the ledger's lock */
    bool seated;      /* one of those that may have tasks; see process_lane */
    bool retiring;    /* it is to be replaced, as soon as its successor is ready */
    bool replaced;    /* its successor is, and has a seat of its own */
    bool recycled;    /* it was told to leave for another reason than having nothing to do */
    bool orphan;      /* no guard is left that knows it: its end shows only in its pipe */
    bool asked;       /* it was sent SIGTERM */
    bool kill_sent;

    /* guarded by the ledger's lock */
    struct tdm_node idle; /* among the idle ones, or those that stand by */
    uint64_t idle_since_ns;
};

enum tdm_offer { TDM_OFFER_TAKEN, TDM_OFFER_CANCELLED, TDM_OFFER_DEAD, TDM_OFFER_FULL };

void tdm_slot_open(struct tdm_slot *slot, struct tdm_process_lane *lane);

/* Any thread, with no lock. */
/* To the worker of this number, one after the other; what it takes is off the list and counted.  Not TAKEN: what became of the first that is
 * still there, and the caller's like the rest. */
enum tdm_offer tdm_slot_offer(struct tdm_slot *slot, uint32_t number, struct tdm_node *tasks, unsigned *taken);
void tdm_slot_release(struct tdm_slot *slot, uint32_t number); /* that worker was taken off the idle list, and got no task */
/* Does nothing if the slot does not hold that task.  True: the worker had not begun it, and it is the caller's; only for CANCELLED. */
bool tdm_slot_stop(struct tdm_slot *slot, struct tdm_task *task, int status);

/* The reactor. */
/* Takes away what was handed over so long ago and has not been begun, though nothing else runs; then the worker is killed.  When to look again;
 * TDM_FOREVER: it has no task. */
uint64_t tdm_slot_look(struct tdm_slot *slot, uint64_t now_ns, uint64_t patience_ns, bool *hangs);
struct tdm_leeway {
    unsigned in_hand, room; /* how many tasks it has, and could be given more */
    bool was_offered;       /* it has had some */
    bool is_spent;          /* it has had all the tasks that one worker gets */
};
struct tdm_leeway tdm_slot_leeway(struct tdm_slot *slot);
struct tdm_leeway tdm_slot_leeway_locked(struct tdm_slot *slot); /* by any thread */
bool tdm_slot_is_held_up(
    struct tdm_slot *slot); /* it has no task, but the rest of a message is still to be written; it will be freed then */
struct tdm_task *tdm_slot_take_newest(struct tdm_slot *slot); /* one that waits behind another, now the caller's; or NULL */
void tdm_slot_start(struct tdm_slot *slot, uint32_t number);
void tdm_slot_leave(struct tdm_slot *slot); /* an idle one ends in peace */
void tdm_slot_kill(struct tdm_slot *slot);  /* one without a task */
void tdm_slot_end(struct tdm_slot *slot);   /* whatever it does; its tasks end as CANCELLED */

#endif
