/* leftovers.h - what a process has and what its test left behind: descriptors, threads, children, processes, names. */
#ifndef TANDEM_LEFTOVERS_H
#define TANDEM_LEFTOVERS_H

#include <stdbool.h>
#include <stdio.h>

/* A variable in the environment of a test, and so of every process that comes from it, whatever becomes of its parents. */
#define MARK "TANDEM_TEST_MARK"

/* The names in a folder; for symbolic links, such as those in /proc/self/fd, with what they point to. */
struct names;
struct names *names_in(const char *folder);
void names_free(struct names *names);

/* Prints (file NULL: only looks for) the names that are in `now` and not in `before`.  True if there is one. */
bool names_print(FILE *file, const char *folder, const struct names *now, const struct names *before);

void names_unlink(const char *folder, const struct names *names);

/* What this process holds at a moment. */
struct belongings;
struct belongings *belongings_now(void);
void belongings_free(struct belongings *belongings);

/* Waits until this process holds what it held before and no other carries the mark; fails the test with a list if that does
 * not come.  Threads and processes end in their own time, so it looks again and again. */
void assert_nothing_left(const struct belongings *before);

/* Processes whose environment holds this `NAME=value`. */
void print_marked(FILE *file, const char *mark);
size_t kill_marked(const char *mark);

#endif
