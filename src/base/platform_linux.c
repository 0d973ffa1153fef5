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
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <execinfo.h>
#endif

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

int tdm_platform_pipe(int fds[2])
{
    int fault = tdm_fault(TDM_FAULT_pipe);
    if (fault != 0) return -fault;
    return pipe2(fds, O_CLOEXEC) == 0 ? 0 : -errno;
}

int tdm_platform_socketpair(int fds[2])
{
    int fault = tdm_fault(TDM_FAULT_socketpair);
    if (fault != 0) return -fault;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0 ? 0 : -errno;
}

int tdm_platform_receives_close_on_exec(void) { return MSG_CMSG_CLOEXEC; }

int tdm_platform_bell(int fds[2])
{
    int fault = tdm_fault(TDM_FAULT_bell);
    if (fault != 0) return -fault;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return -errno;
    fds[0] = fds[1] = fd;
    return 0;
}

/* Kernels before 6.3 do not know NOEXEC_SEAL and say EINVAL. */
static int make_memory(size_t size, int seals)
{
    const unsigned noexec_seal = 8u, flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fault = tdm_fault(TDM_FAULT_descriptor_memory);
    if (fault != 0) return -fault;
    int fd = tdm_fault(TDM_FAULT_noexec_seal) ? -1 : (int)syscall(SYS_memfd_create, "tandem", flags | noexec_seal);
    if (fd < 0) fd = (int)syscall(SYS_memfd_create, "tandem", flags);
    if (fd < 0) return -errno;
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0) return fd;
    int error = errno;
    close(fd);
    return -error;
}

/* Sealed: a worker that made it shorter would have the host die of SIGBUS. */
int tdm_platform_memory(size_t size) { return make_memory(size, F_SEAL_SHRINK | F_SEAL_GROW); }

int tdm_platform_growing_memory(size_t most)
{
    (void)most;
    return make_memory(0, F_SEAL_SHRINK);
}

int tdm_platform_grow(int fd, size_t size)
{
    struct stat file;
    if (fstat(fd, &file) != 0) return -errno;
    return file.st_size >= (off_t)size || ftruncate(fd, (off_t)size) == 0 ? 0 : -errno;
}

bool tdm_platform_has_shared_futex(void) { return true; }

void tdm_platform_keep_out_of_forks(void *memory, size_t size) { madvise(memory, size, MADV_DONTFORK); }
static int allocate(int fd, int mode, size_t offset, size_t size)
{
    int result;
    do result = fallocate(fd, mode, (off_t)offset, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int tdm_platform_commit(int fd, size_t offset, size_t size)
{
    int fault = tdm_fault(TDM_FAULT_commit);
    return fault != 0 ? -fault : allocate(fd, 0, offset, size);
}

int tdm_platform_decommit(int fd, size_t offset, size_t size)
{
    int fault = tdm_fault(TDM_FAULT_decommit);
    return fault != 0 ? -fault : allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
}

void tdm_platform_keep_out_of_dumps(void *memory, size_t size) { madvise(memory, size, MADV_DONTDUMP); }

/* Below, what a large page must be cleared of in vain, where it is not aligned, would weigh too much. */
#define LARGE ((size_t)4 << 20)

/* Its neighbours lie in the first and the last page.  errno stays: not every system has large pages. */
void tdm_platform_expect_all_of(void *memory, size_t size)
{
    if (size < LARGE) return;
    int saved = errno;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = ((uintptr_t)memory + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(page - 1);
    madvise((void *)start, end - start, MADV_HUGEPAGE);
    errno = saved;
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
extern void __asan_init(void) __attribute__((weak));

/* Exit signal 0 makes a child that only a wait with __WALL or __WCLONE sees.  All arguments zero means the same on every
 * architecture, whatever the order of its clone arguments. */
pid_t tdm_platform_fork_unseen(void)
{
    int fault = tdm_fault(TDM_FAULT_fork_unseen);
    if (fault != 0) return -fault;
    pid_t pid = __tsan_init ? fork() : (pid_t)syscall(SYS_clone, 0ul, 0ul, 0ul, 0ul, 0ul);
    return pid < 0 ? -errno : pid;
}

/* On a stack of its own, lest it should write where this function still stands.  A sanitizer's memory is not to be shared. */
pid_t tdm_platform_spawn(int (*begin)(void *argument), void *argument)
{
    static _Alignas(64) char stack[64 * 1024];
    int fault = tdm_fault(TDM_FAULT_spawn);
    if (fault != 0) return -fault;
    pid_t pid;
    if (__tsan_init || __asan_init) {
        pid = fork();
        if (pid == 0) _exit(begin(argument));
    } else {
        pid = clone(begin, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, argument);
    }
    return pid < 0 ? -errno : pid;
}

void tdm_platform_widen_pipe(int fd, size_t size) { fcntl(fd, F_SETPIPE_SZ, (int)size); }

int tdm_platform_unnamed_file(const char *folder)
{
    int fault = tdm_fault(TDM_FAULT_unnamed_file);
    if (fault != 0) return -fault;
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    return fd < 0 ? -errno : fd;
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

bool tdm_platform_signal_watched(int watch, int signal)
{
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
    if (tdm_fault(TDM_FAULT_signal_watched) != 0) return false;
    return watch >= 0 && syscall(SYS_pidfd_send_signal, watch, signal, NULL, 0) == 0;
}

bool tdm_platform_inherit_orphans(void)
{
    return tdm_fault(TDM_FAULT_inherit_orphans) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

bool tdm_platform_adopts_orphans(void)
{
    int adopts = 0;
    return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &adopts, 0, 0, 0) == 0 && adopts != 0);
}

static uint64_t ns_of(const struct timeval *time) { return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u; }

/* The system call gives more than the function of that name: what the child has used. */
bool tdm_platform_peek_end(pid_t pid, struct tdm_end *end)
{
    siginfo_t info = {.si_pid = 0};
    struct rusage usage = {0};
    long failed = syscall(SYS_waitid, pid == 0 ? P_ALL : P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, &usage);
    if (failed != 0 || info.si_pid == 0) return false;
    *end = (struct tdm_end){.pid = info.si_pid,
                            .user_ns = ns_of(&usage.ru_utime),
                            .system_ns = ns_of(&usage.ru_stime),
                            .peak_memory = (uint64_t)usage.ru_maxrss * 1024};
    if (info.si_code == CLD_EXITED)
        end->code = info.si_status;
    else
        end->signal = info.si_status;
    end->dumped = info.si_code == CLD_DUMPED;
    return true;
}

/* SIGKILL, so that no mask and no handler of a task's prevents it.  By system calls, because older C libraries have the functions in
 * a library of their own; the kernel's times are two longs each. */
void tdm_platform_limit_cpu(uint64_t ms)
{
    static int timer;
    static bool made;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    if (!made && ms > 0 && tdm_fault(TDM_FAULT_cpu_timer) == 0)
        made = syscall(SYS_timer_create, CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0;
    long interval_and_value[4] = {0, 0, (long)(ms / 1000), (long)(ms % 1000 * 1000000)};
    if (made) syscall(SYS_timer_settime, timer, 0, interval_and_value, NULL);
}

int tdm_platform_cpu_signal(void) { return SIGKILL; }

static bool read_statm(unsigned long *size, unsigned long *resident, unsigned long *shared)
{
    char text[128];
    int fd = tdm_fault(TDM_FAULT_proc_read) ? -1 : open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0) return false;
    text[got] = 0;
    return sscanf(text, "%lu %lu %lu", size, resident, shared) == 3;
}

uint64_t tdm_platform_address_space(void)
{
    unsigned long size, resident, shared;
    return read_statm(&size, &resident, &shared) ? (uint64_t)size * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

uint64_t tdm_platform_private_memory(void)
{
    unsigned long size, resident, shared;
    return read_statm(&size, &resident, &shared) ? (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

int tdm_platform_umask(void)
{
    char text[1024];
    int fd = tdm_fault(TDM_FAULT_proc_read) ? -1 : open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (got <= 0) return -1;
    text[got] = 0;
    const char *line = strstr(text, "\nUmask:");
    return line ? (int)strtol(line + strlen("\nUmask:"), NULL, 8) : -1;
}

_Static_assert(sizeof(cpu_set_t) <= TDM_AFFINITY_SIZE, "a set fits");

size_t tdm_platform_get_affinity(unsigned char set[TDM_AFFINITY_SIZE])
{
    memset(set, 0, TDM_AFFINITY_SIZE);
    return sched_getaffinity(getpid(), sizeof(cpu_set_t), (cpu_set_t *)(void *)set) == 0 ? sizeof(cpu_set_t) : 0;
}

void tdm_platform_set_affinity(const unsigned char *set, size_t size)
{
    cpu_set_t copy;
    CPU_ZERO(&copy);
    memcpy(&copy, set, size < sizeof copy ? size : sizeof copy);
    if (size > 0) sched_setaffinity(0, sizeof copy, &copy);
}

int tdm_platform_open_cwd(void)
{
    int fault = tdm_fault(TDM_FAULT_open_cwd);
    if (fault != 0) return -fault;
    int fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

#define OOM_RISE 300
void tdm_platform_offer_to_oom(void)
{
    char text[16];
    int fd = tdm_fault(TDM_FAULT_proc_read) ? -1 : open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t got = read(fd, text, sizeof text - 1);
    text[got > 0 ? got : 0] = 0;
    int now = atoi(text), risen = now + OOM_RISE > 1000 ? 1000 : now + OOM_RISE;
    int length = snprintf(text, sizeof text, "%d", risen);
    ssize_t written = write(fd, text, (size_t)length);
    (void)written; /* without it, it is killed when its turn comes */
    close(fd);
}

void tdm_platform_flush(FILE *stream)
{
    if (__fpending(stream) > 0) fflush(stream);
}

/* A variable of the C library, from 2.32 on. */
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
#include <sys/single_threaded.h>
bool tdm_platform_surely_single_threaded(void) { return __libc_single_threaded != 0; }
#else
bool tdm_platform_surely_single_threaded(void) { return false; }
#endif

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

uintptr_t tdm_platform_entry(void) { return (uintptr_t)getauxval(AT_ENTRY); }

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

#if defined(__GLIBC__)
size_t tdm_platform_backtrace(void **frames, size_t most)
{
    int count = backtrace(frames, (int)most);
    return count > 0 ? (size_t)count : 0;
}
#else
size_t tdm_platform_backtrace(void **frames, size_t most)
{
    (void)frames, (void)most;
    return 0;
}
#endif

/* Where the processor's registers are in a signal's context, and which holds a return address; none: the stack does. */
#if defined(__x86_64__)
#define CODE_IN(context)  (context)->uc_mcontext.gregs[REG_RIP]
#define STACK_IN(context) (context)->uc_mcontext.gregs[REG_RSP]
#elif defined(__i386__)
#define CODE_IN(context)  (context)->uc_mcontext.gregs[REG_EIP]
#define STACK_IN(context) (context)->uc_mcontext.gregs[REG_ESP]
#elif defined(__aarch64__)
#define CODE_IN(context)  (context)->uc_mcontext.pc
#define STACK_IN(context) (context)->uc_mcontext.sp
#define LINK_IN(context)  (context)->uc_mcontext.regs[30]
#elif defined(__arm__)
#define CODE_IN(context)  (context)->uc_mcontext.arm_pc
#define STACK_IN(context) (context)->uc_mcontext.arm_sp
#define LINK_IN(context)  (context)->uc_mcontext.arm_lr
#elif defined(__riscv) && __riscv_xlen == 64
#define CODE_IN(context)  (context)->uc_mcontext.__gregs[REG_PC]
#define STACK_IN(context) (context)->uc_mcontext.__gregs[REG_SP]
#define LINK_IN(context)  (context)->uc_mcontext.__gregs[REG_RA]
#endif

#if defined(CODE_IN)
bool tdm_platform_position(const void *context, struct tdm_position *position)
{
    const ucontext_t *registers = context;
    *position = (struct tdm_position){.code = (uintptr_t)CODE_IN(registers), .stack = (uintptr_t)STACK_IN(registers)};
    return true;
}

struct tdm_position tdm_platform_caller(const void *context)
{
    const ucontext_t *registers = context;
    uintptr_t stack = (uintptr_t)STACK_IN(registers);
#if defined(LINK_IN)
    return (struct tdm_position){.code = (uintptr_t)LINK_IN(registers), .stack = stack};
#else
    return (struct tdm_position){.code = *(const uintptr_t *)stack, .stack = stack + sizeof(uintptr_t)};
#endif
}

void tdm_platform_set_position(void *context, const struct tdm_position *position)
{
    ucontext_t *registers = context;
    uintptr_t code = position->code, stack = position->stack;
    memcpy(&CODE_IN(registers), &code, sizeof code);
    memcpy(&STACK_IN(registers), &stack, sizeof stack);
}
#else
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
#endif
#else
typedef int tdm_platform_linux_is_not_used_here;
#endif
