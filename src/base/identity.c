/* identity.c - which process is this? */
#define _POSIX_C_SOURCE 200809L
#include "base/identity.h"

#include "base/atomics.h"
#include "base/fds.h"
#include "base/futex.h"
#include "base/lock.h"
#include "base/platform.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

_Atomic(_Atomic uint32_t *) tdm_identity_page;

/* All written by adopt() alone: under once, or in a child with one thread. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pid_t owner;
static uint32_t number;               /* counts on in children, so that no descendant has an ancestor's number */
static _Atomic bool inherited_closed; /* written by a forked child's first call */

static void adopt(void)
{
    if (number == 0) tdm_fds_close_in_forked_children();
    _Atomic uint32_t *page = load_relaxed(&tdm_identity_page);
    if (!page) page = tdm_platform_word_wiped_by_fork();
    number++;
    owner = getpid();
    store_relaxed(&inherited_closed, false); /* relaxed: there is one thread, or once orders it */
    if (page) store_seq(page, number);
    store_release(&tdm_identity_page, page); /* [identity] */
}

void tdm_identity_adopt(void)
{
    int saved = errno;
    pthread_once(&once, adopt);
    if (tdm_identity() == 0) {
        tdm_futex_after_fork();
        tdm_lock_after_fork();
        adopt();
    }
    errno = saved;
}

static uint32_t stranger(void)
{
    if (!exchange_seq(&inherited_closed, true)) tdm_fds_drop_all();
    return 0;
}

uint32_t tdm_identity_slowly(void)
{
    pthread_once(&once, adopt);
    _Atomic uint32_t *page = load_acquire(&tdm_identity_page); /* [identity] */
    uint32_t mine = page ? load_relaxed(page) : getpid() == owner ? number : 0;
    return mine != 0 ? mine : stranger();
}
