/* zygote_link.h - the host's end of the line to the zygote: starts it, asks it for workers and kills, hears of their ends.
 *
 * One zygote a process, whatever the number of pools.  Start and stop are for the roof, one at a time; all else happens on the
 * reactor's thread, so there is no lock. */
#ifndef TDM_PROCESS_ZYGOTE_LINK_H
#define TDM_PROCESS_ZYGOTE_LINK_H

#include "base/list.h"
#include "child/process_worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Forks the zygote if there is none.  asked_for: somebody said that this is the time; else, where nobody can tell how many threads
 * there are, it is not done.  0; -ENOTSUP: this program has, or may have, more threads than one; -errno. */
int tdm_zygote_start(bool asked_for);

/* Ends it, and returns when it has ended. */
void tdm_zygote_stop(void);

/* Drops what a fork left of the parent's link. */
void tdm_zygote_reset(void);

/* A worker process, as it is known here.  Zeroed with the calls and owner set: none. */
struct tdm_child {
    uint64_t number;
    pid_t pid;               /* 0: not told yet, or ended */
    int fds[TDM_WORKER_FDS]; /* for the worker; taken over by tdm_zygote_spawn, closed as soon as they are sent */
    bool wants_spawn, wants_kill;
    struct tdm_node link, outgoing;
    void (*spawned)(struct tdm_child *child, int error);          /* error: 0 or a positive errno; then it is forgotten */
    void (*ended)(struct tdm_child *child, int signal, int code); /* and is forgotten */
    void (*orphaned)(struct tdm_child *child);                    /* the zygote died: no ended will come; forgotten */
};

/* On the reactor's thread: from now on, or no more, somebody wants to hear. */
void tdm_zygote_listen(void);
void tdm_zygote_unlisten(void);

void tdm_zygote_spawn(struct tdm_child *child);
void tdm_zygote_kill(struct tdm_child *child); /* also one that is not spawned yet: as soon as it is */
void tdm_zygote_forget(struct tdm_child *child);

#endif
