/* mail.c - a message as bytes. */
#include "job/mail.h"

#include "base/memory.h"
#include "job/payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tdm_mail *tdm_mail_make(const void *data, size_t size)
{
    struct tdm_mail *mail = tdm_payload_fresh(sizeof *mail + size + 1);
    if (!mail) return NULL;
    *mail = (struct tdm_mail){.data = mail->bytes, .size = size, .held = size};
    if (data && size > 0) memcpy(mail->bytes, data, size);
    mail->bytes[size] = 0;
    return mail;
}

struct tdm_mail *tdm_mail_make_of_shared(void *data, size_t size)
{
    struct tdm_mail *mail = tdm_malloc(sizeof *mail);
    if (mail) *mail = (struct tdm_mail){.data = data, .size = size};
    return mail;
}

void tdm_mail_free(struct tdm_mail *mail) { free(mail); }

void tdm_mail_push(struct tdm_mail_queue *queue, struct tdm_mail *mail)
{
    mail->next = NULL;
    *(queue->last ? &queue->last->next : &queue->first) = mail;
    queue->last = mail;
    queue->count++;
    queue->bytes += mail->held;
}

struct tdm_mail *tdm_mail_pop(struct tdm_mail_queue *queue)
{
    struct tdm_mail *mail = queue->first;
    if (!mail) return NULL;
    queue->first = mail->next;
    if (!queue->first) queue->last = NULL;
    queue->count--;
    queue->bytes -= mail->held;
    return mail;
}

void tdm_mail_drop_all(struct tdm_mail_queue *queue)
{
    for (struct tdm_mail *mail; (mail = tdm_mail_pop(queue)) != NULL;) tdm_mail_free(mail);
}

int tdm_message_check(const tandem_message *message)
{
    if (!message || (!message->data && message->size > 0)) return -EINVAL;
    if (message->fds || message->fd_count != 0 || message->started != 0 || message->reserved_ != 0 || message->owned)
        return -EINVAL;
    return message->size > TDM_MESSAGE_MOST ? -EMSGSIZE : 0;
}
