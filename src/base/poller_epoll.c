/* poller_epoll.c - poller.h over epoll. */
#if defined(__linux__) && !defined(TANDEM_PORTABLE)
#define _GNU_SOURCE
#include "base/poller.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

static int epoll = -1;

int tdm_poller_open(void)
{
    int fault = tdm_fault(TDM_FAULT_poller);
    if (fault != 0) return -fault;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) return -errno;
    epoll = tdm_fds_take_in(fd);
    return epoll < 0 ? epoll : 0;
}

void tdm_poller_close(void) { tdm_fds_close(&epoll); }

static struct epoll_event event_for(unsigned wants, void *key)
{
    struct epoll_event event = {.data.ptr = key};
    if (wants & TDM_POLL_IN) event.events |= EPOLLIN;
    if (wants & TDM_POLL_OUT) event.events |= EPOLLOUT;
    return event;
}

int tdm_poller_set(int fd, unsigned was, unsigned wants, void *key, const _Atomic uint32_t *hushed)
{
    struct epoll_event event = event_for(wants, key);
    (void)hushed; /* a new one is not, and one that is is only dropped */
    int fault = was == 0 ? tdm_fault(TDM_FAULT_poller_add) : 0;
    if (fault != 0) return -fault;
    int how = was == 0 ? EPOLL_CTL_ADD : wants == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    return epoll_ctl(epoll, how, fd, &event) == 0 ? 0 : -errno;
}

/* With nothing wanted the system still tells of the end, and wakes nobody for anything else.  A waiter need not be called for what is wanted
 * again: if it is there already, this wakes the waiter.  One that is no longer watched stays so. */
bool tdm_poller_hush(int fd, void *key, const _Atomic uint32_t *hushed)
{
    struct epoll_event event = event_for(load_seq(hushed) ? 0 : TDM_POLL_IN, key); /* [source-hushed] */
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
    return false;
}

int tdm_poller_wait(struct tdm_ready *ready, int most, uint64_t deadline_ns)
{
    struct epoll_event events[64];
    if (tdm_fault(TDM_FAULT_poller_wait) != 0) return 0;
    int count = epoll_wait(epoll, events, most < 64 ? most : 64, tdm_clock_milliseconds_until(deadline_ns));
    for (int i = 0; i < count; i++) {
        uint32_t seen = events[i].events;
        ready[i] = (struct tdm_ready){.key = events[i].data.ptr,
                                      .events = (seen & EPOLLIN ? TDM_POLL_IN : 0u) | (seen & EPOLLOUT ? TDM_POLL_OUT : 0u) |
                                                (seen & (EPOLLHUP | EPOLLERR) ? TDM_POLL_ENDED : 0u)};
    }
    return count < 0 ? 0 : count;
}
#else
typedef int tdm_poller_epoll_is_not_used_here;
#endif
