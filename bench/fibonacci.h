/* fibonacci.h - a function that calls itself twice and does nothing else: what forking and joining costs. */
#ifndef BENCH_FIBONACCI_H
#define BENCH_FIBONACCI_H

enum { FIBONACCI_N = 32 };

struct fibonacci {
    long n;
    long result;
};

/* How many calls that takes. */
double fibonacci_calls(void);

/* Ends the program if the result is wrong. */
void fibonacci_check(const struct fibonacci *fibonacci);

#endif
