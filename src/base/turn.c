/* turn.c - see turn.h. */
#define _POSIX_C_SOURCE 200809L
#include "base/turn.h"

#include "base/quick_clock.h"

#include <sched.h>

#define SLICE_NS  200000u
#define LATE_MOST 65535u
#define VAIN_MOST 8u

static void note_vain(struct tdm_turn *turn)
{
    turn->gave = false;
    if (turn->in_vain < VAIN_MOST) turn->in_vain++;
    turn->left = (1u << turn->in_vain) - 1;
}

/* A wait for each microsecond that is to be paid for. */
static void note_late(struct tdm_turn *turn, uint64_t away_ns)
{
    uint64_t late = 2 * (uint64_t)turn->late + away_ns / 1024;
    turn->gave = false;
    turn->late = turn->left = late < LATE_MOST ? (uint32_t)late : LATE_MOST;
}

bool tdm_turn_give(struct tdm_turn *turn)
{
    if (turn->gave) note_vain(turn);
    if (turn->left > 0) {
        turn->left--;
        return false;
    }
    uint64_t before = tdm_quick_clock_now();
    turn->gave = true;
    sched_yield();
    uint64_t away_ns = tdm_quick_clock_now() - before;
    turn->away_ns += away_ns;
    if (away_ns > SLICE_NS) note_late(turn, away_ns);
    return true;
}

void tdm_turn_paid(struct tdm_turn *turn)
{
    if (!turn->gave) return;
    turn->gave = false;
    turn->in_vain = 0;
    if (turn->late > 0) turn->late--;
}
