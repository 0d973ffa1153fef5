/* system_words.c - numbers of the system in English: errors, signals.  Tables of our own, because strerror() may not be called from two threads. */
#define _POSIX_C_SOURCE 200809L
#include "task/system_words.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <tandem.h>

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
    {EPERM, "not permitted here, as in a process that the program has forked"},
    {ENOTSUP, "not possible here: worker processes need tandem_init() before the program's first thread"},
    {EMSGSIZE, "larger than it may be"},
    {ENOMEM, "out of memory"},
    {EMFILE, "too many open descriptors in this process"},
    {ENFILE, "too many open files in the system"},
    {ENOEXEC, "the function's code is not in the worker processes"},
    {ECANCELED, "cancelled, or a part of it has failed: a branch, a range, an on_worker_start"},
    {EPIPE, "the other side has gone"},
    {ENOSPC, "no space left"},
    {ENOSYS, "the system cannot do that"},
    {EIO, "input or output error"},
    {EACCES, "permission denied"},
    {ENOENT, "no such file or directory"},
    {ENOTDIR, "not a directory"},
    {EBADF, "a descriptor that is not open"},
    {ENOLCK, "this process holds too many locks"},
    {E2BIG, "arguments and environment are too large together"},
    {EFBIG, "larger than a file can be, or may be here"},
    {EROFS, "a file system that cannot be written"},
    {ETXTBSY, "the program is being written"},
    {ELOOP, "too many symbolic links"},
    {ENAMETOOLONG, "the name is too long"},
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

const char *tdm_system_words_signal(int signal)
{
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signals[i].signal == signal) return signals[i].name;
    return NULL;
}
