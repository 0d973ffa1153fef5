/* memory_left_test.c - how much memory there is, as far as the system tells. */
#include "harness.h"

#include "base/memory_left.h"

#include <unistd.h>

static void there_is_some_and_not_more_than_the_machine_has(void)
{
    skip_without("/proc/meminfo", "the system's memory shows there");
    uint64_t left = tdm_memory_left(), all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    assert_in_range(left, 1 << 20, 4 * all); /* and some swap */
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(there_is_some_and_not_more_than_the_machine_has),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
