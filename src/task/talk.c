/* talk.c - talking to a task from outside. */
#include "task/talk.h"

#include "base/clock.h"
#include "base/identity.h"
#include "task/lane.h"

#include <errno.h>
#include <pthread.h>

/* Which mailbox a task has, and whether it has ended, is settled under one of these.  They lie outside of the tasks: who posts may come when
 * the task ends, and is gone.  Whoever has one finds a task that has not ended there, and its pool. */
static struct tdm_lock locks[64];

static struct tdm_lock *lock_of(const struct tdm_task *task)
{
    return &locks[((uintptr_t)task >> 6 ^ (uintptr_t)task >> 12) % (sizeof locks / sizeof *locks)];
}

static void lock(const struct tdm_task *task) { tdm_lock(lock_of(task), TDM_RANK_TALK); }
static void unlock(const struct tdm_task *task) { tdm_unlock(lock_of(task), TDM_RANK_TALK); }

void tdm_talk_reset(void)
{
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++) locks[i] = (struct tdm_lock){0};
}

void tdm_talk_pass(void)
{
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++) {
        tdm_lock(&locks[i], TDM_RANK_TALK);
        tdm_unlock(&locks[i], TDM_RANK_TALK);
    }
}

/* ---- which mailbox a task has ---- */

static bool is_settled(uint32_t word) { return tdm_task_state(word) == TDM_ENDED || tdm_task_is_new(word); }

/* With the lock held.  Sets it, or NULL if there is no memory.  -EPIPE: the task has ended; -EINVAL: it was not taken after all. */
static int find_or_make(struct tdm_task *task, struct tdm_mailbox **mailbox)
{
    uint32_t word = load_seq(&task->state);
    if (is_settled(word)) return tdm_task_is_new(word) ? -EINVAL : -EPIPE;
    *mailbox = load_acquire(&task->mail); /* [task-mail] */
    if (*mailbox) return 0;
    if (!(*mailbox = tdm_mailbox_make(task, task->lane->core->watch_ns))) return -ENOMEM;
    store_release(&task->mail, *mailbox); /* [task-mail] */
    while (!is_settled(word))
        if (cas_seq(&task->state, &word, word | (uint32_t)TDM_TALKS)) return 0;
    store_release(&task->mail, NULL);
    tdm_mailbox_let_go(*mailbox);
    return tdm_task_is_new(word) ? -EINVAL : -EPIPE;
}

struct tdm_mailbox *tdm_talk_mailbox(struct tdm_task *task)
{
    struct tdm_mailbox *mailbox = NULL;
    lock(task);
    find_or_make(task, &mailbox);
    unlock(task);
    return mailbox;
}

struct tdm_mailbox *tdm_talk_end(struct tdm_task *task)
{
    lock(task);
    struct tdm_mailbox *mailbox = load_acquire(&task->mail); /* [task-mail] */
    store_release(&task->mail, NULL);
    if (mailbox) tdm_mailbox_end(mailbox);
    and_seq(&task->state, ~(uint32_t)TDM_TALKS); /* here, or it would take off the mark of the next one that is made */
    unlock(task);
    return mailbox;
}

/* The task may have ended since the wish; then it has none any more, or its memory is on its next run, and is told for nothing. */
void tdm_talk_wake(struct tdm_task *task)
{
    lock(task);
    struct tdm_mailbox *mailbox = load_seq(&task->state) & TDM_TALKS ? load_acquire(&task->mail) : NULL; /* [task-mail] */
    if (mailbox) tdm_mailbox_wake(mailbox);
    unlock(task);
}

/* ---- posting ---- */

uint64_t tdm_talk_next_look(uint64_t *between_ns, uint64_t deadline_ns)
{
    *between_ns = *between_ns == 0 ? TDM_TALK_LOOK_NS : *between_ns * 2;
    if (*between_ns > TDM_TALK_LOOK_MOST_NS) *between_ns = TDM_TALK_LOOK_MOST_NS;
    uint64_t look_ns = tdm_clock_ns() + *between_ns;
    return look_ns < deadline_ns ? look_ns : deadline_ns;
}

/* 0: the caller may talk to it, or could a moment ago. */
static int check(tandem_task *public)
{
    if (!public) return -EINVAL;
    uint32_t me = tdm_identity();
    if (me == 0) return -EPERM;
    struct tdm_task *task = tdm_task_of(public);
    uint32_t word = load_seq(&task->state);
    if (tdm_task_is_new(word) || public->command) return -EINVAL;
    if (tdm_task_state(word) == TDM_ENDED) return -EPIPE;
    return task->home == (uint16_t)me ? 0 : -EPERM;
}

/* One try.  The first finds the mailbox; if there is no room, a reference to it is the caller's, and is what tells the next try whether the
 * task still is.  Its lane is told under the lock, so that the pool is there. */
static int try(struct tdm_task *task, struct tdm_mailbox **mailbox, struct tdm_mail *mail, struct tdm_asking *asking)
{
    bool first = *mailbox == NULL;
    lock(task);
    int result = first ? find_or_make(task, mailbox) : (*mailbox)->ended ? -EPIPE : 0;
    if (result == 0) result = tdm_mailbox_post(*mailbox, mail, asking);
    if ((result == 0 || result == -EAGAIN) && task->lane->ops->posted) task->lane->ops->posted(task->lane, task);
    bool keeps = result == -EAGAIN || (result == 0 && asking);
    if (first && keeps) tdm_mailbox_keep(*mailbox);
    unlock(task);
    if (first && !keeps) *mailbox = NULL;
    return result;
}

static int wait_and_try(struct tdm_task *task, struct tdm_mailbox *mailbox, struct tdm_mail *mail, struct tdm_asking *asking,
                        uint64_t deadline_ns)
{
    int result;
    uint64_t between_ns = 0;
    for (;;) {
        uint32_t seen = tdm_mail_begin_sleep(&mailbox->to_post);
        result = try(task, &mailbox, mail, asking);
        bool over = result != -EAGAIN || tdm_clock_ns() >= deadline_ns;
        if (!over && !tdm_clock_watch(&mailbox->to_post.count, seen, mailbox->watch_ns))
            tdm_futex_wait(&mailbox->to_post.count, seen, tdm_talk_next_look(&between_ns, deadline_ns)); /* [mail-bell] */
        tdm_mail_end_sleep(&mailbox->to_post);
        if (over) return result == -EAGAIN ? -ETIMEDOUT : result;
    }
}

static int post(struct tdm_task *task, struct tdm_mail *mail, struct tdm_asking *asking, struct tdm_mailbox **mailbox,
                int64_t timeout_ms)
{
    int result = try(task, mailbox, mail, asking);
    if (result != -EAGAIN || timeout_ms == 0) return result;
    return wait_and_try(task, *mailbox, mail, asking, tdm_clock_deadline(timeout_ms));
}

/* Where the bytes are to stay is settled by the lane.  The task may have ended by now, and the pool have gone, so under the lock. */
static struct tdm_mail *make(struct tdm_task *task, const tandem_message *message)
{
    bool shared = false;
    if (message->size > 0 && tdm_task_public(task)->isolation == TANDEM_PROCESS) {
        lock(task);
        struct tdm_lane *lane = is_settled(load_seq(&task->state)) ? NULL : task->lane;
        shared = lane && lane->ops->shares && lane->ops->shares(lane, message->data, message->size);
        unlock(task);
    }
    return shared ? tdm_mail_make_of_shared((void *)(uintptr_t)message->data, message->size)
                  : tdm_mail_make(message->data, message->size);
}

int tdm_talk_post(tandem_task *public, const tandem_message *message, struct tdm_asking *asking, struct tdm_mailbox **mailbox,
                  int64_t timeout_ms)
{
    int result = tdm_message_check(message);
    if (result == 0 && message->request != 0) result = -EINVAL;
    if (result == 0) result = check(public);
    *mailbox = NULL;
    if (result != 0) return result;
    struct tdm_mail *mail = make(tdm_task_of(public), message);
    result = mail ? tdm_mail_copy_fds(mail, message) : -ENOMEM;
    if (result == 0) result = post(tdm_task_of(public), mail, asking, mailbox, timeout_ms);
    if (result != 0) tdm_mail_free(mail);
    return result;
}

/* A thread that is cancelled while it waits would take a reference with it. */
int tandem_post(tandem_task *public, const tandem_message *message, int64_t timeout_ms)
{
    int saved = errno, state;
    struct tdm_mailbox *mailbox;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    int result = tdm_talk_post(public, message, NULL, &mailbox, timeout_ms);
    tdm_mailbox_let_go(mailbox);
    pthread_setcancelstate(state, NULL);
    errno = saved;
    return result;
}

int tandem_close(tandem_task *public)
{
    int result = check(public);
    if (result != 0) return result;
    struct tdm_task *task = tdm_task_of(public);
    struct tdm_mailbox *mailbox = NULL;
    lock(task);
    result = find_or_make(task, &mailbox);
    if (result == 0) tdm_mailbox_close(mailbox);
    if (result == 0 && task->lane->ops->posted) task->lane->ops->posted(task->lane, task);
    unlock(task);
    return result;
}

/* ---- how far it is ---- */

static void read_running(struct tdm_task *task, uint64_t *done, uint64_t *total)
{
    const struct tdm_mailbox *mailbox = load_acquire(&task->mail); /* [task-mail] */
    if (task->lane->ops->progress) {
        task->lane->ops->progress(task->lane, task, done, total);
    } else if (mailbox) {
        *done = load_acquire(&mailbox->done); /* [progress] */
        *total = load_acquire(&mailbox->total);
    }
}

int tandem_read_progress(const tandem_task *public, uint64_t *done, uint64_t *total)
{
    if (!public || !done || !total) return -EINVAL;
    struct tdm_task *task = tdm_task_of((tandem_task *)(uintptr_t) public);
    uint32_t me = tdm_identity(), word = load_seq(&task->state);
    if (me == 0) return -EPERM;
    if (tdm_task_is_new(word)) return -EINVAL;
    if (tdm_task_state(word) != TDM_ENDED && task->home != (uint16_t)me) return -EPERM;
    *done = *total = 0;
    lock(task);
    word = load_seq(&task->state);
    if (!is_settled(word)) read_running(task, done, total);
    unlock(task);
    word = load_seq(&task->state); /* [task-end] */
    if (tdm_task_state(word) == TDM_ENDED) *done = *total = 0;
    if (tdm_task_state(word) == TDM_ENDED && word & TDM_PROGRESSED) {
        *done = task->progress.done;
        *total = task->progress.total;
    }
    return 0;
}
