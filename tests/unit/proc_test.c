/* proc_test.c - what /proc tells of this process: its threads, and where code lay when it was noted. */
#include "harness.h"

#include "base/proc.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- threads ---- */

static void *stay(void *argument)
{
    atomic_int *entered = argument;
    atomic_fetch_add(&entered[0], 1);
    await(&entered[1], 1);
    return NULL;
}

static void threads_are_counted(void)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    atomic_int entered[2] = {0};
    assert_int_equal(tdm_proc_threads(), 1);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, stay, entered), 0);
        assert_true(await(&entered[0], i + 1));
        assert_in_range(tdm_proc_threads(), i + 2, i + 3); /* a sanitizer may have one of its own */
    }
    atomic_store(&entered[1], 1);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    wait_until(tdm_proc_threads() == 1); /* the kernel may still be at the end of a joined one */
    errno = EXDEV;
    tdm_proc_threads();
    assert_int_equal(errno, EXDEV);
}

/* ---- code ---- */

static const int constant = 1;
static int variable = 1;

static bool had_data(const volatile void *object) { return tdm_proc_had_code((uintptr_t)object); }

static void before_anything_is_noted_all_counts_as_code(void)
{
    assert_true(tdm_proc_had_code((uintptr_t)threads_are_counted));
    assert_true(had_data(&variable));
}

static void functions_are_code_and_data_is_not(void)
{
    int local = 1;
    void *allocated = malloc(1);
    tdm_proc_note_code();
    assert_true(tdm_proc_had_code((uintptr_t)functions_are_code_and_data_is_not));
    assert_true(tdm_proc_had_code((uintptr_t)tdm_proc_had_code));
    assert_true(tdm_proc_had_code((uintptr_t)tandem_submit));
    assert_true(tdm_proc_had_code((uintptr_t)dlsym(RTLD_DEFAULT, "qsort")));
    assert_false(had_data(&variable));
    assert_false(had_data(&constant));
    assert_false(had_data(&local));
    assert_false(had_data(allocated));
    assert_false(tdm_proc_had_code(0));
    assert_false(tdm_proc_had_code(1));
    assert_false(tdm_proc_had_code(UINTPTR_MAX));
    free(allocated);
}

static void code_that_comes_later_was_not_there(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    tdm_proc_note_code();
    char *code = mmap(NULL, 3 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(code != MAP_FAILED);
    assert_int_equal(mprotect(code + page, page, PROT_READ | PROT_EXEC), 0);
    uintptr_t middle = (uintptr_t)(code + page);
    assert_false(tdm_proc_had_code(middle));
    tdm_proc_note_code();
    assert_true(tdm_proc_had_code(middle));
    assert_true(tdm_proc_had_code(middle + page - 1));
    assert_false(tdm_proc_had_code(middle - 1));
    assert_false(tdm_proc_had_code(middle + page));
    assert_true(tdm_proc_had_code((uintptr_t)code_that_comes_later_was_not_there));
    assert_int_equal(munmap(code, 3 * page), 0);
}

#ifdef __GLIBC__
/* A library that every glibc comes with and nothing uses. */
#define SPARE "libBrokenLocale.so.1"

static uintptr_t load_spare(void **library)
{
    *library = dlopen(SPARE, RTLD_NOW | RTLD_LOCAL);
    if (*library == NULL) fail_msg("%s", dlerror());
    void *function = dlsym(*library, "__ctype_get_mb_cur_max");
    assert_non_null(function);
    return (uintptr_t)function;
}

static void code_that_was_unloaded_is_no_longer_there(void)
{
    skip_on_portable("only Linux tells that something was unloaded");
    void *library;
    assert_null(dlopen(SPARE, RTLD_NOW | RTLD_NOLOAD));
    uintptr_t function = load_spare(&library);
    tdm_proc_note_code();
    assert_true(tdm_proc_had_code(function));
    assert_int_equal(dlclose(library), 0);
    assert_false(tdm_proc_had_code(function));
    assert_true(tdm_proc_had_code((uintptr_t)load_spare));
    assert_true(tdm_proc_had_code((uintptr_t)tandem_submit));
    load_spare(&library); /* perhaps at the same place, but a worker that was forked before has not got it for certain */
    assert_false(tdm_proc_had_code(function));
    assert_int_equal(dlclose(library), 0);
}

static void code_that_stays_is_there_whatever_else_is_unloaded(void)
{
    void *library;
    tdm_proc_note_code();
    for (int i = 0; i < 20; i++) {
        load_spare(&library);
        assert_int_equal(dlclose(library), 0);
        assert_true(tdm_proc_had_code((uintptr_t)load_spare));
        assert_true(tdm_proc_had_code((uintptr_t)tandem_submit));
        assert_true(tdm_proc_had_code((uintptr_t)dlsym(RTLD_DEFAULT, "qsort")));
    }
}
#endif

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(threads_are_counted),
        test(before_anything_is_noted_all_counts_as_code),
        test(functions_are_code_and_data_is_not),
        test(code_that_comes_later_was_not_there),
#ifdef __GLIBC__
        test(code_that_was_unloaded_is_no_longer_there),
        test(code_that_stays_is_there_whatever_else_is_unloaded),
#endif
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
