/* tandem.h - run a function on a thread or in a separate process, by a flag.
 *
 * THE MODEL.  A pool has threads and worker processes.  A task is a struct of yours: a function, its input, and a flag that
 * says where the function runs - on a pool thread, which shares all memory, or in a worker process forked beforehand, which keeps a
 * crash, leak or endless loop to itself.  You submit the task, carry on with your own work, and wait for the task or are called back.
 * Every submitted task ends exactly once, with a status that says how.
 *
 * THE SHORTEST USE
 *
 *     static int shout(tandem_context *context, void *input, size_t size)
 *     {
 *         char *text = input;
 *         for (size_t i = 0; i < size; i++) text[i] = (char)toupper((unsigned char)text[i]);
 *         return tandem_reply(context, text, size);
 *     }
 *
 *     int main(void)
 *     {
 *         char word[] = "hello";
 *         tandem_pool *pool;
 *         tandem_task task = {.run = shout, .input = word, .input_size = 5, .isolation = TANDEM_PROCESS};
 *         if (tandem_init() != 0 || tandem_pool_create(&pool, NULL) != 0) return 1;
 *         if (tandem_call(pool, &task) == TANDEM_OK) puts(task.output);
 *         tandem_task_clear(&task);
 *         return tandem_pool_destroy(pool);
 *     }
 *
 * WHO OWNS A TASK WHEN.  Zero the struct, fill in its first part, submit it.  From then until it has ended, the struct and everything it
 * points to belong to the library: do not read, write, copy or free them (tandem_wait and its kin, tandem_cancel and
 * tandem_task_clear may be called at any time).  Without on_done the task is yours again when the last wait on it has returned.
 * With on_done it is yours from the moment on_done is entered, not earlier: on_done may free it or submit it again, as the library
 * no longer touches it.  If on_done does either, nobody else may be waiting for that task or about to cancel it.  A group counts a task
 * as ended once its on_done has returned.
 *
 * THE TRAPS OF FORK.  A worker process is a fork of your program as it was when tandem_init() ran.  It has the code, globals and
 * open stdout and stderr of that moment, and nothing that came later: no variable you set since, no library you loaded since, no file
 * or socket you opened (every descriptor above 2 is closed there, including those open at tandem_init; standard input is empty).
 * What a process task changes stays in that worker: globals, files opened, memory taken, and also the working directory, umask,
 * environment, signal handlers and alarms it leaves.  The caller never sees it; the next task on the same worker may.  With
 * tasks_per_worker 1 each task gets a fresh worker.  A worker that a task has left with threads, children, a blocked signal or closed
 * descriptors is replaced before the next task; only short tasks that wait behind each other in a queue, and are handed to a worker
 * together, may run there first.  A new worker begins with the program's present working directory, umask, resource limits and CPU
 * affinity, and with the environment as it was when a call last had a worker started; it is never started with credentials other than
 * those the program has by then (NOT_STARTED, step "credentials").  Bytes travel by input and reply only; a pointer inside them means
 * nothing on the other side, unless it points into shared memory (tandem_shared_alloc).  Call tandem_init() first thing in main(),
 * before you start any thread: a program that has threads is never forked.
 * tandem_init() flushes stdio output once, so that no worker prints again what was still in a buffer.
 *
 * CONVENTIONS
 *   - A call returns 0 (or a count, an index, a descriptor, a tandem_status), or a negative errno value, in which case nothing has
 *     changed.  Inside structs an errno is positive.  tandem_strerror() takes either sign.  The library never changes errno for
 *     its caller, prints nothing, never exits, and touches no signal disposition of the program.
 *   - An error is about the call; a tandem_status is about the task.
 *   - A zeroed struct is valid: 0 or NULL in a field means the default stated beside it.
 *   - Sizes are in bytes.  Times are in milliseconds, in reports and stats in nanoseconds.  A negative timeout argument waits without
 *     limit, 0 looks and returns.  In a limit field 0 means no limit.
 *   - Any thread may call anything at any time, unless the call says otherwise.  Your functions run with no lock of the library
 *     held.
 *   - In a process that your program itself forked, calls return -EPERM, and void calls do nothing.  Only tandem_init(), or
 *     creating a first pool while that process has one thread, drops what was inherited and starts afresh (as a daemon does).
 *     Inside a worker the same holds for the host's pools and tasks; a task may make a pool of its own there.
 *   - Fields named reserved stay zero.  Later versions put new fields there.
 *
 * Everything here dates from version 0.1.
 */
#ifndef TANDEM_H
#define TANDEM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TANDEM_VERSION_MAJOR 0
#define TANDEM_VERSION_MINOR 1
#define TANDEM_VERSION_PATCH 0

#define TANDEM_NONE UINT32_MAX /* in tandem_options.threads and .processes: none at all */

/* Set while the shared library itself is built; its users never need to set it. */
#ifndef TANDEM_API
#if defined(TANDEM_EXPORTS) && defined(__GNUC__)
#define TANDEM_API __attribute__((visibility("default")))
#else
#define TANDEM_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* From here on the comments beside the fields are tables, laid out by hand.  clang-format leaves them alone. */
/* clang-format off */

/* ---- the nouns ------------------------------------------------------------------------------------------------------- */

typedef struct tandem_pool tandem_pool;       /* threads and worker processes, and the queue in front of them */
typedef struct tandem_task tandem_task;       /* one piece of work, in a struct of the caller's */
typedef struct tandem_context tandem_context; /* a running task, as its function sees it */
typedef struct tandem_group tandem_group;     /* tasks waited for together */
typedef struct tandem_branch tandem_branch;   /* a part of a running task, forked off and joined by it */
typedef struct tandem_message tandem_message; /* bytes between a running task and its submitter */
typedef struct tandem_options tandem_options; /* the settings of a pool */
typedef struct tandem_limits tandem_limits;   /* the resources a task may use in its process */
typedef struct tandem_command tandem_command; /* an external program, as a task */
typedef struct tandem_report tandem_report;   /* what is known about how a task ran and ended */
typedef struct tandem_stats tandem_stats;     /* a pool's counters */
typedef struct tandem_channel tandem_channel; /* a queue of messages in shared memory */
typedef struct tandem_channel_options tandem_channel_options; /* the settings of a channel */
typedef struct tandem_mutex tandem_mutex;     /* a lock in shared memory, opened by its holder's death */

/* The work.  One function serves both isolations: input is aligned for any type, and the reply goes through the context.
 * On a thread, input is the caller's own pointer.  In a process it is a copy, and what the function writes to it stays there; unless it
 * lies in shared memory (tandem_shared_alloc), which is the same everywhere.
 * Return 0, or a code of your own; the task then ends FAILED with that code. */
typedef int tandem_fn(tandem_context *context, void *input, size_t input_size);

/* Where a task runs. */
typedef enum tandem_isolation {
    TANDEM_THREAD = 0, /* on a pool thread: shares all memory, nothing is copied, the cheapest.  A crash ends the program. */
    TANDEM_PROCESS = 1 /* in a worker process: input and reply are copied (input in shared memory is not); a crash, a leak or an endless
                          loop stays there. */
} tandem_isolation;

/* How a task ended.  The numbers are fixed. */
typedef enum tandem_status {
    TANDEM_PENDING = 0,    /* it has not ended */
    TANDEM_OK = 1,         /* the function returned 0; a command exited with 0 */
    TANDEM_FAILED = 2,     /* the function returned, or a command exited with, something else: task->code */
    TANDEM_CRASHED = 3,    /* its process died under it: task->signal killed it, or it called exit(task->code).
                              On a thread: it ended that thread (pthread_exit).  (A pool's threads cannot be cancelled.) */
    TANDEM_TIMED_OUT = 4,  /* it ran longer than timeout_ms */
    TANDEM_EXPIRED = 5,    /* it waited longer than queue_timeout_ms; it never ran */
    TANDEM_CANCELLED = 6,  /* by tandem_cancel(), or by the end of the pool */
    TANDEM_OVER_LIMIT = 7, /* it hit one of its tandem_limits, or a command its output_limit: report->limit names it */
    TANDEM_NOT_STARTED = 8 /* it could not be started: task->code is a positive errno, report->step says what failed */
} tandem_status;

/* tandem_task.flags.  A flag that means nothing for a task's isolation has no effect. */
enum {
    TANDEM_DEDICATED = 1u << 0, /* a thread or process of its own: started for this task, in addition to the pool's, and ended after
                                   it.  NOT_STARTED if it cannot be had.  A command has a process of its own anyway: with this flag it is
                                   started at once, however many are running */
    TANDEM_NO_HELP = 1u << 1, /* this thread task is never run by a thread that waits for it, only by pool threads.  While a pool thread waits
                                 for such a task in the middle of another, an extra thread stands in for it, up to 64 of them */
    TANDEM_RETRY = 1u << 2,   /* may run twice: if its process crashes under it, it is run once more, in another.  Whatever the first run did
                                 in the outside world is then done again; report->runs says how many times it ran */
    TANDEM_REPORT = 1u << 3,  /* a report for a thread task too; process tasks always have one */
    TANDEM_TELL_START = 1u << 4 /* its on_message, if it has one, is first told that its function is about to be called: message->started */
};

/* ---- a task -------------------------------------------------------------------------------------------------------------- */

/* Zero it, fill in the first part, submit it.  The second part is valid once the task has ended, until tandem_task_clear() or the
 * next submit.  Nothing is allocated for a thread task without TANDEM_REPORT, TANDEM_DEDICATED, messages or progress. */
struct tandem_task {
    tandem_fn *run;            /* what to run: this function, */
    const tandem_command *command; /* or this external program; exactly one of the two is NULL */
    void *input;               /* its argument, or what a command reads from its standard input; it stays the caller's, who keeps it alive and
                                  unchanged until the task has ended */
    size_t input_size;         /* in a process at most UINT32_MAX, unless input lies in shared memory.  If the size is not 0, input must not be
                                  NULL; if it is 0, the function gets input as it is, but in a process NULL if that does not point into shared
                                  memory */
    int32_t isolation;         /* a tandem_isolation; a command is a process, whatever this says */
    uint32_t flags;            /* TANDEM_DEDICATED, TANDEM_NO_HELP, ... */
    int32_t priority;          /* among tasks waiting to start, all of 1 (high) go before all of 0 (usual), and these before all of -1 (low);
                                  but now and then one that has been overtaken often is let through, so that none waits for ever */
    uint32_t timeout_ms;       /* limit on running, from its start; see "Stopping a task" below */
    uint32_t queue_timeout_ms; /* limit on waiting for its start; beyond it: EXPIRED */
    int32_t reserved_;
    const tandem_limits *limits; /* for a process task or command; kept alive until it has ended; NULL: the pool's */
    tandem_group *group;       /* joined by submitting the task, left when it has ended; or NULL */
    const char *name;          /* for descriptions; kept alive as long as the task's report; or NULL */
    void (*on_done)(tandem_task *task); /* called once when the task has ended, on a library thread or, with callbacks_by_host, inside
                                           tandem_run_callbacks(); or NULL.  It may call anything but tandem_pool_drain and tandem_pool_destroy
                                           on its own pool, and must return: no callback may end its thread */
    void (*on_message)(tandem_task *task, const tandem_message *message); /* called for each message that the task sends, wherever on_done
                                           would be, and before it; or NULL.  See "messages" below.  Not for a command */
    void *user_data;                    /* yours */

    const tandem_report *report; /* the task's own, freed by tandem_task_clear(); NULL for a thread task without TANDEM_REPORT */
    int32_t status; /* a tandem_status */
    int32_t code;   /* what the function returned, the exit code of its process or of a command, or a positive errno */
    int32_t signal; /* the signal that killed its process, or 0 */
    int32_t reserved2_;
    void *output;       /* what it replied, or NULL; the task's own, freed by tandem_task_clear().  Only for OK and FAILED. A 0 byte follows,
                           which output_size does not count (but not after a tandem_reply_owned() on a thread).  For a command, however it
                           ended: what it wrote to its standard output, if that was captured */
    size_t output_size; /* bytes of output */

    uint64_t reserved[14]; /* the library's own */
};

/* The resources that one task may use in its process.  0 in a field: no limit.  Each holds for that task alone: the next one on the same worker
 * has its own.  They come on top of the limits that the program itself has (setrlimit).  A build with POSIX calls only does not limit memory.  A
 * command begins with them as its resource limits: its whole address space counts, cpu_ms is rounded up to seconds, and whatever it starts
 * gets limits of its own of the same size.  A program that runs out of memory or open_files fails in its own way, and its task ends
 * accordingly. */
struct tandem_limits {
    uint64_t memory;     /* bytes of address space that it may add.  Calls that would exceed this fail with ENOMEM, which does not end the task
                            by itself: OVER_LIMIT only if the process then died, with less than an eighth of this left */
    uint64_t cpu_ms;     /* of processor time; beyond it: killed, OVER_LIMIT */
    uint64_t file_size;  /* bytes of any file it writes; beyond it: killed, OVER_LIMIT */
    uint64_t output;     /* bytes of its reply: a larger tandem_reply() returns -EMSGSIZE, and the task ends OVER_LIMIT.  Not for commands:
                            they have output_limit */
    uint32_t open_files; /* descriptors, its standard streams included: calls that open more fail with EMFILE */
    uint32_t reserved_;
    uint64_t reserved[3];
};

/* Stopping a task.  A process task is killed by SIGKILL (with kill_grace_ms first asked by SIGTERM, a command by its stop_signal),
 * together with its whole process group.  A thread cannot be killed: its timeout and its cancellation make tandem_cancelled() true in
 * the function, and the task ends when the function returns, as OK if it returns 0, otherwise as TIMED_OUT or CANCELLED, whichever came
 * first.  To stop waiting and no more: tandem_wait_for(). */

/* What is known about how a task ran.  Times are CLOCK_MONOTONIC; 0 where it did not get that far. */
struct tandem_report {
    uint64_t queued_ns;  /* submitted */
    uint64_t started_ns; /* handed to its thread or worker */
    uint64_t ended_ns;
    pid_t pid;           /* of its worker process; 0 on a thread */
    uint32_t worker;     /* which worker of the pool, counted from 1; a replaced process has a new number.  0: none */
    uint32_t runs;       /* how many times it was begun; more than 1 only with TANDEM_RETRY */
    uint32_t core_dumped; /* 1: a command killed by a signal has left a core dump */
    uint64_t cpu_user_ns, cpu_system_ns; /* of the last run, in a process: processor time, to a tenth of a millisecond; 0 if not known */
    uint64_t peak_memory;       /* most resident bytes that its process has had so far; 0 if not known */
    const char *name;           /* the task's; else that of a command's program (argv[0], or its shell line); else, if it did not end OK, the name
                                   of its function where that is known; else NULL */
    uintptr_t fault_address;    /* of a SIGSEGV, SIGBUS, SIGFPE or SIGILL: where; else 0 */
    size_t frame_count;         /* backtrace of a crash, innermost first; may be 0 */
    const char *const *frames;  /* "symbol+offset (module)" */
    const char *limit;          /* OVER_LIMIT: "memory", "cpu_ms", "file_size" or "output"; else NULL.  For a command, however it ended, also
                                   the outputs that went beyond output_limit or were cut to it: "output", "error_output", or "output,
                                   error_output" */
    const char *step;           /* NOT_STARTED: what failed, such as "fork", "thread", "on_worker_start", "tandem_init", "credentials", and
                                   for a command "descriptors", "chdir", "exec"; CRASHED without a signal: what is known; OVER_LIMIT of a
                                   command for want of somewhere to keep its output: "memory" or "file"; else NULL */
    const void *error_output;   /* with worker_error TANDEM_STDIO_CAPTURE, for a task that did not end OK: the last 4 KiB its worker wrote to
                                   standard error.  For a command, however it ended: what it wrote there, if that was captured.  Followed by an
                                   uncounted 0 byte; else NULL */
    size_t error_output_size;
    uint64_t reserved[4];
};

/* ---- external programs ------------------------------------------------------------------------------------------------------- */

/* Where a standard stream leads: a command's, or a worker's (tandem_options.worker_output and worker_error). */
enum {
    TANDEM_STDIO_DEFAULT = 0, /* of a command: in: the task's input, or empty if it has none; out, err: as CAPTURE (detached: as NULL).  Of a
                                 worker: as INHERIT */
    TANDEM_STDIO_CAPTURE,     /* out, err: read by the library: task->output, report->error_output (of a worker the last 4 KiB) */
    TANDEM_STDIO_INHERIT,     /* the program's own, as it is when the command starts; nowhere if the program has closed it */
    TANDEM_STDIO_NULL,        /* out, err: thrown away; in: empty */
    TANDEM_STDIO_FD,          /* the descriptor given in in_fd, out_fd, err_fd */
    TANDEM_STDIO_STREAM       /* out, err: given to on_output, or for workers to on_worker_output, as it comes, and not kept */
};

/* tandem_command.overflow: what becomes of a captured stream beyond output_limit. */
enum {
    TANDEM_OVERFLOW_KILL = 0, /* the command is killed and ends OVER_LIMIT; the first output_limit bytes are kept */
    TANDEM_OVERFLOW_HEAD,     /* it runs on; the first output_limit bytes are kept */
    TANDEM_OVERFLOW_TAIL,     /* it runs on; the last output_limit bytes are kept */
    TANDEM_OVERFLOW_SPILL     /* it runs on; everything is kept, in an unnamed file in TMPDIR (else /tmp), and output is a mapping of that
                                 file.  If the file cannot be made, or cannot grow, the command is killed as above */
};

/* tandem_command.flags */
enum {
    TANDEM_COMMAND_DETACHED = 1u << 16,  /* in a session of its own, and left to itself: the task ends OK as soon as the program has been
                                            started, nothing more is known of it, and it outlives the pool and your program.  Its output cannot
                                            be captured or streamed, and it has no input */
    TANDEM_COMMAND_ERR_TO_OUT = 1u << 17 /* standard error goes where standard output goes; err is not looked at */
};

/* An external program, run as a task: zero the struct, fill in argv or shell, and put its address into task->command.  From the submit until
 * the task has ended, it and everything it points to belong to the library.  One struct may serve many tasks.  The task starts when the program
 * does, and ends when that has ended and its captured and streamed output has been read to the end; if something it started still holds that
 * output open, drain_ms after the program has ended.  OK: it exited with 0.  FAILED: with task->code.  CRASHED: task->signal killed
 * it.  NOT_STARTED: task->code is the errno of what report->step names, and nothing was left behind.
 *
 * It runs in a process group of its own, with default signal dispositions and no signal blocked, with no descriptor but its three standard
 * streams, and with the working directory, umask, resource limits and CPU affinity that your program has by then.  It is started by the
 * process that tandem_init() made, not by a fork of your program, whose size and number of threads do not matter.  So it needs tandem_init()
 * as process tasks do, and a pool with processes; at most tandem_options.processes commands run at once, besides the worker processes.  Unless
 * detached, the command ends with your program: should that die, it is killed with its process group.  When it ends by itself, whatever it
 * started is left alone; when it is stopped, its whole process group is killed with it.
 *
 * TANDEM_RETRY and TANDEM_NO_HELP mean nothing for a command, nor does its isolation. */
struct tandem_command {
    const char *const *argv;       /* ended by NULL; argv[0] is looked up in the PATH of the command's environment unless it contains a slash; or NULL: */
    const char *shell;             /* one line for /bin/sh -c; or NULL.  Set one of the two, not both */
    const char *argv0;             /* what the program gets as argv[0]; NULL: argv[0] itself */
    const char *const *env;        /* its whole environment, "NAME=value", ended by NULL; NULL: the caller's at the submit */
    const char *const *env_change; /* on top of that: "NAME=value" sets, "NAME" removes; ended by NULL; or NULL */
    const char *cwd;               /* its working directory; NULL: the program's */
    int32_t in, out, err;          /* TANDEM_STDIO_... */
    int32_t in_fd, out_fd, err_fd; /* for TANDEM_STDIO_FD; they stay the caller's, who keeps them open until the task has ended */
    uint32_t flags;                /* TANDEM_COMMAND_... */
    int32_t overflow;              /* TANDEM_OVERFLOW_... */
    size_t output_limit;           /* bytes of each captured stream that are kept in memory; 0: 64 MiB */
    void (*on_output)(tandem_task *task, int stream, const void *data, size_t size); /* for TANDEM_STDIO_STREAM: called where on_done is, with
                                      the bytes of stream 1 or 2 as they come, both in the order of their arrival; never two calls at a time
                                      for one task.  The task ends when the last call has returned.  While a call runs nothing more is read, so
                                      a slow one slows the command down.  With callbacks_by_host, the thread that runs the callbacks must not
                                      wait without limit for such a task.  It may call what on_done may */
    const uid_t *uid;              /* the user and group it runs as; either one drops all supplementary groups, for which the program */
    const gid_t *gid;              /*   needs the privilege; NULL: the program's */
    int32_t stop_signal;           /* with kill_grace_ms, what asks it to end; 0: SIGTERM */
    uint32_t drain_ms;             /* see above; 0: 100 */
    uint64_t reserved[4];
};

/* Submits commands connected by pipes, the standard output of each to the standard input of the next.  Each is a task of its own, with its own
 * ending; when one ends early, its neighbours fare as in a shell: the one before gets SIGPIPE or EPIPE when it writes, the one after reads an
 * end of file.  They start together, when the first may, and count as that many running commands.  All but the last have out
 * TANDEM_STDIO_DEFAULT, all but the first have in TANDEM_STDIO_DEFAULT and no input, none is detached, and all have one
 * priority.  TANDEM_DEDICATED in the first holds for all.  Returns 0: all were taken; or an error of tandem_submit(), and none was.  -EINVAL
 * also: count 0, tasks or one of them NULL, or not as said here. */
TANDEM_API int tandem_pipeline(tandem_pool *pool, tandem_task *const *tasks, size_t count);

/* ---- starting and ending --------------------------------------------------------------------------------------------------- */

/* Starts the process that worker processes are forked from, as a copy of the program as it is now.  Optional, but best called first thing in
 * main(): after becoming a daemon and dropping privileges, before the first thread.  Without it the first pool with processes does this, if
 * the program still has one thread; if it has more, process tasks end NOT_STARTED with ENOTSUP and a report that says so.  Returns 0, also if
 * it has already been done; -ENOTSUP: the program has other threads; -EAGAIN, -ENOMEM, -EMFILE: no process, memory or descriptors
 * available.  Call it from one thread. */
TANDEM_API int tandem_init(void);

/* Ends what tandem_init() or a first pool started.  Optional: all of it ends with the program in any case.  After this call the library may be
 * unloaded.  Returns 0; -EBUSY while a pool exists. */
TANDEM_API int tandem_quit(void);

/* Creates a pool and starts its first thread (and its processes_ready workers); returns when on_worker_start has returned in that
 * thread.  options NULL: all defaults; the struct is not needed afterwards, as what it points to is copied (except argument, which threads get
 * as it is).  Returns 0 and sets *pool; -EINVAL: pool NULL, an unknown when_full, argument_size without argument, an unknown worker_error or
 * worker_output, STREAM without on_worker_output, reserved not zero, or neither threads nor processes; -ECANCELED: on_worker_start failed in
 * that thread; -EAGAIN, -ENOMEM, -EMFILE: no thread, memory or descriptors available. */
TANDEM_API int tandem_pool_create(tandem_pool **pool, const tandem_options *options);

/* Sets what tasks that start later, and the on_worker_start of workers that start later, find under this key, in either isolation: a copy of
 * size bytes.  data NULL removes the key.  A running task that has already looked continues to see what was set before.  Each worker process
 * gets a copy of all that is set, so use it for settings; for large data there is shared memory.  0; -EMSGSIZE: more than 1 GiB in all; -ENOMEM;
 * -EINVAL: pool or key NULL, or data NULL with a size. */
TANDEM_API int tandem_pool_set_data(tandem_pool *pool, const char *key, const void *data, size_t size);

/* Closes the pool to new tasks (-ESHUTDOWN), except those that its own running tasks and callbacks submit, and returns when all tasks have
 * ended and, without callbacks_by_host, their on_done has returned.  The pool stays closed.  Returns 0; -ETIMEDOUT (another call may continue
 * the drain); -EDEADLK inside one of its own thread tasks or callbacks. */
TANDEM_API int tandem_pool_drain(tandem_pool *pool, int64_t timeout_ms);

/* Ends the pool: cancels what has not ended (queued tasks never run, processes are killed, thread functions are waited for), runs the
 * remaining callbacks, stops all threads and workers, frees everything.  An idle worker whose on_worker_stop takes longer than
 * start_timeout_ms is killed.  No other call on the pool, and no tandem_cancel of its tasks, may overlap or follow it; waits for its tasks
 * may.  Returns 0, also for NULL; -EDEADLK inside one of its own thread tasks or callbacks. */
TANDEM_API int tandem_pool_destroy(tandem_pool *pool);

/* ---- everyday use ------------------------------------------------------------------------------------------------------------ */

/* Hands the task to the pool and returns at once, unless the queue is full and when_full says otherwise.  (Where tasks wait for worker
 * processes, it may take in some of their answers on the way: tens of microseconds, or a few megabytes of output.)  An output and report left
 * from an earlier run are freed.  Returns 0.  -EINVAL: pool or task NULL, neither run nor command or both, unknown isolation, flags or
 * priority, input_size without input, a process task or command with a pool that has no processes, or a thread task with one that has no
 * threads; a command with neither argv nor shell or both, an argv without argv[0], an entry of env without "=", one of env or env_change without
 * a name, a value that is not one of those named at its field, STDIO_FD with a descriptor that is not open, STREAM without on_output, an input
 * where command->in is not DEFAULT, what a detached one cannot have, or on_message; on_message of a process task with TANDEM_RETRY.  -EBUSY: the
 * task has been submitted and has not ended.  -EAGAIN: the queue is full (TANDEM_FULL_REFUSE), or no thread could be started for what the task
 * needs.  -ESHUTDOWN: the pool is draining.  -EMSGSIZE: input of a process task is larger than UINT32_MAX and not in shared memory.  -ENOMEM: no
 * memory for its report. */
TANDEM_API int tandem_submit(tandem_pool *pool, tandem_task *task);

/* Submits tasks[0] to tasks[count - 1] in order.  Returns how many were taken before the first was refused; if that was the very
 * first, its error. */
TANDEM_API int tandem_submit_many(tandem_pool *pool, tandem_task *const *tasks, size_t count);

/* Waits until the task has ended and returns its tandem_status.  A thread task that has not started may be taken back and run by the waiting
 * thread itself, unless it has NO_HELP, DEDICATED, timeout_ms or on_done, or the pool has on_worker_start (a pool's own thread that waits
 * inside a task is not bound by the last three).  Any number of threads may wait for one task.  -EINVAL: NULL, or never submitted.  -EDEADLK:
 * inside that very task. */
TANDEM_API int tandem_wait(tandem_task *task);

/* The same for at most timeout_ms, and never runs anything itself.  TANDEM_PENDING: it has not ended yet. */
TANDEM_API int tandem_wait_for(tandem_task *task, int64_t timeout_ms);

/* Waits until one of the tasks has ended and returns the lowest index of an ended one.  Entries that are NULL are skipped, so that
 * a caller can cross out what it has dealt with.  Never runs anything itself.  -EINVAL: no entry, or one was never submitted; -ETIMEDOUT. */
TANDEM_API int tandem_wait_any(tandem_task *const *tasks, size_t count, int64_t timeout_ms);

/* tandem_submit(), then tandem_wait(): the shortest way to run one thing.  A tandem_status, or an error of either. */
TANDEM_API int tandem_call(tandem_pool *pool, tandem_task *task);

/* Asks the task to end.  One that is waiting to start never runs; for one that is running see "Stopping a task".  Does not wait.  Returns 0: it
 * was asked; it may still end otherwise if it was about to.  -EALREADY: it has ended.  -EINVAL: NULL or never submitted. */
TANDEM_API int tandem_cancel(tandem_task *task);

/* Frees the task's output and report and sets them to NULL.  0, also for a task that was never submitted; -EBUSY: it has not
 * ended, or its on_done has not been called yet; -EINVAL: NULL. */
TANDEM_API int tandem_task_clear(tandem_task *task);

/* The lower-case English name of a tandem_status, such as "timed out"; "unknown" for anything else.  Static. */
TANDEM_API const char *tandem_status_name(int status);

/* What an error of this library means, in English; takes an errno of either sign.  Static. */
TANDEM_API const char *tandem_strerror(int error);

/* Writes one line a person can act on about how the task ended, such as
 * "decode crashed: SIGSEGV at address 0x10 in inflate+0x1f (viewer) (worker 3, pid 4711, after 12.3 ms)".
 * At most size bytes with the final 0 byte.  Returns the length of the whole line, as snprintf does.  Only for a task that is
 * yours (never submitted, or ended).  -EINVAL: task NULL, or text NULL with a size. */
TANDEM_API int tandem_describe(const tandem_task *task, char *text, size_t size);

/* ---- inside a task --------------------------------------------------------------------------------------------------------------- */
/* These are called by the task's own function, on the thread that runs it, with the context it was given. */

/* Copies size bytes that become task->output; the last call of a run wins.  0; -ENOMEM; -EMSGSIZE: larger than UINT32_MAX in a
 * process; -EINVAL: data NULL with a size. */
TANDEM_API int tandem_reply(tandem_context *context, const void *data, size_t size);

/* The same without a copy on a thread: if it returns 0 the data is the library's, and release(data) is called once when the output is
 * cleared, replaced or no longer of use (in a process: when it has been sent, or by the worker's death).  release NULL: nothing is called.  On
 * an error the data stays yours. */
TANDEM_API int tandem_reply_owned(tandem_context *context, void *data, size_t size, void (*release)(void *data));

/* 1 once the task has been asked to end or its timeout has passed, else 0.  Cheap enough for an inner loop.  In a process always 0: there the
 * function is killed. */
TANDEM_API int tandem_cancelled(const tandem_context *context);

/* The tandem_isolation under which this run really takes place. */
TANDEM_API int tandem_where(const tandem_context *context);

/* What on_worker_start left for the worker that runs this, or NULL. */
TANDEM_API void *tandem_worker_data(const tandem_context *context);

/* What tandem_pool_set_data() has set under this key; the number of bytes goes to *size, unless size is NULL.  NULL: nothing is set, there is
 * no memory, or this is a branch, or a process that the task has forked.  Aligned for any type, followed by a 0 byte that size does not count,
 * and only to be read; valid until the task ends.  All looks of one run see the pool's data as it was at one moment, at its start or
 * later.  The first look in a worker process that does not have the latest asks the host for all of it, which takes some tens of
 * microseconds.  Inside on_worker_start the context is NULL; what it gets there is valid until it returns. */
TANDEM_API const void *tandem_pool_data(tandem_context *context, const char *key, size_t *size);

/* ---- fork and join --------------------------------------------------------------------------------------------------------------- */
/* A running task splits itself: it spawns branches, carries on, and joins them.  A branch is run by the thread that joins it, unless a pool
 * thread with nothing to do gets there first; so it costs a few nanoseconds as long as all are busy.  Branches may spawn branches of their
 * own, to any depth. */

/* A struct of yours, often on the stack; keep it alive and untouched until it is joined. */
struct tandem_branch {
    tandem_fn *run;    /* what to run.  Inside it tandem_reply(), tandem_send() and tandem_receive() return -EPERM; tandem_cancelled() and
                          tandem_progress() are the task's.  It must return */
    void *input;       /* its argument, passed on as it is */
    size_t input_size; /* the same */
    int32_t code;      /* once it is joined: what it returned */
    int32_t reserved_;
    uint64_t reserved[4]; /* the library's */
};

/* Forks off a branch, with the context that the calling function was given.  In a process, in a dedicated task, and on a thread that merely
 * helps, it is run at once. */
TANDEM_API void tandem_spawn(tandem_context *context, tandem_branch *branch);

/* Returns when the branch has run, with what it returned; -ECANCELED: it did not return, because a task that it waited for ended its thread.
 * Each branch is joined once, by the function that spawned it, in the reverse order of spawning and before that function returns. */
TANDEM_API int tandem_join(tandem_context *context, tandem_branch *branch);

/* ---- messages -------------------------------------------------------------------------------------------------------------------- */
/* Between a running task and its submitter: whole, in order, both ways at once, on a thread and in a process alike.
 *
 *     the submitter    tandem_post()     ->  tandem_receive()  the task's function
 *                      task.on_message  <-   tandem_send()
 *
 * What is posted is copied, and so is what is sent: the sender's bytes are its own again when the call returns.  Each direction holds 256
 * messages, of 1 MiB in all, or one larger message of up to 1 GiB (and as much again on its way); beyond that the sender waits.  You may post
 * to a task as soon as it is submitted, before it has started.
 *
 * The callbacks of one task never overlap: on_message for each of its messages in order, then on_done.  Those of different tasks may, and they
 * take turns.  Waits neither run them nor wait for them: a task with on_message is the library's until its last callback has returned
 * (entered, if that is on_done), even when the task has ended; until then tandem_task_clear() and tandem_submit() return -EBUSY, and
 * tandem_pool_drain() and tandem_group_wait() wait, as they do for on_done.  Within on_message the task is not yours, only its user_data is;
 * you may post to it, close it and cancel it.  on_message must not wait for anything that needs its own task's next message.
 *
 * In a process, bytes that lie wholly in one allocation of tandem_shared_alloc() are not copied: the receiver finds them where they are, so
 * leave them alone until it has them.  (A task that sends bytes of shared memory that was not allocated has broken the rules, and its process
 * is killed.)
 *
 * A message may carry up to 128 descriptors.  They are duplicated when it is sent or posted, so the sender's remain the sender's to close.  The
 * receiver's are its own, too, and close-on-exec: whoever receives a message closes them; what a task has not closed when it ends stays open
 * in its worker, like a file that it has opened.  If nobody receives a message, because the task ends, is cancelled, or its process dies, the
 * message's descriptors are closed.  Where the receiving process has no room for a descriptor, its entry is -EMFILE, and the message arrives all
 * the same; another negative errno says that the system would not carry it.  A descriptor counts as 4096 bytes of its direction.  Descriptors
 * are not sent to a process before it has begun the task.
 *
 * What was sent before the task ended is delivered, even when its process has crashed.  What was posted and not received is lost when the task
 * ends; with TANDEM_RETRY the second run gets what had not yet been sent to the first.  A process task with TANDEM_RETRY has no on_message:
 * nobody could tell the messages of its two runs apart. */
struct tandem_message {
    const void *data; /* received: aligned for any type, and followed by a 0 byte that size does not count; yours until the next
                         tandem_receive(), or until on_message returns */
    size_t size;      /* at most 1 GiB */
    const int *fds;   /* descriptors that go with it, or NULL; received: the array is there as long as data is, the descriptors are yours */
    size_t fd_count;  /* at most 128 */
    uint64_t request; /* received in a task, not 0: somebody is waiting in tandem_request() for the answer.  Sent by a task, not 0: this is the
                         answer to that request.  Posted: 0 */
    uint32_t started; /* to on_message, 1: not sent by the task's function, which is about to be called (TANDEM_TELL_START); size is 0.
                         Sent or posted: 0 */
    uint32_t reserved_;
    void *owned;      /* an answer's memory: see tandem_message_clear() */
};

/* Inside a task: sends a message to its on_message.  0; -EAGAIN (timeout 0), -ETIMEDOUT: there was no room; -EPIPE: the task has no
 * on_message; -ECANCELED: there is no room, and this task, on a thread, is to end (see tandem_cancelled); -EMSGSIZE: larger than 1 GiB, more
 * than 128 descriptors, or larger than limits.output, in which case the task ends OVER_LIMIT; -EBADF: a descriptor that is not open; -EMFILE:
 * no room for a duplicate, or too many on their way; -ENOMEM; -EPERM: in a process that the task has forked; -EINVAL: context or message
 * NULL, data NULL with a size, fds NULL with a count, a request though none was received, or another field after fd_count not zero.  Another
 * -errno: the system does not carry one of the descriptors.  An answer (request not 0) needs no on_message and never waits for room; you are
 * not told whether anyone was still waiting for it. */
TANDEM_API int tandem_send(tandem_context *context, const tandem_message *message, int64_t timeout_ms);

/* Inside a task: the next message that was posted to it; valid until the next call or the end of the run.  0; -EAGAIN (timeout 0), -ETIMEDOUT:
 * there is none; -EPIPE: there is none, and after a tandem_close() there will be none; -ECANCELED: there is none, and this task, on a thread,
 * is to end; -ENOMEM; -EPERM: in a process that the task has forked; -EINVAL: an argument is NULL. */
TANDEM_API int tandem_receive(tandem_context *context, tandem_message *message, int64_t timeout_ms);

/* Posts a message to a task that has been submitted.  0; -EAGAIN (timeout 0), -ETIMEDOUT: there was no room; -EPIPE: the task has ended or was
 * closed; -EMSGSIZE: larger than 1 GiB, more than 128 descriptors; -EBADF: a descriptor that is not open; -EMFILE: no room for a duplicate;
 * -ENOMEM; -EINVAL: task or message NULL, data NULL with a size, fds NULL with a count, a field after fd_count not zero, a command, or never
 * submitted.  As with tandem_cancel(), nobody may free or submit the task, or destroy its pool, meanwhile. */
TANDEM_API int tandem_post(tandem_task *task, const tandem_message *message, int64_t timeout_ms);

/* Posts a message and waits for its answer: the message that the task sends with request set as it received it; that one does not go to
 * on_message.  Any number of threads may ask one task at once, it may answer in any order, and each gets its own answer.  Inside the task:
 *
 *     tandem_receive(context, &message, -1);
 *     tandem_send(context, &(tandem_message){.data = answer, .size = size, .request = message.request}, -1);
 *
 * timeout_ms covers both ways.  0: answer->data is yours until tandem_message_clear(answer), its descriptors are yours.  -ETIMEDOUT, -EAGAIN
 * (timeout 0): there is none yet, and if one comes later it is thrown away; -EPIPE: the task has ended or was closed, ended before it
 * answered, or its process crashed with the message and the task is run once more; -EDEADLK: inside that very task; -EINVAL: answer NULL, and
 * the other errors of tandem_post(). */
TANDEM_API int tandem_request(tandem_task *task, const tandem_message *message, tandem_message *answer, int64_t timeout_ms);

/* Frees what tandem_request() brought, if anything, and zeroes the struct.  0; -EINVAL: NULL. */
TANDEM_API int tandem_message_clear(tandem_message *message);

/* No more posts: after the last message tandem_receive() returns -EPIPE, and so does tandem_post() from now on.  0, also if it was already
 * closed; -EPIPE: the task has ended; -EINVAL: NULL, a command, or never submitted. */
TANDEM_API int tandem_close(tandem_task *task);

/* Inside a task: says how far it is, without a message; what done and total count is up to you.  Cheap enough for an inner loop.  0; -EINVAL:
 * context NULL; -EPERM: in a process that the task has forked; -ENOMEM. */
TANDEM_API int tandem_progress(tandem_context *context, uint64_t done, uint64_t total);

/* How far a task has said it is: while it runs, and after it has ended, in whatever way, until it is submitted again.  0 and 0: it has said
 * nothing (a run that is begun anew starts from there again).  Each of the two is what was last said, though the two may not have been said
 * together.  Returns 0; -EINVAL: an argument is NULL, or never submitted. */
TANDEM_API int tandem_read_progress(const tandem_task *task, uint64_t *done, uint64_t *total);

/* ---- many tasks -------------------------------------------------------------------------------------------------------------------- */

/* A zeroed struct is an empty group.  Tasks of any pool, at any time, join by being submitted with task.group set. */
struct tandem_group {
    uint64_t reserved[8];
};

/* Waits until every task of the group has ended and its on_done has returned; a wait without limit helps as tandem_wait() does.  Returns
 * TANDEM_OK, or the status of the first task that ended otherwise, and the group starts anew; TANDEM_PENDING: not yet.  Only one thread may
 * wait for a group at a time.  With callbacks_by_host, the thread that runs the callbacks must not wait here without limit for tasks with an
 * on_done.  -EINVAL: NULL.  -EDEADLK: inside a task or callback of that group. */
TANDEM_API int tandem_group_wait(tandem_group *group, int64_t timeout_ms);

/* Calls tandem_cancel() on each task that is in the group now.  Returns how many were asked to end; -EINVAL: NULL. */
TANDEM_API int tandem_group_cancel(tandem_group *group);

/* ---- event loops ---------------------------------------------------------------------------------------------------------------------- */

/* With callbacks_by_host: a descriptor that is readable exactly while callbacks are waiting to be run (level-triggered), for poll, epoll,
 * libuv, GLib.  It is the pool's: never read, write or close it.  -EINVAL: pool NULL, or without callbacks_by_host. */
TANDEM_API int tandem_fd(tandem_pool *pool);

/* Runs waiting callbacks on this thread, at most the given number; most 0: all that are waiting when it is called.  First it looks for
 * messages that workers have sent and nobody has read yet.  Returns how many it ran.  -EINVAL: pool NULL, or without callbacks_by_host. */
TANDEM_API int tandem_run_callbacks(tandem_pool *pool, size_t most);

/* Runs body over the indices from begin up to but not including end, on the pool's workers of that isolation, cut into parts of grain indices
 * (the last may be shorter; grain 0: chosen for you, on threads by how long they take, so that skewed work does no harm), and returns when
 * all have ended.  Each index is in exactly one part, and each part is run once, whatever becomes of the others.  Parts may run at the same
 * time and in any order.  On threads this thread helps as tandem_wait() does, so body must return: it must not end its thread.  argument is
 * passed on as it is.  In processes it must be NULL or point into memory from tandem_shared_alloc(), which is also where parts leave their
 * results; nothing else comes back.  Returns 0; -ECANCELED: a part has failed: body did not return 0, its process died, or it could not be
 * started.  -EINVAL: pool or body NULL, end below begin, no workers of that isolation, or PROCESS with an argument elsewhere; -ENOEXEC:
 * PROCESS, and body came into the program after tandem_init().  The errors of tandem_submit(), if nothing was run. */
TANDEM_API int tandem_for(tandem_pool *pool, size_t begin, size_t end, size_t grain,
                          int (*body)(tandem_context *context, size_t begin, size_t end, void *argument), void *argument,
                          tandem_isolation isolation);

/* ---- shared memory --------------------------------------------------------------------------------------------------------------------- */
/* Memory of a pool that its threads, its worker processes and the caller all see at the same address, so that pointers within it are good
 * everywhere.  What one of them writes there is there for all; they must agree who writes when, with atomics for example.  A task that
 * crashes leaves its bytes as they are.  A task whose input lies wholly in one allocation gets it in place: nothing is copied, and it may
 * be of any size.  Shared memory reserves addresses (at most 16 GiB a program, and at most a quarter of what RLIMIT_AS leaves) when workers become
 * possible, and takes memory only as it is allocated.  It has no name, and no other pool's workers see it. */

/* size bytes, zeroed, at a multiple of 64 bytes; yours until tandem_shared_free() or the pool's end.  size 0 counts as 1.  NULL: no room within
 * shared_size or the system's memory.  Only in the process that made the pool, on any thread; elsewhere, as in a worker, NULL. */
TANDEM_API void *tandem_shared_alloc(tandem_pool *pool, size_t size);

/* Gives it back; nobody may be using it any more, and no task may have it as its input.  0, also for NULL; -EINVAL: pool NULL, or memory is
 * not the start of a live allocation of this pool (it was freed before, lies inside one, or is foreign), and nothing has changed; -EPERM: in
 * a process other than the one that made the pool. */
TANDEM_API int tandem_shared_free(tandem_pool *pool, void *memory);

/* Sleeps while the 4-byte word holds the expected value, until it is woken by tandem_atomic_notify() or timeout_ms has passed.  The word may
 * lie in shared memory, for threads and worker processes, tasks and the host alike, or anywhere, for threads.  Returns 0: woken, or the word
 * differs; look at it again.  -ETIMEDOUT; -EINVAL: word NULL, or not at a multiple of 4.  Change the word first, then notify: that way no
 * wake-up is lost.  (Where the system cannot sleep on a word that processes share, the word is looked at about every millisecond, and a notify
 * without a change goes unseen.) */
TANDEM_API int tandem_atomic_wait(const volatile void *word, uint32_t expected, int64_t timeout_ms);

/* Wakes at most the given number of those that sleep on the word, in any thread or process; UINT32_MAX: all.  0; -EINVAL as above. */
TANDEM_API int tandem_atomic_notify(const volatile void *word, uint32_t most);

/* ---- channels ---------------------------------------------------------------------------------------------------------------------------- */
/* A queue of messages in a pool's shared memory.  Any number of the caller's threads, the pool's threads and its worker processes may send
 * and receive.  The handle is good in all of them: pass it to a task within its input.  Messages are whole, and those of one sender come in
 * order.  A channel holds a fixed number of messages; when it is full, senders wait.
 *
 * Without subscribers each message goes to one receiver.  In a broadcast each subscriber gets each message sent since it subscribed; the
 * channel is full when it is full for the slowest of them, and what is sent while there are none is lost.  Threads and processes that
 * receive for the same subscriber share its messages.
 *
 * A process that dies, at any instant, leaves the channel whole: a message it was sending is there entirely or not at all; one it was
 * receiving is either still there, for another, or was taken, and is then lost with it: each is received at most once.
 * A subscriber belongs to the process that subscribed, and ends with it.  The others go on as soon as the pool has noticed the death.
 *
 * While a pool thread sleeps on a channel in the middle of a task, or in tandem_lock(), tandem_atomic_wait() or tandem_request(), an extra
 * thread stands in for it, up to 64 of them: so tasks of one pool may wait for each other there, however few threads it has. */
struct tandem_channel_options {
    uint32_t messages;     /* the most it holds; 0: 64 */
    uint32_t message_size; /* of the largest; 0: 1024; at most 1 GiB.  The memory for all of them is taken when the channel is created */
    uint32_t subscribers;  /* 0: each message goes to one receiver.  Otherwise a broadcast to at most this many subscribers at a time, at most
                              255 */
    uint32_t reserved_;
    uint64_t reserved[4];
};

/* Creates a channel; options NULL: all defaults.  0; -EINVAL: pool or channel NULL, more than 1 GiB or 255 subscribers, or reserved not zero;
 * -ENOMEM: no room within shared_size or the system's memory; -EPERM: in a process other than the one that made the pool. */
TANDEM_API int tandem_channel_create(tandem_pool *pool, tandem_channel **channel, const tandem_channel_options *options);

/* Sends a copy of size bytes (0 is a message, too).  0; -EAGAIN (timeout 0), -ETIMEDOUT: there was no room; -EPIPE: the channel is closed;
 * -EMSGSIZE: larger than message_size; -EINVAL: not a channel that this process has made (in a worker: that its host has made; there the
 * pointer is followed to find out), or data NULL with a size; -EIO: a worker has damaged the channel.  (Only one call at a
 * time sends or receives on a channel: one in a process that is stopped in the middle of it holds up the others.  Even with timeout 0 a call
 * waits up to 100 ms for that.) */
TANDEM_API int tandem_channel_send(tandem_channel *channel, const void *data, size_t size, int64_t timeout_ms);

/* Receives the next message into the buffer and returns its size.  subscriber: in a broadcast what tandem_channel_subscribe() returned, else
 * 0.  -EAGAIN (timeout 0), -ETIMEDOUT: there is none; -EPIPE: there is none, and the channel is closed; -EMSGSIZE: the buffer is too small,
 * and the message stays; -EINVAL: not a channel, no such subscriber (any more), or buffer NULL with a size; -EIO as above. */
TANDEM_API ssize_t tandem_channel_receive(tandem_channel *channel, int subscriber, void *buffer, size_t size, int64_t timeout_ms);

/* Adds a subscriber to a broadcast, from the next message on, and returns its number, above 0.  The number is good in other processes too:
 * subscribe, then submit a task that receives, and it misses nothing.  -EAGAIN: there are already as many as there may be; -EPIPE: it is closed;
 * -EINVAL: not a broadcast; -EIO. */
TANDEM_API int tandem_channel_subscribe(tandem_channel *channel);

/* Ends a subscription; what it has not received is dropped.  0; -EINVAL: no such subscriber; -EIO. */
TANDEM_API int tandem_channel_unsubscribe(tandem_channel *channel, int subscriber);

/* No more messages: sending returns -EPIPE from now on, also to those already waiting for room, and so does receiving once everything sent
 * has been received. 0, also if it was already closed; -EINVAL: not a channel.  The pool's end does this first, so that tasks on threads
 * return. */
TANDEM_API int tandem_channel_close(tandem_channel *channel);

/* Frees it.  Nobody may use it any more, and no other call may overlap; a pool's end frees what is left.  0, also for NULL; -EINVAL: not a
 * channel that this process has made. */
TANDEM_API int tandem_channel_destroy(tandem_channel *channel);

/* ---- locks ------------------------------------------------------------------------------------------------------------------------------- */

/* A lock for what lies in shared memory.  A zeroed one is open, and needs no destroying; put it into memory from tandem_shared_alloc()
 * (anywhere, if only threads use it).  When a worker process that holds it dies, the next to lock it is told so. */
struct tandem_mutex {
    uint64_t reserved[2]; /* the library's */
};

/* Locks it; timeout 0 tries once.  0: it is the caller's.  1: it is the caller's, and the process that held it has died: what it guards may be
 * half changed; mend that, then unlock.  -EAGAIN (timeout 0), -ETIMEDOUT: another holds it; -EDEADLK: this thread does; -ENOLCK: this worker
 * process holds, or waits for, 64 of them; -EINVAL: NULL, or not at a multiple of 8.  Only code that runs in the host or in the pool's own
 * workers may use it.  In a process, a task that returns without unlocking counts as a death; on a thread, its thread stays the holder.  A
 * thread that ends leaves it locked. */
TANDEM_API int tandem_lock(tandem_mutex *mutex, int64_t timeout_ms);

/* Opens it.  0; -EPERM: this thread does not hold it; -EINVAL as above. */
TANDEM_API int tandem_unlock(tandem_mutex *mutex);

/* ---- settings --------------------------------------------------------------------------------------------------------------------------- */

/* tandem_options.when_full: what tandem_submit() does when queue_limit tasks are waiting.  A pool's own thread, inside a task or callback,
 * is never held up or refused: its tasks may go beyond the limit. */
enum {
    TANDEM_FULL_BLOCK = 0, /* waits until there is room */
    TANDEM_FULL_REFUSE,    /* returns -EAGAIN */
    TANDEM_FULL_RUN_HERE   /* runs a thread task on the submitting thread, then returns 0; for a process task, a dedicated one, or in
                              a pool with on_worker_start, waits until there is room */
};

struct tandem_options {
    uint32_t threads;           /* 0: as many as there are CPUs this process may use, by its affinity and the quotas of its control groups,
                                   rounded up; TANDEM_NONE.  This is the most: the first is there from the start, each of the others is started
                                   when there is a task and no idle thread.  One that cannot be started is tried again every 10 ms as long as
                                   it is needed, and so is one that is to stand in; the others go on.  (A thread of its own does this, one for
                                   the whole program.  If that cannot be started either, a thread of the pool is tried again when another has
                                   ended a task or another task comes, and a stand-in when another is to stand in) */
    uint32_t processes;         /* most worker processes; 0: as many as CPUs, counted as above; TANDEM_NONE.  Each is started when first needed */
    uint32_t processes_ready;   /* workers that are started with the pool and kept even when idle; at most processes */
    uint32_t idle_ms;           /* an idle worker beyond those, or an idle thread beyond the first, ends after this; 0: 30000 */
    uint32_t queue_limit;       /* most tasks waiting to start */
    int32_t when_full;          /* TANDEM_FULL_... */
    uint32_t callbacks_by_host; /* 0: on_done runs on a library thread; 1: only inside tandem_run_callbacks() */
    uint32_t pipes_only;        /* 1: all bytes to and from workers go over pipes; else through shared memory where the system allows it */
    uint32_t spin_us;           /* how long at most a waiting side, host or worker, watches for the other before it sleeps; shorter while that
                                   does not pay, and not at all with a single CPU.  0: 50; at most 1000000; TANDEM_NONE */
    uint32_t tasks_per_worker;  /* a worker process is replaced after this many tasks; 1: each task gets a fresh one.  0: no limit */
    uint32_t kill_grace_ms;     /* a process task that is to be stopped gets SIGTERM, and SIGKILL after this long; 0: SIGKILL at once */
    uint32_t start_timeout_ms;  /* a worker process that is not ready by then has failed to start; 0: 10000 */
    uint32_t no_crash_report;   /* 1: no signal handlers in workers; of a crash only the signal is known */
    uint32_t worker_error;      /* TANDEM_STDIO_...: the standard error of worker processes: INHERIT (0 means that), NULL, CAPTURE, STREAM */
    uint32_t core_dumps;        /* 1: workers may dump core, as far as the program's own limit lets them */
    uint32_t worker_output;     /* their standard output: INHERIT (0 means that), NULL, STREAM */
    uint64_t memory_per_worker; /* a worker process that has grown by more bytes than this since its start (resident, private) is replaced
                                   after its task, as soon as another is ready; 0: no limit */
    size_t shared_size;         /* most bytes of this pool's shared memory, in whole pages; 0: no limit but the program's; see tandem_shared_alloc() */
    size_t stack_size;          /* of a pool thread; 0: 1 MiB.  Raised to the system's minimum */
    tandem_limits limits;       /* for each process task that has none of its own */
    int (*on_worker_start)(void **worker_data, void *argument); /* called first in each pool thread and worker process; what it stores is what
                                   tandem_worker_data() gives.  Not 0: that worker has failed to start; in a process or a dedicated thread the
                                   value (best an errno) becomes the code of the tasks that could not start; a thread after the first tries
                                   again as long as there is something to do.  With it, tasks run on pool threads and workers only, never on a
                                   waiting thread */
    void (*on_worker_stop)(void *worker_data, void *argument);  /* called last in each that ends normally */
    void *argument;       /* for both: threads get this pointer, worker processes a copy of argument_size bytes, */
    size_t argument_size; /*   or NULL if 0.  At most UINT32_MAX */
    void (*on_worker_output)(uint32_t worker, int stream, const void *data, size_t size, void *argument); /* with STREAM: called where on_done
                                   is, with bytes that a worker (report->worker) has written to stream 1 or 2, as they come; one call at a
                                   time, unless several threads run callbacks.  Everything a worker has written, even one that has crashed, is
                                   given before tandem_pool_destroy() returns.  Up to 1 MiB per worker waits for calls to return; beyond that,
                                   the worker waits when it writes, and nobody else does.  What is written later by a process that a task has
                                   left behind is lost */
    const char *name;     /* of threads and workers in ps, top and debuggers, cut to 15 bytes; NULL: "tandem" */
    uint64_t reserved[7];
};

/* ---- looking in ---------------------------------------------------------------------------------------------------------------------------- */

/* Exact when nothing is going on.  At all times submitted == waiting + running + the sum of ended[]. */
struct tandem_stats {
    uint64_t submitted;       /* tasks taken */
    uint64_t waiting;         /* waiting to start */
    uint64_t running;         /* started and not ended */
    uint64_t ended[16];       /* by tandem_status */
    uint64_t threads;         /* alive now */
    uint64_t processes;       /* worker processes alive now, those still starting included */
    uint64_t workers_started; /* worker processes, ever */
    uint64_t workers_crashed; /* worker processes that died without having been asked to, or killed, by the library */
    uint64_t workers_recycled; /* healthy worker processes that were replaced: for tasks_per_worker, for memory_per_worker, or because a task
                                 left something behind that the next must not find */
    uint64_t wait_ns_p50, wait_ns_p99; /* from submit to start, of the last 256 sampled tasks (one in 64 is sampled) */
    uint64_t run_ns_p50, run_ns_p99;   /* from start to end, of the same */
    uint64_t reserved[8];
};

/* Fills *stats.  0; -EINVAL: an argument is NULL. */
TANDEM_API int tandem_pool_stats(tandem_pool *pool, tandem_stats *stats);

/* Writes a table of the pool's workers and the tasks they run to a descriptor, for a person to read: what each is doing, since when, and
 * the pool's counters.  0; -EINVAL: pool NULL; or the -errno of the write. */
TANDEM_API int tandem_pool_dump(tandem_pool *pool, int fd);

#ifdef __cplusplus
}
#endif
#endif
