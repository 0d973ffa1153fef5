/* feed.c - the bytes that a command reads from its standard input. */
#define _POSIX_C_SOURCE 200809L
#include "command/feed.h"

#include "base/fds.h"

#include <errno.h>

/* A large input leaves the reactor time for others. */
#define AT_A_TIME ((size_t)1 << 20)

/* On the reactor's thread, whose signals are blocked, or while the other end is open here: so nobody gets a SIGPIPE. */
static void push(struct tdm_feed *feed)
{
    size_t most = AT_A_TIME;
    while (feed->left > 0 && most > 0) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)feed->at, .iov_len = feed->left < most ? feed->left : most};
        ssize_t now = tdm_fds_writev(feed->source.fd, &part, 1);
        if (now == -EAGAIN) return;
        if (now < 0) feed->left = 0; /* the program reads no more, or the input cannot be read */
        if (now <= 0) break;
        feed->at += now;
        feed->left -= (size_t)now;
        most -= (size_t)now;
    }
    if (feed->left == 0) tdm_feed_close(feed);
}

static void ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    push(container_of(source, struct tdm_feed, source));
}

int tdm_feed_open(struct tdm_feed *feed, const void *input, size_t size, int *other_end)
{
    int fds[2];
    int error = tdm_fds_pipe(fds);
    if (error != 0) return error;
    error = tdm_fds_nonblocking(fds[1]);
    if (error != 0) {
        tdm_fds_close(&fds[0]);
        tdm_fds_close(&fds[1]);
        return error;
    }
    *feed = (struct tdm_feed){.source = {.fd = fds[1], .ready = ready}, .at = input, .left = size};
    *other_end = fds[0];
    push(feed);
    return 0;
}

int tdm_feed_begin(struct tdm_feed *feed) { return feed->source.fd < 0 ? 0 : tdm_reactor_watch(&feed->source, TDM_POLL_OUT); }

void tdm_feed_close(struct tdm_feed *feed)
{
    if (feed->source.fd < 0) return;
    if (feed->source.wants != 0) tdm_reactor_watch(&feed->source, 0);
    tdm_fds_close(&feed->source.fd);
}
