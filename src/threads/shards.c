/* shards.c - the queue before a pool's threads in several parts. */
#include "threads/shards.h"

_Thread_local uint32_t tdm_shards_thread;

void tdm_shards_number(void)
{
    static _Atomic uint32_t threads;
    while ((tdm_shards_thread = add_seq(&threads, 1)) == 0) continue; /* also when it has gone round */
}

void tdm_shards_open(struct tdm_shards *shards, uint32_t threads)
{
    uint32_t count = 1;
    while (2 * count <= threads && 2 * count <= TDM_SHARDS_MOST) count *= 2;
    shards->last = count - 1;
}

bool tdm_shards_have_something(const struct tdm_shards *shards)
{
    uintptr_t words = 0;
    for (uint32_t i = 0; i <= shards->last; i++) words |= load_acquire(&shards->parts[i].injector.word); /* [injector] */
    return words & ~(TDM_INJECTOR_ASK | TDM_INJECTOR_CALL);
}

bool tdm_shards_are_empty(struct tdm_shards *shards)
{
    for (uint32_t i = 0; i <= shards->last; i++)
        if (!tdm_injector_is_empty(tdm_shards_part(shards, i))) return false;
    return true;
}

bool tdm_shards_hold_more_than(struct tdm_shards *shards, uint32_t count)
{
    uint32_t most = count + 1;
    for (uint32_t i = 0; i <= shards->last && most > 0; i++) most -= tdm_injector_look_for(tdm_shards_part(shards, i), most);
    return most == 0;
}

bool tdm_shards_ask_for_call(struct tdm_shards *shards)
{
    for (uint32_t i = 0; i <= shards->last; i++)
        if (!tdm_injector_ask_for_call(tdm_shards_part(shards, i))) return false;
    return true;
}

void tdm_shards_ask_for_call_anyway(struct tdm_shards *shards)
{
    for (uint32_t i = 0; i <= shards->last; i++) tdm_injector_ask_for_call_anyway(tdm_shards_part(shards, i));
}

void tdm_shards_ask_for_no_call(struct tdm_shards *shards)
{
    for (uint32_t i = 0; i <= shards->last; i++) tdm_injector_ask_for_no_call(tdm_shards_part(shards, i));
}

uint64_t tdm_shards_count(struct tdm_shards *shards)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i <= shards->last; i++) count += tdm_injector_count(tdm_shards_part(shards, i));
    return count;
}

void tdm_shards_close(struct tdm_shards *shards)
{
    for (uint32_t i = 0; i <= shards->last; i++) tdm_injector_close(tdm_shards_part(shards, i));
}
