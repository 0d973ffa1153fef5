/* mail.c - a message as bytes. */
#include "job/mail.h"

#include "base/fds.h"
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

bool tdm_mail_expect_fds(struct tdm_mail *mail, size_t count, int error)
{
    struct tdm_mail_fds *fds = tdm_malloc(sizeof *fds + count * sizeof *fds->fds);
    if (!fds) return false;
    *fds = (struct tdm_mail_fds){.count = count};
    for (size_t i = 0; i < count; i++) fds->fds[i] = error;
    mail->fds = fds;
    mail->held += tdm_mail_held(0, count);
    return true;
}

/* What is missing after an error is not there to be closed. */
int tdm_mail_copy_fds(struct tdm_mail *mail, const tandem_message *message)
{
    if (message->fd_count == 0) return 0;
    if (!tdm_mail_expect_fds(mail, message->fd_count, -EBADF)) return -ENOMEM;
    int *fds = mail->fds->fds;
    for (size_t i = 0; i < message->fd_count; i++)
        if ((fds[i] = tdm_fds_duplicate(message->fds[i])) < 0) return fds[i];
    return 0;
}

tandem_message tdm_mail_hand_over(struct tdm_mail *mail)
{
    struct tdm_mail_fds *fds = mail->fds;
    tandem_message message = {.data = mail->data, .size = mail->size, .request = mail->request, .started = mail->started};
    if (!fds) return message;
    for (size_t i = 0; i < fds->count; i++)
        if (fds->fds[i] >= 0) tdm_fds_give_away(fds->fds[i]);
    fds->given = true;
    message.fds = fds->fds;
    message.fd_count = fds->count;
    return message;
}

static void free_fds(struct tdm_mail_fds *fds)
{
    for (size_t i = 0; i < fds->count && !fds->given; i++)
        if (fds->fds[i] >= 0) tdm_fds_close(&fds->fds[i]);
    free(fds);
}

void tdm_mail_free(struct tdm_mail *mail)
{
    if (mail && mail->fds) free_fds(mail->fds);
    free(mail);
}

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
    if (!message->fds && message->fd_count != 0) return -EINVAL;
    if (message->started != 0 || message->reserved_ != 0 || message->owned) return -EINVAL;
    return message->size > TDM_MESSAGE_MOST || message->fd_count > TDM_PARCEL_MOST ? -EMSGSIZE : 0;
}
