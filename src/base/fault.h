/* fault.h - places where a test can make the library fail, be cut short, be killed or be stopped, by name and count.
 *
 * A place asks tdm_fault() before it does what may fail.  In a normal build the answer is the constant 0 and no code is left of it.  Only
 * with TANDEM_FAULTS defined, in a library of the tests' own, is there anything to answer. */
#ifndef TDM_BASE_FAULT_H
#define TDM_BASE_FAULT_H

#include <stddef.h>

/* What a test can have fail.  Where the comment names a state of affairs, the errno does not matter. */
#define TDM_FAULT_RESOURCES(X)                                                                                                     \
    X(memory)            /* every allocation, in every process: see memory.h */                                                    \
    X(map)               /* memory behind a descriptor, mapped */                                                                  \
    X(descriptor_memory) /* memory behind a descriptor, made */                                                                    \
    X(reserve)           /* addresses for shared memory */                                                                         \
    X(commit)            /* memory behind a descriptor that is about to be used */                                                 \
    X(decommit)          /* a system that takes none of it back */                                                                 \
    X(noexec_seal)       /* a kernel that does not know that flag of it */                                                         \
    X(wiped_page)        /* a system without a page that a fork wipes */                                                           \
    X(pipe)                                                                                                                        \
    X(socketpair)                                                                                                                  \
    X(bell)                                                                                                                        \
    X(take_in)   /* moving a new descriptor above 2; once for each end of a pair */                                                \
    X(duplicate) /* a descriptor */                                                                                                \
    X(nonblocking)                                                                                                                 \
    X(thread)                                                                                                                      \
    X(fork_unseen)  /* the host's fork of a guard */                                                                               \
    X(spawn)        /* the zygote's start of a program */                                                                          \
    X(spill)        /* the file that the rest of an output goes to */                                                              \
    X(unnamed_file) /* a system without files that never had a name */                                                             \
    X(fork_handler)                                                                                                                \
    X(inherit_orphans)                                                                                                             \
    X(signal_watched)                                                                                                              \
    X(cpu_timer)                                                                                                                   \
    X(open_cwd)                                                                                                                    \
    X(watch_process)                                                                                                               \
    X(close_range) /* a kernel without it */                                                                                       \
    X(proc_read)   /* a system without /proc, or this file of it */                                                                \
    X(proc_list)                                                                                                                   \
    X(poller)                                                                                                                      \
    X(poller_add)                                                                                                                  \
    X(poller_wait) /* a wait that ends without cause */                                                                            \
    X(futex_wait)  /* the same */                                                                                                  \
    X(any_read)    /* EINTR; whatever is read, also where another name here tells what */                                          \
    X(any_write)

/* Bytes between host and worker, messages between host and guard.  The first four can be cut short. */
#define TDM_FAULT_CHANNELS(X)                                                                                                      \
    X(host_read)                                                                                                                   \
    X(host_write)                                                                                                                  \
    X(worker_read)                                                                                                                 \
    X(worker_write)                                                                                                                \
    X(guard_send) /* either side */                                                                                                \
    X(guard_receive)                                                                                                               \
    X(guard_rights) /* a message's descriptors do not all arrive */                                                                \
    X(parcel_send)  /* descriptors of a task's message, either side */                                                             \
    X(parcel_receive)                                                                                                              \
    X(parcel_rights) /* the last of them does not arrive */

/* Steps of the protocol: a process can be killed or stopped there.  The name says what has just been done, except for the two
 * *_fork_*, which can fail too. */
#define TDM_FAULT_STEPS(X)                                                                                                         \
    X(worker_set_up)                                                                                                               \
    X(worker_read_header)                                                                                                          \
    X(worker_claimed)                                                                                                              \
    X(worker_read_input)                                                                                                           \
    X(worker_ran)                                                                                                                  \
    X(worker_reply_begun)                                                                                                          \
    X(worker_replied)                                                                                                              \
    X(worker_finished)                                                                                                             \
    X(guard_fork_worker)                                                                                                           \
    X(guard_forked_worker)                                                                                                         \
    X(program_begun)                                                                                                               \
    X(guard_spawned_program)                                                                                                       \
    X(guard_told_spawned)                                                                                                          \
    X(guard_saw_end)                                                                                                               \
    X(guard_told_end)                                                                                                              \
    X(guard_reaped)                                                                                                                \
    X(guard_fork_guard)                                                                                                            \
    X(guard_forked_guard)                                                                                                          \
    X(guard_told_pair)                                                                                                             \
    X(word_taken)                                                                                                                  \
    X(word_opened)                                                                                                                 \
    X(mutex_noted)                                                                                                                 \
    X(mutex_opened)                                                                                                                \
    X(belt_slept)                                                                                                                  \
    X(belt_counted_in)                                                                                                             \
    X(belt_answered)                                                                                                               \
    X(belt_called)                                                                                                                 \
    X(belt_begun)                                                                                                                  \
    X(belt_written)                                                                                                                \
    X(belt_sent)                                                                                                                   \
    X(belt_copied)                                                                                                                 \
    X(belt_taken)                                                                                                                  \
    X(belt_joined)                                                                                                                 \
    X(belt_opened)                                                                                                                 \
    X(host_offered)                                                                                                                \
    X(host_frame_written)                                                                                                          \
    X(host_reply_read)

#define TDM_FAULT_POINTS(X) TDM_FAULT_RESOURCES(X) TDM_FAULT_CHANNELS(X) TDM_FAULT_STEPS(X)

#define TDM_FAULT_ENUMERATOR(name) TDM_FAULT_##name,
enum tdm_fault_point { TDM_FAULT_POINTS(TDM_FAULT_ENUMERATOR) TDM_FAULT_COUNT };
#undef TDM_FAULT_ENUMERATOR

#ifndef TANDEM_FAULTS

/* 0, or the positive errno with which to fail here.  Counts the pass; may not return. */
static inline int tdm_fault(enum tdm_fault_point point)
{
    (void)point;
    return 0;
}

/* How many bytes may move in the read or write for which tdm_fault() has just been asked. */
static inline size_t tdm_fault_short(enum tdm_fault_point point, size_t wanted)
{
    (void)point;
    return wanted;
}

/* The same for a write of several parts: cuts them, and returns how many are left. */
#define tdm_fault_cut(point, parts, count) ((void)(point), (void)(parts), (count))

#else

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

int tdm_fault(enum tdm_fault_point point);
size_t tdm_fault_short(enum tdm_fault_point point, size_t wanted);
int tdm_fault_cut(enum tdm_fault_point point, struct iovec *parts, int count);

/* ---- for tests ---- */

/* From now on passes are counted, and points can be armed, in memory shared with all processes forked later: before tandem_init() and
 * the first pool.  0 or -errno. */
int tdm_fault_open(void);

enum tdm_fault_action {
    TDM_FAULT_NONE = 0,
    TDM_FAULT_FAIL,     /* that pass, with errno `value` */
    TDM_FAULT_FAIL_ON,  /* that pass and all later ones */
    TDM_FAULT_KILL,     /* SIGKILL for the process that makes that pass */
    TDM_FAULT_STOP,     /* SIGSTOP for it */
    TDM_FAULT_CUT_SHORT /* from that pass on one byte a time; after `value` bytes in all SIGKILL, once; -1: never */
};

/* nth_pass: 1 is the next one, in whatever process.  One plan a point; the new one replaces the old. */
void tdm_fault_arm(enum tdm_fault_point point, uint64_t nth_pass, enum tdm_fault_action action, int value);
void tdm_fault_disarm_all(void);

uint64_t tdm_fault_passes(enum tdm_fault_point point); /* since it was opened */
uint64_t tdm_fault_fired(enum tdm_fault_point point);  /* since it was armed: how often something was done there */
const char *tdm_fault_name(enum tdm_fault_point point);

#endif
#endif
