/* chaos.h - what the rooms of the soak share.
 *
 *   chaos.c         the program: who watches whom, progress, the end
 *   chaos_work.c    what a task does, on a thread or in a worker, and the ledger in which each run counts itself
 *   chaos_plan.c    which tasks: dice decide
 *   chaos_crew.c    the threads that submit, cancel and wait
 *   chaos_judge.c   may this task have ended so?
 *   chaos_kill.c    the thread that kills and stops processes of ours and takes descriptors away, and its log */
#ifndef TANDEM_CHAOS_H
#define TANDEM_CHAOS_H

#include "harness.h"

#include <stdio.h>

#include "../unit/dice.h"

struct settings {
    int64_t seconds;
    uint64_t seed;
    uint32_t threads, processes;
};
extern struct settings settings;

extern atomic_int over; /* nobody begins anything new */

uint64_t now_ns(void);
void pass_ms(uint32_t ms); /* a task's own time, or a killer's; nobody relies on it */
bool chance(struct dice *dice, uint32_t percent);
uint32_t roll_between(struct dice *dice, uint32_t least, uint32_t most);
struct dice dice_of(uint64_t number); /* from the seed and a number */
uint32_t queue_limit_of(uint64_t seed);

/* Something that must never happen: says it, counts it. */
__attribute__((format(printf, 1, 2))) void loss(const char *format, ...);
size_t losses(void);

/* ---- work ---- */

enum kind {
    GOOD,
    FAILS,  /* returns a number */
    SPINS,  /* until it is stopped */
    FAULTS, /* touches what is not there */
    ABORTS,
    RAISES,       /* a signal */
    EXITS,        /* with a number */
    LEAVES_CHILD, /* in its process group; returns 0 */
    NESTS,        /* a thread task that has another run */
    KINDS
};
extern const char *const kind_names[KINDS];

/* One task's page in the ledger: shared with workers.  generation << 8 | runs. */
struct cell {
    atomic_ullong begun, left;
};

struct record;

/* A task's input: this, and bytes that follow from the seed. */
struct order {
    struct cell *cell;
    uint64_t generation, seed;
    uint32_t kind;
    int32_t number;
    uint32_t work_us;
    uint32_t input_size, reply_size; /* of the bytes */
    struct record *nested;
};

enum { BYTES_MOST = 300 * 1024, WRONG_INPUT = -7001, TOO_LATE = -7002, NO_MEMORY = -7003, NESTED_WRONG = -7004, NO_CHILD = -7005 };

void work_begin(void); /* before tandem_init() */
struct cell *cells_of(size_t count);
int work(tandem_context *context, void *input, size_t size);
void fill_bytes(void *bytes, size_t size, uint64_t seed);
bool reply_is_right(const struct order *order, const tandem_task *task);
size_t late_runs(void); /* begun when their task had ended already */
bool has_worked(int pid, unsigned long long born);

void cell_open(struct cell *cell, uint64_t generation);
void cell_close(struct cell *cell);
uint32_t runs_begun(const struct cell *cell, uint64_t generation);
uint32_t runs_left(const struct cell *cell, uint64_t generation);

/* ---- plan ---- */

/* A task, all that was asked of it, and all that is known of it beside what the library says. */
struct record {
    tandem_task task;
    struct order *order;
    struct cell *cell;
    struct record *nested;
    tandem_pool *pool;
    uint64_t generation;
    int relays;               /* so often on_done submits it again */
    bool relayed;             /* so nobody waits for it */
    bool judged, pool_ends;   /* its pool may end under it */
    atomic_int asked;         /* to be cancelled */
    atomic_int calls;         /* of on_done, since it was submitted */
    atomic_int yours;         /* on_done has given it back */
    _Atomic int64_t since_ms; /* submitted and not judged; else 0 */
};

struct record *records_of(size_t count); /* before tandem_init() */
void plan(struct record *record, struct dice *dice, tandem_pool *pool, bool ends);
void plan_again(struct record *record); /* the same once more, under a new generation */

/* ---- crew ---- */

void crew_begin(tandem_pool *pool); /* before tandem_init() with NULL, then with the pool */
void crew_end(void);
void crew_look(int64_t limit_ms); /* a loss if a task has not ended for so long */
void submit_nested_and_wait(struct record *record);

/* ---- judge ---- */

void judge(struct record *record); /* it has ended and is the caller's; afterwards it is cleared */
void count_ending(int status);     /* of a task that was judged elsewhere */
void judged_print(FILE *file);
uint64_t judged_count(int status); /* in the pool that does not end */

/* ---- kill ---- */

void kills_begin(void);
void kills_end(void); /* and all is whole again */
void kills_print(FILE *file);
bool was_killed(int pid, uint64_t from_ns, uint64_t to_ns);
bool may_lack_workers(uint64_t from_ns, uint64_t to_ns); /* descriptors ran short, or starting workers were killed */
size_t guards_killed(uint64_t from_ns, uint64_t to_ns);
bool guards_lost(void); /* both were gone at once */

#endif
