/* guard_children.h - workers and programs as the guards know them: asking for them, having them signalled, hearing of their ends.  All on the
 * reactor's thread. */
#ifndef TDM_GUARDS_CHILDREN_H
#define TDM_GUARDS_CHILDREN_H

#include "base/fds.h"
#include "base/list.h"
#include "child/guard.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tdm_guard;

/* A worker process, or a program, as it is known here.  Zeroed with kind and the calls set: none. */
struct tdm_child {
    uint32_t kind; /* TDM_SPAWN or TDM_EXEC */
    uint64_t number;
    pid_t pid; /* 0: not told yet, or ended */
    int fds
        [TDM_FDS_MOST]; /* for it, in the order of its kind, -1: none; taken over by tdm_guards_spawn, closed as soon as they are sent */
    bool wants_spawn;
    int wants_signal, killed; /* to be sent; SIGKILL was wanted, and holds for a new guard, too */
    uint64_t asked_ns;        /* when what has not been answered yet was sent; 0: nothing */
    struct tdm_guard *guard;  /* who tells of its end; NULL: not asked for yet */
    struct tdm_node link, outgoing;
    /* The zygote died over it, or had no time to tell: the pid of what has come of it nevertheless, or a negative errno value; -ESTALE: nothing
     * has, and nothing will.  NULL: that is so in any case */
    pid_t (*look)(struct tdm_child *child);
    /* error: 0 or a positive errno, ESTALE: the zygote died over it, ask for another; then it is forgotten */
    void (*spawned)(struct tdm_child *child, int error);
    void (*ended)(struct tdm_child *child, const struct tdm_guard_notice *notice); /* and is forgotten */
    void (*orphaned)(struct tdm_child *child, pid_t pid); /* nobody is left who could tell of its end; forgotten */
    void (*bared)(struct tdm_child *child);               /* only one guard stands between it and being an orphan; or NULL */
};

void tdm_guards_spawn(struct tdm_child *child);
/* To its whole process group.  Also for one that is not spawned yet: as soon as it is. */
void tdm_guards_signal(struct tdm_child *child, int signal);
/* It seems to have ended: who has to tell so is woken, should it have been stopped. */
void tdm_guards_expect_end(struct tdm_child *child);
void tdm_guards_forget(struct tdm_child *child);

#endif
