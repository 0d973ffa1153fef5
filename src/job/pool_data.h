/* pool_data.h - what tandem_pool_set_data() has set: all keys and values of a pool in one piece of memory, which never changes; setting
 * something makes a new one. */
#ifndef TDM_JOB_POOL_DATA_H
#define TDM_JOB_POOL_DATA_H

#include "base/atomics.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* One entry after the other: its two sizes, the key, the value; each at a multiple of 16 and followed by a 0 byte at least. */
struct tdm_pool_data {
    _Atomic uint32_t references; /* the pool has one, and each run that has looked at it [data-references] */
    int32_t version;             /* counts the sets of a pool, and is never 0 */
    size_t size;                 /* of bytes */
    _Alignas(16) char bytes[];
};

static inline void tdm_pool_data_keep(struct tdm_pool_data *data) { add_seq(&data->references, 1); /* [data-references] */ }

static inline void tdm_pool_data_let_go(struct tdm_pool_data *data)
{
    if (data && add_seq(&data->references, (uint32_t)-1) == 1) free(data); /* [data-references] */
}

/* old (NULL: nothing) with this key set, or, value NULL, without it; with one reference.  NULL: no memory. */
struct tdm_pool_data *tdm_pool_data_with(const struct tdm_pool_data *old, const char *key, const void *value, size_t size);

/* The value of a key in so many of these bytes; NULL: it is not there. */
const void *tdm_pool_data_find(const void *bytes, size_t all, const char *key, size_t *size);

#endif
