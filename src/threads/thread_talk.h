/* thread_talk.h - how a task that runs on a thread talks to its submitter. */
#ifndef TDM_THREADS_THREAD_TALK_H
#define TDM_THREADS_THREAD_TALK_H

#include "job/context.h"

extern const struct tdm_talk_ops tdm_thread_talk;

struct tdm_task;

/* To a task's on_message, which it has: it begins. */
int tdm_thread_tell_start(struct tdm_task *task); /* 0; -ENOMEM */

#endif
