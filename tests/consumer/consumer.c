/* consumer.c - what a user's program does first: one function on a thread and in a process. Both C and C++. */
#include <stdio.h>
#include <string.h>
#include <tandem.h>

static int reverse(tandem_context *context, void *input, size_t size)
{
    const char *text = (const char *)input;
    char reversed[16];
    if (size > sizeof(reversed)) return 1;
    for (size_t i = 0; i < size; i++) reversed[i] = text[size - 1 - i];
    return tandem_reply(context, reversed, size);
}

static int reverses(tandem_pool *pool, int isolation)
{
    char word[] = "desserts";
    tandem_task task;
    memset(&task, 0, sizeof(task));
    task.run = reverse;
    task.input = word;
    task.input_size = strlen(word);
    task.isolation = isolation;
    int status = tandem_call(pool, &task);
    int right = status == TANDEM_OK && strcmp((const char *)task.output, "stressed") == 0;
    if (!right) fprintf(stderr, "isolation %d: %s\n", isolation, tandem_status_name(status));
    tandem_task_clear(&task);
    return right;
}

int main(void)
{
    tandem_pool *pool;
    if (tandem_init() != 0 || tandem_pool_create(&pool, NULL) != 0) return 1;
    int right = reverses(pool, TANDEM_THREAD) && reverses(pool, TANDEM_PROCESS);
    if (tandem_pool_destroy(pool) != 0 || !right) return 1;
    puts("a consumer works");
    return 0;
}
