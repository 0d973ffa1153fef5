/* frame.c - the header of what travels between host and worker. */
#include "job/frame.h"

#include "job/mail.h"

_Static_assert(sizeof(struct tdm_frame) == 64, "no padding travels");

struct tdm_frame tdm_frame_make(enum tdm_frame_kind kind, size_t payload)
{
    return (struct tdm_frame){.magic = TDM_FRAME_MAGIC, .kind = (uint16_t)kind, .payload = (uint32_t)payload};
}

static bool is_message(const struct tdm_frame *frame)
{
    if (frame->fd_count > TDM_PARCEL_MOST) return false;
    if (frame->flags == TDM_FRAME_IN_SHARED) return frame->payload == 0 && frame->size <= TDM_MESSAGE_MOST;
    if (frame->flags == TDM_FRAME_TELL_START) return frame->payload == 0 && frame->fd_count == 0;
    return frame->flags == 0 && frame->payload <= TDM_MESSAGE_MOST;
}

bool tdm_frame_is_from_worker(const struct tdm_frame *frame)
{
    if (frame->magic != TDM_FRAME_MAGIC || frame->kind < TDM_FRAME_READY || frame->kind > TDM_FRAME_DATA) return false;
    if (frame->kind == TDM_FRAME_MESSAGE) return is_message(frame);
    if (frame->flags == 0) return frame->payload == 0;
    return frame->flags == TDM_FRAME_HAS_OUTPUT && frame->kind == TDM_FRAME_REPLY;
}
