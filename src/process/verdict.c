/* verdict.c - how a task ends whose worker has died. */
#define _XOPEN_SOURCE 700
#include "process/verdict.h"

#include "base/platform.h"
#include "child/process_worker.h"

#include <signal.h>

/* Times of use are rounded. */
#define ROUNDED_NS ((uint64_t)1000000u)

/* Of the task: what the process has used, without what it had used before.  The latter is the worker's own word, and what it has counted on by
 * the clock, as user's, may have been the system's. */
static uint64_t since(uint64_t all, uint64_t before) { return all > before ? all - before : 0; }

/* One that the crash handler handles. */
static bool is_of_a_crash(int signal)
{
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGABRT ||
           signal == SIGTRAP || signal == SIGSYS;
}

/* The signal the crash handler has noted, if the end fits it; see last_words.h. */
static bool is_noted(const struct tdm_death *death, const struct tdm_last_words *words)
{
    if (load_acquire(&words->crash) != 1 || !is_of_a_crash(words->signal)) return false; /* [last-words] */
    return is_of_a_crash(death->signal) || death->signal == SIGALRM;
}

static bool is_out_of_memory(const struct tdm_case *judged)
{
    uint64_t most = judged->left->memory_most, had = judged->left->words.memory;
    if (judged->limits->memory == 0 || most == 0 || !is_noted(judged->death, &judged->left->words)) return false;
    return had >= most || most - had < judged->limits->memory / 8 + 65536;
}

/* Which limit it was that the process died of, or NULL. */
static const char *limit_hit(const struct tdm_case *judged, const struct tdm_facts *facts)
{
    const tandem_limits *limits = judged->limits;
    int signal = judged->death->signal;
    uint64_t used = facts->user_ns + facts->system_ns + ROUNDED_NS;
    if (limits->cpu_ms != 0 && signal == tdm_platform_cpu_signal() && (signal != SIGKILL || used / 1000000u >= limits->cpu_ms))
        return "cpu_ms";
    if (limits->file_size != 0 && signal == SIGXFSZ) return "file_size";
    return is_out_of_memory(judged) ? "memory" : NULL;
}

static void fill_facts(const struct tdm_case *judged, struct tdm_facts *facts)
{
    const struct tdm_death *death = judged->death;
    const struct tdm_last_words *words = &judged->left->words;
    facts->user_ns = since(death->user_ns, words->user_ns);
    facts->system_ns = since(death->system_ns, words->system_ns + since(words->user_ns, death->user_ns));
    facts->peak_memory = death->peak_memory;
    if (!is_noted(death, words)) return;
    uint32_t count = load_acquire(&words->frame_count); /* [last-frames] */
    facts->fault_address = (uintptr_t)words->address;
    facts->frames = words->frames;
    facts->frame_count = count < TDM_FRAMES_MOST ? count : TDM_FRAMES_MOST;
}

static struct tdm_outcome crash(const struct tdm_case *judged)
{
    const struct tdm_death *death = judged->death;
    struct tdm_outcome crashed = {.status = TANDEM_CRASHED, .step = judged->step};
    if (judged->step) return crashed;
    if (!death->known) {
        crashed.step = "its process ended, its status was lost";
    } else if (death->signal != 0) {
        crashed.signal = is_noted(death, &judged->left->words) ? judged->left->words.signal : death->signal;
    } else {
        crashed.code = death->code;
        if (death->code == TDM_EXIT_CHANNEL_LOST) crashed.step = "it closed its worker's descriptors";
        if (death->code == TDM_EXIT_THREAD_ENDED) crashed.step = "it ended the thread it ran on";
    }
    return crashed;
}

/* The host's own decision first: the death is then only its consequence. */
struct tdm_outcome tdm_verdict(const struct tdm_case *judged, struct tdm_facts *facts)
{
    fill_facts(judged, facts);
    if (judged->decided != 0 && judged->decided != TANDEM_CRASHED)
        return (struct tdm_outcome){.status = judged->decided, .signal = judged->death->signal, .step = judged->step};
    struct tdm_outcome outcome = crash(judged);
    facts->limit = judged->step || judged->decided != 0 ? NULL : limit_hit(judged, facts);
    if (facts->limit) outcome.status = TANDEM_OVER_LIMIT;
    return outcome;
}
