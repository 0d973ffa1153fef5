/* control.h - the page that host and worker share: one word for each task handed over, so that it is always known who has it.
 *
 * A word is sequence << 16 | state.  Who moves it:
 *   -> OFFERED             host    before the task's frame is written
 *   OFFERED -> CLAIMED     worker  it has read the frame's header, and nothing of the payload yet
 *   CLAIMED -> FINISHED    worker  the last byte of the reply is in the pipe or the ring
 *   OFFERED -> REVOKED     host    taken back: it never ran there and never will
 *   CLAIMED -> KILLING     host    its end is decided: the worker must not touch anything more, and is killed
 * Each move but the first is a compare-and-swap, so when two meet exactly one wins, and both sides know which.  A worker that dies leaves the
 * word at the last move it made.  The worker may write anything here at any time: the host believes a word only together with its own record. */
#ifndef TDM_JOB_CONTROL_H
#define TDM_JOB_CONTROL_H

#include "base/atomics.h"
#include "job/last_words.h"
#include "job/member.h"
#include "job/ring.h"

#include <tandem.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TDM_CONTROL_WORDS 32 /* tasks that one worker can have in hand */
#define TDM_IN_HAND       TDM_CONTROL_WORDS
#define TDM_CONTROL_SIZE  8192
#define TDM_PAGE          4096 /* as the smallest of any system */

enum tdm_control_state { TDM_FREE = 0, TDM_OFFERED, TDM_CLAIMED, TDM_FINISHED, TDM_REVOKED, TDM_KILLING };

/* What a task and its submitter have taken of each other's messages, so that neither sends more than there may be: see mail.h.  All zero
 * when the task is handed over: the host's because it sets them so, the worker's because it does when a task ends.  Who may not send says
 * how many the other is to have taken before it tells [talk-taken]. */
struct tdm_talk_words {
    _Atomic uint64_t received, received_bytes; /* the worker's: of those posted */
    _Atomic uint64_t tell_worker_at;           /* the worker's wish, taken back by the host; 0: none */
    _Atomic uint64_t consumed, consumed_bytes; /* the host's: of those sent */
    _Atomic uint64_t tell_host_at;             /* the host's wish, taken back by the worker; or TDM_TELL_BEGUN */
    _Atomic uint64_t done, total;              /* the worker's: how far it says it is; 0 when it claims the task [progress] */
};

_Static_assert(sizeof(struct tdm_talk_words) == TDM_CACHE_LINE, "those of two tasks do not meet in one");

/* Instead of how many: that the worker has begun the task.  It has descriptors for it, which it sends to none that might not [talk-taken]. */
#define TDM_TELL_BEGUN UINT64_MAX

/* Four to a line: of brief tasks each side comes for several at once, and each line that it comes for has to leave the other's processor. */
struct tdm_control_word {
    _Alignas(TDM_CACHE_LINE / 4) _Atomic uint64_t now; /* all but the offer, and looks for a hint, are seq_cst [control-word] */
};

/* Shared between two processes.  The host copies what the worker has written, and then looks at the copy. */
struct tdm_control {
    struct tdm_control_word words[TDM_CONTROL_WORDS];
    tandem_limits limits[TDM_CONTROL_WORDS]; /* the host's, before the frame is published; for frames that say they have some */
    struct tdm_talk_words talk[TDM_CONTROL_WORDS];
    uint64_t memory_most;             /* the worker's: the address space that the task it has claimed may have; 0: any */
    struct tdm_holdings holdings;     /* the worker's */
    struct tdm_last_words last_words; /* the worker's */
};

/* The page, and behind it the rings, where the bytes go through rings. */
struct tdm_shared_page {
    _Alignas(TDM_PAGE) struct tdm_control control;
    _Alignas(TDM_PAGE) struct tdm_rings rings;
};

static inline uint64_t tdm_control_word(uint64_t sequence, enum tdm_control_state state)
{
    return sequence << 16 | (uint64_t)state;
}

/* Published with the task's frame; other side: the worker's claim in tdm_control_move [control-word]. */
static inline void tdm_control_offer(struct tdm_control *control, unsigned entry, uint64_t sequence)
{
    store_release(&control->words[entry].now, tdm_control_word(sequence, TDM_OFFERED));
}

static inline bool tdm_control_is(const struct tdm_control *control, unsigned entry, uint64_t sequence,
                                  enum tdm_control_state state)
{
    return load_seq(&control->words[entry].now) == tdm_control_word(sequence, state);
}

/* True if this call moved it. */
static inline bool tdm_control_move(struct tdm_control *control, unsigned entry, uint64_t sequence, enum tdm_control_state from,
                                    enum tdm_control_state to)
{
    uint64_t expected = tdm_control_word(sequence, from);
    return cas_seq(&control->words[entry].now, &expected, tdm_control_word(sequence, to));
}

#endif
