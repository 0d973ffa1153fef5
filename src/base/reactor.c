/* reactor.c - the one thread that waits for descriptors, deadlines and jobs. */
#define _POSIX_C_SOURCE 200809L
#include "base/reactor.h"

#include "base/clock.h"
#include "base/fds.h"
#include "base/lock.h"
#include "base/platform.h"
#include "base/thread.h"

#include <stddef.h>

#define BATCH 64

static struct reactor {
    /* guarded by users_lock (rank STARTING) */
    struct tdm_lock users_lock;
    unsigned users;
    pthread_t thread;

    /* guarded by lock (rank REACTOR) */
    struct tdm_lock lock;
    struct tdm_heap timers;
    struct tdm_timer *running; /* its due is being run right now */
    struct tdm_node jobs;
    bool stopping;
    bool asleep; /* or about to be: who adds work must ring */

    _Atomic uint32_t ran; /* counts timers run; who clears a running one sleeps on it [timer-ran] */
    int bell[2];

    /* the reactor's own */
    struct tdm_source bell_source;
    struct tdm_ready batch[BATCH]; /* what the poller found; entries of sources that are dropped meanwhile are crossed out */
    int in_batch;
} reactor;

static _Thread_local bool on_reactor;

static void lock(void) { tdm_lock(&reactor.lock, TDM_RANK_REACTOR); }
static void unlock(void) { tdm_unlock(&reactor.lock, TDM_RANK_REACTOR); }

/* Called with the lock held; once a sleep is enough. */
static bool must_ring(void)
{
    bool asleep = reactor.asleep;
    reactor.asleep = false;
    return asleep;
}

/* ---- for any thread ---- */

void tdm_reactor_set_timer(struct tdm_timer *timer, uint64_t deadline_ns)
{
    lock();
    tdm_heap_remove(&reactor.timers, &timer->node);
    tdm_heap_insert(&reactor.timers, &timer->node, deadline_ns);
    bool ring = reactor.timers.root == &timer->node && must_ring();
    unlock();
    if (ring) tdm_fds_ring(reactor.bell);
}

void tdm_reactor_clear_timer(struct tdm_timer *timer)
{
    for (;;) {
        lock();
        tdm_heap_remove(&reactor.timers, &timer->node);
        bool running = reactor.running == timer && !on_reactor;
        uint32_t ran = load_seq(&reactor.ran);
        unlock();
        if (!running) return;
        tdm_futex_wait(&reactor.ran, ran, TDM_FOREVER);
    }
}

void tdm_reactor_post(struct tdm_job *job)
{
    lock();
    bool ring = false;
    if (!job->posted) {
        job->posted = true;
        tdm_list_push_back(&reactor.jobs, &job->link);
        ring = must_ring();
    }
    unlock();
    if (ring) tdm_fds_ring(reactor.bell);
}

void tdm_reactor_hush(struct tdm_source *source, bool hushed)
{
    store_seq(&source->hushed, hushed); /* [source-hushed] */
    if (!tdm_poller_hush(source->fd, source, &source->hushed)) return;
    lock(); /* a thread not asleep looks at it before it sleeps */
    bool ring = must_ring();
    unlock();
    if (ring) tdm_fds_ring(reactor.bell);
}

/* ---- on the reactor's thread ---- */

int tdm_reactor_watch(struct tdm_source *source, unsigned wants)
{
    if (source->wants == wants) return 0;
    int error = tdm_poller_set(source->fd, source->wants, wants, source, &source->hushed);
    if (error != 0) return error;
    source->wants = wants;
    for (int i = 0; wants == 0 && i < reactor.in_batch; i++)
        if (reactor.batch[i].key == source) reactor.batch[i].key = NULL;
    return 0;
}

static bool run_job(void)
{
    lock();
    struct tdm_node *node = tdm_list_pop_front(&reactor.jobs);
    struct tdm_job *job = node ? container_of(node, struct tdm_job, link) : NULL;
    if (job) job->posted = false;
    unlock();
    if (job) job->run(job);
    return job != NULL;
}

static bool run_timer(void)
{
    uint64_t now = tdm_clock_ns();
    lock();
    struct tdm_heap_node *root = reactor.timers.root;
    struct tdm_timer *timer = root && root->key <= now ? container_of(root, struct tdm_timer, node) : NULL;
    if (timer) tdm_heap_remove(&reactor.timers, root);
    reactor.running = timer;
    unlock();
    if (!timer) return false;
    timer->due(timer);
    lock();
    reactor.running = NULL;
    add_seq(&reactor.ran, 1); /* after this the timer's owner may free it [timer-ran] */
    unlock();
    tdm_futex_wake_all(&reactor.ran);
    return true;
}

/* Until when to sleep; 0 if there is something to do. */
static uint64_t prepare_to_sleep(bool *stopping)
{
    lock();
    uint64_t deadline = reactor.timers.root ? reactor.timers.root->key : TDM_FOREVER;
    *stopping = reactor.stopping;
    if (!tdm_list_empty(&reactor.jobs) || reactor.stopping) deadline = 0;
    reactor.asleep = deadline != 0;
    unlock();
    return deadline;
}

static void poll_sources(uint64_t deadline)
{
    reactor.in_batch = tdm_poller_wait(reactor.batch, BATCH, deadline);
    lock();
    reactor.asleep = false;
    unlock();
    for (int i = 0; i < reactor.in_batch; i++) {
        struct tdm_source *source = reactor.batch[i].key;
        if (source) source->ready(source, reactor.batch[i].events);
    }
    reactor.in_batch = 0;
}

/* Jobs and timers are taken in turns with the descriptors, so none can starve the others for longer than one round. */
static void *run(void *unused)
{
    (void)unused;
    on_reactor = true;
    tdm_platform_name_thread("tandem-reactor");
    for (bool stopping = false; !stopping;) {
        for (int i = 0; i < BATCH && run_job(); i++) {
        }
        for (int i = 0; i < BATCH && run_timer(); i++) {
        }
        poll_sources(prepare_to_sleep(&stopping));
    }
    return NULL;
}

static void bell_rung(struct tdm_source *source, unsigned events)
{
    (void)source;
    (void)events;
    tdm_fds_empty(reactor.bell);
}

/* ---- starting and ending ---- */

static int start(void)
{
    tdm_list_init(&reactor.jobs);
    reactor.stopping = false;
    int error = tdm_fds_bell(reactor.bell);
    if (error != 0) return error;
    error = tdm_poller_open();
    if (error != 0) goto no_poller;
    reactor.bell_source = (struct tdm_source){.fd = reactor.bell[0], .ready = bell_rung};
    error = tdm_reactor_watch(&reactor.bell_source, TDM_POLL_IN);
    if (error == 0) error = tdm_thread_start(&reactor.thread, run, NULL, 0);
    if (error == 0) return 0;
    tdm_poller_close();
no_poller:
    tdm_fds_close_bell(reactor.bell);
    return error;
}

int tdm_reactor_hold(void)
{
    tdm_lock(&reactor.users_lock, TDM_RANK_STARTING);
    int error = reactor.users == 0 ? start() : 0;
    if (error == 0) reactor.users++;
    tdm_unlock(&reactor.users_lock, TDM_RANK_STARTING);
    return error;
}

/* The thread is gone before anybody can start a new one: the join is under the lock, which the reactor never takes. */
void tdm_reactor_release(void)
{
    tdm_lock(&reactor.users_lock, TDM_RANK_STARTING);
    if (--reactor.users == 0) {
        lock();
        reactor.stopping = true;
        bool ring = must_ring();
        unlock();
        if (ring) tdm_fds_ring(reactor.bell);
        pthread_join(reactor.thread, NULL);
        tdm_poller_close();
        tdm_fds_close_bell(reactor.bell);
    }
    tdm_unlock(&reactor.users_lock, TDM_RANK_STARTING);
}

/* Its descriptors have been closed with all others, its thread does not exist here. */
void tdm_reactor_reset(void)
{
    on_reactor = false;
    reactor = (struct reactor){.bell = {-1, -1}};
}
