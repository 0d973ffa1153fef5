/* identity.c - which process is this? */
#define _POSIX_C_SOURCE 200809L
#include "base/identity.h"

#include "base/atomics.h"
#include "base/fds.h"
#include "base/futex.h"
#include "base/platform.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/* All written by adopt() alone: under once, or in a child with one thread. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint32_t *word; /* holds the number; a fork wipes it.  NULL: compare pids instead */
static pid_t owner;
static uint32_t number;               /* counts on in children, so that no descendant has an ancestor's number */
static _Atomic bool inherited_closed; /* written by a forked child's first call */

static void adopt(void)
{
    if (!word) word = tdm_platform_word_wiped_by_fork();
    number++;
    owner = getpid();
    store_relaxed(&inherited_closed, false); /* relaxed: there is one thread, or once orders it */
    if (word) store_seq(word, number);
}

void tdm_identity_adopt(void)
{
    int saved = errno;
    pthread_once(&once, adopt);
    if (tdm_identity() == 0) {
        tdm_futex_after_fork();
        adopt();
    }
    errno = saved;
}

static uint32_t stranger(void)
{
    if (!exchange_seq(&inherited_closed, true)) tdm_fds_drop_all();
    return 0;
}

uint32_t tdm_identity(void)
{
    pthread_once(&once, adopt);
    uint32_t mine;
    if (word)
        mine = load_relaxed(word); /* relaxed: written before this process had a second thread */
    else
        mine = getpid() == owner ? number : 0;
    return mine != 0 ? mine : stranger();
}
