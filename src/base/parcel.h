/* parcel.h - descriptors on their way to another process: a few at a time, with a number, over a local socket.
 *
 * The number says what they belong to, which travels another way.  Nothing here is a cancellation point, or raises SIGPIPE. */
#ifndef TDM_BASE_PARCEL_H
#define TDM_BASE_PARCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Descriptors in one.  Linux carries 253. */
#define TDM_PARCEL_MOST 128

/* Never blocks, unless it is to wait.  0; -EAGAIN: no room now; -EMFILE: the system has too many on their way; -EBADF: one is not open;
 * -EPIPE: nobody will receive it; -errno.  The descriptors stay the caller's. */
int tdm_parcel_send(int socket, uint64_t number, const int *fds, size_t count, bool waits);

/* The next one, with so many descriptors, which are close-on-exec, above 2 and not remembered; -EMFILE stands for each that this process
 * had no room for.  fds NULL: they are closed.  Never blocks.  0; -EAGAIN: there is none; -EPIPE: there will be none; -EPROTO: that was none
 * with so many, and is gone; -errno. */
int tdm_parcel_receive(int socket, uint64_t *number, int *fds, size_t count);

#endif
