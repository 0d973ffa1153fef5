/* last_words.c - fuzz target: the host judges a dead worker by a page in which it wrote what it liked, and reports what it says.
 *
 * The input: how it died, then the host's copy of the page's last words. */
#include "fuzz.h"

#include "base/symbols.h"
#include "process/verdict.h"

#include <string.h>

struct input {
    uint8_t signal, code, decided, limited;
    uint8_t known, wrong; /* there was a step that says what was wrong with the worker */
    uint16_t unused;
    struct tdm_testament left;
};

static int decision(uint8_t byte)
{
    static const int decisions[] = {0, TANDEM_CRASHED, TANDEM_CANCELLED, TANDEM_TIMED_OUT, TANDEM_NOT_STARTED};
    return decisions[byte % (sizeof decisions / sizeof *decisions)];
}

static void check_outcome(const struct tdm_case *judged, const struct tdm_outcome *outcome, const struct tdm_facts *facts)
{
    bool over = outcome->status == TANDEM_OVER_LIMIT;
    if (judged->decided != 0)
        must(outcome->status == judged->decided);
    else
        must(outcome->status == TANDEM_CRASHED || over);
    must(over == (facts->limit != NULL));
    must(!over || !judged->step);
    must(outcome->signal >= 0 && outcome->signal <= 64);
    if (judged->death->known && judged->death->signal != 0 && !judged->step) must(outcome->signal != 0);
    must(!outcome->output && outcome->output_size == 0);
    must(facts->frame_count <= TDM_FRAMES_MOST);
    must(facts->frame_count == 0 || facts->frames == judged->left->words.frames);
}

static int task_function(tandem_context *context, void *input, size_t size)
{
    (void)context, (void)input, (void)size;
    return 0;
}

/* All of it in words, cut at any length. */
static void report(const struct tdm_outcome *outcome)
{
    char text[300];
    tandem_task task = {.run = task_function, .isolation = TANDEM_PROCESS, .status = outcome->status};
    task.code = outcome->code;
    task.signal = outcome->signal;
    tandem_report *told = tdm_report_make(&task);
    must(told != NULL);
    tdm_report_start(told, 1, 1, 1);
    tdm_report_end(told, &task, outcome);
    task.report = told;
    for (size_t i = 0; i < told->frame_count; i++) must(strlen(told->frames[i]) < 1000);
    int whole = tandem_describe(&task, text, sizeof text), cut = tandem_describe(&task, text, sizeof text / 10);
    must(whole > 0 && whole == cut && strlen(text) < sizeof text / 10);
    tdm_report_free(told);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tandem_limits none, all = {.memory = 1 << 20, .cpu_ms = 100, .file_size = 1000, .output = 1000, .open_files = 10};
    static bool begun;
    struct input input;
    if (!begun) tdm_symbols_begin(); /* what has been read once stays */
    begun = true;
    memset(&input, 0, sizeof input);
    memcpy(&input, data, size < sizeof input ? size : sizeof input);
    struct tdm_death death = {.known = input.known % 2 == 0, .signal = input.signal % 65, .user_ns = 5000000, .system_ns = 1000000};
    if (death.signal == 0) death.code = input.code;
    struct tdm_case judged = {.death = &death, .left = &input.left, .limits = input.limited % 2 ? &all : &none};
    judged.decided = decision(input.decided);
    if (input.wrong % 2) judged.step = "its worker broke the protocol";
    struct tdm_facts facts = {0};
    struct tdm_outcome outcome = tdm_verdict(&judged, &facts);
    check_outcome(&judged, &outcome, &facts);
    outcome.facts = &facts;
    report(&outcome);
    return 0;
}
