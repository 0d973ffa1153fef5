/* memory_left_test.c - how much memory there is, as far as the system tells. */
#include "harness.h"

#include "base/memory_left.h"

#include <stdlib.h>
#include <unistd.h>

static void there_is_some_and_not_more_than_the_machine_has(void)
{
    skip_without("/proc/meminfo", "the system's memory shows there");
    uint64_t left = tdm_memory_left(), all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_in_range(left, 1 << 20, 4 * all); /* and some swap */
}

static void what_was_taken_is_not_left(void)
{
    enum { SIZE = 64 << 20 };
    skip_without("/proc/meminfo", "the system's memory shows there");
    skip_under_valgrind("it has memory of its own");
    for (int tries = 0; tries < 100; tries++) { /* others take and give back at the same time */
        uint64_t before = tdm_memory_left();
        volatile char *memory = malloc(SIZE);
        assert_non_null(memory);
        for (size_t i = 0; i < SIZE; i += 4096) memory[i] = 1;
        uint64_t after = tdm_memory_left();
        free((void *)(uintptr_t)memory);
        if (after + SIZE / 2 < before) return;
    }
    fail_msg("64 MiB more or less make no difference");
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(there_is_some_and_not_more_than_the_machine_has),
        test(what_was_taken_is_not_left),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
