/* pipeline.c - commands that are connected by pipes: submitted together, or none of them. */
#include "base/memory.h"
#include "command/command_check.h"
#include "pool.h"
#include "quiet.h"
#include "submission.h"

#include <errno.h>

static int check_pipeline(struct tandem_pool *pool, tandem_task *const *tasks, size_t count)
{
    if (!pool || !tasks || count == 0) return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        int error = tdm_submission_check(pool, tasks[i]);
        if (error == 0) error = tasks[i]->command ? tdm_command_check_stage(tasks[i], i, count) : -EINVAL;
        if (error == 0 && tasks[i]->priority != tasks[0]->priority) error = -EINVAL;
        if (error != 0) return error;
    }
    return 0;
}

static void put_all_back(tandem_task *const *tasks, struct tdm_submission *ways, size_t count)
{
    while (count-- > 0) tdm_submission_put_back(tasks[count], &ways[count]);
}

/* Each is claimed and made ready; if one cannot be, all are as they were. */
static int make_all_ready(struct tandem_pool *pool, tandem_task *const *tasks, struct tdm_submission *ways,
                          struct tdm_task **privates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int error = tdm_submission_claim(tasks[i], &ways[i]);
        if (error == 0) error = tdm_submission_make_ready(pool, tasks[i], &ways[i]);
        if (error != 0) {
            put_all_back(tasks, ways, i);
            return error;
        }
        privates[i] = tdm_task_of(tasks[i]);
    }
    return 0;
}

static int submit_pipeline(struct tandem_pool *pool, tandem_task *const *tasks, size_t count)
{
    int error = check_pipeline(pool, tasks, count);
    if (error != 0) return error;
    struct tdm_submission *ways = tdm_calloc(count, sizeof *ways);
    struct tdm_task **privates = tdm_calloc(count, sizeof *privates);
    error = ways && privates ? make_all_ready(pool, tasks, ways, privates, count) : -ENOMEM;
    if (error == 0) {
        error = tdm_command_lane_submit_pipeline(&pool->commands, privates, count);
        if (error != 0) put_all_back(tasks, ways, count);
        for (size_t i = 0; error == 0 && i < count; i++) tdm_submission_drop_old_results(&ways[i]);
    }
    free(ways);
    free(privates);
    return error;
}

int tandem_pipeline(tandem_pool *pool, tandem_task *const *tasks, size_t count)
{
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, submit_pipeline(pool, tasks, count));
}
