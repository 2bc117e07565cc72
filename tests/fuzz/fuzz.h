// SPDX-License-Identifier: MIT
/*
 * fuzz: what the targets share. An input is read from its front through a `struct reader` (bytes.h): numbers, and strings of bytes that are
 * copied to memory of exactly their length, so that AddressSanitizer sees a single byte too much. Past its end it gives zeros.
 *
 * What a target promises beyond "it does not crash" is said with ensure(): libFuzzer keeps the input that breaks it.
 */
#ifndef ETHERCORD_TESTS_FUZZ_H
#define ETHERCORD_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/log.h"

// libFuzzer calls the first once, if it is there, and the second with each input.
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Memory of exactly `len` bytes; free() it.
static inline uint8_t *fuzz_copy(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (!copy)
        abort();
    if (len)
        memcpy(copy, bytes, len);
    return copy;
}

struct fuzz_chunk {
    uint8_t *bytes;
    size_t len;
};

// The next two bytes tell its length, up to `max` and up to what is left; free() its bytes.
static inline struct fuzz_chunk fuzz_chunk(struct reader *in, size_t max)
{
    size_t len = reader_le16(in);

    len = len < in->left ? len : in->left;
    len = len < max ? len : max;
    return (struct fuzz_chunk){.bytes = fuzz_copy(in->at, len), .len = reader_take(in, len) ? len : 0};
}

// 0 … limit - 1.
static inline size_t fuzz_below(struct reader *in, size_t limit)
{
    return limit ? reader_le16(in) % limit : 0;
}

#endif
