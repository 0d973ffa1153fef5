/* fds.c - the library's own descriptors. */
#define _POSIX_C_SOURCE 200809L
#include "base/fds.h"

#include "base/atomics.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* One bit a descriptor.  The tables are never touched before there is a descriptor to note, so they cost no memory but their pages in
 * use.  A descriptor beyond them is not remembered; all it loses is being closed in a forked child. */
#define REMEMBERED (1u << 16)
static _Atomic uint32_t table[REMEMBERED / 32];
/* What each is: a daemon closes all it has inherited and opens its own, under the same numbers.  Written before the bit. */
static struct {
    _Atomic uint64_t device,
        inode; /* relaxed: whoever had this number before has forgotten and closed it, which the kernel orders */
} identities[REMEMBERED];
static _Atomic uint32_t used; /* words of it that were ever written: only grows */
static _Atomic pid_t owner;   /* the process whose descriptors these are; written by whoever remembers one [fds-owner] */

static void remember(int fd)
{
    struct stat status;
    if ((unsigned)fd >= REMEMBERED || fstat(fd, &status) != 0) return;
    store_relaxed(&identities[fd].device, (uint64_t)status.st_dev); /* relaxed: see there */
    store_relaxed(&identities[fd].inode, (uint64_t)status.st_ino);
    store_seq(&owner, getpid()); /* [fds-owner] */
    or_seq(&table[fd / 32], 1u << fd % 32);
    uint32_t words = load_seq(&used), mine = (uint32_t)fd / 32 + 1;
    while (words < mine && !cas_seq(&used, &words, mine)) {
    }
}

static void forget(int fd)
{
    if ((unsigned)fd < REMEMBERED) and_seq(&table[fd / 32], ~(1u << fd % 32));
}

/* Event counters and their like have no type, and share one inode: they cannot be told apart, and are left; they keep nothing alive. */
static bool is_still_ours(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || (status.st_mode & S_IFMT) == 0) return false;
    return (uint64_t)status.st_dev == load_relaxed(&identities[fd].device) && /* relaxed: this process has one thread */
           (uint64_t)status.st_ino == load_relaxed(&identities[fd].inode);
}

static bool is_any(int fd) { return fd >= 0; }
static bool is_none(int fd) { return fd < 0; }

/* relaxed: a forked child has one thread */
static void take_all_out(bool (*is_to_be_closed)(int fd))
{
    for (unsigned i = 0; i < load_relaxed(&used); i++) {
        uint32_t bits = load_relaxed(&table[i]);
        for (unsigned bit = 0; bits != 0 && bit < 32; bit++)
            if (bits & 1u << bit && is_to_be_closed((int)(i * 32 + bit))) close((int)(i * 32 + bit));
        store_relaxed(&table[i], 0);
    }
}

void tdm_fds_drop_all(void) { take_all_out(is_still_ours); }
void tdm_fds_forget_all(void) { take_all_out(is_none); }

static bool handed_down; /* set and read by the one thread that forks, and by its child */

void tdm_fds_hand_down(bool hand_down) { handed_down = hand_down; }

/* Only in a child of the process whose they are.  A guard of another copy of this library is a child in which no handler ran, and by the
 * time it forks the same numbers are its own. */
static void in_forked_child(void)
{
    if (!handed_down && getppid() == load_seq(&owner)) take_all_out(is_any); /* [fds-owner] */
}

/* Without memory for it, the child's first call closes them; see tdm_identity. */
void tdm_fds_close_in_forked_children(void)
{
    if (tdm_fault(TDM_FAULT_fork_handler) == 0) pthread_atfork(NULL, NULL, in_forked_child);
}

int tdm_fds_take_in(int fd)
{
    int fault = tdm_fault(TDM_FAULT_take_in);
    if (fault != 0) {
        close(fd);
        return -fault;
    }
    if (fd < 3) {
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        int error = errno;
        close(fd);
        if (moved < 0) return -error;
        fd = moved;
    }
    remember(fd);
    return fd;
}

int tdm_fds_duplicate(int fd)
{
    int fault = tdm_fault(TDM_FAULT_duplicate);
    if (fault != 0) return -fault;
    int more = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return more < 0 ? -errno : tdm_fds_take_in(more);
}

static int take_in_both(int fds[2])
{
    bool one = fds[0] == fds[1];
    fds[0] = tdm_fds_take_in(fds[0]);
    fds[1] = one ? fds[0] : tdm_fds_take_in(fds[1]);
    int error = fds[0] < 0 ? fds[0] : fds[1];
    if (error >= 0) return 0;
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0) tdm_fds_close(&fds[i]);
        fds[i] = -1;
    }
    return error;
}

static int open_both(int (*open_them)(int fds[2]), int fds[2])
{
    int error = open_them(fds);
    if (error == 0) return take_in_both(fds);
    fds[0] = fds[1] = -1;
    return error;
}

int tdm_fds_pipe(int fds[2]) { return open_both(tdm_platform_pipe, fds); }
int tdm_fds_socketpair(int fds[2]) { return open_both(tdm_platform_socketpair, fds); }
int tdm_fds_bell(int fds[2]) { return open_both(tdm_platform_bell, fds); }

int tdm_fds_memory(size_t size)
{
    int fd = tdm_platform_memory(size);
    return fd < 0 ? fd : tdm_fds_take_in(fd);
}

int tdm_fds_growing_memory(size_t most)
{
    int fd = tdm_platform_growing_memory(most);
    return fd < 0 ? fd : tdm_fds_take_in(fd);
}

int tdm_fds_nonblocking(int fd)
{
    int fault = tdm_fault(TDM_FAULT_nonblocking);
    if (fault != 0) return -fault;
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

void tdm_fds_give_away(int fd) { forget(fd); }

/* Forgotten before it is closed: after the close the number may be another thread's at once. */
void tdm_fds_close(int *fd)
{
    if (*fd < 0) return;
    int cancel_state;
    forget(*fd);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    close(*fd);
    pthread_setcancelstate(cancel_state, NULL);
    *fd = -1;
}

void tdm_fds_close_bell(int fds[2])
{
    if (fds[1] == fds[0]) fds[1] = -1;
    tdm_fds_close(&fds[0]);
    tdm_fds_close(&fds[1]);
}

/* Eight bytes, because an event counter takes nothing else.  A bell that is full has been rung. */
void tdm_fds_ring(const int bell[2])
{
    static const uint64_t one = 1;
    struct iovec part = {.iov_base = (void *)(uintptr_t)&one, .iov_len = sizeof one};
    tdm_fds_writev(bell[1], &part, 1);
}

void tdm_fds_empty(const int bell[2])
{
    char bytes[512];
    while (tdm_fds_read(bell[0], bytes, sizeof bytes) == (ssize_t)sizeof bytes) {
    }
}

/* Some systems refuse more than INT_MAX at a time. */
#define AT_ONCE ((size_t)1 << 30)

/* The system calls, or a test's errno instead. */
static ssize_t read_once(int fd, void *to, size_t size)
{
    int fault = tdm_fault(TDM_FAULT_any_read);
    if (fault != 0) errno = fault;
    return fault != 0 ? -1 : read(fd, to, size);
}

static ssize_t writev_once(int fd, const struct iovec *parts, int count)
{
    int fault = tdm_fault(TDM_FAULT_any_write);
    if (fault != 0) errno = fault;
    if (fault != 0) return -1;
    return count == 1 ? write(fd, parts->iov_base, parts->iov_len) : writev(fd, parts, count);
}

static ssize_t send_once(int socket, const struct msghdr *header)
{
    int fault = tdm_fault(TDM_FAULT_guard_send);
    if (fault != 0) errno = fault;
    return fault != 0 ? -1 : sendmsg(socket, header, MSG_NOSIGNAL);
}

static ssize_t receive_once(int socket, struct msghdr *header, int flags)
{
    int fault = tdm_fault(TDM_FAULT_guard_receive);
    if (fault != 0) errno = fault;
    return fault != 0 ? -1 : recvmsg(socket, header, flags);
}

ssize_t tdm_fds_read(int fd, void *to, size_t size)
{
    if (size > AT_ONCE) size = AT_ONCE;
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    ssize_t done;
    while ((done = read_once(fd, to, size)) < 0 && errno == EINTR) {
    }
    if (done < 0) done = -errno;
    pthread_setcancelstate(cancel_state, NULL);
    return done;
}

ssize_t tdm_fds_writev(int fd, const struct iovec *parts, int count)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    ssize_t done;
    while ((done = writev_once(fd, parts, count)) < 0 && errno == EINTR) {
    }
    if (done < 0) done = -errno;
    pthread_setcancelstate(cancel_state, NULL);
    return done;
}

bool tdm_fds_wait(int fd, int other, uint64_t deadline_ns)
{
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int found = poll(both, sizeof both / sizeof *both, tdm_clock_milliseconds_until(deadline_ns));
    pthread_setcancelstate(cancel_state, NULL);
    return found > 0 && both[1].revents != 0;
}

bool tdm_fds_waiting(int fd, int *bytes) { return ioctl(fd, FIONREAD, bytes) == 0; }

/* Space for the descriptors of one message, aligned as its header wants it. */
union control {
    char bytes[CMSG_SPACE(sizeof(int) * TDM_FDS_MOST)];
    struct cmsghdr align;
};

/* Messages are far smaller than any socket buffer, so one is taken whole or not at all. */
int tdm_fds_send(int socket, const void *message, size_t size, const int *fds, size_t count)
{
    union control control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
    }
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    ssize_t done;
    while ((done = send_once(socket, &header)) < 0 && errno == EINTR) {
    }
    int result = done == (ssize_t)size ? 0 : done < 0 ? -errno : -EIO;
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}

static void take_rights(struct msghdr *header, int got[TDM_FDS_MOST])
{
    struct cmsghdr *rights = CMSG_FIRSTHDR(header);
    if (!rights || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) return;
    size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(got, CMSG_DATA(rights), sizeof(int) * (count < TDM_FDS_MOST ? count : TDM_FDS_MOST));
    for (int i = 0; i < TDM_FDS_MOST; i++)
        if (got[i] >= 0) fcntl(got[i], F_SETFD, FD_CLOEXEC);
    if (tdm_fault(TDM_FAULT_guard_rights) != 0) header->msg_flags |= MSG_CTRUNC;
}

/* A stream socket may hand a message over in two parts; the rest of one that has begun is waited for.  ECONNRESET only says that
 * the other side ended with something of ours unread; what it sent before is still there to be read. */
int tdm_fds_receive(int socket, void *message, size_t size, int got[TDM_FDS_MOST])
{
    for (int i = 0; i < TDM_FDS_MOST; i++) got[i] = -1;
    int cancel_state, result = 1;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    for (size_t done = 0; done < size;) {
        union control control;
        struct iovec part = {.iov_base = (char *)message + done, .iov_len = size - done};
        struct msghdr header = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        ssize_t now = receive_once(socket, &header, done > 0 ? MSG_WAITALL : 0);
        if (now < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
        if (now < 0 && errno == EAGAIN && done > 0) continue;
        if (now <= 0) {
            result = now < 0 ? -errno : 0;
            break;
        }
        take_rights(&header, got);
        if (header.msg_flags & MSG_CTRUNC) {
            result = -EMFILE;
            break;
        }
        done += (size_t)now;
    }
    pthread_setcancelstate(cancel_state, NULL);
    return result;
}
