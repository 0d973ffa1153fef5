/* zygote.h - the process that forks workers: single-threaded, runs no user code, forks, kills, reaps, reports.
 *
 * One socket to the host carries messages of fixed size.  The host's death is the end of the socket; the zygote then kills every
 * worker and ends. */
#ifndef TDM_CHILD_ZYGOTE_H
#define TDM_CHILD_ZYGOTE_H

#include <stdint.h>
#include <sys/types.h>

enum tdm_zygote_request_kind {
    TDM_SPAWN = 1, /* comes with four descriptors, in the order of tdm_worker_fd */
    TDM_KILL       /* pid and its whole process group */
};

struct tdm_zygote_request {
    uint32_t kind;
    pid_t pid;
    uint64_t number; /* SPAWN: comes back in SPAWNED */
};

enum tdm_zygote_notice_kind {
    TDM_SPAWNED = 1, /* pid, or a negative errno value */
    TDM_ENDED        /* pid; signal, or 0 and code */
};

/* ENDED is sent before the zombie is reaped, so while the host knows a pid and has not read its ENDED, no other process has that pid. */
struct tdm_zygote_notice {
    uint32_t kind;
    pid_t pid;
    uint64_t number;
    int32_t signal, code;
};

/* Never returns.  Called in the child of a fork, with all signals blocked. */
_Noreturn void tdm_zygote_main(int socket, pid_t host);

#endif
