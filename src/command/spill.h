/* spill.h - an output that is too large for memory: it goes to an unnamed file, which is mapped when the output has ended. */
#ifndef TDM_COMMAND_SPILL_H
#define TDM_COMMAND_SPILL_H

#include <stddef.h>
#include <stdint.h>

/* A descriptor that is remembered, or -errno. */
int tdm_spill_open(void);

/* Puts the bytes behind so many that are there.  0 or -errno. */
int tdm_spill_write(int fd, uint64_t size, const void *bytes, size_t more);

/* All of it, followed by a 0 byte, to be given to tdm_spill_release; NULL: it cannot be mapped.  The descriptor is not needed any more. */
void *tdm_spill_map(int fd, uint64_t size);
void tdm_spill_release(void *bytes);

#endif
