/* after_fork.c - the first steps of every process of ours. */
#define _POSIX_C_SOURCE 200809L
#include "child/after_fork.h"

#include "base/fds.h"
#include "base/identity.h"
#include "base/platform.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

void tdm_after_fork_adopt(void)
{
    tdm_fds_forget_all();
    tdm_fds_hand_down(false);
    tdm_identity_adopt();
}

/* Some numbers cannot be set, some belong to the C library: those calls fail, and that is all right. */
void tdm_after_fork_default_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int signal = 1; signal <= 64; signal++) sigaction(signal, &action, NULL);
}

static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};

static void handle_ignored(void (*how)(int))
{
    struct sigaction action = {.sa_handler = how};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) sigaction(ignored[i], &action, NULL);
}

void tdm_after_fork_ignore_signals(void) { handle_ignored(SIG_IGN); }
void tdm_after_fork_ignore_no_more(void) { handle_ignored(SIG_DFL); }

void tdm_after_fork_set_stdio(void)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0) return;
    if (null != 0) dup2(null, 0);
    for (int fd = 1; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0) dup2(null, fd);
    if (null > 2) close(null);
}

static void sort(int *numbers, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j > 0 && numbers[j - 1] > numbers[j]; j--) {
            int swap = numbers[j];
            numbers[j] = numbers[j - 1];
            numbers[j - 1] = swap;
        }
}

void tdm_after_fork_close_all_but(int *keep, size_t count)
{
    sort(keep, count);
    unsigned from = 3;
    for (size_t i = 0; i < count; i++) {
        if (keep[i] < (int)from) continue;
        if ((unsigned)keep[i] > from) tdm_platform_close_range(from, (unsigned)keep[i] - 1);
        from = (unsigned)keep[i] + 1;
    }
    tdm_platform_close_range(from, INT_MAX);
}
