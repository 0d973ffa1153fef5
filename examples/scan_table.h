/* scan_table.h - shows a scan to people: a bar while it runs, a table and one line at the end. */
#ifndef SCAN_TABLE_H
#define SCAN_TABLE_H

#include "scan_rows.h"

#include <stdio.h>

/* Redraws the bar in place, at most about 20 times a second.  When all is done it is wiped away. */
void scan_bar(FILE *out, size_t done, size_t total);

/* In a name, what the terminal cannot print is shown as \xNN, a backslash as \\. */
void scan_table(FILE *out, const struct scan_list *list, bool in_colour);

/* workers says who did the work, such as "on 2 threads". */
void scan_summary(FILE *out, const struct scan_list *list, const char *workers, uint64_t took_ns);

#endif
