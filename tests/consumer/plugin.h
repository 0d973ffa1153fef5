/* plugin.h - what the plugins of plugin_host.c offer, under the name plugin_functions. */
#ifndef PLUGIN_H
#define PLUGIN_H

struct plugin {
    int (*start)(void);
    int (*open_pool)(void);
    int (*add_twice)(int number);
    int (*stop)(void);
};

extern const struct plugin plugin_functions;

#endif
