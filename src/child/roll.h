/* roll.h - the pids of all workers, zygotes and programs, in memory that host and guards share: a guard that inherits them must know whose
 * groups it may kill, and whose zombies it has to collect.
 *
 * Only pids that are children of the process that asks mean anything.  An entry goes when its process has been collected; a guard that takes
 * over drops those that a dead one had no time for. */
#ifndef TDM_CHILD_ROLL_H
#define TDM_CHILD_ROLL_H

#include <stdbool.h>
#include <sys/types.h>

void tdm_roll_open(void);     /* in the host, before it forks the keeper */
void tdm_roll_drop(void);     /* in the host when all are gone; in a worker: no task of its may write there */
void tdm_roll_add(pid_t pid); /* by the child, first thing, and by its parent: whichever of them lives */
void tdm_roll_remove(pid_t pid);

/* A program that may leave something behind in its group when it ends, until it is condemned.  The host's end is the end of all. */
void tdm_roll_add_spared(pid_t pid);
bool tdm_roll_condemn(pid_t pid);       /* was it spared? */
bool tdm_roll_has_condemned(pid_t pid); /* one that was not spared, or not for long */

pid_t tdm_roll_find(bool (*is_ours)(pid_t pid)); /* one that is, or 0 */
void tdm_roll_tidy(void);                        /* removes those that no process has any more */

/* In the host, one that gets what its descendants leave: collects those that have ended.  How many others of its children are in it. */
size_t tdm_roll_collect(void);

#endif
