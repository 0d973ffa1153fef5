/* thread_talk.c - a task that runs on a thread sends and receives: into and out of its mailbox, waiting where it must. */
#include "threads/thread_talk.h"

#include "base/clock.h"
#include "base/watch.h"
#include "task/lane.h"
#include "task/talk.h"

#include <errno.h>

static struct tdm_task *task_of(const tandem_context *context) { return context->run; }

/* The run keeps the mailbox; it is not let go before the task ends. */
static struct tdm_mailbox *mailbox_of(const tandem_context *context)
{
    struct tdm_mailbox *mailbox = load_acquire(&task_of(context)->mail); /* [task-mail] */
    return mailbox ? mailbox : tdm_talk_mailbox(task_of(context));
}

/* One that is to end does not wait.  The wish, or the end of the pool, comes first and then wakes who sleeps; who is about to sleep looks
 * here once it can be woken [wishes] [closing]. */
static bool is_to_end(const tandem_context *context) { return load_seq(context->wishes) != 0 || load_seq(context->closing) != 0; }

/* 0, or what keeps it from trying again. */
static int sleep_once(const tandem_context *context, struct tdm_mail_bell *bell, uint32_t seen, uint64_t look_ns,
                      uint64_t deadline_ns)
{
    if (is_to_end(context)) return -ECANCELED;
    if (deadline_ns != TDM_FOREVER && tdm_clock_ns() >= deadline_ns) return -ETIMEDOUT;
    tdm_futex_wait(&bell->count, seen, look_ns); /* [mail-bell] */
    return 0;
}

/* ---- sending ---- */

/* Two lines that were last written by who handed the last message over: they come while this one's bytes are copied. */
static void expect_to_send(const struct tdm_task *task, const struct tdm_mailbox *mailbox)
{
    tdm_prefetch(&mailbox->sent);
    tdm_prefetch(&task->lane->core->callbacks.lock);
}

static int try_send(const struct tdm_task *task, struct tdm_mailbox *mailbox, struct tdm_mail *mail)
{
    return tdm_callbacks_push_message(&task->lane->core->callbacks, mailbox, mail) ? 0 : -EAGAIN;
}

static int wait_and_send(const tandem_context *context, struct tdm_mailbox *mailbox, struct tdm_mail *mail, uint64_t deadline_ns)
{
    struct tdm_sleepers *sleepers = &task_of(context)->lane->core->sleepers;
    uint64_t between_ns = 0;
    int result, error = 0;
    tdm_sleepers_add(sleepers, mailbox);
    do {
        uint32_t seen = tdm_mail_begin_sleep(&mailbox->to_send);
        result = try_send(task_of(context), mailbox, mail);
        if (result == -EAGAIN && !tdm_clock_watch(&mailbox->to_send.count, seen, mailbox->watch_ns))
            error = sleep_once(context, &mailbox->to_send, seen, tdm_talk_next_look(&between_ns, deadline_ns), deadline_ns);
        tdm_mail_end_sleep(&mailbox->to_send);
    } while (result == -EAGAIN && error == 0);
    tdm_sleepers_remove(sleepers, mailbox);
    return error != 0 ? error : result;
}

/* Who asked may have given up waiting; that is no error of this side's. */
static int answer(const tandem_context *context, const tandem_message *message)
{
    struct tdm_mailbox *mailbox = mailbox_of(context);
    struct tdm_mail *mail = mailbox ? tdm_mail_make(message->data, message->size) : NULL;
    if (!mail) return -ENOMEM;
    int error = tdm_mail_copy_fds(mail, message);
    if (error != 0 || !tdm_mailbox_answer(mailbox, (uint32_t)message->request, mail)) tdm_mail_free(mail);
    return error;
}

int tdm_thread_tell_start(struct tdm_task *task)
{
    struct tdm_mail *mail = tdm_mail_make(NULL, 0);
    if (!mail) return -ENOMEM;
    mail->started = true;
    return try_send(task, load_acquire(&task->mail),
                    mail); /* the first has room; one with on_message has a mailbox from its submit [task-mail] */
}

static int send(tandem_context *context, const tandem_message *message, int64_t timeout_ms)
{
    if (message->request != 0) return answer(context, message);
    if (!tdm_task_public(task_of(context))->on_message) return -EPIPE; /* nobody is there to get it */
    struct tdm_mailbox *mailbox = mailbox_of(context);
    if (mailbox) expect_to_send(task_of(context), mailbox);
    struct tdm_mail *mail = mailbox ? tdm_mail_make(message->data, message->size) : NULL;
    if (!mail) return -ENOMEM;
    int result = tdm_mail_copy_fds(mail, message);
    if (result == 0) result = try_send(task_of(context), mailbox, mail);
    if (result == -EAGAIN && timeout_ms != 0)
        result = wait_and_send(context, mailbox, mail, tdm_clock_deadline(timeout_ms));
    else if (result == -EAGAIN && is_to_end(context))
        result = -ECANCELED;
    if (result != 0) tdm_mail_free(mail);
    return result;
}

/* ---- receiving ---- */

static int try_receive(struct tdm_mailbox *mailbox, struct tdm_mail **mail)
{
    bool closed;
    *mail = tdm_mailbox_receive(mailbox, &closed);
    return *mail ? 0 : closed ? -EPIPE : -EAGAIN;
}

/* Learned: who is to post may have only this very processor.  True: something has changed. */
static bool watch(struct tdm_mailbox *mailbox, uint32_t seen)
{
    if (mailbox->watches_ns == 0) return false;
    struct tdm_look look = {.until_ns = tdm_clock_ns() + mailbox->watches_ns};
    bool saw;
    while (!(saw = load_seq(&mailbox->to_receive.count) != seen) && tdm_watch_goes_on(&look)) continue; /* [mail-bell] */
    mailbox->watches_ns = tdm_watch_after(mailbox->watches_ns, mailbox->watch_ns, saw && !look.gave_way);
    return saw;
}

static int wait_and_receive(const tandem_context *context, struct tdm_mailbox *mailbox, struct tdm_mail **mail,
                            uint64_t deadline_ns)
{
    struct tdm_sleepers *sleepers = &task_of(context)->lane->core->sleepers;
    int result, error = 0;
    uint32_t seen = load_seq(&mailbox->to_receive.count); /* [mail-bell] */
    result = try_receive(mailbox, mail);
    if (result == -EAGAIN && watch(mailbox, seen)) result = try_receive(mailbox, mail);
    if (result != -EAGAIN) return result;
    uint64_t since_ns = tdm_clock_ns();
    tdm_sleepers_add(sleepers, mailbox);
    do {
        seen = tdm_mail_begin_sleep(&mailbox->to_receive);
        result = try_receive(mailbox, mail);
        if (result == -EAGAIN) error = sleep_once(context, &mailbox->to_receive, seen, deadline_ns, deadline_ns);
        tdm_mail_end_sleep(&mailbox->to_receive);
    } while (result == -EAGAIN && error == 0);
    tdm_sleepers_remove(sleepers, mailbox);
    mailbox->watches_ns = tdm_watch_after_nap(mailbox->watches_ns, mailbox->watch_ns, tdm_clock_ns() - since_ns);
    return error != 0 ? error : result;
}

static int receive(tandem_context *context, struct tdm_mail **mail, int64_t timeout_ms)
{
    struct tdm_mailbox *mailbox = mailbox_of(context);
    if (!mailbox) return -ENOMEM;
    int result = try_receive(mailbox, mail);
    if (result != -EAGAIN) return result;
    if (timeout_ms != 0) return wait_and_receive(context, mailbox, mail, tdm_clock_deadline(timeout_ms));
    return is_to_end(context) ? -ECANCELED : -EAGAIN;
}

/* ---- what was set for the pool ---- */

/* The run keeps what it has seen. */
static const void *data(tandem_context *context, size_t *size)
{
    if (!context->data) context->data = tdm_core_keep_data(context->core);
    const struct tdm_pool_data *data = context->data;
    if (!data) return NULL;
    *size = data->size;
    return data->bytes;
}

/* ---- how far it is ---- */

static int progress(tandem_context *context, uint64_t done, uint64_t total)
{
    struct tdm_mailbox *mailbox = mailbox_of(context);
    if (!mailbox) return -ENOMEM;
    store_release(&mailbox->total, total);
    store_release(&mailbox->done, done); /* [progress] */
    return 0;
}

const struct tdm_talk_ops tdm_thread_talk = {.send = send, .receive = receive, .data = data, .progress = progress};
