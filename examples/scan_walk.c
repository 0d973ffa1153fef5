/* scan_walk.c - the walk over files and folders, which may meet anything and stops at nothing. */
#define _XOPEN_SOURCE 700
#include "scan_walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A folder on the way down to where the walk is. */
struct folder {
    const struct folder *above;
    dev_t device;
    ino_t inode;
};

static void visit(struct scan_list *list, char *path, const struct folder *above);

static char *join(const char *folder, const char *name)
{
    size_t folder_length = strlen(folder), name_length = strlen(name);
    while (folder_length > 1 && folder[folder_length - 1] == '/') folder_length--;
    size_t slash = folder[folder_length - 1] != '/';
    char *path = scan_need(malloc(folder_length + slash + name_length + 1));
    memcpy(path, folder, folder_length);
    if (slash) path[folder_length] = '/';
    memcpy(path + folder_length + slash, name, name_length + 1);
    return path;
}

static void skip(struct scan_list *list, char *path, int error, const char *why_not)
{
    struct scan_row *row = scan_list_add(list, path);
    row->code = error;
    row->why_not = why_not;
}

static bool is_in_itself(const struct stat *about, const struct folder *above)
{
    for (; above != NULL; above = above->above) {
        if (above->device == about->st_dev && above->inode == about->st_ino) return true;
    }
    return false;
}

static bool is_left_out(const char *path)
{
    if (strrchr(path, '/')[1] == '.') return true;
    char *cache = join(path, "CMakeCache.txt");
    struct stat about;
    bool found = stat(cache, &about) == 0;
    free(cache);
    return found;
}

static int no_dots(const struct dirent *entry) { return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0; }

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* All names are read before the first is followed, so that the walk has one folder open at a time, however deep. */
static void visit_folder(struct scan_list *list, char *path, const struct folder *here)
{
    struct dirent **entries;
    int count = scandir(path, &entries, no_dots, by_name);
    if (count < 0) {
        skip(list, path, errno, NULL);
        return;
    }
    for (int i = 0; i < count; i++) {
        visit(list, join(path, entries[i]->d_name), here);
        free(entries[i]);
    }
    free(entries);
    free(path);
}

static const char *kind_of(mode_t mode)
{
    if (S_ISFIFO(mode)) return "a fifo, not a file";
    if (S_ISSOCK(mode)) return "a socket, not a file";
    return "a device, not a file";
}

/* Takes over path. */
static void visit(struct scan_list *list, char *path, const struct folder *above)
{
    struct stat about;
    if (stat(path, &about) != 0) {
        int error = errno;
        bool dangling = error == ENOENT && lstat(path, &about) == 0;
        skip(list, path, error, dangling ? "a symbolic link to nothing" : NULL);
    } else if (S_ISREG(about.st_mode)) {
        scan_list_add(list, path)->run = scan_file;
    } else if (!S_ISDIR(about.st_mode)) {
        skip(list, path, 0, kind_of(about.st_mode));
    } else if (is_in_itself(&about, above)) {
        skip(list, path, ELOOP, "a folder loop: it leads back to one it lies in");
    } else if (above != NULL && is_left_out(path)) {
        list->left_out++;
        free(path);
    } else {
        visit_folder(list, path, &(struct folder){above, about.st_dev, about.st_ino});
    }
}

void scan_walk(struct scan_list *list, const char *path) { visit(list, scan_need(strdup(path)), NULL); }
