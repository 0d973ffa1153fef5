/* error_tail.c - the last bytes that a worker has written to its standard error. */
#include "process/error_tail.h"

#include "base/fds.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Not without end, lest somebody who writes on and on hold up the reactor. */
#define READS_MOST 16

static void put(struct tdm_error_tail *tail, const char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t at = (size_t)(tail->total % TDM_ERROR_TAIL), now = TDM_ERROR_TAIL - at;
        if (now > size - done) now = size - done;
        memcpy(tail->bytes + at, bytes + done, now);
        tail->total += now;
        done += now;
    }
}

/* False: it has ended. */
static bool pull(struct tdm_error_tail *tail)
{
    char bytes[16384];
    for (int i = 0; i < READS_MOST; i++) {
        ssize_t got = tdm_fds_read(tail->source.fd, bytes, sizeof bytes);
        if (got <= 0) return got < 0;
        put(tail, bytes, (size_t)got);
    }
    return true;
}

static void ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    if (!pull(container_of(source, struct tdm_error_tail, source))) tdm_reactor_watch(source, 0);
}

int tdm_error_tail_open(struct tdm_error_tail *tail, int *write_end)
{
    int ends[2];
    int error = tdm_fds_pipe(ends);
    if (error != 0) return error;
    *write_end = ends[1];
    tail->source = (struct tdm_source){.fd = ends[0], .ready = ready};
    tail->total = 0;
    tail->bytes = tdm_malloc(TDM_ERROR_TAIL);
    error = tail->bytes ? tdm_fds_nonblocking(ends[0]) : -ENOMEM;
    if (error == 0) error = tdm_reactor_watch(&tail->source, TDM_POLL_IN);
    if (error != 0) {
        tdm_fds_close(&tail->source.fd);
        free(tail->bytes);
        tail->bytes = NULL;
    }
    return error;
}

void tdm_error_tail_close(struct tdm_error_tail *tail)
{
    if (!tail->bytes) return;
    if (tail->source.wants != 0) tdm_reactor_watch(&tail->source, 0);
    tdm_fds_close(&tail->source.fd);
    free(tail->bytes);
    tail->bytes = NULL;
}

size_t tdm_error_tail_take(struct tdm_error_tail *tail, char to[TDM_ERROR_TAIL])
{
    if (!tail->bytes) return 0;
    if (tail->source.fd >= 0) pull(tail);
    if (tail->total <= TDM_ERROR_TAIL) {
        memcpy(to, tail->bytes, (size_t)tail->total);
        return (size_t)tail->total;
    }
    size_t at = (size_t)(tail->total % TDM_ERROR_TAIL);
    memcpy(to, tail->bytes + at, TDM_ERROR_TAIL - at);
    memcpy(to + TDM_ERROR_TAIL - at, tail->bytes, at);
    return TDM_ERROR_TAIL;
}
