/* described.h - what the library says an address is called. */
#ifndef TANDEM_DESCRIBED_H
#define TANDEM_DESCRIBED_H

#include "harness.h"

#include "base/symbols.h"

#include <stdio.h>
#include <string.h>

static inline void needs_maps(void) { skip_without("/proc/self/maps", "nothing tells what lies where"); }

/* ---- a function to be found ---- */

__attribute__((noinline)) static int a_static_function(int number)
{
    static volatile int sum;
    for (int i = 0; i < number; i++) sum += i * number;
    return sum;
}

static int (*volatile kept)(int) = a_static_function;

/* ---- what it is called ---- */

static inline const char *described(uintptr_t address, bool is_return_address)
{
    static char text[512];
    size_t length = tdm_symbols_describe(address, is_return_address, text, sizeof text);
    assert_int_equal(length, strlen(text));
    return text;
}

static inline void expect_described(uintptr_t address, bool is_return_address, const char *start)
{
    const char *text = described(address, is_return_address);
    if (strncmp(text, start, strlen(start)) != 0) fail_msg("\"%s\" does not begin with \"%s\"", text, start);
}

static inline void expect_name(uintptr_t address, const char *name)
{
    char text[256] = "old";
    assert_true(tdm_symbols_function(address, text, sizeof text));
    assert_string_equal(text, name);
}

static inline void expect_no_name(uintptr_t address)
{
    char text[256] = "old", number[32];
    assert_false(tdm_symbols_function(address, text, sizeof text));
    assert_string_equal(text, "");
    snprintf(number, sizeof number, "0x%jx", (uintmax_t)address);
    expect_described(address, false, number);
}

#endif
