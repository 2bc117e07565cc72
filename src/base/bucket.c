// SPDX-License-Identifier: MIT
/*
 * bucket: see the header. A token moves the time at which the bucket is full on by its share, and is refused when that would lie further
 * ahead than a whole burst. The table is made of small sets; the key chooses the set.
 */
#include "ethercord/bucket.h"

#include <sodium.h>
#include <string.h>

_Static_assert(BUCKET_SECRET_LEN == crypto_shorthash_KEYBYTES, "the secret is the key of the hash");

// When it is full again once so many tokens are taken; 0 = there are not so many.
static uint64_t full_after(const struct bucket_level *level, uint64_t n_tokens, uint64_t now_ns)
{
    uint64_t from_ns = *level->full_ns > now_ns ? *level->full_ns : now_ns;
    uint64_t taken_ns = n_tokens * level->rate.every_ns, depth_ns = level->rate.burst * level->rate.every_ns;

    // Not `from + taken - now > depth`: a clock that went far back must not make it wrap.
    return taken_ns > depth_ns || from_ns - now_ns > depth_ns - taken_ns ? 0 : from_ns + taken_ns;
}

bool bucket_take(uint64_t *full_ns, uint64_t every_ns, uint64_t burst, uint64_t now_ns)
{
    const struct bucket_level level = {full_ns, {every_ns, burst}};
    uint64_t until_ns = full_after(&level, 1, now_ns);

    if (until_ns == 0)
        return false;
    *full_ns = until_ns;
    return true;
}

bool bucket_take_both(const struct bucket_level *source, const struct bucket_level *total, uint64_t n_tokens, uint64_t now_ns)
{
    uint64_t source_ns = full_after(source, n_tokens, now_ns), total_ns = full_after(total, n_tokens, now_ns);

    if (source_ns == 0 || total_ns == 0)
        return false;
    *source->full_ns = source_ns;
    *total->full_ns = total_ns;
    return true;
}

uint64_t bucket_key(const uint8_t *name, size_t len, const uint8_t secret[static BUCKET_SECRET_LEN])
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t key;

    crypto_shorthash(hash, name, len, secret);
    memcpy(&key, hash, sizeof key);
    return key;
}

struct bucket *bucket_find(struct bucket *places, size_t n_places, uint64_t key)
{
    struct bucket *set = &places[key % (n_places / BUCKET_WAYS) * BUCKET_WAYS], *oldest = set;

    for (size_t i = 0; i < BUCKET_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].full_ns < oldest->full_ns)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.key = key};
    return oldest;
}
