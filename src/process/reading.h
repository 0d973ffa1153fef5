/* reading.h - a worker's replies: who reads them.
 *
 * One thread at a time has the right to read a worker's replies; which one is written in the slot, under its lock.  A thread that waits for a
 * task of that worker takes the right if it is free, watches the ring, and sleeps on a word beside it.  Other waiters park on their own
 * task.  A thread that lets the right go hands it to one that is parked; if there is none, the worker is to ring the bell, at which the
 * reactor takes it.  So while somebody waits no other thread needs to wake up, and while nobody does the reactor does the reading.
 *
 * Over pipes that thread sleeps on the pipe itself, and on a bell of the slot's by which it can be called.  The reactor listens only while
 * something may come that no thread reads; it hears of the pipe's end at any time.
 *
 * A thread takes plain replies only.  Whatever is less simple - the first and last words of a worker, damage, a worker that is to be killed
 * or buried - it leaves to the reactor, and lets go.
 *
 * tests/model/stream.pml is a model of this, and pipes.pml of reading over pipes. */
#ifndef TDM_PROCESS_READING_H
#define TDM_PROCESS_READING_H

#include "process/slot.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- any thread ---- */

/* A guest of the lane's that waits for a task which this slot had a moment ago: reads, or parks, until the task has ended, the deadline has
 * passed, or it should look again where the task is.  False: there is nothing to do here. */
bool tdm_reading_lead(struct tdm_slot *slot, struct tdm_task *task, uint64_t deadline_ns);

/* A guest of the lane's that has something else to do: reads what there is, if nobody else does. */
void tdm_reading_pass(struct tdm_slot *slot);
void tdm_reading_pass_heard(struct tdm_slot *slot); /* only if it has had a task that may send messages */

/* With the lock held: the thread that reads is to look whether there is still something for it here. */
void tdm_reading_look_up(struct tdm_slot *slot);

/* ---- the reactor ---- */

/* The right, if it can be had; else the thread that has it is told to let go, and the reactor is called when it has. */
bool tdm_reading_take(struct tdm_slot *slot);

void tdm_reading_ready(struct tdm_source *source, unsigned events); /* the worker has rung, or its pipe has ended */
void tdm_reading_look(struct tdm_timer *timer);                     /* a lane's: the reactor looks, rung for or not */
void tdm_reading_attend(struct tdm_slot *slot);                     /* what a thread has left to be read, or to be buried */
void tdm_reading_now(struct tdm_slot *slot);                        /* what is there, if nobody else reads */

/* With the right. */
void tdm_reading_read_all(struct tdm_slot *slot);
void tdm_reading_end(struct tdm_slot *slot); /* there is nothing to read any more; gives it back */

#endif
