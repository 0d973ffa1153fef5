/* payload.h - memory for inputs and outputs: malloc() and free(), except for large ones.
 *
 * The first touch of fresh memory costs several times as much as copying to it.  So large payloads come in large pages where the system has
 * them; and a worker keeps the memory of its last task's large payloads for its next task, if that follows soon. */
#ifndef TDM_JOB_PAYLOAD_H
#define TDM_JOB_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

/* For who will write all of it; free() frees it.  NULL: there is none. */
void *tdm_payload_fresh(size_t size);

/* The same for a worker's own thread: what it frees with the second of these is kept, if large, ... */
void *tdm_payload_alloc(size_t size);
void tdm_payload_free(void *memory);
void tdm_payload_set_keeping(bool keeps); /* nothing is before this */

/* ... until this is called: gives back what is kept and not in use. */
void tdm_payload_drop(void);
bool tdm_payload_has_kept(void);

#endif
