/* turn.h - a side that waits for another process gives way to it once before it sleeps.
 *
 * Where both share one processor, giving way until the other side has done its part costs far less than being put to sleep and woken; and the
 * other side, which gives way too, need not be woken either.  Where that was in vain, because the other side is on another processor or takes
 * longer, the next waits sleep at once, twice as many each time.  Where others had the processor meanwhile, each for a time slice that has to
 * be paid for, far more of them do; and if that happens again before as many have paid, yet more. */
#ifndef TDM_BASE_TURN_H
#define TDM_BASE_TURN_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: nothing is known yet. */
struct tdm_turn {
    bool gave;        /* and nobody has said that it paid */
    uint32_t in_vain; /* times in a row */
    uint32_t left;    /* waits that are still to sleep at once */
    uint64_t away_ns; /* ever */
    uint32_t late;    /* so many had to when others were in between, less the times since that it has paid */
};

/* Before a sleep.  True: gave way, so look again, and say so if it paid; false: sleep. */
bool tdm_turn_give(struct tdm_turn *turn);
void tdm_turn_paid(struct tdm_turn *turn);

#endif
