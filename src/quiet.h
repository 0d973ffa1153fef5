/* quiet.h - calls that the host must not notice: they leave errno as it was, and cannot be cancelled half-way, which would leave a lock
 * locked or a guard half started. */
#ifndef TDM_QUIET_H
#define TDM_QUIET_H

#include <errno.h>
#include <pthread.h>

struct quiet {
    int saved_errno, cancel_state;
};

static inline struct quiet begin_quietly(void)
{
    struct quiet quiet = {.saved_errno = errno};
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &quiet.cancel_state);
    return quiet;
}

static inline int end_quietly(const struct quiet *quiet, int result)
{
    pthread_setcancelstate(quiet->cancel_state, NULL);
    errno = quiet->saved_errno;
    return result;
}

#endif
