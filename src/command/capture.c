/* capture.c - one output of a command that is kept. */
#define _POSIX_C_SOURCE 200809L
#include "command/capture.h"

#include "base/clock.h"
#include "base/fds.h"
#include "base/platform.h"
#include "command/spill.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <tandem.h>

#define ASIDE      ((size_t)64 << 10)
#define AT_A_TIME  ((size_t)1 << 20) /* then others have their turn */
#define WIDE_AFTER ((size_t)256 << 10)
#define WIDE       (256 << 10)
#define WATCH_NS   50000

/* ---- memory ---- */

/* The reactor's: what is about to be thrown away, or is small. */
static char aside[ASIDE];

ssize_t tdm_capture_read_aside(int fd, char **bytes)
{
    *bytes = aside;
    return tdm_fds_read(fd, aside, sizeof aside);
}

static bool grow(struct tdm_capture *capture, size_t least)
{
    return tdm_hoard_grow(&capture->hoard, capture->size, least, capture->limit);
}

/* ---- what came ---- */

static void end(struct tdm_capture *capture)
{
    tdm_capture_close(capture);
    capture->changed(capture);
}

static void give_up(struct tdm_capture *capture)
{
    tdm_reactor_watch(&capture->source, 0);
    capture->changed(capture);
}

static void fail(struct tdm_capture *capture, int error)
{
    capture->error = error;
    give_up(capture);
}

/* The memory becomes the beginning of the file. */
static int begin_to_spill(struct tdm_capture *capture)
{
    capture->spill = tdm_spill_open();
    if (capture->spill < 0) return capture->spill;
    int error = tdm_spill_write(capture->spill, 0, capture->hoard.bytes, capture->size);
    if (error != 0) return error;
    capture->spilled = capture->size;
    tdm_hoard_drop(&capture->hoard);
    capture->size = 0;
    return 0;
}

static void spill(struct tdm_capture *capture, const char *bytes, size_t size)
{
    int error = capture->spill < 0 ? begin_to_spill(capture) : 0;
    if (error == 0) error = tdm_spill_write(capture->spill, capture->spilled, bytes, size);
    if (error == 0)
        capture->spilled += size;
    else
        fail(capture, -error);
}

/* The newest bytes take the place of the oldest. */
static void wrap(struct tdm_capture *capture, const char *bytes, size_t size)
{
    if (size > capture->limit) {
        bytes += size - capture->limit;
        size = capture->limit;
    }
    while (size > 0) {
        size_t now = capture->limit - capture->first;
        if (now > size) now = size;
        memcpy(capture->hoard.bytes + capture->first, bytes, now);
        capture->first = (capture->first + now) % capture->limit;
        bytes += now;
        size -= now;
    }
}

/* There is no room left for these. */
static void take_beyond(struct tdm_capture *capture, const char *bytes, size_t size)
{
    if (capture->overflow == TANDEM_OVERFLOW_SPILL) {
        spill(capture, bytes, size);
        return;
    }
    capture->cut = true;
    if (capture->overflow == TANDEM_OVERFLOW_TAIL) wrap(capture, bytes, size);
    if (capture->overflow != TANDEM_OVERFLOW_KILL) return;
    capture->over = true;
    give_up(capture);
}

static bool is_full(const struct tdm_capture *capture) { return capture->size == capture->limit || capture->spill >= 0; }

/* What is little goes through the memory aside, so that no more is taken than is needed. */
static bool keep(struct tdm_capture *capture, const char *bytes, size_t size)
{
    size_t fits = capture->limit - capture->size < size ? capture->limit - capture->size : size;
    if (capture->hoard.room - capture->size < fits && !grow(capture, capture->size + fits)) return false;
    memcpy(capture->hoard.bytes + capture->size, bytes, fits);
    capture->size += fits;
    if (size > fits) take_beyond(capture, bytes + fits, size - fits);
    return true;
}

/* What one read brings: bytes, 0 at the end, or -errno. */
static ssize_t read_once(struct tdm_capture *capture)
{
    char *bytes;
    ssize_t now;
    if (is_full(capture)) {
        now = tdm_capture_read_aside(capture->source.fd, &bytes);
        if (now > 0) take_beyond(capture, bytes, (size_t)now);
        return now;
    }
    if (capture->size < ASIDE) {
        now = tdm_capture_read_aside(capture->source.fd, &bytes);
        if (now > 0 && !keep(capture, bytes, (size_t)now)) fail(capture, ENOMEM);
        return now;
    }
    struct tdm_hoard *hoard = &capture->hoard;
    if (hoard->room - capture->size < ASIDE && hoard->room < capture->limit && !grow(capture, capture->size + 1)) {
        fail(capture, ENOMEM);
        return -ENOMEM;
    }
    now = tdm_fds_read(capture->source.fd, hoard->bytes + capture->size, hoard->room - capture->size);
    if (now > 0) capture->size += (size_t)now;
    return now;
}

/* A program that writes much, in small pieces, would have the reactor wake up for each.  So it watches for a moment until there is more, while
 * the program has a processor of its own. */
static bool is_worth_watching(const struct tdm_capture *capture) { return capture->size + capture->spilled >= WIDE_AFTER; }

static void watch(const struct tdm_capture *capture)
{
    static unsigned processors;
    int there = 0;
    if (processors == 0) processors = tdm_platform_cpus();
    if (processors == 1) return;
    uint64_t deadline = tdm_clock_ns() + WATCH_NS;
    do sched_yield();
    while (tdm_fds_waiting(capture->source.fd, &there) && there < (int)ASIDE && tdm_clock_ns() < deadline);
}

static void ready(struct tdm_source *source, unsigned events)
{
    (void)events;
    struct tdm_capture *capture = container_of(source, struct tdm_capture, source);
    bool watched = false;
    for (size_t taken = 0; tdm_capture_is_open(capture) && taken < AT_A_TIME;) {
        bool was_small = capture->size < WIDE_AFTER;
        ssize_t now = read_once(capture);
        if (!tdm_capture_is_open(capture) || (now == -EAGAIN && (watched || !is_worth_watching(capture)))) return;
        watched = now == -EAGAIN;
        if (watched) {
            watch(capture);
            continue;
        }
        if (now <= 0) {
            end(capture);
            return;
        }
        taken += (size_t)now;
        if (was_small && capture->size >= WIDE_AFTER) tdm_platform_widen_pipe(capture->source.fd, WIDE);
    }
}

/* Who has no end of writing is not waited for. */
void tdm_capture_read_rest(struct tdm_capture *capture)
{
    for (size_t taken = 0; tdm_capture_is_open(capture) && taken < AT_A_TIME;) {
        ssize_t now = read_once(capture);
        if (now <= 0) return;
        taken += (size_t)now;
    }
}

/* ---- opening and closing ---- */

int tdm_capture_open(struct tdm_capture *capture, int *other_end)
{
    int fds[2];
    int error = tdm_fds_pipe(fds);
    if (error != 0) return error;
    error = tdm_fds_nonblocking(fds[0]);
    if (error != 0) {
        tdm_fds_close(&fds[0]);
        tdm_fds_close(&fds[1]);
        return error;
    }
    capture->source = (struct tdm_source){.fd = fds[0], .ready = ready};
    capture->kept = true;
    *other_end = fds[1];
    return 0;
}

int tdm_capture_begin(struct tdm_capture *capture)
{
    return capture->source.fd < 0 ? 0 : tdm_reactor_watch(&capture->source, TDM_POLL_IN);
}

void tdm_capture_close(struct tdm_capture *capture)
{
    if (capture->source.fd < 0) return;
    if (capture->source.wants != 0) tdm_reactor_watch(&capture->source, 0);
    tdm_fds_close(&capture->source.fd);
}

/* ---- what was kept ---- */

static void reverse(char *bytes, size_t size)
{
    for (size_t i = 0; i + 1 < size - i; i++) {
        char swap = bytes[i];
        bytes[i] = bytes[size - 1 - i];
        bytes[size - 1 - i] = swap;
    }
}

/* The oldest byte comes first again, without memory for it. */
static void straighten(struct tdm_capture *capture)
{
    if (capture->first == 0) return;
    char *bytes = capture->hoard.bytes;
    reverse(bytes, capture->first);
    reverse(bytes + capture->first, capture->size - capture->first);
    reverse(bytes, capture->size);
}

struct tdm_kept tdm_capture_take(struct tdm_capture *capture)
{
    struct tdm_kept kept = {.size = capture->size};
    tdm_capture_close(capture);
    if (!capture->kept) return kept;
    if (capture->spill >= 0 && capture->spilled > 0) {
        kept = (struct tdm_kept){.bytes = tdm_spill_map(capture->spill, capture->spilled), .release = tdm_spill_release};
        if (kept.bytes)
            kept.size = (size_t)capture->spilled;
        else
            capture->cut = true, capture->error = ENOMEM;
    } else {
        if (!capture->hoard.bytes) grow(capture, 0); /* an empty output is a string, too */
        straighten(capture);
        kept.bytes = tdm_hoard_take(&capture->hoard, capture->size, &kept.release);
    }
    tdm_capture_drop(capture);
    return kept;
}

void tdm_capture_drop(struct tdm_capture *capture)
{
    tdm_capture_close(capture);
    tdm_fds_close(&capture->spill);
    tdm_hoard_drop(&capture->hoard);
    capture->size = 0;
    capture->kept = false;
}
