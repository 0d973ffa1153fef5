/* futex_linux.c - futex.h over the system call. */
#if defined(__linux__) && !defined(TANDEM_PORTABLE)
#define _GNU_SOURCE
#include "base/futex.h"

#include "base/fault.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/types.h>
#include <sys/syscall.h>
#include <unistd.h>

/* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, plain FUTEX_WAIT a relative one that would drift over retries.  This call's
 * times are two of the kernel's longs; the C library's timespec may be wider, on machines of 32 bits. */
static bool wait_for(_Atomic uint32_t *word, int scope, uint32_t expected, uint64_t deadline_ns)
{
    if (tdm_fault(TDM_FAULT_futex_wait) != 0) return false;
    int saved = errno;
    uint64_t seconds = deadline_ns / 1000000000u;
    if (sizeof(__kernel_long_t) < sizeof seconds && seconds > INT_MAX) seconds = INT_MAX;
    __kernel_long_t at[] = {(__kernel_long_t)seconds, (__kernel_long_t)(deadline_ns % 1000000000u)};
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | scope, expected, deadline_ns == TDM_FOREVER ? NULL : at, NULL,
                          FUTEX_BITSET_MATCH_ANY);
    errno = saved;
    return result == 0;
}

static void wake(_Atomic uint32_t *word, int scope, int most)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE | scope, most, NULL, NULL, 0);
    errno = saved;
}

void tdm_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    wait_for(word, FUTEX_PRIVATE_FLAG, expected, deadline_ns);
}

void tdm_futex_wake_one(_Atomic uint32_t *word) { wake(word, FUTEX_PRIVATE_FLAG, 1); }
void tdm_futex_wake_all(_Atomic uint32_t *word) { wake(word, FUTEX_PRIVATE_FLAG, INT_MAX); }

/* Without the flag the kernel knows a word by the file and the place in it, so it is the same for all who map it. */
bool tdm_futex_wait_shared(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    return wait_for(word, 0, expected, deadline_ns);
}

void tdm_futex_wake_shared(_Atomic uint32_t *word, int most) { wake(word, 0, most); }
void tdm_futex_after_fork(void) {} /* the kernel keeps the sleepers, and keeps none for a new process */
#else
typedef int tdm_futex_linux_is_not_used_here;
#endif
