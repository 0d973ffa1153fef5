/* plain.c - process tasks that ask for nothing but to be run. */
#define _POSIX_C_SOURCE 200809L
#include "process/plain.h"

#include "base/proc.h"

/* ---- coming in ---- */

/* With the lock held: is it a matter of putting it behind others, or of giving it to a worker that has nothing? */
static bool is_as_usual(const struct tdm_process_lane *lane)
{
    const struct tdm_ledger *ledger = &lane->lane.core->ledger;
    const struct tdm_staff *staff = &lane->staff;
    bool is_staffed = staff->seated >= lane->options->processes && staff->retiring == 0 && !staff->tripped;
    return ledger->gate == TDM_GATE_OPEN && ledger->limit == 0 && is_staffed && lane->options->tasks_per_worker == 0;
}

/* True: it is this call's alone, without results that are to be dropped, but for a report that can be written anew. */
static bool claim(tandem_task *task)
{
    struct tdm_task *private = tdm_task_of(task);
    uint32_t word = load_relaxed(&private->state); /* relaxed: the swap decides */
    if (word != TDM_NEW && word != TDM_ENDED) return false;
    if (!cas_seq(&private->state, &word, TDM_PREPARING)) return false;
    if (!task->output && (!task->report || private->bare)) return true;
    store_release(&private->state, word); /* nobody sets a mark meanwhile */
    return false;
}

/* All but the state word. */
static void prepare(struct tdm_process_lane *lane, tandem_task *task)
{
    struct tdm_task *private = tdm_task_of(task);
    task->output_size = 0;
    task->status = TANDEM_PENDING;
    task->code = task->signal = 0;
    store_relaxed(&private->wishes, 0); /* relaxed: the store of the state publishes it with all the rest */
    tdm_task_set_lane(private, &lane->lane, lane->lane.core->home);
    private->deaths = 0;
    private->retried = false;
    private->queued_ns = tdm_report_now();
}

/* With the lock held, which a cancel needs that wants to take it back. */
static void admit(struct tdm_process_lane *lane, tandem_task *task, struct tdm_slot *slot, bool called)
{
    struct tdm_task *private = tdm_task_of(task);
    prepare(lane, task);
    if (!task->report) tdm_report_take(&lane->reports, private);
    tdm_ledger_admit_more(&lane->lane.core->ledger, 1, !slot);
    private->place = slot;
    private->called = called && slot; /* by the time a worker has one that waits, its thread sleeps elsewhere */
    store_release(&private->state, (uint32_t)(slot ? TDM_HELD : TDM_QUEUED) | (uint32_t)TDM_SHORT); /* [task-prepared] */
    if (!slot) tdm_list_push_back(&lane->lane.queue, &private->link);
}

bool tdm_plain_submit(struct tdm_process_lane *lane, tandem_task *task, bool called)
{
    struct tdm_slot *slot = NULL, *passed = NULL;
    uint32_t number = 0;
    tdm_prefetch(&task->status);
    tdm_prefetch(&tdm_task_of(task)->state);
    if (!load_seq(&lane->lane.core->holds_reactor) || !tdm_proc_had_code((uintptr_t)task->run)) return false;
    tdm_process_lane_lock(lane);
    bool has_report = task->report || lane->reports.open; /* where memory is to be had first, a failure is to be told */
    bool taken = has_report && is_as_usual(lane) && claim(task);
    if (taken) {
        if (!tdm_list_empty(&lane->idle)) slot = tdm_process_lane_take_idle(lane, &number);
        admit(lane, task, slot, called);
        if (!slot) passed = tdm_process_lane_enter_to_pass(lane);
    }
    tdm_process_lane_unlock(lane);
    if (slot) tdm_process_lane_hand(lane, slot, number, tdm_task_of(task));
    if (passed) tdm_process_lane_pass(lane, passed);
    return taken;
}

/* ---- to a worker ---- */

/* With the lock held: behind others in a worker's hands goes only what is left when each worker has as many. */
static bool has_share(const struct tdm_process_lane *lane, unsigned in_hand, uint64_t waiting)
{
    return in_hand == 0 || waiting >= (uint64_t)(lane->staff.seated - 1) * in_hand;
}

unsigned tdm_plain_take(struct tdm_process_lane *lane, struct tdm_slot *slot, unsigned in_hand, unsigned room,
                        struct tdm_node *tasks)
{
    struct tdm_ledger *ledger = &lane->lane.core->ledger;
    struct tdm_node *queue = &lane->lane.queue;
    uint64_t waiting = tdm_ledger_waiting(ledger);
    unsigned count = 0;
    if (slot->dedicated || tdm_ranks_hint(&lane->lane.ranks) != 0) return 0;
    for (; count < room && !tdm_list_empty(queue) && has_share(lane, in_hand + count, waiting - count); count++) {
        struct tdm_task *task = container_of(queue->next, struct tdm_task, link);
        if (!(load_relaxed(&task->state) & TDM_SHORT)) break; /* relaxed: the mark was there before it was queued */
        tdm_list_remove(&task->link);
        tdm_task_move(task, TDM_QUEUED, TDM_HELD);
        task->place = slot;
        tdm_report_expect_begin(task);
        tdm_list_push_back(tasks, &task->link);
    }
    if (count == 0) return 0;
    if (in_hand + count > 1) lane->in_hands = true;
    tdm_ledger_taken(ledger, count);
    tdm_staff_guard(lane);
    return count;
}
