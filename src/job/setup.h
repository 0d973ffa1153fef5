/* setup.h - what a worker is told first: what the pool wants of it, and the surroundings that it takes over from the program as it is now.
 *
 * The worker is a fork of the program as it was at tandem_init().  Of what has changed since, it takes over what one would expect of a
 * process started now: environment, working directory, umask, resource limits, CPU affinity. */
#ifndef TDM_JOB_SETUP_H
#define TDM_JOB_SETUP_H

#include "base/platform.h"
#include "job/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TDM_RESOURCES_MOST 16

/* Not the directory, which is a descriptor. */
struct tdm_surroundings {
    int32_t mask; /* umask, or -1 */
    uint32_t resources, affinity_size;
    struct {
        uint64_t soft, hard;
    } limits[TDM_RESOURCES_MOST];
    unsigned char affinity[TDM_AFFINITY_SIZE];
};

/* Host: as they are now. */
void tdm_surroundings_note(struct tdm_surroundings *around);

/* In the new process; what the system refuses stays as it was.  Allocates nothing. */
void tdm_surroundings_adopt(const struct tdm_surroundings *around, bool core_dumps);

/* The payload of SETUP begins with it; behind it lie the environment, its entries ended by 0 bytes, the argument, and what was
 * set for the pool. */
struct tdm_setup {
    uint64_t on_start, on_stop; /* addresses, or 0 */
    uint64_t memory_per_worker;
    uint64_t seed;
    uint64_t watch_ns; /* how long the worker may watch for its next task before it sleeps */
    uint64_t environment_size, argument_size, data_size;
    uint64_t shared_address, shared_size; /* where shared memory is to be; size 0: there is none */
    char name[16];
    int32_t data_version;
    uint32_t output_nowhere, error_nowhere; /* its standard output and error */
    uint32_t no_crash_report, core_dumps;
    uint32_t number; /* of the worker: what it is to shared memory */
    struct tdm_surroundings around;
};

/* What all of it takes.  Behind it the frame has zeros, so that those that follow lie where their fields may be written one by one. */
#define TDM_SETUP_PADDING sizeof(struct tdm_frame)

static inline uint64_t tdm_setup_size(const struct tdm_setup *setup)
{
    return sizeof *setup + setup->environment_size + setup->argument_size + setup->data_size;
}

/* Host: a copy of the environment, allocated; NULL: no memory.  On a thread of the caller's: reading it while another thread changes it is
 * as unsafe as getenv() is. */
char *tdm_setup_copy_environment(size_t *size);

/* Worker: takes it all over.  What the system refuses stays as it was. */
void tdm_setup_adopt(const struct tdm_setup *setup, char *environment);

#endif
