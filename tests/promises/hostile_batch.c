/* hostile_batch.c - a worker that has been handed many tasks at once and lies about all of them in one piece.
 *
 * The host takes up to sixteen replies under one lock, so each of them has to be judged there as if it had come alone.  What must become of the tasks
 * is told by a model of that: a frame that answers the oldest task which the worker has claimed is believed, the first that does not is the
 * worker's end; then what it has claimed has crashed, and what it has not runs elsewhere. */
#include "hostile_trial.h"

#define IN_HAND TDM_CONTROL_WORDS
#define TASKS   (IN_HAND + 8u) /* some wait for the next worker */
#define LINES   (2 * IN_HAND + 1)

/* ---- what it says ---- */

enum lie { NONE, OUTPUT, REFUSED, OVERSIZED, OTHER_SEQUENCE, OTHER_ENTRY, OTHER_MAGIC, READY_AGAIN, HUGE, TORN, LIES_MOST };

/* Each task is called by its place: 0 is the one that lies, the others are those behind it. */
struct line {
    unsigned place;
    enum lie lie;
};

enum way {
    IN_ORDER,
    BACKWARDS,
    EACH_TWICE,
    ONE_TOO_MANY,
    ONE_LEFT_OUT,
    ONE_NOT_CLAIMED,
    WITH_A_LIE,
    WAYS_MOST = WITH_A_LIE + LIES_MOST
};

/* Seen by the hostile worker, too. */
static struct batch {
    unsigned way, at; /* at: which is left out, not claimed, or lied about */
    enum ending ending;
    bool rings; /* the bell, even if a thread reads */
    atomic_int handed_over, count;
    atomic_int runs[TASKS];
} * batch;

static unsigned lied_about(void) { return batch->at % (unsigned)atomic_load(&batch->count); }

static bool is_claimed(unsigned place)
{
    return place == 0 ||
           (place < (unsigned)atomic_load(&batch->count) && !(batch->way == ONE_NOT_CLAIMED && place == lied_about()));
}

static size_t plan(struct line *lines)
{
    unsigned count = (unsigned)atomic_load(&batch->count), at = lied_about();
    size_t used = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned place = batch->way == BACKWARDS ? count - 1 - i : i;
        if (batch->way == ONE_LEFT_OUT && place == at) continue;
        lines[used++] = (struct line){place, batch->way >= WITH_A_LIE && place == at ? (enum lie)(batch->way - WITH_A_LIE) : NONE};
        if (batch->way == EACH_TWICE) lines[used++] = (struct line){place, NONE};
    }
    if (batch->way == ONE_TOO_MANY) lines[used++] = (struct line){count, NONE};
    return used;
}

/* ---- what is believed of it ---- */

static int status_of(enum lie lie)
{
    switch (lie) {
    case NONE:
    case OUTPUT: return TANDEM_OK;
    case REFUSED: return TANDEM_NOT_STARTED;
    case OVERSIZED: return TANDEM_OVER_LIMIT;
    default: return TANDEM_PENDING;
    }
}

/* By place: what is believed of it; PENDING: nothing.  True: something is not, and the worker is killed. */
static bool believe(int *believed)
{
    struct line lines[LINES];
    size_t count = plan(lines);
    unsigned oldest = 0;
    for (unsigned i = 0; i < TASKS; i++) believed[i] = TANDEM_PENDING;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].lie == HUGE || lines[i].lie == TORN) return false; /* the rest of it may still come */
        int status = status_of(lines[i].lie);
        if (status == TANDEM_PENDING || lines[i].place != oldest || !is_claimed(oldest)) return true;
        believed[oldest++] = status;
    }
    return false;
}

/* ---- in the worker ---- */

static unsigned entries[IN_HAND];

/* What lies behind its own task, in the order in which it was handed over. */
static void find_all(const struct own *own)
{
    unsigned found[IN_HAND] = {0}, count = 1;
    entries[0] = own->entry;
    for (unsigned i = 0; i < IN_HAND; i++) {
        uint64_t word = atomic_load(&own->control->words[i].now), place = (word >> 16) - own->sequence;
        if ((word & 0xffff) != TDM_OFFERED || place >= IN_HAND) continue;
        entries[place] = i;
        found[place] = 1;
    }
    while (count < IN_HAND && found[count]) count++;
    atomic_store(&batch->count, (int)count);
}

static void claim_all(const struct own *own)
{
    for (unsigned place = 1; place < (unsigned)atomic_load(&batch->count); place++)
        if (is_claimed(place)) tdm_control_move(own->control, entries[place], own->sequence + place, TDM_OFFERED, TDM_CLAIMED);
}

static struct tdm_frame frame_of(const struct own *own, const struct line *line)
{
    struct tdm_frame frame = forge(own, TDM_FRAME_REPLY, 0);
    frame.sequence = own->sequence + line->place;
    frame.entry = (uint16_t)entries[line->place % IN_HAND];
    switch (line->lie) {
    case OUTPUT: frame.flags = TDM_FRAME_HAS_OUTPUT, frame.payload = sizeof frame; break;
    case REFUSED: frame.kind = TDM_FRAME_REFUSED, frame.code = ENOMEM; break;
    case OVERSIZED: frame.kind = TDM_FRAME_OVERSIZED; break;
    case OTHER_SEQUENCE: frame.sequence += IN_HAND; break;
    case OTHER_ENTRY: frame.entry = (uint16_t)entries[(line->place + 1) % IN_HAND]; break;
    case OTHER_MAGIC: frame.magic ^= 1; break;
    case READY_AGAIN: frame.kind = TDM_FRAME_READY; break;
    case HUGE: frame.flags = TDM_FRAME_HAS_OUTPUT, frame.payload = sanitized() ? 1000003 : UINT32_MAX; break;
    default: break;
    }
    return frame;
}

static size_t write_all(const struct own *own, struct tdm_frame *frames)
{
    struct line lines[LINES];
    size_t count = plan(lines), size = 0;
    char *bytes = (char *)frames;
    for (size_t i = 0; i < count; i++) {
        struct tdm_frame frame = frame_of(own, &lines[i]);
        memcpy(bytes + size, &frame, sizeof frame);
        size += lines[i].lie == TORN ? sizeof frame / 2 : sizeof frame;
        if (lines[i].lie == TORN) break;
        if (lines[i].lie == OUTPUT) memset(bytes + size, 'o', sizeof frame), size += sizeof frame;
    }
    return size;
}

/* As an honest worker does: the bell only if that is wished. */
static void send_quietly(const struct own *own, const void *bytes, size_t size)
{
    struct tdm_ring ring = tdm_ring_of_replies(own->rings);
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    ring.own = atomic_load(&ring.counts->tail);
    ring.foreign = atomic_load(&ring.counts->head);
    tdm_ring_write(&ring, &part, 1);
    uint32_t wish = atomic_exchange(&own->rings->host_wish, TDM_HOST_AWAKE);
    if (wish == TDM_HOST_FUTEX || wish == TDM_HOST_FUTEX_LATER)
        tdm_futex_wake_shared(&own->rings->host_wish, 1);
    else if (wish != TDM_HOST_AWAKE)
        call_host(own);
    for (int i = 0; batch->ending == RETURNS && i < 1000 && atomic_load(&ring.counts->head) != ring.own; i++) moment();
}

/* The thread that waits for one of the tasks will read what is said of all of them. */
static void let_a_thread_fall_asleep(const struct own *own)
{
    for (int i = 0; i < 20; i++) {
        uint32_t wish = atomic_load(&own->rings->host_wish);
        if (wish == TDM_HOST_FUTEX || wish == TDM_HOST_FUTEX_LATER) return;
        moment();
    }
}

static int lying_task(tandem_context *context, void *input, size_t size)
{
    static struct tdm_frame frames[2 * LINES];
    struct own own = find_own(0, 0);
    (void)context, (void)input, (void)size;
    turn_hostile();
    atomic_fetch_add(&batch->runs[0], 1);
    if (own.replies < 0 || own.control == NULL || !await(&batch->handed_over, 1)) return 99;
    find_all(&own);
    claim_all(&own);
    size_t length = write_all(&own, frames);
    if (own.rings != NULL && !batch->rings) {
        let_a_thread_fall_asleep(&own);
        send_quietly(&own, frames, length);
    } else {
        send_bytes(&own, frames, length);
    }
    int believed[TASKS];
    if (batch->ending == EXITS || !believe(believed)) _exit(3); /* who is not found out could keep what it has claimed for ever */
    while (batch->ending == SPINS) moment();
    return 0;
}

/* ---- what must become of it ---- */

static void check_one(struct counted *one, unsigned place, int believed)
{
    int runs = atomic_load(&batch->runs[place]);
    bool ran_elsewhere = believed == TANDEM_PENDING && !is_claimed(place);
    unsigned expected = ONLY(believed != TANDEM_PENDING ? believed : ran_elsewhere ? TANDEM_OK : TANDEM_CRASHED);
    if (batch->ending == RETURNS && ran_elsewhere)
        expected |= CRASHED_ONLY; /* it goes on with it, perhaps, until it is killed */
    else
        assert_int_equal(runs, place == 0 || ran_elsewhere);
    assert_in_range(runs, 0, 1);
    if (one->task.status == TANDEM_OK && one->task.output != NULL)
        assert_int_equal(one->task.output_size, sizeof(struct tdm_frame));
    check_hostile(one, expected);
}

/* Tasks that are short teach the host to hand over many at once. */
static void teach(tandem_pool *pool)
{
    for (int i = 0; i < 30; i++) {
        tandem_task brief = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
        assert_int_equal(tandem_call(pool, &brief), TANDEM_OK);
        assert_false(is_hostile(brief.report->pid));
        tandem_task_clear(&brief);
    }
}

static struct gate *gate;

/* Behind the gate they wait in the queue; when its reply is read as many are handed over as the worker may have, before its end is told. */
static void begin_batch(tandem_pool *pool, struct counted *tasks, tandem_group *group)
{
    static atomic_int *cells[TASKS];
    tandem_task first = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
    *gate = (struct gate){0};
    assert_int_equal(tandem_submit(pool, &first), 0);
    assert_true(await(&gate->entered, 1));
    for (unsigned i = 0; i < TASKS; i++) {
        cells[i] = &batch->runs[i];
        tasks[i].task = task_of(TANDEM_PROCESS, i == 0 ? lying_task : count_task, &cells[i], sizeof cells[i]);
        submit(pool, &tasks[i], group);
    }
    atomic_store(&gate->opened, 1);
    expect_end(&first, TANDEM_OK);
    tandem_task_clear(&first);
    atomic_store(&batch->handed_over, 1);
}

/* How many it had in hand. */
static int try_batch(tandem_pool *pool, unsigned way, unsigned at, enum ending ending, bool rings)
{
    struct counted tasks[TASKS];
    tandem_group group = {0};
    int believed[TASKS];
    teach(pool);
    *batch = (struct batch){.way = way, .at = at, .ending = ending, .rings = rings};
    begin_batch(pool, tasks, &group);
    tandem_wait_for(&tasks[IN_HAND - 1].task, patience_ms());
    wait_for_all(&group);
    believe(believed);
    for (unsigned i = 0; i < TASKS; i++) check_one(&tasks[i], i, believed[i]);
    check_books(pool);
    pid_t pid = atomic_load(&state->last);
    wait_until(!process_lives(pid));
    forget_hostile(pid);
    return atomic_load(&batch->count);
}

/* Around the number of replies that are taken under one lock. */
static const unsigned places[] = {1, 14, 15, 16, 17, IN_HAND - 1};

static void try_all(enum ending ending)
{
    begin();
    batch = shared(sizeof *batch);
    gate = shared(sizeof *gate);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    int most = 0;
    for (unsigned way = 0; way < WAYS_MOST; way++) {
        if (ending == RETURNS && way == ONE_NOT_CLAIMED) continue; /* it may claim that when it goes on, and be believed */
        for (unsigned i = 0; i < 2 * count_of(places); i++) {
            int count = try_batch(pool, way, places[i / 2], ending, i % 2 == 1);
            if (count > most) most = count;
        }
    }
    if (slowness() == 1) assert_int_equal(most, IN_HAND); /* else nothing would have been tried */
    end_pool(pool);
}

/* promise 29 */
static void lies_about_many_tasks_by_a_worker_that_dies_cost_only_these(void) { try_all(EXITS); }

/* promise 29 */
static void lies_about_many_tasks_by_a_worker_that_lives_cost_only_these(void) { try_all(SPINS); }

/* promise 29 */
static void lies_about_many_tasks_by_a_worker_that_goes_on_cost_only_its_own(void) { try_all(RETURNS); }

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(lies_about_many_tasks_by_a_worker_that_dies_cost_only_these),
        test(lies_about_many_tasks_by_a_worker_that_lives_cost_only_these),
        test(lies_about_many_tasks_by_a_worker_that_goes_on_cost_only_its_own),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
