/* platform_linux.c - platform.h for Linux. */
#if defined(__linux__) && !defined(TANDEM_PORTABLE)
#define _GNU_SOURCE
#include "base/platform.h"

#include "base/atomics.h"
#include "base/fault.h"
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* More CPUs than a cpu_set_t can name make the call fail; then all that are online count. */
unsigned tdm_platform_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

void tdm_platform_name_thread(const char *name)
{
    char cut[16];
    snprintf(cut, sizeof cut, "%s", name);
    prctl(PR_SET_NAME, cut);
}

int tdm_platform_pipe(int fds[2]) { return pipe2(fds, O_CLOEXEC) == 0 ? 0 : -errno; }

int tdm_platform_socketpair(int fds[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : -errno; }

int tdm_platform_bell(int fds[2])
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return -errno;
    fds[0] = fds[1] = fd;
    return 0;
}

/* Kernels before 6.3 do not know NOEXEC_SEAL and say EINVAL. */
int tdm_platform_memory(size_t size)
{
    const unsigned noexec_seal = 8u, flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = tdm_fault(TDM_FAULT_noexec_seal) ? -1 : (int)syscall(SYS_memfd_create, "tandem", flags | noexec_seal);
    if (fd < 0) fd = (int)syscall(SYS_memfd_create, "tandem", flags);
    if (fd < 0) return -errno;
    /* Sealed: a worker that made it shorter would have the host die of SIGBUS. */
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

void tdm_platform_close_range(unsigned low, unsigned high)
{
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
    if (low > high) return;
    if (tdm_fault(TDM_FAULT_close_range) == 0 && syscall(SYS_close_range, low, high, 0) == 0) return;
    tdm_proc_close_range(low, high); /* before 5.9, or filtered */
}

/* ThreadSanitizer's locks may be held by its own thread at any time, so only its own fork() is safe there. */
extern void __tsan_init(void) __attribute__((weak));

/* Exit signal 0 makes a child that only a wait with __WALL or __WCLONE sees.  All arguments zero means the same on every
 * architecture, whatever the order of its clone arguments. */
pid_t tdm_platform_fork_unseen(void)
{
    int fault = tdm_fault(TDM_FAULT_fork_unseen);
    if (fault != 0) return -fault;
    pid_t pid = __tsan_init ? fork() : (pid_t)syscall(SYS_clone, 0ul, 0ul, 0ul, 0ul, 0ul);
    return pid < 0 ? -errno : pid;
}

/* Nobody else has reaped it, so the number is its own; stopped ones end too. */
void tdm_platform_end_unseen(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR) {
    }
}

/* A pipe whose writers are gone is "readable"; F_SETSIG makes the notice of that a SIGKILL, which needs nobody to run.  If the
 * writers were gone before this, there will be no notice any more, so look once more after arming. */
void tdm_platform_arm_lifeline(int read_fd)
{
    fcntl(read_fd, F_SETOWN, getpid());
    fcntl(read_fd, F_SETSIG, SIGKILL);
    fcntl(read_fd, F_SETFL, O_ASYNC | O_NONBLOCK);
    char nothing;
    if (read(read_fd, &nothing, 1) == 0) _exit(0);
}

int tdm_platform_watch_process(pid_t pid)
{
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
    int fd = tdm_fault(TDM_FAULT_watch_process) ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

_Atomic uint32_t *tdm_platform_word_wiped_by_fork(void)
{
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
    if (tdm_fault(TDM_FAULT_wiped_page) != 0) return NULL;
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return NULL;
    if (madvise(page, size, MADV_WIPEONFORK) == 0) return page;
    munmap(page, size);
    return NULL;
}

int tdm_platform_sanitizer_threads(void) { return __tsan_init ? 1 : 0; }

static int take_unloads(struct dl_phdr_info *info, size_t size, void *to)
{
    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs) *(uint64_t *)to = info->dlpi_subs;
    return 1; /* every entry carries the same counters */
}

uint64_t tdm_platform_unloads(void)
{
    uint64_t unloads = 0;
    dl_iterate_phdr(take_unloads, &unloads);
    return unloads;
}

/* Handlers run newest first, so this one comes before all that the host registered. */
#if defined(__GLIBC__)
static void leave_at_once(int status, void *unused)
{
    (void)unused;
    fflush(NULL);
    _exit(status);
}
void tdm_platform_shield_exit(void) { on_exit(leave_at_once, NULL); }
#else
void tdm_platform_shield_exit(void) {}
#endif
#else
typedef int tdm_platform_linux_is_not_used_here;
#endif
