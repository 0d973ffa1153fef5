/* plot.h - a row as a picture. */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

#include "summary.h"

/* Writes folder/ROW.svg: a bar a subject as long as its median, with a line from its least figure to its most. */
void plot(const char *folder, const struct row *row, const struct summary *summaries, size_t count);

#endif
