/* environment.h - the environment at a submit, for commands that begin later: a copy, shared by those that have the same one. */
#ifndef TDM_COMMAND_ENVIRONMENT_H
#define TDM_COMMAND_ENVIRONMENT_H

#include "base/atomics.h"

#include <stddef.h>

struct tdm_environment {
    _Atomic uint32_t holders; /* the last one frees it; any thread [environment-holders] */
    size_t size;
    char entries[]; /* ended by 0 bytes */
};

/* Held by the caller: the last one if nothing has changed since, else a new one; NULL: no memory.  On a thread of the caller's, for no other
 * may read the environment safely. */
struct tdm_environment *tdm_environment_take(struct tdm_environment *last);

struct tdm_environment *tdm_environment_hold(struct tdm_environment *environment);
void tdm_environment_release(struct tdm_environment *environment); /* also NULL */

#endif
