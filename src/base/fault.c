/* fault.c - what a test has armed, and how often each place has been passed, in memory that host, guards and workers share. */
#ifdef TANDEM_FAULTS
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "base/fault.h"

#include "base/atomics.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* A plan is read by any process at any time while the test writes it: the action is taken away first and set last. */
static struct place {
    _Atomic uint64_t passes, fired;
    _Atomic uint32_t action;
    _Atomic uint64_t at; /* the pass it is for */
    _Atomic int value;
    _Atomic int moved; /* bytes, since it was armed to cut short */
} * places;            /* written before there is a second process or thread */

int tdm_fault_open(void)
{
    if (places) return 0;
    void *memory = mmap(NULL, TDM_FAULT_COUNT * sizeof *places, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -errno;
    places = memory;
    return 0;
}

void tdm_fault_arm(enum tdm_fault_point point, uint64_t nth_pass, enum tdm_fault_action action, int value)
{
    struct place *place = &places[point];
    store_seq(&place->action, TDM_FAULT_NONE);
    store_seq(&place->fired, 0);
    store_seq(&place->moved, 0);
    store_seq(&place->value, value);
    store_seq(&place->at, load_seq(&place->passes) + nth_pass);
    store_seq(&place->action, (uint32_t)action);
}

void tdm_fault_disarm_all(void)
{
    for (int i = 0; places && i < TDM_FAULT_COUNT; i++) store_seq(&places[i].action, TDM_FAULT_NONE);
}

uint64_t tdm_fault_passes(enum tdm_fault_point point) { return load_seq(&places[point].passes); }
uint64_t tdm_fault_fired(enum tdm_fault_point point) { return load_seq(&places[point].fired); }

const char *tdm_fault_name(enum tdm_fault_point point)
{
#define NAME(name) #name,
    static const char *const names[] = {TDM_FAULT_POINTS(NAME)};
#undef NAME
    return names[point];
}

/* It is never seen to return from here; a stopped process goes on when it is told to. */
static void hit(int signal)
{
    kill(getpid(), signal);
    while (signal == SIGKILL) pause();
}

int tdm_fault(enum tdm_fault_point point)
{
    if (!places) return 0;
    struct place *place = &places[point];
    uint64_t pass = add_seq(&place->passes, 1) + 1;
    uint32_t action = load_seq(&place->action);
    uint64_t at = load_seq(&place->at);
    bool due = action == TDM_FAULT_FAIL_ON ? pass >= at : pass == at;
    if (!due || action == TDM_FAULT_NONE || action == TDM_FAULT_CUT_SHORT) return 0;
    add_seq(&place->fired, 1);
    if (action == TDM_FAULT_KILL) hit(SIGKILL);
    if (action == TDM_FAULT_STOP) hit(SIGSTOP);
    return action == TDM_FAULT_FAIL || action == TDM_FAULT_FAIL_ON ? load_seq(&place->value) : 0;
}

/* The byte that is granted here is moved before this process asks again, so the killed one has moved no more than so many; or fewer by one for each
 * frame that was to be put whole or not at all: who is granted less puts nothing, and asks again byte by byte. */
size_t tdm_fault_short(enum tdm_fault_point point, size_t wanted)
{
    struct place *place = places ? &places[point] : NULL;
    uint32_t action = TDM_FAULT_CUT_SHORT;
    if (!place || load_seq(&place->action) != action || load_seq(&place->passes) < load_seq(&place->at) || wanted == 0)
        return wanted;
    add_seq(&place->fired, 1);
    int most = load_seq(&place->value);
    if (most >= 0 && add_seq(&place->moved, 1) >= most && cas_seq(&place->action, &action, TDM_FAULT_NONE)) hit(SIGKILL);
    return 1;
}

int tdm_fault_cut(enum tdm_fault_point point, struct iovec *parts, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) total += parts[i].iov_len;
    size_t left = tdm_fault_short(point, total);
    int kept = 0;
    while (left > 0) {
        if (parts[kept].iov_len > left) parts[kept].iov_len = left;
        left -= parts[kept++].iov_len;
    }
    return kept;
}
#else
typedef int tdm_fault_is_not_used_here;
#endif
