/* platform.h - what differs between systems, chosen by file: platform_linux.c or platform_posix.c.
 *
 * Each call has an answer everywhere; where a system cannot do it, the comment says what its callers do instead. */
#ifndef TDM_BASE_PLATFORM_H
#define TDM_BASE_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* CPUs this process may run on; at least 1. */
unsigned tdm_platform_cpus(void);

/* Names the calling thread for ps, top and debuggers; cut to what the system takes. */
void tdm_platform_name_thread(const char *name);

/* A pipe, both ends close-on-exec.  0 or -errno. */
int tdm_platform_pipe(int fds[2]);

/* A connected pair of local sockets that carry whole messages and descriptors, close-on-exec.  0 or -errno. */
int tdm_platform_socketpair(int fds[2]);

/* A bell: fds[0] is readable after a ring, until emptied.  One descriptor twice, or two.  Non-blocking, close-on-exec. */
int tdm_platform_bell(int fds[2]);

/* Unnamed memory of this size behind a descriptor, to be mapped by several processes.  A descriptor or -errno. */
int tdm_platform_memory(size_t size);

/* Closes every descriptor from low to high, both included. */
void tdm_platform_close_range(unsigned low, unsigned high);

/* fork(), but the child's end is not seen by the parent's wait() or waitpid(-1).  0 in the child; its pid; or -errno. */
pid_t tdm_platform_fork_unseen(void);

/* Ends a child made by fork_unseen, which was told to end and has nothing left to do, and collects it.  Where its number may be another
 * process's by now, it is only collected if it is there. */
void tdm_platform_end_unseen(pid_t pid);

/* Has the kernel SIGKILL this process when the last write end of the pipe closes.  Elsewhere: nothing; the zygote kills. */
void tdm_platform_arm_lifeline(int read_fd);

/* A descriptor that becomes readable when the process ends, or -1 where there is no such thing. */
int tdm_platform_watch_process(pid_t pid);

/* A word that reads 0 in every forked child, whatever the parent stored; NULL where there is no such thing. */
_Atomic uint32_t *tdm_platform_word_wiped_by_fork(void);

/* Threads that a sanitizer may run beside the program's own. */
int tdm_platform_sanitizer_threads(void);

/* How often code has been unloaded from this process; 0 where that cannot be known. */
uint64_t tdm_platform_unloads(void);

/* Has exit() in this process skip everything that was registered so far, and only flush stdio's streams.  Elsewhere: nothing. */
void tdm_platform_shield_exit(void);

#endif
