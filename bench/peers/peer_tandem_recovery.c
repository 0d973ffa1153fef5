/* peer_tandem_recovery.c - tandem with one worker process, which is killed while it is busy and a task waits behind. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "measure.h"
#include "must.h"
#include "peers/end_well.h"
#include "peers/peer.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 1 };

typedef _Atomic pid_t shared_pid;

struct recovery_subject {
    tandem_pool *pool;
    tandem_task busy;
    tandem_task next;
};

/* A page that the worker shares, because it was there before tandem_init().  Which worker is busy now; 0: none. */
static shared_pid *busy_worker;

static int do_nothing(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    return 0;
}

static int tell_pid_and_spin(tandem_context *context, void *input, size_t input_size)
{
    (void)context, (void)input, (void)input_size;
    atomic_store(busy_worker, getpid());
    while (atomic_load_explicit(busy_worker, memory_order_relaxed) != 0) continue;
    return 0;
}

static void *start(size_t calls)
{
    (void)calls;
    busy_worker = mmap(NULL, sizeof *busy_worker, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (busy_worker == MAP_FAILED) must_call(-1, "mmap");
    must(tandem_init(), "tandem_init");
    struct recovery_subject *subject = must_reserve(1, sizeof *subject);
    subject->busy = (tandem_task){.run = tell_pid_and_spin, .isolation = TANDEM_PROCESS};
    subject->next = (tandem_task){.run = do_nothing, .isolation = TANDEM_PROCESS};
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1, .processes_ready = 1};
    must(tandem_pool_create(&subject->pool, &options), "tandem_pool_create");
    return subject;
}

/* The only worker spins, and a task waits for it. */
static void ready(void *pool)
{
    struct recovery_subject *subject = pool;
    atomic_store(busy_worker, 0);
    must(tandem_submit(subject->pool, &subject->busy), "tandem_submit");
    while (atomic_load(busy_worker) == 0) sleep_ms(LOOK_EVERY_MS);
    must(tandem_submit(subject->pool, &subject->next), "tandem_submit");
}

/* The first task ends before the second can begin, so waiting for it too takes no time. */
static void round_trip(void *pool)
{
    struct recovery_subject *subject = pool;
    must_call(kill(atomic_load(busy_worker), SIGKILL), "kill");
    must_end_well(&subject->next, tandem_wait(&subject->next));
    must_end_as(&subject->busy, tandem_wait(&subject->busy), TANDEM_CRASHED);
}

static void stop(void *pool)
{
    struct recovery_subject *subject = pool;
    must(tandem_task_clear(&subject->busy), "tandem_task_clear");
    must(tandem_task_clear(&subject->next), "tandem_task_clear");
    must(tandem_pool_destroy(subject->pool), "tandem_pool_destroy");
    must(tandem_quit(), "tandem_quit");
    free(subject);
}

const struct peer peer_tandem_recovery = {.name = "tandem", .start = start, .ready = ready, .round_trip = round_trip, .stop = stop};
