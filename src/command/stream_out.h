/* stream_out.h - the outputs of a command that go to on_output: one piece at a time, and meanwhile nothing more is read. */
#ifndef TDM_COMMAND_STREAM_OUT_H
#define TDM_COMMAND_STREAM_OUT_H

#include "base/reactor.h"
#include "task/callbacks.h"

struct tdm_run;

/* Zeroed with both descriptors -1: none.  The reactor's, except for the opening and what the call reads. */
struct tdm_stream_out {
    struct tdm_run *run;
    struct tdm_source sources[2]; /* fd -1: read to its end */
    struct tdm_call call;
    bool last;                 /* what is in the pipes now is the last that is read */
    bool calling;              /* on_output has been asked for, and the reactor does not know yet that it has returned */
    _Atomic uint32_t returned; /* 1: it has; who calls tells the reactor [output-returned] */
    int which;
    char *bytes; /* of the piece */
    size_t size;
};

/* The pipe of standard output (0) or error (1); its other end is the caller's.  0 or -errno.  Any thread. */
int tdm_stream_out_open(struct tdm_stream_out *stream, struct tdm_run *run, int which, int *other_end);

int tdm_stream_out_begin(struct tdm_stream_out *stream);  /* 0 or -errno */
void tdm_stream_out_close(struct tdm_stream_out *stream); /* reads no more */
bool tdm_stream_out_is_open(const struct tdm_stream_out *stream);

/* Has a call returned?  Then it reads on. */
bool tdm_stream_out_go_on(struct tdm_stream_out *stream);

/* What is there is still given, and nothing that comes later.  False: nothing is left. */
bool tdm_stream_out_look_last(struct tdm_stream_out *stream);

/* Nobody will call any more: the piece is dropped, unless it is being given just now. */
void tdm_stream_out_withdraw(struct tdm_stream_out *stream);
void tdm_stream_out_drop(struct tdm_stream_out *stream);

#endif
