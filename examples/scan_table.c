/* scan_table.c - the bar, the table and the summary line. */
#define _XOPEN_SOURCE 700
#include "scan_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

#define WIDEST_NAME  44 /* a longer one gets a line of its own */
#define BAR_WIDTH    40
#define BAR_EVERY_MS 50

void scan_bar(FILE *out, size_t done, size_t total)
{
    static const char full[] = "########################################", empty[] = "........................................";
    static long long drawn_ms;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long long now_ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
    if (done == total) {
        fputs("\r\033[K", out);
    } else if (now_ms - drawn_ms >= BAR_EVERY_MS) {
        int filled = (int)(done * BAR_WIDTH / total);
        fprintf(out, "\r[%.*s%.*s] %zu of %zu", filled, full, BAR_WIDTH - filled, empty, done, total);
        drawn_ms = now_ms;
    }
    fflush(out);
}

/* How many bytes the character here has, and how many columns it takes: -1 if the terminal cannot show it. */
static size_t measure(const char *text, int *columns)
{
    wchar_t wide;
    size_t length = mbrtowc(&wide, text, strlen(text), &(mbstate_t){0});
    bool valid = length != (size_t)-1 && length != (size_t)-2;
    *columns = valid && iswprint((wint_t)wide) ? wcwidth(wide) : -1;
    return valid ? length : 1;
}

/* The name as the terminal's character set (LC_CTYPE) can show it, and how many columns that takes. */
static char *printable(const char *name, size_t *width)
{
    char *text = scan_need(malloc(4 * strlen(name) + 1)), *end = text;
    *width = 0;
    while (*name != 0) {
        int columns;
        size_t length = measure(name, &columns);
        if (*name == '\\') {
            columns = 2;
            end = stpcpy(end, "\\\\");
        } else if (columns >= 0) {
            memcpy(end, name, length);
            end += length;
        } else {
            columns = 4 * (int)length;
            for (size_t i = 0; i < length; i++) end += snprintf(end, 5, "\\x%02x", (unsigned char)name[i]);
        }
        *width += (size_t)columns;
        name += length;
    }
    *end = 0;
    return text;
}

enum column { WHERE, STATUS, TIME, SIZE, LINES, ENTROPY, COLUMNS };

/* One row as it will be printed. */
struct line {
    char *name;
    size_t name_width;
    char cells[COLUMNS][48];
    char rest[160]; /* its words, or why there are none; the last column, so that it may end anywhere */
};

static void put_words(const struct scan_word *words, char *text, size_t size)
{
    size_t length = 0;
    text[0] = 0;
    for (int i = 0; i < SCAN_TOP_WORDS && words[i].count > 0; i++) {
        length += (size_t)snprintf(text + length, size - length, "%s%s %" PRIu64, i > 0 ? ", " : "", words[i].text, words[i].count);
    }
}

static struct line line_of(const struct scan_row *row)
{
    struct line line = {.cells = {"-", "-", "-", "-", "-", "-"}};
    if (row->poison != NULL) {
        char name[64];
        snprintf(name, sizeof name, "(poison: %s)", row->poison);
        line.name = printable(name, &line.name_width);
    } else {
        line.name = printable(row->name, &line.name_width);
    }
    if (row->pid != 0) {
        snprintf(line.cells[WHERE], sizeof line.cells[WHERE], "worker %" PRIu32 ", pid %ld", row->worker, (long)row->pid);
    } else if (row->worker != 0) {
        snprintf(line.cells[WHERE], sizeof line.cells[WHERE], "thread %" PRIu32, row->worker);
    } else if (row->time_ns != 0) {
        snprintf(line.cells[WHERE], sizeof line.cells[WHERE], "thread");
    }
    snprintf(line.cells[STATUS], sizeof line.cells[STATUS], "%s", scan_row_status(row));
    if (row->time_ns != 0) snprintf(line.cells[TIME], sizeof line.cells[TIME], "%.2f ms", (double)row->time_ns / 1e6);
    if (row->status != TANDEM_OK) {
        scan_row_why(row, line.rest, sizeof line.rest);
        return line;
    }
    snprintf(line.cells[SIZE], sizeof line.cells[SIZE], "%" PRIu64, row->result.size);
    snprintf(line.cells[LINES], sizeof line.cells[LINES], "%" PRIu64, row->result.lines);
    snprintf(line.cells[ENTROPY], sizeof line.cells[ENTROPY], "%.2f", row->result.entropy);
    put_words(row->result.words, line.rest, sizeof line.rest);
    return line;
}

static const struct line titles = {.name = "file",
                                   .name_width = 4,
                                   .cells = {"where", "status", "time", "bytes", "lines", "entropy"},
                                   .rest = "most frequent words"};

static void widen(int *name_width, int widths[COLUMNS], const struct line *line)
{
    if (line->name_width <= WIDEST_NAME && *name_width < (int)line->name_width) *name_width = (int)line->name_width;
    for (int i = 0; i < COLUMNS; i++) {
        int width = (int)strlen(line->cells[i]);
        if (widths[i] < width) widths[i] = width;
    }
}

static void print_line(FILE *out, const struct line *line, int name_width, const int widths[COLUMNS], const char *colour)
{
    fputs(line->name, out);
    int padding = name_width - (int)line->name_width;
    if (padding < 0) {
        fputc('\n', out);
        padding = name_width;
    }
    fprintf(out, "%*s", padding, "");
    fprintf(out, "  %-*s", widths[WHERE], line->cells[WHERE]);
    fprintf(out, "  %s%-*s%s", colour, widths[STATUS], line->cells[STATUS], colour[0] != 0 ? "\033[0m" : "");
    for (int i = TIME; i < COLUMNS; i++) fprintf(out, "  %*s", widths[i], line->cells[i]);
    fprintf(out, "%s%s\n", line->rest[0] != 0 ? "  " : "", line->rest);
}

static void print_rule(FILE *out, int name_width, const int widths[COLUMNS])
{
    int length = name_width + 2 + (int)strlen(titles.rest);
    for (int i = 0; i < COLUMNS; i++) length += 2 + widths[i];
    while (length-- > 0) fputc('-', out);
    fputc('\n', out);
}

/* Each row is made twice, once to measure and once to print: a table of a million files takes no memory. */
void scan_table(FILE *out, const struct scan_list *list, bool in_colour)
{
    int name_width = 0, widths[COLUMNS] = {0};
    widen(&name_width, widths, &titles);
    for (size_t i = 0; i < list->count; i++) {
        struct line line = line_of(&list->rows[i]);
        widen(&name_width, widths, &line);
        free(line.name);
    }
    print_line(out, &titles, name_width, widths, "");
    print_rule(out, name_width, widths);
    for (size_t i = 0; i < list->count; i++) {
        struct line line = line_of(&list->rows[i]);
        bool bad = list->rows[i].status != TANDEM_OK;
        print_line(out, &line, name_width, widths, !in_colour ? "" : bad ? "\033[31m" : "\033[32m");
        free(line.name);
    }
    print_rule(out, name_width, widths);
}

static void print_bytes(FILE *out, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double amount = (double)bytes;
    size_t unit = 0;
    for (; amount >= 999.95 && unit < 4; unit++) amount /= 1000;
    fprintf(out, "%.*f %s", unit > 0 ? 1 : 0, amount, units[unit]);
}

void scan_summary(FILE *out, const struct scan_list *list, const char *workers, uint64_t took_ns)
{
    struct scan_totals totals = scan_list_totals(list);
    fprintf(out, "%zu of %zu files scanned %s in %.2f s: ", totals.scanned, totals.files, workers, (double)took_ns / 1e9);
    print_bytes(out, totals.bytes);
    fprintf(out, ", %" PRIu64 " lines", totals.lines);
    if (totals.poisons > 0) {
        fprintf(out, "; %zu of %zu poison tasks ended badly", totals.poisons_ended_badly, totals.poisons);
    }
    if (list->left_out > 0) fprintf(out, "; %zu folders left out", list->left_out);
    fputc('\n', out);
}
