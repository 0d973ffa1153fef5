/* trial.h - one figure, measured in a process of its own. */
#ifndef BENCH_TRIAL_H
#define BENCH_TRIAL_H

#include "row.h"

/* What one subject measures ends with its process: its threads, its processes, its heap.  So no subject disturbs the next, and each
 * begins in a program that has one thread, as tandem_init() wants it.  Gives up if the figure cannot be had. */
double trial(const struct row *row, const struct peer *peer, size_t count);

#endif
