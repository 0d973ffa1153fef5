/* futex_linux.c - futex.h over the system call. */
#if defined(__linux__) && !defined(TANDEM_PORTABLE)
#define _GNU_SOURCE
#include "base/futex.h"

#include "base/fault.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, plain FUTEX_WAIT a relative one that would drift over retries. */
static void wait_on(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns, int private)
{
    if (tdm_fault(TDM_FAULT_futex_wait) != 0) return;
    int saved = errno;
    struct timespec at = {.tv_sec = (time_t)(deadline_ns / 1000000000u), .tv_nsec = (long)(deadline_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET | private, expected, deadline_ns == TDM_FOREVER ? NULL : &at, NULL,
            FUTEX_BITSET_MATCH_ANY);
    errno = saved;
}

static void wake(_Atomic uint32_t *word, int most, int private)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE | private, most, NULL, NULL, 0);
    errno = saved;
}

void tdm_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    wait_on(word, expected, deadline_ns, FUTEX_PRIVATE_FLAG);
}

void tdm_futex_wait_shared(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    wait_on(word, expected, deadline_ns, 0);
}

void tdm_futex_wake_shared(_Atomic uint32_t *word, int most) { wake(word, most, 0); }
void tdm_futex_wake_one(_Atomic uint32_t *word) { wake(word, 1, FUTEX_PRIVATE_FLAG); }
void tdm_futex_wake_all(_Atomic uint32_t *word) { wake(word, INT_MAX, FUTEX_PRIVATE_FLAG); }
void tdm_futex_after_fork(void) {} /* the kernel keeps the sleepers, and keeps none for a new process */
#else
typedef int tdm_futex_linux_is_not_used_here;
#endif
