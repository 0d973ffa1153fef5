/* platform.h - what differs between systems, chosen by file: platform_linux.c or platform_posix.c.
 *
 * Each call has an answer everywhere; where a system cannot do it, the comment says what its callers do instead. */
#ifndef TDM_BASE_PLATFORM_H
#define TDM_BASE_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* CPUs this process may run on; at least 1. */
unsigned tdm_platform_cpus(void);

/* Names the calling thread for ps, top and debuggers; cut to what the system takes. */
void tdm_platform_name_thread(const char *name);

/* A pipe, both ends close-on-exec.  0 or -errno. */
int tdm_platform_pipe(int fds[2]);

/* A connected pair of local sockets that carry whole messages and descriptors, close-on-exec.  0 or -errno. */
int tdm_platform_socketpair(int fds[2]);

/* What recvmsg() is to be told for descriptors to arrive close-on-exec; 0 where there is no such thing: they are made so a moment later. */
int tdm_platform_receives_close_on_exec(void);

/* A bell: fds[0] is readable after a ring, until emptied.  One descriptor twice, or two.  Non-blocking, close-on-exec. */
int tdm_platform_bell(int fds[2]);

/* Unnamed memory of this size behind a descriptor, to be mapped by several processes.  A descriptor or -errno. */
int tdm_platform_memory(size_t size);

/* The same, of at most this size: it ends where it has been grown to, and who touches it beyond that gets SIGBUS.  Where it cannot be grown
 * it has its full size from the start.  Grow: 0 or -errno. */
int tdm_platform_growing_memory(size_t most);
int tdm_platform_grow(int fd, size_t size);

/* Can a process sleep on a word in memory that another one changes?  Where not, bytes go through pipes. */
bool tdm_platform_has_shared_futex(void);

/* What lies there is nothing for a forked child. */
void tdm_platform_keep_out_of_forks(void *memory, size_t size);
/* Makes sure that this part of such memory is there, so that nobody who touches it dies of its lack; or gives it back to the system: it is
 * zero afterwards.  0 or -errno: nothing was given back. */
int tdm_platform_commit(int fd, size_t offset, size_t size);
int tdm_platform_decommit(int fd, size_t offset, size_t size);

/* What lies there is nothing for a core dump. */
void tdm_platform_keep_out_of_dumps(void *memory, size_t size);

/* Fresh memory that is about to be written from end to end: if it is large, the system may bring it in large pages, which costs far fewer page
 * faults.  Nothing is touched.  Elsewhere: nothing. */
void tdm_platform_expect_all_of(void *memory, size_t size);

/* Closes every descriptor from low to high, both included. */
void tdm_platform_close_range(unsigned low, unsigned high);

/* fork(), but the child's end is not seen by the parent's wait() or waitpid(-1).  0 in the child; its pid; or -errno. */
pid_t tdm_platform_fork_unseen(void);

/* A child that calls begin(argument), which is to end in an exec or _exit, and until then may share this process's memory: so a start costs the
 * same however large the process is.  Where memory is shared the caller waits meanwhile; elsewhere it is a fork, and the caller does not.
 * One thread only, with all signals blocked.  The pid or -errno. */
pid_t tdm_platform_spawn(int (*begin)(void *argument), void *argument);

/* Room in a pipe for so much, if the system lets a pipe have it. */
void tdm_platform_widen_pipe(int fd, size_t size);

/* A file that never had a name, in this folder, close-on-exec.  A descriptor, not remembered; or -errno, where there is no such thing. */
int tdm_platform_unnamed_file(const char *folder);

/* Ends a child made by fork_unseen, which was told to end and has nothing left to do, and collects it.  Where its number may be another
 * process's by now, it is only collected if it is there. */
void tdm_platform_end_unseen(pid_t pid);

/* Has this process become the parent of what its dead descendants leave; false where there is no such thing. */
bool tdm_platform_inherit_orphans(void);

/* Does this process get what dead descendants of its children leave? */
bool tdm_platform_adopts_orphans(void);

/* How a child has ended, and what it has used (0 where that is not known). */
struct tdm_end {
    pid_t pid;
    int signal, code; /* the signal that killed it, or 0 and what it exited with */
    bool dumped;      /* and it left a core dump */
    uint64_t user_ns, system_ns, peak_memory;
};

/* One that has ended and has not been reaped, and is not reaped by this; pid 0: any.  False: none. */
bool tdm_platform_peek_end(pid_t pid, struct tdm_end *end);

/* Sends a signal by what tdm_platform_watch_process gave: it never hits another process.  False where there is no such thing. */
bool tdm_platform_signal_watched(int watch, int signal);

/* Processor time this process may use from now on, until the kernel kills it, by this signal; 0: no limit any more. */
void tdm_platform_limit_cpu(uint64_t ms);
int tdm_platform_cpu_signal(void);

/* Address space of this process in bytes, and its private resident memory; 0 where nobody tells. */
uint64_t tdm_platform_address_space(void);
uint64_t tdm_platform_private_memory(void);

/* The file mode mask, without touching it; -1 where nobody tells. */
int tdm_platform_umask(void);

/* The CPUs the program's first thread may run on, and the same for this process.  The length used, or 0 where there is no such thing. */
#define TDM_AFFINITY_SIZE 128
size_t tdm_platform_get_affinity(unsigned char set[TDM_AFFINITY_SIZE]);
void tdm_platform_set_affinity(const unsigned char *set, size_t size);

/* A descriptor of the present working directory, for fchdir; or -errno.  Not remembered. */
int tdm_platform_open_cwd(void);

/* Has the system, when it is short of memory, kill this process before the program. */
void tdm_platform_offer_to_oom(void);

/* As fflush(), for a stream that is mostly empty. */
void tdm_platform_flush(FILE *stream);

/* Does this process have one thread for certain?  Costs nothing; false: look it up. */
bool tdm_platform_surely_single_threaded(void);

/* Has the kernel SIGKILL this process when the last write end of the pipe closes.  Elsewhere: nothing; the zygote kills. */
void tdm_platform_arm_lifeline(int read_fd);

/* A descriptor that becomes readable when the process ends, or -1 where there is no such thing. */
int tdm_platform_watch_process(pid_t pid);

/* A word that reads 0 in every forked child, whatever the parent stored; NULL where there is no such thing. */
_Atomic uint32_t *tdm_platform_word_wiped_by_fork(void);

/* Threads that a sanitizer may run beside the program's own. */
int tdm_platform_sanitizer_threads(void);

/* An address within the code of the program itself, as opposed to libraries; 0 where that is not known. */
uintptr_t tdm_platform_entry(void);

/* How often code has been unloaded from this process; 0 where that cannot be known. */
uint64_t tdm_platform_unloads(void);

/* Has exit() in this process skip everything that was registered so far, and only flush stdio's streams.  Elsewhere: nothing. */
void tdm_platform_shield_exit(void);

/* The return addresses of the calling function and of its callers, innermost first, and how many; none where that cannot be known.  The
 * first call in a program may load a library; from then on a signal handler may call it, though it may fault or hang there. */
size_t tdm_platform_backtrace(void **frames, size_t most);

struct tdm_position {
    uintptr_t code, stack; /* the program counter, the stack pointer */
};

/* Where a signal came, by the handler's third argument; false where that is not known. */
bool tdm_platform_position(const void *context, struct tdm_position *position);

/* Of a jump that was a call, and found no code there: its caller's position. */
struct tdm_position tdm_platform_caller(const void *context);

void tdm_platform_set_position(void *context, const struct tdm_position *position);

#endif
