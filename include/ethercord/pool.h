// SPDX-License-Identifier: MIT
/*
 * pool: packet buffers. A fixed number of equal buffers, allocated once; each has exactly one owner at a time.
 *
 * Not thread-safe: each thread has its own pool. A buffer that was put back is poisoned (its `data` is NULL, its bytes are
 * overwritten in builds with POOL_POISON); putting back twice, or a buffer of another pool, is our bug and aborts.
 */
#ifndef ETHERCORD_POOL_H
#define ETHERCORD_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes with room before (headroom) and behind (tailroom) them: mem <= data, data + len <= mem + cap.
struct buf {
    uint8_t *mem;  // the whole buffer, 64-byte aligned
    size_t cap;    // bytes at mem
    uint8_t *data; // the bytes in use
    size_t len;    // how many
    struct buf *next_free;
    struct pool *owner; // NULL while it lies in the pool
};

struct pool {
    uint8_t *mem;
    struct buf *bufs;
    struct buf *first_free;
    size_t n_bufs;
    size_t n_free;
};

// Allocates `n_bufs` buffers of `cap` bytes (rounded up to 64). Start-up only. Returns 0 or -ENOMEM.
int pool_init(struct pool *pool, size_t n_bufs, size_t cap);
// Frees all; returns how many buffers had not come back (a leak: 0 is right).
size_t pool_deinit(struct pool *pool);
// Makes the kernel give all pages now, instead of each when something is first written there: then no traffic makes the process grow.
// For the time before any buffer is in use; its bytes are lost.
void pool_touch(struct pool *pool);

// A buffer whose `data` starts `headroom` bytes into it, len 0; NULL when all are out (an ordinary event: count a drop).
struct buf *pool_get(struct pool *pool, size_t headroom);
void pool_put(struct pool *pool, struct buf *buf);

static inline size_t buf_headroom(const struct buf *buf)
{
    return (size_t)(buf->data - buf->mem);
}

static inline size_t buf_tailroom(const struct buf *buf)
{
    return buf->cap - buf_headroom(buf) - buf->len;
}

// Grow to the front or to the back by `len`; return the first new byte. Too little room is our bug and aborts.
uint8_t *buf_push(struct buf *buf, size_t len);
uint8_t *buf_append(struct buf *buf, size_t len);

#endif
