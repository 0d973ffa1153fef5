/* trial.c - see trial.h. */
#define _POSIX_C_SOURCE 200809L
#include "trial.h"
#include "must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONGEST = 600 }; /* seconds that one figure may take before its process is taken for stuck */

static _Noreturn void measure_and_tell(const struct row *row, const struct peer *peer, size_t count, int to)
{
    alarm(LONGEST);
    if (row->prepare) row->prepare();
    void *pool = peer->start(count);
    double figure = row->measure(peer, pool, count);
    peer->stop(pool);
    if (write(to, &figure, sizeof figure) != sizeof figure) give_up("write", "the figure cannot be told");
    exit(EXIT_SUCCESS);
}

static const char *how_it_ended(pid_t child, char *text, size_t size)
{
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(child, &status, 0)) == -1 && errno == EINTR) continue;
    must_call(ended, "waitpid");
    if (WIFSIGNALED(status))
        snprintf(text, size, "its process was killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, size, "its process ended with status %d", WEXITSTATUS(status));
    return status == 0 ? NULL : text;
}

double trial(const struct row *row, const struct peer *peer, size_t count)
{
    int tell[2];
    must_call(pipe(tell), "pipe");
    must_call(fflush(NULL), "fflush");
    pid_t child = fork();
    must_call(child, "fork");
    if (child == 0) {
        close(tell[0]);
        measure_and_tell(row, peer, count, tell[1]);
    }
    close(tell[1]);
    double figure = 0;
    ssize_t got;
    while ((got = read(tell[0], &figure, sizeof figure)) == -1 && errno == EINTR) continue;
    close(tell[0]);

    char what[80];
    char why[80];
    snprintf(what, sizeof what, "%s %s", row->name, peer->name);
    const char *failure = how_it_ended(child, why, sizeof why);
    if (failure) give_up(what, failure);
    if (got != sizeof figure) give_up(what, "its process told no figure");
    return figure;
}
