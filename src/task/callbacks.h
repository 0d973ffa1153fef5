/* callbacks.h - tasks that have ended and whose on_done is still to be called, and messages for on_message: by a thread of ours or inside the
 * host's own loop.
 *
 * Callbacks of one task never overlap: its messages in order, then on_done.  So a mailbox has one turn at a time, hands over one message in
 * it, and goes to the end of the list if it has more. */
#ifndef TDM_TASK_CALLBACKS_H
#define TDM_TASK_CALLBACKS_H

#include "base/atomics.h"
#include "base/list.h"
#include "base/lock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct tdm_core;
struct tdm_mail;
struct tdm_mailbox;
struct tdm_task;

/* A call that is not a task's end: of user code, on behalf of a task that has not ended. */
struct tdm_call {
    struct tdm_node link;
    void (*run)(struct tdm_call *call);
};

struct tdm_callbacks {
    bool by_host;
    int bell[2]; /* by_host: readable while something waits; rung and emptied under the lock, so always true */
    _Alignas(TDM_CACHE_LINE) struct tdm_lock lock; /* rank CALLBACKS */
    /* guarded by lock */
    struct tdm_node waiting; /* tasks */
    struct tdm_node calls;   /* these come before them */
    struct tdm_node talking; /* mailboxes whose turn comes */
    bool talked;             /* the last turn was a mailbox's: the next is a task's, if there is one */
    bool stopping;
    bool asleep; /* the thread */
    /* written under lock, looked at without, again and again */
    _Alignas(
        TDM_CACHE_LINE) _Atomic size_t count; /* calls to be made, also of mailboxes that have their turn now [callback-look] */
    _Atomic uint32_t rung;                    /* 1: the bell is [callback-look] */
    _Atomic uint32_t heard;                   /* 1: a message was handed over, and nobody has watched for the next since */
    /* not guarded */
    _Atomic uint32_t
        looking; /* by_host, 1: somebody looks for what is due and is about to call it: the bell is set after that; written by
                                   who looks [callback-look] */
    _Atomic uint32_t pushed;                             /* counts pushes; the thread sleeps on it [callback-pushed] */
    _Alignas(TDM_CACHE_LINE) struct tdm_lock start_lock; /* rank NEED */
    _Atomic uint32_t started;                            /* written under start_lock, looked at without */
    pthread_t thread;
    size_t stack_size;
    const struct tdm_core *core;
};

int tdm_callbacks_open(struct tdm_callbacks *callbacks, const struct tdm_core *core, bool by_host, size_t stack_size);

/* Makes sure that somebody will call.  0 or -errno. */
int tdm_callbacks_need(struct tdm_callbacks *callbacks);

void tdm_callbacks_push(struct tdm_callbacks *callbacks, struct tdm_task *task);

/* Into the mailbox, to be handed over.  False: there is no room. */
bool tdm_callbacks_push_message(struct tdm_callbacks *callbacks, struct tdm_mailbox *mailbox, struct tdm_mail *mail);
/* Its task has ended, and its reference is given away here. */
void tdm_callbacks_push_end(struct tdm_callbacks *callbacks, struct tdm_mailbox *mailbox);
/* Run once, where tasks are called back.  Its memory may be gone when run returns. */
void tdm_callbacks_push_call(struct tdm_callbacks *callbacks, struct tdm_call *call);
/* False: it has begun, or ended. */
bool tdm_callbacks_withdraw_call(struct tdm_callbacks *callbacks, struct tdm_call *call);

/* by_host: between these two a thread looks for what is due; the second calls it, as tdm_callbacks_run.  Where threads may send messages it
 * watches for a moment before, if one has come lately. */
void tdm_callbacks_begin_look(struct tdm_callbacks *callbacks);
void tdm_callbacks_watch(struct tdm_callbacks *callbacks);
int tdm_callbacks_end_look(struct tdm_callbacks *callbacks, size_t most);

/* Calls at most so many here; 0: all there are now.  How many. */
int tdm_callbacks_run(struct tdm_callbacks *callbacks, size_t most);

/* Calls what is left, by the thread or here, and ends. */
void tdm_callbacks_close(struct tdm_callbacks *callbacks);

#endif
