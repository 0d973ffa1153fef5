/* memory.h - malloc and its kin as the library calls them: a test can make any of them fail. free() is the C library's own. */
#ifndef TDM_BASE_MEMORY_H
#define TDM_BASE_MEMORY_H

#include "base/atomics.h"
#include "base/fault.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* For some hundred bytes, where it is done for each task.  Compilers that know the size put an instruction there whose start alone takes as long
 * as all that the C library does. */
void tdm_zero(void *memory, size_t size);

static inline bool tdm_memory_fails(void)
{
    int fault = tdm_fault(TDM_FAULT_memory);
    if (fault != 0) errno = fault;
    return fault != 0;
}

static inline void *tdm_malloc(size_t size) { return tdm_memory_fails() ? NULL : malloc(size); }
static inline void *tdm_calloc(size_t count, size_t size) { return tdm_memory_fails() ? NULL : calloc(count, size); }
/* Zeroed, and no other thing in its cache lines; a multiple of their size, as what is aligned to them is. */
static inline void *tdm_alloc_lines(size_t size)
{
    void *memory = tdm_memory_fails() ? NULL : aligned_alloc(TDM_CACHE_LINE, size);
    return memory ? memset(memory, 0, size) : NULL;
}
static inline void *tdm_realloc(void *memory, size_t size) { return tdm_memory_fails() ? NULL : realloc(memory, size); }

#endif
