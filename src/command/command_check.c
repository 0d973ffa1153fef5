/* command_check.c - is it a command that can be run at all?  What is wrong is told before anything happens. */
#define _POSIX_C_SOURCE 200809L
#include "command/command_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#define KNOWN_FLAGS ((uint32_t)(TANDEM_COMMAND_DETACHED | TANDEM_COMMAND_ERR_TO_OUT))

#define LAST_SIGNAL 64

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

static bool is_detached(const tandem_command *command) { return command->flags & TANDEM_COMMAND_DETACHED; }

static bool is_good_input(const tandem_task *task)
{
    const tandem_command *command = task->command;
    switch (command->in) {
    case TANDEM_STDIO_DEFAULT: return task->input_size == 0 || !is_detached(command);
    case TANDEM_STDIO_INHERIT:
    case TANDEM_STDIO_NULL: return task->input_size == 0;
    case TANDEM_STDIO_FD: return task->input_size == 0 && is_open(command->in_fd);
    default: return false;
    }
}

static bool is_good_output(const tandem_command *command, int kind, int fd)
{
    switch (kind) {
    case TANDEM_STDIO_DEFAULT:
    case TANDEM_STDIO_INHERIT:
    case TANDEM_STDIO_NULL: return true;
    case TANDEM_STDIO_CAPTURE: return !is_detached(command);
    case TANDEM_STDIO_FD: return is_open(fd);
    case TANDEM_STDIO_STREAM: return command->on_output && !is_detached(command);
    default: return false;
    }
}

static bool are_good_outputs(const tandem_command *command)
{
    if (!is_good_output(command, command->out, command->out_fd)) return false;
    return command->flags & TANDEM_COMMAND_ERR_TO_OUT || is_good_output(command, command->err, command->err_fd);
}

/* A change may do without the sign, and removes then. */
static bool are_good_entries(const char *const *entries, bool may_remove)
{
    for (; entries && *entries; entries++)
        if (**entries == '=' || **entries == 0 || (!may_remove && !strchr(*entries, '='))) return false;
    return true;
}

static bool is_good_program(const tandem_command *command)
{
    if (!command->argv == !command->shell) return false;
    return !command->argv || command->argv[0];
}

static bool are_good_values(const tandem_command *command)
{
    uint64_t reserved = command->flags & ~KNOWN_FLAGS;
    for (size_t i = 0; i < sizeof command->reserved / sizeof *command->reserved; i++) reserved |= command->reserved[i];
    if (reserved != 0 || command->stop_signal < 0 || command->stop_signal > LAST_SIGNAL) return false;
    return command->overflow >= TANDEM_OVERFLOW_KILL && command->overflow <= TANDEM_OVERFLOW_SPILL;
}

int tdm_command_check(const tandem_task *task)
{
    const tandem_command *command = task->command;
    bool good = is_good_program(command) && are_good_values(command) && are_good_entries(command->env, false) &&
                are_good_entries(command->env_change, true) && is_good_input(task) && are_good_outputs(command);
    return good ? 0 : -EINVAL;
}

int tdm_command_check_stage(const tandem_task *task, size_t stage, size_t count)
{
    const tandem_command *command = task->command;
    if (is_detached(command)) return -EINVAL;
    if (stage > 0 && (command->in != TANDEM_STDIO_DEFAULT || task->input_size > 0)) return -EINVAL;
    return stage + 1 < count && command->out != TANDEM_STDIO_DEFAULT ? -EINVAL : 0;
}
