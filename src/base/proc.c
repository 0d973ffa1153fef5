/* proc.c - what /proc/self tells. */
#define _POSIX_C_SOURCE 200809L
#include "base/proc.h"

#include "base/fds.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/platform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* stdio is not used: it would allocate, and take locks of the host's. */
char *tdm_proc_read_whole(const char *path)
{
    int saved = errno, cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int fd = tdm_fault(TDM_FAULT_proc_read) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    size_t room = 4096, length = 0;
    char *text = fd < 0 ? NULL : tdm_malloc(room);
    while (text) {
        ssize_t got = tdm_fds_read(fd, text + length, room - 1 - length);
        if (got <= 0) break;
        length += (size_t)got;
        if (length < room - 1) continue;
        char *larger = tdm_realloc(text, room * 2);
        if (!larger) free(text);
        text = larger;
        room *= 2;
    }
    if (fd >= 0) close(fd);
    if (text) text[length] = 0;
    pthread_setcancelstate(cancel_state, NULL);
    errno = saved;
    return text;
}

/* Field 20.  The second field is the program's name in parentheses and may hold anything, so count from the last one. */
int tdm_proc_threads(void)
{
    char *text = tdm_proc_read_whole("/proc/self/stat");
    char *at = text ? strrchr(text, ')') : NULL;
    for (int field = 2; at && field < 20; field++) at = strchr(at + 1, ' ');
    long threads = at ? strtol(at, NULL, 10) : -1;
    free(text);
    if (threads <= 0) return -1;
    return threads > 1 + tdm_platform_sanitizer_threads() ? (int)threads : 1;
}

/* The system lists them; a limit of descriptors may be a thousand million, and most numbers are not open. */
void tdm_proc_close_range(unsigned low, unsigned high)
{
    DIR *list = NULL;
    if (tdm_fault(TDM_FAULT_proc_list) == 0) list = opendir("/proc/self/fd");
    if (!list && tdm_fault(TDM_FAULT_proc_list) == 0) list = opendir("/dev/fd");
    if (list) {
        for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
            int fd = atoi(entry->d_name); /* 0 for "." and ".." */
            if ((unsigned)fd >= low && (unsigned)fd <= high && fd > 2 && fd != dirfd(list)) close(fd);
        }
        closedir(list);
        return;
    }
    long most = sysconf(_SC_OPEN_MAX);
    if (most > 0 && high >= (unsigned)most) high = (unsigned)most - 1;
    for (unsigned fd = low; fd <= high; fd++) close((int)fd);
}

struct range {
    uintptr_t start, end;
    char *rest; /* of its line in maps, from the offset on: what is mapped there */
};

/* Written by note_code while the program has one thread; checked is guarded by the lock. */
static struct code {
    char *text; /* owns what the ranges point into */
    struct range *ranges;
    size_t count;
    uint64_t unloads; /* when it was noted, or last found unchanged */
} noted;
static uintptr_t program_start, program_end; /* of the program's own code, which is never unloaded; constant after note_code */
static struct tdm_lock noted_lock;

/* "start-end perms offset dev inode path" */
static bool parse_line(char *line, struct range *range)
{
    char *at;
    range->start = (uintptr_t)strtoull(line, &at, 16);
    if (*at != '-') return false;
    range->end = (uintptr_t)strtoull(at + 1, &at, 16);
    if (strlen(at) < 6 || at[3] != 'x') return false;
    range->rest = at + 6;
    return true;
}

static struct code read_code(void)
{
    struct code code = {.text = tdm_proc_read_whole("/proc/self/maps"), .unloads = tdm_platform_unloads()};
    size_t lines = 1;
    for (char *at = code.text; at && (at = strchr(at, '\n')); at++) lines++;
    if (code.text) code.ranges = tdm_calloc(lines, sizeof *code.ranges);
    if (!code.ranges) return code;
    for (char *line = code.text, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        if (parse_line(line, &code.ranges[code.count])) code.count++;
    }
    return code;
}

static void free_code(struct code *code)
{
    free(code->ranges);
    free(code->text);
    *code = (struct code){0};
}

void tdm_proc_reset(void)
{
    noted = (struct code){0};
    program_start = program_end = 0;
    noted_lock = (struct tdm_lock){0};
}

/* Lines of maps ascend. */
static const struct range *find(const struct code *code, uintptr_t address)
{
    size_t low = 0, high = code->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address < code->ranges[middle].start)
            high = middle;
        else if (address >= code->ranges[middle].end)
            low = middle + 1;
        else
            return &code->ranges[middle];
    }
    return NULL;
}

void tdm_proc_note_code(void)
{
    free_code(&noted);
    noted = read_code();
    const struct range *program = find(&noted, tdm_platform_entry());
    program_start = program ? program->start : 0;
    program_end = program ? program->end : 0;
}

/* Something was unloaded since: what was noted counts only where the same file still lies at the same place. */
static void forget_unloaded(void)
{
    struct code now = read_code();
    for (size_t i = 0; now.ranges && i < noted.count; i++) {
        struct range *old = &noted.ranges[i];
        const struct range *same = find(&now, old->start);
        if (!same || same->start != old->start || strcmp(same->rest, old->rest) != 0) old->end = old->start;
    }
    noted.unloads = now.unloads;
    free_code(&now);
}

bool tdm_proc_had_code(uintptr_t address)
{
    if (!noted.ranges || (address >= program_start && address < program_end)) return true;
    uint64_t unloads = tdm_platform_unloads();
    tdm_lock(&noted_lock, TDM_RANK_REACTOR);
    if (unloads != noted.unloads) forget_unloaded();
    bool had = find(&noted, address) != NULL;
    tdm_unlock(&noted_lock, TDM_RANK_REACTOR);
    return had;
}
