/* hoard.c - memory for an output that grows. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "command/hoard.h"

#include "base/memory.h"
#include "base/platform.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define FIRST ((size_t)4 << 10)
#define LARGE ((size_t)1 << 20)

/* In front of the bytes lies one page, which says how large all of it is: who frees it knows only where the bytes begin. */
static size_t page(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static size_t whole_pages(size_t size) { return (size + page() - 1) / page() * page(); }

static bool commit(char *bytes, size_t from, size_t to)
{
    size_t start = whole_pages(from), end = whole_pages(to);
    if (start >= end) return true;
    if (tdm_memory_fails() || mprotect(bytes + start, end - start, PROT_READ | PROT_WRITE) != 0) return false;
    tdm_platform_expect_all_of(bytes + start, end - start);
    return true;
}

/* Moves into addresses of its own. */
static bool settle(struct tdm_hoard *hoard, size_t used, size_t room, size_t most)
{
    size_t reserved = page() + whole_pages(most + 1);
    char *memory = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    char *bytes = memory + page();
    if (mprotect(memory, page(), PROT_READ | PROT_WRITE) != 0 || !commit(bytes, 0, room + 1)) {
        munmap(memory, reserved);
        return false;
    }
    if (used > 0) memcpy(bytes, hoard->bytes, used);
    free(hoard->bytes);
    *hoard = (struct tdm_hoard){.bytes = bytes, .room = room, .reserved = reserved};
    return true;
}

static size_t next_room(const struct tdm_hoard *hoard, size_t least, size_t most)
{
    size_t room = hoard->room > SIZE_MAX / 2 ? most : hoard->room * 2;
    if (room < FIRST) room = FIRST;
    if (room < least) room = least;
    return room > most ? most : room;
}

bool tdm_hoard_grow(struct tdm_hoard *hoard, size_t used, size_t least, size_t most)
{
    size_t room = next_room(hoard, least, most);
    if (hoard->reserved != 0) {
        if (!commit(hoard->bytes, hoard->room + 1, room + 1)) return false;
        hoard->room = room;
        return true;
    }
    if (room >= LARGE && settle(hoard, used, room, most)) return true;
    char *larger = tdm_realloc(hoard->bytes, room + 1);
    if (!larger) return false;
    hoard->bytes = larger;
    hoard->room = room;
    return true;
}

static void unmap(void *bytes)
{
    char *memory = (char *)bytes - page();
    size_t length;
    memcpy(&length, memory, sizeof length);
    munmap(memory, length);
}

char *tdm_hoard_take(struct tdm_hoard *hoard, size_t used, void (**release)(void *bytes))
{
    char *bytes = hoard->bytes;
    *release = NULL;
    if (hoard->reserved != 0) {
        char *memory = bytes - page();
        size_t length = page() + whole_pages(used + 1);
        if (length < hoard->reserved) munmap(memory + length, hoard->reserved - length);
        memcpy(memory, &length, sizeof length);
        *release = unmap;
    } else {
        char *smaller = tdm_realloc(bytes, used + 1);
        if (smaller) bytes = smaller;
    }
    *hoard = (struct tdm_hoard){0};
    if (bytes) bytes[used] = 0;
    return bytes;
}

void tdm_hoard_drop(struct tdm_hoard *hoard)
{
    if (hoard->reserved != 0)
        munmap(hoard->bytes - page(), hoard->reserved);
    else
        free(hoard->bytes);
    *hoard = (struct tdm_hoard){0};
}
