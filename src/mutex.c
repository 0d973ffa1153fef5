/* mutex.c - locks for what lies in shared memory, as the program sees them.
 *
 * The word is a word lock (word_lock.h).  A worker writes down what it is about to lock, in the page that it shares with its host, before it
 * touches the word, and strikes it out after it has opened it: so the host finds the lock of a worker that was killed anywhere between. */
#include "base/clock.h"
#include "base/fault.h"
#include "base/identity.h"
#include "job/word_lock.h"
#include "quiet.h"
#include "task/self.h"

#include <tandem.h>

struct mutex {
    _Atomic uint32_t word; /* [word-lock] */
    uint32_t unused;
    _Atomic uint64_t
        thread; /* that holds it, as long as it does; written by that one, others only compare: it is not theirs [mutex-thread] */
};

_Static_assert(sizeof(struct mutex) == sizeof(struct tandem_mutex), "it fits");

/* Threads of this process, and of those it was forked from. */
static _Atomic uint32_t threads;
static _Thread_local uint32_t this_thread; /* 0: has had no lock yet */

static uint64_t thread_in(uint32_t member)
{
    if (this_thread == 0) this_thread = add_seq(&threads, 1) + 1;
    return (uint64_t)member << 32 | this_thread;
}

static int check(const tandem_mutex *mutex)
{
    if (!mutex || (uintptr_t)mutex % sizeof(uint64_t) != 0) return -EINVAL;
    return tdm_identity() != 0 && tdm_member_at(mutex) != TDM_MEMBER_NONE ? 0 : -EPERM;
}

/* relaxed: a thread finds its own number there only if it wrote it itself [mutex-thread] */
static bool is_mine(struct mutex *mutex, uint64_t me) { return load_relaxed(&mutex->thread) == me; }

static int lock(struct mutex *mutex, uint32_t member, int64_t timeout_ms)
{
    uint64_t me = thread_in(member);
    if (is_mine(mutex, me)) return -EDEADLK;
    if (!tdm_member_hold(mutex)) return -ENOLCK;
    tdm_fault(TDM_FAULT_mutex_noted);
    int result = tdm_word_take(&mutex->word, member, timeout_ms == 0 ? 0 : tdm_clock_deadline(timeout_ms),
                               tdm_member_is_worker() ? NULL : tdm_self_block);
    if (result >= 0)
        store_relaxed(&mutex->thread, me);
    else
        tdm_member_drop(mutex);
    return result == -ETIMEDOUT && timeout_ms == 0 ? -EAGAIN : result;
}

int tandem_lock(tandem_mutex *mutex, int64_t timeout_ms)
{
    int error = check(mutex);
    if (error != 0) return error;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, lock((struct mutex *)(void *)mutex, tdm_member_at(mutex), timeout_ms));
}

int tandem_unlock(tandem_mutex *mutex)
{
    int error = check(mutex);
    if (error != 0) return error;
    struct mutex *mine = (struct mutex *)(void *)mutex;
    if (!is_mine(mine, thread_in(tdm_member_at(mutex)))) return -EPERM;
    store_relaxed(&mine->thread, 0);
    struct quiet quiet = begin_quietly();
    tdm_word_open(&mine->word);
    tdm_fault(TDM_FAULT_mutex_opened);
    tdm_member_drop(mutex);
    return end_quietly(&quiet, 0);
}
