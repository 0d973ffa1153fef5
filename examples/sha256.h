/* sha256.h - the SHA-256 digest of a stream of bytes (FIPS 180-4). */
#ifndef EXAMPLES_SHA256_H
#define EXAMPLES_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

struct sha256 {
    uint32_t state[8];
    uint64_t length;         /* bytes added so far */
    unsigned char block[64]; /* its first length % 64 bytes wait for the rest of their block */
};

void sha256_begin(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *data, size_t size);
void sha256_end(struct sha256 *sha, unsigned char digest[SHA256_SIZE]);

#endif
