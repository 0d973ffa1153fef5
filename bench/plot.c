/* plot.c - see plot.h. */
#define _POSIX_C_SOURCE 200809L
#include "plot.h"
#include "must.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* Lengths in the picture. */
enum {
    WIDTH = 860,
    BARS_FROM = 160, /* names stand left of this, */
    BARS_TO = 740,   /* figures right of this */
    HEAD = 70,
    BAR = 18,
    STEP = 30
};

static double place(double figure, double longest) { return BARS_FROM + figure / longest * (BARS_TO - BARS_FROM); }

static void draw_head(FILE *file, const struct row *row, size_t count)
{
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" font-family=\"sans-serif\" "
            "font-size=\"13\">\n",
            WIDTH, HEAD + count * STEP + STEP / 2);
    fprintf(file, "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n");
    fprintf(file, "<text x=\"16\" y=\"26\" font-size=\"17\">%s: %s, %s is better</text>\n", row->name, row->unit,
            row->less_is_better ? "less" : "more");
    fprintf(file, "<text x=\"16\" y=\"48\" fill=\"#555\">%s</text>\n", row->sentence);
}

static void draw_subject(FILE *file, const struct summary *summary, size_t index, double longest)
{
    size_t top = HEAD + index * STEP;
    size_t middle = top + BAR / 2;
    const char *colour = is_tandem(summary) ? "#1f6fb4" : "#b8bec6";
    char figure[40];
    format_figure(figure, sizeof figure, summary->median);
    double end = place(summary->median, longest), least = place(summary->least, longest), most = place(summary->most, longest);
    fprintf(file, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">%s</text>\n", BARS_FROM - 10, middle + 5, summary->peer->name);
    fprintf(file, "<rect x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", BARS_FROM, top, end - BARS_FROM, BAR,
            colour);
    fprintf(file, "<path d=\"M%.1f %zuH%.1f\" stroke=\"black\"/>\n", least, middle, most);
    fprintf(file, "<text x=\"%.1f\" y=\"%zu\">%s</text>\n", (most > end ? most : end) + 8, middle + 5, figure);
}

void plot(const char *folder, const struct row *row, const struct summary *summaries, size_t count)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s.svg", folder, row->name) >= (int)sizeof path) must(ENAMETOOLONG, folder);
    FILE *file = fopen(path, "w");
    if (!file) must(errno, path);
    double longest = row->nothing;
    for (size_t i = 0; i < count; i++)
        if (summaries[i].most > longest) longest = summaries[i].most;
    draw_head(file, row, count);
    for (size_t i = 0; i < count; i++) draw_subject(file, &summaries[i], i, longest);
    fprintf(file, "</svg>\n");
    if (ferror(file)) give_up(path, "cannot be written");
    if (fclose(file) != 0) must(errno, path);
}
