/* thread_talk.h - how a task that runs on a thread talks to its submitter. */
#ifndef TDM_THREADS_THREAD_TALK_H
#define TDM_THREADS_THREAD_TALK_H

#include "job/context.h"

extern const struct tdm_talk_ops tdm_thread_talk;

/* To a task's on_message, which it has: it begins.  0 or -errno. */
int tdm_thread_tell_start(tandem_context *context); /* for a context whose run is its struct tdm_task */

#endif
