/* chaos.c - a soak: mixed tasks in both lanes while workers and guards are killed and stopped and descriptors run short.
 *
 *   chaos [--seconds N] [--seed N] [--threads N] [--processes N]
 *
 * Every task must end once, in a way that fits what was asked and what was done to its worker, and at the end nothing may be left.
 * Exit status 1: something was lost, and standard error says what.  With TANDEM_CHAOS_HOLD=1 in the environment the
 * program stays as it is when it finds a loss, for a debugger. */
#include "chaos.h"

#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "leftovers.h"

enum { LOSSES_MOST = 20 };

struct settings settings = {.seconds = 60, .threads = 4, .processes = 4};
atomic_int over;

static int64_t begun_ms;
static atomic_int lost;

/* ---- tools ---- */

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void pass_ms(uint32_t ms)
{
    for (int64_t end = now_ms() + ms; now_ms() < end;) moment();
}

bool chance(struct dice *dice, uint32_t percent) { return roll_below(dice, 100) < percent; }

uint32_t roll_between(struct dice *dice, uint32_t least, uint32_t most) { return least + roll_below(dice, most - least + 1); }

/* Seeds that are near each other must not give rows that are: mixed as splitmix64 does. */
struct dice dice_of(uint64_t number)
{
    uint64_t word = settings.seed + (number + 1) * 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return (struct dice){(word ^ word >> 31) | 1};
}

uint32_t queue_limit_of(uint64_t seed) { return seed % 2 == 1 ? 10 : 0; }

static void print_figures(FILE *file)
{
    fprintf(file, "chaos: %.1f s, seed %llu: ", (double)(now_ms() - begun_ms) / 1000, (unsigned long long)settings.seed);
    judged_print(file);
    fprintf(file, "; ");
    kills_print(file);
    fprintf(file, "; %zu losses\n", losses());
    fflush(file);
}

void loss(const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fprintf(stderr, "LOSS after %.3f s, seed %llu: %s\n", (double)(now_ms() - begun_ms) / 1000, (unsigned long long)settings.seed,
            text);
    while (getenv("TANDEM_CHAOS_HOLD") != NULL) pause();
    if (atomic_fetch_add(&lost, 1) + 1 < LOSSES_MOST) return;
    print_figures(stderr);
    _exit(1);
}

size_t losses(void) { return (size_t)atomic_load(&lost); }

/* ---- the program ---- */

static tandem_pool *begin_pool(void)
{
    tandem_pool *pool = NULL;
    tandem_options options = {.threads = 2,
                              .processes = settings.processes,
                              .queue_limit = queue_limit_of(settings.seed),
                              .idle_ms = settings.seed % 3 == 0 ? 20 : 0,
                              .name = "chaos"};
    crew_begin(NULL);
    if (tandem_init() != 0 || tandem_pool_create(&pool, &options) != 0) abort();
    return pool;
}

static void look_around(void)
{
    static size_t late_before;
    if (late_runs() != late_before) loss("a run began after its task had ended, %zu times", late_runs() - late_before);
    late_before = late_runs();
    crew_look(60000 * (int64_t)slowness());
}

static void soak(void)
{
    const int64_t end = begun_ms + settings.seconds * 1000, pace = settings.seconds * 1000 / 6 + 1;
    for (int64_t told = begun_ms; now_ms() < end;) {
        pass_ms(100);
        look_around();
        if (now_ms() - told < pace) continue;
        told += pace;
        print_figures(stdout);
    }
    atomic_store(&over, 1);
}

/* The books of the pool that has lasted, against ours. */
static void compare_books(tandem_pool *pool)
{
    tandem_stats stats;
    uint64_t sum = 0;
    if (tandem_pool_stats(pool, &stats) != 0) abort();
    if (stats.waiting != 0 || stats.running != 0)
        loss("drained, but %llu wait and %llu run", (unsigned long long)stats.waiting, (unsigned long long)stats.running);
    for (int i = 0; i < 16; i++) {
        sum += stats.ended[i];
        if (stats.ended[i] != judged_count(i))
            loss("the books say that %llu ended %s, and %llu did", (unsigned long long)stats.ended[i], tandem_status_name(i),
                 (unsigned long long)judged_count(i));
    }
    if (stats.submitted != sum) loss("submitted %llu, ended %llu", (unsigned long long)stats.submitted, (unsigned long long)sum);
}

/* As many at once as there may be workers. */
static void expect_full_strength(tandem_pool *pool, struct gate *gate)
{
    tandem_task *tasks = calloc(settings.processes, sizeof *tasks);
    if (tasks == NULL) abort();
    for (uint32_t i = 0; i < settings.processes; i++) {
        tasks[i] = task_of(TANDEM_PROCESS, gate_task, &gate, sizeof gate);
        if (tandem_submit(pool, &tasks[i]) != 0) abort();
    }
    if (!await(&gate->entered, (int)settings.processes))
        loss("of %u workers only %d are there again", settings.processes, atomic_load(&gate->entered));
    atomic_store(&gate->opened, 1);
    for (uint32_t i = 0; i < settings.processes; i++) {
        int status = tandem_wait(&tasks[i]);
        if (status != TANDEM_OK) loss("after all kills a task ended %s", tandem_status_name(status));
        count_ending(status);
        tandem_task_clear(&tasks[i]);
    }
    free(tasks);
}

static int be_the_host(void)
{
    struct belongings *before = belongings_now();
    struct gate *gate = shared(sizeof *gate);
    begun_ms = now_ms();
    work_begin();
    tandem_pool *pool = begin_pool();
    crew_begin(pool);
    kills_begin();
    soak();
    crew_end();
    kills_end();
    look_around();
    if (!guards_lost()) expect_full_strength(pool, gate);
    if (tandem_pool_drain(pool, patience_ms()) != 0) loss("the pool cannot be drained");
    compare_books(pool);
    if (tandem_pool_destroy(pool) != 0 || tandem_quit() != 0) loss("pool or library cannot be ended");
    print_figures(stdout);
    assert_nothing_left(before);
    belongings_free(before);
    return losses() == 0 ? 0 : 1;
}

/* ---- who watches ---- */

static char mark[64];

/* Reaps whatever ends here, orphans too; true if it was the host. */
static bool reap(pid_t host, int *host_status)
{
    int status;
    bool ended = false;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != host) continue;
        *host_status = status;
        ended = true;
    }
    return ended;
}

static int judge_host(int status)
{
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    fprintf(stderr, "LOSS: the host was killed by signal %d\n", WTERMSIG(status));
    return 1;
}

static int watch(pid_t host)
{
    int status = 0, result;
    const int64_t end = now_ms() + settings.seconds * 1000 + 12 * patience_ms();
    while (!reap(host, &status)) {
        if (now_ms() > end && getenv("TANDEM_CHAOS_HOLD") == NULL) {
            fprintf(stderr, "LOSS: the soak does not end; its processes now:\n");
            print_marked(stderr, mark);
            kill_marked(mark);
            return 1;
        }
        moment();
    }
    result = judge_host(status);
    if (result != 0) kill_marked(mark);
    while (reap(host, &status)) continue;
    return result;
}

/* The host is this program once more, with a mark by which all that comes from it can be found. */
static int begin_host(char **argv)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    snprintf(mark, sizeof mark, MARK "=chaos-%ld", (long)getpid());
    fflush(NULL);
    pid_t pid = fork();
    if (pid != 0) return pid > 0 ? watch(pid) : 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    putenv(mark);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

/* ---- the command line ---- */

static int usage(void)
{
    fprintf(stderr, "usage: chaos [--seconds N] [--seed N] [--threads N] [--processes N]\n");
    return 2;
}

static bool take_option(const char *name, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text == 0 || *end != 0) return false;
    if (strcmp(name, "--seed") == 0)
        settings.seed = value;
    else if (strcmp(name, "--seconds") == 0 && value <= 1000000)
        settings.seconds = (int64_t)value;
    else if (strcmp(name, "--threads") == 0 && value >= 1 && value <= 60)
        settings.threads = (uint32_t)value;
    else if (strcmp(name, "--processes") == 0 && value >= 1 && value <= 200)
        settings.processes = (uint32_t)value;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    settings.seed = now_ns() % 1000000;
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !take_option(argv[i], argv[i + 1])) return usage();
    return getenv(MARK) != NULL ? be_the_host() : begin_host(argv);
}
