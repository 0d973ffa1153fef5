/* request.c - asking a task from outside: a message, and the wait for the one that answers it. */
#include "base/clock.h"
#include "task/lane.h"
#include "task/self.h"
#include "task/talk.h"

#include <errno.h>
#include <pthread.h>

static bool is_answered(struct tdm_asking *asking) { return load_seq(&asking->done) == TDM_ANSWERED; /* [asking-done] */ }

static _Thread_local uint64_t watch_ns = UINT64_MAX; /* learned: how long it pays; at first as long as it may be */

/* As long as there is no answer the task has not ended, and its pool is there; a lane that is entered then waits for who is inside. */
static struct tdm_lane *enter(struct tdm_mailbox *mailbox, struct tdm_asking *asking)
{
    tdm_lock(&mailbox->lock, TDM_RANK_MAIL);
    struct tdm_lane *lane = is_answered(asking) ? NULL : mailbox->task->lane;
    if (lane && lane->ops->watch)
        lane->ops->enter(lane);
    else
        lane = NULL;
    tdm_unlock(&mailbox->lock, TDM_RANK_MAIL);
    return lane;
}

static void watch(struct tdm_mailbox *mailbox, struct tdm_asking *asking, uint64_t deadline_ns)
{
    if (watch_ns > mailbox->watch_ns) watch_ns = mailbox->watch_ns;
    if (watch_ns == 0) return;
    struct tdm_look look = {.until_ns = tdm_clock_ns() + watch_ns};
    if (look.until_ns > deadline_ns) look.until_ns = deadline_ns;
    struct tdm_lane *lane = enter(mailbox, asking);
    if (lane) lane->ops->watch(lane, mailbox, &asking->done, &look);
    while (!lane && !is_answered(asking) && tdm_watch_goes_on(&look)) continue;
    watch_ns = tdm_watch_after(watch_ns, mailbox->watch_ns, is_answered(asking) && !look.gave_way);
}

/* Until there is an answer, or the time is over. */
static void sleep_until_answered(struct tdm_mailbox *mailbox, struct tdm_asking *asking, uint64_t deadline_ns)
{
    uint32_t asked = TDM_ASKED;
    if (!cas_seq(&asking->done, &asked, TDM_ASLEEP)) return; /* [asking-done] */
    uint64_t since = tdm_clock_ns();
    tdm_self_block(true);
    while (!is_answered(asking) && (deadline_ns == TDM_FOREVER || tdm_clock_ns() < deadline_ns))
        tdm_futex_wait(&asking->done, TDM_ASLEEP, deadline_ns);
    tdm_self_block(false);
    watch_ns = tdm_watch_after_nap(watch_ns, mailbox->watch_ns, tdm_clock_ns() - since);
}

/* An asker is off the list when it leaves.  0; -EPIPE: there will be no answer; -ETIMEDOUT. */
static int await(struct tdm_mailbox *mailbox, struct tdm_asking *asking, uint64_t deadline_ns)
{
    if (!is_answered(asking)) watch(mailbox, asking, deadline_ns);
    if (!is_answered(asking)) sleep_until_answered(mailbox, asking, deadline_ns);
    tdm_lock(&mailbox->lock, TDM_RANK_MAIL); /* also to wait for who has just answered to let go */
    bool late = !is_answered(asking);
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
