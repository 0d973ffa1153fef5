/* end_well.c - see end_well.h. */
#include "peers/end_well.h"
#include "must.h"

void must_end_as(tandem_task *task, int status, tandem_status wanted)
{
    if (status < 0) must(status, "tandem");
    if (status == (int)wanted) return;
    char line[200];
    tandem_describe(task, line, sizeof line);
    give_up("tandem", line);
}

void must_end_well(tandem_task *task, int status) { must_end_as(task, status, TANDEM_OK); }
