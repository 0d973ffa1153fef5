/* survive_crash.c - you will see a task die of a bad pointer, and the next one answer as if nothing had happened.
 *
 *     parse "12" ended ok: 24
 *     parse crashed: SIGSEGV (worker 1, pid 4711, after 0.4 ms)
 *     parse "21" ended ok: 42
 */
#include "tandem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A typical old parser: it looks for a number, and when there is none it goes wherever its pointer leads. */
static int parse(tandem_context *context, void *input, size_t size)
{
    (void)size;
    char *digits = strpbrk(input, "0123456789");
    int *volatile number = digits != NULL ? &(int){atoi(digits)} : NULL;
    *number *= 2;
    return tandem_reply(context, number, sizeof *number);
}

/* Parses in a worker process and says what came of it.  Returns the tandem_status. */
static int try_to_parse(tandem_pool *pool, char *text)
{
    tandem_task task = {.run = parse, .input = text, .input_size = strlen(text) + 1, .isolation = TANDEM_PROCESS, .name = "parse"};
    int status = tandem_call(pool, &task);
    if (status == TANDEM_OK) {
        int number;
        memcpy(&number, task.output, sizeof number);
        printf("parse \"%s\" ended ok: %d\n", text, number);
    } else {
        char line[200];
        tandem_describe(&task, line, sizeof line);
        puts(line);
    }
    tandem_task_clear(&task);
    return status;
}

int main(void)
{
    tandem_pool *pool;
    if (tandem_init() != 0 || tandem_pool_create(&pool, &(tandem_options){.processes = 1}) != 0) return 1;
    int before = try_to_parse(pool, (char[]){"12"});
    int crash = try_to_parse(pool, (char[]){"x"});
    int after = try_to_parse(pool, (char[]){"21"});
    tandem_pool_destroy(pool);
    return before == TANDEM_OK && crash == TANDEM_CRASHED && after == TANDEM_OK ? 0 : 1;
}
