/* member.c - which member of a pool's shared memory is this process? */
#include "job/member.h"

/* Written while a worker has one thread. */
static struct {
    uint32_t number; /* 0: no worker, or none any more */
    uintptr_t start;
    size_t size;
    struct tdm_holdings *holdings;
    _Atomic uint32_t held; /* of them; written by all threads [held-locks] */
} self;

void tdm_member_become(uint32_t number, uintptr_t start, size_t size, struct tdm_holdings *holdings)
{
    self.number = number;
    self.start = start;
    self.size = size;
    self.holdings = holdings;
    store_seq(&self.held, 0); /* [held-locks] */
}

void tdm_member_leave(void) { self.number = TDM_MEMBER_NONE; }

uint32_t tdm_member_at(const void *address)
{
    bool is_workers = (uintptr_t)address - self.start < self.size;
    return is_workers ? self.number : TDM_MEMBER_HOST;
}

bool tdm_member_is_worker(void) { return self.number != TDM_MEMBER_NONE; }

/* Several threads of a task may look for a place at the same time. [holdings] */
static bool replace(uint64_t old, uint64_t new)
{
    for (size_t i = 0; i < TDM_HOLDINGS; i++) {
        uint64_t found = old;
        /* relaxed: only a hint whether the exchange is worth while */
        if (load_relaxed(&self.holdings->at[i]) == old && cas_seq(&self.holdings->at[i], &found, new)) return true;
    }
    return false;
}

bool tdm_member_hold(const void *address)
{
    if (tdm_member_at(address) == TDM_MEMBER_HOST) return true;
    bool has_place = replace(0, (uint64_t)(uintptr_t)address);
    if (has_place) add_seq(&self.held, 1); /* [held-locks] */
    return has_place;
}

void tdm_member_drop(const void *address)
{
    if (tdm_member_at(address) == TDM_MEMBER_HOST) return;
    if (replace((uint64_t)(uintptr_t)address, 0)) add_seq(&self.held, (uint32_t)-1); /* [held-locks] */
}

bool tdm_member_holds_any(void) { return load_seq(&self.held) != 0; } /* [held-locks] */
