/* thread_talk.h - how a task that runs on a thread talks to its submitter. */
#ifndef TDM_THREADS_THREAD_TALK_H
#define TDM_THREADS_THREAD_TALK_H

#include "job/context.h"

extern const struct tdm_talk_ops tdm_thread_talk; /* for a context whose run is its struct tdm_task */

#endif
