/* seed.c - turns a seed as a person writes it, from stdin, into the bytes that a target reads, on stdout.
 *
 *   # a remark
 *   byte N...                   bytes
 *   fill N VALUE                N times this byte
 *   number N...                 of 8 bytes each, hexadecimal with 0x
 *   frame KIND NAME=VALUE...    a header as tdm_frame_make() has it; then the named fields are changed
 *   cut N                       takes so many bytes away again
 *   step WHAT ENTRY SEQUENCE FROM TO   of the target control
 *   words NAME=VALUE...         struct tdm_testament, zeroed but for the named fields; frames=N fills in that many
 *
 * So seeds follow when a struct changes. */
#include "job/frame.h"
#include "process/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char bytes[1 << 17];
static size_t used;

static _Noreturn void refuse(const char *what)
{
    fprintf(stderr, "seed: not understood: %s\n", what);
    exit(1);
}

static void add(const void *from, size_t size)
{
    if (size > sizeof bytes - used) refuse("so much");
    memcpy(bytes + used, from, size);
    used += size;
}

static unsigned long long number_of(const char *text)
{
    char *end;
    if (!text) refuse("a line that ends too early");
    unsigned long long number = strtoull(text, &end, 0);
    if (*end) refuse(text);
    return number;
}

static const char *word(void) { return strtok(NULL, " \t\n"); }
static unsigned long long number(void) { return number_of(word()); }

/* The next NAME=VALUE; false: no more. */
static int field(char name[32], unsigned long long *value)
{
    const char *text = word(), *equals = text ? strchr(text, '=') : NULL;
    if (!text) return 0;
    if (!equals || equals - text >= 32) refuse(text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = 0;
    *value = number_of(equals + 1);
    return 1;
}

static void add_frame(void)
{
    static const char *const kinds[] = {"",        "setup",     "task",  "leave",   "ready",  "failed", "reply",
                                        "refused", "oversized", "tired", "message", "credit", "closed"};
    const char *kind = word();
    char name[32];
    unsigned long long value;
    unsigned i = 1, count = sizeof kinds / sizeof *kinds;
    while (kind && i < count && strcmp(kinds[i], kind) != 0) i++;
    if (!kind || i == count) refuse(kind ? kind : "frame");
    struct tdm_frame frame = tdm_frame_make((enum tdm_frame_kind)i, 0);
    while (field(name, &value)) {
        if (strcmp(name, "magic") == 0)
            frame.magic = (uint32_t)value;
        else if (strcmp(name, "kind") == 0)
            frame.kind = (uint16_t)value;
        else if (strcmp(name, "entry") == 0)
            frame.entry = (uint16_t)value;
        else if (strcmp(name, "sequence") == 0)
            frame.sequence = value;
        else if (strcmp(name, "code") == 0)
            frame.code = (int32_t)value;
        else if (strcmp(name, "flags") == 0)
            frame.flags = (uint32_t)value;
        else if (strcmp(name, "payload") == 0)
            frame.payload = (uint32_t)value;
        else if (strcmp(name, "address") == 0)
            frame.address = value;
        else if (strcmp(name, "size") == 0)
            frame.size = value;
        else
            refuse(name);
    }
    add(&frame, sizeof frame);
}

static void add_step(void)
{
    unsigned char what = (unsigned char)number(), entry = (unsigned char)number();
    unsigned long long sequence = number(), from = number(), to = number();
    uint64_t all = sequence << 16 | to << 3 | from;
    add(&what, 1);
    add(&entry, 1);
    add(&all, sizeof all);
}

static void add_words(void)
{
    static struct tdm_testament left;
    struct tdm_last_words *words = &left.words;
    char name[32];
    unsigned long long value;
    while (field(name, &value)) {
        if (strcmp(name, "crash") == 0)
            store_relaxed(&words->crash, value);
        else if (strcmp(name, "signal") == 0)
            words->signal = (int32_t)value;
        else if (strcmp(name, "address") == 0)
            words->address = value;
        else if (strcmp(name, "memory") == 0)
            words->memory = value;
        else if (strcmp(name, "memory_most") == 0)
            left.memory_most = value;
        else if (strcmp(name, "frame_count") == 0)
            store_relaxed(&words->frame_count, (uint32_t)value);
        else if (strcmp(name, "user_ns") == 0)
            words->user_ns = value;
        else if (strcmp(name, "system_ns") == 0)
            words->system_ns = value;
        else if (strcmp(name, "frames") == 0)
            for (unsigned i = 0; i < value && i < TDM_FRAMES_MOST; i++) words->frames[i] = 0x400000u + 4096u * i;
        else
            refuse(name);
    }
    add(&left, sizeof left);
}

static void add_line(char *line)
{
    const char *what = strtok(line, " \t\n"), *text;
    if (!what || what[0] == '#') return;
    if (strcmp(what, "byte") == 0) {
        while ((text = word()) != NULL) {
            unsigned char byte = (unsigned char)number_of(text);
            add(&byte, 1);
        }
    } else if (strcmp(what, "fill") == 0) {
        unsigned long long count = number();
        unsigned char byte = (unsigned char)number();
        while (count-- > 0) add(&byte, 1);
    } else if (strcmp(what, "number") == 0) {
        while ((text = word()) != NULL) {
            uint64_t value = number_of(text);
            add(&value, sizeof value);
        }
    } else if (strcmp(what, "cut") == 0) {
        size_t size = (size_t)number();
        used -= size < used ? size : used;
    } else if (strcmp(what, "frame") == 0) {
        add_frame();
    } else if (strcmp(what, "step") == 0) {
        add_step();
    } else if (strcmp(what, "words") == 0) {
        add_words();
    } else {
        refuse(what);
    }
}

int main(void)
{
    char line[1024];
    while (fgets(line, sizeof line, stdin)) add_line(line);
    return fwrite(bytes, 1, used, stdout) == used ? 0 : 1;
}
