/* reading_test.c - process/reading.c, process/gathering.c: what a bell does to a thread that reads, and when replies are let come together. */
#include "harness.h"

#include "process/gathering.h"
#include "process/process_lane.h"
#include "process/reading.h"

#include <string.h>
#include <unistd.h>

static struct tdm_process_lane lane;
static struct tdm_slot slot;

/* A worker's, over rings, where there are processors for both sides. */
static void begin_slot(void)
{
    memset(&lane, 0, sizeof lane);
    memset(&slot, 0, sizeof slot);
    lane.processors = 2;
    slot.lane = &lane;
    slot.state = TDM_SLOT_READY;
    slot.watch.most_ns = 50000;
    slot.in.rings = shared(sizeof *slot.in.rings);
    slot.in.ring = tdm_ring_of_replies(slot.in.rings);
}

/* To be taken away from what it reads would have it sleep until it is woken. */
static void a_bell_leaves_a_thread_that_reads_alone(void)
{
    int bell[2];
    begin_slot();
    assert_int_equal(pipe(bell), 0);
    assert_int_equal(write(bell[1], "", 1), 1);
    slot.replies = bell[0];
    slot.reader = TDM_THREAD_READS;
    slot.attend.posted = true; /* no reactor runs here */
    tdm_reading_ready(&slot.reply_source, 0);
    assert_int_equal(slot.reader, TDM_THREAD_READS);
    assert_false(slot.unread);
    assert_int_equal(load_seq(&slot.look_up), 0);
    close(bell[0]);
    close(bell[1]);
}

static bool is_gathered(unsigned in_hand, uint64_t usual_ns)
{
    slot.in_hand = in_hand;
    slot.usual_ns = usual_ns;
    tdm_gathering_note(&slot);
    return tdm_gathering_goes_on(&slot, 1);
}

static void replies_are_gathered_where_they_are_many_and_come_at_once(void)
{
    begin_slot();
    assert_true(is_gathered(TDM_IN_HAND, 50));
    assert_false(tdm_gathering_goes_on(&slot, TDM_IN_HAND)); /* enough have come */
    assert_false(is_gathered(1, 50));
    assert_false(is_gathered(TDM_IN_HAND, 0)); /* not known */
    assert_false(is_gathered(TDM_IN_HAND, 100000));
    slot.watch.late = 1; /* both sides are on one processor */
    assert_false(is_gathered(TDM_IN_HAND, 50));
    slot.watch.late = 0;
    slot.watch.most_ns = 0; /* there is only one */
    assert_false(is_gathered(TDM_IN_HAND, 50));
    slot.in.rings = NULL; /* over pipes */
    slot.watch.most_ns = 50000;
    assert_false(is_gathered(TDM_IN_HAND, 50));
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_bell_leaves_a_thread_that_reads_alone),
        test(replies_are_gathered_where_they_are_many_and_come_at_once),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
