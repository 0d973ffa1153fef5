/* fuzz.h - what a fuzz target is: one function that is given bytes, and complains by ending the program. */
#ifndef TANDEM_FUZZ_H
#define TANDEM_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Called by libFuzzer or by standalone.c, with bytes that a worker could have written; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Also without assert()'s NDEBUG. */
#define must(condition) ((condition) ? (void)0 : complain(#condition, __FILE__, __LINE__))

static inline void complain(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

#endif
