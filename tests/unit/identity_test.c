/* identity_test.c - which process is this: the number in this process, in a forked child, and after starting afresh there. */
#include "harness.h"

#include "base/fds.h"
#include "base/identity.h"
#include "forked.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* ---- the number ---- */

static void *ask(void *argument)
{
    *(uint32_t *)argument = tdm_identity();
    return NULL;
}

static void a_process_has_one_number(void)
{
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    uint32_t numbers[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask, &numbers[i]), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_not_equal(tdm_identity(), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(numbers[i], tdm_identity());
    tdm_identity_adopt(); /* it is adopted already */
    assert_int_equal(tdm_identity(), numbers[0]);
}

static int has_no_number(void *unused)
{
    (void)unused;
    child_needs(tdm_identity() == 0);
    child_needs(tdm_identity() == 0);
    return 0;
}

static int has_no_number_nor_has_its_child(void *unused)
{
    child_needs(status_of_child(has_no_number, NULL) == 0); /* before it has asked itself */
    child_needs(has_no_number(unused) == 0);
    child_needs(status_of_child(has_no_number, NULL) == 0);
    return 0;
}

static void a_forked_child_has_number_0(void)
{
    uint32_t mine = tdm_identity();
    expect_in_child(has_no_number, NULL);
    expect_in_child(has_no_number_nor_has_its_child, NULL);
    assert_int_equal(tdm_identity(), mine);
}

/* In a line of descendants, each with all numbers of its ancestors. */
struct ancestors {
    uint32_t numbers[8];
    size_t count;
};

static int adopts_a_new_number(void *argument)
{
    struct ancestors *ancestors = argument;
    if (ancestors->count % 2 == 0) child_needs(tdm_identity() == 0); /* asking before makes no difference */
    errno = EXDEV;
    tdm_identity_adopt();
    child_needs(errno == EXDEV);
    uint32_t mine = tdm_identity();
    child_needs(mine != 0 && mine == tdm_identity());
    for (size_t i = 0; i < ancestors->count; i++) child_needs(ancestors->numbers[i] != mine);
    ancestors->numbers[ancestors->count++] = mine;
    if (ancestors->count == count_of(ancestors->numbers)) return 0;
    child_needs(status_of_child(has_no_number, NULL) == 0);
    return status_of_child(adopts_a_new_number, ancestors) != 0;
}

static void who_starts_afresh_has_a_number_no_ancestor_has(void)
{
    struct ancestors ancestors = {.numbers = {tdm_identity()}, .count = 1};
    expect_in_child(adopts_a_new_number, &ancestors);
}

/* ---- the descriptors ---- */

struct descriptors {
    int ours[2], program[2];
};

static int finds_the_librarys_closed(void *argument)
{
    const struct descriptors *fds = argument;
    errno = EXDEV;
    child_needs(!is_open(fds->ours[0]) && !is_open(fds->ours[1])); /* before it could open anything itself */
    child_needs(tdm_identity() == 0);
    child_needs(!is_open(fds->ours[0]) && !is_open(fds->ours[1]));
    child_needs(is_open(fds->program[0]) && is_open(fds->program[1]));
    return 0;
}

/* The child's own descriptors have the freed numbers by now. */
static int keeps_what_it_opens_later(void *argument)
{
    const struct descriptors *fds = argument;
    child_needs(tdm_identity() == 0);
    child_needs(dup2(fds->program[0], fds->ours[0]) == fds->ours[0]);
    child_needs(tdm_identity() == 0);
    tdm_identity_adopt();
    child_needs(tdm_identity() != 0);
    child_needs(is_open(fds->ours[0]) && !is_open(fds->ours[1]));
    return 0;
}

static int is_a_parent_like_any_other(void *argument)
{
    struct descriptors *fds = argument;
    tdm_identity_adopt();
    child_needs(!is_open(fds->ours[0]) && !is_open(fds->ours[1]));
    child_needs(tdm_fds_pipe(fds->ours) == 0);
    child_needs(status_of_child(finds_the_librarys_closed, fds) == 0);
    child_needs(is_open(fds->ours[0]) && is_open(fds->ours[1]));
    return 0;
}

static void a_forked_child_closes_the_librarys_descriptors_once(void)
{
    struct descriptors fds;
    assert_int_equal(pipe(fds.program), 0);
    assert_int_equal(tdm_fds_pipe(fds.ours), 0);
    assert_int_not_equal(tdm_identity(), 0);
    expect_in_child(finds_the_librarys_closed, &fds);
    expect_in_child(keeps_what_it_opens_later, &fds);
    expect_in_child(is_a_parent_like_any_other, &fds);
    for (int i = 0; i < 2; i++) {
        assert_true(is_open(fds.ours[i]));
        tdm_fds_close(&fds.ours[i]);
        assert_int_equal(close(fds.program[i]), 0);
    }
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_process_has_one_number),
        test(a_forked_child_has_number_0),
        test(who_starts_afresh_has_a_number_no_ancestor_has),
        test(a_forked_child_closes_the_librarys_descriptors_once),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
