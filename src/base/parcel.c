/* parcel.c - descriptors on their way to another process. */
#define _POSIX_C_SOURCE 200809L
#include "base/parcel.h"

#include "base/fault.h"
#include "base/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for the descriptors, aligned as their header wants it. */
union room {
    char bytes[CMSG_SPACE(sizeof(int) * TDM_PARCEL_MOST)];
    struct cmsghdr align;
};

/* ---- sending ---- */

static ssize_t send_once(int socket, const struct msghdr *header, int flags)
{
    int fault = tdm_fault(TDM_FAULT_parcel_send);
    if (fault != 0) errno = fault;
    return fault != 0 ? -1 : sendmsg(socket, header, flags);
}

/* It is far smaller than any socket's buffer, so it goes whole or not at all. */
int tdm_parcel_send(int socket, uint64_t number, const int *fds, size_t count, bool waits)
{
    union room room;
    struct iovec part = {.iov_base = &number, .iov_len = sizeof number};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    memset(&room, 0, sizeof room);
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    ssize_t done;
    while ((done = send_once(socket, &header, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT))) < 0 && errno == EINTR) {
    }
    int error = done == (ssize_t)sizeof number ? 0 : done < 0 ? errno : EIO;
    pthread_setcancelstate(cancel_state, NULL);
    if (error == EWOULDBLOCK) return -EAGAIN;
    return error == ETOOMANYREFS ? -EMFILE : -error;
}

/* ---- receiving ---- */

/* ECONNRESET only says that the other side ended with something of ours unread; what it sent before is still there. */
static ssize_t receive_once(int socket, struct msghdr *header)
{
    ssize_t got;
    do {
        int fault = tdm_fault(TDM_FAULT_parcel_receive);
        got = fault != 0 ? -1 : recvmsg(socket, header, MSG_DONTWAIT | tdm_platform_receives_close_on_exec());
        if (fault != 0) errno = fault;
    } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    return got;
}

/* Those that came; what there was no room for the kernel has closed. */
static size_t take_rights(struct msghdr *header, int got[TDM_PARCEL_MOST])
{
    struct cmsghdr *rights = CMSG_FIRSTHDR(header);
    if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) return 0;
    size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(got, CMSG_DATA(rights), sizeof(int) * count);
    if (count > 0 && tdm_fault(TDM_FAULT_parcel_rights) != 0) {
        close(got[--count]);
        header->msg_flags |= MSG_CTRUNC;
    }
    for (size_t i = 0; i < count; i++) fcntl(got[i], F_SETFD, FD_CLOEXEC);
    return count;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) close(fds[i]);
}

/* A program that has closed its stdio must not find a descriptor of another there. */
static int move_up(int fd)
{
    if (fd > 2) return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(fd);
    return moved < 0 ? -error : moved;
}

static int receive(int socket, uint64_t *number, int *fds, size_t count)
{
    union room room;
    int got[TDM_PARCEL_MOST];
    struct iovec part = {.iov_base = number, .iov_len = sizeof *number};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds) header.msg_control = room.bytes, header.msg_controllen = sizeof room.bytes;
    ssize_t size = receive_once(socket, &header);
    if (size < 0) return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    size_t came = fds ? take_rights(&header, got) : 0;
    bool lacks = header.msg_flags & MSG_CTRUNC;
    bool right = size == (ssize_t)sizeof *number && !(header.msg_flags & MSG_TRUNC);
    if (right && fds) right = lacks ? came < count : came == count;
    if (!right) {
        close_all(got, came);
        return size == 0 && came == 0 ? -EPIPE : -EPROTO;
    }
    for (size_t i = 0; fds && i < count; i++) fds[i] = i < came ? move_up(got[i]) : -EMFILE;
    return 0;
}

int tdm_parcel_receive(int socket, uint64_t *number, int *fds, size_t count)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int result = receive(socket, number, fds, count);
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}
