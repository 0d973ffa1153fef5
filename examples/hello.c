/* hello.c - you will see HELLO, made from "hello" in another process. */
#include "tandem.h"

#include <ctype.h>
#include <stdio.h>

static int shout(tandem_context *context, void *input, size_t size)
{
    char *text = input;
    for (size_t i = 0; i < size; i++) text[i] = (char)toupper((unsigned char)text[i]);
    return tandem_reply(context, text, size);
}

int main(void)
{
    char word[] = "hello";
    tandem_pool *pool;
    tandem_task task = {.run = shout, .input = word, .input_size = 5, .isolation = TANDEM_PROCESS};
    if (tandem_init() != 0 || tandem_pool_create(&pool, NULL) != 0) return 1;
    int status = tandem_call(pool, &task);
    if (status == TANDEM_OK) puts(task.output);
    tandem_task_clear(&task);
    tandem_pool_destroy(pool);
    return status == TANDEM_OK ? 0 : 1;
}
