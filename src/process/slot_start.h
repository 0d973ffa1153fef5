/* slot_start.h - what the start of a worker and the rest of its life share; the reactor's. */
#ifndef TDM_PROCESS_SLOT_START_H
#define TDM_PROCESS_SLOT_START_H

#include "process/slot.h"

void tdm_slot_start_failed(struct tdm_slot *slot, const char *step, int error);
void tdm_slot_requests_ready(struct tdm_source *source, unsigned events);
void tdm_slot_parcels_ready(struct tdm_source *source, unsigned events);

#endif
