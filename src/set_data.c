/* set_data.c - what a program sets for the tasks and workers of a pool that start later. */
#include "job/mail.h"
#include "job/pool_data.h"
#include "pool.h"
#include "quiet.h"

#include <errno.h>
#include <string.h>

/* All of it travels in one frame. */
static bool is_too_large(const struct tdm_pool_data *old, const char *key, size_t size)
{
    size_t most = TDM_MESSAGE_MOST - 4096, has = old ? old->size : 0, length = strlen(key);
    return size > most || length > most - size || has > most - size - length;
}

/* A set that another thread makes meanwhile is not lost. */
static int set(struct tdm_core *core, const char *key, const void *data, size_t size)
{
    int error = 0;
    tdm_lock(&core->data_lock, TDM_RANK_DATA);
    struct tdm_pool_data *old = core->data, *new = NULL;
    if (data && is_too_large(old, key, size))
        error = -EMSGSIZE;
    else if (!(new = tdm_pool_data_with(old, key, data, size)))
        error = -ENOMEM;
    if (new) core->data = new;
    if (new) store_seq(&core->data_version, new->version); /* [data-version] */
    tdm_unlock(&core->data_lock, TDM_RANK_DATA);
    if (new) tdm_pool_data_let_go(old);
    return error;
}

int tandem_pool_set_data(tandem_pool *pool, const char *key, const void *data, size_t size)
{
    int error = tdm_pool_check(pool);
    if (error != 0) return error;
    if (!key || (!data && size > 0)) return -EINVAL;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, set(&pool->core, key, data, size));
}
