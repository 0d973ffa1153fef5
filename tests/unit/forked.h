/* forked.h - what a process finds that the test has forked. */
#ifndef TANDEM_FORKED_H
#define TANDEM_FORKED_H

#include "harness.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a function that runs in a child: assertions would carry on with the parent's test there. */
#define child_needs(condition)                                                                                                     \
    do {                                                                                                                           \
        if (!(condition)) {                                                                                                        \
            fprintf(stderr, "in a child: not so: %s (%s:%d)\n", #condition, __FILE__, __LINE__);                                   \
            return 1;                                                                                                              \
        }                                                                                                                          \
    } while (0)

/* Forks a child that exits with what the function returns.  Its status, as waitpid tells it. */
static inline int status_of_child(int (*run)(void *argument), void *argument)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) _exit(run(argument));
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

#define expect_in_child(run, argument) assert_int_equal(status_of_child(run, argument), 0)

#endif
