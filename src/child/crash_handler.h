/* crash_handler.h - a worker that crashes writes down where, and then dies of the crash all the same. */
#ifndef TDM_CHILD_CRASH_HANDLER_H
#define TDM_CHILD_CRASH_HANDLER_H

#include "job/last_words.h"

#include <stdbool.h>

/* Once in the process with one thread from which workers are forked: does what must not be done for the first time in a handler. */
void tdm_crash_handler_prepare(void);

/* In a worker, on its main thread: handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP and SIGSYS, on a stack of their own.
 * The words must be zeroed, and stay mapped.  False: not all of it could be had; what could be is in place. */
bool tdm_crash_handler_install(struct tdm_last_words *words);

/* Are the handlers still ours, and does the kernel still keep a dead child's status?  Costs some system calls. */
bool tdm_crash_handler_is_intact(void);

#endif
