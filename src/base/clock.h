/* clock.h - the monotonic clock, and deadlines counted by it. */
#ifndef TDM_BASE_CLOCK_H
#define TDM_BASE_CLOCK_H

#include "base/futex.h"

#include <stdbool.h>
#include <stdint.h>

uint64_t tdm_clock_ns(void);

/* Looks at the word until it differs or the time is over; false: it has not.  After a moment others go first, because whoever is to change it may wait for
 * this very processor. */
bool tdm_clock_watch(const _Atomic uint32_t *word, uint32_t seen, uint64_t ns);

/* When a timeout argument of the public header ends: negative never, 0 now. */
uint64_t tdm_clock_deadline(int64_t timeout_ms);

/* As poll() takes it: -1 for never.  Rounded up, lest a deadline a fraction of a millisecond away makes a loop spin; at most a
 * minute, so callers look at the clock again. */
int tdm_clock_milliseconds_until(uint64_t deadline_ns);

#endif
