/* pipeline.c - you will see the three commonest words of a text, counted by five programs connected by pipes, and how each ended.
 *
 *           4 fox
 *           4 the
 *           3 dog
 *     tr: ok
 *     ...
 *
 * Each stage is a task of its own.  The text is fed in at the front while the last one's output is read, so no text is too
 * long. */
#include "tandem.h"

#include <stdio.h>
#include <string.h>

enum { STAGES = 5 };

static char text[] = "the quick fox and the lazy dog\nthe fox sleeps, dog or no dog in sight; a fox, a fox!\n"
                     "the end\n";

static const char *const split[] = {"tr", "-cs", "a-z", "\n", NULL};
static const char *const sort[] = {"sort", NULL};
static const char *const count[] = {"uniq", "-c", NULL};
static const char *const order[] = {"sort", "-k1,1nr", "-k2,2", NULL};
static const char *const first[] = {"head", "-n", "3", NULL};

int main(void)
{
    const char *const *const programs[STAGES] = {split, sort, count, order, first};
    tandem_command commands[STAGES];
    tandem_task tasks[STAGES], *pointers[STAGES];
    tandem_pool *pool;
    int good = 1;
    if (tandem_init() != 0 || tandem_pool_create(&pool, NULL) != 0) return 1;
    for (int i = 0; i < STAGES; i++) {
        commands[i] = (tandem_command){.argv = programs[i]};
        tasks[i] = (tandem_task){.command = &commands[i]};
        pointers[i] = &tasks[i];
    }
    tasks[0].input = text;
    tasks[0].input_size = strlen(text);
    if (tandem_pipeline(pool, pointers, STAGES) != 0) return 1;
    for (int i = 0; i < STAGES; i++) good = tandem_wait(&tasks[i]) == TANDEM_OK && good;
    if (tasks[STAGES - 1].output) printf("%s", (const char *)tasks[STAGES - 1].output);
    for (int i = 0; i < STAGES; i++) {
        printf("%s: %s\n", tasks[i].report->name, tandem_status_name(tasks[i].status));
        tandem_task_clear(&tasks[i]);
    }
    tandem_pool_destroy(pool);
    return good ? 0 : 1;
}
