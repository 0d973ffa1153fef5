/* platform_posix.c - platform.h with nothing but POSIX. */
#if !defined(__linux__) || defined(TANDEM_PORTABLE)
#if !defined(__APPLE__) && !defined(__FreeBSD__) && !defined(__OpenBSD__) && !defined(__NetBSD__)
#define _XOPEN_SOURCE 700
#endif
#include "base/platform.h"

#include "base/fault.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

unsigned tdm_platform_cpus(void)
{
#if defined(_SC_NPROCESSORS_ONLN)
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (online > 0) return (unsigned)online;
#endif
    return 2; /* POSIX 2008 has no way to ask */
}

void tdm_platform_name_thread(const char *name) { (void)name; }

static int close_on_exec(int fds[2], int flags)
{
    for (int i = 0; i < 2; i++) {
        if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) == 0 && (flags == 0 || fcntl(fds[i], F_SETFL, flags) == 0)) continue;
        int error = errno;
        close(fds[0]);
        close(fds[1]);
        return -error;
    }
    return 0;
}

int tdm_platform_pipe(int fds[2])
{
    int fault = tdm_fault(TDM_FAULT_pipe);
    if (fault != 0) return -fault;
    return pipe(fds) == 0 ? close_on_exec(fds, 0) : -errno;
}

/* A stream: not every system has local sockets that keep message borders.  All messages on it have one size. */
int tdm_platform_socketpair(int fds[2])
{
    int fault = tdm_fault(TDM_FAULT_socketpair);
    if (fault != 0) return -fault;
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 ? close_on_exec(fds, 0) : -errno;
}

int tdm_platform_receives_close_on_exec(void) { return 0; }

int tdm_platform_bell(int fds[2])
{
    int fault = tdm_fault(TDM_FAULT_bell);
    if (fault != 0) return -fault;
    return pipe(fds) == 0 ? close_on_exec(fds, O_NONBLOCK) : -errno;
}

/* The name exists only between these two calls; a number in it makes a collision with another process's a retry. */
int tdm_platform_memory(size_t size)
{
    static _Atomic unsigned counter;
    int fault = tdm_fault(TDM_FAULT_descriptor_memory);
    if (fault != 0) return -fault;
    for (int tries = 0; tries < 100; tries++) {
        char name[64];
        snprintf(name, sizeof name, "/tandem-%ld-%u", (long)getpid(), counter++);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
        if (fd < 0 && errno == EEXIST) continue;
        if (fd < 0) return -errno;
        shm_unlink(name);
        if (ftruncate(fd, (off_t)size) == 0) return fd;
        int error = errno;
        close(fd);
        return -error;
    }
    return -EEXIST;
}

bool tdm_platform_has_shared_futex(void) { return false; }

void tdm_platform_keep_out_of_forks(void *memory, size_t size)
{
    (void)memory;
    (void)size;
}

/* Some systems let it get a size only once. */
int tdm_platform_growing_memory(size_t most) { return tdm_platform_memory(most); }

int tdm_platform_grow(int fd, size_t size)
{
    (void)fd, (void)size;
    return 0;
}

/* Where the call is missing, memory behind a descriptor has no holes, or nobody can tell. */
int tdm_platform_commit(int fd, size_t offset, size_t size)
{
    int fault = tdm_fault(TDM_FAULT_commit);
    if (fault != 0) return -fault;
#if defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0
    int error;
    do error = posix_fallocate(fd, (off_t)offset, (off_t)size);
    while (error == EINTR);
    return -error;
#else
    (void)fd, (void)offset, (void)size;
    return 0;
#endif
}

int tdm_platform_decommit(int fd, size_t offset, size_t size)
{
    (void)fd, (void)offset, (void)size;
    return -ENOSYS;
}

void tdm_platform_keep_out_of_dumps(void *memory, size_t size) { (void)memory, (void)size; }

void tdm_platform_expect_all_of(void *memory, size_t size) { (void)memory, (void)size; }

void tdm_platform_close_range(unsigned low, unsigned high) { tdm_proc_close_range(low, high); }

static pid_t fork_once(void)
{
    int fault = tdm_fault(TDM_FAULT_fork_unseen);
    if (fault != 0) errno = fault;
    return fault != 0 ? -1 : fork();
}

pid_t tdm_platform_spawn(int (*begin)(void *argument), void *argument)
{
    int fault = tdm_fault(TDM_FAULT_spawn);
    if (fault != 0) return -fault;
    pid_t pid = fork();
    if (pid == 0) _exit(begin(argument));
    return pid < 0 ? -errno : pid;
}

void tdm_platform_widen_pipe(int fd, size_t size) { (void)fd, (void)size; }

int tdm_platform_unnamed_file(const char *folder)
{
    (void)folder;
    return -ENOTSUP;
}

/* A grandchild: the child in between ends at once and is collected here, so nothing is left for the host's wait() to see. */
pid_t tdm_platform_fork_unseen(void)
{
    int fds[2];
    if (pipe(fds) != 0) return -errno;
    pid_t between = fork_once();
    if (between < 0) {
        int error = errno;
        close(fds[0]);
        close(fds[1]);
        return -error;
    }
    if (between == 0) {
        pid_t pid = fork_once();
        if (pid == 0) {
            close(fds[0]);
            close(fds[1]);
            return 0;
        }
        if (pid < 0) pid = -errno;
        _exit(write(fds[1], &pid, sizeof pid) == (ssize_t)sizeof pid ? 0 : 1);
    }
    close(fds[1]);
    pid_t pid = -EAGAIN;
    ssize_t got;
    while ((got = read(fds[0], &pid, sizeof pid)) < 0 && errno == EINTR) {
    }
    if (got != (ssize_t)sizeof pid) pid = -EAGAIN;
    close(fds[0]);
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR) {
    }
    return pid;
}

/* Somebody else's child by now; if it came back to a host that adopts orphans, collect it by its number. */
void tdm_platform_end_unseen(pid_t pid) { waitpid(pid, NULL, WNOHANG); }

void tdm_platform_arm_lifeline(int read_fd) { (void)read_fd; }

int tdm_platform_watch_process(pid_t pid)
{
    (void)pid;
    return -1;
}

bool tdm_platform_signal_watched(int watch, int signal)
{
    (void)watch;
    (void)signal;
    return false;
}

bool tdm_platform_inherit_orphans(void) { return false; }

bool tdm_platform_adopts_orphans(void) { return false; }

/* What it has used is known only when it has been reaped, and of all children together. */
bool tdm_platform_peek_end(pid_t pid, struct tdm_end *end)
{
    siginfo_t info = {.si_pid = 0};
    int failed = waitid(pid == 0 ? P_ALL : P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (failed != 0 || info.si_pid == 0) return false;
    *end = (struct tdm_end){.pid = info.si_pid};
    if (info.si_code == CLD_EXITED)
        end->code = info.si_status;
    else
        end->signal = info.si_status;
    end->dumped = info.si_code == CLD_DUMPED;
    return true;
}

/* SIGPROF, whose default is to kill; a task may prevent that. */
void tdm_platform_limit_cpu(uint64_t ms)
{
    struct itimerval time = {.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};
    setitimer(ITIMER_PROF, &time, NULL);
}

int tdm_platform_cpu_signal(void) { return SIGPROF; }

uint64_t tdm_platform_address_space(void) { return 0; }

uint64_t tdm_platform_private_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

int tdm_platform_umask(void) { return -1; }

size_t tdm_platform_get_affinity(unsigned char set[TDM_AFFINITY_SIZE])
{
    (void)set;
    return 0;
}

void tdm_platform_set_affinity(const unsigned char *set, size_t size)
{
    (void)set;
    (void)size;
}

int tdm_platform_open_cwd(void)
{
    int fault = tdm_fault(TDM_FAULT_open_cwd);
    if (fault != 0) return -fault;
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void tdm_platform_offer_to_oom(void) {}

void tdm_platform_flush(FILE *stream) { fflush(stream); }

bool tdm_platform_surely_single_threaded(void) { return false; }

_Atomic uint32_t *tdm_platform_word_wiped_by_fork(void) { return NULL; }

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZER_THREADS 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SANITIZER_THREADS 1
#endif
#if !defined(SANITIZER_THREADS)
#define SANITIZER_THREADS 0
#endif
int tdm_platform_sanitizer_threads(void) { return SANITIZER_THREADS; }

uintptr_t tdm_platform_entry(void) { return 0; }

uint64_t tdm_platform_unloads(void) { return 0; }

void tdm_platform_shield_exit(void) {}

size_t tdm_platform_backtrace(void **frames, size_t most)
{
    (void)frames, (void)most;
    return 0;
}

bool tdm_platform_position(const void *context, struct tdm_position *position)
{
    (void)context, (void)position;
    return false;
}

struct tdm_position tdm_platform_caller(const void *context)
{
    (void)context;
    return (struct tdm_position){0};
}

void tdm_platform_set_position(void *context, const struct tdm_position *position) { (void)context, (void)position; }
#else
typedef int tdm_platform_posix_is_not_used_here;
#endif
