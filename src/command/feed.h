/* feed.h - the bytes that a command reads from its standard input: passed on as there is room in a pipe, never waited for. */
#ifndef TDM_COMMAND_FEED_H
#define TDM_COMMAND_FEED_H

#include "base/reactor.h"

/* Zeroed with the descriptor -1: none. */
struct tdm_feed {
    struct tdm_source source;
    const char *at;
    size_t left;
};

/* The pipe, with as much in it as it takes; its other end is the caller's.  0 or -errno.  Any thread. */
int tdm_feed_open(struct tdm_feed *feed, const void *input, size_t size, int *other_end);

/* The reactor; once the other end is not open here any more.  0 or -errno. */
int tdm_feed_begin(struct tdm_feed *feed);
void tdm_feed_close(struct tdm_feed *feed); /* also one that is closed */

#endif
