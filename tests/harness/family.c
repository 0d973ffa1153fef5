/* family.c - finds the processes that descend from a test, and signals none but them. */
#include "harness.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "family.h"
#include "leftovers.h"

/* /proc/PID/stat: the name may hold anything, so it ends at the last bracket. */
static bool read_member(pid_t pid, struct member *member)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return false;
    text[length] = 0;
    const char *name = strchr(text, '('), *after = strrchr(text, ')');
    if (name == NULL || after == NULL) return false;
    long parent, group;
    *member = (struct member){.pid = pid};
    snprintf(member->name, sizeof member->name, "%.*s", (int)(after - name - 1), name + 1);
    int got = sscanf(after + 1, " %c %ld %ld %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &member->state,
                     &parent, &group, &member->born);
    member->parent = (pid_t)parent;
    member->group = (pid_t)group;
    return got == 4;
}

/* Every process of the machine; false in the last place where there is no room for more. */
static size_t read_all(struct member *all, size_t room)
{
    size_t count = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL) return 0;
    struct dirent *entry;
    while ((entry = readdir(proc)) != NULL && count < room)
        if (isdigit((unsigned char)entry->d_name[0]) && read_member((pid_t)atol(entry->d_name), &all[count])) count++;
    closedir(proc);
    return count;
}

static bool has(const struct family *family, pid_t pid)
{
    for (size_t i = 0; i < family->count; i++)
        if (family->members[i].pid == pid) return true;
    return false;
}

void family_look(struct family *family)
{
    enum { MOST = 16384 };
    struct member *all = malloc(MOST * sizeof *all);
    if (all == NULL) abort();
    size_t count = read_all(all, MOST);
    const pid_t self = getpid(), root = getenv(MARK) != NULL ? getppid() : self;
    bool found;
    family->count = 0;
    do {
        found = false;
        for (size_t i = 0; i < count; i++) {
            const struct member *one = &all[i];
            if (one->pid == self || has(family, one->pid) || family->count == count_of(family->members)) continue;
            if (one->parent != root && one->parent != self && !has(family, one->parent)) continue;
            family->members[family->count++] = *one;
            found = true;
        }
    } while (found);
    free(all);
}

bool member_lives(const struct member *member) { return member->state != 'Z' && member->state != 'X'; }

bool member_is_guard(const struct member *member) { return strcmp(member->name, KEEPER) == 0 || strcmp(member->name, ZYGOTE) == 0; }

bool member_is_still(const struct member *member, char *state)
{
    struct member now;
    if (!read_member(member->pid, &now) || now.born != member->born) return false;
    *state = now.state;
    return true;
}

static bool is_keeper(const struct member *member) { return member_lives(member) && strcmp(member->name, KEEPER) == 0; }

static bool is_zygote_of(const struct member *member, const struct member *keeper)
{
    return member_lives(member) && strcmp(member->name, ZYGOTE) == 0 && member->parent == keeper->pid &&
           member->group != member->pid;
}

bool family_guards(const struct family *family, const struct member **keeper, const struct member **zygote)
{
    size_t keepers = 0, zygotes = 0;
    *keeper = *zygote = NULL;
    for (size_t i = 0; i < family->count; i++)
        if (is_keeper(&family->members[i])) *keeper = &family->members[i], keepers++;
    for (size_t i = 0; i < family->count && keepers == 1; i++)
        if (is_zygote_of(&family->members[i], *keeper)) *zygote = &family->members[i], zygotes++;
    return zygotes == 1;
}

size_t family_workers(const struct family *family)
{
    size_t count = 0;
    for (size_t i = 0; i < family->count; i++)
        if (member_lives(&family->members[i]) && !member_is_guard(&family->members[i])) count++;
    return count;
}

/* A descriptor holds a process, its number does not: first the descriptor, then the look whom it holds. */
bool member_signal(const struct member *member, int signal)
{
#ifdef SYS_pidfd_open
    char state;
    int fd = (int)syscall(SYS_pidfd_open, member->pid, 0);
    if (fd < 0) return false;
    bool sent = member_is_still(member, &state) && syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
    close(fd);
    return sent;
#else
    (void)member, (void)signal;
    return false;
#endif
}
