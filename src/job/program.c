/* program.c - the block that tells the zygote of an external program. */
#define _POSIX_C_SOURCE 200809L
#include "job/program.h"

#include "base/fault.h"
#include "base/fds.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

/* Where a program is looked for if its environment does not say. */
#define USUAL_PATH "/usr/local/bin:/usr/bin:/bin"

/* ---- its environment ---- */

static size_t name_length(const char *entry)
{
    const char *end = strchr(entry, '=');
    return end ? (size_t)(end - entry) : strlen(entry);
}

static bool same_name(const char *one, const char *other)
{
    size_t length = name_length(one);
    return length == name_length(other) && memcmp(one, other, length) == 0;
}

static bool is_named(const char *const *changes, const char *entry)
{
    for (; changes && *changes; changes++)
        if (same_name(*changes, entry)) return true;
    return false;
}

/* Walks through what the environment is to be: what was there and is not changed, then the changes; the last of a name counts. */
struct walk {
    const struct tdm_program_plan *plan;
    const char *at;           /* in the caller's */
    const char *const *given; /* in the command's own */
    const char *const *change;
};

static struct walk begin_walk(const struct tdm_program_plan *plan)
{
    return (struct walk){.plan = plan, .at = plan->environment, .given = plan->command->env, .change = plan->command->env_change};
}

static const char *next_before(struct walk *walk)
{
    if (walk->plan->command->env) return *walk->given ? *walk->given++ : NULL;
    if (!walk->at || walk->at >= walk->plan->environment + walk->plan->environment_size) return NULL;
    const char *entry = walk->at;
    walk->at += strlen(entry) + 1;
    return entry;
}

static const char *next_variable(struct walk *walk)
{
    const char *const *changes = walk->plan->command->env_change;
    for (const char *entry; (entry = next_before(walk)) != NULL;)
        if (!is_named(changes, entry)) return entry;
    while (walk->change && *walk->change) {
        const char *entry = *walk->change++;
        if (strchr(entry, '=') && !is_named(walk->change, entry)) return entry;
    }
    return NULL;
}

/* ---- its arguments ---- */

/* A shell line that begins like an option is none. */
static const char *argument(const tandem_command *command, size_t index)
{
    static const char *const shell[] = {"sh", "-c", "--"};
    if (command->argv) return index == 0 && command->argv0 ? command->argv0 : command->argv[index];
    bool looks_like_option = *command->shell == '-' || *command->shell == '+';
    size_t before = looks_like_option ? 3 : 2;
    if (index == 0 && command->argv0) return command->argv0;
    return index < before ? shell[index] : index == before ? command->shell : NULL;
}

/* ---- the block ---- */

/* First with memory NULL, to see how large it will be. */
struct block {
    char *memory;
    size_t used;
};

static uint64_t put(struct block *block, const void *bytes, size_t size)
{
    uint64_t place = block->used;
    if (block->memory && bytes) memcpy(block->memory + place, bytes, size);
    block->used += size;
    return place;
}

static uint64_t put_string(struct block *block, const char *text) { return put(block, text, strlen(text) + 1); }

static void put_place(struct block *block, uint64_t array, size_t index, uint64_t place)
{
    uintptr_t word = (uintptr_t)place;
    if (block->memory) memcpy(block->memory + array + index * sizeof word, &word, sizeof word);
}

static void put_arguments(struct block *block, struct tdm_program *program, const struct tdm_program_plan *plan)
{
    for (size_t i = 0; i < program->argument_count; i++)
        put_place(block, program->arguments, i + 1, put_string(block, argument(plan->command, i)));
    struct walk walk = begin_walk(plan);
    const char *path = NULL;
    for (size_t i = 0; i < program->variable_count; i++) {
        const char *entry = next_variable(&walk);
        if (strncmp(entry, "PATH=", 5) == 0) path = entry + 5;
        put_place(block, program->variables, i, put_string(block, entry));
    }
    const char *file = plan->command->argv ? plan->command->argv[0] : "/bin/sh";
    program->file = put_string(block, file);
    if (strchr(file, '/')) return;
    if (!path) path = USUAL_PATH;
    program->path = put_string(block, path);
    program->candidate = put(block, NULL, strlen(path) + strlen(file) + 3); /* "./file" of an empty folder, too */
}

static void put_all(struct block *block, struct tdm_program *program, const struct tdm_program_plan *plan)
{
    program->arguments = put(block, NULL, (size_t)(program->argument_count + 2) * sizeof(uintptr_t));
    program->variables = put(block, NULL, (size_t)(program->variable_count + 1) * sizeof(uintptr_t));
    put_arguments(block, program, plan);
    if (plan->command->cwd) program->cwd = put_string(block, plan->command->cwd);
}

static void fill_in(struct tdm_program *program, const struct tdm_program_plan *plan)
{
    const tandem_command *command = plan->command;
    struct walk walk = begin_walk(plan);
    while (argument(command, program->argument_count)) program->argument_count++;
    while (next_variable(&walk)) program->variable_count++;
    program->detached = (command->flags & TANDEM_COMMAND_DETACHED) != 0;
    program->err_to_out = (command->flags & TANDEM_COMMAND_ERR_TO_OUT) != 0;
    program->has_uid = command->uid != NULL;
    program->has_gid = command->gid != NULL;
    program->uid = command->uid ? (uint32_t)*command->uid : 0;
    program->gid = command->gid ? (uint32_t)*command->gid : 0;
    program->memory = plan->limits->memory;
    program->cpu_ms = plan->limits->cpu_ms;
    program->file_size = plan->limits->file_size;
    program->open_files = plan->limits->open_files;
    tdm_surroundings_note(&program->around);
}

/* What it takes of memory is taken now: nobody could be told later that there is none. */
static int make_block(struct tdm_program_block *block, size_t size)
{
    tdm_program_drop(block);
    int fd = tdm_fds_memory(size);
    if (fd < 0) return fd;
    int error = tdm_platform_commit(fd, 0, size), fault = tdm_fault(TDM_FAULT_map);
    if (error == 0 && fault != 0) error = -fault;
    void *memory = error != 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        if (error == 0) error = -errno;
        tdm_fds_close(&fd);
        return error;
    }
    *block = (struct tdm_program_block){.program = memory, .size = size, .fd = fd};
    return 0;
}

/* A usual environment fits. */
#define LEAST_SIZE ((size_t)16 << 10)

int tdm_program_make(const struct tdm_program_plan *plan, struct tdm_program_block *block)
{
    struct tdm_program header = {0};
    fill_in(&header, plan);
    struct block bytes = {.used = sizeof header};
    put_all(&bytes, &header, plan);
    int error = 0;
    if (bytes.used > block->size) error = make_block(block, bytes.used < LEAST_SIZE ? LEAST_SIZE : bytes.used);
    if (error != 0) return error;
    bytes = (struct block){.memory = (char *)block->program, .used = sizeof header};
    memset(bytes.memory + header.arguments, 0, (size_t)(header.argument_count + 2) * sizeof(uintptr_t));
    memset(bytes.memory + header.variables, 0, (size_t)(header.variable_count + 1) * sizeof(uintptr_t));
    put_all(&bytes, &header, plan);
    memcpy(bytes.memory, &header, sizeof header);
    return 0;
}

void tdm_program_drop(struct tdm_program_block *block)
{
    if (block->program) munmap(block->program, block->size);
    tdm_fds_close(&block->fd);
    *block = TDM_NO_BLOCK;
}
