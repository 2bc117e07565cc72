// SPDX-License-Identifier: MIT
/*
 * random: where random bytes come from. The core is handed a source, so that a test can make every run repeat itself.
 */
#ifndef ETHERCORD_RANDOM_H
#define ETHERCORD_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random_source {
    void (*fill)(void *ctx, void *out, size_t len);
    void *ctx;
};

static inline void random_fill(const struct random_source *random, void *out, size_t len)
{
    random->fill(random->ctx, out, len);
}

static inline uint32_t random_u32(const struct random_source *random)
{
    uint32_t value;
    random_fill(random, &value, sizeof value);
    return value;
}

#endif
