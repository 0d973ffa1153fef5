/* mail.h - a message as bytes: in a queue on either side, or on its way. */
#ifndef TDM_JOB_MAIL_H
#define TDM_JOB_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tandem.h>

/* What one direction holds; or one larger message. */
#define TDM_MAIL_COUNT_MOST 256u
#define TDM_MAIL_BYTES_MOST ((size_t)1 << 20)
#define TDM_MESSAGE_MOST    ((size_t)1 << 30)

struct tdm_mail {
    struct tdm_mail *next;
    void *data;
    size_t size;               /* bytes of data */
    size_t held;               /* those of them that lie here: all or, in shared memory, none */
    uint64_t request;          /* posted: what an answer is to name; 0: none is waited for */
    bool started;              /* sent: word that the task has begun */
    _Alignas(16) char bytes[]; /* and a 0 byte */
};

/* The message's bytes, copied; data NULL: to be filled in.  NULL: no memory. */
struct tdm_mail *tdm_mail_make(const void *data, size_t size);
/* The bytes stay where they are, in shared memory. */
struct tdm_mail *tdm_mail_make_of_shared(void *data, size_t size);
void tdm_mail_free(struct tdm_mail *mail); /* also NULL */

/* Zeroed: empty. */
struct tdm_mail_queue {
    struct tdm_mail *first, *last;
    size_t count, bytes;
};

void tdm_mail_push(struct tdm_mail_queue *queue, struct tdm_mail *mail);
struct tdm_mail *tdm_mail_pop(struct tdm_mail_queue *queue); /* NULL: it is empty */
void tdm_mail_drop_all(struct tdm_mail_queue *queue);

/* Where so many are, of so many bytes: is there room for one of this size? */
static inline bool tdm_mail_fits(size_t count, size_t bytes, size_t size)
{
    if (count == 0) return true;
    return count < TDM_MAIL_COUNT_MOST && bytes <= TDM_MAIL_BYTES_MOST && size <= TDM_MAIL_BYTES_MOST - bytes;
}

/* Half of what there may be has been taken: who waits for room is woken then, not for each message. */
static inline bool tdm_mail_is_half_empty(size_t count, size_t bytes)
{
    return count <= TDM_MAIL_COUNT_MOST / 2 && bytes <= TDM_MAIL_BYTES_MOST / 2;
}

/* 0, or why it is none that could be sent. */
int tdm_message_check(const tandem_message *message);

#endif
