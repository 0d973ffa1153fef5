/* pin.c - see pin.h. */
#define _GNU_SOURCE
#include "pin.h"

#if defined(__linux__)
#include "must.h"

#include <sched.h>
#include <stddef.h>

const char *pin_absent(void) { return NULL; }

static cpu_set_t allowed(void)
{
    cpu_set_t all;
    must_call(sched_getaffinity(0, sizeof all, &all), "sched_getaffinity");
    return all;
}

static void pin_to(size_t processor)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    must_call(sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
}

void pin_to_first(void)
{
    cpu_set_t all = allowed();
    size_t first = 0;
    while (!CPU_ISSET(first, &all)) first++;
    pin_to(first);
}

void pin_to_last(void)
{
    cpu_set_t all = allowed();
    size_t last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &all)) last--;
    pin_to(last);
}

#else

const char *pin_absent(void) { return "it needs Linux to keep all on one processor"; }
void pin_to_first(void) {}
void pin_to_last(void) {}

#endif
