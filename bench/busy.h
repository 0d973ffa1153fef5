/* busy.h - a task that needs a processor, always for the same time. */
#ifndef BENCH_BUSY_H
#define BENCH_BUSY_H

enum { BUSY_US = 20 };

/* Uses so much processor time of the calling thread, also where others take its processor away meanwhile. */
void busy_work(void);

#endif
