/* scan_words.c - a hash table of words and their counts. */
#include "scan_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHORTEST       2
#define MOST_DIFFERENT ((size_t)1 << 18)
#define FIRST_ROOM     ((size_t)1 << 10)

/* FNV-1a. */
static uint64_t hash(const char *text)
{
    uint64_t value = 0xcbf29ce484222325;
    for (; *text != 0; text++) value = (value ^ (unsigned char)*text) * 0x100000001b3;
    return value;
}

/* The slot that holds the word, or the empty one where it would go. */
static struct scan_word *find(struct scan_word *slots, size_t room, const char *text)
{
    size_t i = (size_t)hash(text) & (room - 1);
    while (slots[i].count > 0 && strcmp(slots[i].text, text) != 0) i = (i + 1) & (room - 1);
    return &slots[i];
}

static int grow(struct scan_words *words)
{
    size_t room = words->room > 0 ? 2 * words->room : FIRST_ROOM;
    struct scan_word *slots = calloc(room, sizeof *slots);
    if (slots == NULL) return ENOMEM;
    for (size_t i = 0; i < words->room; i++) {
        if (words->slots[i].count > 0) *find(slots, room, words->slots[i].text) = words->slots[i];
    }
    free(words->slots);
    words->slots = slots;
    words->room = room;
    return 0;
}

static int end_word(struct scan_words *words)
{
    size_t length = words->length;
    words->length = 0;
    if (length < SHORTEST || length > SCAN_WORD_LONGEST) return 0;
    words->word[length] = 0;
    if (2 * words->different >= words->room && words->different < MOST_DIFFERENT) {
        int error = grow(words);
        if (error != 0) return error;
    }
    struct scan_word *slot = find(words->slots, words->room, words->word);
    if (slot->count == 0) {
        if (words->different == MOST_DIFFERENT) return 0;
        memcpy(slot->text, words->word, length + 1);
        words->different++;
    }
    slot->count++;
    return 0;
}

int scan_words_add(struct scan_words *words, const unsigned char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char letter = text[i] | 0x20; /* folds A-Z to a-z, and nothing else into that range */
        if (letter >= 'a' && letter <= 'z') {
            if (words->length < SCAN_WORD_LONGEST) words->word[words->length] = (char)letter;
            words->length++;
        } else if (words->length > 0) {
            int error = end_word(words);
            if (error != 0) return error;
        }
    }
    return 0;
}

static int goes_before(const struct scan_word *a, const struct scan_word *b)
{
    return a->count != b->count ? a->count > b->count : strcmp(a->text, b->text) < 0;
}

int scan_words_end(struct scan_words *words, struct scan_word top[SCAN_TOP_WORDS])
{
    int error = end_word(words);
    if (error != 0) return error;
    memset(top, 0, SCAN_TOP_WORDS * sizeof *top);
    for (size_t i = 0; i < words->room; i++) {
        if (words->slots[i].count == 0) continue;
        size_t place = SCAN_TOP_WORDS;
        while (place > 0 && goes_before(&words->slots[i], &top[place - 1])) place--;
        if (place == SCAN_TOP_WORDS) continue;
        memmove(&top[place + 1], &top[place], (SCAN_TOP_WORDS - 1 - place) * sizeof *top);
        top[place] = words->slots[i];
    }
    return 0;
}

void scan_words_free(struct scan_words *words) { free(words->slots); }
