// SPDX-License-Identifier: MIT
/*
 * bucket: token buckets, each in the form of a single time, at which it will be full again (the generic cell rate algorithm), and a table
 * of them for sources that are not known beforehand.
 *
 * The table has fixed memory. A source that is new takes the place that has been unused for longest, so nobody is ever refused because it
 * is full; the key is a hash under a secret, so nobody can aim at somebody else's place. No clock: the time is an argument (boot-time ns).
 */
#ifndef ETHERCORD_BUCKET_H
#define ETHERCORD_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A token comes back each `every_ns`; `burst` of them fill the bucket.
struct bucket_rate {
    uint64_t every_ns, burst;
};
#define BUCKET_RATE(per_s, burst_max) ((struct bucket_rate){.every_ns = NS_PER_S / (per_s), .burst = (burst_max)})

// Takes a token if there is one, else nothing changes. `full_ns`: 0 at first.
bool bucket_take(uint64_t *full_ns, uint64_t every_ns, uint64_t burst, uint64_t now_ns) __attribute__((warn_unused_result));

struct bucket_level {
    uint64_t *full_ns;
    struct bucket_rate rate;
};
// Takes `n_tokens` from one source's bucket and from that of all together, or from neither.
bool bucket_take_both(const struct bucket_level *source, const struct bucket_level *total, uint64_t n_tokens, uint64_t now_ns)
    __attribute__((warn_unused_result));

enum { BUCKET_WAYS = 4, BUCKET_SECRET_LEN = 16 }; // places that one source may take
struct bucket {
    uint64_t key; // of the source; 0 with full_ns 0 = free
    uint64_t full_ns;
};
// Of whatever names a source.
uint64_t bucket_key(const uint8_t *name, size_t len, const uint8_t secret[static BUCKET_SECRET_LEN]);
// The source's place in the table; `n_places` is a multiple of BUCKET_WAYS.
struct bucket *bucket_find(struct bucket *places, size_t n_places, uint64_t key);

#endif
