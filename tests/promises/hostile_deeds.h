/* hostile_deeds.h - what a worker does that has turned against its host: it finds its own channel and control page, and misuses them.
 *
 * All of this runs in a worker, or in a child or thread of one.  A deed may be cut short at any point: the host kills it. */
#ifndef TANDEM_HOSTILE_DEEDS_H
#define TANDEM_HOSTILE_DEEDS_H

#include "harness.h"

#include "../unit/dice.h"

#include "base/futex.h"
#include "job/control.h"
#include "job/frame.h"
#include "job/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the host has given this worker, and the task that it has in hand. */
struct own {
    int requests, replies, lifeline, parcels; /* -1: not found */
    struct tdm_control *control;              /* NULL: not found */
    struct tdm_rings *rings;                  /* NULL: all goes over pipes */
    unsigned entry;
    uint64_t sequence;
    uint64_t variant; /* which of a deed's ways */
    struct dice dice;
};

typedef void deed_fn(struct own *own);

/* ---- finding ---- */

/* A worker's descriptors are at 64 and above, requests before the lifeline. */
static inline void find_descriptors(struct own *own)
{
    struct stat status;
    own->requests = own->replies = own->lifeline = own->parcels = -1;
    for (int fd = 64; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fstat(fd, &status) != 0) continue;
        if (S_ISSOCK(status.st_mode)) {
            own->parcels = fd;
            continue;
        }
        int *found = (flags & O_ACCMODE) == O_WRONLY ? &own->replies : own->requests < 0 ? &own->requests : &own->lifeline;
        *found = fd;
    }
}

/* What the pool's shared memory has of addresses; a page has less. */
#define SHARED_LEAST ((unsigned long)1 << 24)

static inline void find_control(struct own *own)
{
    char line[512], mode[8];
    unsigned long from, to;
    FILE *maps = fopen("/proc/self/maps", "re");
    own->control = NULL;
    if (maps == NULL) return;
    while (own->control == NULL && fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 && strcmp(mode, "rw-s") == 0 && strstr(line, "tandem") != NULL &&
            to - from < SHARED_LEAST)
            own->control = (struct tdm_control *)from; /* NOLINT */
    own->rings = NULL;
    if (own->control != NULL && to - from >= sizeof(struct tdm_shared_page))
        own->rings = &((struct tdm_shared_page *)from)->rings; /* NOLINT */
    fclose(maps);
}

static inline void find_task(struct own *own)
{
    own->entry = 0;
    own->sequence = 0;
    for (unsigned i = 0; own->control != NULL && i < TDM_CONTROL_WORDS; i++) {
        uint64_t word = atomic_load(&own->control->words[i].now);
        if ((word & 0xffff) != TDM_CLAIMED) continue;
        own->entry = i;
        own->sequence = word >> 16;
    }
}

static inline struct own find_own(uint64_t variant, uint64_t seed)
{
    struct own own = {.variant = variant, .dice = {(seed + 1) * 0x9e3779b97f4a7c15u}};
    find_descriptors(&own);
    find_control(&own);
    find_task(&own);
    return own;
}

/* ---- sending ---- */

/* False: nobody is there any more, or the pipe is closed. */
static inline bool call_host(const struct own *own)
{
    if (write(own->replies, "", 1) != 1) return false;
    atomic_store(&own->rings->host_wish, TDM_HOST_AWAKE);
    tdm_futex_wake_shared(&own->rings->host_wish, 1);
    return true;
}

/* Behind what is published.  What the worker itself says afterwards goes where it would have gone before, and so is a lie too. */
static inline bool send_through_ring(const struct own *own, const void *bytes, size_t size)
{
    struct tdm_ring ring = tdm_ring_of_replies(own->rings);
    ring.own = atomic_load(&ring.counts->tail);
    ring.foreign = atomic_load(&ring.counts->head);
    int idle = 0;
    for (size_t done = 0; done < size;) {
        struct iovec part = {(char *)(uintptr_t)bytes + done, size - done};
        ssize_t now = tdm_ring_write(&ring, &part, 1);
        if (now == -EAGAIN && ++idle == 1000) return false; /* nobody takes it any more */
        if (now == -EAGAIN) moment();
        if (now < 0 && now != -EAGAIN) return false;
        if (now > 0) done += (size_t)now;
        if (!call_host(own)) return false;
    }
    for (int i = 0; i < 1000 && atomic_load(&ring.counts->head) != ring.own; i++) moment(); /* else the worker writes over it */
    return true;
}

static inline bool send_bytes(const struct own *own, const void *bytes, size_t size)
{
    if (own->rings != NULL) return send_through_ring(own, bytes, size);
    for (size_t done = 0; done < size;) {
        ssize_t now = write(own->replies, (const char *)bytes + done, size - done);
        if (now <= 0) return false;
        done += (size_t)now;
    }
    return true;
}

static inline struct tdm_frame forge(const struct own *own, enum tdm_frame_kind kind, size_t payload)
{
    struct tdm_frame frame = tdm_frame_make(kind, payload);
    frame.sequence = own->sequence;
    frame.entry = (uint16_t)own->entry;
    if (payload > 0) frame.flags = TDM_FRAME_HAS_OUTPUT;
    return frame;
}

static inline void send_frame(const struct own *own, const struct tdm_frame *frame) { send_bytes(own, frame, sizeof *frame); }

static inline void send_random(struct own *own, size_t size)
{
    unsigned char bytes[8192];
    for (size_t i = 0; i < size && i < sizeof bytes; i++) bytes[i] = (unsigned char)roll(&own->dice);
    send_bytes(own, bytes, size < sizeof bytes ? size : sizeof bytes);
}

/* ---- deeds: frames ---- */

static inline void write_garbage(struct own *own) { send_random(own, sizeof(struct tdm_frame) + roll_below(&own->dice, 8000)); }

#define WRONG_FIELDS 7
static inline void write_wrong_field(struct own *own)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_REPLY, 0);
    switch (own->variant % WRONG_FIELDS) {
    case 0: frame.magic ^= 1u << roll_below(&own->dice, 32); break;
    case 1: frame.kind = 0; break;
    case 2: frame.kind = TDM_FRAME_TASK; break;
    case 3: frame.kind = (uint16_t)(TDM_FRAME_REFUSED + 1 + roll_below(&own->dice, 60000)); break;
    case 4: frame.flags = 2u << roll_below(&own->dice, 31); break;
    case 5: frame.payload = 1 + roll_below(&own->dice, 1000); break;
    default: frame.kind = TDM_FRAME_READY, frame.flags = TDM_FRAME_HAS_OUTPUT, frame.payload = UINT32_MAX; break;
    }
    send_frame(own, &frame);
}

/* A reply as long as a frame can say, of which only the beginning comes.  A sanitizer marks all memory that is asked for, so there only
 * one way is so long. */
#define HUGE_LENGTHS 4
static inline void write_huge_length(struct own *own)
{
    static const uint32_t lengths[HUGE_LENGTHS] = {UINT32_MAX, UINT32_MAX - 1, UINT32_C(1) << 31, UINT32_C(1) << 28};
    uint32_t length = lengths[own->variant % HUGE_LENGTHS];
    struct tdm_frame frame = forge(own, TDM_FRAME_REPLY, sanitized() && own->variant != 0 ? length % 1000003 : length);
    send_frame(own, &frame);
    send_random(own, roll_below(&own->dice, 8000));
}

#define OTHER_TASKS 8
static inline void reply_to_another_task(struct own *own)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_REPLY, 0);
    switch (own->variant % OTHER_TASKS) {
    case 0: frame.sequence++; break;
    case 1: frame.sequence--; break;
    case 2: frame.sequence = 0; break;
    case 3: frame.sequence = UINT64_MAX; break;
    case 4: frame.sequence += UINT64_C(1) << 48; break; /* the same in a word of the page */
    case 5: frame.entry = (uint16_t)(frame.entry + 1); break;
    case 6: frame.entry = UINT16_MAX; break;
    default: frame.kind = TDM_FRAME_REFUSED, frame.sequence += 2; break;
    }
    send_frame(own, &frame);
}

static inline void say_ready_again(struct own *own)
{
    struct tdm_frame frame = forge(own, own->variant % 2 == 0 ? TDM_FRAME_READY : TDM_FRAME_FAILED, 0);
    send_frame(own, &frame);
}

/* What a worker may say instead of a reply, or beside it. */
#define OTHER_ANSWERS 5
static inline void answer_otherwise(struct own *own)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_REPLY, 0);
    switch (own->variant % OTHER_ANSWERS) {
    case 0: frame.kind = TDM_FRAME_REFUSED; break;
    case 1: frame.kind = TDM_FRAME_OVERSIZED; break;
    case 2: frame.code = INT32_MIN; break;
    case 3: send_frame(own, &frame); break;
    default: break;
    }
    if (own->variant % OTHER_ANSWERS > 2) frame = forge(own, TDM_FRAME_TIRED, 0);
    send_frame(own, &frame);
}

/* What its task has not to say: nobody listens to it, and nothing was posted to it.  Or of another task, or larger than there may be. */
#define OTHER_MESSAGES 12
static inline void talk_out_of_turn(struct own *own)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_MESSAGE, 0);
    switch (own->variant % OTHER_MESSAGES) {
    case 0: break;
    case 1: frame.kind = TDM_FRAME_CREDIT; break;
    case 2: frame.kind = TDM_FRAME_CLOSED; break;
    case 3: frame.sequence++; break;
    case 4: frame.entry++; break;
    case 5: frame.flags = TDM_FRAME_IN_SHARED, frame.address = (uintptr_t)own, frame.size = 64; break;
    case 6: frame.payload = (UINT32_C(1) << 30) + 1; break;
    case 7: frame.kind = TDM_FRAME_DATA; break; /* nothing was set for its pool */
    case 8: frame.kind = TDM_FRAME_DATA, frame.payload = 16; break;
    case 9: frame.request = 1; break; /* an answer, and nobody has asked */
    case 10: frame.flags = TDM_FRAME_TELL_START; break;
    default: frame.kind = TDM_FRAME_CREDIT, frame.sequence = 0; break;
    }
    send_frame(own, &frame);
}

static inline bool send_parcel(const struct own *own, uint64_t number, size_t size, size_t count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 253)];
        struct cmsghdr align;
    } room = {{0}};
    struct iovec part = {&number, size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) header.msg_control = room.bytes, header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *rights = count > 0 ? CMSG_FIRSTHDR(&header) : NULL;
    if (rights) *rights = (struct cmsghdr){CMSG_LEN(sizeof(int) * count), SOL_SOCKET, SCM_RIGHTS};
    for (size_t i = 0; i < count; i++) memcpy(CMSG_DATA(rights) + i * sizeof(int), &own->replies, sizeof(int));
    return sendmsg(own->parcels, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* A message that says it has a descriptor, and none, others, or half a parcel ahead of it. */
#define OTHER_PARCELS 10
static inline void send_other_parcel(struct own *own)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_MESSAGE, 0);
    frame.fd_count = 1;
    frame.parcel = 1;
    switch (own->variant % OTHER_PARCELS) {
    case 0: break;
    case 1: send_parcel(own, 2, 8, 1); break;
    case 2: send_parcel(own, 1, 8, 0); break;
    case 3: send_parcel(own, 1, 8, 2); break;
    case 4: send_parcel(own, 1, 8, 253); break;
    case 5: send_parcel(own, 1, 3, 1); break;
    case 6: frame.parcel = 0; break;
    case 7: frame.parcel = 2, send_parcel(own, 2, 8, 1); break;
    case 8: frame.fd_count = 129, send_parcel(own, 1, 8, 129); break;
    default: shutdown(own->parcels, SHUT_RDWR); break;
    }
    send_frame(own, &frame);
}

/* More parcels than anybody would read, and none of the messages that they would belong to. */
static inline void flood_with_parcels(struct own *own)
{
    for (uint64_t i = 1; send_parcel(own, i, 8, 50) && i < 100; i++) continue;
}

/* Message after message, for as long as anybody reads them, whoever has taken how many. */
#define MESSAGE_FLOODS 4
static inline void flood_with_messages(struct own *own)
{
    enum { FRAMES = 400 };
    struct tdm_frame frames[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        frames[i] = forge(own, TDM_FRAME_MESSAGE, 0);
        if (own->variant % MESSAGE_FLOODS == 1) frames[i].payload = i % 2 ? 0 : sizeof *frames; /* each second one is one */
        if (own->variant % MESSAGE_FLOODS == 2 && i == 300) frames[i].kind = TDM_FRAME_CREDIT;
        if (own->variant % MESSAGE_FLOODS == 3) frames[i].flags = TDM_FRAME_IN_SHARED, frames[i].address = own->variant << 40;
    }
    while (send_bytes(own, frames, sizeof frames)) continue;
}

/* Its own reply, as often as it likes, in one piece.  The first is as good as an honest one. */
static inline void replay_reply(struct own *own)
{
    struct tdm_frame frames[8];
    size_t count = 2 + own->variant % 7;
    for (size_t i = 0; i < count; i++) frames[i] = forge(own, TDM_FRAME_REPLY, 0);
    send_bytes(own, frames, count * sizeof *frames);
}

static inline void write_half_header(struct own *own)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_REPLY, 0);
    send_bytes(own, &frame, 1 + own->variant % (sizeof frame - 1));
}

static inline void write_half_payload(struct own *own)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_REPLY, 20000);
    send_frame(own, &frame);
    send_random(own, own->variant % 2 == 0 ? 0 : 1 + roll_below(&own->dice, 8000));
}

/* Frame after frame, for as long as anybody reads them.  Nothing is allocated: a child of a process with threads may do this, and a
 * sanitizer's allocator does not get over such a fork. */
#define FLOODS 5
static inline void flood(struct own *own)
{
    enum { FRAMES = 1600 };
    struct tdm_frame frames[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        switch (own->variant % FLOODS) {
        case 0: frames[i] = forge(own, TDM_FRAME_REPLY, 0); break;
        case 1: frames[i] = forge(own, TDM_FRAME_READY, 0); break;
        case 2: frames[i] = forge(own, TDM_FRAME_FAILED, 0); break;
        case 3: frames[i] = forge(own, TDM_FRAME_REPLY, i % 2 * sizeof *frames); break; /* each second one is a payload or an end */
        default: memset(&frames[i], 0xff, sizeof *frames); break;
        }
    }
    while (send_bytes(own, frames, sizeof frames)) continue;
}

/* ---- deeds: the control page ---- */

static inline void set_word(struct own *own)
{
    if (own->control != NULL) atomic_store(&own->control->words[own->entry].now, own->sequence << 16 | own->variant % 8);
}

/* States and sequence numbers near the right ones, and any. */
static inline void set_random_words(struct own *own)
{
    for (int i = 0; own->control != NULL && i < 2000; i++) {
        uint64_t word = roll(&own->dice);
        if (word % 4 != 0) word = (own->sequence + roll_below(&own->dice, 4) - 1) << 16 | roll_below(&own->dice, 8);
        atomic_store(&own->control->words[roll_below(&own->dice, TDM_CONTROL_WORDS)].now, word);
    }
}

/* All that is behind the words. */
static inline void set_random_page(struct own *own)
{
    if (own->control == NULL) return;
    atomic_uchar *page = (atomic_uchar *)own->control;
    bool all = own->variant % 3 == 2; /* else one byte that is the same everywhere, or all but that */
    unsigned char byte = own->variant % 3 == 0 ? 0xff : 1;
    for (size_t i = sizeof *own->control; i < TDM_CONTROL_SIZE; i++)
        atomic_store(&page[i], all ? (unsigned char)roll(&own->dice) : byte);
}

/* The counts of the rings, and the words beside them. */
#define RING_LIES 12
static inline void lie_in_rings(struct own *own)
{
    if (own->rings == NULL) return;
    struct tdm_rings *rings = own->rings;
    uint64_t any = roll(&own->dice);
    switch (own->variant % RING_LIES) {
    case 0: atomic_fetch_add(&rings->replies.tail, 1 + any % TDM_RING_SIZE); break; /* old bytes, as if they were new */
    case 1: atomic_fetch_add(&rings->replies.tail, TDM_RING_SIZE + 1); break;
    case 2: atomic_fetch_sub(&rings->replies.tail, 1); break;
    case 3: atomic_store(&rings->replies.tail, any); break;
    case 4: atomic_store(&rings->replies.tail, UINT64_MAX); break;
    case 5: atomic_fetch_add(&rings->requests.head, 1 + any % TDM_RING_SIZE); break;
    case 6: atomic_fetch_sub(&rings->requests.head, 1); break;
    case 7: atomic_store(&rings->requests.head, any); break;
    case 8: atomic_store(&rings->replies.head, any); break;
    case 9: atomic_store(&rings->requests.tail, any); break;
    case 10: atomic_store(&rings->host_wish, (uint32_t)any); break;
    default:
        for (size_t i = 0; i < sizeof rings->bytes; i++)
            ((volatile unsigned char *)rings->bytes)[i] = (unsigned char)roll(&own->dice);
        atomic_store(&rings->worker_wish, (uint32_t)any);
        atomic_store(&rings->host_wants_room, (uint32_t)any);
        break;
    }
    call_host(own);
}

/* As the crash handler writes them, but not true; then the handler is out of the way. */
#define LIES 6
static inline void lie_in_last_words(struct own *own)
{
    static const int signals[LIES] = {SIGABRT, SIGSEGV, SIGALRM, 0, -1, INT32_MAX};
    if (own->control == NULL) return;
    struct tdm_last_words *words = &own->control->last_words;
    words->signal = signals[own->variant % LIES];
    words->address = roll(&own->dice);
    words->memory = roll(&own->dice);
    words->user_ns = words->system_ns = own->variant % 2 == 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < TDM_FRAMES_MOST; i++)
        words->frames[i] = i % 2 == 0 ? roll(&own->dice) : (uint64_t)(uintptr_t)lie_in_last_words + i;
    atomic_store(&words->frame_count, own->variant % 4 == 0 ? UINT32_MAX : TDM_FRAMES_MOST);
    atomic_store(&words->crash, 1);
    signal(SIGABRT, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    if (own->variant % 3 == 2) raise(SIGALRM);
}

/* ---- deeds: descriptors ---- */

/* Its standard error, which the host may be reading. */
static inline void flood_errors(struct own *own)
{
    char bytes[8192];
    memset(bytes, (int)(own->variant % 256), sizeof bytes);
    for (int i = 0; own->variant % 2 == 0 || i < 100; i++)
        if (write(STDERR_FILENO, bytes, sizeof bytes) < 0) break;
}

static inline void close_own(struct own *own)
{
    const int all[] = {own->requests, own->replies, own->lifeline};
    for (size_t i = 0; i < count_of(all); i++)
        if ((own->variant + 1) >> i & 1) close(all[i]);
}

/* Reads what the host has sent for later, so that the library's own code will not find it. */
static inline void steal_requests(struct own *own)
{
    char bytes[8192];
    fcntl(own->requests, F_SETFL, O_NONBLOCK);
    while (read(own->requests, bytes, sizeof bytes) > 0) continue;
    fcntl(own->requests, F_SETFL, 0);
}

/* ---- deeds: others that go on when the task has ended ---- */

static inline void write_on_and_on(struct own *own)
{
    own->variant >>= 1;
    if (own->variant % 2 == 0) flood(own);
    while (send_bytes(own, own, 1)) moment(); /* a byte now and then */
}

/* Half of them leave the process group, which is what the host kills. */
static inline void leave_child(struct own *own)
{
    if (fork() != 0) return;
    if (own->variant % 2 == 1) setsid();
    write_on_and_on(own);
    _exit(0);
}

static inline void *thread_of_enemy(void *own)
{
    write_on_and_on(own);
    return NULL;
}

static inline void leave_thread(struct own *own)
{
    static struct own copy;
    pthread_t thread;
    copy = *own;
    if (pthread_create(&thread, NULL, thread_of_enemy, &copy) == 0) pthread_detach(thread);
}

#endif
