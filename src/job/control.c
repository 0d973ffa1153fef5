/* control.c - the words that say who has a task. */
#include "job/control.h"

#include "base/atomics.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a word shared between processes must not hide a lock");
_Static_assert(sizeof(struct tdm_control) <= TDM_CONTROL_SIZE, "the words fit the page");

uint64_t tdm_control_word(uint64_t sequence, enum tdm_control_state state) { return sequence << 16 | (uint64_t)state; }

/* Other side: the worker's claim in tdm_control_move [control-word]. */
void tdm_control_offer(struct tdm_control *control, unsigned entry, uint64_t sequence)
{
    store_seq(&control->word[entry], tdm_control_word(sequence, TDM_OFFERED));
}

bool tdm_control_is(const struct tdm_control *control, unsigned entry, uint64_t sequence, enum tdm_control_state state)
{
    return load_seq(&control->word[entry]) == tdm_control_word(sequence, state);
}

bool tdm_control_move(struct tdm_control *control, unsigned entry, uint64_t sequence, enum tdm_control_state from,
                      enum tdm_control_state to)
{
    uint64_t expected = tdm_control_word(sequence, from);
    return cas_seq(&control->word[entry], &expected, tdm_control_word(sequence, to));
}
