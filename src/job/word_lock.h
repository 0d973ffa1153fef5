/* word_lock.h - a lock in one word of shared memory, whose holder may be killed at any instruction.
 *
 * The word names the holder's process (member.h), so one compare-and-swap takes the lock and says whose it is: there is no moment at which it
 * is taken but nobody's.  When a worker has died, the host buries it in each lock that it may have held or waited for: if the word names it,
 * the lock is opened, and says so to whoever takes it next.  In any case all sleepers are woken, because the dead worker may have been the
 * one that a wake-up was spent on, or may have died between opening the lock and waking.  Nobody else checks whether a holder is still alive.
 *
 * The list of robust futexes that the kernel keeps for a thread is not used: there is one for each thread, the C library's; its links lie
 * beside the words, where any process could have the host follow them anywhere. */
#ifndef TDM_JOB_WORD_LOCK_H
#define TDM_JOB_WORD_LOCK_H

#include "base/futex.h"
#include "job/member.h"

#define TDM_WORD_SLEPT_ON ((uint32_t)1 << 31) /* somebody may sleep; stays until the lock is opened in peace */
#define TDM_WORD_HELD_BY  TDM_MEMBER_HOST     /* the bits that name the holder; 0: open */
#define TDM_WORD_DIED     ((uint32_t)1 << 30) /* open: it was opened by a death */

/* deadline 0: tries once.  sleeps: called around each sleep; or NULL.  0: taken; 1: taken, and its last holder has died; -ETIMEDOUT. */
int tdm_word_take(_Atomic uint32_t *word, uint32_t me, uint64_t deadline_ns, void (*sleeps)(bool begins));

/* The holder.  Its last access to the word; the wake-up uses the address only. */
void tdm_word_open(_Atomic uint32_t *word);

/* The host: that member has died. */
void tdm_word_bury(_Atomic uint32_t *word, uint32_t dead);

#endif
