/* frame.h - what travels between host and worker: a fixed header, then as many bytes as it says. */
#ifndef TDM_JOB_FRAME_H
#define TDM_JOB_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tdm_frame_kind {
    /* host to worker */
    TDM_FRAME_SETUP = 1, /* first; payload: see setup.h */
    TDM_FRAME_TASK,      /* payload: the input */
    TDM_FRAME_LEAVE,     /* end in peace; no payload */
    /* worker to host */
    TDM_FRAME_READY,     /* first; on_worker_start has succeeded; no payload */
    TDM_FRAME_FAILED,    /* instead of READY; code says why; no payload */
    TDM_FRAME_REPLY,     /* the function returned code; payload: the output */
    TDM_FRAME_REFUSED,   /* it could not be run: code is an errno; no payload */
    TDM_FRAME_OVERSIZED, /* it ran, and tried to reply more than its limit; no payload */
    TDM_FRAME_TIRED,     /* of itself: it has grown too large, and goes on until it is told to leave; no payload */
    /* both ways, while a task runs, with its entry and sequence; see control.h for how many there may be */
    TDM_FRAME_MESSAGE, /* payload: a message */
    TDM_FRAME_CREDIT,  /* as many have been taken as was wished to be told of; no payload */
    TDM_FRAME_DATA, /* from the worker, no payload: it wants what was set for the pool; from the host: that, code is its version */
    /* host to worker */
    TDM_FRAME_CLOSED /* no more messages; no payload */
};

#define TDM_FRAME_HAS_OUTPUT   1u  /* REPLY: there is an output, if only of 0 bytes */
#define TDM_FRAME_HAS_LIMITS   2u  /* TASK: they lie in the control page */
#define TDM_FRAME_IN_SHARED    4u  /* TASK, MESSAGE: no payload; the bytes lie in shared memory, see address and size */
#define TDM_FRAME_HEARD        8u  /* TASK: it has an on_message */
#define TDM_FRAME_TELL_START   16u /* TASK: a message is to tell when it has begun; MESSAGE: this is it, and has no payload */
#define TDM_FRAME_PAYLOAD_MOST UINT32_MAX

/* What a task has used of its process, as that says itself. */
struct tdm_use {
    uint64_t user_ns, system_ns, peak_memory;
    uint64_t ran_ns; /* by the clock */
};

/* Both sides are the same program, so it travels as it lies in memory. */
struct tdm_frame {
    uint32_t magic;
    uint16_t kind;
    uint16_t entry;    /* of the control page */
    uint64_t sequence; /* of the task: counts up from 1 for each worker */
    union {
        int32_t code;     /* of a reply; TASK, DATA: the version of what was set for the pool, or 0 */
        uint32_t request; /* MESSAGE: the request that it is, or answers; 0: none */
    };
    uint32_t flags;
    uint32_t payload; /* bytes that follow */
    union {
        uint32_t progressed; /* REPLY: 1: the task has said how far it is: see control.h */
        struct {
            uint16_t fd_count; /* MESSAGE: descriptors that go with it */
            int16_t fd_error;  /* MESSAGE, to a worker: 0, or why they could not be sent, -errno */
        };
    };
    union {
        struct {
            union {
                uint64_t function; /* TASK: its address, the same in both processes */
                uint64_t
                    parcel; /* MESSAGE: the number of its descriptors, which went ahead by the socket; 1 and on, for each direction */
            };
            uint64_t address, size; /* with IN_SHARED: the bytes */
        };
        struct tdm_use use; /* REPLY, OVERSIZED */
    };
};

#define TDM_FRAME_MAGIC 0x6d646e74u /* "tndm" where the least byte comes first */

struct tdm_frame tdm_frame_make(enum tdm_frame_kind kind, size_t payload);

/* Could an honest worker have sent this header?  Nothing more is believed of it. */
bool tdm_frame_is_from_worker(const struct tdm_frame *frame);

#endif
