/* gate.h - a gate that threads wait at until it is opened for all of them at once. */
#ifndef BENCH_GATE_H
#define BENCH_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t waiting; /* guarded by lock, as is: */
    bool open;
};

#define GATE_CLOSED                                                                                                                \
    {                                                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                                                     \
    }

/* Waits until the gate is open. */
void gate_pass(struct gate *gate);

/* Waits until so many threads stand at the gate. */
void gate_await(struct gate *gate, size_t threads);

void gate_open(struct gate *gate);

#endif
