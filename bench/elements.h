/* elements.h - the work of the rows on loops: a number is made for each index of a range. */
#ifndef BENCH_ELEMENTS_H
#define BENCH_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* Memory for so many, touched; skewed: those of the first tenth take 31 times as long as the others. */
void elements_reserve(size_t count, bool skewed);

/* Makes one.  A function that nobody can take to pieces, so that each subject's compiler makes the same of it. */
void element_make(size_t index);

#if defined(__cplusplus)
}
#endif

#endif
