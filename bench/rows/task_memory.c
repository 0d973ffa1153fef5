/* task_memory.c - what a task that waits in the queue costs beyond the struct of its caller. */
#define _POSIX_C_SOURCE 200809L
#include "must.h"
#include "row.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define SMAPS "/proc/self/smaps_rollup"

static const struct peer *const peers[] = {&peer_tandem_threads, &peer_libuv, &peer_glib, &peer_apr, &peer_tbb,
                                           &peer_textbook,       NULL};

static const char *absent(void) { return access(SMAPS, R_OK) == 0 ? NULL : "it needs " SMAPS; }

/* Bytes of memory in use.  The kernel counts it exactly here; what getrusage and statm say may lag behind. */
static double resident(void)
{
    FILE *file = fopen(SMAPS, "r");
    if (!file) must(errno, SMAPS);
    char line[200];
    unsigned long kilobytes = 0;
    int found = 0;
    while (!found && fgets(line, sizeof line, file)) found = sscanf(line, "Rss: %lu kB", &kilobytes) == 1;
    if (!found) give_up(SMAPS, "has no line Rss");
    fclose(file);
    return (double)kilobytes * 1024;
}

/* The caller's structs were touched at the start: what grows while tasks are queued is the library's. */
static double measure(const struct peer *peer, void *pool, size_t count)
{
    struct gate gate = GATE_CLOSED;
    peer->hold(pool, &gate);
    gate_await(&gate, THREADS);
    resident();
    double before = resident();
    peer->submit(pool, 0, count);
    double after = resident();
    gate_open(&gate);
    peer->await(pool, count);
    return (after - before) / (double)count;
}

static void remark(const struct peer *peer)
{
    printf("# task_memory %s: its caller's own struct is %zu bytes\n", peer->name, peer->task_size);
}

const struct row row_task_memory = {
    .name = "task_memory",
    .unit = "bytes per task",
    .sentence = "memory taken for each task that is queued behind busy threads, without its caller's own struct",
    .less_is_better = true,
    .nothing = 1,
    .count = 1000000,
    .quick_count = 100000,
    .peers = peers,
    .absent = absent,
    .measure = measure,
    .remark = remark,
};
