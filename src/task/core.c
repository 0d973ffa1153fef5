/* core.c - what both lanes of a pool share. */
#include "task/core.h"

#include "base/reactor.h"

struct tdm_pool_data *tdm_core_keep_data(struct tdm_core *core)
{
    if (load_seq(&core->data_version) == 0) return NULL; /* [data-version] */
    tdm_lock(&core->data_lock, TDM_RANK_DATA);
    struct tdm_pool_data *data = core->data;
    tdm_pool_data_keep(data);
    tdm_unlock(&core->data_lock, TDM_RANK_DATA);
    return data;
}

/* The flag is looked at without the lock: it goes from 0 to 1 once, and then the reactor is there until the pool's end. */
int tdm_core_need_reactor(struct tdm_core *core)
{
    if (load_seq(&core->holds_reactor)) return 0;
    tdm_lock(&core->reactor_lock, TDM_RANK_NEED);
    int error = load_seq(&core->holds_reactor) ? 0 : tdm_reactor_hold();
    if (error == 0) store_seq(&core->holds_reactor, 1);
    tdm_unlock(&core->reactor_lock, TDM_RANK_NEED);
    return error;
}

void tdm_core_release_reactor(struct tdm_core *core)
{
    if (exchange_seq(&core->holds_reactor, 0)) tdm_reactor_release();
}
