/* guard.h - the two processes between host and workers: the zygote forks the workers and starts programs, the keeper stands by.
 *
 * Both are single-threaded, run no user code, and run the same loop over one socket to the host each, with messages of fixed size.  The
 * keeper is the host's child and the zygote's parent.  Each replaces the other: a keeper whose zygote dies forks another and inherits the
 * workers, so that their ends are still reported truly; a zygote whose keeper dies becomes the keeper, and forks a zygote.  When the host
 * dies the sockets end; the guards then kill every worker, and end too. */
#ifndef TDM_CHILD_GUARD_H
#define TDM_CHILD_GUARD_H

#include <stdint.h>
#include <sys/types.h>

enum tdm_guard_request_kind {
    TDM_SPAWN = 1, /* comes with the descriptors of tdm_worker_fd that are in fds, in their order */
    TDM_EXEC,      /* the same with those of tdm_program_fd: an external program */
    TDM_KILL       /* signal, to pid's whole process group; SIGKILL to pid itself, too */
};

struct tdm_guard_request {
    uint32_t kind;
    pid_t pid;
    uint64_t number; /* SPAWN, EXEC: comes back in SPAWNED */
    int32_t signal;
    uint32_t fds; /* SPAWN, EXEC: one bit each */
};

enum tdm_guard_notice_kind {
    TDM_SPAWNED = 1, /* number; pid, or a negative errno value; of a program when it has been entered, or could not be */
    TDM_EXIT,        /* pid; signal, or 0 and code; what it has used */
    TDM_PAIR /* I am the keeper.  pid: of a new zygote, with its socket and perhaps a descriptor of the process; or a negative
                        errno value: there is none now, I go on trying.  What the guards before had to tell has been told */
};

/* EXIT is sent before the zombie is reaped, so while the host knows a pid and has not read its EXIT, no other process has that pid. */
struct tdm_guard_notice {
    uint32_t kind;
    pid_t pid;
    uint64_t number;
    int32_t signal, code;
    uint64_t user_ns, system_ns, peak_memory; /* 0: not known */
    uint32_t inherits;                        /* PAIR: a keeper of this system gets a dead zygote's workers */
    uint32_t dumped;                          /* EXIT: it left a core dump */
};

/* Never returns: the keeper.  Called in the child of a fork, with all signals blocked. */
_Noreturn void tdm_keeper_main(int socket, pid_t host);

#endif
