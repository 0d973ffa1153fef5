/* chaos_plan.c - which tasks the soak submits: dice decide. */
#include "chaos.h"

#include <signal.h>
#include <stdlib.h>

/* ---- records ---- */

struct record *records_of(size_t count)
{
    struct record *records = calloc(2 * count, sizeof *records); /* the second half: those that run inside those of the first */
    struct cell *cells = cells_of(2 * count);
    if (records == NULL) abort();
    for (size_t i = 0; i < 2 * count; i++) {
        records[i].cell = &cells[i];
        records[i].order = malloc(sizeof(struct order) + BYTES_MOST);
        if (records[i].order == NULL) abort();
        if (i < count) records[i].nested = &records[count + i];
    }
    return records;
}

static uint32_t some_bytes(struct dice *dice)
{
    uint32_t number = roll_below(dice, 100);
    if (number < 20) return 0;
    if (number < 70) return roll_below(dice, 200);
    if (number < 90) return roll_below(dice, 9000);
    if (number < 95) return roll_between(dice, 65536 - 200, 65536 + 200);
    return roll_below(dice, BYTES_MOST);
}

static uint32_t some_work_us(struct dice *dice)
{
    uint32_t number = roll_below(dice, 100);
    if (number < 50) return 0;
    if (number < 85) return roll_below(dice, 300);
    if (number < 97) return roll_below(dice, 3000);
    return roll_below(dice, 40000);
}

/* ---- what it is to do ---- */

static enum kind some_kind(struct dice *dice, int isolation)
{
    uint32_t number = roll_below(dice, 100);
    if (isolation == TANDEM_THREAD) return number < 80 ? GOOD : number < 90 ? FAILS : number < 95 ? SPINS : NESTS;
    if (number < 66) return GOOD;
    if (number < 74) return FAILS;
    if (number < 81) return SPINS;
    if (number < 85) return FAULTS;
    if (number < 88) return ABORTS;
    if (number < 93) return RAISES;
    return number < 98 ? EXITS : LEAVES_CHILD;
}

static int32_t number_for(struct dice *dice, enum kind kind)
{
    static const int deadly[] = {SIGKILL, SIGTERM, SIGBUS, SIGFPE, SIGILL, SIGINT, SIGPIPE, SIGUSR1, SIGALRM};
    switch (kind) {
    case FAILS: return (int32_t)roll_between(dice, 1, 1000);
    case RAISES: return deadly[roll_below(dice, count_of(deadly))];
    case EXITS: return (int32_t)roll_below(dice, 100); /* above are codes that mean something to the library */
    default: return 0;
    }
}

static void write_order(struct record *record)
{
    struct order *order = record->order;
    order->generation = record->generation;
    fill_bytes(order + 1, order->input_size, order->seed);
    cell_open(record->cell, record->generation);
}

static void plan_order(struct record *record, struct dice *dice, enum kind kind)
{
    *record->order = (struct order){.cell = record->cell,
                                    .seed = roll(dice),
                                    .kind = (uint32_t)kind,
                                    .number = number_for(dice, kind),
                                    .work_us = some_work_us(dice),
                                    .input_size = some_bytes(dice),
                                    .reply_size = some_bytes(dice),
                                    .nested = record->nested};
    record->generation++;
    write_order(record);
}

/* ---- what is asked of the library ---- */

static uint32_t some_flags(struct dice *dice, int isolation)
{
    uint32_t flags = 0;
    if (chance(dice, 30)) flags |= TANDEM_REPORT;
    if (chance(dice, 30)) flags |= TANDEM_NO_HELP;
    if (isolation == TANDEM_PROCESS && chance(dice, 20)) flags |= TANDEM_RETRY;
    if (chance(dice, 5)) flags |= TANDEM_DEDICATED;
    return flags;
}

static void reset(struct record *record, tandem_pool *pool, bool ends)
{
    record->pool = pool;
    record->pool_ends = ends;
    record->judged = false;
    record->relays = 0;
    record->relayed = false;
    atomic_store(&record->asked, 0);
    atomic_store(&record->calls, 0);
    atomic_store(&record->yours, 0);
}

/* A task inside another: good, in a process, and nothing asked of it. */
static void plan_nested(struct record *record, struct dice *dice, tandem_pool *pool, bool ends)
{
    reset(record, pool, ends);
    plan_order(record, dice, GOOD);
    record->task = (tandem_task){.run = work,
                                 .input = record->order,
                                 .input_size = sizeof *record->order + record->order->input_size,
                                 .isolation = TANDEM_PROCESS};
}

void plan(struct record *record, struct dice *dice, tandem_pool *pool, bool ends)
{
    int isolation = chance(dice, 25) ? TANDEM_THREAD : TANDEM_PROCESS;
    enum kind kind = some_kind(dice, isolation);
    if (ends && kind == NESTS) kind = GOOD; /* nobody may submit to a pool that ends */
    reset(record, pool, ends);
    plan_order(record, dice, kind);
    record->task = (tandem_task){.run = work,
                                 .input = record->order,
                                 .input_size = sizeof *record->order + record->order->input_size,
                                 .isolation = isolation,
                                 .flags = some_flags(dice, isolation),
                                 .name = kind_names[kind],
                                 .user_data = record};
    if (chance(dice, kind == SPINS ? 70 : 10)) record->task.timeout_ms = roll_between(dice, 1, kind == SPINS ? 60 : 200);
    if (chance(dice, 5)) record->task.queue_timeout_ms = roll_between(dice, 1, 60);
    if (chance(dice, 20)) record->task.priority = chance(dice, 50) ? 1 : -1;
    if (kind == NESTS) plan_nested(record->nested, dice, pool, ends);
}

void plan_again(struct record *record)
{
    record->generation++;
    record->judged = false;
    atomic_store(&record->calls, 0);
    write_order(record);
}
