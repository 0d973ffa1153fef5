/* slot_talk.c - messages between a worker's oldest task and its submitter.
 *
 * They are written for the oldest task only, so nothing is written for one that may be taken back from behind another.  Even the oldest may
 * not have begun: what is written before it is known to have is kept, for it may have to be written again, to another worker. */
#include "process/slot_talk.h"

#include "base/fds.h"
#include "base/parcel.h"
#include "process/shared_memory.h"
#include "process/slot_inside.h"

#include <errno.h>

/* ---- what is written ---- */

static struct tdm_mailbox *mailbox_of(struct tdm_task *task) { return load_acquire(&task->mail); /* [task-mail] */ }

static struct tdm_talk_words *words_of(struct tdm_slot *slot, const struct tdm_entry *entry)
{
    return &slot->control->talk[tdm_slot_index(slot, entry)];
}

static bool is_for(const struct tdm_slot *slot, const struct tdm_entry *entry)
{
    return entry && slot->outbox.frame.sequence == entry->sequence;
}

/* The outbox is empty: the message that was in it has been written. */
static void let_go_of_written(struct tdm_slot *slot)
{
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    struct tdm_mail *mail = slot->mail;
    slot->mail = NULL;
    if (!mail) return;
    if (slot->outbox.frame.kind == TDM_FRAME_MESSAGE && is_for(slot, oldest) && tdm_slot_is(slot, oldest, TDM_OFFERED))
        tdm_mail_push(&mailbox_of(oldest->task)->written, mail);
    else
        tdm_mail_free(mail);
}

static void put(struct tdm_slot *slot, const struct tdm_entry *entry, struct tdm_frame *frame, const void *payload)
{
    frame->entry = (uint16_t)tdm_slot_index(slot, entry);
    frame->sequence = entry->sequence;
    tdm_outbox_put(&slot->outbox, frame, payload);
}

static void put_plain(struct tdm_slot *slot, const struct tdm_entry *entry, enum tdm_frame_kind kind)
{
    struct tdm_frame frame = tdm_frame_make(kind, 0);
    put(slot, entry, &frame, NULL);
}

/* Descriptors go ahead, so that they are there when the message is read; what is wrong with them the receiver is told with it.  False: there
 * is no room for them now, and the reactor waits for it. */
static bool send_fds(struct tdm_slot *slot, const struct tdm_mail *mail, int *error)
{
    *error = 0;
    if (!mail->fds) return true;
    *error = tdm_parcel_send(slot->parcels, slot->parcels_sent + 1, mail->fds->fds, mail->fds->count, false);
    if (*error == 0) slot->parcels_sent++;
    if (*error != -EAGAIN) return true;
    slot->parcels_full = true;
    tdm_reactor_post(&slot->attend);
    return false;
}

static void put_mail(struct tdm_slot *slot, const struct tdm_entry *entry, struct tdm_mail *mail, int error)
{
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_MESSAGE, tdm_mail_bytes_here(mail));
    frame.fd_count = (uint16_t)tdm_mail_fd_count(mail);
    frame.parcel = slot->parcels_sent;
    frame.fd_error = (int16_t)error;
    frame.request = mail->request;
    if (mail->data != mail->bytes) {
        frame.flags = TDM_FRAME_IN_SHARED;
        frame.address = (uint64_t)(uintptr_t)mail->data;
        frame.size = mail->size;
    }
    slot->mail = mail;
    put(slot, entry, &frame, mail->data);
}

/* What was set for the pool. */
static void put_data(struct tdm_slot *slot, const struct tdm_entry *entry)
{
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_DATA, slot->data->size);
    frame.code = slot->data_version;
    slot->mail = slot->data;
    slot->data = NULL;
    put(slot, entry, &frame, slot->mail->data);
}

/* How much of what was written the task has not received.  The worker may say anything: no more than was written. */
static uint64_t left(uint64_t written, uint64_t received) { return received < written ? written - received : 0; }

/* The next message, if the worker may have one more; else it is to tell when it has received half of what it has. */
static struct tdm_mail *next_mail(struct tdm_mailbox *mailbox, struct tdm_talk_words *words, bool *closed)
{
    bool more = false, wished = false;
    if (mailbox->count_written == 0 && mailbox->tells_due == 0)
        store_seq(&words->tell_host_at,
                  0); /* a task that was not posted to when it was handed over finds the last one's [talk-taken] */
    for (;;) {
        uint64_t count = left(mailbox->count_written, load_seq(&words->received)); /* [talk-taken] */
        uint64_t bytes = left(mailbox->bytes_written, load_seq(&words->received_bytes));
        struct tdm_mail *mail = tdm_mailbox_receive_within(mailbox, (size_t)count, (size_t)bytes, closed, &more);
        if (mail || !more || wished) return mail;
        store_seq(&words->tell_host_at, mailbox->count_written - count / 2); /* [talk-taken] */
        mailbox->tells_due++;
        wished = true; /* and once more: it may have received them before it could see the wish */
    }
}

/* Descriptors cannot be sent twice, and those that were sent to a worker that dies before it begins the task would be lost; so they wait
 * until it tells that it has. */
static bool holds_fds_back(struct tdm_slot *slot, const struct tdm_entry *oldest, struct tdm_mailbox *mailbox)
{
    if (!tdm_slot_is(slot, oldest, TDM_OFFERED) || !tdm_mailbox_has_fds_next(mailbox)) return false;
    if (mailbox->asked_begun) return true;
    struct tdm_talk_words *words = words_of(slot, oldest);
    uint64_t wish = TDM_TELL_BEGUN;
    mailbox->tells_due++;
    mailbox->asked_begun = true;
    store_seq(&words->tell_host_at, wish); /* [talk-taken] */
    if (tdm_slot_is(slot, oldest, TDM_OFFERED)) return true;
    if (cas_seq(&words->tell_host_at, &wish, 0)) mailbox->tells_due--; /* it had begun before it could see the wish */
    return false;
}

static bool put_message(struct tdm_slot *slot, const struct tdm_entry *oldest, struct tdm_mailbox *mailbox, bool *closed)
{
    int error;
    if (slot->parcels_full || holds_fds_back(slot, oldest, mailbox)) return false;
    struct tdm_mail *mail = next_mail(mailbox, words_of(slot, oldest), closed);
    if (mail && send_fds(slot, mail, &error)) {
        mailbox->count_written++;
        mailbox->bytes_written += mail->held;
        put_mail(slot, oldest, mail, error);
        return true;
    }
    struct tdm_mail_queue back = {0};
    if (mail) tdm_mail_push(&back, mail);
    tdm_mailbox_put_back(mailbox, &back);
    return false;
}

/* Into an empty outbox, if there is something. */
static bool put_next(struct tdm_slot *slot)
{
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    if (!oldest) {
        if (!slot->leave_due) return false;
        struct tdm_frame leave = tdm_frame_make(TDM_FRAME_LEAVE, 0);
        slot->leave_due = false;
        tdm_outbox_put(&slot->outbox, &leave, NULL);
        return true;
    }
    struct tdm_mailbox *mailbox = mailbox_of(oldest->task);
    if (oldest->decided != 0 || (slot->state != TDM_SLOT_READY && slot->state != TDM_SLOT_LEAVING)) return false;
    if (slot->data && slot->data_due == oldest->sequence) {
        put_data(slot, oldest);
        return true;
    }
    if (!mailbox) return false;
    if (slot->credit_due == oldest->sequence) {
        slot->credit_due = 0;
        put_plain(slot, oldest, TDM_FRAME_CREDIT);
        return true;
    }
    bool closed = false;
    if (mailbox->written.first && !tdm_slot_is(slot, oldest, TDM_OFFERED)) tdm_mail_drop_all(&mailbox->written);
    if (put_message(slot, oldest, mailbox, &closed)) return true;
    if (!closed || mailbox->told_closed || tdm_mailbox_has_posted(mailbox)) return false;
    mailbox->told_closed = true;
    put_plain(slot, oldest, TDM_FRAME_CLOSED);
    return true;
}

int tdm_slot_push(struct tdm_slot *slot, bool or_bell)
{
    do {
        int result = tdm_outbox_push(&slot->outbox, &slot->out, or_bell);
        if (result != 0) return result;
        let_go_of_written(slot);
    } while (put_next(slot));
    if (slot->freed) tdm_reactor_post(&slot->attend); /* it was held up by this */
    return 0;
}

/* ---- a task comes and goes ---- */

void tdm_slot_talk_begin(struct tdm_slot *slot, const struct tdm_entry *entry)
{
    struct tdm_talk_words *words = words_of(slot, entry);
    struct tdm_mailbox *mailbox = mailbox_of(entry->task);
    mailbox->count_written = mailbox->bytes_written = 0;
    mailbox->tells_due = 0;
    mailbox->told_closed = mailbox->asked_begun = false;
    store_seq(&words->consumed, 0);
    store_seq(&words->consumed_bytes, 0);
    store_seq(&words->tell_host_at, 0);
}

void tdm_slot_talk_revoked(struct tdm_slot *slot, const struct tdm_entry *entry)
{
    if (mailbox_of(entry->task)) store_seq(&words_of(slot, entry)->tell_host_at, 0); /* [talk-taken] */
}

/* What of this task's is in the outbox is nobody's any more: the worker will not read on. */
static struct tdm_mail *take_half_written(struct tdm_slot *slot, uint64_t sequence)
{
    struct tdm_mail *mail = slot->mail;
    if (!mail || slot->outbox.frame.sequence != sequence) return NULL;
    bool is_message = slot->outbox.frame.kind == TDM_FRAME_MESSAGE;
    slot->mail = NULL;
    slot->outbox = (struct tdm_outbox){0};
    if (!is_message) tdm_mail_free(mail);
    return is_message ? mail : NULL;
}

void tdm_slot_talk_take_back(struct tdm_slot *slot, struct tdm_task *task, uint64_t sequence)
{
    struct tdm_mailbox *mailbox = mailbox_of(task);
    if (!mailbox) return;
    struct tdm_mail *mail = take_half_written(slot, sequence);
    if (mail) tdm_mail_push(&mailbox->written, mail);
    tdm_mailbox_put_back(mailbox, &mailbox->written);
}

void tdm_slot_talk_died(struct tdm_slot *slot, struct tdm_task *task, uint64_t sequence)
{
    struct tdm_mailbox *mailbox = mailbox_of(task);
    if (!mailbox) return;
    tdm_mail_drop_all(&mailbox->written);
    tdm_slot_talk_take_back(slot, task, sequence);
    tdm_mailbox_lose_requests(mailbox);
}

/* ---- from outside ---- */

/* With the lock held.  What is not written now the reactor writes when there is room. */
static void push_now(struct tdm_slot *slot)
{
    int result = tdm_slot_push(slot, true);
    if (result != 0 && (result != -EAGAIN || !tdm_way_has_ring(&slot->out))) tdm_reactor_post(&slot->attend);
}

bool tdm_slot_posted(struct tdm_slot *slot, struct tdm_task *task)
{
    tdm_slot_lock(slot);
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    bool is_its = oldest && oldest->task == task;
    if (is_its && tdm_outbox_empty(&slot->outbox)) push_now(slot);
    tdm_slot_unlock(slot);
    return is_its;
}

/* With the lock held: the worker is told if it waits for it. */
static void publish_consumed(struct tdm_slot *slot, const struct tdm_entry *entry, struct tdm_mailbox *mailbox)
{
    struct tdm_talk_words *words = words_of(slot, entry);
    uint64_t consumed = load_seq(&words->consumed) + mailbox->untold;
    store_seq(&words->consumed_bytes, load_seq(&words->consumed_bytes) + mailbox->untold_bytes);
    store_seq(&words->consumed, consumed); /* [talk-taken] */
    uint64_t wish = load_seq(&words->tell_worker_at);
    if (wish == 0 || consumed < wish || exchange_seq(&words->tell_worker_at, 0) == 0) return; /* [talk-taken] */
    slot->credit_due = entry->sequence;
    if (tdm_outbox_empty(&slot->outbox)) push_now(slot);
}

/* The carrier is a slot of the task's lane, which is there as long as the lane is; but it may carry something else by now. */
void tdm_slot_consumed(struct tdm_mailbox *mailbox)
{
    struct tdm_slot *slot = load_acquire(&mailbox->carrier); /* [mail-carrier] */
    tdm_slot_lock(slot);
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    if (oldest && oldest->task == mailbox->task && mailbox_of(oldest->task) == mailbox) publish_consumed(slot, oldest, mailbox);
    tdm_slot_unlock(slot);
    mailbox->untold = mailbox->untold_bytes = 0;
}

/* ---- what it sends ---- */

/* They were sent before the message, so they are there, under the next number.  What a thread could not take is tried again. */
static enum tdm_said take_fds(struct tdm_slot *slot, struct tdm_mail *mail)
{
    const struct tdm_frame *frame = &slot->inbox.frame;
    uint64_t number;
    if (frame->fd_count == 0 || (mail->fds && mail->fds->number == 0)) return TDM_SAID_RIGHT;
    if (frame->parcel != slot->parcels_read + 1) return TDM_SAID_WRONG;
    if (!mail->fds && !tdm_mail_expect_fds(mail, frame->fd_count, -EBADF)) return TDM_SAID_NO_MEMORY;
    int *fds = mail->fds->fds;
    mail->fds->number = frame->parcel;
    int error = tdm_parcel_receive(slot->parcels, &number, fds, frame->fd_count);
    if (error == -EAGAIN || error == -EPIPE || error == -EPROTO) return TDM_SAID_WRONG;
    if (error != 0) return TDM_SAID_NO_MEMORY;
    for (size_t i = 0; i < frame->fd_count; i++)
        if (fds[i] >= 0) fds[i] = tdm_fds_take_in(fds[i]);
    if (number != frame->parcel) return TDM_SAID_WRONG;
    slot->parcels_read = number;
    mail->fds->number = 0;
    return TDM_SAID_RIGHT;
}

/* With the lock held: the message becomes the mailbox's. */
static enum tdm_said take_message(struct tdm_slot *slot, struct tdm_task *task)
{
    struct tdm_inbox *inbox = &slot->inbox;
    struct tdm_mailbox *mailbox = mailbox_of(task);
    const tandem_task *public = tdm_task_public(task);
    uint32_t request = inbox->frame.request;
    bool tells_start = inbox->frame.flags == TDM_FRAME_TELL_START;
    if (!mailbox || (request == 0 && !public->on_message)) return TDM_SAID_WRONG;
    if (tells_start && (request != 0 || !(public->flags & TANDEM_TELL_START))) return TDM_SAID_WRONG;
    if (tells_start && !inbox->mail && (inbox->mail = tdm_mail_make(NULL, 0)) != NULL) inbox->mail->started = true;
    if (inbox->frame.flags & TDM_FRAME_IN_SHARED && !inbox->mail) {
        void *data = (void *)(uintptr_t)inbox->frame.address;
        if (!tdm_shared_holds(slot->lane->shared, data, (size_t)inbox->frame.size)) return TDM_SAID_WRONG;
        inbox->mail = tdm_mail_make_of_shared(data, (size_t)inbox->frame.size);
    }
    if (!inbox->mail) return TDM_SAID_NO_MEMORY;
    enum tdm_said said = take_fds(slot, inbox->mail);
    if (said != TDM_SAID_RIGHT) return said;
    store_release(&mailbox->carrier, slot); /* [mail-carrier] */
    if (request == 0) {
        if (!tdm_callbacks_push_message(&slot->lane->lane.core->callbacks, mailbox, inbox->mail))
            return TDM_SAID_WRONG; /* more than it may */
    } else if (!tdm_mailbox_answer(mailbox, request, inbox->mail)) {
        tdm_mail_free(inbox->mail);
    }
    inbox->mail = NULL;
    inbox->payload = NULL;
    return TDM_SAID_RIGHT;
}

/* With the lock held: it has received what it was to tell of. */
static enum tdm_said take_credit(struct tdm_slot *slot, struct tdm_task *task)
{
    struct tdm_mailbox *mailbox = mailbox_of(task);
    if (!mailbox || mailbox->tells_due == 0) return TDM_SAID_WRONG;
    mailbox->tells_due--;
    if (tdm_outbox_empty(&slot->outbox)) push_now(slot);
    return TDM_SAID_RIGHT;
}

/* With the lock held: it wants what was set for the pool.  No honest one does where nothing was. */
static enum tdm_said take_wish_for_data(struct tdm_slot *slot, const struct tdm_entry *entry)
{
    if (slot->data && slot->data_due == entry->sequence) return TDM_SAID_WRONG; /* it asks once, and waits */
    struct tdm_pool_data *data = tdm_core_keep_data(slot->lane->lane.core);
    if (!data) return TDM_SAID_WRONG;
    tdm_mail_free(slot->data);
    slot->data = tdm_mail_make(data->bytes, data->size);
    slot->data_version = data->version;
    slot->data_due = entry->sequence;
    tdm_pool_data_let_go(data);
    if (!slot->data) return TDM_SAID_NO_MEMORY;
    if (tdm_outbox_empty(&slot->outbox)) push_now(slot);
    return TDM_SAID_RIGHT;
}

/* It may be further by now, or its end be decided. */
static bool has_begun(struct tdm_slot *slot, const struct tdm_entry *entry)
{
    return tdm_slot_is(slot, entry, TDM_CLAIMED) || tdm_slot_is(slot, entry, TDM_FINISHED) || tdm_slot_is(slot, entry, TDM_KILLING);
}

/* All under the lock: a worker that lies about its word could have the task taken back, and ended, at any moment. */
enum tdm_said tdm_slot_talk_take(struct tdm_slot *slot, bool only_plain)
{
    const struct tdm_frame *frame = &slot->inbox.frame;
    tdm_slot_lock(slot);
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    bool decided = oldest && oldest->decided != 0, is_message = frame->kind == TDM_FRAME_MESSAGE;
    bool right = oldest && frame->sequence == oldest->sequence && frame->entry == tdm_slot_index(slot, oldest) &&
                 has_begun(slot, oldest) && (is_message || !decided); /* what it sent before it was to be stopped counts */
    enum tdm_said said = TDM_SAID_WRONG;
    if (right && (!only_plain || slot->state == TDM_SLOT_READY))
        said = is_message                        ? take_message(slot, oldest->task)
               : frame->kind == TDM_FRAME_CREDIT ? take_credit(slot, oldest->task)
                                                 : take_wish_for_data(slot, oldest);
    tdm_slot_unlock(slot);
    return decided && said != TDM_SAID_RIGHT ? TDM_SAID_TOO_LATE : said;
}

/* ---- how far it is ---- */

void tdm_slot_progress(struct tdm_slot *slot, const struct tdm_entry *entry, uint64_t *done, uint64_t *total)
{
    const struct tdm_talk_words *words = words_of(slot, entry);
    *done = load_acquire(&words->done); /* [progress] */
    *total = load_acquire(&words->total);
}

/* Before it is claimed the words are those of the last task in its place. */
void tdm_slot_read_progress(struct tdm_slot *slot, const struct tdm_task *task, uint64_t *done, uint64_t *total)
{
    tdm_slot_lock(slot);
    const struct tdm_entry *oldest = tdm_slot_oldest(slot);
    if (oldest && oldest->task == task && !tdm_slot_is(slot, oldest, TDM_OFFERED)) tdm_slot_progress(slot, oldest, done, total);
    tdm_slot_unlock(slot);
}
