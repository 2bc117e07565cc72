// SPDX-License-Identifier: MIT
/*
 * fragment: pieces of frames, well cut and badly, in any order and at any time. A frame that gets whole has the bytes of its pieces and a
 * permitted length; memory stays within what was given; when time has passed nothing is left.
 */
#include "ethercord/fragment.h"

#include "ethercord/clock.h"
#include "fuzz.h"

// Pieces of two frames never have a run in common, as counters are used once; but whoever has the keys may send them so, and then it is
// not said how long the whole is.
struct run {
    uint64_t first;
    uint32_t receiver_index;
};
enum { RUNS_MAX = 4096 };

struct bench {
    struct reassembly reassembly;
    struct counters counters;
    uint64_t now_ns, n_whole, n_pieces;
    struct run runs[RUNS_MAX]; // of which there was a piece
    size_t n_runs;
};

static bool is_fresh(const struct bench *bench, uint64_t first, uint32_t receiver_index)
{
    for (size_t i = 0; i < bench->n_runs; i++)
        if (bench->runs[i].first == first && bench->runs[i].receiver_index == receiver_index)
            return false;
    return bench->n_runs < RUNS_MAX;
}

// The byte at `at` of the frame whose first piece has that counter.
static uint8_t byte_of(uint64_t first_counter, size_t at)
{
    return (uint8_t)(first_counter * 7 + at * 31 + (at >> 8));
}

static uint64_t n_dropped(const struct bench *bench)
{
    uint64_t n = 0;

    for (int reason = 0; reason < DROP_COUNT; reason++)
        n += bench->counters.drops[reason];
    return n;
}

static bool add(struct bench *bench, struct fragment *fragment, struct reassembled *whole)
{
    uint64_t first = fragment->counter - fragment->index;
    uint8_t *body = malloc(fragment->len);

    ensure(body);
    if (is_fresh(bench, first, fragment->receiver_index))
        bench->runs[bench->n_runs++] = (struct run){first, fragment->receiver_index};
    for (size_t i = 0; i < fragment->len; i++)
        body[i] = byte_of(first, (size_t)fragment->index * fragment->size + i);
    fragment->body = body;
    bool is_whole = reassembly_add(&bench->reassembly, fragment, bench->now_ns, &bench->counters, whole);
    free(body);
    bench->n_pieces++;
    ensure(reassembly_unfinished(&bench->reassembly) <= reassembly_cap(&bench->reassembly));
    ensure(reassembly_bytes(&bench->reassembly, reassembly_unfinished(&bench->reassembly)) <= bench->reassembly.limits.memory_bytes);
    if (!is_whole)
        return false;
    bench->n_whole++;
    ensure(whole->len > 0 && whole->len <= bench->reassembly.limits.frame_len_max);
    for (size_t i = 0; i < whole->len; i++)
        ensure(whole->bytes[i] == byte_of(first, i));
    memset(whole->bytes, 0, whole->len); // it may be written to
    return true;
}

// As records_decode() lets them pass.
static void add_any(struct bench *bench, struct reader *in)
{
    struct reassembled whole;
    struct fragment fragment = {.receiver_index = reader_u8(in) % 4,
                                .counter = reader_u8(in),
                                .index = reader_u8(in) % FRAGMENTS_MAX,
                                .size = (uint16_t)(1 + reader_le16(in) % FRAME_MAX),
                                .ecn = reader_u8(in) & 3};

    fragment.count = (uint8_t)(fragment.index + 1U + (fragment.index == 0) + reader_u8(in) % 4U);
    if (fragment.count > FRAGMENTS_MAX)
        fragment.count = FRAGMENTS_MAX;
    if (fragment.index >= fragment.count)
        return;
    fragment.len = fragment.size;
    if (fragment.index == fragment.count - 1)
        fragment.len = (uint16_t)(1 + reader_le16(in) % fragment.size);
    (void)add(bench, &fragment, &whole);
}

static struct fragment piece(const struct fragment_plan *plan, uint8_t index, size_t len)
{
    size_t left = len - (size_t)index * plan->size;

    return (struct fragment){.index = index,
                             .count = plan->count,
                             .size = plan->size,
                             .len = (uint16_t)(left < plan->size ? left : plan->size),
                             .ecn = index & 3};
}

// A frame cut as tx does it, of which some pieces are lost, doubled or late.
static void add_frame(struct bench *bench, struct reader *in)
{
    struct fragment_plan plan;
    struct reassembled whole;
    size_t len = reader_le16(in) % (FRAME_MAX + 2), room = reader_le16(in) % 2048, unit = (size_t)reader_u8(in) + 1;
    uint32_t receiver_index = reader_u8(in) % 4U;
    uint64_t first = (uint64_t)reader_le16(in) * unit, lost = reader_le64(in), doubled = reader_le64(in);
    bool is_backwards = reader_u8(in) & 1;

    if (!fragment_plan(&plan, len, room)) {
        ensure(len == 0 || len > FRAME_MAX || room == 0 || (len + room - 1) / room > FRAGMENTS_MAX);
        return;
    }
    ensure(plan.count >= 1 && plan.count <= FRAGMENTS_MAX && plan.size <= room && (size_t)plan.size * plan.count >= len);
    ensure((size_t)plan.size * (plan.count - 1U) < len);
    if (plan.count < 2)
        return;
    bool is_alone = is_fresh(bench, first, receiver_index);
    for (uint8_t i = 0; i < plan.count; i++) {
        uint8_t index = is_backwards ? (uint8_t)(plan.count - 1 - i) : i;
        struct fragment fragment = piece(&plan, index, len);
        fragment.receiver_index = receiver_index;
        fragment.counter = first + index;
        if (lost >> (index % 64U) & 1)
            continue;
        bool is_whole = add(bench, &fragment, &whole);
        ensure(!is_whole || !is_alone || whole.len == len);
        if (doubled >> (index % 64U) & 1)
            ensure(!add(bench, &fragment, &whole) || !is_whole);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench bench;
    static const size_t lens[] = {FRAME_MAX, 1522, 600};
    struct reader in = reader_of(data, size);
    struct reassembly_limits limits;

    memset(&bench, 0, sizeof bench);
    reassembly_limits_default(&limits);
    limits.memory_bytes = REASSEMBLY_MEMORY_MIN;
    limits.frame_len_max = lens[reader_u8(&in) % 3];
    limits.secret = reader_u8(&in);
    size_t needed = reassembly_needs(&limits);
    ensure(needed > 0 && needed <= limits.memory_bytes);
    void *memory = malloc(needed);
    ensure(memory);
    reassembly_init(&bench.reassembly, &limits, memory);
    while (in.left > 0 && !in.is_short)
        switch (reader_u8(&in) % 4) {
        case 0:
            bench.now_ns += reader_u8(&in) * (10 * NS_PER_MS);
            break;
        case 1:
            ensure((reassembly_expire(&bench.reassembly, bench.now_ns, &bench.counters) != 0) ==
                   (reassembly_unfinished(&bench.reassembly) != 0));
            break;
        case 2:
            add_any(&bench, &in);
            break;
        default:
            add_frame(&bench, &in);
        }
    bench.now_ns += limits.timeout_ns + 1;
    ensure(reassembly_expire(&bench.reassembly, bench.now_ns, &bench.counters) == 0);
    ensure(reassembly_unfinished(&bench.reassembly) == 0);
    ensure(n_dropped(&bench) + bench.n_whole <= bench.n_pieces);
    free(memory);
    return 0;
}
