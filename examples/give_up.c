/* give_up.c - you will see four tasks that would never end given up: by timeout and by cancel, on a thread and in a
 * process.
 *
 *     timeout on a thread: timed out
 *     cancel on a thread: cancelled
 *     timeout in a process: timed out
 *     cancel in a process: cancelled
 *
 * A process is killed, whatever it is doing.  A thread is only asked, and its function must check whether it has been. */
#include "tandem.h"

#include <errno.h>
#include <stdio.h>

static int work_for_ever(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    while (!tandem_cancelled(context)) continue; /* a slice of work would go here */
    return ECANCELED;
}

static int give_up_by_timeout(tandem_pool *pool, int isolation)
{
    tandem_task task = {.run = work_for_ever, .isolation = isolation, .timeout_ms = 100};
    int status = tandem_call(pool, &task);
    tandem_task_clear(&task);
    return status;
}

static int give_up_by_cancel(tandem_pool *pool, int isolation)
{
    tandem_task task = {.run = work_for_ever, .isolation = isolation};
    int status = tandem_submit(pool, &task);
    if (status != 0) return status;
    if (tandem_wait_for(&task, 100) == TANDEM_PENDING) tandem_cancel(&task); /* patience for 100 ms, then no more */
    status = tandem_wait(&task);
    tandem_task_clear(&task);
    return status;
}

int main(void)
{
    static const char *const places[] = {[TANDEM_THREAD] = "on a thread", [TANDEM_PROCESS] = "in a process"};
    tandem_pool *pool;
    if (tandem_init() != 0 || tandem_pool_create(&pool, NULL) != 0) return 1;
    int good = 1;
    for (int isolation = TANDEM_THREAD; isolation <= TANDEM_PROCESS; isolation++) {
        int timeout = give_up_by_timeout(pool, isolation);
        int cancel = give_up_by_cancel(pool, isolation);
        printf("timeout %s: %s\n", places[isolation], tandem_status_name(timeout));
        printf("cancel %s: %s\n", places[isolation], tandem_status_name(cancel));
        good = good && timeout == TANDEM_TIMED_OUT && cancel == TANDEM_CANCELLED;
    }
    tandem_pool_destroy(pool);
    return good ? 0 : 1;
}
