/* following.c - a new worker begins as the program is by then: folder, umask, limits, CPUs, environment; and never with other rights. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The limits that are looked at. */
enum { KINDS = 5 };

/* What a worker begins with, or the program has. */
struct surroundings {
    dev_t device; /* of the working directory */
    ino_t number;
    mode_t umask;
    struct rlimit limits[KINDS];
    uid_t uid;
    gid_t gid;
    char folder[1024];
};

static int look(struct surroundings *found)
{
    struct stat stat_here;
    memset(found, 0, sizeof *found);
    if (stat(".", &stat_here) != 0) return __LINE__;
    found->device = stat_here.st_dev;
    found->number = stat_here.st_ino;
    found->umask = umask(0);
    umask(found->umask);
    getrlimit(RLIMIT_NOFILE, &found->limits[0]);
    getrlimit(RLIMIT_FSIZE, &found->limits[1]);
    getrlimit(RLIMIT_STACK, &found->limits[2]);
    getrlimit(RLIMIT_DATA, &found->limits[3]);
    getrlimit(RLIMIT_CPU, &found->limits[4]);
    found->uid = geteuid();
    found->gid = getegid();
    if (getcwd(found->folder, sizeof found->folder) == NULL) snprintf(found->folder, sizeof found->folder, "%s", strerror(errno));
    return 0;
}

static int look_task(tandem_context *context, void *input, size_t size)
{
    struct surroundings found;
    (void)input, (void)size;
    int error = look(&found);
    return error != 0 ? error : tandem_reply(context, &found, sizeof found);
}

static void run(tandem_pool *pool, tandem_task *task)
{
    assert_int_equal(tandem_submit(pool, task), 0);
    expect_end(task, TANDEM_OK);
}

/* The first worker of a new pool has the program's surroundings of now, and so has one with a process of its own. */
static void expect_same_surroundings(void)
{
    struct surroundings own;
    assert_int_equal(look(&own), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    for (int i = 0; i < 2; i++) {
        tandem_task task = task_of(TANDEM_PROCESS, look_task, NULL, 0);
        if (i > 0) task.flags = TANDEM_DEDICATED;
        run(pool, &task);
        assert_int_equal(task.output_size, sizeof own);
        const struct surroundings *found = task.output;
        assert_string_equal(found->folder, own.folder);
        assert_true(found->device == own.device && found->number == own.number);
        assert_int_equal(found->umask, own.umask);
        for (int k = 0; k < KINDS; k++) {
            bool same = found->limits[k].rlim_cur == own.limits[k].rlim_cur && found->limits[k].rlim_max == own.limits[k].rlim_max;
            if (!same) fail_msg("limit %d is %llu", k, (unsigned long long)found->limits[k].rlim_cur);
        }
        assert_int_equal(found->uid, own.uid);
        assert_int_equal(found->gid, own.gid);
        tandem_task_clear(&task);
    }
    end_pool(pool);
}

/* ---- folder and umask ---- */

static void a_new_worker_begins_in_the_programs_folder(void)
{
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(tandem_init(), 0);
    expect_same_surroundings();
    assert_int_equal(chdir("/"), 0);
    expect_same_surroundings();
    assert_int_equal(chdir(getenv("TMPDIR")), 0);
    expect_same_surroundings();
    assert_int_equal(chdir(before), 0);
    expect_same_surroundings();
}

/* Its program stands in a folder that has no name any more: so shall it, or it says that it cannot. */
static void a_folder_that_is_gone_is_no_reason_to_hang(void)
{
    char before[4096], folder[4096 + 16];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(tandem_init(), 0);
    snprintf(folder, sizeof folder, "%s/gone", getenv("TMPDIR"));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(rmdir(folder), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, look_task, NULL, 0);
    assert_int_equal(tandem_submit(pool, &task), 0);
    int status = tandem_wait(&task);
    assert_true(status == TANDEM_OK || status == TANDEM_NOT_STARTED);
    if (status == TANDEM_OK) {
        struct surroundings own;
        assert_int_equal(look(&own), 0);
        const struct surroundings *found = task.output;
        assert_true(found->device == own.device && found->number == own.number);
    }
    tandem_task_clear(&task);
    end_pool(pool);
    assert_int_equal(chdir(before), 0);
}

static void a_new_worker_begins_with_the_programs_umask(void)
{
    skip_on_portable("POSIX cannot read it without setting it, in all threads");
    assert_int_equal(tandem_init(), 0);
    mode_t before = umask(0127);
    expect_same_surroundings();
    umask(0);
    expect_same_surroundings();
    umask(before);
    expect_same_surroundings();
}

/* ---- limits ---- */

static void set_soft(struct rlimit limits[KINDS], rlim_t files, rlim_t size, rlim_t stack, rlim_t data, rlim_t cpu)
{
    const rlim_t values[KINDS] = {files, size, stack, data, cpu};
    for (int i = 0; i < KINDS; i++)
        limits[i].rlim_cur = values[i] < limits[i].rlim_max ? values[i] : limits[i].rlim_max; /* as far as it may */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limits[0]), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limits[1]), 0);
    assert_int_equal(setrlimit(RLIMIT_STACK, &limits[2]), 0);
    assert_int_equal(setrlimit(RLIMIT_DATA, &limits[3]), 0);
    assert_int_equal(setrlimit(RLIMIT_CPU, &limits[4]), 0);
}

static void a_new_worker_begins_with_the_programs_limits(void)
{
    skip_under_valgrind("valgrind has limits of its own");
    struct surroundings own;
    assert_int_equal(look(&own), 0);
    set_soft(own.limits, 500, 1 << 28, 6 << 20, RLIM_INFINITY, 5000);
    assert_int_equal(tandem_init(), 0);
    expect_same_surroundings();
    set_soft(own.limits, 300, 1 << 27, 4 << 20, RLIM_INFINITY, 1000); /* lower than the zygote has */
    expect_same_surroundings();
    set_soft(own.limits, 600, 1 << 29, 8 << 20, RLIM_INFINITY, 10000); /* higher */
    expect_same_surroundings();
    own.limits[0].rlim_max = 700; /* for good */
    own.limits[4].rlim_max = 20000;
    set_soft(own.limits, 200, RLIM_INFINITY, 8 << 20, RLIM_INFINITY, RLIM_INFINITY);
    expect_same_surroundings();
}

/* ---- CPUs ---- */

#ifdef __linux__
static int cpus_task(tandem_context *context, void *input, size_t size)
{
    cpu_set_t cpus;
    (void)input, (void)size;
    CPU_ZERO(&cpus);
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return __LINE__;
    return tandem_reply(context, &cpus, sizeof cpus);
}

static void expect_cpus(const cpu_set_t *expected)
{
    assert_int_equal(sched_setaffinity(0, sizeof *expected, expected), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, cpus_task, NULL, 0);
    run(pool, &task);
    assert_true(CPU_EQUAL((cpu_set_t *)task.output, expected));
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_new_worker_begins_on_the_programs_cpus(void)
{
    skip_on_portable("POSIX has no call for it");
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_int_equal(tandem_init(), 0);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        expect_cpus(&one);
    }
    expect_cpus(&all);
}
#else
static void a_new_worker_begins_on_the_programs_cpus(void) { skip_on_portable("this system has no such call"); }
#endif

/* ---- environment ---- */

/* All of it, each string with its end. */
static int environment_task(tandem_context *context, void *input, size_t size)
{
    static char all[1 << 20];
    size_t length = 0;
    (void)input, (void)size;
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        size_t more = strlen(*at) + 1;
        if (more > sizeof all - length) return __LINE__;
        memcpy(all + length, *at, more);
        length += more;
    }
    return tandem_reply(context, all, length);
}

static void expect_same_environment(void)
{
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    tandem_task task = task_of(TANDEM_PROCESS, environment_task, NULL, 0);
    run(pool, &task);
    const char *found = task.output, *end = found + task.output_size;
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        if (found >= end || strcmp(found, *at) != 0) fail_msg("%s is %s", *at, found < end ? found : "missing");
        found += strlen(found) + 1;
    }
    assert_true(found == end);
    tandem_task_clear(&task);
    end_pool(pool);
}

static void a_new_worker_begins_with_the_programs_environment(void)
{
    assert_int_equal(tandem_init(), 0);
    expect_same_environment();
    setenv("TANDEM_FOLLOWED", "first", 1);
    expect_same_environment();
    setenv("TANDEM_FOLLOWED", "", 1);
    setenv("TANDEM_FOLLOWED_TOO", "a=b\nc", 1);
    expect_same_environment();
    unsetenv("TANDEM_FOLLOWED");
    expect_same_environment();
    for (int i = 0; i < 2000; i++) { /* much more than a pipe or a page holds */
        char name[32], value[200];
        snprintf(name, sizeof name, "TANDEM_MANY_%d", i);
        memset(value, 'a' + i % 26, sizeof value - 1);
        value[sizeof value - 1] = 0;
        setenv(name, value, 1);
    }
    expect_same_environment();
}

static void a_new_worker_may_begin_with_no_environment(void)
{
    static char *nothing[] = {NULL};
    char **usual = environ;
    assert_int_equal(tandem_init(), 0);
    environ = nothing;
    expect_same_environment();
    environ = NULL;
    expect_same_environment();
    environ = usual;
    expect_same_environment();
}

static atomic_int *starts; /* shared */

static int count_start(void **worker_data, void *argument)
{
    (void)worker_data, (void)argument;
    atomic_fetch_add(starts, 1);
    return 0;
}

/* It is that of the call that had the worker started: here one that keeps it ready, without any task. */
static void a_worker_kept_ready_has_the_environment_of_its_pools_beginning(void)
{
    starts = shared(sizeof *starts);
    assert_int_equal(tandem_init(), 0);
    setenv("TANDEM_FOLLOWED", "then", 1);
    tandem_options options = {.processes_ready = 1, .on_worker_start = count_start};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    assert_true(await(starts, 1));
    setenv("TANDEM_FOLLOWED", "now", 1);
    tandem_task task = task_of(TANDEM_PROCESS, environment_task, NULL, 0);
    run(pool, &task);
    bool found = false;
    for (const char *at = task.output; at < (char *)task.output + task.output_size; at += strlen(at) + 1)
        found = found || strcmp(at, "TANDEM_FOLLOWED=then") == 0;
    assert_true(found);
    tandem_task_clear(&task);
    end_pool(pool);
}

static int start_looking(void **worker_data, void *argument)
{
    (void)argument;
    const char *value = getenv("TANDEM_FOLLOWED");
    *worker_data = value != NULL ? strdup(value) : NULL;
    return 0;
}

static int data_task(tandem_context *context, void *input, size_t size)
{
    const char *data = tandem_worker_data(context);
    (void)input, (void)size;
    return data != NULL ? tandem_reply(context, data, strlen(data)) : __LINE__;
}

static void on_worker_start_finds_them_already(void)
{
    assert_int_equal(tandem_init(), 0);
    setenv("TANDEM_FOLLOWED", "early enough", 1);
    tandem_options options = {.on_worker_start = start_looking};
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, &options);
    tandem_task task = task_of(TANDEM_PROCESS, data_task, NULL, 0);
    run(pool, &task);
    assert_string_equal(task.output, "early enough");
    tandem_task_clear(&task);
    end_pool(pool);
}

/* ---- rights ---- */

enum { NOBODY = 65534 };

static void need_root(void)
{
    if (geteuid() == 0) return;
    printf("only root can give up rights\n");
    fflush(NULL);
    _exit(77);
}

static bool is_refused(tandem_pool *pool)
{
    char line[512];
    tandem_task task = task_of(TANDEM_PROCESS, nothing_task, NULL, 0);
    if (tandem_call(pool, &task) != TANDEM_NOT_STARTED || task.code != EPERM) return false;
    bool said = task.report->step != NULL && strcmp(task.report->step, "credentials") == 0;
    said = said && tandem_describe(&task, line, sizeof line) > 0 && strstr(line, "credentials") != NULL;
    return tandem_task_clear(&task) == 0 && said;
}

static bool is_run(tandem_pool *pool)
{
    tandem_task task = task_of(TANDEM_PROCESS, look_task, NULL, 0);
    if (tandem_call(pool, &task) != TANDEM_OK) return false;
    const struct surroundings *found = task.output;
    bool same = found->uid == geteuid() && found->gid == getegid();
    return tandem_task_clear(&task) == 0 && same;
}

static tandem_pool *pool_in_child(void)
{
    tandem_options options = {.threads = TANDEM_NONE, .processes = 1};
    tandem_pool *pool = NULL;
    return tandem_pool_create(&pool, &options) == 0 ? pool : NULL;
}

static int give_up_group(void) { return setgid(NOBODY); }

static int give_up_user(void) { return setuid(NOBODY); }

static int give_up_both(void) { return setgid(NOBODY) == 0 ? setuid(NOBODY) : -1; }

/* Begins, gives up rights, and asks for a worker; 0 if that is refused. */
static int begin_and_give_up(int (*give_up)(void))
{
    if (tandem_init() != 0) return __LINE__;
    tandem_pool *pool = pool_in_child();
    if (pool == NULL || give_up() != 0) return __LINE__;
    for (int i = 0; i < 3; i++)
        if (!is_refused(pool)) return __LINE__;
    if (tandem_pool_destroy(pool) != 0) return __LINE__;
    return tandem_quit() == 0 ? 0 : __LINE__;
}

/* As it should be done. */
static int give_up_and_begin(int (*give_up)(void))
{
    if (give_up() != 0 || tandem_init() != 0) return __LINE__;
    tandem_pool *pool = pool_in_child();
    if (pool == NULL || !is_run(pool)) return __LINE__;
    if (tandem_pool_destroy(pool) != 0) return __LINE__;
    return tandem_quit() == 0 ? 0 : __LINE__;
}

static void expect_in_child(int (*body)(int (*)(void)), int (*give_up)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int line = body(give_up);
        if (line != 0) dprintf(2, "line %d of the child\n", line);
        _exit(line == 0 ? 0 : 1);
    }
    wait_until(waitpid(pid, &status, WNOHANG) == pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void no_worker_is_started_with_rights_that_the_program_gave_up(void)
{
    need_root();
    expect_in_child(begin_and_give_up, give_up_group);
    expect_in_child(begin_and_give_up, give_up_user);
    expect_in_child(begin_and_give_up, give_up_both);
}

static void rights_given_up_before_the_beginning_are_no_trouble(void)
{
    need_root();
    expect_in_child(give_up_and_begin, give_up_both);
}

static void rights_put_aside_for_a_while_are_no_trouble_after_it(void)
{
    need_root();
    assert_int_equal(tandem_init(), 0);
    tandem_pool *pool = pool_of(TANDEM_PROCESS, 1, NULL);
    assert_int_equal(seteuid(NOBODY), 0);
    bool refused = is_refused(pool);
    assert_int_equal(seteuid(0), 0);
    assert_true(refused);
    assert_true(is_run(pool));
    end_pool(pool);
}

int main(int argc, char **argv)
{
    static const struct harness_test tests[] = {
        test(a_new_worker_begins_in_the_programs_folder),
        test(a_folder_that_is_gone_is_no_reason_to_hang),
        test(a_new_worker_begins_with_the_programs_umask),
        test(a_new_worker_begins_with_the_programs_limits),
        test(a_new_worker_begins_on_the_programs_cpus),
        test(a_new_worker_begins_with_the_programs_environment),
        test(a_new_worker_may_begin_with_no_environment),
        test(a_worker_kept_ready_has_the_environment_of_its_pools_beginning),
        test(on_worker_start_finds_them_already),
        test(no_worker_is_started_with_rights_that_the_program_gave_up),
        test(rights_given_up_before_the_beginning_are_no_trouble),
        test(rights_put_aside_for_a_while_are_no_trouble_after_it),
    };
    return harness_main(argc, argv, tests, count_of(tests));
}
