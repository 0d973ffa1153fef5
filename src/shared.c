/* shared.c - shared memory: taken and given back by the host, waited on by anybody. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/identity.h"
#include "pool.h"
#include "quiet.h"
#include "task/self.h"

#include <limits.h>

void *tandem_shared_alloc(tandem_pool *pool, size_t size)
{
    if (tdm_pool_check(pool) != 0) return NULL;
    struct quiet quiet = begin_quietly();
    void *memory = tdm_shared_take(&pool->shared, pool->options.shared_size, size);
    end_quietly(&quiet, 0);
    return memory;
}

int tandem_shared_free(tandem_pool *pool, void *memory)
{
    int error = tdm_pool_check(pool);
    if (error != 0 || !memory) return error;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, tdm_shared_give(&pool->shared, memory));
}

/* ---- words that are waited for ---- */

static _Atomic uint32_t *word_at(const volatile void *place) { return (_Atomic uint32_t *)(uintptr_t)place; }

static int check_word(const volatile void *word)
{
    if (!word || (uintptr_t)word % sizeof(uint32_t) != 0) return -EINVAL;
    return tdm_identity() != 0 ? 0 : -EPERM;
}

/* A thread of a pool that sleeps in the middle of a task is stood in for. */
static bool sleep_on(const volatile void *word, uint32_t expected, uint64_t deadline)
{
    if (tdm_member_is_worker()) return tdm_futex_wait_shared(word_at(word), expected, deadline);
    struct quiet quiet = begin_quietly();
    tdm_self_block(true);
    bool woken = tdm_futex_wait_shared(word_at(word), expected, deadline);
    tdm_self_block(false);
    end_quietly(&quiet, 0);
    return woken;
}

int tandem_atomic_wait(const volatile void *word, uint32_t expected, int64_t timeout_ms)
{
    int error = check_word(word);
    if (error != 0) return error;
    uint64_t deadline = timeout_ms == 0 ? 0 : tdm_clock_deadline(timeout_ms);
    while (load_seq(word_at(word)) == expected) {
        if (deadline != TDM_FOREVER && (deadline == 0 || tdm_clock_ns() >= deadline)) return -ETIMEDOUT;
        if (sleep_on(word, expected, deadline)) return 0;
    }
    return 0;
}

int tandem_atomic_notify(const volatile void *word, uint32_t most)
{
    int error = check_word(word);
    if (error == 0 && most > 0) /* asked to wake none, Linux wakes one */
        tdm_futex_wake_shared(word_at(word), most < INT_MAX ? (int)most : INT_MAX);
    return error;
}
