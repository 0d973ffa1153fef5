/* child_process.c - what fork() is in Node's child_process: a process that receives messages and answers them.  This one crashes when told to,
 * and another takes its place.
 *
 *     child 1: the sum is 499999500000
 *     child crashed: SIGABRT in libc.so.6, called from child+0x7b (child_process) (worker 1, pid 4711, after 3.1 ms)
 *     child 2: the sum is 499999500000
 *     child ended well (worker 2, pid 4712, after 2.9 ms)
 */
#include "tandem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* process.on('message', ...), in the child. */
static int child(tandem_context *context, void *input, size_t size)
{
    tandem_message message;
    (void)input, (void)size;
    while (tandem_receive(context, &message, -1) == 0) {
        if (strcmp(message.data, "Start Processing") != 0) abort(); /* anything else is unbearable */
        uint64_t sum = 0;
        for (uint64_t i = 0; i < 1000000; i++) sum += i;
        char answer[64];
        int length = snprintf(answer, sizeof answer, "the sum is %" PRIu64, sum);
        if (tandem_send(context, &(tandem_message){.data = answer, .size = (size_t)length}, -1) != 0) return 1;
    }
    return 0;
}

/* ---- the parent ---- */

struct parent {
    tandem_pool *pool;
    int children; /* started so far */
    int answers;
};

static int post(tandem_task *task, const char *text)
{
    return tandem_post(task, &(tandem_message){.data = text, .size = strlen(text)}, -1);
}

static int start(struct parent *parent, tandem_task *task)
{
    parent->children++;
    int error = tandem_submit(parent->pool, task);
    return error != 0 ? error : post(task, "Start Processing");
}

/* child.on('message', ...) */
static void on_message(tandem_task *task, const tandem_message *message)
{
    struct parent *parent = task->user_data;
    printf("child %d: %s\n", parent->children, (const char *)message->data);
    parent->answers++;
    if (parent->children == 1)
        post(task, "crash");
    else
        tandem_close(task);
}

/* child.on('exit', ...) */
static void on_done(tandem_task *task)
{
    struct parent *parent = task->user_data;
    char line[300];
    tandem_describe(task, line, sizeof line);
    puts(line);
    if (task->status == TANDEM_CRASHED && parent->children == 1) start(parent, task);
}

int main(void)
{
    struct parent parent = {0};
    tandem_task task = {.run = child,
                        .isolation = TANDEM_PROCESS,
                        .flags = TANDEM_DEDICATED,
                        .name = "child",
                        .on_message = on_message,
                        .on_done = on_done,
                        .user_data = &parent};
    if (tandem_init() != 0 || tandem_pool_create(&parent.pool, &(tandem_options){.processes = 1}) != 0) return 1;
    if (start(&parent, &task) != 0) return 1;
    tandem_pool_drain(parent.pool, -1); /* the children end, and their callbacks return */
    tandem_task_clear(&task);
    tandem_pool_destroy(parent.pool);
    return parent.children == 2 && parent.answers == 2 && task.status == TANDEM_OK ? 0 : 1;
}
