/* futex_portable.c - futex.h over mutexes and condition variables, for systems without futexes. */
#if !defined(__linux__) || defined(TANDEM_PORTABLE)
#define _POSIX_C_SOURCE 200809L
#include "base/futex.h"

#include "base/fault.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>

/* Sleepers on different words may share a bucket: a wake wakes them all, and each looks at its own word again.  Always broadcast:
 * with several sleepers a signal could reach only one that waits for something else. */
#define BUCKETS 64
static struct bucket {
    pthread_mutex_t lock;
    pthread_cond_t changed;
} buckets[BUCKETS];

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_buckets(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#if !defined(__APPLE__) /* has no clock for conditions but the calendar's; see to_wait_time */
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    for (size_t i = 0; i < BUCKETS; i++) {
        pthread_mutex_init(&buckets[i].lock, NULL);
        pthread_cond_init(&buckets[i].changed, &attributes);
    }
    pthread_condattr_destroy(&attributes);
}

/* A process that was forked while another thread held a bucket must not wait for that thread.  Nothing else sleeps in it yet. */
void tdm_futex_after_fork(void)
{
    pthread_once(&once, open_buckets);
    open_buckets();
}

static struct bucket *bucket_of(const _Atomic uint32_t *word)
{
    pthread_once(&once, open_buckets);
    uintptr_t address = (uintptr_t)word;
    return &buckets[(address >> 4 ^ address >> 10) % BUCKETS];
}

static struct timespec to_wait_time(uint64_t deadline_ns)
{
#if defined(__APPLE__)
    struct timespec mono, calendar;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_REALTIME, &calendar);
    uint64_t now = (uint64_t)mono.tv_sec * 1000000000u + (uint64_t)mono.tv_nsec;
    deadline_ns =
        (deadline_ns > now ? deadline_ns - now : 0) + (uint64_t)calendar.tv_sec * 1000000000u + (uint64_t)calendar.tv_nsec;
#endif
    return (struct timespec){.tv_sec = (time_t)(deadline_ns / 1000000000u), .tv_nsec = (long)(deadline_ns % 1000000000u)};
}

/* The waker changes the word before it takes the bucket's lock, so a sleeper that still finds the old value under the lock is
 * asleep before the broadcast. */
void tdm_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    if (tdm_fault(TDM_FAULT_futex_wait) != 0) return;
    struct bucket *bucket = bucket_of(word);
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    pthread_mutex_lock(&bucket->lock);
    if (load_seq(word) == expected) {
        if (deadline_ns == TDM_FOREVER) {
            pthread_cond_wait(&bucket->changed, &bucket->lock);
        } else {
            struct timespec at = to_wait_time(deadline_ns);
            pthread_cond_timedwait(&bucket->changed, &bucket->lock, &at);
        }
    }
    pthread_mutex_unlock(&bucket->lock);
    pthread_setcancelstate(cancel_state, NULL);
}

void tdm_futex_wake_all(_Atomic uint32_t *word)
{
    struct bucket *bucket = bucket_of(word);
    pthread_mutex_lock(&bucket->lock);
    pthread_cond_broadcast(&bucket->changed);
    pthread_mutex_unlock(&bucket->lock);
}

void tdm_futex_wake_one(_Atomic uint32_t *word) { tdm_futex_wake_all(word); }

/* No condition variable can be shared with a process that may be killed while it holds the mutex.  So one looks at the word, more and more
 * seldom; a wake without a change of the word goes unseen, and so does a change that was taken back between two looks. */
#define FIRST_LOOKS    100
#define FIRST_NAP_NS   ((uint64_t)20000u)
#define LONGEST_NAP_NS ((uint64_t)1000000u)

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

bool tdm_futex_wait_shared(_Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    if (tdm_fault(TDM_FAULT_futex_wait) != 0) return false;
    int saved = errno, cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    uint64_t nap = FIRST_NAP_NS;
    for (int looks = 0; load_seq(word) == expected; looks++) {
        uint64_t at = deadline_ns == TDM_FOREVER ? 0 : now();
        if (at >= deadline_ns) break;
        if (looks < FIRST_LOOKS) {
            tdm_pause();
            continue;
        }
        uint64_t wait = deadline_ns - at < nap ? deadline_ns - at : nap;
        nanosleep(&(struct timespec){.tv_nsec = (long)wait}, NULL);
        if (nap < LONGEST_NAP_NS) nap *= 2;
    }
    pthread_setcancelstate(cancel_state, NULL);
    errno = saved;
    return false;
}

void tdm_futex_wake_shared(_Atomic uint32_t *word, int most) { (void)word, (void)most; }
#else
typedef int tdm_futex_portable_is_not_used_here;
#endif
