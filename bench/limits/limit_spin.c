/* limit_spin.c - the least that two processes can do which never sleep: a word in shared memory set there, another set back. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "must.h"
#include "peers/peer.h"
#include "pin.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    CACHE_LINE = 64,
    TRIPS = 200000,
    LOOKS = 10000 /* before the processor is given to another: the other process may be waiting for it */
};

/* Numbers of trips. */
struct words {
    _Alignas(CACHE_LINE) _Atomic uint32_t asked;    /* by this process */
    _Alignas(CACHE_LINE) _Atomic uint32_t answered; /* by the other one */
};

#define CLOSED UINT32_MAX /* never reached by counting */

struct spin {
    struct words *words;
    uint32_t trips;
    pid_t parent;
    pid_t other;
};

/* Until the word is no longer that; what it has become.  Does not return in a process whose parent is no longer the one given. */
static uint32_t watch(const _Atomic uint32_t *word, uint32_t old, pid_t parent)
{
    for (uint32_t looks = 1;; looks++) {
        uint32_t now = atomic_load_explicit(word, memory_order_acquire);
        if (now != old) return now;
        if (looks % LOOKS != 0) continue;
        if (getppid() != parent) _exit(EXIT_FAILURE);
        sched_yield();
    }
}

static _Noreturn void be_the_other(struct words *words, pid_t parent)
{
    pin_to_last();
    for (uint32_t trips = 0; (trips = watch(&words->asked, trips, parent)) != CLOSED;)
        atomic_store_explicit(&words->answered, trips, memory_order_release);
    _exit(EXIT_SUCCESS);
}

static void *start(size_t task_count)
{
    (void)task_count;
    struct spin *spin = must_reserve(1, sizeof *spin);
    spin->words = mmap(NULL, sizeof *spin->words, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (spin->words == MAP_FAILED) must_call(-1, "mmap");
    spin->parent = getppid();
    pid_t self = getpid();
    must_call(fflush(NULL), "fflush");
    must_call(spin->other = fork(), "fork");
    if (spin->other == 0) be_the_other(spin->words, self);
    pin_to_first(); /* together on one processor, where a busy machine might leave them, they only get into each other's way */
    return spin;
}

static void round_trip(void *pool)
{
    struct spin *spin = pool;
    atomic_store_explicit(&spin->words->asked, ++spin->trips, memory_order_release);
    watch(&spin->words->answered, spin->trips - 1, spin->parent);
}

static void stop(void *pool)
{
    struct spin *spin = pool;
    atomic_store(&spin->words->asked, CLOSED);
    must_have_ended(spin->other, "the watching process");
    munmap(spin->words, sizeof *spin->words);
    free(spin);
}

const struct peer limit_spin = {.name = "limit_spin", .least = TRIPS, .start = start, .round_trip = round_trip, .stop = stop};
