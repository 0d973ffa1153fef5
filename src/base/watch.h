/* watch.h - how long it pays to look at a word again and again before sleeping on it.
 *
 * Waking a sleeper takes tens of microseconds, seeing a word change a fraction of one.  So a waiter looks for a while first.  How long is
 * learned: half as long after looking in vain, twice as long after a sleep that was shorter than the looking could have been. */
#ifndef TDM_BASE_WATCH_H
#define TDM_BASE_WATCH_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stdint.h>

/* Less than this is not worth a look. */
#define TDM_WATCH_LEAST_NS 1000

/* How long the next watch is to be; 0: none.  longest_ns: as long as it may be; 0: never. */
static inline uint64_t tdm_watch_after(uint64_t ns, uint64_t longest_ns, bool saw)
{
    uint64_t next = saw ? longest_ns : ns / 2;
    return next >= TDM_WATCH_LEAST_NS ? next : 0;
}

static inline uint64_t tdm_watch_after_sleep(uint64_t ns, uint64_t longest_ns, uint64_t slept_ns)
{
    if (slept_ns >= longest_ns) return ns;
    uint64_t longer = 2 * ns + TDM_WATCH_LEAST_NS;
    return longer < longest_ns ? longer : longest_ns;
}

/* The same for waits that mostly take a microsecond or so: a step of one would be in vain again and again. */
static inline uint64_t tdm_watch_after_nap(uint64_t ns, uint64_t longest_ns, uint64_t slept_ns)
{
    return slept_ns < longest_ns ? longest_ns : ns;
}

struct tdm_look {
    uint64_t until_ns;
    unsigned looks;
    bool gave_way; /* just now, to others */
};

/* Between two looks: gives its processor to others now and then, for whoever is to change the word may wait for this very one.  Where that
 * helped (gave_way, and then the word has changed) looking was in vain: both are on one processor, and will be until one of them sleeps.
 * False: the time is over. */
bool tdm_watch_goes_on(struct tdm_look *look);

#endif
