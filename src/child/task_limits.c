/* task_limits.c - what one task may use of the worker it runs in. */
#define _XOPEN_SOURCE 700
#include "child/task_limits.h"

#include "base/platform.h"

#include <stdbool.h>
#include <sys/resource.h>

/* Only soft limits are moved, so each can be set back without any right. */
static struct {
    int resource;
    bool moved;
    rlim_t before;
} limits[] = {
#define MEMORY 0
#if defined(RLIMIT_AS)
    {.resource = RLIMIT_AS},
#else
    {.resource = RLIMIT_DATA},
#endif
#define FILE_SIZE 1
    {.resource = RLIMIT_FSIZE},
#define OPEN_FILES 2
    {.resource = RLIMIT_NOFILE},
};
#define COUNT (sizeof limits / sizeof *limits)

static bool cpu_is_limited;

static void move_limit(size_t index, uint64_t most)
{
    struct rlimit limit;
    if (most == 0 || getrlimit(limits[index].resource, &limit) != 0) return;
    limits[index].before = limit.rlim_cur;
    if (limit.rlim_cur == RLIM_INFINITY || most < limit.rlim_cur) limit.rlim_cur = (rlim_t)most;
    limits[index].moved = setrlimit(limits[index].resource, &limit) == 0;
}

/* The clock of processor time starts last. */
void tdm_task_limits_set(const tandem_limits *wanted, struct tdm_control *control)
{
    if (wanted->memory != 0) {
        uint64_t now = tdm_platform_address_space();
        bool fits = now != 0 && wanted->memory < UINT64_MAX - now;
        control->memory_most = fits ? now + wanted->memory : 0;
        move_limit(MEMORY, control->memory_most);
    }
    move_limit(FILE_SIZE, wanted->file_size);
    move_limit(OPEN_FILES, wanted->open_files);
    cpu_is_limited = wanted->cpu_ms != 0;
    if (cpu_is_limited) tdm_platform_limit_cpu(wanted->cpu_ms);
}

static void set_memory_most(rlim_t most)
{
    struct rlimit limit;
    if (getrlimit(limits[MEMORY].resource, &limit) != 0) return;
    limit.rlim_cur = most;
    setrlimit(limits[MEMORY].resource, &limit);
}

uint64_t tdm_task_limits_pause(void)
{
    if (!limits[MEMORY].moved) return 0;
    uint64_t now = tdm_platform_address_space();
    set_memory_most(limits[MEMORY].before);
    return now;
}

void tdm_task_limits_go_on(struct tdm_control *control, uint64_t before)
{
    if (before == 0) return;
    uint64_t now = tdm_platform_address_space();
    if (now > before) control->memory_most += now - before;
    set_memory_most((rlim_t)control->memory_most);
}

void tdm_task_limits_lift(struct tdm_control *control)
{
    if (cpu_is_limited) tdm_platform_limit_cpu(0);
    cpu_is_limited = false;
    control->memory_most = 0;
    for (size_t i = 0; i < COUNT; i++) {
        struct rlimit limit;
        if (!limits[i].moved || getrlimit(limits[i].resource, &limit) != 0) continue;
        limit.rlim_cur = limits[i].before;
        setrlimit(limits[i].resource, &limit);
        limits[i].moved = false;
    }
}
