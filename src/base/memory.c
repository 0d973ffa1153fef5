/* memory.c - see memory.h. */
#include "base/memory.h"

#include <string.h>

void tdm_zero(void *memory, size_t size) { memset(memory, 0, size); }
