// SPDX-License-Identifier: MIT
/*
 * fragment: see fragment.h.
 *
 * A run is looked up by (receiver index, counter of its piece 0): first where the latest piece was, for pieces come one behind the other,
 * then in a hash table. A piece of no known run opens one, unless the run has ended already (completed, contradicted, timed out, pushed
 * out): these are remembered, so that a late piece does not count the same frame as lost a second time. Runs are in a list by birth; both
 * time and want of room take the oldest, at its end. The caller's memory:
 *
 *   | runs | buckets | ended | bytes of the first run's frame | of the second's | ...
 *
 * Places are used again last in, first out: what is in the cache, and no more memory than frames were ever unfinished at a time.
 */
#include "ethercord/fragment.h"

#include <string.h>

#include "ethercord/ecn.h"

enum {
    NONE = UINT32_MAX >> 1, // no place in `runs`
    STRIDE_UNIT = 64,       // a line of the cache
    SORTED_BACK_MAX = 64    // places that a run may have to go back among those of the same moment
};
// Multiplicative hashing (Knuth, TAOCP 6.4): first counters often differ by multiples of the number of pieces. Any odd number does for
// that; a secret one also keeps few counters in a bucket that were chosen to meet (Dietzfelbinger et al., 1997).
#define MULTIPLIER UINT64_C(0x9e3779b97f4a7c15)
_Static_assert((FRAGMENT_ENDED & (FRAGMENT_ENDED - 1)) == 0, "a place in the table is a counter's low bits");
_Static_assert((int)REASSEMBLY_MEMORY_MIN / 2 == FRAGMENT_ENDED * (int)sizeof(struct fragment_ended), "half of the least for those");
_Static_assert(REASSEMBLY_MEMORY_MIN / 2 / (FRAME_MAX + 2 * STRIDE_UNIT) >= 7, "a few of the largest frames");

/* ---- pieces ---- */

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

// records_decode() has looked at most of this; memory is written by these numbers, so they are not taken on trust. DROP_COUNT = right.
static enum drop_reason check_piece(const struct fragment *fragment, size_t frame_len_max)
{
    if (fragment->count == 0 || fragment->count > FRAGMENTS_MAX || fragment->index >= fragment->count)
        return DROP_BAD_FRAGMENT;
    if (fragment->len == 0 || fragment->len > fragment->size || (!is_last(fragment) && fragment->len != fragment->size))
        return DROP_BAD_FRAGMENT;
    size_t least_len = len_without_last(fragment->size, fragment->count) + (is_last(fragment) ? fragment->len : 1U);
    if (least_len > FRAME_MAX)
        return DROP_BAD_FRAGMENT;
    return least_len > frame_len_max ? DROP_EXCEEDS_TAP_MTU : DROP_COUNT;
}

static bool agrees_with_run(const struct fragment_run *run, const struct fragment *fragment)
{
    if (fragment->size != run->size || fragment->count != run->count)
        return false;
    return !is_last(fragment) || run->last_len == 0 || run->last_len == fragment->len;
}

/* ---- runs that have ended ---- */

static struct fragment_ended ended_of(uint32_t receiver_index, uint64_t first_counter)
{
    // Runs that only differ above are 2^45 counters apart, which no key lives to see.
    return (struct fragment_ended){.receiver_index = receiver_index, .counter_high = (uint32_t)(first_counter / FRAGMENT_ENDED)};
}

static void note_ended(struct reassembly *reassembly, uint32_t receiver_index, uint64_t first_counter)
{
    reassembly->ended[first_counter % FRAGMENT_ENDED] = ended_of(receiver_index, first_counter);
}

static bool has_ended(const struct reassembly *reassembly, const struct fragment *fragment)
{
    const struct fragment_ended *there = &reassembly->ended[first_counter_of(fragment) % FRAGMENT_ENDED];
    struct fragment_ended sought = ended_of(fragment->receiver_index, first_counter_of(fragment));

    return there->counter_high == sought.counter_high && there->receiver_index == sought.receiver_index;
}

/* ---- runs ---- */

static uint32_t place_of(const struct reassembly *reassembly, const struct fragment_run *run)
{
    return (uint32_t)(run - reassembly->runs);
}

static uint32_t *bucket_of(const struct reassembly *reassembly, uint32_t receiver_index, uint64_t first_counter)
{
    uint64_t key = first_counter ^ (uint64_t)receiver_index << 32;
    return &reassembly->buckets[key * reassembly->multiplier >> reassembly->hash_shift];
}

static bool is_of_run(const struct fragment_run *run, const struct fragment *fragment)
{
    return run->first_counter == first_counter_of(fragment) && run->receiver_index == fragment->receiver_index;
}

static struct fragment_run *find_run(struct reassembly *reassembly, const struct fragment *fragment)
{
    if (reassembly->last != NONE && is_of_run(&reassembly->runs[reassembly->last], fragment))
        return &reassembly->runs[reassembly->last];
    uint32_t at = *bucket_of(reassembly, fragment->receiver_index, first_counter_of(fragment));
    while (at != NONE && !is_of_run(&reassembly->runs[at], fragment))
        at = reassembly->runs[at].next;
    return at == NONE ? NULL : &reassembly->runs[at];
}

static void count_unfinished(struct reassembly *reassembly, uint32_t change)
{
    uint32_t n = atomic_load_explicit(&reassembly->n_unfinished, memory_order_relaxed);
    atomic_store_explicit(&reassembly->n_unfinished, n + change, memory_order_relaxed);
}

static void take_from_bucket(struct reassembly *reassembly, const struct fragment_run *run)
{
    uint32_t *link = bucket_of(reassembly, run->receiver_index, run->first_counter);
    while (*link != place_of(reassembly, run))
        link = &reassembly->runs[*link].next;
    *link = run->next;
}

static void take_from_list(struct reassembly *reassembly, const struct fragment_run *run)
{
    *(run->older == NONE ? &reassembly->oldest : &reassembly->runs[run->older].newer) = run->newer;
    *(run->newer == NONE ? &reassembly->newest : &reassembly->runs[run->newer].older) = run->older;
}

// The run's bytes stay as they are until the place is taken again.
static void end_run(struct reassembly *reassembly, struct fragment_run *run)
{
    uint32_t place = place_of(reassembly, run);

    note_ended(reassembly, run->receiver_index, run->first_counter);
    take_from_bucket(reassembly, run);
    take_from_list(reassembly, run);
    if (reassembly->last == place)
        reassembly->last = NONE;
    run->next = reassembly->free;
    reassembly->free = place;
    count_unfinished(reassembly, UINT32_MAX); // one less
}

// The times of a batch are equal; within a keypair the lower counter is the older one. So far as the order goes back at all: a peer that
// turns it round would have each run walk past all others.
static void put_into_list(struct reassembly *reassembly, struct fragment_run *run)
{
    uint32_t older = reassembly->newest, newer = NONE;

    for (int i = 0; i < SORTED_BACK_MAX && older != NONE; i++) {
        const struct fragment_run *other = &reassembly->runs[older];
        if (other->born_ns != run->born_ns || other->first_counter < run->first_counter)
            break;
        newer = older;
        older = other->older;
    }
    run->older = older;
    run->newer = newer;
    *(older == NONE ? &reassembly->oldest : &reassembly->runs[older].newer) = place_of(reassembly, run);
    *(newer == NONE ? &reassembly->newest : &reassembly->runs[newer].older) = place_of(reassembly, run);
}

static void make_room(struct reassembly *reassembly, struct counters *counters)
{
    if (reassembly->free != NONE)
        return;
    end_run(reassembly, &reassembly->runs[reassembly->oldest]);
    count_drop(counters, DROP_FRAGMENT_NO_ROOM);
}

static struct fragment_run *open_run(struct reassembly *reassembly, const struct fragment *fragment, uint64_t now_ns)
{
    uint32_t *bucket = bucket_of(reassembly, fragment->receiver_index, first_counter_of(fragment));
    struct fragment_run *run = &reassembly->runs[reassembly->free];

    reassembly->free = run->next;
    *run = (struct fragment_run){
        .first_counter = first_counter_of(fragment),
        .born_ns = now_ns,
        .receiver_index = fragment->receiver_index,
        .next = *bucket,
        .size = fragment->size,
        .count = fragment->count,
        .ecn = fragment->ecn,
    };
    *bucket = place_of(reassembly, run);
    put_into_list(reassembly, run);
    count_unfinished(reassembly, 1);
    return run;
}

static uint8_t *bytes_of(const struct reassembly *reassembly, const struct fragment_run *run)
{
    return reassembly->bytes + place_of(reassembly, run) * reassembly->stride;
}

static void store_piece(struct reassembly *reassembly, struct fragment_run *run, const struct fragment *fragment)
{
    uint64_t bit = UINT64_C(1) << fragment->index;
    if (run->have & bit)
        return;
    memcpy(bytes_of(reassembly, run) + (size_t)run->size * fragment->index, fragment->body, fragment->len);
    run->have |= bit;
    if (fragment->ecn == ECN_CE)
        run->ecn = ECN_CE;
    if (is_last(fragment))
        run->last_len = fragment->len;
    reassembly->last = place_of(reassembly, run);
}

// The piece is wrong, and with it all that it belongs to. An unknown run takes no place: it must not push out another.
static void refuse(struct reassembly *reassembly, struct fragment_run *run, const struct fragment *fragment)
{
    if (run)
        end_run(reassembly, run);
    else
        note_ended(reassembly, fragment->receiver_index, first_counter_of(fragment));
}

/* ---- memory ---- */

static size_t stride_of(const struct reassembly_limits *limits)
{
    return (limits->frame_len_max + STRIDE_UNIT - 1) / STRIDE_UNIT * STRIDE_UNIT;
}

// As a power of two: twice as many as runs at the most.
static unsigned bucket_bits(size_t n_runs)
{
    unsigned bits = 1;
    while (n_runs >> bits)
        bits++;
    return bits;
}

static size_t tables_bytes(size_t n_runs)
{
    size_t n_buckets = (size_t)1 << bucket_bits(n_runs);
    return n_runs * sizeof(struct fragment_run) + n_buckets * sizeof(uint32_t) + FRAGMENT_ENDED * sizeof(struct fragment_ended);
}

static size_t count_fitting(const struct reassembly_limits *limits)
{
    size_t n = limits->memory_bytes / (stride_of(limits) + sizeof(struct fragment_run));

    while (n > 0 && tables_bytes(n) + n * stride_of(limits) > limits->memory_bytes)
        n--;
    return n < NONE ? n : NONE;
}

size_t reassembly_needs(const struct reassembly_limits *limits)
{
    size_t n = count_fitting(limits);

    return n == 0 ? 0 : tables_bytes(n) + n * stride_of(limits);
}

void reassembly_limits_default(struct reassembly_limits *limits)
{
    *limits = (struct reassembly_limits){
        .memory_bytes = REASSEMBLY_MEMORY_DEFAULT,
        .frame_len_max = FRAME_MAX,
        .timeout_ns = (uint64_t)REASSEMBLY_TIMEOUT_MS_DEFAULT * 1000000,
    };
}

void reassembly_init(struct reassembly *reassembly, const struct reassembly_limits *limits, void *memory)
{
    uint32_t n = (uint32_t)count_fitting(limits);
    size_t n_buckets = (size_t)1 << bucket_bits(n);

    *reassembly = (struct reassembly){.limits = *limits, .stride = stride_of(limits), .n_runs = n, .hash_shift = 64 - bucket_bits(n)};
    reassembly->multiplier = (limits->secret ^ MULTIPLIER) | 1;
    reassembly->runs = memory;
    reassembly->buckets = (uint32_t *)(reassembly->runs + n);
    reassembly->ended = (struct fragment_ended *)(reassembly->buckets + n_buckets);
    reassembly->bytes = (uint8_t *)(reassembly->ended + FRAGMENT_ENDED);
    reassembly->oldest = reassembly->newest = reassembly->last = NONE;
    for (uint32_t i = 0; i < n; i++)
        reassembly->runs[i] = (struct fragment_run){.next = i + 1 < n ? i + 1 : NONE};
    for (size_t i = 0; i < n_buckets; i++)
        reassembly->buckets[i] = NONE;
    memset(reassembly->ended, 0xff, FRAGMENT_ENDED * sizeof *reassembly->ended); // a counter that no key reaches
}

uint32_t reassembly_cap(const struct reassembly *reassembly)
{
    return reassembly->n_runs;
}

uint32_t reassembly_unfinished(const struct reassembly *reassembly)
{
    return atomic_load_explicit(&reassembly->n_unfinished, memory_order_relaxed);
}

size_t reassembly_bytes(const struct reassembly *reassembly, uint32_t n)
{
    return n * (reassembly->stride + sizeof(struct fragment_run));
}

/* ---- the whole ---- */

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
    enum drop_reason verdict = check_piece(fragment, reassembly->limits.frame_len_max);
    if (run && !agrees_with_run(run, fragment))
        verdict = DROP_BAD_FRAGMENT;
    if (verdict != DROP_COUNT) {
        refuse(reassembly, run, fragment);
        count_drop(counters, verdict);
        return false;
    }
    if (!run) {
        make_room(reassembly, counters);
        run = open_run(reassembly, fragment, now_ns);
    }
    store_piece(reassembly, run, fragment);
    if (run->have != all_pieces(run->count))
        return false;
    *whole = (struct reassembled){
        .bytes = bytes_of(reassembly, run), .len = len_without_last(run->size, run->count) + run->last_len, .ecn = run->ecn};
    end_run(reassembly, run);
    return true;
}

uint64_t reassembly_expire(struct reassembly *reassembly, uint64_t now_ns, struct counters *counters)
{
    while (reassembly->oldest != NONE) {
        struct fragment_run *oldest = &reassembly->runs[reassembly->oldest];
        if (now_ns < oldest->born_ns + reassembly->limits.timeout_ns)
            return oldest->born_ns + reassembly->limits.timeout_ns;
        end_run(reassembly, oldest);
        count_drop(counters, DROP_FRAGMENT_TIMEOUT);
    }
    return 0;
}
