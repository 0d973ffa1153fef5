/* slot_start.c - a worker's start as the host sees it: what is opened for it, and what it is told first. */
#define _POSIX_C_SOURCE 200809L
#include "process/slot_start.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/fds.h"
#include "base/memory.h"
#include "child/process_worker.h"
#include "guards/guard_link.h"
#include "job/member.h"
#include "job/setup.h"
#include "process/reading.h"
#include "process/shared_memory.h"
#include "process/slot_inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int open_pipes(struct tdm_slot *slot)
{
    int replies[2], lifeline[2], parcels[2];
    int error = tdm_fds_pipe(slot->requests);
    if (error != 0) return error;
    error = tdm_fds_pipe(replies);
    slot->replies = replies[0];
    slot->child.fds[TDM_WORKER_REPLIES] = replies[1];
    if (error != 0) return error;
    error = tdm_fds_pipe(lifeline);
    slot->lifeline = lifeline[1];
    slot->child.fds[TDM_WORKER_LIFELINE] = lifeline[0];
    if (error != 0) return error;
    error = tdm_fds_socketpair(parcels);
    slot->parcels = parcels[0];
    slot->child.fds[TDM_WORKER_PARCELS] = parcels[1];
    if (error == 0) error = tdm_fds_nonblocking(slot->requests[1]);
    if (error == 0) error = tdm_fds_nonblocking(slot->replies);
    return error;
}

/* What the rings take of memory is taken now: later there would be nobody to tell that there is none.  A descriptor or -errno. */
static int open_memory(bool with_rings)
{
    int memory = tdm_fds_memory(with_rings ? sizeof(struct tdm_shared_page) : TDM_CONTROL_SIZE);
    int error = memory >= 0 && with_rings ? tdm_platform_commit(memory, 0, sizeof(struct tdm_shared_page)) : 0;
    if (error != 0) tdm_fds_close(&memory);
    return error != 0 ? error : memory;
}

/* The page, and behind it the rings; where there is no memory for them, pipes do. */
static int open_page(struct tdm_slot *slot)
{
    bool has_rings = !slot->lane->options->pipes_only && tdm_platform_has_shared_futex();
    int memory = has_rings ? open_memory(true) : -1;
    if (memory < 0) {
        has_rings = false;
        memory = open_memory(false);
    }
    if (memory < 0) return memory;
    size_t size = has_rings ? sizeof(struct tdm_shared_page) : TDM_CONTROL_SIZE;
    slot->child.fds[TDM_WORKER_CONTROL] = memory;
    int fault = tdm_fault(TDM_FAULT_map);
    if (fault != 0) return -fault;
    struct tdm_shared_page *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (page == MAP_FAILED) return -errno;
    tdm_platform_keep_out_of_dumps(page, size);
    tdm_platform_keep_out_of_forks(page, size);
    slot->control = &page->control;
    slot->control_size = size;
    tdm_slot_lock(slot);
    slot->out = (struct tdm_way){.fd = slot->requests[1]};
    slot->in = (struct tdm_way){.fd = slot->replies};
    if (has_rings) {
        slot->out.rings = slot->in.rings = &page->rings;
        slot->out.ring = tdm_ring_of_requests(&page->rings);
        slot->in.ring = tdm_ring_of_replies(&page->rings);
        store_seq(&page->rings.host_wish, TDM_HOST_BELL);
    } else {
        tdm_fds_bell(slot->call);
    }
    tdm_slot_unlock(slot);
    return 0;
}

/* The worker gets a descriptor of its own for its end of the requests: the host's is closed when it is sent.  A working directory that
 * cannot be opened (it has been removed) is one that nobody can be in. */
static int open_rest(struct tdm_slot *slot)
{
    int request = tdm_fds_duplicate(slot->requests[0]);
    if (request < 0) return request;
    slot->child.fds[TDM_WORKER_REQUESTS] = request;
    int error = open_page(slot);
    if (error == 0 && slot->lane->options->worker_error == TANDEM_STDIO_CAPTURE)
        error = tdm_error_tail_open(&slot->errors, &slot->child.fds[TDM_WORKER_ERRORS]);
    if (error == 0 && slot->lane->options->worker_output == TANDEM_STDIO_STREAM)
        error = tdm_worker_output_open(slot, 1, &slot->child.fds[TDM_WORKER_OUTPUT]);
    if (error == 0 && slot->lane->options->worker_error == TANDEM_STDIO_STREAM)
        error = tdm_worker_output_open(slot, 2, &slot->child.fds[TDM_WORKER_ERRORS]);
    if (error != 0) return error;
    if (slot->lane->shared->has_file) {
        int shared = tdm_fds_duplicate(slot->lane->shared->fd);
        if (shared < 0) return shared;
        slot->child.fds[TDM_WORKER_SHARED] = shared;
    }
    int directory = tdm_platform_open_cwd();
    if (directory >= 0) directory = tdm_fds_take_in(directory);
    slot->child.fds[TDM_WORKER_CWD] = directory < 0 ? -1 : directory;
    return 0;
}

static int watch_replies(struct tdm_slot *slot)
{
    slot->reply_source = (struct tdm_source){.fd = slot->replies, .ready = tdm_reading_ready};
    slot->request_source = (struct tdm_source){.fd = slot->requests[1], .ready = tdm_slot_requests_ready};
    slot->parcel_source = (struct tdm_source){.fd = slot->parcels, .ready = tdm_slot_parcels_ready};
    return tdm_reactor_watch(&slot->reply_source, TDM_POLL_IN);
}

/* The environment is the lane's copy; the argument's bytes are the pool's own. */
static int write_setup(struct tdm_slot *slot, uint32_t number)
{
    const tandem_options *options = slot->lane->options;
    struct tdm_setup setup = {.on_start = (uint64_t)(uintptr_t)options->on_worker_start,
                              .on_stop = (uint64_t)(uintptr_t)options->on_worker_stop,
                              .memory_per_worker = options->memory_per_worker,
                              .seed = (tdm_clock_ns() ^ (uint64_t)number << 40) * 0x9e3779b97f4a7c15u,
                              .watch_ns = slot->lane->watch_ns,
                              .argument_size = options->argument_size,
                              .shared_address = (uint64_t)(uintptr_t)slot->lane->shared->window.start,
                              .shared_size = slot->lane->shared->has_file ? slot->lane->shared->window.size : 0,
                              .output_nowhere = options->worker_output == TANDEM_STDIO_NULL,
                              .error_nowhere = options->worker_error == TANDEM_STDIO_NULL,
                              .no_crash_report = options->no_crash_report,
                              .core_dumps = options->core_dumps,
                              .number = tdm_member_number(number)};
    snprintf(setup.name, sizeof setup.name, "%s", options->name);
    tdm_surroundings_note(&setup.around);
    char *bytes = tdm_process_lane_make_setup(slot->lane, &setup);
    if (!bytes) return -ENOMEM;
    slot->setup = bytes;
    uint64_t size = tdm_setup_size(&setup), padding = (TDM_SETUP_PADDING - size % TDM_SETUP_PADDING) % TDM_SETUP_PADDING;
    if (size + padding > TDM_FRAME_PAYLOAD_MOST) return -E2BIG; /* an environment of many megabytes beside the largest argument */
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_SETUP, (size_t)(size + padding));
    tdm_slot_lock(slot);
    tdm_outbox_put(&slot->outbox, &frame, slot->setup);
    tdm_slot_unlock(slot);
    return 0;
}

static void reset(struct tdm_slot *slot, uint32_t number)
{
    slot->in_use = true;
    slot->start_error = 0;
    slot->cannot_start = false;
    slot->said_ready = slot->was_ready = slot->said_tired = slot->was_offered = false;
    slot->seated = slot->stands = slot->retiring = slot->replaced = slot->recycled = slot->orphan = slot->asked = slot->kill_sent =
        false;
    slot->requests[0] = slot->requests[1] = slot->replies = slot->lifeline = slot->parcels = slot->call[0] = slot->call[1] = -1;
    slot->reply_source.wants = slot->request_source.wants = slot->parcel_source.wants = 0;
    for (int i = 0; i < TDM_FDS_MOST; i++) slot->child.fds[i] = -1;
    tdm_slot_lock(slot);
    tdm_slot_set_state(slot, TDM_SLOT_STARTING);
    slot->number = number;
    slot->pid = 0;
    slot->handed = 0;
    slot->usual_ns = 0;
    slot->freed = slot->suspect = slot->gently = slot->unread = slot->unlooked = slot->ended = slot->hasty = slot->is_dead = false;
    slot->has_held = slot->deaf = slot->has_answered = false;
    slot->watch = (struct tdm_watch){.now_ns = slot->lane->watch_ns, .most_ns = slot->lane->watch_ns};
    slot->input_error = 0;
    slot->leave_due = slot->heard = false;
    slot->credit_due = slot->data_due = 0;
    slot->parcels_full = false;
    slot->parcels_sent = slot->parcels_read = 0;
    slot->step = NULL;
    tdm_slot_unlock(slot);
}

void tdm_slot_start(struct tdm_slot *slot, uint32_t number)
{
    reset(slot, number);
    const char *step = "credentials";
    int error = tdm_guards_have_our_credentials() ? 0 : -EPERM;
    if (error == 0) {
        step = "descriptors";
        error = open_pipes(slot);
        if (error == 0) error = open_rest(slot);
        if (error == 0) error = watch_replies(slot);
    }
    if (error == 0) {
        step = "memory";
        error = write_setup(slot, number);
    }
    if (error != 0) {
        for (int i = 0; i < TDM_FDS_MOST; i++) tdm_fds_close(&slot->child.fds[i]);
        tdm_slot_start_failed(slot, step, -error);
        return;
    }
    tdm_reactor_set_timer(&slot->timer, tdm_clock_deadline((int64_t)slot->lane->options->start_timeout_ms));
    tdm_reactor_post(&slot->attend);
    tdm_guards_spawn(&slot->child);
}
