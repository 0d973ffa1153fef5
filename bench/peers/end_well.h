/* end_well.h - gives up with tandem's own line if one of its tasks ends otherwise than the row needs it. */
#ifndef BENCH_END_WELL_H
#define BENCH_END_WELL_H

#include <tandem.h>

/* What a wait for the task has returned must be TANDEM_OK. */
void must_end_well(tandem_task *task, int status);

/* The same with another status. */
void must_end_as(tandem_task *task, int status, tandem_status wanted);

#endif
