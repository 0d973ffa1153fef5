/* guard_link.h - the host's end of the lines to keeper and zygote: starts and ends them, hears what they say, and keeps track of which is
 * which when one of the two dies.  (What they are asked to do, and what becomes of their children: guard_children.h.)
 *
 * There is one pair of guards per program, whatever the number of pools.  Start and stop are for the roof, one at a time; all else happens on
 * the reactor's thread, so there is no lock. */
#ifndef TDM_GUARDS_LINK_H
#define TDM_GUARDS_LINK_H

#include <stdbool.h>

/* Forks the guards if there are none.  asked_for: somebody said that this is the time; else, where nobody can tell how many threads
 * there are, it is not done.  0; -ENOTSUP: this program has, or may have, more threads than one; -errno. */
int tdm_guards_start(bool asked_for);

/* Ends them, and returns when they have ended. */
void tdm_guards_stop(void);

/* Drops what a fork left of the parent's link. */
void tdm_guards_reset(void);

/* Has this program still the credentials that its workers would have? */
bool tdm_guards_have_our_credentials(void);

/* On the reactor's thread: from now on, or no more, somebody wants to hear. */
void tdm_guards_listen(void);
void tdm_guards_unlisten(void);

#endif
