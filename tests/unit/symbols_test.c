/* symbols_test.c - what code is called: static functions too, in the program and in its libraries. */
#include "described.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

static void a_functions_name_is_found_static_or_not(void)
{
    needs_maps();
    uintptr_t address = (uintptr_t)kept;
    expect_name(address, "a_static_function");
    expect_name(address + 3, "a_static_function");
    expect_name((uintptr_t)tandem_submit, "tandem_submit");
    expect_name((uintptr_t)a_functions_name_is_found_static_or_not, "a_functions_name_is_found_static_or_not");
    expect_described(address, false, "a_static_function+0x0 (symbols_test)");
    expect_described(address + 3, false, "a_static_function+0x3 (symbols_test)");
}

static void a_return_address_names_its_caller(void)
{
    needs_maps();
    uintptr_t address = (uintptr_t)kept;
    expect_described(address + 3, true, "a_static_function+0x3 (");
    char text[256];
    tdm_symbols_function(address - 1, text, sizeof text);
    assert_string_not_equal(text, "a_static_function");
    assert_null(strstr(described(address, true), "a_static_function"));
    expect_described(0, true, "0x0");
}

static void a_librarys_function_is_found_with_its_library(void)
{
    needs_maps();
    void *address = dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests");
    assert_non_null(address);
    expect_name((uintptr_t)address, "_cmocka_run_group_tests");
    expect_described((uintptr_t)address, false, "_cmocka_run_group_tests+0x0 (libcmocka");
}

static void what_is_no_code_has_no_name(void)
{
    static int variable;
    int local = 0;
    int *allocated = malloc(sizeof *allocated);
    const uintptr_t addresses[] = {0, 1, UINTPTR_MAX, (uintptr_t)&variable, (uintptr_t)&local, (uintptr_t)allocated};
    for (size_t i = 0; i < count_of(addresses); i++) expect_no_name(addresses[i]);
    free(allocated);
}

static void a_text_is_cut_to_its_room(void)
{
    needs_maps();
    char text[64], name[64];
    uintptr_t address = (uintptr_t)kept;
    const char whole[] = "a_static_function+0x0 (symbols_test)";
    assert_int_equal(tdm_symbols_describe(address, false, NULL, 0), strlen(whole));
    assert_true(tdm_symbols_function(address, NULL, 0));
    for (size_t size = 1; size < sizeof text; size++) {
        memset(text, '#', sizeof text);
        memset(name, '#', sizeof name);
        assert_int_equal(tdm_symbols_describe(address, false, text, size), strlen(whole));
        assert_true(tdm_symbols_function(address, name, size));
        assert_int_equal(strlen(text), size - 1 < strlen(whole) ? size - 1 : strlen(whole));
        assert_memory_equal(text, whole, strlen(text));
        assert_memory_equal(name, "a_static_function", strlen(name));
        assert_true(text[size] == '#' && name[size] == '#');
    }
}

static void the_callers_errno_and_cancellation_stay(void)
{
    int state;
    errno = EXDEV;
    tdm_symbols_describe((uintptr_t)kept, false, NULL, 0);
    tdm_symbols_describe(12345, false, NULL, 0);
    assert_int_equal(errno, EXDEV);
    assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state), 0);
    assert_int_equal(state, PTHREAD_CANCEL_ENABLE);
}

/* More than are remembered, in a batch, out of it and in two that overlap. */
static void an_answer_is_the_same_every_time(void)
{
    needs_maps();
    enum { ADDRESSES = 300 };
    static char first[ADDRESSES][256], text[256];
    size_t named = 0;
    for (int round = 0; round < 4; round++) {
        if (round > 0) tdm_symbols_begin();
        for (size_t i = 0; i < ADDRESSES; i++) {
            uintptr_t address = (uintptr_t)tandem_submit - 2000 + 10 * i;
            tdm_symbols_describe(address, false, round > 0 ? text : first[i], sizeof text);
            if (round > 0) assert_string_equal(text, first[i]);
            named += strchr(first[i], '+') != NULL;
        }
        if (round == 1) tdm_symbols_end();
    }
    tdm_symbols_end();
    tdm_symbols_end();
    assert_true(named > 0);
}

static void a_new_start_knows_all_again(void)
{
    needs_maps();
    expect_name((uintptr_t)kept, "a_static_function");
    tdm_symbols_reset();
    expect_name((uintptr_t)kept, "a_static_function");
}

static void *ask(void *wrong)
{
    char text[256];
    for (size_t i = 0; i < scaled(5000); i++) {
        bool in_batch = i % 3 == 0;
        if (in_batch) tdm_symbols_begin();
        if (!tdm_symbols_function((uintptr_t)kept + i % 5, text, sizeof text) || strcmp(text, "a_static_function") != 0)
            atomic_fetch_add((atomic_int *)wrong, 1);
        tdm_symbols_describe((uintptr_t)tandem_submit + i, true, text, sizeof text);
        if (in_batch) tdm_symbols_end();
    }
    return NULL;
}

static void threads_may_ask_at_once(void)
{
    needs_maps();
    pthread_t threads[4];
    atomic_int wrong = 0;
    for (size_t i = 0; i < count_of(threads); i++) assert_int_equal(pthread_create(&threads[i], NULL, ask, &wrong), 0);
    for (size_t i = 0; i < count_of(threads); i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&wrong), 0);
}

#ifdef __GLIBC__
/* A library that every glibc comes with and nothing uses. */
static void a_library_that_comes_and_goes_is_named_while_it_is_there(void)
{
    needs_maps();
    skip_on_portable("only Linux tells that something was unloaded");
    for (int i = 0; i < 3; i++) {
        void *library = dlopen("libBrokenLocale.so.1", RTLD_NOW | RTLD_LOCAL);
        assert_non_null(library);
        void *function = dlsym(library, "__ctype_get_mb_cur_max");
        assert_non_null(function);
        expect_name((uintptr_t)function, "__ctype_get_mb_cur_max");
        assert_int_equal(dlclose(library), 0);
        char text[256];
        if (tdm_symbols_function((uintptr_t)function, text, sizeof text)) assert_string_not_equal(text, "__ctype_get_mb_cur_max");
    }
}
#endif

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_functions_name_is_found_static_or_not),
        test(a_return_address_names_its_caller),
        test(a_librarys_function_is_found_with_its_library),
        test(what_is_no_code_has_no_name),
        test(a_text_is_cut_to_its_room),
        test(the_callers_errno_and_cancellation_stay),
        test(an_answer_is_the_same_every_time),
        test(a_new_start_knows_all_again),
        test(threads_may_ask_at_once),
#ifdef __GLIBC__
        test(a_library_that_comes_and_goes_is_named_while_it_is_there),
#endif
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
