/* process_worker.h - a worker process's life: set up, then task after task, until it is told to leave or the host is gone. */
#ifndef TDM_CHILD_PROCESS_WORKER_H
#define TDM_CHILD_PROCESS_WORKER_H

/* What it is given, in this order. */
enum tdm_worker_fd {
    TDM_WORKER_REQUESTS, /* read: frames from the host */
    TDM_WORKER_REPLIES,  /* write: frames to the host */
    TDM_WORKER_LIFELINE, /* read: the host holds the only write end */
    TDM_WORKER_CONTROL,  /* memory: struct tdm_control */
    TDM_WORKER_ERRORS,   /* write: its standard error; or none */
    TDM_WORKER_CWD,      /* the program's working directory; or none */
    TDM_WORKER_SHARED,   /* memory: the pool's shared memory; or none */
    TDM_WORKER_OUTPUT,   /* write: its standard output; or none */
    TDM_WORKER_PARCELS,  /* socket: descriptors of messages, both ways */
    TDM_WORKER_FDS
};

/* How a worker ends by itself.  Not 0 only while it holds a task. */
enum { TDM_EXIT_LEFT = 0, TDM_EXIT_CHANNEL_LOST = 120, TDM_EXIT_THREAD_ENDED = 121 };

/* Never returns.  Called in the child of the zygote's fork. */
_Noreturn void tdm_worker_main(const int fds[TDM_WORKER_FDS]);

#endif
