/* tbb_calls.cpp - see tbb_calls.h.  The one C++ file of the bench: built where there is a C++ compiler and oneTBB. */
#include "peers/tbb_calls.h"
#include "elements.h"

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

/* By itself TBB has one thread less than there are processors. */
struct tbb_calls {
    tbb::global_control most;
    tbb::task_arena arena;
    tbb::task_group group;

    tbb_calls(int threads, int helpers)
        : most(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads + 1)),
          arena(threads + helpers, static_cast<unsigned>(helpers))
    {
    }
};

struct tbb_calls *tbb_calls_start(int threads, int helpers) { return new tbb_calls(threads, helpers); }

void tbb_calls_submit(struct tbb_calls *calls, size_t count)
{
    while (count-- > 0) calls->arena.enqueue(calls->group.defer([] {}));
}

void tbb_calls_submit_one(struct tbb_calls *calls, void (*run)(void *argument), void *argument)
{
    calls->arena.enqueue(calls->group.defer([=] { run(argument); }));
}

void tbb_calls_await(struct tbb_calls *calls)
{
    calls->arena.execute([=] { calls->group.wait(); });
}

void tbb_calls_loop(struct tbb_calls *calls, size_t count)
{
    calls->arena.execute([=] {
        tbb::parallel_for(tbb::blocked_range<size_t>(0, count), [](const tbb::blocked_range<size_t> &part) {
            for (size_t i = part.begin(); i < part.end(); i++) element_make(i);
        });
    });
}

void tbb_calls_stop(struct tbb_calls *calls) { delete calls; }
