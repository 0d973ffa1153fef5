/* thread.h - how every thread of the library is started: with all signals blocked, so that the host's handlers stay on the host's threads,
 * and with cancellation disabled. */
#ifndef TDM_BASE_THREAD_H
#define TDM_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* stack_size 0: 1 MiB; raised to the system's least.  0 or -errno. */
int tdm_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument, size_t stack_size);

/* First thing in a thread that runs what the program gives it: a cancellation would strike later, whatever it runs then. */
void tdm_thread_begin(void);

#endif
