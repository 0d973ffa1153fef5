/* groups.h - the control groups that this process lies in: their limits hold for all their processes together. */
#ifndef TDM_BASE_GROUPS_H
#define TDM_BASE_GROUPS_H

#include <stdint.h>

/* Looks at one group: version 1 or 2, whose files lie in the folder. */
typedef void tdm_groups_look(int version, const char *folder, void *to);

/* Looks at the process's own group for that controller and all that it lies in, of both versions, which may be there side by side.  root: what
 * stands before /proc and /sys; "" but in a test. */
void tdm_groups_each(const char *root, const char *controller, tdm_groups_look *look, void *to);

/* The number at the beginning of a group's file; missing: there is no such file, or it says "max", or -1. */
uint64_t tdm_groups_number(const char *folder, const char *name, uint64_t missing);

#endif
