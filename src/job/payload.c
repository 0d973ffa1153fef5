/* payload.c - memory for inputs and outputs. */
#include "job/payload.h"

#include "base/memory.h"
#include "base/platform.h"

/* Of smaller ones the first touch costs little, or the C library keeps them itself; of larger ones it is not worth so much memory. */
#define KEPT_LEAST ((size_t)256 << 10)
#define KEPT_MOST  ((size_t)256 << 20)

static bool keeps;

/* For an input and a reply. */
static struct kept {
    void *memory; /* NULL: none */
    size_t size;
    bool used;
} kept[2];

#define KEPT_END (kept + sizeof kept / sizeof *kept)

void *tdm_payload_fresh(size_t size)
{
    void *memory = tdm_malloc(size);
    if (memory) tdm_platform_expect_all_of(memory, size);
    return memory;
}

/* One that is large enough, or else one that can be given up for a larger one. */
static struct kept *find_unused(size_t size)
{
    struct kept *found = NULL;
    for (struct kept *one = kept; one < KEPT_END; one++)
        if (!one->used && (!found || one->size >= size)) found = one;
    return found;
}

void *tdm_payload_alloc(size_t size)
{
    struct kept *one = keeps && size >= KEPT_LEAST && size <= KEPT_MOST ? find_unused(size) : NULL;
    if (!one) return tdm_payload_fresh(size);
    if (one->size < size) {
        free(one->memory);
        one->memory = tdm_payload_fresh(size);
        one->size = one->memory ? size : 0;
    }
    one->used = one->memory != NULL;
    return one->memory;
}

void tdm_payload_free(void *memory)
{
    for (struct kept *one = kept; one < KEPT_END; one++)
        if (one->used && one->memory == memory) {
            one->used = false;
            return;
        }
    free(memory);
}

void tdm_payload_set_keeping(bool now) { keeps = now; }

void tdm_payload_drop(void)
{
    for (struct kept *one = kept; one < KEPT_END; one++)
        if (!one->used) {
            free(one->memory);
            *one = (struct kept){0};
        }
}

bool tdm_payload_has_kept(void)
{
    for (const struct kept *one = kept; one < KEPT_END; one++)
        if (!one->used && one->memory) return true;
    return false;
}
