/* task.c - a task's way from NEW to ENDED. */
#include "task/task.h"

#include "base/clock.h"
#include "base/futex.h"
#include "task/core.h"
#include "task/group.h"
#include "task/lane.h"
#include "task/mailbox.h"
#include "task/report.h"
#include "task/self.h"
#include "task/talk.h"
#include "task/wait.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

_Static_assert(sizeof(struct tdm_task) <= sizeof((tandem_task *)0)->reserved, "it fits the public struct");
_Static_assert(sizeof(void *) != 8 || sizeof(tandem_task) == 256, "four cache lines");
/* What a small task's way writes, its status and code, the link, its state and lane, is 48 bytes in a row: in an array from malloc, whose
 * elements begin 16 bytes after a cache line does, they are in one. */
_Static_assert(sizeof(void *) != 8 || (offsetof(tandem_task, status) == 112 && offsetof(tandem_task, reserved) == 144), "in a row");

/* Waiters add their marks at any time, so the word is moved by compare-and-swap even though only the holder moves the state. */
void tdm_task_move(struct tdm_task *task, enum tdm_task_state from, enum tdm_task_state to)
{
    uint32_t word = load_seq(&task->state);
    do assert(tdm_task_state(word) == from);
    while (!cas_seq(&task->state, &word, (word & ~(uint32_t)TDM_STATE_MASK) | (uint32_t)to));
    (void)from;
}

void tdm_task_wish(struct tdm_task *task, enum tdm_wish wish)
{
    uint8_t word = load_seq(&task->wishes), wished;
    do wished = (uint8_t)(word | (unsigned)wish | (word == 0 ? (unsigned)wish << TDM_WISH_FIRST_SHIFT : 0));
    while (!cas_seq(&task->wishes, &word, wished));
    if (load_seq(&task->state) & TDM_TALKS)
        tdm_talk_wake(task); /* it may sleep, on a thread, until it is told something [wishes] */
}

bool tdm_task_wished_first(const struct tdm_task *task, enum tdm_wish wish)
{
    return load_seq(&task->wishes) & (uint32_t)wish << TDM_WISH_FIRST_SHIFT;
}

/* The mark and the state are one word: who gives the task a mailbox sees the end, or is seen here. */
uint32_t tdm_task_move_out(struct tdm_task *task, uint32_t to, struct tdm_mailbox **mailbox)
{
    uint32_t word = load_seq(&task->state);
    do
        while (word & TDM_TALKS) {
            struct tdm_mailbox *last = tdm_talk_end(task); /* its only one, or one that a poster has made since then */
            if (*mailbox)
                tdm_mailbox_let_go(last);
            else
                *mailbox = last;
            word = load_seq(&task->state);
        }
    while (!cas_seq(&task->state, &word, to));
    return word;
}

/* Its mailbox, if it has one, goes too.  The word as it was. */
static TDM_APART uint32_t move_out_alone(struct tdm_task *task, uint32_t to)
{
    struct tdm_mailbox *mailbox = NULL;
    uint32_t word = tdm_task_move_out(task, to, &mailbox);
    tdm_mailbox_let_go(mailbox);
    return word;
}

/* Those who have said in the word that they sleep.  The task is not touched. */
static void wake(struct tdm_task *task, uint32_t word)
{
    if (word & TDM_WAITED) tdm_futex_wake_all(&task->state);
    if (word & TDM_WAITED_ANY) tdm_wait_wake_any();
}

void tdm_task_give_up(struct tdm_task *task, uint32_t before) { wake(task, move_out_alone(task, before)); }

void tdm_task_free_results(void *output, void (*release)(void *), const tandem_report *report)
{
    if (output) (release ? release : free)(output);
    tdm_report_free(report);
}

static void fill_in(struct tdm_task *private, const struct tdm_outcome *outcome)
{
    tandem_task *task = tdm_task_public(private);
    tdm_report_begin(private);
    task->status = outcome->status;
    task->code = outcome->code;
    if (task->signal != outcome->signal)
        task->signal = outcome->signal; /* of a thread task others may look at it: [task-in-queue] */
    bool keeps = outcome->output && (outcome->status == TANDEM_OK || outcome->status == TANDEM_FAILED || task->command);
    task->output = keeps ? outcome->output : NULL; /* the link of a thread task may have been there */
    task->output_size = keeps ? outcome->output_size : 0;
    if (keeps) private->release = outcome->release;
    if (!keeps && outcome->output) tdm_task_free_results(outcome->output, outcome->release, NULL);
    if (task->report) tdm_report_end((tandem_report *)(uintptr_t)task->report, task, outcome);
}

/* How far it was can be asked later: the place of its deadlines is free now.  The mark for that, or 0. */
static uint32_t keep_progress(struct tdm_task *task, const struct tdm_facts *facts)
{
    const struct tdm_mailbox *mailbox = tdm_task_talks(task) ? load_acquire(&task->mail) : NULL; /* [task-mail] */
    uint64_t done = 0, total = 0;
    if (mailbox) {
        done = load_acquire(&mailbox->done); /* [progress] */
        total = load_acquire(&mailbox->total);
    }
    if (facts && (facts->done | facts->total) != 0) done = facts->done, total = facts->total;
    if ((done | total) == 0) return 0;
    task->progress.done = done;
    task->progress.total = total;
    return TDM_PROGRESSED;
}

static void take_sample(struct tdm_ledger *ledger, const struct tdm_task *task, const struct tdm_outcome *outcome)
{
    if (outcome->started_ns == 0 || task->queued_ns == 0) return; /* in this order: see TDM_TIMED */
    uint64_t ended_ns = outcome->ended_ns != 0 ? outcome->ended_ns : tdm_clock_ns();
    tdm_ledger_add_sample(ledger, outcome->started_ns - task->queued_ns, ended_ns - outcome->started_ns);
}

/* What is left for a task that asked for nothing of what follows below. [task-end] */
static inline void end_plainly(struct tdm_task *private, int status, struct tdm_tally *tally)
{
    tdm_task_public(private)->status = status;
    tdm_tally_count_own(tally, status);
    uint32_t word = load_seq(&private->state);
    if (word & TDM_TALKS || !cas_seq(&private->state, &word, TDM_ENDED)) word = move_out_alone(private, TDM_ENDED);
    if (word & (TDM_WAITED | TDM_WAITED_ANY)) wake(private, word);
    tdm_ledger_settle_later(tally);
}

void tdm_task_finish_plainly(struct tdm_task *private, int status, int code, struct tdm_tally *tally)
{
    tandem_task *task = tdm_task_public(private);
    task->code = code;
    task->output = NULL; /* its link was there */
    task->output_size = 0;
    end_plainly(private, status, tally);
}

/* No more than one of many is sampled: that takes the ledger's lock. */
void tdm_task_finish_plain_run(struct tdm_task *private, bool sampled, struct tdm_tally *tally)
{
    const tandem_report *report = tdm_task_public(private)->report;
    if (sampled)
        tdm_ledger_add_sample(&private->lane->core->ledger, report->started_ns - report->queued_ns,
                              report->ended_ns - report->started_ns);
    end_plainly(private, TANDEM_OK, tally);
}

/* The exchange is the last access to the task unless it has an on_done or on_message: whoever sees ENDED may free it.  What is needed after it is
 * read before; the wake uses the address only. [task-end] */
void tdm_task_finish(struct tdm_task *private, const struct tdm_outcome *outcome, struct tdm_tally *tally)
{
    tandem_task *task = tdm_task_public(private);
    struct tdm_core *core = private->lane->core;
    tandem_group *group = task->group;
    bool owed = task->on_done || task->on_message, talks = task->on_message != NULL;
    struct tdm_mailbox *mailbox = NULL;
    struct tdm_tally *counter = tally ? tally : &core->ledger.others;

    take_sample(&core->ledger, private, outcome);
    fill_in(private, outcome);
    if (group) tdm_group_drop(group, private, outcome->status);
    tdm_tally_count(counter, outcome->status);

    uint32_t ended = (uint32_t)TDM_ENDED | (owed ? (uint32_t)TDM_OWED : 0) | keep_progress(private, outcome->facts);
    uint32_t word = tdm_task_move_out(private, ended, &mailbox);
    wake(private, word);

    if (!owed) {
        if (group) tdm_group_leave(group);
        tdm_ledger_settle_one(&core->ledger, counter);
    } else if (core->callbacks.by_host || !tally || tally->defers || talks) {
        bool by_host = core->callbacks.by_host;
        if (talks)
            tdm_callbacks_push_end(&core->callbacks, mailbox);
        else
            tdm_callbacks_push(&core->callbacks, private);
        if (by_host) tdm_ledger_settle_one(&core->ledger, counter);
    } else {
        tdm_task_call_back(private, tally);
    }
    if (!talks) tdm_mailbox_let_go(mailbox);
}

/* The mark is taken off before on_done is entered, so that it can submit the task again; after on_done has returned the task may be
 * gone.  Without an on_done, after the last message, it may be as soon as the mark is off. */
void tdm_task_call_back(struct tdm_task *private, struct tdm_tally *tally)
{
    tandem_task *task = tdm_task_public(private);
    struct tdm_core *core = private->lane->core;
    tandem_group *group = task->group;
    void (*on_done)(tandem_task * task) = task->on_done;
    struct tdm_inside inside;
    and_seq(&private->state, ~(uint32_t)TDM_OWED);
    tdm_self_enter(&inside, core, NULL, group);
    if (on_done) on_done(task);
    tdm_self_leave(&inside);
    if (group) tdm_group_leave(group);
    if (!core->callbacks.by_host) tdm_ledger_settle_one(&core->ledger, tally ? tally : &core->ledger.others);
}
