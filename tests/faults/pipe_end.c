/* pipe_end.c - a worker's pipe that ends before its worker does: how often the host reads there, by the library's own count. */
#include "harness.h"

#include <unistd.h>

#include "base/fault.h"

/* Goes on for a while, so that a host that looks again and again shows. */
static int close_and_go_on(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    for (int fd = 3; fd < 1024; fd++) close(fd);
    for (int i = 0; i < 200; i++) moment();
    return 0;
}

/* promise 28 */
static void a_pipe_that_has_ended_is_not_read_again_and_again(void)
{
    enum { FEW = 20 };
    tandem_options options = {.pipes_only = 1};
    assert_int_equal(tdm_fault_open(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    for (int i = 0; i < 3; i++) {
        tandem_task first = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        tandem_task task = task_of(TANDEM_PROCESS, close_and_go_on, NULL, 0);
        assert_int_equal(tandem_call(pool, &first), TANDEM_OK); /* there is a worker to wait for */
        uint64_t read = tdm_fault_passes(TDM_FAULT_host_reply_read);
        assert_int_equal(tandem_call(pool, &task), TANDEM_CRASHED);
        assert_in_range(tdm_fault_passes(TDM_FAULT_host_reply_read) - read, 0, FEW);
        tandem_task_clear(&first);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_pipe_that_has_ended_is_not_read_again_and_again),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
