/* roll.h - the pids of all workers, in memory that keeper and zygotes share: who inherits them must know whose groups it may kill.
 *
 * Only pids that are children of the process that asks mean anything; a guard that takes over drops the others. */
#ifndef TDM_CHILD_ROLL_H
#define TDM_CHILD_ROLL_H

#include <stdbool.h>
#include <sys/types.h>

void tdm_roll_open(void); /* once, in the first keeper, before it forks */
void tdm_roll_drop(void); /* in a worker: no task of its may write there */
void tdm_roll_add(pid_t pid);
void tdm_roll_remove(pid_t pid);
bool tdm_roll_has(pid_t pid);
pid_t tdm_roll_find(bool (*is_ours)(pid_t pid)); /* one that is, or 0 */
void tdm_roll_keep(bool (*is_ours)(pid_t pid));  /* removes all others */

#endif
