/* ring_test.c - job/ring.h: bytes come out as they went in, and counts that lie are found. */
#include "dice.h"
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/uio.h>

#include "job/ring.h"

static struct tdm_rings *rings;

static void fresh(struct tdm_ring *producer, struct tdm_ring *consumer)
{
    if (rings == NULL) rings = shared(sizeof *rings);
    atomic_store(&rings->requests.tail, 0);
    atomic_store(&rings->requests.head, 0);
    *producer = *consumer = tdm_ring_of_requests(rings);
}

static ssize_t put(struct tdm_ring *ring, const void *bytes, size_t size)
{
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    return tdm_ring_write(ring, &part, 1);
}

static void what_goes_in_comes_out_in_any_pieces(void)
{
    static unsigned char in[TDM_RING_SIZE], out[TDM_RING_SIZE];
    struct tdm_ring producer, consumer;
    struct dice dice = {42};
    uint64_t written = 0, read = 0;
    fresh(&producer, &consumer);
    while (read < 50 * TDM_RING_SIZE) {
        size_t size = roll_below(&dice, TDM_RING_SIZE);
        for (size_t i = 0; i < size; i++) in[i] = (unsigned char)((written + i) * 7 % 251);
        struct iovec parts[] = {{in, size / 3}, {in + size / 3, size - size / 3}};
        ssize_t now = tdm_ring_write(&producer, parts, 2);
        if (now > 0) written += (uint64_t)now;
        assert_true(now > 0 || now == -EAGAIN || size == 0);
        now = tdm_ring_read(&consumer, out, roll_below(&dice, TDM_RING_SIZE) + 1);
        assert_true(now > 0 || (now == -EAGAIN && read == written));
        for (ssize_t i = 0; i < now; i++) assert_int_equal(out[i], (read + (uint64_t)i) * 7 % 251);
        if (now > 0) read += (uint64_t)now;
    }
}

static void a_full_ring_takes_nothing_and_an_empty_one_gives_nothing(void)
{
    static const char bytes[TDM_RING_SIZE];
    struct tdm_ring producer, consumer;
    fresh(&producer, &consumer);
    assert_int_equal(tdm_ring_read(&consumer, NULL, 1), -EAGAIN);
    for (size_t done = 0; done < TDM_RING_SIZE; done += TDM_RING_PIECE) {
        assert_false(tdm_ring_is_full(&producer));
        assert_int_equal(put(&producer, bytes, sizeof bytes), TDM_RING_PIECE);
    }
    assert_true(tdm_ring_is_full(&producer));
    assert_int_equal(tdm_ring_room(&producer), 0);
    assert_int_equal(put(&producer, bytes, 1), -EAGAIN);
    assert_int_equal(tdm_ring_read(&consumer, NULL, 10), 10);
    assert_true(tdm_ring_has_news(&producer, true));
    assert_int_equal(tdm_ring_room(&producer), 10);
    assert_int_equal(put(&producer, bytes, 20), 10);
}

/* A count may not go back, and may not claim more than the ring can hold.  What was believed before stays. */
static void a_count_that_lies_is_found(void)
{
    static const uint64_t tails[] = {99, 0, 100 + TDM_RING_SIZE + 1, UINT64_MAX, UINT64_C(1) << 63};
    static const uint64_t heads[] = {49, 0, 100 + 10 * TDM_RING_SIZE, UINT64_MAX, UINT64_C(1) << 63};
    static const char bytes[TDM_RING_SIZE];
    for (size_t i = 0; i < count_of(tails); i++) {
        struct tdm_ring producer, consumer;
        char got[100];
        fresh(&producer, &consumer);
        assert_int_equal(put(&producer, bytes, 100), 100);
        assert_int_equal(tdm_ring_read(&consumer, got, 100), 100);
        atomic_store(&rings->requests.tail, tails[i]);
        assert_int_equal(tdm_ring_read(&consumer, got, 1), -EPROTO);
        atomic_store(&rings->requests.tail, 100);
        assert_int_equal(tdm_ring_read(&consumer, got, 1), -EAGAIN);
    }
    for (size_t i = 0; i < count_of(heads); i++) {
        struct tdm_ring producer, consumer;
        fresh(&producer, &consumer);
        assert_int_equal(put(&producer, bytes, 100), 100);
        atomic_store(&rings->requests.head, 50);
        producer.foreign = 50;
        atomic_store(&rings->requests.head, heads[i]);
        ssize_t now;
        do now = put(&producer, bytes, sizeof bytes); /* into the room that it knows of */
        while (now > 0);
        assert_int_equal(now, -EPROTO);
    }
}

/* ---- two threads ---- */

enum { NUMBERS = 200000 };

static void *count_in(void *argument)
{
    struct tdm_ring *ring = argument;
    for (uint32_t i = 0; i < scaled(NUMBERS * 100);) {
        uint32_t numbers[16];
        size_t done = 0, count = 0;
        while (count < count_of(numbers) && i < scaled(NUMBERS * 100)) numbers[count++] = i++;
        while (done < count * sizeof *numbers) {
            ssize_t now = put(ring, (char *)numbers + done, count * sizeof *numbers - done);
            if (now > 0) done += (size_t)now;
            if (now < 0) sched_yield();
        }
    }
    return NULL;
}

static void one_thread_writes_while_another_reads(void)
{
    struct tdm_ring producer, consumer;
    pthread_t writer;
    fresh(&producer, &consumer);
    assert_int_equal(pthread_create(&writer, NULL, count_in, &producer), 0);
    for (uint32_t i = 0; i < scaled(NUMBERS * 100); i++) {
        uint32_t number;
        for (size_t done = 0; done < sizeof number;) {
            ssize_t now = tdm_ring_read(&consumer, (char *)&number + done, sizeof number - done);
            assert_true(now > 0 || now == -EAGAIN);
            if (now > 0) done += (size_t)now;
            if (now < 0) sched_yield();
        }
        assert_int_equal(number, i);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(what_goes_in_comes_out_in_any_pieces),
        test(a_full_ring_takes_nothing_and_an_empty_one_gives_nothing),
        test(a_count_that_lies_is_found),
        test(one_thread_writes_while_another_reads),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
