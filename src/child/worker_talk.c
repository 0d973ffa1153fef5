/* worker_talk.c - a task in a worker process sends and receives.
 *
 * There is one stream.  A task that waits for a message, or for room to send one, reads on in it: messages of this task go to its queue, tasks
 * that come next are put aside in order, and taken up when this one has ended, before the stream is read again; what was meant for a task that
 * has ended is thrown away.  So what comes always gets through, whatever is full in the other direction. */
#include "child/worker_talk.h"

#include "base/clock.h"
#include "base/memory.h"
#include "child/process_worker.h"
#include "child/task_limits.h"
#include "job/mail.h"
#include "job/payload.h"

#include <errno.h>
#include <unistd.h>

/* A task that waits for this one to end. */
struct aside {
    struct aside *next;
    struct tdm_frame frame;
    void *input;
    bool lost; /* there was no memory for it */
};

static struct {
    struct tdm_channel *channel;
    struct tdm_control *control;
    int socket; /* of the parcels */
    uint64_t parcels_sent;
    uint64_t parcels_seen,
        parcels_taken; /* numbers: of the last that a message has told of, and that was received or thrown away */
    uintptr_t shared_address;
    size_t shared_size;
    struct aside *first, *last;
    struct aside given; /* the last that was taken up */
    bool gave;
    uint32_t progressed;   /* entries whose words say how far some task is: one bit each */
    struct tdm_mail *data; /* what was set for the pool, as far as this worker has been told; NULL: it has not */
    int32_t data_version;
    bool data_lost; /* there was no memory for it */
    bool leave;     /* the last thing it was told is to leave */
    /* of the task that runs */
    struct tdm_frame task;
    struct tdm_mail_queue queue;
    bool closed;
    unsigned lost;                     /* messages for which there was no memory */
    uint64_t received, received_bytes; /* by the task */
    uint64_t sent, sent_bytes;
} talk;

void tdm_worker_talk_open(struct tdm_channel *channel, struct tdm_control *control, int socket)
{
    talk.channel = channel;
    talk.control = control;
    talk.socket = socket;
}

void tdm_worker_talk_share(uintptr_t shared_address, size_t shared_size)
{
    talk.shared_address = shared_address;
    talk.shared_size = shared_size;
}

bool tdm_worker_talk_set_data(int32_t version, uint64_t size)
{
    talk.data_version = version;
    talk.data = version != 0 ? tdm_mail_make(NULL, (size_t)size) : NULL;
    return version == 0 || (talk.data && tdm_channel_read(talk.channel, talk.data->data, (size_t)size));
}

static struct tdm_talk_words *words(void) { return &talk.control->talk[talk.task.entry]; }

static void set_progress(uint64_t done, uint64_t total)
{
    store_release(&words()->total, total);
    store_release(&words()->done, done); /* [progress] */
}

void tdm_worker_talk_begin(const struct tdm_frame *task)
{
    talk.task = *task;
    talk.closed = false;
    talk.lost = 0;
    talk.received = talk.received_bytes = talk.sent = talk.sent_bytes = 0;
    if (talk.progressed & UINT32_C(1) << task->entry) set_progress(0, 0); /* that of the last one in this place */
    talk.progressed &= ~(UINT32_C(1) << task->entry);
}

bool tdm_worker_talk_has_progressed(void) { return talk.progressed & UINT32_C(1) << talk.task.entry; }

/* ---- descriptors ---- */

/* The descriptors of the messages up to this one are closed, before they are anybody's.  If that cannot be done, all that come are: a worker
 * without its socket leaves after its task.  (A task may have read out of the socket: then there are none.) */
static void throw_away_up_to(uint64_t number)
{
    int error = 0;
    while (talk.parcels_taken < number && error == 0) error = tdm_parcel_receive(talk.socket, &talk.parcels_taken, NULL, 0);
    talk.parcels_taken = number;
    if (error == 0 || error == -EAGAIN || talk.socket < 0) return;
    close(talk.socket);
    talk.socket = -1;
}

void tdm_worker_talk_skip_fds(const struct tdm_frame *message)
{
    if (message->fd_count == 0 || message->fd_error != 0) return;
    talk.parcels_seen = message->parcel;
    throw_away_up_to(message->parcel);
}

/* Only when the task receives the message, for until then it may still make room for them.  What is left in the socket after an error is
 * thrown away later. */
static void fetch_fds(struct tdm_mail_fds *fds)
{
    if (fds->number == 0) return;
    throw_away_up_to(fds->number - 1);
    uint64_t number = 0;
    int error = tdm_parcel_receive(talk.socket, &number, fds->fds, fds->count);
    if (error == 0) talk.parcels_taken = number;
    for (size_t i = 0; error != 0 && i < fds->count; i++) fds->fds[i] = error == -ENOMEM ? error : -EBADF;
}

/* Its words are left as they were found; the host's are its own. */
void tdm_worker_talk_end(void)
{
    if (talk.queue.first) tdm_mail_drop_all(&talk.queue);
    if (talk.parcels_taken < talk.parcels_seen) throw_away_up_to(talk.parcels_seen);
    if (talk.received > 0) {
        store_seq(&words()->received, 0); /* [talk-taken] */
        store_seq(&words()->received_bytes, 0);
    }
    if (talk.sent > 0) store_seq(&words()->tell_worker_at, 0); /* [talk-taken] */
}

/* ---- reading on ---- */

static _Noreturn void lose(void) { _exit(talk.channel->lost ? TDM_EXIT_CHANNEL_LOST : TDM_EXIT_LEFT); }

static void read_or_skip(void *to, size_t size)
{
    if (!(to ? tdm_channel_read(talk.channel, to, size) : tdm_channel_skip(talk.channel, size))) lose();
}

/* Without memory even for this nothing of it could be told to anybody.  It is not the task's that runs, whatever limit that has. */
static void put_aside(const struct tdm_frame *frame)
{
    uint64_t before = tdm_task_limits_pause();
    struct aside *aside = tdm_malloc(sizeof *aside);
    if (!aside) lose();
    *aside = (struct aside){.frame = *frame};
    aside->input = frame->payload > 0 ? tdm_payload_alloc(frame->payload) : NULL;
    tdm_task_limits_go_on(talk.control, before);
    aside->lost = frame->payload > 0 && !aside->input;
    read_or_skip(aside->input, frame->payload);
    *(talk.last ? &talk.last->next : &talk.first) = aside;
    talk.last = aside;
}

/* They are on their way, or could not be sent. */
static bool take_fds(struct tdm_mail *mail, const struct tdm_frame *frame)
{
    if (!tdm_mail_expect_fds(mail, frame->fd_count, frame->fd_error != 0 ? frame->fd_error : -EBADF)) return false;
    if (frame->fd_error == 0) mail->fds->number = frame->parcel;
    return true;
}

static void take_message(const struct tdm_frame *frame)
{
    bool shared = frame->flags & TDM_FRAME_IN_SHARED;
    struct tdm_mail *mail = shared ? tdm_mail_make_of_shared((void *)(uintptr_t)frame->address, (size_t)frame->size)
                                   : tdm_mail_make(NULL, frame->payload);
    read_or_skip(mail ? mail->data : NULL, frame->payload);
    if (mail) mail->request = frame->request;
    if (frame->fd_count > 0 && frame->fd_error == 0) talk.parcels_seen = frame->parcel;
    if (frame->fd_count > 0 && mail && !take_fds(mail, frame)) {
        tdm_mail_free(mail);
        mail = NULL;
    }
    if (mail)
        tdm_mail_push(&talk.queue, mail);
    else
        talk.lost++;
}

static void take_data(const struct tdm_frame *frame)
{
    struct tdm_mail *mail = tdm_mail_make(NULL, frame->payload);
    read_or_skip(mail ? mail->data : NULL, frame->payload);
    talk.data_lost = !mail;
    if (!mail) return;
    tdm_mail_free(talk.data);
    talk.data = mail;
    talk.data_version = frame->code;
}

static void skip(const struct tdm_frame *frame)
{
    read_or_skip(NULL, frame->payload);
    if (frame->kind == TDM_FRAME_MESSAGE) tdm_worker_talk_skip_fds(frame);
}

/* One frame; false: none came in time. */
static bool read_on(uint64_t deadline_ns)
{
    struct tdm_frame frame;
    if (deadline_ns != TDM_FOREVER && !tdm_channel_wait(talk.channel, deadline_ns)) return false;
    read_or_skip(&frame, sizeof frame);
    bool mine = frame.sequence == talk.task.sequence;
    if (frame.kind == TDM_FRAME_TASK)
        put_aside(&frame);
    else if (frame.kind == TDM_FRAME_LEAVE)
        talk.leave = true;
    else if (frame.kind == TDM_FRAME_MESSAGE && mine)
        take_message(&frame);
    else if (frame.kind == TDM_FRAME_DATA && mine)
        take_data(&frame);
    else if (frame.kind == TDM_FRAME_CLOSED && mine)
        talk.closed = true;
    else
        skip(&frame);
    return true;
}

static void say(enum tdm_frame_kind kind)
{
    struct tdm_frame frame = tdm_frame_make(kind, 0);
    frame.entry = talk.task.entry;
    frame.sequence = talk.task.sequence;
    if (tdm_channel_write(talk.channel, &frame, NULL) != 0) lose();
    tdm_channel_settle_soon(talk.channel);
}

/* ---- receiving ---- */

/* If the host still wishes it. */
static void tell(void)
{
    if (exchange_seq(&words()->tell_host_at, 0) != 0) say(TDM_FRAME_CREDIT); /* [talk-taken] */
}

void tdm_worker_talk_claimed(void)
{
    if (load_seq(&words()->tell_host_at) == TDM_TELL_BEGUN) tell(); /* [talk-taken] */
}

static void count_received(size_t held)
{
    talk.received_bytes += held;
    store_seq(&words()->received_bytes, talk.received_bytes);
    store_seq(&words()->received, ++talk.received); /* [talk-taken] */
    uint64_t wish = load_seq(&words()->tell_host_at);
    if (wish != 0 && talk.received >= wish) tell();
}

/* What was lost is told once, and is out of order then. */
static int receive(tandem_context *context, struct tdm_mail **mail, int64_t timeout_ms)
{
    uint64_t deadline_ns = tdm_clock_deadline(timeout_ms);
    (void)context;
    while (!talk.queue.first && !talk.closed && talk.lost == 0)
        if (!read_on(deadline_ns)) return timeout_ms == 0 ? -EAGAIN : -ETIMEDOUT;
    *mail = tdm_mail_pop(&talk.queue);
    if (*mail) {
        if ((*mail)->fds) fetch_fds((*mail)->fds);
        count_received((*mail)->held);
        return 0;
    }
    if (talk.lost == 0) return -EPIPE;
    talk.lost--;
    count_received(0);
    return -ENOMEM;
}

/* ---- sending ---- */

static bool may_send(size_t held)
{
    uint64_t consumed = load_seq(&words()->consumed), bytes = load_seq(&words()->consumed_bytes); /* [talk-taken] */
    return tdm_mail_fits((size_t)(talk.sent - consumed), (size_t)(talk.sent_bytes - bytes), held);
}

/* The host is to tell when half of what it has of this task's has been taken; it may have been before it could see the wish.  Meanwhile what
 * it says is read, or it could not say that. */
static int wait_to_send(size_t held, int64_t timeout_ms)
{
    uint64_t deadline_ns = tdm_clock_deadline(timeout_ms);
    if (timeout_ms == 0) return -EAGAIN;
    for (;;) {
        uint64_t there = talk.sent - load_seq(&words()->consumed);
        store_seq(&words()->tell_worker_at, talk.sent - there / 2); /* [talk-taken] */
        if (may_send(held)) return 0;
        if (!read_on(deadline_ns)) return -ETIMEDOUT;
        if (may_send(held)) return 0;
    }
}

static bool is_in_shared(const tandem_message *message)
{
    uintptr_t at = (uintptr_t)message->data - talk.shared_address;
    return message->size > 0 && at < talk.shared_size && message->size <= talk.shared_size - at;
}

/* They go ahead, so that they are there when the message is read.  The host reads on whatever its program does, so there is room soon. */
static int send_fds(const tandem_message *message)
{
    int error = tdm_parcel_send(talk.socket, talk.parcels_sent + 1, message->fds, message->fd_count, true);
    if (error == 0) talk.parcels_sent++;
    return error;
}

static int send(tandem_context *context, const tandem_message *message, int64_t timeout_ms)
{
    bool shared = is_in_shared(message);
    size_t here = shared ? 0 : message->size, held = tdm_mail_held(here, message->fd_count);
    (void)context;
    bool answers = message->request != 0;                                /* of which there are never more than wait for one */
    if (!answers && !(talk.task.flags & TDM_FRAME_HEARD)) return -EPIPE; /* nobody is there to get it */
    int error = answers || may_send(held) ? 0 : wait_to_send(held, timeout_ms);
    if (error != 0) return error;
    if (message->fd_count > 0) error = send_fds(message);
    if (error != 0) return error;
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_MESSAGE, here);
    frame.fd_count = (uint16_t)message->fd_count;
    frame.parcel = talk.parcels_sent;
    frame.entry = talk.task.entry;
    frame.sequence = talk.task.sequence;
    frame.request = (uint32_t)message->request;
    if (shared) {
        frame.flags = TDM_FRAME_IN_SHARED;
        frame.address = (uint64_t)(uintptr_t)message->data;
        frame.size = message->size;
    }
    if (!answers) {
        talk.sent++;
        talk.sent_bytes += held;
    }
    if (tdm_channel_write(talk.channel, &frame, message->data) != 0) lose();
    tdm_channel_settle_soon(talk.channel);
    return 0;
}

void tdm_worker_talk_tell_start(void)
{
    struct tdm_frame frame = tdm_frame_make(TDM_FRAME_MESSAGE, 0);
    if (!(talk.task.flags & TDM_FRAME_TELL_START)) return;
    frame.entry = talk.task.entry;
    frame.sequence = talk.task.sequence;
    frame.flags = TDM_FRAME_TELL_START;
    talk.sent++;
    if (tdm_channel_write(talk.channel, &frame, NULL) != 0) lose();
    tdm_channel_settle_soon(talk.channel);
}

/* Versions are counted, and may wrap around. */
static bool is_behind(void)
{
    if (talk.task.code == 0 || talk.data_version == 0)
        return talk.task.code != 0; /* nothing was set; or this worker knows of nothing */
    return (uint32_t)talk.data_version - (uint32_t)talk.task.code > (uint32_t)INT32_MAX;
}

/* The host has told with the task what is the latest; it may send something later still.  While the worker starts there is no task to ask for. */
static const void *data(tandem_context *context, size_t *size)
{
    (void)context;
    talk.data_lost = false;
    if (is_behind()) say(TDM_FRAME_DATA);
    while (is_behind() && !talk.data_lost) read_on(TDM_FOREVER);
    if (!talk.data || talk.data_lost) return NULL;
    *size = talk.data->size;
    return talk.data->data;
}

static int progress(tandem_context *context, uint64_t done, uint64_t total)
{
    (void)context;
    talk.progressed |= UINT32_C(1) << talk.task.entry;
    set_progress(done, total);
    return 0;
}

const struct tdm_talk_ops tdm_worker_talk = {.send = send, .receive = receive, .data = data, .progress = progress};

/* ---- what was put aside ---- */

bool tdm_worker_talk_has_next(void) { return talk.first || talk.leave; }

bool tdm_worker_talk_next(struct tdm_frame *frame)
{
    struct aside *first = talk.first;
    talk.gave = first != NULL;
    if (!first) {
        if (talk.leave) *frame = tdm_frame_make(TDM_FRAME_LEAVE, 0);
        return talk.leave;
    }
    talk.first = first->next;
    if (!talk.first) talk.last = NULL;
    talk.given = *first;
    *frame = first->frame;
    free(first);
    return true;
}

bool tdm_worker_talk_gave(void) { return talk.gave; }

bool tdm_worker_talk_input(void **input)
{
    talk.gave = false;
    *input = talk.given.input;
    return !talk.given.lost;
}
