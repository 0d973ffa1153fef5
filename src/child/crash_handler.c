/* crash_handler.c - a worker that crashes writes down where, and dies of it all the same.
 *
 * Nothing in this process can be trusted any more: its heap, its locks, its stack may be what broke.  So from the signal on there are
 * system calls, writes into the shared page, and at last the unwinder, which may fault or hang: by then all the rest is written, a fault
 * kills, and an alarm ends the hang. */
#define _XOPEN_SOURCE 700
#include "child/crash_handler.h"

#include "base/platform.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define HANG_SECONDS 2 /* for the unwinder */
#define STACK_SIZE                                                                                                                 \
    (192 << 10) /* the unwinder takes some 10 KB, a sanitizer more, a signal's frame up to some tens on some machines */
#define PAGE_MOST  (64 << 10)
#define OWN_FRAMES 8 /* ours, the trampoline, a sanitizer's */

static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
#define DEADLY (sizeof deadly / sizeof *deadly)

static struct {
    struct tdm_last_words *words;
    pid_t owner; /* a child that a task forks inherits the handlers, but not the right to the words */
    uint64_t page_size;
    _Atomic bool taken;       /* threads may crash together: one writes */
    _Atomic pthread_t writer; /* that one; only its own thread can find itself here [crash-writer] */
} crash;

/* No mapping, so nothing that can fail.  Pages that are not touched cost nothing. */
static char stack[STACK_SIZE + 2 * PAGE_MOST];

/* ---- in the handler: async-signal-safe calls only ---- */

/* Whoever hangs from here on is killed by the alarm.  A thread that was cancelled and has not noticed yet does not notice it here, where it
 * would leave the handler alive. */
static void set_alarm(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t alarm_only;
    int unused;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &unused);
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    alarm(HANG_SECONDS);
}

static void set_defaults(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < DEADLY; i++) sigaction(deadly[i], &action, NULL);
}

/* Sent by a process, this one included, rather than by the processor. */
static bool was_sent(const siginfo_t *info)
{
#if defined(SI_LWP)
    if (info->si_code == SI_LWP) return true;
#endif
    return info->si_code <= 0 || info->si_code == SI_USER || info->si_code == SI_QUEUE;
}

/* The first number in statm: pages of address space. */
static uint64_t memory_in_use(void)
{
    char digits[24] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t got = read(fd, digits, sizeof digits - 1);
    close(fd);
    uint64_t pages = 0;
    for (ssize_t i = 0; i < got && digits[i] >= '0' && digits[i] <= '9'; i++) pages = pages * 10 + (uint64_t)(digits[i] - '0');
    return pages * crash.page_size;
}

static void write_signal(const siginfo_t *info)
{
    struct tdm_last_words *words = crash.words;
    words->signal = info->si_signo;
    words->si_code = info->si_code;
    bool has_address = !was_sent(info) && info->si_signo != SIGABRT && info->si_signo != SIGSYS;
    words->address = has_address ? (uint64_t)(uintptr_t)info->si_addr : 0;
    words->memory = memory_in_use();
    store_release(&words->crash, 1); /* [last-words] */
}

/* What the unwinder has seen before the place of the crash is this handler and the way into it.  Where it does not know that place it has
 * lost its way. */
static void write_callers(uint32_t have, uintptr_t place)
{
    void *frames[TDM_FRAMES_MOST + OWN_FRAMES];
    struct tdm_last_words *words = crash.words;
    size_t count = tdm_platform_backtrace(frames, sizeof frames / sizeof *frames), i = 0;
    while (i < count && (uintptr_t)frames[i] != place) i++;
    if (i == count) return;
    for (; i < count && have < TDM_FRAMES_MOST; i++) words->frames[have++] = (uint64_t)(uintptr_t)frames[i];
    store_release(&words->frame_count, have); /* [last-frames] */
}

/* A jump to where there is no code: nobody can unwind from there, and trying may fault.  So for the unwinder's eyes we are back at the
 * caller; the jump is repeated afterwards. */
static void write_frames(const siginfo_t *info, void *context)
{
    struct tdm_position here, caller;
    if (!tdm_platform_position(context, &here)) return;
    crash.words->frames[0] = here.code;
    store_release(&crash.words->frame_count, 1); /* [last-frames] */
    if (was_sent(info) || here.code != (uintptr_t)info->si_addr || (info->si_signo != SIGSEGV && info->si_signo != SIGBUS)) {
        write_callers(0, here.code);
        return;
    }
    caller = tdm_platform_caller(context);
    tdm_platform_set_position(context, &caller);
    write_callers(1, caller.code);
    tdm_platform_set_position(context, &here);
}

/* These happen again when the handler returns.  After a trap or a refused system call the program would go on. */
static bool repeats_itself(const siginfo_t *info)
{
    if (was_sent(info)) return false;
#if defined(BUS_MCEERR_AO)
    if (info->si_signo == SIGBUS && info->si_code == BUS_MCEERR_AO) return false;
#endif
    return info->si_signo == SIGSEGV || info->si_signo == SIGBUS || info->si_signo == SIGFPE || info->si_signo == SIGILL;
}

/* Another thread that crashes waits for the death by the first's signal, or by the alarm; until that one has written all it can, no signal is
 * at its default, or the other's would be faster.  A fault of the writer's own brings it here again, and kills. */
static void handle(int signal, siginfo_t *info, void *context)
{
    if (getpid() == crash.owner) {
        set_alarm();
        if (!exchange_seq(&crash.taken, true)) {
            store_seq(&crash.writer, pthread_self()); /* [crash-writer] */
            write_signal(info);
            write_frames(info, context);
        } else if (!pthread_equal(load_seq(&crash.writer), pthread_self())) { /* [crash-writer] */
            for (;;) pause();
        }
    }
    set_defaults();
    if (!repeats_itself(info)) raise(signal);
}

/* ---- around it ---- */

void tdm_crash_handler_prepare(void)
{
    void *frames[4];
    tdm_platform_backtrace(frames, sizeof frames / sizeof *frames);
}

/* The lowest page is made a wall, so that an overflow there does not write over the library's own memory. */
static bool set_stack(void)
{
    uintptr_t page = (uintptr_t)crash.page_size, low = ((uintptr_t)stack + page - 1) / page * page;
    if (page > PAGE_MOST) return false;
    char *wall = stack + (low - (uintptr_t)stack);
    bool walled = mprotect(wall, page, PROT_NONE) == 0;
    stack_t own = {.ss_sp = wall + page, .ss_size = STACK_SIZE};
    return sigaltstack(&own, NULL) == 0 && walled;
}

static bool set_handlers(void)
{
    bool all = true;
    struct sigaction action = {.sa_flags = (int)(SA_ONSTACK | SA_SIGINFO | SA_NODEFER)};
    action.sa_sigaction = handle;
    sigfillset(&action.sa_mask); /* no handler of a task's runs meanwhile */
    sigdelset(&action.sa_mask, SIGALRM);
    for (size_t i = 0; i < DEADLY; i++) sigdelset(&action.sa_mask, deadly[i]);
    for (size_t i = 0; i < DEADLY; i++) all = sigaction(deadly[i], &action, NULL) == 0 && all;
    return all;
}

bool tdm_crash_handler_install(struct tdm_last_words *words)
{
    crash.words = words;
    crash.owner = getpid();
    crash.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    store_seq(&crash.taken, false);
    bool has_stack = set_stack();
    return set_handlers() && has_stack;
}

bool tdm_crash_handler_is_intact(void)
{
    struct sigaction now;
    for (size_t i = 0; i < DEADLY; i++)
        if (sigaction(deadly[i], NULL, &now) != 0 || !(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != handle) return false;
    return sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler != SIG_IGN && !(now.sa_flags & SA_NOCLDWAIT);
}
