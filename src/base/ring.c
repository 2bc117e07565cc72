// SPDX-License-Identifier: MIT
/*
 * ring: a byte ring with free-running positions; each message is its length (4 bytes) and then its bytes, both may wrap.
 *
 * Only the putting thread writes `head`, only the getting thread writes `tail`. Each publishes its own position with release after it
 * has touched the bytes, and reads the other's with acquire before it touches them: the bytes between tail and head belong to the
 * getter, the others to the putter. Positions wrap together with size_t, which is harmless since the capacity is a power of two.
 */
#include "ethercord/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/log.h"

enum { LENGTH_BYTES = 4, CAP_MIN = 64 };

static void copy_in(struct ring *ring, size_t position, const void *bytes, size_t len)
{
    size_t at = position & (ring->cap - 1);
    size_t until_end = ring->cap - at;
    size_t n = len < until_end ? len : until_end;

    if (len == 0)
        return; // `bytes` may be NULL then
    memcpy(ring->mem + at, bytes, n);
    memcpy(ring->mem, (const uint8_t *)bytes + n, len - n);
}

static void copy_out(const struct ring *ring, size_t position, void *out, size_t len)
{
    size_t at = position & (ring->cap - 1);
    size_t until_end = ring->cap - at;
    size_t n = len < until_end ? len : until_end;

    memcpy(out, ring->mem + at, n);
    memcpy((uint8_t *)out + n, ring->mem, len - n);
}

int ring_init(struct ring *ring, size_t cap)
{
    size_t rounded = CAP_MIN;

    *ring = (struct ring){0};
    if (cap > SIZE_MAX / 4 || cap > UINT32_MAX)
        return -ENOMEM;
    while (rounded < cap)
        rounded *= 2;
    ring->mem = calloc(1, rounded);
    if (!ring->mem)
        return -ENOMEM;
    ring->cap = rounded;
    return 0;
}

void ring_deinit(struct ring *ring)
{
    if (ring->mem)
        explicit_bzero(ring->mem, ring->cap);
    free(ring->mem);
    ring->mem = NULL;
    ring->cap = 0;
}

bool ring_put(struct ring *ring, const void *first, size_t first_len, const void *second, size_t second_len)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    size_t room = ring->cap - (head - tail);

    // One step at a time, so that no sum can overflow.
    if (room < LENGTH_BYTES || first_len > room - LENGTH_BYTES || second_len > room - LENGTH_BYTES - first_len)
        return false;
    size_t len = first_len + second_len;
    if (len == 0)
        return false;

    uint8_t length[LENGTH_BYTES];
    store_le32(length, (uint32_t)len);
    copy_in(ring, head, length, LENGTH_BYTES);
    copy_in(ring, head + LENGTH_BYTES, first, first_len);
    copy_in(ring, head + LENGTH_BYTES + first_len, second, second_len);
    atomic_store_explicit(&ring->head, head + LENGTH_BYTES + len, memory_order_release);
    return true;
}

size_t ring_get(struct ring *ring, void *out, size_t cap)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);

    if (head == tail)
        return 0;
    uint8_t length[LENGTH_BYTES];
    copy_out(ring, tail, length, LENGTH_BYTES);
    size_t len = load_le32(length);
    ensure(len <= cap && len <= head - tail - LENGTH_BYTES);
    copy_out(ring, tail + LENGTH_BYTES, out, len);
    atomic_store_explicit(&ring->tail, tail + LENGTH_BYTES + len, memory_order_release);
    return len;
}

bool ring_is_empty(struct ring *ring)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    return atomic_load_explicit(&ring->head, memory_order_acquire) == tail;
}

bool ring_is_crowded(struct ring *ring)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    return atomic_load_explicit(&ring->head, memory_order_relaxed) - tail > ring->cap / 2;
}
