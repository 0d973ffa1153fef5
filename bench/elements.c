/* elements.c - see elements.h. */
#define _POSIX_C_SOURCE 200809L
#include "elements.h"
#include "must.h"

#include <stdint.h>

enum { EVEN_ROUNDS = 4, HEAVY_ROUNDS = 31, LIGHT_ROUNDS = 1 };

static struct {
    uint32_t *made;
    size_t heavy; /* so many at the beginning */
    unsigned heavy_rounds, rounds;
} elements;

void elements_reserve(size_t count, bool skewed)
{
    elements.made = must_reserve(count, sizeof *elements.made);
    elements.heavy = skewed ? count / 10 : 0;
    elements.heavy_rounds = HEAVY_ROUNDS;
    elements.rounds = skewed ? LIGHT_ROUNDS : EVEN_ROUNDS;
}

void element_make(size_t index)
{
    uint32_t number = (uint32_t)index;
    for (unsigned rounds = index < elements.heavy ? elements.heavy_rounds : elements.rounds; rounds > 0; rounds--) {
        number = (number ^ number >> 16) * 0x7feb352du;
        number = (number ^ number >> 15) * 0x846ca68bu;
    }
    elements.made[index] = number;
}
