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
    long parent;
    *member = (struct member){.pid = pid};
    snprintf(member->name, sizeof member->name, "%.*s", (int)(after - name - 1), name + 1);
    int got = sscanf(after + 1, " %c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &member->state,
                     &parent, &member->born);
    member->parent = (pid_t)parent;
    return got == 3;
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
    const pid_t root = getppid(), self = getpid();
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

/* The one that lives and has this name and this parent (0: any); count says how many there are. */
static const struct member *find(const struct family *family, const char *name, pid_t parent, size_t *count)
{
    const struct member *one = NULL;
    *count = 0;
    for (size_t i = 0; i < family->count; i++) {
        const struct member *member = &family->members[i];
        if (!member_lives(member) || strcmp(member->name, name) != 0 || (parent != 0 && member->parent != parent)) continue;
        one = member;
        ++*count;
    }
    return one;
}

bool family_guards(const struct family *family, const struct member **keeper, const struct member **zygote)
{
    size_t keepers, zygotes;
    *zygote = NULL;
    *keeper = find(family, KEEPER, 0, &keepers);
    if (keepers != 1) return false;
    *zygote = find(family, ZYGOTE, (*keeper)->pid, &zygotes);
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
