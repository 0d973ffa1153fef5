/* plugin_host.c - loads two plugins, each with its own static copy of tandem, and uses both at once: plugin_host A.so B.so */
#include "plugin.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>

enum { PLUGINS = 2, ROUNDS = 100 };

static void *libraries[PLUGINS];
static const struct plugin *plugins[PLUGINS];
static const int addends[PLUGINS] = {1, 1000};

/* RTLD_GLOBAL is the worst case: whatever one copy shows, the other would be bound to. */
static int load(int i, const char *file)
{
    libraries[i] = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
    if (libraries[i] != NULL) plugins[i] = dlsym(libraries[i], "plugin_functions");
    if (plugins[i] == NULL) fprintf(stderr, "%s\n", dlerror());
    return plugins[i] == NULL;
}

static int sums_are_wrong(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PLUGINS; i++) {
            int sum = plugins[i]->add_twice(round);
            if (sum == round + 2 * addends[i]) continue;
            fprintf(stderr, "plugin %d, round %d: %d\n", i, round, sum);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int bad = argc != 1 + PLUGINS;
    for (int i = 0; i < PLUGINS && !bad; i++) bad = load(i, argv[1 + i]);
    /* Both start before either has a pool: a program with threads is not forked. */
    for (int i = 0; i < PLUGINS && !bad; i++) bad = plugins[i]->start() != 0;
    for (int i = 0; i < PLUGINS && !bad; i++) bad = plugins[i]->open_pool() != 0;
    bad = bad || sums_are_wrong();
    for (int i = 0; i < PLUGINS && !bad; i++) bad = plugins[i]->stop() != 0 || dlclose(libraries[i]) != 0;
    if (bad) return 1;
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) {
        fprintf(stderr, "a process was left behind\n");
        return 1;
    }
    puts("two plugins work side by side");
    return 0;
}
