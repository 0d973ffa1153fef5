/* portions.h - a range of indices that threads share out among themselves while they work on it.
 *
 * Nobody knows beforehand how long an index takes, and the next may take longer than the last.  So each thread begins with one, and from then
 * on takes as many as should last it a moment, judging by its last ones; and never more than a small part of what is left, so that nobody is
 * still busy long after the others have run out. */
#ifndef TDM_PORTIONS_H
#define TDM_PORTIONS_H

#include "base/atomics.h"

#include <stdbool.h>
#include <stddef.h>

/* What a portion should last: far longer than taking one does, far shorter than anybody would mind waiting for the last. */
#define TDM_PORTION_NS 50000

struct tdm_portions {
    size_t begin, length;
    size_t takers;              /* at most; at least 1 */
    char apart[TDM_CACHE_LINE]; /* takers write what is behind */
    _Atomic uint64_t taken; /* so many from the beginning on; moved by compare-and-swap by whoever takes some [portions-taken] */
};

/* A taker's own; zeroed: it has taken nothing yet. */
struct tdm_pace {
    size_t last; /* the size of its last portion, and since when it has had it */
    uint64_t since_ns;
    size_t moment; /* so many are thought to last a moment */
};

/* Called by a taker that is through with its last portion: what it has next; false: there is nothing left. */
bool tdm_portions_take(struct tdm_portions *portions, struct tdm_pace *pace, uint64_t now_ns, size_t *begin, size_t *end);

#endif
