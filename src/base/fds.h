/* fds.h - the library's own descriptors: opened, remembered, closed; and reads and writes that no cancellation can tear.
 *
 * Every descriptor the library opens in the host is remembered here, so that a forked child can close them all without looking at
 * anything else the fork may have caught half-way. */
#ifndef TDM_BASE_FDS_H
#define TDM_BASE_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Each opens both ends remembered, close-on-exec and above 2 (a host may have closed its stdio; a pipe must not become its standard
 * output).  0 or -errno; on an error both are -1. */
int tdm_fds_pipe(int fds[2]);
int tdm_fds_socketpair(int fds[2]);
int tdm_fds_bell(int fds[2]); /* both may be the same number: close with tdm_fds_close_bell */
int tdm_fds_memory(size_t size);
int tdm_fds_growing_memory(size_t most);

int tdm_fds_duplicate(int fd); /* one more for the same, or -errno */
int tdm_fds_take_in(int fd);   /* remembers one opened elsewhere; it, moved above 2 if need be, or -errno and it is closed */

int tdm_fds_nonblocking(int fd); /* 0 or -errno */
void tdm_fds_give_away(int fd);  /* forgets it: it is the program's own from now on */
void tdm_fds_close(int *fd);     /* and sets it to -1; -1 is fine */
void tdm_fds_close_bell(int fds[2]);

void tdm_fds_ring(const int bell[2]);
void tdm_fds_empty(const int bell[2]);

/* As the system calls, but: -errno, EINTR retried, no cancellation point.  read gives 0 at the end. */
ssize_t tdm_fds_read(int fd, void *to, size_t size);
ssize_t tdm_fds_writev(int fd, const struct iovec *parts, int count);

/* Until one of the two can be read, or the deadline has passed; may return for nothing.  True: the other can be. */
bool tdm_fds_wait(int fd, int other, uint64_t deadline_ns);

/* How many bytes of a pipe could be read now; false: nobody tells. */
bool tdm_fds_waiting(int fd, int *bytes);

#define TDM_FDS_MOST 10 /* descriptors in one message */

/* One whole message of fixed size, with descriptors.  0 or -errno; never raises SIGPIPE. */
int tdm_fds_send(int socket, const void *message, size_t size, const int *fds, size_t count);
/* 1: a message.  0: the other side has ended.  -EAGAIN: none now.  -errno.  got[] is filled up with -1.  The descriptors received
 * are close-on-exec and NOT remembered: only a helper process receives any. */
int tdm_fds_receive(int socket, void *message, size_t size, int got[TDM_FDS_MOST]);

/* Once a program: has every fork() close all that is remembered in the child, before the child can open anything of its own. */
void tdm_fds_close_in_forked_children(void);
/* Around a fork whose child is ours and takes what it needs itself. */
void tdm_fds_hand_down(bool hand_down);

/* In a forked child: closes what is remembered and was not closed by the fork itself (a clone() has no handlers), and forgets it; or only
 * forgets. */
void tdm_fds_drop_all(void);
void tdm_fds_forget_all(void);

#endif
