/* scan_file.c - reads a file once, and measures everything on the way. */
#define _XOPEN_SOURCE 700
#include "scan_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE (64 * 1024)

/* The walk saw a regular file here, but by now the name may stand for anything: without O_NONBLOCK, opening what has
 * become a fifo would wait for its writer.  Returns a descriptor, or a negative errno. */
static int open_file(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return -errno;
    struct stat about;
    int error = fstat(file, &about) != 0 ? errno : S_ISDIR(about.st_mode) ? EISDIR : S_ISREG(about.st_mode) ? 0 : ENOTSUP;
    if (error == 0) return file;
    close(file);
    return -error;
}

static double entropy_of(const uint64_t counts[256], uint64_t size)
{
    double entropy = 0;
    for (int byte = 0; byte < 256; byte++) {
        if (counts[byte] > 0) entropy += (double)counts[byte] * log2((double)size / (double)counts[byte]);
    }
    return size > 0 ? entropy / (double)size : 0;
}

static int measure(tandem_context *context, int file, struct scan_words *words, struct scan_result *result)
{
    unsigned char block[BLOCK_SIZE];
    uint64_t counts[256] = {0};
    struct sha256 sha;
    sha256_begin(&sha);
    for (;;) {
        if (tandem_cancelled(context)) return ECANCELED;
        ssize_t got = read(file, block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) break;
        sha256_add(&sha, block, (size_t)got);
        for (ssize_t i = 0; i < got; i++) counts[block[i]]++;
        int error = scan_words_add(words, block, (size_t)got);
        if (error != 0) return error;
    }
    result->size = sha.length;
    result->lines = counts['\n'];
    result->entropy = entropy_of(counts, sha.length);
    sha256_end(&sha, result->sha256);
    return scan_words_end(words, result->words);
}

int scan_file(tandem_context *context, void *input, size_t input_size)
{
    (void)input_size;
    int file = open_file(input);
    if (file < 0) return -file;
    struct scan_words words = {0};
    struct scan_result result = {0};
    int error = measure(context, file, &words, &result);
    scan_words_free(&words);
    close(file);
    return error != 0 ? error : -tandem_reply(context, &result, sizeof result);
}
