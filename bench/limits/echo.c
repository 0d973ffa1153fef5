/* echo.c - see echo.h. */
#define _POSIX_C_SOURCE 200809L
#include "limits/echo.h"
#include "must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int write_all(int to, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(to, bytes, size);
        if (written == -1 && errno != EINTR) return -1;
        if (written > 0) bytes += written, size -= (size_t)written;
    }
    return 0;
}

static _Noreturn void be_the_echo(int from, int to)
{
    char bytes[ECHO_MOST];
    for (;;) {
        ssize_t size = read(from, bytes, sizeof bytes);
        if (size == 0) _exit(EXIT_SUCCESS);
        if (size == -1 && errno == EINTR) continue;
        if (size == -1 || write_all(to, bytes, (size_t)size) == -1) _exit(EXIT_FAILURE);
    }
}

static _Noreturn void be_the_whole_echo(int from, int to, size_t size)
{
    char *bytes = must_reserve(size, 1);
    for (size_t have = 0;;) {
        ssize_t got = read(from, bytes + have, size - have);
        if (got == 0) _exit(have == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
        if (got == -1 && errno != EINTR) _exit(EXIT_FAILURE);
        if (got > 0) have += (size_t)got;
        if (have < size) continue;
        if (write_all(to, bytes, size) == -1) _exit(EXIT_FAILURE);
        have = 0;
    }
}

static _Noreturn void be_the_program(int from, int to, char *const arguments[])
{
    if (dup2(from, STDIN_FILENO) == -1 || dup2(to, STDOUT_FILENO) == -1) _exit(EXIT_FAILURE);
    if (from > STDERR_FILENO) close(from);
    if (to > STDERR_FILENO) close(to);
    execv(arguments[0], arguments);
    _exit(EXIT_FAILURE);
}

/* What was called for. */
struct kind {
    char *const *arguments; /* of a program; NULL: an echo itself, */
    size_t whole;           /*   which reads so many bytes before it writes them back; 0: what there is */
};

static void start(struct echo *echo, struct kind kind)
{
    int there[2];
    int back[2];
    must_call(pipe(there), "pipe");
    must_call(pipe(back), "pipe");
    must_call(fflush(NULL), "fflush");
    must_call(echo->pid = fork(), "fork");
    if (echo->pid == 0) {
        close(there[1]);
        close(back[0]);
        if (kind.arguments) be_the_program(there[0], back[1], kind.arguments);
        if (kind.whole) be_the_whole_echo(there[0], back[1], kind.whole);
        be_the_echo(there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    echo->to = there[1];
    echo->from = back[0];
}

void echo_start(struct echo *echo) { start(echo, (struct kind){.arguments = NULL}); }

void echo_start_whole(struct echo *echo, size_t size) { start(echo, (struct kind){.whole = size}); }

void echo_start_program(struct echo *echo, char *const arguments[]) { start(echo, (struct kind){.arguments = arguments}); }

void echo_send(const struct echo *echo, const void *bytes, size_t size)
{
    must_call(write_all(echo->to, bytes, size), "write to the echo");
}

void echo_receive(const struct echo *echo, void *bytes, size_t size)
{
    char *place = bytes;
    while (size > 0) {
        ssize_t got = read(echo->from, place, size);
        if (got == 0) give_up("read from the echo", "it has ended");
        if (got == -1 && errno != EINTR) must(errno, "read from the echo");
        if (got > 0) place += got, size -= (size_t)got;
    }
}

void echo_stop(struct echo *echo)
{
    close(echo->to);
    close(echo->from);
    must_have_ended(echo->pid, "the echo");
}
