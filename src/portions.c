/* portions.c - see portions.h. */
#include "portions.h"

/* It takes this many portions for one that began with single indices to come to those of a moment, if an index takes a nanosecond: five. */
#define FASTEST_GROWTH 8

/* No taker takes more than this part of its share of what is left; but not less than this part of a moment. */
#define SHARE_PARTS  4
#define MOMENT_PARTS 16

/* It slows down at once, for a long index may be the first of many; the thread may just not have had a processor for a while, but then
 * the next portions tell. */
static void learn(struct tdm_pace *pace, uint64_t now_ns)
{
    uint64_t took_ns = now_ns - pace->since_ns;
    size_t most = pace->last > SIZE_MAX / FASTEST_GROWTH ? SIZE_MAX : pace->last * FASTEST_GROWTH;
    double moment = took_ns == 0 ? (double)most : (double)pace->last * TDM_PORTION_NS / (double)took_ns;
    pace->moment = moment >= (double)most ? most : moment < 1 ? 1 : (size_t)moment;
}

static size_t size_of_next(const struct tdm_portions *portions, const struct tdm_pace *pace, size_t left)
{
    size_t size = pace->moment, share = left / SHARE_PARTS / portions->takers;
    if (size > share) size = share;
    if (size < pace->moment / MOMENT_PARTS) size = pace->moment / MOMENT_PARTS;
    if (size < 1) size = 1;
    return size < left ? size : left;
}

bool tdm_portions_take(struct tdm_portions *portions, struct tdm_pace *pace, uint64_t now_ns, size_t *begin, size_t *end)
{
    if (pace->last == 0)
        pace->moment = 1;
    else
        learn(pace, now_ns);
    uint64_t taken = load_seq(&portions->taken); /* [portions-taken] */
    do {
        if (taken >= portions->length) return false;
        pace->last = size_of_next(portions, pace, portions->length - (size_t)taken);
    } while (!cas_seq(&portions->taken, &taken, taken + pace->last));
    pace->since_ns = now_ns;
    *begin = portions->begin + (size_t)taken;
    *end = *begin + pace->last;
    return true;
}
