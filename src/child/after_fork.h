/* after_fork.h - the first steps of every process of ours. */
#ifndef TDM_CHILD_AFTER_FORK_H
#define TDM_CHILD_AFTER_FORK_H

#include <stddef.h>

/* Makes the library this process's own, with nothing of the parent's in it.  Closes nothing. */
void tdm_after_fork_adopt(void);

/* Every signal back to its default, whatever the host had set. */
void tdm_after_fork_default_signals(void);

/* Standard input becomes empty.  Output and error stay the host's, or lead nowhere if the host has closed them: what is opened later must
 * not become one of them. */
void tdm_after_fork_set_stdio(void);

/* Closes every descriptor above 2 but these; sorts them. */
void tdm_after_fork_close_all_but(int *keep, size_t count);

#endif
