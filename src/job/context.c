/* context.c - what a running task can call. */
#include "job/context.h"

#include "base/identity.h"
#include "job/mail.h"
#include "job/payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Thread_local tandem_context *tdm_context_starting;

static void keep(void *data) { (void)data; }

void tdm_context_drop_output(tandem_context *context)
{
    if (context->output) context->release(context->output);
    context->output = NULL;
    context->output_size = 0;
}

static int take_output(tandem_context *context, void *data, size_t size, void (*release)(void *data))
{
    tdm_context_drop_output(context);
    context->output = data;
    context->output_size = size;
    context->release = release;
    return 0;
}

static int check_reply(tandem_context *context, const void *data, size_t size)
{
    if (!context || (!data && size > 0)) return -EINVAL;
    if (context->in_branch != 0) return -EPERM;
    if (size <= context->reply_most) return 0;
    context->oversized = true;
    return -EMSGSIZE;
}

int tandem_reply(tandem_context *context, const void *data, size_t size)
{
    int error = check_reply(context, data, size);
    if (error != 0) return error;
    if (size == SIZE_MAX) return -ENOMEM;
    int saved = errno;
    char *copy = context->in_worker ? tdm_payload_alloc(size + 1) : tdm_payload_fresh(size + 1);
    errno = saved;
    if (!copy) return -ENOMEM;
    if (size > 0) memcpy(copy, data, size);
    copy[size] = 0;
    return take_output(context, copy, size, context->in_worker ? tdm_payload_free : free);
}

/* Replying again with the very data that is the output already must not free it in between. */
int tandem_reply_owned(tandem_context *context, void *data, size_t size, void (*release)(void *data))
{
    int error = check_reply(context, data, size);
    if (error != 0) return error;
    if (data && data == context->output) context->output = NULL;
    return take_output(context, data, size, release ? release : keep);
}

/* Other side: who cancels [wishes] and the end of the pool [closing].  Relaxed: it is a hint that may come a moment later, nothing
 * is read on the strength of it. */
int tandem_cancelled(const tandem_context *context)
{
    if (!context) return 0;
    return (context->wishes && load_relaxed(context->wishes) != 0) || (context->closing && load_relaxed(context->closing) != 0);
}

int tandem_where(const tandem_context *context) { return context ? (int)context->isolation : -EINVAL; }

void *tandem_worker_data(const tandem_context *context) { return context ? context->worker_data : NULL; }

/* ---- messages ---- */

void tdm_context_drop_received(tandem_context *context)
{
    tdm_mail_free(context->received);
    context->received = NULL;
}

int tandem_send(tandem_context *context, const tandem_message *message, int64_t timeout_ms)
{
    if (!context) return -EINVAL;
    int error = tdm_message_check(message);
    if (error == 0 && (message->request > UINT32_MAX || (message->request != 0 && !context->asked))) error = -EINVAL;
    if (error == 0 && tdm_identity() != context->home) error = -EPERM;
    if (error == 0) error = check_reply(context, message->data, message->size);
    if (error != 0) return error;
    int saved = errno;
    error = context->talk->send(context, message, timeout_ms);
    errno = saved;
    return error;
}

/* The last one is of no use any more, whatever comes of this call. */
int tandem_receive(tandem_context *context, tandem_message *message, int64_t timeout_ms)
{
    if (!context || !message) return -EINVAL;
    if (tdm_identity() != context->home || context->in_branch != 0) return -EPERM;
    int saved = errno;
    struct tdm_mail *mail = NULL;
    tdm_context_drop_received(context);
    int error = context->talk->receive(context, &mail, timeout_ms);
    context->received = mail;
    if (mail && mail->request != 0) context->asked = true;
    if (error == 0) *message = tdm_mail_hand_over(mail);
    errno = saved;
    return error;
}

int tandem_progress(tandem_context *context, uint64_t done, uint64_t total)
{
    if (!context) return -EINVAL;
    return tdm_identity() == context->home ? context->talk->progress(context, done, total) : -EPERM;
}
