/* scan_rows.h - the rows of a scan: each file, or poison task, and how it went. */
#ifndef SCAN_ROWS_H
#define SCAN_ROWS_H

#include "scan_file.h"

#include <stdbool.h>

struct scan_row {
    char *path;                /* of the file; NULL for a poison task */
    const char *name;          /* the part of path to show to people */
    const char *poison;        /* what the poison task does; NULL for a file */
    tandem_fn *run;            /* NULL: there is nothing to run, the walk found why_not */
    uint32_t timeout_ms;       /* of the task, for when the command line has none; or 0 */
    const char *why_not;       /* a text that lives as long as the program, or NULL for what code says */
    int32_t status;            /* a tandem_status; PENDING if it was never handed to the pool */
    int32_t code, signal;      /* of the task; if it was never handed to the pool, code is the walk's errno */
    pid_t pid;                 /* of the worker process, or 0 */
    uint32_t worker;           /* which worker of the pool, or 0 */
    uint64_t time_ns;          /* from its start to its end */
    struct scan_result result; /* valid if status is OK */
};

/* A zeroed struct is an empty list.  The files come first, then the poison tasks. */
struct scan_list {
    struct scan_row *rows;
    size_t count, room;
    size_t left_out; /* folders the walk did not enter: hidden ones and build folders */
};

struct scan_totals {
    size_t files, scanned, poisons, poisons_ended_badly;
    uint64_t bytes, lines; /* of what was scanned */
};

/* A new row, zeroed, valid until the next is added.  Path, unless NULL, becomes the list's. */
struct scan_row *scan_list_add(struct scan_list *list, char *path);
struct scan_totals scan_list_totals(const struct scan_list *list);
void scan_list_free(struct scan_list *list);

/* "ok", "crashed", "timed out" ... or "skipped" for one that was never handed to the pool. */
const char *scan_row_status(const struct scan_row *row);

/* Writes why the row's file was not scanned, for people. */
void scan_row_why(const struct scan_row *row, char *text, size_t size);

/* Ends the program if there is no memory. */
void *scan_need(void *memory);

#endif
