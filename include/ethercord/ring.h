// SPDX-License-Identifier: MIT
/*
 * ring: a bounded queue of byte messages from one thread to one other thread, without locks.
 *
 * Exactly one thread puts and exactly one gets. Messages come out whole and in order. A full ring refuses: what that means (a
 * counted drop, a later attempt) is the caller's to say. Waking the reader is the caller's too.
 */
#ifndef ETHERCORD_RING_H
#define ETHERCORD_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    uint8_t *mem;
    size_t cap;                       // power of two
    _Alignas(64) _Atomic size_t head; // bytes put, ever; written by the putting thread
    _Alignas(64) _Atomic size_t tail; // bytes taken, ever; written by the getting thread
};

// `cap` bytes, rounded up to a power of two. Start-up only. Returns 0 or -ENOMEM.
int ring_init(struct ring *ring, size_t cap);
// Wipes and frees the memory.
void ring_deinit(struct ring *ring);

// Put one message made of two parts (either may be empty). False when it does not fit now; nothing is put then.
bool ring_put(struct ring *ring, const void *first, size_t first_len, const void *second, size_t second_len);
// Copies the oldest message out and frees its room. Returns its length, or 0 when the ring is empty. A message longer than `cap` is
// our bug and aborts. Empty messages can't be put.
size_t ring_get(struct ring *ring, void *out, size_t cap);
bool ring_is_empty(struct ring *ring);
// For the putting thread: whether more than half of the room is taken. What can be done without should not be put then.
bool ring_is_crowded(struct ring *ring);

#endif
