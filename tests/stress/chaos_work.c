/* chaos_work.c - what a task of the soak does, and the ledger in which each of its runs counts itself. */
#include "chaos.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const char *const kind_names[KINDS] = {"good", "fails", "spins", "faults", "aborts", "raises", "exits", "leaves a child", "nests"};

enum { VETERANS = 1 << 16 };

/* Shared with all workers. */
static struct {
    atomic_int late;
    atomic_ullong veterans[VETERANS]; /* by pid: the moment of its latest run, in ticks since the machine's start, and the pid */
} * seen;

void work_begin(void) { seen = shared(sizeof *seen); }

struct cell *cells_of(size_t count) { return shared(count * sizeof(struct cell)); }

size_t late_runs(void) { return (size_t)atomic_load(&seen->late); }

/* ---- the ledger ---- */

void cell_open(struct cell *cell, uint64_t generation)
{
    atomic_store(&cell->left, generation << 8);
    atomic_store(&cell->begun, generation << 8);
}

/* Of no generation: who begins now is late. */
void cell_close(struct cell *cell) { atomic_store(&cell->begun, 0); }

static bool count_run(atomic_ullong *word, uint64_t generation)
{
    unsigned long long now = atomic_load(word);
    do {
        if (now >> 8 != generation) return false;
    } while (!atomic_compare_exchange_weak(word, &now, now + 1));
    return true;
}

static uint32_t counted(const atomic_ullong *word, uint64_t generation)
{
    unsigned long long now = atomic_load(word);
    return now >> 8 == generation ? (uint32_t)(now & 255) : UINT32_MAX;
}

uint32_t runs_begun(const struct cell *cell, uint64_t generation) { return counted(&cell->begun, generation); }
uint32_t runs_left(const struct cell *cell, uint64_t generation) { return counted(&cell->left, generation); }

/* ---- workers that have done something: to kill one of those is no failed start ---- */

static unsigned long long ticks_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (unsigned long long)now.tv_sec * 100 + (unsigned long long)now.tv_nsec / 10000000;
}

static void enroll(void)
{
    unsigned pid = (unsigned)getpid();
    atomic_store(&seen->veterans[pid % VETERANS], ticks_now() << 24 | (pid & 0xffffff));
}

bool has_worked(int pid, unsigned long long born)
{
    unsigned long long word = atomic_load(&seen->veterans[(unsigned)pid % VETERANS]);
    return (word & 0xffffff) == ((unsigned)pid & 0xffffff) && word >> 24 > born;
}

/* ---- bytes ---- */

void fill_bytes(void *bytes, size_t size, uint64_t seed)
{
    struct dice dice = {seed | 1};
    unsigned char *at = bytes;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word = roll(&dice);
        memcpy(at, &word, 8);
    }
    uint64_t word = roll(&dice);
    memcpy(at, &word, size);
}

static bool bytes_are(const void *bytes, size_t size, uint64_t seed)
{
    struct dice dice = {seed | 1};
    const unsigned char *at = bytes;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word = roll(&dice);
        if (memcmp(at, &word, 8) != 0) return false;
    }
    uint64_t word = roll(&dice);
    return size == 0 || memcmp(at, &word, size) == 0;
}

static uint64_t reply_seed(const struct order *order) { return ~order->seed; }

bool reply_is_right(const struct order *order, const tandem_task *task)
{
    if (order->reply_size == 0) return task->output_size == 0;
    return task->output != NULL && task->output_size == order->reply_size &&
           bytes_are(task->output, task->output_size, reply_seed(order));
}

static int reply(tandem_context *context, const struct order *order)
{
    if (order->reply_size == 0) return 0;
    void *bytes = malloc(order->reply_size);
    if (bytes == NULL) return NO_MEMORY;
    fill_bytes(bytes, order->reply_size, reply_seed(order));
    if (order->seed & 2) {
        if (tandem_reply_owned(context, bytes, order->reply_size, free) == 0) return 0;
        free(bytes);
        return NO_MEMORY;
    }
    int error = tandem_reply(context, bytes, order->reply_size);
    free(bytes);
    return error == 0 ? 0 : NO_MEMORY;
}

/* ---- the work ---- */

static void take_time(uint32_t us)
{
    const uint64_t end = now_ns() + (uint64_t)us * 1000;
    while (now_ns() < end) {
        if (us > 2000) pass_ms(1);
    }
}

static int spin(const tandem_context *context)
{
    while (!tandem_cancelled(context)) pass_ms(1);
    return ECANCELED;
}

static void fault(void)
{
    static char *volatile nowhere = (char *)64;
    if (!sanitized()) *nowhere = 1;
    raise(SIGSEGV); /* a sanitizer looks before the processor does */
}

static int leave_child(void)
{
    pid_t pid = fork();
    if (pid != 0) return pid > 0 ? 0 : NO_CHILD;
    for (;;) pause();
}

static int come_to_an_end(tandem_context *context, const struct order *order)
{
    switch (order->kind) {
    case GOOD: return 0;
    case FAILS: return order->number;
    case SPINS: return spin(context);
    case FAULTS: fault(); break;
    case ABORTS: abort();
    case RAISES: raise(order->number); break;
    case EXITS: _exit(order->number);
    case LEAVES_CHILD: return leave_child();
    case NESTS: submit_nested_and_wait(order->nested); return 0;
    }
    return __LINE__;
}

int work(tandem_context *context, void *input, size_t size)
{
    struct order order;
    if (size < sizeof order) return WRONG_INPUT;
    memcpy(&order, input, sizeof order);
    if (!count_run(&order.cell->begun, order.generation)) {
        atomic_fetch_add(&seen->late, 1);
        return TOO_LATE;
    }
    if (tandem_where(context) == TANDEM_PROCESS) enroll();
    if (size != sizeof order + order.input_size) return WRONG_INPUT;
    if (!bytes_are((char *)input + sizeof order, order.input_size, order.seed)) return WRONG_INPUT;
    take_time(order.work_us);
    int error = reply(context, &order);
    int code = error != 0 ? error : come_to_an_end(context, &order);
    count_run(&order.cell->left, order.generation);
    return code;
}
