/* after_fork.h - the first steps of every process of ours. */
#ifndef TDM_CHILD_AFTER_FORK_H
#define TDM_CHILD_AFTER_FORK_H

#include <stddef.h>

/* Makes the library this process's own, with nothing of the parent's in it.  Closes nothing. */
void tdm_after_fork_adopt(void);

/* Every signal back to its default, whatever the host had set. */
void tdm_after_fork_default_signals(void);

/* Those that a guard ignores: a terminal's signals are for the host alone; who wants the guard to end ends the host. */
void tdm_after_fork_ignore_signals(void);
/* And their undoing before an exec, which sees to all others. */
void tdm_after_fork_ignore_no_more(void);

/* Standard input becomes empty.  Output and error stay the host's, or lead nowhere if the host has closed them: what is opened later must
 * not become one of them. */
void tdm_after_fork_set_stdio(void);

/* Closes every descriptor above 2 but these; sorts them. */
void tdm_after_fork_close_all_but(int *keep, size_t count);

#endif
