// SPDX-License-Identifier: MIT
/*
 * pool: one block of memory cut into equal buffers, and a stack of the free ones.
 *
 * The last one put back is the first one out: it is the one that the processor's cache still holds. A buffer that lies in the pool has
 * no owner and no data, and its first bytes are a pattern, so that a use after put shows at once (NULL) or soon (nonsense).
 */
#include "ethercord/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/log.h"

enum {
    BUF_ALIGN = 64,     // a cache line, and what the AES and ChaCha20 code of libsodium likes best
    POISON_BYTE = 0xa5, // no Ethernet header, message type or length that could pass for a real one
    POISON_BYTES = BUF_ALIGN
};

static void poison(struct buf *buf)
{
#ifdef POOL_POISON
    memset(buf->mem, POISON_BYTE, buf->cap);
#else
    memset(buf->mem, POISON_BYTE, POISON_BYTES);
#endif
}

static void push_free(struct pool *pool, struct buf *buf)
{
    poison(buf);
    buf->data = NULL;
    buf->len = 0;
    buf->owner = NULL;
    buf->next_free = pool->first_free;
    pool->first_free = buf;
    pool->n_free++;
}

int pool_init(struct pool *pool, size_t n_bufs, size_t cap)
{
    size_t rounded = (cap + BUF_ALIGN - 1) / BUF_ALIGN * BUF_ALIGN;

    *pool = (struct pool){0};
    ensure(n_bufs > 0 && cap > 0);
    if (rounded < cap || rounded > SIZE_MAX / 2 / n_bufs)
        return -ENOMEM;
    pool->mem = aligned_alloc(BUF_ALIGN, n_bufs * rounded);
    pool->bufs = calloc(n_bufs, sizeof *pool->bufs);
    if (!pool->mem || !pool->bufs) {
        free(pool->mem);
        free(pool->bufs);
        *pool = (struct pool){0};
        return -ENOMEM;
    }
    pool->n_bufs = n_bufs;
    for (size_t i = n_bufs; i-- > 0;) {
        pool->bufs[i].mem = pool->mem + i * rounded;
        pool->bufs[i].cap = rounded;
        push_free(pool, &pool->bufs[i]);
    }
    return 0;
}

size_t pool_deinit(struct pool *pool)
{
    size_t n_leaked = pool->n_bufs - pool->n_free;

    free(pool->bufs);
    free(pool->mem);
    *pool = (struct pool){0};
    return n_leaked;
}

void pool_touch(struct pool *pool)
{
    for (size_t i = 0; i < pool->n_bufs; i++)
        memset(pool->bufs[i].mem, POISON_BYTE, pool->bufs[i].cap);
}

struct buf *pool_get(struct pool *pool, size_t headroom)
{
    struct buf *buf = pool->first_free;

    if (!buf)
        return NULL;
    ensure(headroom <= buf->cap);
    pool->first_free = buf->next_free;
    pool->n_free--;
    buf->next_free = NULL;
    buf->owner = pool;
    buf->data = buf->mem + headroom;
    buf->len = 0;
    return buf;
}

void pool_put(struct pool *pool, struct buf *buf)
{
    ensure(buf->owner == pool); // NULL: put back twice
    push_free(pool, buf);
}

uint8_t *buf_push(struct buf *buf, size_t len)
{
    ensure(len <= buf_headroom(buf));
    buf->data -= len;
    buf->len += len;
    return buf->data;
}

uint8_t *buf_append(struct buf *buf, size_t len)
{
    ensure(len <= buf_tailroom(buf));
    uint8_t *at = buf->data + buf->len;
    buf->len += len;
    return at;
}
