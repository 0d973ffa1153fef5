/* scan_poison.c - crash, loop for ever, eat memory: what isolation is for. */
#define _XOPEN_SOURCE 700
#include "scan_poison.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define BITE         ((size_t)1 << 20)
#define MEMORY_LIMIT ((size_t)128 << 20)

/* These deaths are meant: they need no core file. */
static void leave_no_core(void) { setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); }

static int crash(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    leave_no_core();
    volatile int *volatile nowhere = NULL; /* volatile twice, or the compiler may see that nothing comes of it */
    *nowhere = 1;
    return 0;
}

static int loop_for_ever(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    for (volatile int for_ever = 1; for_ever;) continue;
    return 0;
}

/* Takes memory until the system refuses, then gives up, as a program with no plan for that does.  The limit is this
 * worker's alone and keeps the machine safe; where a system ignores RLIMIT_AS, the count does. */
static int eat_memory(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    leave_no_core();
    setrlimit(RLIMIT_AS, &(struct rlimit){MEMORY_LIMIT, MEMORY_LIMIT});
    for (size_t eaten = 0; eaten < MEMORY_LIMIT; eaten += BITE) {
        void *volatile bite = malloc(BITE);
        if (bite == NULL) break;
        memset(bite, 0x5a, BITE);
    }
    abort();
}

const struct scan_poison scan_poisons[SCAN_POISONS] = {
    {"crashes", crash, 0},
    {"loops for ever", loop_for_ever, SCAN_POISON_TIMEOUT_MS},
    {"eats memory", eat_memory, 0},
};
