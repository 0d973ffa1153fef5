/* peer_libuv_command.c - libuv's uv_spawn: a program that does nothing, in programs of two sizes, and one that writes much. */
#if defined(BENCH_WITH_LIBUV)
#define _GNU_SOURCE
#include "host.h"
#include "must.h"
#include "peers/peer.h"

#include <stdlib.h>
#include <uv.h>

struct libuv_commands {
    uv_loop_t loop;
    int64_t exit_status;
    char *bytes;
    size_t size, room;
};

static void must_uv(int result, const char *what)
{
    if (result != 0) give_up(what, uv_strerror(result));
}

static void *start(size_t touched)
{
    host_touch(touched);
    struct libuv_commands *subject = must_reserve(1, sizeof *subject);
    must_uv(uv_loop_init(&subject->loop), "uv_loop_init");
    return subject;
}

static void *start_10MB(size_t calls)
{
    (void)calls;
    return start(10 * MB);
}

static void *start_1GB(size_t calls)
{
    (void)calls;
    return start(GB);
}

static void *start_writer(size_t calls)
{
    (void)calls;
    return start(0);
}

static void has_ended(uv_process_t *process, int64_t exit_status, int signal)
{
    struct libuv_commands *subject = process->data;
    subject->exit_status = signal != 0 ? 128 + signal : exit_status;
    uv_close((uv_handle_t *)process, NULL);
}

static void round_trip(void *pool)
{
    struct libuv_commands *subject = pool;
    char name[] = "true";
    char *arguments[] = {name, NULL};
    uv_process_t process = {.data = subject};
    uv_process_options_t options = {.file = name, .args = arguments, .exit_cb = has_ended};
    must_uv(uv_spawn(&subject->loop, &process, &options), "uv_spawn");
    uv_run(&subject->loop, UV_RUN_DEFAULT);
    if (subject->exit_status != 0) give_up("true", "did not end well");
}

/* All that comes is kept; the memory grows as one would have it grow. */
static void make_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct libuv_commands *subject = handle->data;
    if (subject->room - subject->size < suggested) {
        subject->room = subject->room * 2 + suggested;
        subject->bytes = realloc(subject->bytes, subject->room);
        if (!subject->bytes) give_up("libuv", "no memory");
    }
    *buffer = uv_buf_init(subject->bytes + subject->size, (unsigned)(subject->room - subject->size));
}

static void has_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    (void)buffer;
    struct libuv_commands *subject = stream->data;
    if (got > 0)
        subject->size += (size_t)got;
    else if (got < 0)
        uv_close((uv_handle_t *)stream, NULL);
}

static void capture(void *pool)
{
    struct libuv_commands *subject = pool;
    char *arguments[] = CAPTURED_PROGRAM;
    uv_pipe_t pipe;
    uv_process_t process = {.data = subject};
    must_uv(uv_pipe_init(&subject->loop, &pipe, 0), "uv_pipe_init");
    pipe.data = subject;
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = (uv_stdio_flags)(UV_CREATE_PIPE | UV_WRITABLE_PIPE), .data.stream = (uv_stream_t *)&pipe},
    };
    uv_process_options_t options = {
        .file = arguments[0], .args = arguments, .exit_cb = has_ended, .stdio_count = 2, .stdio = stdio};
    must_uv(uv_spawn(&subject->loop, &process, &options), "uv_spawn");
    must_uv(uv_read_start((uv_stream_t *)&pipe, make_room, has_read), "uv_read_start");
    uv_run(&subject->loop, UV_RUN_DEFAULT);
    if (subject->exit_status != 0 || subject->size != CAPTURED) give_up("libuv", "has captured something else");
    free(subject->bytes);
    subject->bytes = NULL;
    subject->size = subject->room = 0;
}

static void stop(void *pool)
{
    struct libuv_commands *subject = pool;
    must_uv(uv_loop_close(&subject->loop), "uv_loop_close");
    free(subject);
}

const struct peer peer_libuv_command_10MB = {
    .name = "libuv_10MB", .touched = 10 * MB, .start = start_10MB, .round_trip = round_trip, .stop = stop};
const struct peer peer_libuv_command_1GB = {
    .name = "libuv_1GB", .touched = GB, .start = start_1GB, .round_trip = round_trip, .stop = stop};
const struct peer peer_libuv_capture = {.name = "libuv", .start = start_writer, .round_trip = capture, .stop = stop};

#else
#include "peers/peer.h"

const struct peer peer_libuv_command_10MB = {.name = "libuv_10MB", .absent = "built without libuv"};
const struct peer peer_libuv_command_1GB = {.name = "libuv_1GB", .absent = "built without libuv"};
const struct peer peer_libuv_capture = {.name = "libuv", .absent = "built without libuv"};
#endif
