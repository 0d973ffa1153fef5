/* futex.h - sleep while a word holds a value; wake who sleeps on an address.
 *
 * The one primitive under every lock and every wait.  Linux has it (futex_linux.c); elsewhere a table of mutexes and condition
 * variables, hashed by address, stands in (futex_portable.c).  A wake uses the address only and never touches the memory behind
 * it, so the word may be freed between the store that ends a wait and the wake.  Every return may be spurious: callers loop.
 * For words shared between processes there are two calls of their own. */
#ifndef TDM_BASE_FUTEX_H
#define TDM_BASE_FUTEX_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stdint.h>

#define TDM_FOREVER UINT64_MAX /* a deadline that never comes */

/* Sleeps if *word == expected, until woken or until the monotonic clock reaches deadline_ns.  Is no cancellation point. */
void tdm_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);
void tdm_futex_wake_one(_Atomic uint32_t *word);
void tdm_futex_wake_all(_Atomic uint32_t *word);

/* The same for a word that may lie in memory shared by several processes.  True: woken; false: the word differs, the time is over, or for
 * no reason at all. */
bool tdm_futex_wait_shared(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);
void tdm_futex_wake_shared(_Atomic uint32_t *word, int most);

/* Makes the primitive usable in a forked child, whose parent's threads may have been inside of it. */
void tdm_futex_after_fork(void);

#endif
