/* proc.h - what /proc/self tells: how many threads there are, what is open, where code lies. */
#ifndef TDM_BASE_PROC_H
#define TDM_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>

/* The whole of a small file as a string, to be freed, or NULL.  errno stays, and no cancellation point leaks. */
char *tdm_proc_read_whole(const char *path);

/* Threads of this process that are the program's own (a sanitizer's does not count), or -1 where nobody tells. */
int tdm_proc_threads(void);

/* Closes every open descriptor from low to high, both included.  One thread only. */
void tdm_proc_close_range(unsigned low, unsigned high);

/* Remembers where executable code lies now, for tdm_proc_had_code. */
void tdm_proc_note_code(void);

/* In a forked child: forgets it, without touching what the parent's threads may have been changing. */
void tdm_proc_reset(void);

/* Was this code in the program when it was noted, and has it not been unloaded since?  Where nobody tells: true. */
bool tdm_proc_had_code(uintptr_t address);

#endif
