/* scan_poison.h - three task functions that end badly, each in its own way.  For worker processes only. */
#ifndef SCAN_POISON_H
#define SCAN_POISON_H

#include "tandem.h"

struct scan_poison {
    const char *name;
    tandem_fn *run;
    uint32_t timeout_ms; /* for when the command line has none; 0: it ends by itself */
};

#define SCAN_POISONS           3
#define SCAN_POISON_TIMEOUT_MS 2000
extern const struct scan_poison scan_poisons[SCAN_POISONS];

#endif
