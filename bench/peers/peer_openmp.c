/* peer_openmp.c - OpenMP, as the compiler has it: loops in equal halves or in small parts by whoever is free; tasks. */
#if defined(BENCH_WITH_OPENMP)
#define _POSIX_C_SOURCE 200809L
#include "elements.h"
#include "must.h"
#include "peers/peer.h"

#include <omp.h>
#include <stdlib.h>

static void *start(size_t tasks)
{
    (void)tasks;
    omp_set_dynamic(0);
    return must_reserve(1, 1);
}

static void loop_static(void *pool, size_t count)
{
    (void)pool;
#pragma omp parallel for num_threads(THREADS) schedule(static)
    for (size_t i = 0; i < count; i++) element_make(i);
}

static void loop_dynamic(void *pool, size_t count)
{
    (void)pool;
#pragma omp parallel for num_threads(THREADS) schedule(dynamic, 1000)
    for (size_t i = 0; i < count; i++) element_make(i);
}

/* Volatile, lest the task be seen to be empty and left out. */
static volatile int nothing;

/* Tasks can only be made inside of a parallel region, which ends when they have: there is nothing left to be awaited.  One thread makes
 * them, two more are there to run them, as in the other pools; and the one helps when it has made them all, as with tandem. */
static void submit(void *pool, size_t first, size_t count)
{
    (void)pool, (void)first;
#pragma omp parallel num_threads(THREADS + 1)
#pragma omp single
    for (size_t i = 0; i < count; i++) {
#pragma omp task
        (void)nothing;
    }
}

static void await(void *pool, size_t count) { (void)pool, (void)count; }

const struct peer peer_openmp_static = {.name = "openmp", .start = start, .loop = loop_static, .stop = free};
const struct peer peer_openmp_dynamic = {.name = "openmp_dynamic", .start = start, .loop = loop_dynamic, .stop = free};
const struct peer peer_openmp_tasks = {.name = "openmp", .start = start, .submit = submit, .await = await, .stop = free};

#else
#include "peers/peer.h"

#define ABSENT "built without OpenMP"
const struct peer peer_openmp_static = {.name = "openmp", .absent = ABSENT};
const struct peer peer_openmp_dynamic = {.name = "openmp_dynamic", .absent = ABSENT};
const struct peer peer_openmp_tasks = {.name = "openmp", .absent = ABSENT};
#endif
