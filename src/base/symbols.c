/* symbols.c - what code is called. */
#define _POSIX_C_SOURCE 200809L
#include "base/symbols.h"

#include "base/elf_names.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/platform.h"
#include "base/proc.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS 64

/* What is known of an address; an empty text is not known. */
struct place {
    uintptr_t start; /* of the function */
    char function[192];
    char module[64];
};

/* A file that was read in this batch, or could not be. */
struct module {
    struct module *next;
    struct tdm_elf_names *names; /* NULL: it has none */
    char path[];
};

static struct {
    struct tdm_lock lock; /* guards all of it */
    unsigned batches;
    char *maps; /* until the batch ends; NULL: not read yet */
    struct module *modules;
    struct {
        uintptr_t address;
        struct place place; /* no function: an unused entry */
    } answers[ANSWERS];
    unsigned next_answer;
    uint64_t unloads; /* when the answers were true */
} symbols;

/* ---- a line of maps: "start-end perms offset dev inode path" ---- */

struct mapping {
    uintptr_t start, end;
    uint64_t offset;
    const char *path; /* not ended by a 0 */
    size_t path_length;
};

static const char *after_spaces(const char *at)
{
    while (*at == ' ') at++;
    return at;
}

static const char *after_word(const char *at)
{
    at = after_spaces(at);
    while (*at != ' ' && *at != '\n' && *at) at++;
    return at;
}

static bool parse_line(const char *line, struct mapping *mapping)
{
    char *at;
    mapping->start = (uintptr_t)strtoull(line, &at, 16);
    if (*at != '-') return false;
    mapping->end = (uintptr_t)strtoull(at + 1, &at, 16);
    mapping->offset = strtoull(after_word(at), &at, 16);
    mapping->path = after_spaces(after_word(after_word(at)));
    mapping->path_length = strcspn(mapping->path, "\n");
    return true;
}

static bool find_mapping(const char *maps, uintptr_t address, struct mapping *mapping)
{
    for (const char *line = maps; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (parse_line(line, mapping) && address >= mapping->start && address < mapping->end) return true;
    return false;
}

/* ---- under the lock ---- */

/* NULL without memory.  A file that is no longer there says so in its name, and is never found under it. */
static struct module *module_of(const struct mapping *mapping)
{
    struct module *module;
    for (module = symbols.modules; module; module = module->next)
        if (strncmp(module->path, mapping->path, mapping->path_length) == 0 && !module->path[mapping->path_length]) return module;
    module = tdm_malloc(sizeof *module + mapping->path_length + 1);
    if (!module) return NULL;
    memcpy(module->path, mapping->path, mapping->path_length);
    module->path[mapping->path_length] = 0;
    module->names = module->path[0] == '/' ? tdm_elf_names_read(module->path) : NULL;
    module->next = symbols.modules;
    symbols.modules = module;
    return module;
}

static void forget_files(void)
{
    while (symbols.modules) {
        struct module *module = symbols.modules;
        symbols.modules = module->next;
        tdm_elf_names_free(module->names);
        free(module);
    }
    free(symbols.maps);
    symbols.maps = NULL;
}

static void copy(char *to, size_t size, const char *from) { snprintf(to, size, "%s", from); }

static void look_up(uintptr_t address, struct place *place)
{
    struct mapping mapping;
    if (!symbols.maps) symbols.maps = tdm_proc_read_whole("/proc/self/maps");
    if (!find_mapping(symbols.maps, address, &mapping)) return;
    struct module *module = module_of(&mapping);
    if (!module) return;
    const char *slash = strrchr(module->path, '/');
    copy(place->module, sizeof place->module, slash ? slash + 1 : module->path);
    uint64_t distance;
    const char *name = tdm_elf_names_find(module->names, mapping.offset + (address - mapping.start), &distance);
    if (!name) return;
    copy(place->function, sizeof place->function, name);
    place->start = address - (uintptr_t)distance;
}

static bool is_remembered(uintptr_t address, struct place *place)
{
    for (unsigned i = 0; i < ANSWERS; i++) {
        if (symbols.answers[i].address != address || !symbols.answers[i].place.function[0]) continue;
        *place = symbols.answers[i].place;
        return true;
    }
    return false;
}

/* What was not found is not remembered: it may be loaded later. */
static void remember(uintptr_t address, const struct place *place)
{
    unsigned i = symbols.next_answer++ % ANSWERS;
    symbols.answers[i].address = address;
    symbols.answers[i].place = *place;
}

static void forget_unloaded(uint64_t unloads)
{
    if (unloads == symbols.unloads) return;
    for (unsigned i = 0; i < ANSWERS; i++) symbols.answers[i].place.function[0] = 0;
    symbols.unloads = unloads;
}

/* ---- from outside ---- */

struct visit {
    int saved_errno, cancel_state;
};

static struct visit enter(void)
{
    struct visit visit = {.saved_errno = errno};
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &visit.cancel_state);
    tdm_lock(&symbols.lock, TDM_RANK_SYMBOLS);
    return visit;
}

static void leave(const struct visit *visit)
{
    int unused;
    tdm_unlock(&symbols.lock, TDM_RANK_SYMBOLS);
    pthread_setcancelstate(visit->cancel_state, &unused);
    errno = visit->saved_errno;
}

/* The number of unloads is asked for before, for that takes the loader's lock: a library's constructor that comes here holds it. */
static struct place find(uintptr_t address)
{
    struct place place = {0};
    uint64_t unloads = tdm_platform_unloads();
    struct visit visit = enter();
    forget_unloaded(unloads);
    if (!is_remembered(address, &place)) {
        look_up(address, &place);
        if (place.function[0]) remember(address, &place);
    }
    if (symbols.batches == 0) forget_files();
    leave(&visit);
    return place;
}

size_t tdm_symbols_describe(uintptr_t address, bool is_return_address, char *text, size_t size)
{
    struct place place = find(is_return_address && address > 0 ? address - 1 : address);
    int length;
    if (place.function[0])
        length = snprintf(text, size, "%s+0x%" PRIxPTR " (%s)", place.function, address - place.start, place.module);
    else if (place.module[0])
        length = snprintf(text, size, "0x%" PRIxPTR " (%s)", address, place.module);
    else
        length = snprintf(text, size, "0x%" PRIxPTR, address);
    return length > 0 ? (size_t)length : 0;
}

bool tdm_symbols_function(uintptr_t address, char *text, size_t size)
{
    struct place place = find(address);
    if (size > 0) copy(text, size, place.function);
    return place.function[0] != 0;
}

/* A new batch sees what is mapped now, even if another one is still under way. */
void tdm_symbols_begin(void)
{
    struct visit visit = enter();
    symbols.batches++;
    forget_files();
    leave(&visit);
}

void tdm_symbols_end(void)
{
    struct visit visit = enter();
    if (--symbols.batches == 0) forget_files();
    leave(&visit);
}

void tdm_symbols_reset(void) { memset(&symbols, 0, sizeof symbols); }
