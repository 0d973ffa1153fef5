/* dice.h - random numbers that are the same in every run. */
#ifndef TANDEM_DICE_H
#define TANDEM_DICE_H

#include <stdint.h>

/* Never 0. */
struct dice {
    uint64_t state;
};

static inline uint64_t roll(struct dice *dice)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return dice->state;
}

/* From 0 to limit - 1. */
static inline uint32_t roll_below(struct dice *dice, uint32_t limit) { return (uint32_t)((roll(dice) >> 32) % limit); }

#endif
