/* dump.c - a pool as a table for a person: its workers, what they run, its counters. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/fds.h"
#include "base/memory.h"
#include "base/symbols.h"
#include "pool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_ROOM 64

/* It grows; what the memory did not suffice for is missing. */
struct text {
    char *bytes;
    size_t length, room;
};

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
add(struct text *text, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
    if (text->length + size > text->room) {
        size_t larger = (text->length + size) * 2 + 4096;
        char *more = tdm_realloc(text->bytes, larger);
        if (!more) return;
        text->bytes = more;
        text->room = larger;
    }
    memcpy(text->bytes + text->length, line, size);
    text->length += size;
}

/* What is said of one task: its own name, for the struct may be the caller's again by the time it is printed. */
struct named {
    char name[NAME_ROOM];
    tandem_fn *run;
    uint64_t since_ns;
};

static void name_task(struct named *named, struct tdm_task *private, uint64_t since_ns)
{
    const tandem_task *task = tdm_task_public(private);
    snprintf(named->name, sizeof named->name, "%s", task->name ? task->name : "");
    named->run = task->run;
    named->since_ns = since_ns;
}

static double ms_since(uint64_t since_ns) { return (double)(tdm_clock_ns() - since_ns) / 1e6; }

static void add_task(struct text *text, struct named *named)
{
    if (!named->name[0]) tdm_symbols_function((uintptr_t)named->run, named->name, sizeof named->name);
    add(text, "  %s, %.1f ms", named->name[0] ? named->name : "a task", ms_since(named->since_ns));
}

static const char *state_of(const struct tdm_slot *slot)
{
    switch (slot->state) {
    case TDM_SLOT_STARTING: return "starting";
    case TDM_SLOT_READY: return slot->in_hand > 0 ? "running" : "idle";
    case TDM_SLOT_LEAVING: return "leaving";
    case TDM_SLOT_DYING: return "dying";
    default: return "none";
    }
}

/* The oldest task is the one that runs; those behind it wait in the worker's hands. */
static void add_worker(struct text *text, struct tdm_slot *slot)
{
    struct named named = {0};
    tdm_lock(&slot->lock, TDM_RANK_SLOT);
    bool alive = slot->state != TDM_SLOT_EMPTY;
    const struct tdm_entry *oldest = NULL;
    for (const struct tdm_entry *entry = slot->entries; entry < slot->entries + TDM_IN_HAND; entry++)
        if (entry->task && (!oldest || entry->sequence < oldest->sequence)) oldest = entry;
    if (oldest) name_task(&named, oldest->task, oldest->begun_ns);
    unsigned in_hand = slot->in_hand;
    uint32_t number = slot->number, handed = slot->handed;
    long pid = (long)slot->pid;
    const char *state = state_of(slot);
    uint64_t state_ns = slot->state_ns;
    tdm_unlock(&slot->lock, TDM_RANK_SLOT);
    if (!alive) return;
    add(text, "%6u %8ld %-9s %10.1f %6u", (unsigned)number, pid, state, ms_since(state_ns), (unsigned)handed);
    if (named.run) add_task(text, &named);
    if (in_hand > 1) add(text, ", %u more in hand", in_hand - 1);
    add(text, "\n");
}

/* Slots are only ever added, at the front, and none goes before the lane does. */
static void add_workers(struct text *text, struct tdm_process_lane *lane)
{
    add(text, "worker      pid state          ms in  tasks  running\n");
    tdm_process_lane_lock(lane);
    struct tdm_slot *slot = lane->slots;
    tdm_process_lane_unlock(lane);
    for (; slot; slot = slot->next) add_worker(text, slot);
}

#define COMMANDS_SHOWN 100

static void add_commands(struct text *text, struct tdm_command_lane *lane)
{
    struct tdm_command_view views[COMMANDS_SHOWN];
    size_t count = tdm_command_lane_view(lane, views, COMMANDS_SHOWN);
    if (count > 0) add(text, "command     pid      ms in\n");
    for (size_t i = 0; i < count; i++) add(text, "%15ld %10.1f  %s\n", views[i].pid, ms_since(views[i].since_ns), views[i].name);
}

static void add_counters(struct text *text, tandem_pool *pool)
{
    tandem_stats stats;
    if (tandem_pool_stats(pool, &stats) != 0) return;
    add(text, "pool %s: %llu submitted, %llu waiting, %llu running", pool->name, (unsigned long long)stats.submitted,
        (unsigned long long)stats.waiting, (unsigned long long)stats.running);
    for (int status = 0; status < 16; status++)
        if (stats.ended[status] != 0) add(text, ", %llu %s", (unsigned long long)stats.ended[status], tandem_status_name(status));
    add(text, "\n%llu threads, %llu worker processes alive; %llu started, %llu crashed, %llu recycled\n",
        (unsigned long long)stats.threads, (unsigned long long)stats.processes, (unsigned long long)stats.workers_started,
        (unsigned long long)stats.workers_crashed, (unsigned long long)stats.workers_recycled);
}

static int write_all(const struct text *text, int fd)
{
    for (size_t done = 0; done < text->length;) {
        struct iovec part = {.iov_base = text->bytes + done, .iov_len = text->length - done};
        ssize_t now = tdm_fds_writev(fd, &part, 1);
        if (now < 0) return (int)now;
        done += (size_t)now;
    }
    return text->length > 0 ? 0 : -ENOMEM;
}

int tdm_dump_pool(tandem_pool *pool, int fd)
{
    struct text text = {0};
    add_counters(&text, pool);
    if (pool->has_processes) add_workers(&text, &pool->processes);
    if (pool->has_processes) add_commands(&text, &pool->commands);
    int error = write_all(&text, fd);
    free(text.bytes);
    return error;
}
