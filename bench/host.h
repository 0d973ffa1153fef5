/* host.h - a program with much memory in use, and whether the machine has that much. */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include <stddef.h>
#include <stdint.h>

#define MB 1000000u
#define GB 1000000000u

/* Takes so many bytes and writes to each page; they stay until the process ends.  The pages are small ones, also where the system would
 * rather take huge ones: it is their number that a fork has to pay for. */
void host_touch(size_t bytes);

/* Why so many bytes, and some more to live with, cannot be touched now, or NULL. */
const char *host_lacks(uint64_t bytes);

#endif
