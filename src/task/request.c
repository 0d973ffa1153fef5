/* request.c - asking a task from outside: a message, and the wait for the one that answers it. */
#include "base/clock.h"
#include "task/self.h"
#include "task/talk.h"

#include <errno.h>
#include <pthread.h>

/* Who asked is off the list when he leaves.  0; -EPIPE: there will be no answer; -ETIMEDOUT. */
static int await(struct tdm_mailbox *mailbox, struct tdm_asking *asking, uint64_t deadline_ns)
{
    bool late = false;
    while (load_seq(&asking->done) == 0 && !late) {
        tdm_futex_wait(&asking->done, 0, deadline_ns); /* [asking-done] */
        late = deadline_ns != TDM_FOREVER && tdm_clock_ns() >= deadline_ns;
    }
    tdm_lock(&mailbox->lock, TDM_RANK_MAIL); /* also to wait for who has just answered to let go */
    late = load_seq(&asking->done) == 0;
    if (late) tdm_list_remove(&asking->link);
    tdm_unlock(&mailbox->lock, TDM_RANK_MAIL);
    return late ? -ETIMEDOUT : asking->answer ? 0 : -EPIPE;
}

static int ask(tandem_task *task, const tandem_message *message, tandem_message *answer, int64_t timeout_ms)
{
    struct tdm_asking asking = {0};
    struct tdm_mailbox *mailbox;
    uint64_t deadline_ns = tdm_clock_deadline(timeout_ms);
    int result = tdm_talk_post(task, message, &asking, &mailbox, timeout_ms);
    if (result == 0) result = await(mailbox, &asking, deadline_ns);
    if (result == -ETIMEDOUT && timeout_ms == 0) result = -EAGAIN;
    tdm_mailbox_let_go(mailbox);
    if (result != 0) return result;
    *answer = tdm_mail_hand_over(asking.answer);
    answer->owned = asking.answer;
    return 0;
}

int tandem_request(tandem_task *task, const tandem_message *message, tandem_message *answer, int64_t timeout_ms)
{
    int saved = errno, state;
    if (!task || !answer) return -EINVAL;
    if (tdm_self_inside_task(task)) return -EDEADLK;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    int result = ask(task, message, answer, timeout_ms);
    pthread_setcancelstate(state, NULL);
    errno = saved;
    return result;
}

int tandem_message_clear(tandem_message *message)
{
    if (!message) return -EINVAL;
    tdm_mail_free(message->owned);
    *message = (tandem_message){0};
    return 0;
}
