/* capture.h - one output of a command that is kept: read as it comes, up to a limit, and what then.  The reactor's, except for the opening. */
#ifndef TDM_COMMAND_CAPTURE_H
#define TDM_COMMAND_CAPTURE_H

#include "base/reactor.h"
#include "command/hoard.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Zeroed with the descriptor -1: none. */
struct tdm_capture {
    struct tdm_source source;                     /* of the pipe; fd -1: it has been read to its end, or given up */
    void (*changed)(struct tdm_capture *capture); /* it has ended, or has gone over its limit */
    size_t limit;
    int overflow; /* TANDEM_OVERFLOW_... */
    bool kept;    /* it is one */
    bool cut;     /* there was more than the limit, and it is not all kept */
    bool over;    /* and that is an end */
    int error;    /* there was no room to keep it, a positive errno; also an end */
    struct tdm_hoard hoard;
    size_t size;      /* bytes in it */
    size_t first;     /* TAIL, cut: where the oldest byte lies */
    int spill;        /* its file, or -1 */
    uint64_t spilled; /* bytes in it */
};

/* The pipe; its other end is the caller's.  0 or -errno.  Any thread. */
int tdm_capture_open(struct tdm_capture *capture, int *other_end);

int tdm_capture_begin(struct tdm_capture *capture);      /* 0 or -errno */
void tdm_capture_read_rest(struct tdm_capture *capture); /* what is there now */
void tdm_capture_close(struct tdm_capture *capture);     /* reads no more */

/* Is there more to come?  Of one that is over its limit the pipe stays open, lest the program should die of that and not be killed. */
static inline bool tdm_capture_is_open(const struct tdm_capture *capture)
{
    return capture->source.fd >= 0 && !capture->over && capture->error == 0;
}

struct tdm_kept {
    void *bytes; /* followed by a 0 byte; NULL: there was no memory */
    size_t size;
    void (*release)(void *bytes); /* NULL: free */
};

/* What it has kept, now the caller's. */
struct tdm_kept tdm_capture_take(struct tdm_capture *capture);
void tdm_capture_drop(struct tdm_capture *capture);

/* ---- for code that reads a pipe in another way ---- */

/* Bytes read, into memory of the reactor's that is good until the next call; 0 at the end; or -errno. */
ssize_t tdm_capture_read_aside(int fd, char **bytes);

#endif
