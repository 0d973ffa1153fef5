/* scan_rows.c - a growing list of rows, what each says in words, and what they add up to. */
#define _XOPEN_SOURCE 700
#include "scan_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *scan_need(void *memory)
{
    if (memory != NULL) return memory;
    fputs("scan: out of memory\n", stderr);
    exit(1);
}

struct scan_row *scan_list_add(struct scan_list *list, char *path)
{
    if (list->count == list->room) {
        list->room = list->room > 0 ? 2 * list->room : 64;
        list->rows = scan_need(realloc(list->rows, list->room * sizeof *list->rows));
    }
    struct scan_row *row = &list->rows[list->count++];
    *row = (struct scan_row){.path = path, .name = path};
    return row;
}

struct scan_totals scan_list_totals(const struct scan_list *list)
{
    struct scan_totals totals = {0};
    for (const struct scan_row *row = list->rows; row < list->rows + list->count; row++) {
        bool ok = row->status == TANDEM_OK;
        if (row->poison != NULL) {
            totals.poisons++;
            totals.poisons_ended_badly += !ok;
        } else {
            totals.files++;
            totals.scanned += ok;
            totals.bytes += ok ? row->result.size : 0;
            totals.lines += ok ? row->result.lines : 0;
        }
    }
    return totals;
}

void scan_list_free(struct scan_list *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->rows[i].path);
    free(list->rows);
}

const char *scan_row_status(const struct scan_row *row)
{
    return row->status == TANDEM_PENDING ? "skipped" : tandem_status_name(row->status);
}

void scan_row_why(const struct scan_row *row, char *text, size_t size)
{
    if (row->why_not != NULL) {
        snprintf(text, size, "%s", row->why_not);
    } else if (row->status == TANDEM_TIMED_OUT) {
        snprintf(text, size, "it ran longer than its timeout");
    } else if (row->signal != 0) {
        snprintf(text, size, "%s (signal %d)", strsignal(row->signal), (int)row->signal);
    } else if (row->status == TANDEM_CRASHED) {
        snprintf(text, size, "exit status %d", (int)row->code);
    } else if (row->code != 0) {
        snprintf(text, size, "%s", strerror(row->code));
    } else {
        snprintf(text, size, "-");
    }
}
