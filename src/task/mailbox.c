/* mailbox.c - a task's messages in the host. */
#include "task/mailbox.h"

#include "base/memory.h"

static void lock(struct tdm_mailbox *mailbox) { tdm_lock(&mailbox->lock, TDM_RANK_MAIL); }
static void unlock(struct tdm_mailbox *mailbox) { tdm_unlock(&mailbox->lock, TDM_RANK_MAIL); }

/* ---- making, and letting go ---- */

struct tdm_mailbox *tdm_mailbox_make(struct tdm_task *task, uint32_t watch_ns)
{
    struct tdm_mailbox *mailbox = tdm_alloc_lines(sizeof *mailbox);
    if (!mailbox) return NULL;
    store_seq(&mailbox->references, 1); /* [mail-references] */
    mailbox->task = task;
    mailbox->watches_ns = mailbox->watch_ns = watch_ns;
    tdm_list_init(&mailbox->turn);
    tdm_list_init(&mailbox->asleep);
    tdm_list_init(&mailbox->asking);
    return mailbox;
}

void tdm_mailbox_keep(struct tdm_mailbox *mailbox) { add_seq(&mailbox->references, 1); /* [mail-references] */ }

void tdm_mailbox_let_go(struct tdm_mailbox *mailbox)
{
    if (!mailbox || add_seq(&mailbox->references, (uint32_t)-1) != 1) return; /* [mail-references] */
    tdm_mail_drop_all(&mailbox->taken);
    tdm_mail_drop_all(&mailbox->written);
    tdm_mail_drop_all(&mailbox->posted);
    tdm_mail_drop_all(&mailbox->sent);
    free(mailbox);
}

/* ---- sleeping ---- */

static void wake_if(bool wakes, struct tdm_mail_bell *bell)
{
    if (wakes) tdm_futex_wake_all(&bell->count);
}

/* The wish comes first: a thread not in sleepers yet sees it when it is about to sleep. */
void tdm_mailbox_wake(struct tdm_mailbox *mailbox)
{
    wake_if(tdm_mail_ring(&mailbox->to_receive), &mailbox->to_receive);
    wake_if(tdm_mail_ring(&mailbox->to_send), &mailbox->to_send);
}

void tdm_sleepers_open(struct tdm_sleepers *sleepers) { tdm_list_init(&sleepers->mailboxes); }

void tdm_sleepers_add(struct tdm_sleepers *sleepers, struct tdm_mailbox *mailbox)
{
    tdm_lock(&sleepers->lock, TDM_RANK_SLEEPERS);
    tdm_list_push_back(&sleepers->mailboxes, &mailbox->asleep);
    tdm_unlock(&sleepers->lock, TDM_RANK_SLEEPERS);
}

void tdm_sleepers_remove(struct tdm_sleepers *sleepers, struct tdm_mailbox *mailbox)
{
    tdm_lock(&sleepers->lock, TDM_RANK_SLEEPERS);
    tdm_list_remove(&mailbox->asleep);
    tdm_unlock(&sleepers->lock, TDM_RANK_SLEEPERS);
}

/* One that joins later has yet to look whether the pool is ending.  Those in the list stay until they have been rung: their counts are raised
 * without their own locks, which rank before this one. */
void tdm_sleepers_wake(struct tdm_sleepers *sleepers)
{
    tdm_lock(&sleepers->lock, TDM_RANK_SLEEPERS);
    for (struct tdm_node *node = sleepers->mailboxes.next; node != &sleepers->mailboxes; node = node->next) {
        struct tdm_mailbox *mailbox = container_of(node, struct tdm_mailbox, asleep);
        add_seq(&mailbox->to_receive.count, 1);
        add_seq(&mailbox->to_send.count, 1);
        tdm_futex_wake_all(&mailbox->to_receive.count);
        tdm_futex_wake_all(&mailbox->to_send.count);
    }
    tdm_unlock(&sleepers->lock, TDM_RANK_SLEEPERS);
}

/* ---- to the task ---- */

int tdm_mailbox_post(struct tdm_mailbox *mailbox, struct tdm_mail *mail, struct tdm_asking *asking)
{
    struct tdm_mail_queue *queue = &mailbox->posted;
    bool wakes = false;
    int result = 0;
    lock(mailbox);
    if (mailbox->ended || mailbox->closed)
        result = -EPIPE;
    else if (!tdm_mail_fits(queue->count, queue->bytes, mail->held))
        result = -EAGAIN;
    else {
        if (asking) {
            if (++mailbox->requests == 0) mailbox->requests = 1;
            mail->request = asking->request = mailbox->requests;
            tdm_list_push_back(&mailbox->asking, &asking->link);
        }
        tdm_mail_push(queue, mail);
        wakes = tdm_mail_ring(&mailbox->to_receive);
    }
    unlock(mailbox);
    wake_if(wakes, &mailbox->to_receive);
    return result;
}

/* All that is there, for one at a time would have both sides meet at the lock.  Whatever changes there rings. */
struct tdm_mail *tdm_mailbox_receive(struct tdm_mailbox *mailbox, bool *closed)
{
    *closed = mailbox->saw_closed;
    if (mailbox->taken.first || load_seq(&mailbox->to_receive.count) == mailbox->seen) /* [mail-bell] */
        return tdm_mail_pop(&mailbox->taken);
    lock(mailbox);
    mailbox->taken = mailbox->posted;
    mailbox->posted = (struct tdm_mail_queue){0};
    *closed = mailbox->saw_closed = mailbox->closed;
    mailbox->seen = load_seq(&mailbox->to_receive.count);
    bool wakes = mailbox->taken.first && tdm_mail_ring_if_waited(&mailbox->to_post);
    unlock(mailbox);
    wake_if(wakes, &mailbox->to_post);
    return tdm_mail_pop(&mailbox->taken);
}

struct tdm_mail *tdm_mailbox_receive_within(struct tdm_mailbox *mailbox, size_t count, size_t bytes, bool *closed, bool *more)
{
    lock(mailbox);
    struct tdm_mail *mail = mailbox->posted.first;
    *more = mail != NULL;
    if (mail && tdm_mail_fits(count, bytes, mail->held))
        tdm_mail_pop(&mailbox->posted);
    else
        mail = NULL;
    *closed = mailbox->closed;
    bool wakes = mailbox->to_post.sleepers > 0 && tdm_mail_is_half_empty(mailbox->posted.count, mailbox->posted.bytes) &&
                 tdm_mail_ring_if_waited(&mailbox->to_post);
    unlock(mailbox);
    wake_if(wakes, &mailbox->to_post);
    return mail;
}

bool tdm_mailbox_has_posted(struct tdm_mailbox *mailbox)
{
    lock(mailbox);
    bool has = mailbox->posted.first != NULL;
    unlock(mailbox);
    return has;
}

bool tdm_mailbox_has_fds_next(struct tdm_mailbox *mailbox)
{
    lock(mailbox);
    bool has = mailbox->posted.first && mailbox->posted.first->fds;
    unlock(mailbox);
    return has;
}

void tdm_mailbox_put_back(struct tdm_mailbox *mailbox, struct tdm_mail_queue *received)
{
    if (!received->first) return;
    lock(mailbox);
    received->last->next = mailbox->posted.first;
    if (!mailbox->posted.last) mailbox->posted.last = received->last;
    mailbox->posted.first = received->first;
    mailbox->posted.count += received->count;
    mailbox->posted.bytes += received->bytes;
    unlock(mailbox);
    *received = (struct tdm_mail_queue){0};
}

/* ---- answers ---- */

/* With the lock held.  After the store the asker may be gone; the wake uses the address only. */
static void tell(struct tdm_asking *asking, struct tdm_mail *answer)
{
    tdm_list_remove(&asking->link);
    asking->answer = answer;
    if (exchange_seq(&asking->done, TDM_ANSWERED) == TDM_ASLEEP) tdm_futex_wake_all(&asking->done); /* [asking-done] */
}

bool tdm_mailbox_answer(struct tdm_mailbox *mailbox, uint32_t request, struct tdm_mail *mail)
{
    lock(mailbox);
    struct tdm_node *node = mailbox->asking.next;
    while (node != &mailbox->asking && container_of(node, struct tdm_asking, link)->request != request) node = node->next;
    bool waits = node != &mailbox->asking;
    if (waits) tell(container_of(node, struct tdm_asking, link), mail);
    unlock(mailbox);
    return waits;
}

static bool is_posted(const struct tdm_mailbox *mailbox, uint32_t request)
{
    const struct tdm_mail *mail = mailbox->posted.first;
    while (mail && mail->request != request) mail = mail->next;
    return mail != NULL;
}

/* With the lock held. */
static void lose_requests(struct tdm_mailbox *mailbox)
{
    for (struct tdm_node *node = mailbox->asking.next, *next; node != &mailbox->asking; node = next) {
        struct tdm_asking *asking = container_of(node, struct tdm_asking, link);
        next = node->next;
        if (!is_posted(mailbox, asking->request)) tell(asking, NULL);
    }
}

void tdm_mailbox_lose_requests(struct tdm_mailbox *mailbox)
{
    lock(mailbox);
    lose_requests(mailbox);
    unlock(mailbox);
}

/* ---- the end ---- */

static void close_or_end(struct tdm_mailbox *mailbox, bool ends)
{
    struct tdm_mail_queue left = {0};
    lock(mailbox);
    mailbox->closed = true;
    if (ends) {
        mailbox->ended = true;
        left = mailbox->posted;
        mailbox->posted = (struct tdm_mail_queue){0};
        lose_requests(mailbox);
    }
    bool receives = tdm_mail_ring(&mailbox->to_receive), posts = tdm_mail_ring(&mailbox->to_post);
    unlock(mailbox);
    wake_if(receives, &mailbox->to_receive);
    wake_if(posts, &mailbox->to_post);
    tdm_mail_drop_all(&left);
    if (ends) tdm_mail_drop_all(&mailbox->taken); /* the run is over, so nobody else is there */
}

void tdm_mailbox_close(struct tdm_mailbox *mailbox) { close_or_end(mailbox, false); }
void tdm_mailbox_end(struct tdm_mailbox *mailbox) { close_or_end(mailbox, true); }
