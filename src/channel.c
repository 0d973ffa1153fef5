/* channel.c - channels as the program sees them. */
#include "base/clock.h"
#include "base/identity.h"
#include "pool.h"
#include "process/belt_book.h"
#include "quiet.h"
#include "task/self.h"

#define MESSAGES_DEFAULT     64u
#define MESSAGE_SIZE_DEFAULT 1024u
#define MESSAGE_SIZE_MOST    ((uint32_t)1 << 30)
#define SUBSCRIBERS_MOST     255u

static struct tdm_belt *belt_of(tandem_channel *channel) { return (struct tdm_belt *)(void *)channel; }

/* ---- making one ---- */

static int choose_shape(const tandem_channel_options *options, struct tdm_shape *shape)
{
    tandem_channel_options none = {0};
    if (!options) options = &none;
    if (options->message_size > MESSAGE_SIZE_MOST || options->subscribers > SUBSCRIBERS_MOST || options->reserved_ != 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i] != 0) return -EINVAL;
    *shape = (struct tdm_shape){
        .messages = options->messages != 0 ? options->messages : MESSAGES_DEFAULT,
        .message_size = options->message_size != 0 ? options->message_size : MESSAGE_SIZE_DEFAULT,
        .readers = options->subscribers != 0 ? options->subscribers : 1,
        .broadcast = options->subscribers != 0,
    };
    return 0;
}

static int create(tandem_pool *pool, tandem_channel **channel, const struct tdm_shape *shape)
{
    size_t size = tdm_belt_size(shape);
    struct tdm_belt *belt = size != 0 ? tdm_shared_take(&pool->shared, pool->options.shared_size, size) : NULL;
    if (!belt) return -ENOMEM;
    tdm_belt_make(belt, shape);
    int error = tdm_belt_book_add(belt, shape, &pool->shared);
    if (error != 0) {
        tdm_shared_give(&pool->shared, belt);
        return error;
    }
    *channel = (tandem_channel *)(void *)belt;
    return 0;
}

int tandem_channel_create(tandem_pool *pool, tandem_channel **channel, const tandem_channel_options *options)
{
    struct tdm_shape shape;
    int error = channel ? tdm_pool_check(pool) : -EINVAL;
    if (error == 0) error = choose_shape(options, &shape);
    if (error != 0) return error;
    shape.watch_ns = pool->core.watch_ns;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, create(pool, channel, &shape));
}

static int destroy(struct tdm_belt *belt)
{
    struct tdm_shared *shared = tdm_belt_book_remove(belt);
    if (!shared) return -EINVAL;
    tdm_belt_close(belt);
    return tdm_shared_give(shared, belt);
}

int tandem_channel_destroy(tandem_channel *channel)
{
    if (!channel) return 0;
    if (tdm_identity() == 0) return -EPERM;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, destroy(belt_of(channel)));
}

/* ---- using one ---- */

/* In a worker the channel itself says what it is; the host goes by its own books. */
static int hold(tandem_channel *channel, struct tdm_hold *hold)
{
    if (!channel || (uintptr_t)channel % TDM_ARENA_GRAIN != 0) return -EINVAL;
    if (tdm_identity() == 0) return -EPERM;
    hold->belt = belt_of(channel);
    hold->me = tdm_member_at(channel);
    if (hold->me == TDM_MEMBER_NONE) return -EINVAL;
    hold->sleeps = tdm_member_is_worker() ? NULL : tdm_self_block;
    if (hold->me == TDM_MEMBER_HOST) return tdm_belt_book_find(hold->belt, &hold->shape) ? 0 : -EINVAL;
    if (!tdm_belt_is_one(hold->belt)) return -EINVAL;
    hold->shape = hold->belt->shape;
    return 0;
}

static uint64_t deadline_of(int64_t timeout_ms) { return timeout_ms == 0 ? 0 : tdm_clock_deadline(timeout_ms); }

static ssize_t timed(ssize_t result, int64_t timeout_ms) { return result == -ETIMEDOUT && timeout_ms == 0 ? -EAGAIN : result; }

int tandem_channel_send(tandem_channel *channel, const void *data, size_t size, int64_t timeout_ms)
{
    struct tdm_hold held;
    int error = size > 0 && !data ? -EINVAL : hold(channel, &held);
    if (error != 0) return error;
    struct quiet quiet = begin_quietly();
    int result = tdm_belt_send(&held, data, size, deadline_of(timeout_ms));
    return end_quietly(&quiet, (int)timed(result, timeout_ms));
}

ssize_t tandem_channel_receive(tandem_channel *channel, int subscriber, void *buffer, size_t size, int64_t timeout_ms)
{
    struct tdm_hold held;
    int error = size > 0 && !buffer ? -EINVAL : hold(channel, &held);
    if (error != 0) return error;
    struct quiet quiet = begin_quietly();
    ssize_t result = tdm_belt_receive(&held, subscriber, buffer, size, deadline_of(timeout_ms));
    end_quietly(&quiet, 0);
    return timed(result, timeout_ms);
}

int tandem_channel_subscribe(tandem_channel *channel)
{
    struct tdm_hold held;
    int error = hold(channel, &held);
    if (error == 0 && !held.shape.broadcast) error = -EINVAL;
    if (error != 0) return error;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, tdm_belt_join(&held));
}

int tandem_channel_unsubscribe(tandem_channel *channel, int subscriber)
{
    struct tdm_hold held;
    int error = hold(channel, &held);
    if (error == 0 && !held.shape.broadcast) error = -EINVAL;
    if (error != 0) return error;
    struct quiet quiet = begin_quietly();
    return end_quietly(&quiet, tdm_belt_quit(&held, subscriber));
}

int tandem_channel_close(tandem_channel *channel)
{
    struct tdm_hold held;
    int error = hold(channel, &held);
    if (error != 0) return error;
    struct quiet quiet = begin_quietly();
    tdm_belt_close(held.belt);
    return end_quietly(&quiet, 0);
}
