/* scan_words.h - counts the words of a text as it streams by, and names the most frequent.
 *
 * A word is a run of 2 to 31 ASCII letters; upper and lower case are the same.  In a text with more than 262144
 * different words, only the first ones to appear are counted, so that no file makes its task hold much more than 20 MiB. */
#ifndef SCAN_WORDS_H
#define SCAN_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define SCAN_TOP_WORDS    3
#define SCAN_WORD_LONGEST 31

struct scan_word {
    uint64_t count; /* 0: no word */
    char text[SCAN_WORD_LONGEST + 1];
};

/* A zeroed struct has counted nothing. */
struct scan_words {
    struct scan_word *slots; /* a hash table with open addressing, at most half full */
    size_t room;             /* slots there are: a power of 2, or 0 */
    size_t different;
    size_t length; /* letters of the word so far, including those beyond the longest */
    char word[SCAN_WORD_LONGEST + 1];
};

/* 0, or ENOMEM. */
int scan_words_add(struct scan_words *words, const unsigned char *text, size_t size);

/* Ends the text.  The most frequent come first, equally frequent ones in the order of the alphabet. */
int scan_words_end(struct scan_words *words, struct scan_word top[SCAN_TOP_WORDS]);

void scan_words_free(struct scan_words *words);

#endif
