/* memory_left.h - how much memory the system would still give this process. */
#ifndef TDM_BASE_MEMORY_LEFT_H
#define TDM_BASE_MEMORY_LEFT_H

#include <stdint.h>

/* In bytes, swap included, within the limits of its control groups; UINT64_MAX where nobody tells.  Reads a few files. */
uint64_t tdm_memory_left(void);

#endif
