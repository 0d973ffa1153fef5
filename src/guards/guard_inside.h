/* guard_inside.h - what the two halves of the host's side share: guard_link.c (the guards themselves) and guard_children.c (their
 * children).  Used by the reactor, or while there is none by start and stop. */
#ifndef TDM_GUARDS_INSIDE_H
#define TDM_GUARDS_INSIDE_H

#include "base/reactor.h"
#include "guards/guard_children.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tdm_guard {
    struct tdm_source source; /* its fd is the socket, -1: this entry is free */
    pid_t pid;
    int watch;                /* see tdm_platform_watch_process; -1: none */
    bool is_child;            /* the host's own, to be reaped */
    bool ended;               /* its socket has been read to the end */
    uint64_t heard_ns;        /* when it last said something */
    bool full;                /* its socket would not take what was to be sent */
    struct tdm_node children; /* whose ends it tells, and those that it was asked to fork */
};

/* Two live, and one or two whose last words are still to be read. */
#define TDM_GUARDS_MOST 4

struct tdm_line {
    _Atomic bool alive; /* set by start, cleared by whoever notices that both are gone or stops them */
    struct tdm_guard guards[TDM_GUARDS_MOST];
    struct tdm_guard *keeper, *zygote; /* NULL: there is none now, another will be told of */
    unsigned listeners;
};

extern struct tdm_line tdm_line; /* guard_link.c */

/* A guard was asked something; if the answer does not come, the guard is pressed for it. */
void tdm_guards_look_later(void);

/* ---- guard_children.c ---- */

void tdm_guards_open_children(void);

/* What waits to be sent, as far as it goes now. */
void tdm_guards_flush(void);

/* What a guard has told of one of its children. */
void tdm_guards_hear_of_child(struct tdm_guard *guard, const struct tdm_guard_notice *notice);

/* When the oldest was asked that has not been answered yet, or 0. */
uint64_t tdm_guards_oldest_question(const struct tdm_guard *guard, bool spawns_only);

/* What becomes of a guard's children: another tells of their ends, or nobody; or only one guard is left. */
void tdm_guards_hand_over(struct tdm_guard *dead, struct tdm_guard *heir);
void tdm_guards_orphan_all(struct tdm_guard *guard);
void tdm_guards_bare_all(struct tdm_guard *guard);
void tdm_guards_fail_outgoing(void);

#endif
