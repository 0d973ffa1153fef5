/* cheap_starts.c - what a worker's start costs has nothing to do with how large the program has become.  Counted, not timed. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct costs {
    long faults; /* pages that were copied or made since its fork */
    long tables; /* KiB of page tables */
};

static long field_of_status(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && value < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0) value = strtol(line + strlen(name), NULL, 10);
    if (file != NULL) fclose(file);
    return value;
}

static int count_costs(tandem_context *context, void *input, size_t size)
{
    (void)input, (void)size;
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return __LINE__;
    struct costs costs = {.faults = usage.ru_minflt, .tables = field_of_status("VmPTE:")};
    if (costs.tables < 0) return __LINE__;
    return tandem_reply(context, &costs, sizeof costs);
}

static struct costs costs_of_a_fresh_worker(tandem_pool *pool)
{
    struct costs costs;
    tandem_task task = task_of(TANDEM_PROCESS, count_costs, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    expect_end(&task, TANDEM_OK);
    memcpy(&costs, task.output, sizeof costs);
    tandem_task_clear(&task);
    return costs;
}

/* promise 39 */
static void a_workers_start_does_not_grow_with_its_host(void)
{
    skip_without("/proc/self/status", "nobody else tells the size of page tables");
    tandem_options options = {.tasks_per_worker = 1};
    assert_int_equal(tandem_init(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    struct costs before = costs_of_a_fresh_worker(pool);
    const size_t size = full_run() ? (size_t)1 << 30 : (size_t)128 << 20;
    char *memory = malloc(size);
    assert_non_null(memory);
    for (size_t i = 0; i < size; i += 1024) memory[i] = (char)i;
    costs_of_a_fresh_worker(pool); /* its successor may have been ready before */
    struct costs after = costs_of_a_fresh_worker(pool);
    free(memory);
    end_pool(pool);
    /* 128 MiB are 32 768 pages and 256 KiB of tables */
    assert_in_range(after.tables, 0, before.tables + 64);
    assert_in_range(after.faults, 0, before.faults * 2 + 200);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {test(a_workers_start_does_not_grow_with_its_host)};
    return harness_main(argc, argv, tests, count_of(tests));
}
