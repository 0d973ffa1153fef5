/* fibonacci.c - see fibonacci.h. */
#define _POSIX_C_SOURCE 200809L
#include "fibonacci.h"

#include "must.h"

/* The n-th number takes as many calls as the two before it, and one. */
double fibonacci_calls(void)
{
    double before = 1, calls = 1;
    for (int n = 2; n <= FIBONACCI_N; n++) {
        double next = 1 + before + calls;
        before = calls;
        calls = next;
    }
    return calls;
}

void fibonacci_check(const struct fibonacci *fibonacci)
{
    long before = 0, number = 1;
    for (int n = 2; n <= FIBONACCI_N; n++) {
        long next = before + number;
        before = number;
        number = next;
    }
    if (fibonacci->result != number) give_up("fibonacci", "the result is wrong");
}
