/* adopted.c - what dead guards leave to a program that gets what its descendants leave. */
#include "guards/adopted.h"

#include "base/clock.h"
#include "base/platform.h"
#include "base/reactor.h"
#include "child/roll.h"

#include <poll.h>

#define FIRST_LOOK_MS 20
#define LAST_LOOK_MS  5000 /* the wait doubles from look to look; what lives longer is a worker that still has work, and is known */
#define END_MS        1000

static void look_again(struct tdm_timer *timer);

static struct {
    struct tdm_timer timer;
    int64_t wait_ms; /* to the next look */
} adopted;

static void look(void)
{
    if (tdm_roll_collect() == 0 || adopted.wait_ms > LAST_LOOK_MS) return;
    adopted.timer.due = look_again;
    tdm_reactor_set_timer(&adopted.timer, tdm_clock_deadline(adopted.wait_ms));
    adopted.wait_ms *= 2;
}

static void look_again(struct tdm_timer *timer)
{
    (void)timer;
    look();
}

void tdm_adopted_look(void)
{
    adopted.wait_ms = FIRST_LOOK_MS;
    if (tdm_platform_adopts_orphans()) look();
}

void tdm_adopted_look_no_more(void)
{
    if (adopted.timer.due) tdm_reactor_clear_timer(&adopted.timer);
}

void tdm_adopted_end(void)
{
    uint64_t deadline = tdm_clock_deadline(END_MS);
    while (tdm_platform_adopts_orphans() && tdm_roll_collect() > 0 && tdm_clock_ns() < deadline) poll(NULL, 0, 1);
}
