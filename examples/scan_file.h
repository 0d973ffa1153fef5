/* scan_file.h - the work itself: what scan finds out about one file. */
#ifndef SCAN_FILE_H
#define SCAN_FILE_H

#include "scan_words.h"
#include "sha256.h"
#include "tandem.h"

/* The reply of the task, as bytes: it has a fixed size and holds no pointer, so it can come from another process. */
struct scan_result {
    uint64_t size;  /* bytes */
    uint64_t lines; /* newline characters, as wc -l counts */
    double entropy; /* bits per byte: 0 for one byte repeated, 8 for random ones */
    unsigned char sha256[SHA256_SIZE];
    struct scan_word words[SCAN_TOP_WORDS];
};

/* The task function, the same for both isolations.  Its input is the file's path with its final 0 byte; its reply is a
 * struct scan_result; what it returns is 0, or the errno that stopped it. */
tandem_fn scan_file;

#endif
