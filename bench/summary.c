/* summary.c - see summary.h. */
#define _POSIX_C_SOURCE 200809L
#include "summary.h"
#include "measure.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIGURE_SIZE = 40 };

bool is_tandem(const struct summary *summary) { return strncmp(summary->peer->name, "tandem", 6) == 0; }

void summarize(struct summary *summary)
{
    double *sorted = must_reserve(summary->runs, sizeof *sorted);
    memcpy(sorted, summary->figures, summary->runs * sizeof *sorted);
    summary->median = median(sorted, summary->runs);
    summary->least = sorted[0];
    summary->most = sorted[summary->runs - 1];
    free(sorted);
}

void format_figure(char *text, size_t size, double figure)
{
    if (figure >= 100)
        snprintf(text, size, "%.0f", figure);
    else
        snprintf(text, size, "%.3f", figure < 0.0005 && figure > -0.0005 ? 0.0 : figure);
}

void print_subjects(const struct row *row, const struct summary *summaries, size_t count)
{
    for (const struct summary *summary = summaries; summary < summaries + count; summary++) {
        char middle[FIGURE_SIZE], least[FIGURE_SIZE], most[FIGURE_SIZE];
        format_figure(middle, sizeof middle, summary->median);
        format_figure(least, sizeof least, summary->least);
        format_figure(most, sizeof most, summary->most);
        printf("%s\t%s\t%s\t%s\t%s\t%s\t%zu\n", row->name, summary->peer->name, row->unit, middle, least, most, summary->runs);
    }
}

static void print_ratio(const struct row *row, const struct summary *of, const struct summary *to)
{
    printf("# %s %s/%s ", row->name, of->peer->name, to->peer->name);
    if (to->least < row->nothing) {
        printf("has no ratio: %s is about 0\n", to->peer->name);
        return;
    }
    double *ratios = must_reserve(of->runs, sizeof *ratios);
    for (size_t round = 0; round < of->runs; round++) ratios[round] = of->figures[round] / to->figures[round];
    printf("median of ratios %.3g\n", median(ratios, of->runs));
    free(ratios);
}

void print_ratios(const struct row *row, const struct summary *summaries, size_t count)
{
    for (size_t of = 0; of < count && is_tandem(&summaries[of]); of++)
        for (size_t to = 0; to < count; to++)
            if (!is_tandem(&summaries[to]) || to < of) print_ratio(row, &summaries[of], &summaries[to]);
}
