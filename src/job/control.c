/* control.c - what must be true of the page. */
#include "job/control.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a word shared between processes must not hide a lock");
_Static_assert(sizeof(struct tdm_control) <= TDM_CONTROL_SIZE, "the words fit the page");
