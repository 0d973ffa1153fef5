/* plugin.c - a plugin with a tandem of its own inside. Built twice, with different values of ADDEND, for plugin_host.c. */
#include "plugin.h"
#include <string.h>
#include <tandem.h>

static tandem_pool *pool;

static int add(tandem_context *context, void *input, size_t size)
{
    int number;
    if (size != sizeof(number)) return 1;
    memcpy(&number, input, sizeof(number));
    number += ADDEND;
    return tandem_reply(context, &number, sizeof(number));
}

static int added(int number, int isolation)
{
    tandem_task task = {.run = add, .input = &number, .input_size = sizeof(number), .isolation = isolation};
    int sum = -1;
    int status = tandem_call(pool, &task);
    if (status == TANDEM_OK && task.output_size == sizeof(sum)) memcpy(&sum, task.output, sizeof(sum));
    tandem_task_clear(&task);
    return sum;
}

static int start(void) { return tandem_init(); }

static int open_pool(void) { return tandem_pool_create(&pool, NULL); }

static int add_twice(int number) { return added(added(number, TANDEM_THREAD), TANDEM_PROCESS); }

static int stop(void)
{
    int error = tandem_pool_destroy(pool);
    return error != 0 ? error : tandem_quit();
}

__attribute__((visibility("default"))) const struct plugin plugin_functions = {start, open_pool, add_twice, stop};
