/* error_tail.h - the last bytes that a worker has written to its standard error.  All on the reactor's thread. */
#ifndef TDM_PROCESS_ERROR_TAIL_H
#define TDM_PROCESS_ERROR_TAIL_H

#include "base/reactor.h"

#define TDM_ERROR_TAIL 4096

/* Zeroed: none, and every call but open does nothing. */
struct tdm_error_tail {
    char *bytes; /* a ring of TDM_ERROR_TAIL; NULL: nothing is captured */
    uint64_t total;
    struct tdm_source source;
};

int tdm_error_tail_open(struct tdm_error_tail *tail, int *write_end); /* 0 or -errno */
void tdm_error_tail_close(struct tdm_error_tail *tail);

/* What is there now, read; and the last of it copied, oldest first.  How much that is. */
size_t tdm_error_tail_take(struct tdm_error_tail *tail, char to[TDM_ERROR_TAIL]);

#endif
