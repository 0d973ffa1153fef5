/* mail.h - a message as bytes: in a queue on either side, or on its way. */
#ifndef TDM_JOB_MAIL_H
#define TDM_JOB_MAIL_H

#include "base/parcel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tandem.h>

/* What one direction holds; or one larger message. */
#define TDM_MAIL_COUNT_MOST 256u
#define TDM_MAIL_BYTES_MOST ((size_t)1 << 20)
#define TDM_MESSAGE_MOST    ((size_t)1 << 30)
/* What a descriptor counts as, so that few enough are on their way. */
#define TDM_MAIL_FD_BYTES ((size_t)4096)

/* The descriptors of a message. */
struct tdm_mail_fds {
    size_t count;
    uint64_t number; /* of the parcel that they come in; 0: they are not on their way */
    bool given;      /* they are the receiver's */
    int fds[];       /* -errno: why there is none */
};

struct tdm_mail {
    struct tdm_mail *next;
    void *data;
    size_t size; /* bytes of data */
    size_t held; /* what it counts for: those of its bytes that lie here, which in shared memory are none, and its descriptors */
    struct tdm_mail_fds *fds;  /* NULL: none */
    uint32_t request;          /* posted: what an answer is to name; 0: none is waited for */
    bool started;              /* sent: word that the task has begun */
    _Alignas(16) char bytes[]; /* and a 0 byte */
};

/* What a message counts for. */
static inline size_t tdm_mail_held(size_t bytes_here, size_t fd_count) { return bytes_here + fd_count * TDM_MAIL_FD_BYTES; }
static inline size_t tdm_mail_bytes_here(const struct tdm_mail *mail) { return mail->data == mail->bytes ? mail->size : 0; }
static inline size_t tdm_mail_fd_count(const struct tdm_mail *mail) { return mail->fds ? mail->fds->count : 0; }

/* The message's bytes, copied; data NULL: to be filled in.  NULL: no memory. */
struct tdm_mail *tdm_mail_make(const void *data, size_t size);
/* The bytes stay where they are, in shared memory. */
struct tdm_mail *tdm_mail_make_of_shared(void *data, size_t size);
/* Room for so many descriptors, each of which is this -errno so far.  False: no memory. */
bool tdm_mail_expect_fds(struct tdm_mail *mail, size_t count, int error);
/* Duplicates of the message's descriptors, close-on-exec and remembered.  0 or -errno. */
int tdm_mail_copy_fds(struct tdm_mail *mail, const tandem_message *message);
/* As the receiver sees it, whose own its descriptors are from now on. */
tandem_message tdm_mail_hand_over(struct tdm_mail *mail);
void tdm_mail_free(struct tdm_mail *mail); /* also NULL; closes what was not handed over */

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
