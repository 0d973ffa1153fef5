/* standalone.c - runs a fuzz target where there is no libFuzzer: its seeds as they are, then changed at random.
 *
 *   TARGET [--seconds N] [--save FILE] SEED...
 *
 * The target runs in a child; the input that ends it is saved. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/dice.h"

#define SIZE_MOST  16384u
#define SEEDS_MOST 256u

struct input {
    size_t size;
    uint8_t bytes[SIZE_MOST];
};

/* Seen by the parent: the input that is being run. */
static struct shared {
    unsigned long runs;
    struct input now;
} * shared;

static struct input *seeds[SEEDS_MOST];
static unsigned seed_count;

static void read_seed(const char *path)
{
    struct input *seed = calloc(1, sizeof *seed);
    FILE *file = fopen(path, "rb");
    if (!seed || !file || seed_count == SEEDS_MOST) {
        perror(path);
        exit(2);
    }
    seed->size = fread(seed->bytes, 1, sizeof seed->bytes, file);
    fclose(file);
    seeds[seed_count++] = seed;
}

/* The target gets memory of just that size, so that a sanitizer sees a read beyond it. */
static void run(void)
{
    uint8_t *exact = malloc(shared->now.size > 0 ? shared->now.size : 1);
    if (!exact) abort();
    memcpy(exact, shared->now.bytes, shared->now.size);
    LLVMFuzzerTestOneInput(exact, shared->now.size);
    free(exact);
    shared->runs++;
}

/* ---- changing ---- */

static void insert(struct input *input, size_t at, const uint8_t *bytes, size_t size)
{
    if (size > SIZE_MOST - input->size) size = SIZE_MOST - input->size;
    uint8_t copy[64];
    if (size > sizeof copy) size = sizeof copy;
    memcpy(copy, bytes, size);
    memmove(input->bytes + at + size, input->bytes + at, input->size - at);
    memcpy(input->bytes + at, copy, size);
    input->size += size;
}

static void cut(struct input *input, size_t at, size_t size)
{
    if (size > input->size - at) size = input->size - at;
    memmove(input->bytes + at, input->bytes + at + size, input->size - at - size);
    input->size -= size;
}

static void write_number(struct input *input, struct dice *dice, size_t at)
{
    static const uint64_t numbers[] = {0, 1, 63, 64, 65, 4095, 4096, 65535, 65536, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
    uint64_t number = numbers[roll_below(dice, sizeof numbers / sizeof *numbers)];
    size_t size = (size_t)1 << roll_below(dice, 4);
    if (size > input->size - at) size = input->size - at;
    memcpy(input->bytes + at, &number, size);
}

static void change(struct input *input, struct dice *dice)
{
    size_t at = roll_below(dice, (uint32_t)input->size + 1), size = 1 + roll_below(dice, 1u << roll_below(dice, 7));
    const struct input *other = seeds[roll_below(dice, seed_count)];
    size_t from = roll_below(dice, (uint32_t)other->size + 1);
    switch (roll_below(dice, 6)) {
    case 0:
        if (at < input->size) input->bytes[at] ^= (uint8_t)(1u << roll_below(dice, 8));
        break;
    case 1:
        if (at < input->size) input->bytes[at] = (uint8_t)roll(dice);
        break;
    case 2: write_number(input, dice, at); break;
    case 3: cut(input, at, size); break;
    case 4: insert(input, at, other->bytes + from, size < other->size - from ? size : other->size - from); break;
    default:
        from = roll_below(dice, (uint32_t)input->size + 1);
        insert(input, at, input->bytes + from, size < input->size - from ? size : input->size - from);
        break;
    }
}

static void run_all(long seconds)
{
    struct dice dice = {((uint64_t)time(NULL) << 20 ^ (uint64_t)getpid()) | 1};
    time_t end = time(NULL) + seconds;
    for (unsigned i = 0; i < seed_count; i++) {
        shared->now = *seeds[i];
        run();
    }
    while (seed_count > 0 && time(NULL) < end) {
        shared->now = *seeds[roll_below(&dice, seed_count)];
        for (uint32_t changes = 1 + roll_below(&dice, 8); changes > 0; changes--) change(&shared->now, &dice);
        run();
    }
}

static int save(const char *path)
{
    FILE *file = fopen(path, "wb");
    if (file) fwrite(shared->now.bytes, 1, shared->now.size, file);
    if (file) fclose(file);
    fprintf(stderr, "the input that did this is %s\n", path);
    return 1;
}

int main(int argc, char **argv)
{
    long seconds = 0;
    const char *file = "crash-standalone";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atol(argv[++i]);
        else if (strcmp(argv[i], "--save") == 0 && i + 1 < argc)
            file = argv[++i];
        else
            read_seed(argv[i]);
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return 2;
    pid_t pid = fork();
    if (pid == 0) {
        alarm((unsigned)seconds + 60); /* one that hangs */
        run_all(seconds);
        exit(0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return 2;
    printf("Done %lu runs in %ld second(s)\n", shared->runs, seconds);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : save(file);
}
