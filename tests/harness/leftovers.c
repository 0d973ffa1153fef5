/* leftovers.c - finds what a test left behind, by looking into /proc as an outsider would. */
#include "harness.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leftovers.h"

/* ---- names in a folder ---- */

struct names {
    size_t count;
    char **items; /* "name" or "name -> target" */
};

static void names_add(struct names *names, DIR *folder, const char *name)
{
    char target[4096];
    char text[4096 + 512];
    ssize_t length = readlinkat(dirfd(folder), name, target, sizeof target - 1);
    if (length >= 0) target[length] = 0;
    snprintf(text, sizeof text, length >= 0 ? "%s -> %s" : "%s", name, target);
    char **more = realloc(names->items, (names->count + 1) * sizeof *more);
    if (more == NULL) abort();
    names->items = more;
    names->items[names->count] = strdup(text);
    if (names->items[names->count++] == NULL) abort();
}

struct names *names_in(const char *folder)
{
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL) abort();
    DIR *open = opendir(folder);
    if (open == NULL) return names;
    char self[16];
    snprintf(self, sizeof self, "%d", dirfd(open));
    bool descriptors = strcmp(folder, "/proc/self/fd") == 0;
    struct dirent *entry;
    while ((entry = readdir(open)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (descriptors && strcmp(entry->d_name, self) == 0) continue;
        names_add(names, open, entry->d_name);
    }
    closedir(open);
    return names;
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) free(names->items[i]);
    free(names->items);
    free(names);
}

static bool names_have(const struct names *names, const char *item)
{
    for (size_t i = 0; names != NULL && i < names->count; i++)
        if (strcmp(names->items[i], item) == 0) return true;
    return false;
}

bool names_print(FILE *file, const char *folder, const struct names *now, const struct names *before)
{
    bool found = false;
    for (size_t i = 0; i < now->count; i++) {
        if (names_have(before, now->items[i])) continue;
        if (strncmp(now->items[i], "vgdb-", 5) == 0) continue; /* valgrind's own, of a process that was killed */
        found = true;
        if (file != NULL) fprintf(file, "  %s/%s\n", folder, now->items[i]);
    }
    return found;
}

void names_unlink(const char *folder, const struct names *names)
{
    char path[8192];
    for (size_t i = 0; i < names->count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names->items[i]);
        unlink(path);
    }
}

size_t entries_in(const char *folder)
{
    struct names *names = names_in(folder);
    size_t count = names->count;
    names_free(names);
    return count;
}

/* ---- processes ---- */

static bool read_file(char *text, size_t size, const char *format, long a, long b)
{
    char path[128];
    snprintf(path, sizeof path, format, a, b);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t length = 0;
    ssize_t got;
    while (length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0) length += (size_t)got;
    close(fd);
    text[length] = 0;
    memset(text + length, 0, size - length);
    return length > 0;
}

/* The environment is a row of strings, one after the other. */
static bool carries(pid_t pid, const char *mark)
{
    static char text[1 << 17];
    if (!read_file(text, sizeof text, "/proc/%ld/environ", (long)pid, 0)) return false;
    for (const char *at = text; *at != 0; at += strlen(at) + 1)
        if (strcmp(at, mark) == 0) return true;
    return false;
}

/* State and parent from /proc/PID/stat; the name before them may hold anything, so it is read from its end. */
static bool read_stat(pid_t pid, char *state, long *parent)
{
    char text[1024];
    if (!read_file(text, sizeof text, "/proc/%ld/stat", (long)pid, 0)) return false;
    const char *after = strrchr(text, ')');
    return after != NULL && sscanf(after + 1, " %c %ld", state, parent) == 2;
}

bool process_lives(pid_t pid)
{
    char state;
    long parent;
    if (kill(pid, 0) != 0 && errno == ESRCH) return false;
    return !read_stat(pid, &state, &parent) || (state != 'Z' && state != 'X');
}

bool thread_sleeps(pid_t tid)
{
    char state;
    long parent;
    return tid != 0 && read_stat(tid, &state, &parent) && state == 'S';
}

struct pids {
    size_t count;
    pid_t items[4096];
};

static void all_pids(struct pids *pids)
{
    pids->count = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL) return;
    struct dirent *entry;
    while ((entry = readdir(proc)) != NULL && pids->count < count_of(pids->items))
        if (isdigit((unsigned char)entry->d_name[0])) pids->items[pids->count++] = (pid_t)atol(entry->d_name);
    closedir(proc);
}

/* Processes that carry the mark, and the zombies whose parent does: a zombie has no environment any more. */
static void marked_pids(const char *mark, struct pids *marked)
{
    static struct pids all;
    all_pids(&all);
    marked->count = 0;
    for (size_t i = 0; i < all.count; i++)
        if (carries(all.items[i], mark)) marked->items[marked->count++] = all.items[i];
    size_t living = marked->count;
    for (size_t i = 0; i < all.count; i++) {
        char state;
        long parent;
        if (!read_stat(all.items[i], &state, &parent) || state != 'Z') continue;
        for (size_t k = 0; k < living && marked->count < count_of(marked->items); k++) {
            if (marked->items[k] != (pid_t)parent) continue;
            marked->items[marked->count++] = all.items[i];
            break;
        }
    }
}

static void own_mark(char *mark, size_t size)
{
    const char *value = getenv(MARK);
    snprintf(mark, size, MARK "=%s", value != NULL ? value : "");
}

size_t processes_of_ours(void)
{
    static struct pids marked;
    char mark[128];
    own_mark(mark, sizeof mark);
    if (getenv(MARK) == NULL) return 0;
    marked_pids(mark, &marked);
    return marked.count > 0 ? marked.count - 1 : 0;
}

/* One line for a thread: what it is called, whether it sleeps, and in which call of the kernel. */
static void print_thread(FILE *file, long pid, long thread)
{
    char stat[1024], where[256];
    char state = '?';
    read_file(stat, sizeof stat, "/proc/%ld/task/%ld/stat", pid, thread);
    const char *name = strchr(stat, '(');
    const char *after = strrchr(stat, ')');
    if (name == NULL || after == NULL) return;
    sscanf(after + 1, " %c", &state);
    if (!read_file(where, sizeof where, "/proc/%ld/task/%ld/wchan", pid, thread)) where[0] = 0;
    fprintf(file, "  process %ld thread %ld %.*s %c %s\n", pid, thread, (int)(after + 1 - name), name, state, where);
}

static void print_threads(FILE *file, long pid)
{
    char folder[64];
    snprintf(folder, sizeof folder, "/proc/%ld/task", pid);
    struct names *threads = names_in(folder);
    for (size_t i = 0; i < threads->count; i++) print_thread(file, pid, atol(threads->items[i]));
    names_free(threads);
}

void print_marked(FILE *file, const char *mark)
{
    static struct pids marked;
    marked_pids(mark, &marked);
    for (size_t i = 0; i < marked.count; i++)
        if (marked.items[i] != getpid()) print_threads(file, marked.items[i]);
}

size_t kill_marked(const char *mark)
{
    static struct pids marked;
    marked_pids(mark, &marked);
    for (size_t i = 0; i < marked.count; i++) kill(marked.items[i], SIGKILL);
    return marked.count;
}

/* ---- before and after ---- */

struct belongings {
    struct names *descriptors;
    size_t threads;
};

struct belongings *belongings_now(void)
{
    struct belongings *now = calloc(1, sizeof *now);
    if (now == NULL) abort();
    now->descriptors = names_in("/proc/self/fd");
    now->threads = entries_in("/proc/self/task");
    return now;
}

void belongings_free(struct belongings *belongings)
{
    names_free(belongings->descriptors);
    free(belongings);
}

/* A sanitizer starts a thread of its own with the program's first one, and keeps it. */
static size_t threads_allowed(const struct belongings *before) { return before->threads + (sanitized() ? 1 : 0); }

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* True if something is left, which is listed (file NULL: only looked for). */
static bool left_behind(FILE *file, const struct belongings *before)
{
    struct belongings *now = belongings_now();
    char mark[128];
    own_mark(mark, sizeof mark);
    bool more = names_print(file, "left: /proc/self/fd", now->descriptors, before->descriptors);
    bool fewer = names_print(file, "gone: /proc/self/fd", before->descriptors, now->descriptors);
    bool threads = now->threads > threads_allowed(before);
    bool children = has_children();
    bool processes = processes_of_ours() != 0;
    belongings_free(now);
    if (file != NULL && threads) print_threads(file, getpid());
    if (file != NULL && children) fprintf(file, "  left: a child, running or a zombie\n");
    if (file != NULL && processes) print_marked(file, mark);
    return more || fewer || threads || children || processes;
}

void assert_nothing_left(const struct belongings *before)
{
    const int64_t limit = 5000 * slowness();
    const int64_t begun = now_ms();
    while (left_behind(NULL, before)) {
        if (now_ms() - begun > limit) {
            fprintf(stderr, "left behind %lld ms after the test:\n", (long long)limit);
            left_behind(stderr, before);
            fail_msg("the test left something behind");
        }
        moment();
    }
}
