/* host.c - see host.h. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "host.h"
#include "must.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LONGEST_LINE = 300 };

void host_touch(size_t bytes)
{
    if (bytes == 0) return;
    volatile char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) must_call(-1, "mmap");
#if defined(MADV_NOHUGEPAGE)
    madvise((void *)memory, bytes, MADV_NOHUGEPAGE); /* fails where there are no huge pages */
#endif
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = 0; at < bytes; at += page) memory[at] = 1;
}

/* The number in a file that holds nothing else, or the most there is: no such file, or "max". */
static uint64_t number_in(const char *folder, const char *name)
{
    char path[PATH_MAX];
    uint64_t number = UINT64_MAX;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return number;
    FILE *file = fopen(path, "r");
    if (!file) return number;
    if (fscanf(file, "%" SCNu64, &number) != 1) number = UINT64_MAX;
    fclose(file);
    return number;
}

static uint64_t lesser(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* What a control group and all above it leave to its members.  Its path as this process sees it may not be there, in a container;
 * what is above it is. */
static uint64_t left_by_groups(const char *mount, const char *path, const char *limit, const char *used)
{
    uint64_t left = UINT64_MAX;
    char folder[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s%s", mount, path) >= (int)sizeof folder) return left;
    for (;;) {
        uint64_t most = number_in(folder, limit), now = number_in(folder, used);
        if (most != UINT64_MAX && now != UINT64_MAX) left = lesser(left, most > now ? most - now : 0);
        char *last = strrchr(folder, '/');
        if (strlen(folder) <= strlen(mount) || !last) return left;
        *last = '\0';
    }
}

/* The same for the groups of this process, of either kind: "0::/path" is version 2, "9:memory:/path" version 1. */
static uint64_t left_by_my_groups(void)
{
    uint64_t left = UINT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "r");
    if (!file) return left;
    for (char line[LONGEST_LINE]; fgets(line, sizeof line, file);) {
        line[strcspn(line, "\n")] = '\0';
        char *path = strchr(line, '/');
        if (!path) continue;
        if (strncmp(line, "0::/", 4) == 0)
            left = lesser(left, left_by_groups("/sys/fs/cgroup", path, "memory.max", "memory.current"));
        else if (strstr(line, ":memory:"))
            left = lesser(left, left_by_groups("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes"));
    }
    fclose(file);
    return left;
}

/* What the machine has left, or 0: it does not say. */
static uint64_t left_by_machine(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file) return 0;
    uint64_t kilobytes = 0;
    int found = 0;
    for (char line[LONGEST_LINE]; !found && fgets(line, sizeof line, file);)
        found = sscanf(line, "MemAvailable: %" SCNu64 " kB", &kilobytes) == 1;
    fclose(file);
    return kilobytes * 1024;
}

const char *host_lacks(uint64_t bytes)
{
    if (bytes > SIZE_MAX / 4) return "its address space is too small";
    uint64_t machine = left_by_machine();
    if (machine == 0 && bytes > 100 * MB) return "this machine does not say how much memory is free";
    uint64_t wanted = bytes + bytes / 4;
    return machine != 0 && lesser(machine, left_by_my_groups()) < wanted ? "there is too little free memory" : NULL;
}
