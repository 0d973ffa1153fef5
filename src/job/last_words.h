/* last_words.h - what a worker writes down about itself in the page it shares with its host.
 *
 * The host reads it after the worker's death: it first copies everything and then checks it, because a worker may write anything here at any
 * time.  What the process's status says about its signal comes first:
 *   - the noted signal: that is how it died
 *   - SIGALRM: the search for the frames did not come to an end, and the handler's own alarm ended it: it died of the noted signal
 *   - another one of those noted here: the handler itself failed, or another thread did meanwhile; the noted one came first
 *   - anything else, SIGKILL above all: it was killed while it was dying */
#ifndef TDM_JOB_LAST_WORDS_H
#define TDM_JOB_LAST_WORDS_H

#include "base/atomics.h"

#include <stdint.h>

#define TDM_FRAMES_MOST 32

struct tdm_last_words {
    _Atomic uint64_t crash;       /* 0: none noted.  1: the next four are there; written by the crash handler [last-words] */
    int32_t signal, si_code;      /* as sigaction's handler gets them */
    uint64_t address;             /* whose access was the fault, or whose instruction; 0: no fault, or unknown */
    uint64_t memory;              /* address space in bytes when it crashed; 0: unknown */
    _Atomic uint32_t frame_count; /* frames that are there; rises after crash is set; written by the crash handler [last-frames] */
    uint32_t unused;
    uint64_t frames[TDM_FRAMES_MOST]; /* innermost first: the instruction itself, then return addresses */
    uint64_t user_ns, system_ns;      /* CPU time used up to the claim of the task in hand */
};

_Static_assert(sizeof(struct tdm_last_words) <= 700, "the page holds more than this");

#endif
