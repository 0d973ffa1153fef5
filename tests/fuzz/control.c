/* control.c - fuzz target: host and worker move the words of the control page, and the worker writes there what it likes.
 *
 * The input: steps of ten bytes, each an operation, an entry and a number. */
#include "fuzz.h"

#include "base/atomics.h"
#include "job/control.h"

#include <string.h>

struct step {
    uint8_t what;
    unsigned entry;
    uint64_t number;
    enum tdm_control_state from, to;
    uint64_t sequence;
};

static struct step read_step(const uint8_t *bytes)
{
    struct step step = {.what = bytes[0], .entry = bytes[1] % TDM_CONTROL_WORDS};
    memcpy(&step.number, bytes + 2, sizeof step.number);
    step.from = (enum tdm_control_state)(step.number & 7);
    step.to = (enum tdm_control_state)(step.number >> 3 & 7);
    step.sequence = step.number >> 16;
    return step;
}

/* words: what the page must hold. */
static void take_step(struct tdm_control *control, uint64_t *words, const struct step *step)
{
    uint64_t *word = &words[step->entry];
    uint64_t before = tdm_control_word(step->sequence, step->from);
    switch (step->what % 4) {
    case 0: /* the worker writes */
        *word = step->number;
        store_seq(&control->words[step->entry].now, step->number);
        break;
    case 1:
        *word = tdm_control_word(step->sequence, TDM_OFFERED);
        tdm_control_offer(control, step->entry, step->sequence);
        break;
    case 2: {
        bool moves = *word == before;
        must(tdm_control_move(control, step->entry, step->sequence, step->from, step->to) == moves);
        if (moves) *word = tdm_control_word(step->sequence, step->to);
        break;
    }
    default: must(tdm_control_is(control, step->entry, step->sequence, step->from) == (*word == before)); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static union {
        struct tdm_control control;
        uint8_t page[TDM_CONTROL_SIZE];
    } shared;
    uint64_t words[TDM_CONTROL_WORDS] = {0};
    memset(&shared, 0, sizeof shared);
    for (; size >= 10; data += 10, size -= 10) {
        struct step step = read_step(data);
        take_step(&shared.control, words, &step);
        for (unsigned i = 0; i < TDM_CONTROL_WORDS; i++) must(load_seq(&shared.control.words[i].now) == words[i]);
    }
    for (size_t i = sizeof shared.control.words; i < sizeof shared; i++) must(shared.page[i] == 0);
    return 0;
}
