/* poller_poll.c - poller.h over poll, for systems without epoll. */
#if !defined(__linux__) || defined(TANDEM_PORTABLE)
#define _POSIX_C_SOURCE 200809L
#include "base/poller.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <poll.h>

struct key {
    void *key;
    unsigned wants;
    const _Atomic uint32_t *hushed;
};

/* Two arrays side by side; their order means nothing. */
static struct pollfd *watched;
static struct key *keys;
static size_t count, room;

int tdm_poller_open(void)
{
    count = 0;
    return -tdm_fault(TDM_FAULT_poller);
}

void tdm_poller_close(void)
{
    free(watched);
    free(keys);
    watched = NULL;
    keys = NULL;
    count = room = 0;
}

static int make_room(void)
{
    if (count < room) return 0;
    size_t larger = room ? room * 2 : 16;
    struct pollfd *more = tdm_realloc(watched, larger * sizeof *more);
    if (!more) return -ENOMEM;
    watched = more;
    struct key *more_keys = tdm_realloc(keys, larger * sizeof *more_keys);
    if (!more_keys) return -ENOMEM;
    keys = more_keys;
    room = larger;
    return 0;
}

static size_t find(int fd)
{
    size_t i = 0;
    while (i < count && watched[i].fd != fd) i++;
    return i;
}

int tdm_poller_set(int fd, unsigned was, unsigned wants, void *key, const _Atomic uint32_t *hushed)
{
    if (was == 0) {
        int fault = tdm_fault(TDM_FAULT_poller_add);
        if (fault != 0) return -fault;
        if (make_room() != 0) return -ENOMEM;
        watched[count++] = (struct pollfd){.fd = fd};
    }
    size_t i = find(fd);
    if (i == count) return -ENOENT;
    if (wants == 0) {
        watched[i] = watched[--count];
        keys[i] = keys[count];
        return 0;
    }
    keys[i] = (struct key){key, wants, hushed};
    return 0;
}

/* One that waits has been given the events as they were; what is no longer wanted wakes it once. */
bool tdm_poller_hush(int fd, void *key, const _Atomic uint32_t *hushed)
{
    (void)fd, (void)key;
    return load_seq(hushed) == 0; /* [source-hushed] */
}

static short events_of(const struct key *key)
{
    unsigned wants = load_seq(key->hushed) ? 0 : key->wants; /* [source-hushed] */
    return (short)((wants & TDM_POLL_IN ? POLLIN : 0) | (wants & TDM_POLL_OUT ? POLLOUT : 0));
}

int tdm_poller_wait(struct tdm_ready *ready, int most, uint64_t deadline_ns)
{
    if (tdm_fault(TDM_FAULT_poller_wait) != 0) return 0;
    for (size_t i = 0; i < count; i++) watched[i].events = events_of(&keys[i]);
    if (poll(watched, (nfds_t)count, tdm_clock_milliseconds_until(deadline_ns)) <= 0) return 0;
    int found = 0;
    for (size_t i = 0; i < count && found < most; i++) {
        short seen = watched[i].revents;
        if (seen == 0) continue;
        ready[found++] = (struct tdm_ready){.key = keys[i].key,
                                            .events = (seen & POLLIN ? TDM_POLL_IN : 0u) | (seen & POLLOUT ? TDM_POLL_OUT : 0u) |
                                                      (seen & (POLLHUP | POLLERR | POLLNVAL) ? TDM_POLL_ENDED : 0u)};
    }
    return found;
}
#else
typedef int tdm_poller_poll_is_not_used_here;
#endif
