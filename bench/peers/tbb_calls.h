/* tbb_calls.h - what the bench needs of oneTBB, which is C++, as calls for C. */
#ifndef BENCH_TBB_CALLS_H
#define BENCH_TBB_CALLS_H

#include <stddef.h>

#if defined(__cplusplus)
extern "C" {
#endif

/* An arena with so many threads of TBB's own, and places for so many threads that wait in it and help. */
struct tbb_calls;
struct tbb_calls *tbb_calls_start(int threads, int helpers);

/* Any thread. */
void tbb_calls_submit(struct tbb_calls *calls, size_t count);
void tbb_calls_submit_one(struct tbb_calls *calls, void (*run)(void *argument), void *argument);

/* Returns when all have ended; the calling thread helps if there is a place for it. */
void tbb_calls_await(struct tbb_calls *calls);

/* The calling thread takes part. */
void tbb_calls_loop(struct tbb_calls *calls, size_t count);

void tbb_calls_stop(struct tbb_calls *calls);

#if defined(__cplusplus)
}
#endif

#endif
