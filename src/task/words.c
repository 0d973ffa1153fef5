/* words.c - numbers in English: statuses, errors, signals.  Tables of our own, because strerror() may not be called from two threads. */
#define _POSIX_C_SOURCE 200809L
#include "task/words.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <tandem.h>

const char *tandem_status_name(int status)
{
    switch (status) {
    case TANDEM_PENDING: return "pending";
    case TANDEM_OK: return "ok";
    case TANDEM_FAILED: return "failed";
    case TANDEM_CRASHED: return "crashed";
    case TANDEM_TIMED_OUT: return "timed out";
    case TANDEM_EXPIRED: return "expired";
    case TANDEM_CANCELLED: return "cancelled";
    case TANDEM_OVER_LIMIT: return "over limit";
    case TANDEM_NOT_STARTED: return "not started";
    default: return "unknown";
    }
}

static const struct {
    int error;
    const char *text;
} errors[] = {
    {0, "no error"},
    {EINVAL, "invalid argument"},
    {EBUSY, "busy: it has been submitted and has not ended, or a pool still exists"},
    {EAGAIN, "no room or no resources now, try again later"},
    {EALREADY, "it has ended already"},
    {ETIMEDOUT, "the time is over"},
    {ESHUTDOWN, "the pool takes no more tasks"},
    {EDEADLK, "would wait for itself"},
    {EPERM, "not in this process: it belongs to the one that was forked"},
    {ENOTSUP, "not possible here: worker processes need tandem_init() before the program's first thread"},
    {EMSGSIZE, "larger than a process task's input or reply can be"},
    {ENOMEM, "out of memory"},
    {EMFILE, "too many open descriptors in this process"},
    {ENFILE, "too many open files in the system"},
    {ENOEXEC, "the function's code is not in the worker processes"},
    {ECANCELED, "a thread's on_worker_start failed"},
    {EPIPE, "the other side has gone"},
    {ENOSPC, "no space left"},
    {ENOSYS, "the system cannot do that"},
    {EIO, "input or output error"},
    {EACCES, "permission denied"},
    {ENOENT, "no such file or directory"},
    {ECHILD, "a process that it needs has gone"},
    {EFAULT, "the memory of the input cannot be read"},
    {EPROTO, "a worker process broke the protocol"},
};

const char *tandem_strerror(int error)
{
    if (error < 0 && error != INT32_MIN) error = -error;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].error == error) return errors[i].text;
    return "an error the library has no words for";
}

static const struct {
    int signal;
    const char *name;
} signals[] = {
    {SIGABRT, "SIGABRT"}, {SIGALRM, "SIGALRM"}, {SIGBUS, "SIGBUS"},       {SIGFPE, "SIGFPE"},   {SIGHUP, "SIGHUP"},
    {SIGILL, "SIGILL"},   {SIGINT, "SIGINT"},   {SIGKILL, "SIGKILL"},     {SIGPIPE, "SIGPIPE"}, {SIGQUIT, "SIGQUIT"},
    {SIGSEGV, "SIGSEGV"}, {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"},     {SIGUSR2, "SIGUSR2"}, {SIGTRAP, "SIGTRAP"},
    {SIGXCPU, "SIGXCPU"}, {SIGXFSZ, "SIGXFSZ"}, {SIGVTALRM, "SIGVTALRM"},
#if defined(SIGSYS)
    {SIGSYS, "SIGSYS"},
#endif
};

const char *tdm_words_signal(int signal)
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signals[i].signal == signal) return signals[i].name;
    return NULL;
}
