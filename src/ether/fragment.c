// SPDX-License-Identifier: MIT
/*
 * fragment: see fragment.h.
 *
 * A run is looked up by (receiver index, counter of its piece 0). A piece of no known run opens one, unless the run has ended already
 * (completed, contradicted, timed out, pushed out): the last FRAGMENT_ENDED of these are remembered, so that a late piece does not count
 * the same frame as lost a second time. Both tables are small and searched from the front.
 */
#include "ethercord/fragment.h"

#include <string.h>

#include "ethercord/ecn.h"

static uint64_t first_counter_of(const struct fragment *fragment)
{
    return fragment->counter - fragment->index;
}

static bool is_last(const struct fragment *fragment)
{
    return fragment->index == fragment->count - 1;
}

// Bytes before the last piece.
static size_t len_without_last(uint16_t size, uint8_t count)
{
    return (size_t)size * (count - 1U);
}

static uint64_t all_pieces(uint8_t count)
{
    return (UINT64_C(1) << (count - 1) << 1) - 1; // in two steps: a shift by 64 is undefined
}

// records_decode() has looked at most of this; memory is written by these numbers, so they are not taken on trust.
static bool is_possible(const struct fragment *fragment)
{
    if (fragment->count == 0 || fragment->count > FRAGMENTS_MAX || fragment->index >= fragment->count)
        return false;
    if (fragment->len == 0 || fragment->len > fragment->size)
        return false;
    if (is_last(fragment))
        return len_without_last(fragment->size, fragment->count) + fragment->len <= FRAME_MAX;
    return fragment->len == fragment->size && len_without_last(fragment->size, fragment->count) + 1 <= FRAME_MAX;
}

static bool agrees_with_run(const struct fragment_run *run, const struct fragment *fragment)
{
    if (fragment->size != run->size || fragment->count != run->count)
        return false;
    return !is_last(fragment) || run->last_len == 0 || run->last_len == fragment->len;
}

static struct fragment_run *find_run(struct reassembly *reassembly, const struct fragment *fragment)
{
    for (size_t i = 0; i < FRAGMENT_RUNS; i++) {
        struct fragment_run *run = &reassembly->runs[i];
        if (run->is_used && run->first_counter == first_counter_of(fragment) && run->receiver_index == fragment->receiver_index)
            return run;
    }
    return NULL;
}

static bool has_ended(const struct reassembly *reassembly, const struct fragment *fragment)
{
    size_t n = reassembly->n_ended < FRAGMENT_ENDED ? (size_t)reassembly->n_ended : FRAGMENT_ENDED;
    for (size_t i = 0; i < n; i++) {
        const struct fragment_run_id *id = &reassembly->ended[i];
        if (id->first_counter == first_counter_of(fragment) && id->receiver_index == fragment->receiver_index)
            return true;
    }
    return false;
}

// The run's bytes stay as they are until the place is taken again.
static void end_run(struct reassembly *reassembly, struct fragment_run *run)
{
    reassembly->ended[reassembly->n_ended++ % FRAGMENT_ENDED] =
        (struct fragment_run_id){.receiver_index = run->receiver_index, .first_counter = run->first_counter};
    run->is_used = false;
}

// The times of a batch are equal; within a keypair the lower counter is the older one.
static bool is_older(const struct fragment_run *a, const struct fragment_run *b)
{
    return a->born_ns != b->born_ns ? a->born_ns < b->born_ns : a->first_counter < b->first_counter;
}

static struct fragment_run *make_room(struct reassembly *reassembly, struct counters *counters)
{
    struct fragment_run *oldest = &reassembly->runs[0];
    for (size_t i = 0; i < FRAGMENT_RUNS; i++) {
        struct fragment_run *run = &reassembly->runs[i];
        if (!run->is_used)
            return run;
        if (is_older(run, oldest))
            oldest = run;
    }
    end_run(reassembly, oldest);
    count_drop(counters, DROP_FRAGMENT_NO_ROOM);
    return oldest;
}

static struct fragment_run *open_run(struct reassembly *reassembly, const struct fragment *fragment, uint64_t now_ns,
                                     struct counters *counters)
{
    struct fragment_run *run = make_room(reassembly, counters);
    run->is_used = true;
    run->receiver_index = fragment->receiver_index;
    run->first_counter = first_counter_of(fragment);
    run->born_ns = now_ns;
    run->have = 0;
    run->size = fragment->size;
    run->count = fragment->count;
    run->last_len = 0;
    run->ecn = fragment->ecn;
    return run;
}

static void store_piece(struct fragment_run *run, const struct fragment *fragment)
{
    uint64_t bit = UINT64_C(1) << fragment->index;
    if (run->have & bit)
        return;
    memcpy(run->bytes + (size_t)run->size * fragment->index, fragment->body, fragment->len);
    run->have |= bit;
    if (fragment->ecn == ECN_CE)
        run->ecn = ECN_CE;
    if (is_last(fragment))
        run->last_len = fragment->len;
}

bool fragment_plan(struct fragment_plan *plan, size_t len, size_t room)
{
    if (len == 0 || len > FRAME_MAX || room == 0)
        return false;
    // Written so that it can't overflow whatever the room is.
    size_t count = (len - 1) / room + 1;
    if (count > FRAGMENTS_MAX)
        return false;
    plan->count = (uint8_t)count;
    plan->size = (uint16_t)((len - 1) / count + 1);
    return true;
}

bool reassembly_add(struct reassembly *reassembly, const struct fragment *fragment, uint64_t now_ns, struct counters *counters,
                    struct reassembled *whole)
{
    if (fragment->index > fragment->counter) {
        count_drop(counters, DROP_BAD_FRAGMENT); // it belongs to no run
        return false;
    }
    (void)reassembly_expire(reassembly, now_ns, counters);
    struct fragment_run *run = find_run(reassembly, fragment);
    if (!run && has_ended(reassembly, fragment))
        return false;
    if (!run)
        run = open_run(reassembly, fragment, now_ns, counters);
    if (!is_possible(fragment) || !agrees_with_run(run, fragment)) {
        end_run(reassembly, run);
        count_drop(counters, DROP_BAD_FRAGMENT);
        return false;
    }
    store_piece(run, fragment);
    if (run->have != all_pieces(run->count))
        return false;
    end_run(reassembly, run);
    *whole = (struct reassembled){.bytes = run->bytes, .len = len_without_last(run->size, run->count) + run->last_len, .ecn = run->ecn};
    return true;
}

uint64_t reassembly_expire(struct reassembly *reassembly, uint64_t now_ns, struct counters *counters)
{
    uint64_t next = 0;
    for (size_t i = 0; i < FRAGMENT_RUNS; i++) {
        struct fragment_run *run = &reassembly->runs[i];
        if (!run->is_used)
            continue;
        uint64_t deadline = run->born_ns + FRAGMENT_TIMEOUT_NS;
        if (now_ns >= deadline) {
            end_run(reassembly, run);
            count_drop(counters, DROP_FRAGMENT_TIMEOUT);
        } else if (next == 0 || deadline < next) {
            next = deadline;
        }
    }
    return next;
}
