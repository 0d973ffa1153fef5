/* pool_data.c - what tandem_pool_set_data() has set, and how a task reads it. */
#include "job/pool_data.h"

#include "base/identity.h"
#include "base/memory.h"
#include "job/context.h"

#include <errno.h>
#include <string.h>

struct entry {
    uint64_t key_room, value_room; /* to the next multiple of 16 */
    uint64_t value_size;
    uint64_t unused;
};

_Static_assert(sizeof(struct entry) % 16 == 0, "what follows is aligned for any type");

static size_t room_for(size_t size) { return (size + 16) / 16 * 16; }
static size_t whole(const struct entry *entry) { return sizeof *entry + (size_t)(entry->key_room + entry->value_room); }
static const char *key_of(const struct entry *entry) { return (const char *)(entry + 1); }
static const char *value_of(const struct entry *entry) { return key_of(entry) + entry->key_room; }

/* The entry at or behind this place, or NULL; *at moves on behind it. */
static const struct entry *next(const char *bytes, size_t all, size_t *at)
{
    if (*at >= all) return NULL;
    const struct entry *entry = (const struct entry *)(const void *)(bytes + *at);
    *at += whole(entry);
    return entry;
}

static const struct entry *find(const char *bytes, size_t all, const char *key)
{
    size_t at = 0;
    for (const struct entry *entry; (entry = next(bytes, all, &at)) != NULL;)
        if (strcmp(key_of(entry), key) == 0) return entry;
    return NULL;
}

const void *tdm_pool_data_find(const void *bytes, size_t all, const char *key, size_t *size)
{
    const struct entry *entry = find(bytes, all, key);
    *size = entry ? (size_t)entry->value_size : 0;
    return entry ? value_of(entry) : NULL;
}

/* ---- a set ---- */

static char *put(char *to, const void *bytes, size_t size)
{
    if (size > 0) memcpy(to, bytes, size);
    memset(to + size, 0, room_for(size) - size);
    return to + room_for(size);
}

static void append(struct tdm_pool_data *data, const char *key, const void *value, size_t size)
{
    struct entry head = {.key_room = room_for(strlen(key)), .value_room = room_for(size), .value_size = size};
    char *to = data->bytes + data->size;
    memcpy(to, &head, sizeof head);
    to = put(put(to + sizeof head, key, strlen(key)), value, size);
    data->size = (size_t)(to - data->bytes);
}

struct tdm_pool_data *tdm_pool_data_with(const struct tdm_pool_data *old, const char *key, const void *value, size_t size)
{
    size_t most = (old ? old->size : 0) + sizeof(struct entry) + room_for(strlen(key)) + room_for(size), at = 0;
    struct tdm_pool_data *data = tdm_malloc(sizeof *data + most);
    if (!data) return NULL;
    *data = (struct tdm_pool_data){.version = old ? old->version : 0};
    store_seq(&data->references, 1);                                                  /* [data-references] */
    data->version = data->version == -1 ? 1 : (int32_t)((uint32_t)data->version + 1); /* 0 means that nothing was set */
    for (const struct entry *entry; old && (entry = next(old->bytes, old->size, &at)) != NULL;) {
        if (strcmp(key_of(entry), key) == 0) continue;
        memcpy(data->bytes + data->size, entry, whole(entry));
        data->size += whole(entry);
    }
    if (value) append(data, key, value, size);
    return data;
}

/* ---- inside a task ---- */

const void *tandem_pool_data(tandem_context *context, const char *key, size_t *size)
{
    size_t all, found = 0;
    if (!context) context = tdm_context_starting;
    if (size) *size = 0;
    if (!context || !key || tdm_identity() != context->home || context->in_branch != 0) return NULL;
    int saved = errno;
    const char *bytes = context->talk->data(context, &all);
    errno = saved;
    const void *value = bytes ? tdm_pool_data_find(bytes, all, key, &found) : NULL;
    if (size) *size = found;
    return value;
}
