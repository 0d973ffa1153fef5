/* thread.c - how every thread of the library is started. */
#define _POSIX_C_SOURCE 200809L
#include "base/thread.h"

#include "base/fault.h"

#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#define DEFAULT_STACK ((size_t)1 << 20)

/* Whole pages: some systems refuse anything else. */
static size_t usable_stack_size(size_t wanted)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    long least = sysconf(_SC_THREAD_STACK_MIN);
    if (wanted == 0) wanted = DEFAULT_STACK;
    if (least > 0 && wanted < (size_t)least) wanted = (size_t)least;
    return wanted > SIZE_MAX - page ? wanted : (wanted + page - 1) / page * page;
}

int tdm_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument, size_t stack_size)
{
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) return -error;
    error = pthread_attr_setstacksize(&attributes, usable_stack_size(stack_size));
    if (error == 0) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = tdm_fault(TDM_FAULT_thread);
        if (error == 0) error = pthread_create(thread, &attributes, run, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return -error;
}

void tdm_thread_begin(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
}
