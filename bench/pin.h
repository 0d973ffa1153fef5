/* pin.h - on which processor a process runs. */
#ifndef BENCH_PIN_H
#define BENCH_PIN_H

/* Why this system cannot keep a process on a processor, or NULL. */
const char *pin_absent(void);

/* Keeps the calling process, and all that it starts from now on, on the first or the last of the processors that it may use.  Does nothing
 * where that cannot be done. */
void pin_to_first(void);
void pin_to_last(void);

#endif
