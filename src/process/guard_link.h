/* guard_link.h - the host's end of the lines to keeper and zygote: starts them, asks for workers and kills, hears of their ends, and
 * keeps track of who tells of whose end when one of the two dies.
 *
 * One pair of guards a program, whatever the number of pools.  Start and stop are for the roof, one at a time; all else happens on the
 * reactor's thread, so there is no lock. */
#ifndef TDM_PROCESS_GUARD_LINK_H
#define TDM_PROCESS_GUARD_LINK_H

#include "base/list.h"
#include "child/guard.h"
#include "child/process_worker.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Forks the guards if there are none.  asked_for: somebody said that this is the time; else, where nobody can tell how many threads
 * there are, it is not done.  0; -ENOTSUP: this program has, or may have, more threads than one; -errno. */
int tdm_guards_start(bool asked_for);

/* Ends them, and returns when they have ended. */
void tdm_guards_stop(void);

/* Drops what a fork left of the parent's link. */
void tdm_guards_reset(void);

/* Has this program still the credentials that its workers would have? */
bool tdm_guards_have_our_credentials(void);

struct tdm_guard;

/* A worker process, as it is known here.  Zeroed with the calls set: none. */
struct tdm_child {
    uint64_t number;
    pid_t pid;               /* 0: not told yet, or ended */
    int fds[TDM_WORKER_FDS]; /* for the worker, -1: none; taken over by tdm_guards_spawn, closed as soon as they are sent */
    bool wants_spawn;
    int wants_signal, killed; /* to be sent; SIGKILL was wanted, and holds for a new guard, too */
    uint64_t asked_ns;        /* when what has not been answered yet was sent; 0: nothing */
    struct tdm_guard *guard;  /* who tells of its end; NULL: not asked for yet */
    struct tdm_node link, outgoing;
    /* error: 0 or a positive errno, ESTALE: the zygote died over it, ask for another; then it is forgotten */
    void (*spawned)(struct tdm_child *child, int error);
    void (*ended)(struct tdm_child *child, const struct tdm_guard_notice *notice); /* and is forgotten */
    void (*orphaned)(struct tdm_child *child); /* nobody is left who could tell of its end; forgotten */
    void (*bared)(struct tdm_child *child);    /* only one guard stands between it and being an orphan */
};

/* On the reactor's thread: from now on, or no more, somebody wants to hear. */
void tdm_guards_listen(void);
void tdm_guards_unlisten(void);

void tdm_guards_spawn(struct tdm_child *child);
/* To its whole process group.  Also for one that is not spawned yet: as soon as it is. */
void tdm_guards_signal(struct tdm_child *child, int signal);
/* It seems to have ended: who has to tell so is woken, should it have been stopped. */
void tdm_guards_expect_end(struct tdm_child *child);
void tdm_guards_forget(struct tdm_child *child);

#endif
