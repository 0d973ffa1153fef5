/* family.h - the processes that descend from a test: guards, workers and what these started.  Seen through /proc, so Linux's.
 *
 * All that descends from the harness, which is made the parent of orphans, or from the caller, if it runs alone.  The caller itself is
 * not among them.  What is seen is what was: look again before you rely on it. */
#ifndef TANDEM_FAMILY_H
#define TANDEM_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define KEEPER "tandem-keeper"
#define ZYGOTE "tandem-zygote"

struct member {
    pid_t pid, parent, group;
    unsigned long long born; /* with the pid: nobody else, ever */
    char state;              /* R, S, D, T, Z, as the kernel says */
    char name[17];
};

struct family {
    size_t count;
    struct member members[1024];
};

void family_look(struct family *family);

bool member_lives(const struct member *member);                 /* as it was seen: a zombie does not */
bool member_is_guard(const struct member *member);              /* by its name; a worker bears its parent's for its first moments */
bool member_is_still(const struct member *member, char *state); /* now; and its state */

/* The keeper and its zygote if there is exactly one of each, living.  A worker that has just been forked bears its zygote's name, too;
 * but it leads a process group, and a zygote does not. */
bool family_guards(const struct family *family, const struct member **keeper, const struct member **zygote);
size_t family_workers(const struct family *family); /* that live and bear a name of their own */

/* Sends to this very process or, if it is gone, to nobody.  False: it is gone, or there is no descriptor to hold it by. */
bool member_signal(const struct member *member, int signal);

#endif
