// SPDX-License-Identifier: MIT
/*
 * bytes: integers in and out of byte strings, and bounds-checked cursors.
 *
 * Loads and stores work at any alignment. A reader or writer remembers that it ran out of room instead of failing at each step:
 * do all the steps, then look at `is_short` once. Nothing outside the given range is ever touched; a short read gives zeros.
 */
#ifndef ETHERCORD_BYTES_H
#define ETHERCORD_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_be16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)load_be16(p) << 16 | load_be16(p + 2);
}

static inline uint64_t load_be64(const uint8_t *p)
{
    return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static inline uint16_t load_le16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[1] << 8 | p[0]);
}

static inline uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)load_le16(p + 2) << 16 | load_le16(p);
}

static inline uint64_t load_le64(const uint8_t *p)
{
    return (uint64_t)load_le32(p + 4) << 32 | load_le32(p);
}

static inline void store_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
    store_be16(p, (uint16_t)(v >> 16));
    store_be16(p + 2, (uint16_t)v);
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
    store_be32(p, (uint32_t)(v >> 32));
    store_be32(p + 4, (uint32_t)v);
}

static inline void store_le16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void store_le32(uint8_t *p, uint32_t v)
{
    store_le16(p, (uint16_t)v);
    store_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void store_le64(uint8_t *p, uint64_t v)
{
    store_le32(p, (uint32_t)v);
    store_le32(p + 4, (uint32_t)(v >> 32));
}

struct reader {
    const uint8_t *at;
    size_t left;
    bool is_short; // somebody asked for more than there was
};

struct writer {
    uint8_t *at;
    size_t left;
    bool is_short; // something did not fit; nothing was written since
};

static inline struct reader reader_of(const uint8_t *bytes, size_t len)
{
    return (struct reader){.at = bytes, .left = len, .is_short = false};
}

static inline struct writer writer_of(uint8_t *bytes, size_t cap)
{
    return (struct writer){.at = bytes, .left = cap, .is_short = false};
}

// The next `len` bytes in place, or NULL (and `is_short`) when fewer are left.
static inline const uint8_t *reader_take(struct reader *r, size_t len)
{
    if (r->is_short || len > r->left) {
        r->is_short = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += len;
    r->left -= len;
    return at;
}

static inline uint8_t reader_u8(struct reader *r)
{
    const uint8_t *p = reader_take(r, 1);
    return p ? *p : 0;
}

static inline uint16_t reader_le16(struct reader *r)
{
    const uint8_t *p = reader_take(r, 2);
    return p ? load_le16(p) : 0;
}

static inline uint32_t reader_le32(struct reader *r)
{
    const uint8_t *p = reader_take(r, 4);
    return p ? load_le32(p) : 0;
}

static inline uint64_t reader_le64(struct reader *r)
{
    const uint8_t *p = reader_take(r, 8);
    return p ? load_le64(p) : 0;
}

static inline void reader_copy(struct reader *r, uint8_t *out, size_t len)
{
    const uint8_t *p = reader_take(r, len);
    if (p)
        memcpy(out, p, len);
    else
        memset(out, 0, len);
}

// Room for the next `len` bytes, or NULL (and `is_short`) when it does not fit.
static inline uint8_t *writer_room(struct writer *w, size_t len)
{
    if (w->is_short || len > w->left) {
        w->is_short = true;
        return NULL;
    }
    uint8_t *at = w->at;
    w->at += len;
    w->left -= len;
    return at;
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
    uint8_t *p = writer_room(w, 1);
    if (p)
        *p = v;
}

static inline void writer_le16(struct writer *w, uint16_t v)
{
    uint8_t *p = writer_room(w, 2);
    if (p)
        store_le16(p, v);
}

static inline void writer_le32(struct writer *w, uint32_t v)
{
    uint8_t *p = writer_room(w, 4);
    if (p)
        store_le32(p, v);
}

static inline void writer_le64(struct writer *w, uint64_t v)
{
    uint8_t *p = writer_room(w, 8);
    if (p)
        store_le64(p, v);
}

static inline void writer_copy(struct writer *w, const void *bytes, size_t len)
{
    uint8_t *p = writer_room(w, len);
    if (p)
        memcpy(p, bytes, len);
}

#endif
