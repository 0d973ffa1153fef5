/* worker_thread.c - what `new Worker()` is in Node: a thread that receives messages, answers them, and counts in memory that both sides see.
 *
 *     main: started
 *     worker: counted to 1000
 *     worker: counted to 3000
 *     worker: counted to 6000
 *     main: the worker ended ok, and the buffer says 6000
 */
#include "tandem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* The worker: its input is the buffer, its messages say how far to count. */
static int count(tandem_context *context, void *input, size_t size)
{
    atomic_int *counter = input;
    tandem_message message;
    (void)size;
    while (tandem_receive(context, &message, -1) == 0) {
        int more;
        memcpy(&more, message.data, sizeof more);
        for (int i = 0; i < more; i++) atomic_fetch_add(counter, 1);
        char answer[40];
        int length = snprintf(answer, sizeof answer, "counted to %d", atomic_load(counter));
        int error = tandem_send(context, &(tandem_message){.data = answer, .size = (size_t)length}, -1);
        if (error != 0) return 1;
    }
    return 0; /* closed: there will be no more */
}

/* worker.on('message', ...) */
static void on_message(tandem_task *worker, const tandem_message *message)
{
    (void)worker;
    printf("worker: %s\n", (const char *)message->data);
}

int main(void)
{
    atomic_int counter = 0;
    tandem_pool *pool;
    tandem_task worker = {
        .run = count, .input = &counter, .input_size = sizeof counter, .flags = TANDEM_DEDICATED, .on_message = on_message};
    if (tandem_pool_create(&pool, &(tandem_options){.threads = 1, .processes = TANDEM_NONE}) != 0) return 1;
    puts("main: started");
    if (tandem_submit(pool, &worker) != 0) return 1;
    for (int more = 1000; more <= 3000; more += 1000) /* worker.postMessage(...) */
        if (tandem_post(&worker, &(tandem_message){.data = &more, .size = sizeof more}, -1) != 0) return 1;
    if (tandem_close(&worker) != 0) return 1;
    tandem_pool_drain(pool, -1); /* its end, and the last message before it */
    printf("main: the worker ended %s, and the buffer says %d\n", tandem_status_name(worker.status), atomic_load(&counter));
    tandem_task_clear(&worker);
    tandem_pool_destroy(pool);
    return atomic_load(&counter) == 6000 ? 0 : 1;
}
