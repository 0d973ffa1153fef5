/* verdict.c - how a task ends whose worker has died. */
#include "process/verdict.h"

#include "child/process_worker.h"

/* The host's own decision first: the death is then only its consequence. */
struct tdm_outcome tdm_verdict(const struct tdm_death *death, int decided, const char *step)
{
    if (decided != 0 && decided != TANDEM_CRASHED)
        return (struct tdm_outcome){.status = decided, .signal = death->signal, .step = step};
    struct tdm_outcome crashed = {.status = TANDEM_CRASHED, .step = step};
    if (step) return crashed;
    if (!death->known) {
        crashed.step = "its process ended, its status was lost";
    } else if (death->signal != 0) {
        crashed.signal = death->signal;
    } else {
        crashed.code = death->code;
        if (death->code == TDM_EXIT_CHANNEL_LOST) crashed.step = "it closed its worker's descriptors";
    }
    return crashed;
}
