/* exec_child.c - the zygote's start of an external program.
 *
 * The new process shares the zygote's memory until it has become the program, so a start costs the same however large that is; it writes nowhere
 * but to its stack and to the block. */
#define _DEFAULT_SOURCE /* setgroups, which POSIX does not have, and every system has */
#include "child/exec_child.h"

#include "base/fault.h"
#include "child/after_fork.h"
#include "child/roll.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct start {
    struct tdm_program *program;
    const int *fds;
};

static char *string_at(const struct tdm_program *program, uint64_t place) { return (char *)(uintptr_t)program + place; }

static char **array_at(const struct tdm_program *program, uint64_t place) { return (char **)(void *)string_at(program, place); }

/* ---- in the new process ---- */

/* The host may have taken it back; then nothing is to be said. */
static _Noreturn void fail(struct tdm_program *program, enum tdm_program_step step, int error)
{
    uint32_t begun = TDM_PROGRAM_BEGUN, waits = TDM_PROGRAM_WAITS;
    program->error = error;
    program->step = (uint32_t)step;
    if (!cas_seq(&program->state, &begun, TDM_PROGRAM_FAILED))
        cas_seq(&program->state, &waits, TDM_PROGRAM_FAILED); /* [program-state] */
    _exit(127);
}

/* All three are above 2, for the zygote has its own there. */
static void place_stdio(struct tdm_program *program, const int *fds)
{
    int null = -1;
    for (int i = 0; i < 3; i++) {
        int fd = i == 2 && program->err_to_out ? 1 : fds[TDM_PROGRAM_IN + i];
        if (fd < 0 && null < 0) null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0) fd = null;
        if (fd < 0 || dup2(fd, i) < 0) fail(program, TDM_STEP_DESCRIPTORS, errno);
    }
}

static void enter_directory(struct tdm_program *program, int directory)
{
    if (directory >= 0 && fchdir(directory) != 0) fail(program, TDM_STEP_CHDIR, errno);
    if (program->cwd != 0 && chdir(string_at(program, program->cwd)) != 0) fail(program, TDM_STEP_CHDIR, errno);
}

static void become_user(struct tdm_program *program)
{
    if ((program->has_uid || program->has_gid) && setgroups(0, NULL) != 0) fail(program, TDM_STEP_CREDENTIALS, errno);
    if (program->has_gid && setgid((gid_t)program->gid) != 0) fail(program, TDM_STEP_CREDENTIALS, errno);
    if (program->has_uid && setuid((uid_t)program->uid) != 0) fail(program, TDM_STEP_CREDENTIALS, errno);
}

static void limit(int resource, uint64_t most, uint64_t beyond)
{
    struct rlimit now;
    if (most == 0 || getrlimit(resource, &now) != 0) return;
    rlim_t soft = (rlim_t)most, hard = (rlim_t)(most + beyond);
    if (now.rlim_max != RLIM_INFINITY && hard > now.rlim_max) hard = now.rlim_max;
    if (soft > hard) soft = hard;
    if (now.rlim_cur != RLIM_INFINITY && soft > now.rlim_cur) soft = now.rlim_cur;
    now = (struct rlimit){.rlim_cur = soft, .rlim_max = hard};
    setrlimit(resource, &now);
}

/* A second after it was told so by SIGXCPU, a program that handles that is killed. */
static void set_limits(const struct tdm_program *program)
{
#if defined(RLIMIT_AS)
    limit(RLIMIT_AS, program->memory, 0);
#endif
    limit(RLIMIT_FSIZE, program->file_size, 0);
    limit(RLIMIT_NOFILE, program->open_files, 0);
    limit(RLIMIT_CPU, program->cpu_ms / 1000 + (program->cpu_ms % 1000 != 0), 1);
}

/* A file that is executable and of no format known is a script for the shell, as the system's own search has it. */
static void try_one(const struct tdm_program *program, char *file)
{
    char **arguments = array_at(program, program->arguments), **variables = array_at(program, program->variables);
    execve(file, arguments + 1, variables);
    if (errno != ENOEXEC) return;
    char *first = arguments[1];
    static char shell[] = "/bin/sh";
    arguments[0] = shell;
    arguments[1] = file;
    execve(shell, arguments, variables);
    arguments[1] = first;
}

/* One that is there and may not be run is told of only if no other folder has one that may. */
static _Noreturn void exec(struct tdm_program *program)
{
    char *file = string_at(program, program->file), *candidate = string_at(program, program->candidate);
    int denied = 0;
    if (program->path == 0) {
        try_one(program, file);
        fail(program, TDM_STEP_EXEC, errno);
    }
    if (*file == 0) fail(program, TDM_STEP_EXEC, ENOENT);
    for (const char *at = string_at(program, program->path), *end; at; at = *end ? end + 1 : NULL) {
        size_t length = strcspn(at, ":");
        end = at + length;
        memcpy(candidate, at, length);
        if (length == 0) candidate[length++] = '.';
        candidate[length] = '/';
        strcpy(candidate + length + 1, file);
        try_one(program, candidate);
        if (errno == EACCES) denied = EACCES;
        if (errno != EACCES && errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT &&
            errno != ELOOP && errno != ENAMETOOLONG)
            fail(program, TDM_STEP_EXEC, errno);
    }
    fail(program, TDM_STEP_EXEC, denied != 0 ? denied : ENOENT);
}

static int begin(void *argument)
{
    const struct start *start = argument;
    struct tdm_program *program = start->program;
    uint32_t waits = TDM_PROGRAM_WAITS;
    sigset_t none;
    program->pid = getpid();
    if (!program->detached) tdm_roll_add_spared(getpid());
    if (program->detached)
        setsid();
    else
        setpgid(0, 0);
    tdm_after_fork_ignore_no_more();
    place_stdio(program, start->fds);
    enter_directory(program, start->fds[TDM_PROGRAM_CWD]);
    tdm_surroundings_adopt(&program->around, true);
    become_user(program);
    set_limits(program);
    if (!cas_seq(&program->state, &waits, TDM_PROGRAM_BEGUN)) _exit(127); /* [program-state] */
    tdm_fault(TDM_FAULT_program_begun);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    exec(program);
}

/* ---- in the zygote ---- */

static void make_pointers(struct tdm_program *program, uint64_t place, uint64_t count)
{
    char **array = array_at(program, place);
    for (uint64_t i = 0; i < count; i++)
        if (array[i]) array[i] = string_at(program, (uint64_t)(uintptr_t)array[i]);
}

static struct tdm_program *map(int fd, size_t *size)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) return NULL;
    *size = (size_t)status.st_size;
    void *memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return NULL;
    struct tdm_program *program = memory;
    make_pointers(program, program->arguments, program->argument_count + 2);
    make_pointers(program, program->variables, program->variable_count + 1);
    return program;
}

/* The other end is closed by exec, or by an end. */
static void await_exec(int fd)
{
    char nothing;
    while (read(fd, &nothing, 1) < 0 && errno == EINTR) continue;
}

static pid_t start(const struct start *start)
{
    int wait[2];
    sigset_t all, before;
    int error = tdm_platform_pipe(wait);
    if (error != 0) return error;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before); /* a handler of the zygote's must not run in the new process */
    pid_t pid = tdm_platform_spawn(begin, (void *)(uintptr_t)start);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(wait[1]);
    tdm_fault(TDM_FAULT_guard_spawned_program);
    if (pid > 0) await_exec(wait[0]);
    close(wait[0]);
    return pid;
}

pid_t tdm_exec_child(const int fds[TDM_PROGRAM_FDS])
{
    size_t size;
    struct tdm_program *program = map(fds[TDM_PROGRAM_BLOCK], &size);
    if (!program) return -ENOMEM;
    struct start it = {.program = program, .fds = fds};
    pid_t pid = start(&it);
    if (pid > 0 && load_seq(&program->state) == TDM_PROGRAM_FAILED) { /* [program-state] */
        waitpid(pid, NULL, 0);
        tdm_roll_remove(pid);
        pid = -program->error;
    }
    munmap(program, size);
    return pid;
}
