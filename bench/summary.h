/* summary.h - the figures of one row, and the lines that are printed of them. */
#ifndef BENCH_SUMMARY_H
#define BENCH_SUMMARY_H

#include "row.h"

struct summary {
    const struct peer *peer;
    double *figures; /* by round, as they were measured */
    size_t runs;
    double median, least, most;
};

bool is_tandem(const struct summary *summary);

/* Computes the median, least and most of the figures. */
void summarize(struct summary *summary);

/* One line a subject: row, subject, unit, median, min, max, runs. */
void print_subjects(const struct row *row, const struct summary *summaries, size_t count);

/* One comment line for each of tandem's subjects and each other one: the ratio within each round, and of these the median. */
void print_ratios(const struct row *row, const struct summary *summaries, size_t count);

/* Writes a figure with as many digits as mean something. */
void format_figure(char *text, size_t size, double figure);

#endif
