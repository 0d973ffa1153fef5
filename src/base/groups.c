/* groups.c - see groups.h. */
#define _POSIX_C_SOURCE 200809L
#include "base/groups.h"

#include "base/proc.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which group ---- */

/* Of a line "5:cpu,cpuacct:/path", or "0::/path" for version 2, which has all controllers in one tree. */
struct membership {
    const char *controllers, *path;
    int controllers_length, path_length;
};

static bool parse(const char *line, struct membership *found)
{
    size_t length = strcspn(line, "\n");
    const char *first = memchr(line, ':', length);
    const char *second = first ? memchr(first + 1, ':', length - (size_t)(first + 1 - line)) : NULL;
    if (!second) return false;
    *found = (struct membership){first + 1, second + 1, (int)(second - first - 1), (int)(line + length - second - 1)};
    return true;
}

static bool lists(const struct membership *group, const char *controller)
{
    size_t length = strlen(controller);
    const char *at = group->controllers, *end = at + group->controllers_length;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (!comma) comma = end;
        if ((size_t)(comma - at) == length && memcmp(at, controller, length) == 0) return true;
        at = comma + 1;
    }
    return false;
}

/* ---- and all that it lies in ---- */

/* In a container the path may be that in the system around it, and not be there; what is above it is. */
static void look_upwards(int version, const char *root, const char *mount, const struct membership *group, tdm_groups_look *look,
                         void *to)
{
    char folder[PATH_MAX];
    int top = snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s", root, mount);
    int length = snprintf(folder, sizeof folder, "%s/sys/fs/cgroup%s%.*s", root, mount, group->path_length, group->path);
    if (top < 0 || length < 0 || length >= (int)sizeof folder) return;
    for (;;) {
        look(version, folder, to);
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= (size_t)top || !slash || slash - folder < top) return;
        *slash = 0;
    }
}

void tdm_groups_each(const char *root, const char *controller, tdm_groups_look *look, void *to)
{
    char path[PATH_MAX], mount[64];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path) return;
    snprintf(mount, sizeof mount, "/%s", controller);
    char *groups = tdm_proc_read_whole(path);
    struct membership group;
    for (const char *line = groups; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (!parse(line, &group)) continue;
        if (group.controllers_length == 0)
            look_upwards(2, root, "", &group, look, to);
        else if (lists(&group, controller))
            look_upwards(1, root, mount, &group, look, to);
    }
    free(groups);
}

/* "max", -1, and whatever else is no number, is no limit. */
uint64_t tdm_groups_number(const char *folder, const char *name, uint64_t missing)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return missing;
    char *text = tdm_proc_read_whole(path);
    uint64_t number = text && *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : missing;
    free(text);
    return number;
}
