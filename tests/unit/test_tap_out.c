// SPDX-License-Identifier: MIT
/*
 * test_tap_out: what is left to a TAP and what is done before, at each level of offload; a TAP that refuses what it offered; and that each
 * frame is counted once, whatever became of it. The TAP is one in memory.
 */
#include <errno.h>
#include <stdlib.h>

#include "ethercord/log.h"
#include "ethercord/tap_out.h"
#include "test_packets.h"

enum { SINK_MAX = 80, NOW = 1000, N_FRAMES = 7 };

// ---- the TAP

struct written {
    uint8_t bytes[PACKET_CAP];
    size_t len;
    struct offload offload;
};

static struct written sink[SINK_MAX];
static size_t n_sunk, n_calls;
static int answers[SINK_MAX];                         // to each call: 0 = takes it, else negative errno
static int (*refuses)(const struct tap_frame *frame); // asked when there is none
static struct tap tap;
static struct counters counters;
static struct tap_out out;
static struct packet_bytes packet;

static int write_batch(struct tap *same, const struct tap_frame *frames, int n)
{
    assert_ptr_equal(same, &tap);
    assert_int_equal(n, 1);
    int answer = n_calls < SINK_MAX ? answers[n_calls] : 0;
    n_calls++;
    if (!answer && refuses)
        answer = refuses(frames);
    if (answer)
        return answer;
    assert_true(n_sunk < SINK_MAX);
    struct written *written = &sink[n_sunk++];
    if (frames->headers_len)
        memcpy(written->bytes, frames->headers, frames->headers_len);
    memcpy(written->bytes + frames->headers_len, frames->bytes, frames->len);
    written->len = frames->headers_len + frames->len;
    written->offload = frames->offload;
    return 1;
}

static void forget(void)
{
    memset(&counters, 0, sizeof counters);
    memset(answers, 0, sizeof answers);
    refuses = NULL;
    n_sunk = n_calls = 0;
}

static void start(enum tap_offload level, bool has_udp)
{
    static const struct tap_ops ops = {.write_batch = write_batch};

    tap = (struct tap){.ops = &ops, .fd = -1, .offload = level, .has_udp_offload = has_udp};
    forget();
    tap_out_init(&out, &tap, &counters);
}

// ---- counters

static uint64_t traffic(enum traffic_counter counter)
{
    return atomic_load(&counters.traffic[counter]);
}

static uint64_t all_drops(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < DROP_COUNT; i++)
        sum += atomic_load(&counters.drops[i]);
    return sum;
}

static void check_written(size_t n_frames, size_t n_bytes, size_t n_super, size_t n_refused)
{
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_FRAMES), n_frames);
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_BYTES), n_bytes);
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_SUPER_FRAMES), n_super);
    assert_int_equal(traffic(COUNT_TAP_OFFLOAD_REFUSED), n_refused);
    assert_int_equal(all_drops(), 0);
}

static void check_dropped(enum drop_reason reason, size_t n_frames)
{
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_FRAMES), 0);
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_BYTES), 0);
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_SUPER_FRAMES), 0);
    assert_int_equal(atomic_load(&counters.drops[reason]), n_frames);
    assert_int_equal(all_drops(), n_frames);
}

// ---- packets

static struct tap_packet packet_to_write(const struct recipe *recipe, uint16_t gso_size, size_t trailer_len)
{
    struct tap_packet undone = {.headers = packet.b, .payload_len = recipe->payload_len, .trailer_len = trailer_len, .n_frames = N_FRAMES};

    make_packet(&packet, recipe, 1);
    memset(packet.b + packet.len, 0, trailer_len);
    parse_packet(&undone.packet, packet.b, packet.len);
    undone.payload = packet.b + packet.payload;
    undone.offload = super_of(recipe, &packet, gso_size);
    if (gso_size == 0)
        undone.offload.kind = SUPER_NONE;
    else
        undone.offload.headers_len = (uint16_t)packet.payload;
    return undone;
}

static void write_packet(const struct recipe *recipe, uint16_t gso_size, size_t trailer_len)
{
    struct tap_packet undone = packet_to_write(recipe, gso_size, trailer_len);

    tap_out_write_packet(&out, &undone, NOW);
}

// It went out as it was.
static void check_undone(const struct recipe *recipe, uint16_t gso_size)
{
    static struct packet_bytes same;
    struct offload expected = super_of(recipe, &packet, gso_size);
    const struct written *written = &sink[n_sunk - 1];

    make_packet(&same, recipe, 1);
    assert_int_equal(written->len, packet.len);
    assert_memory_equal(written->bytes, same.b, same.len);
    assert_true(written->offload.is_partial);
    assert_int_equal(written->offload.kind, gso_size ? expected.kind : SUPER_NONE);
    assert_int_equal(written->offload.gso_size, gso_size);
    assert_int_equal(written->offload.headers_len, gso_size ? packet.payload : 0);
    assert_int_equal(written->offload.checksum_start, packet.l4);
    assert_int_equal(written->offload.checksum_offset, l4_checksum_at(recipe));
}

// It went out with its checksum, nothing undone.
static void check_completed(const struct written *written, const struct recipe *recipe, size_t trailer_len)
{
    static struct packet_bytes whole;
    static const struct offload nothing;
    struct recipe finished = *recipe;

    finished.is_whole = true;
    make_packet(&whole, &finished, 1);
    memset(whole.b + whole.len, 0, trailer_len);
    assert_int_equal(written->len, whole.len + trailer_len);
    assert_memory_equal(written->bytes, whole.b, written->len);
    assert_same_offload(&written->offload, &nothing);
}

// It was cut at gso_size, each piece as it has to be: with its checksum, or where the TAP takes it undone, without if it is long enough.
static void check_cut(size_t first, const struct recipe *recipe, uint16_t gso_size, bool takes_undone)
{
    static struct packet_bytes whole;
    static uint8_t expected[PACKET_CAP];
    static const struct offload nothing;
    size_t n = 0;

    make_packet(&whole, recipe, 1);
    for (size_t at = 0; at < recipe->payload_len; at += gso_size, n++) {
        const struct written *written = &sink[first + n];
        size_t left = recipe->payload_len - at, len = left < gso_size ? left : gso_size, field = whole.l4 + l4_checksum_at(recipe);
        bool is_partial = takes_undone && whole.payload + len >= 256;
        naive_piece(recipe, &whole, at, len, gso_size, expected);
        assert_int_equal(written->len, whole.payload + len);
        if (is_partial) {
            struct offload partial = super_of(recipe, &whole, 0);
            partial.kind = SUPER_NONE;
            assert_same_offload(&written->offload, &partial);
            assert_true(same_sum(get16(written->bytes + field), pseudo_sum(recipe, expected + whole.l3, written->len - whole.l4)));
            memcpy(expected + field, written->bytes + field, 2);
        } else {
            assert_same_offload(&written->offload, &nothing);
        }
        assert_memory_equal(written->bytes, expected, written->len);
    }
    assert_int_equal(n_sunk, first + n);
}

static const struct recipe tcp4 = {.version = 4, .protocol = IPPROTO_TCP, .tcp_words = 3, .payload_len = 6000, .id = 0xfffe};
static const struct recipe tcp6 = {.version = 6, .protocol = IPPROTO_TCP, .tcp_words = 3, .payload_len = 6000, .n_tags = 1};
static const struct recipe udp4 = {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 6000, .n_tags = 2};
static const struct recipe udp6 = {.version = 6, .protocol = IPPROTO_UDP, .payload_len = 6000};
static const struct recipe *const all[] = {&tcp4, &tcp6, &udp4, &udp6};

// ---- tests

static void a_frame_goes_as_it_is(void **state)
{
    (void)state;
    uint8_t frame[100] = {1, 2, 3};
    for (int wanted = 0; wanted < TAP_OFFLOAD_COUNT; wanted++) {
        start((enum tap_offload)wanted, wanted == TAP_OFFLOAD_FULL);
        tap_out_write(&out, frame, sizeof frame, NOW);
        tap_out_write(&out, frame, 14, NOW);
        assert_int_equal(n_sunk, 2);
        assert_int_equal(sink[0].len, sizeof frame);
        assert_memory_equal(sink[0].bytes, frame, sizeof frame);
        assert_false(sink[0].offload.is_partial);
        assert_int_equal(sink[0].offload.kind, SUPER_NONE);
        check_written(2, sizeof frame + 14, 0, 0);
    }
}

static void a_refused_frame_is_counted(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum drop_reason reason;
    } rows[] = {{-EIO, DROP_TAP_DOWN},
                {-EINVAL, DROP_TAP_WRITE_FAILED},
                {-EBADFD, DROP_TAP_WRITE_FAILED},
                {-EAGAIN, DROP_TAP_WRITE_FAILED},
                {-ENOMEM, DROP_TAP_WRITE_FAILED}};
    uint8_t frame[100] = {0};
    for (size_t i = 0; i < N_OF(rows); i++) {
        start(TAP_OFFLOAD_FULL, true);
        answers[0] = rows[i].error;
        tap_out_write(&out, frame, sizeof frame, NOW);
        check_dropped(rows[i].reason, 1);
        tap_out_write(&out, frame, sizeof frame, NOW); // the one behind it
        assert_int_equal(traffic(COUNT_TAP_WRITTEN_FRAMES), 1);
        assert_int_equal(traffic(COUNT_TAP_OFFLOAD_REFUSED), 0);
    }
}

// Which of them is left to the TAP, at each level, with and without UDP.
static void levels_are_kept(void **state)
{
    (void)state;
    for (int wanted = 0; wanted < TAP_OFFLOAD_COUNT; wanted++)
        for (int has_udp = 0; has_udp < 2; has_udp++)
            for (size_t i = 0; i < N_OF(all); i++)
                for (int is_super = 0; is_super < 2; is_super++) {
                    start((enum tap_offload)wanted, has_udp);
                    uint16_t gso_size = is_super ? 1000 : 0;
                    bool is_taken = is_super ? wanted == TAP_OFFLOAD_FULL && (all[i]->protocol == IPPROTO_TCP || has_udp)
                                             : wanted >= TAP_OFFLOAD_CHECKSUM;
                    write_packet(all[i], gso_size, 0);
                    if (is_taken)
                        check_undone(all[i], gso_size);
                    else if (is_super)
                        check_cut(0, all[i], gso_size, wanted >= TAP_OFFLOAD_CHECKSUM);
                    else
                        check_completed(&sink[0], all[i], 0);
                    assert_int_equal(n_sunk, is_super && !is_taken ? 6 : 1);
                    check_written(N_FRAMES, packet.len, is_super && is_taken, 0);
                    assert_int_equal(atomic_load(&out.level), wanted);
                }
}

static void small_ones_are_completed(void **state)
{
    (void)state;
    for (int wanted = 0; wanted < TAP_OFFLOAD_COUNT; wanted++)
        for (size_t i = 0; i < N_OF(all); i++)
            for (size_t len = 100; len < 400; len++) { // of the frame
                struct recipe recipe = *all[i];
                recipe.payload_len = 0;
                make_packet(&packet, &recipe, 1);
                recipe.payload_len = len - packet.payload;
                start((enum tap_offload)wanted, true);
                write_packet(&recipe, 0, 0);
                assert_int_equal(n_sunk, 1);
                if (len < 256 || wanted == TAP_OFFLOAD_OFF)
                    check_completed(&sink[0], &recipe, 0);
                else
                    check_undone(&recipe, 0);
                check_written(N_FRAMES, len, 0, 0);
            }
}

// The kernel would sum the bytes behind the packet with it.
static void those_with_a_trailer_are_completed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(all); i++)
        for (size_t trailer_len = 1; trailer_len < 5; trailer_len++) {
            start(TAP_OFFLOAD_FULL, true);
            write_packet(all[i], 0, trailer_len);
            assert_int_equal(n_sunk, 1);
            check_completed(&sink[0], all[i], trailer_len);
            check_written(N_FRAMES, packet.len + trailer_len, 0, 0);
        }
}

static void dhcp_is_completed(void **state)
{
    (void)state;
    static const struct {
        uint16_t from, to;
        bool is_dhcp;
    } rows[] = {
        {67, 68, true},    {68, 67, true},    {67, 67, true},    {547, 546, true},    {546, 547, true},
        {547, 547, true},  {4711, 67, true},  {4711, 68, true},  {4711, 546, true},   {4711, 547, true},
        {67, 4711, true},  {547, 4711, true}, {66, 66, false},   {69, 69, false},     {545, 545, false},
        {548, 548, false}, {4711, 53, false}, {53, 4711, false}, {0x4300, 99, false}, {99, 0x4400, false},
    };
    for (size_t i = 0; i < N_OF(rows); i++)
        for (size_t r = 0; r < N_OF(all); r++)
            for (int is_super = 0; is_super < 2; is_super++) {
                bool is_taken = all[r]->protocol == IPPROTO_TCP || !rows[i].is_dhcp;
                start(TAP_OFFLOAD_FULL, true);
                struct tap_packet undone = packet_to_write(all[r], is_super ? 1000 : 0, 0);
                put16(packet.b + packet.l4, rows[i].from);
                put16(packet.b + packet.l4 + 2, rows[i].to);
                tap_out_write_packet(&out, &undone, NOW);
                assert_int_equal(sink[0].offload.is_partial, is_taken);
                assert_int_equal(n_sunk, is_super && !is_taken ? 6 : 1);
                if (is_taken || is_super)
                    continue;
                const uint8_t *ip = sink[0].bytes + packet.l3, *l4 = sink[0].bytes + packet.l4;
                assert_int_equal(get16(l4 + l4_checksum_at(all[r])), whole_checksum(all[r], ip, l4, packet.len - packet.l4));
            }
}

// As the kernel cuts, whatever the size.
static void cuts_as_the_kernel_does(void **state)
{
    (void)state;
    static const uint16_t gso_sizes[] = {97, 100, 101, 170, 200, 201, 202, 214, 999, 1000, 1001, 2999, 3000, 5999, 6000, 6001, 65535};
    for (size_t i = 0; i < N_OF(all); i++)
        for (size_t g = 0; g < N_OF(gso_sizes); g++)
            for (int wanted = TAP_OFFLOAD_OFF; wanted <= TAP_OFFLOAD_CHECKSUM; wanted++) {
                struct recipe recipe = *all[i];
                recipe.flags = TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR;
                start((enum tap_offload)wanted, false);
                write_packet(&recipe, gso_sizes[g], 0);
                check_cut(0, &recipe, gso_sizes[g], wanted == TAP_OFFLOAD_CHECKSUM);
                check_written(N_FRAMES, packet.len, 0, 0);
            }
}

// ---- a TAP that refuses what it offered

static int refuses_undone(const struct tap_frame *frame)
{
    return frame->offload.is_partial ? -EINVAL : 0;
}

static int refuses_super(const struct tap_frame *frame)
{
    return frame->offload.kind != SUPER_NONE ? -EINVAL : 0;
}

static int refuses_udp_super(const struct tap_frame *frame)
{
    return frame->offload.kind == SUPER_UDP ? -EINVAL : 0;
}

static enum tap_offload level(void)
{
    return atomic_load(&out.level);
}

// What is refused is done here at once: nothing is lost.
static void what_is_refused_is_done_here(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(all); i++)
        for (int is_super = 0; is_super < 2; is_super++) {
            start(TAP_OFFLOAD_FULL, true);
            refuses = is_super ? refuses_super : refuses_undone;
            write_packet(all[i], is_super ? 1000 : 0, 0);
            if (is_super)
                check_cut(0, all[i], 1000, true);
            else
                check_completed(&sink[0], all[i], 0);
            check_written(N_FRAMES, packet.len, 0, 1);
            assert_int_equal(level(), TAP_OFFLOAD_FULL); // once says nothing
            assert_true(out.has_udp_offload);
        }
}

// The pieces of one super-frame are enough to find that out.
static void nothing_undone_is_taken_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(all); i++) {
        start(TAP_OFFLOAD_FULL, true);
        refuses = refuses_undone;
        write_packet(all[i], 1000, 0);
        check_cut(0, all[i], 1000, false);
        check_written(N_FRAMES, packet.len, 0, 4); // itself, and three of its pieces
        assert_int_equal(n_calls, 4 + 6);
        assert_int_equal(level(), TAP_OFFLOAD_OFF);
    }
}

static void three_in_a_row_lower_the_level(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        start(TAP_OFFLOAD_FULL, true);
        refuses = refuses_super;
        for (int k = 0; k < 3; k++) {
            assert_int_equal(level(), TAP_OFFLOAD_FULL);
            write_packet(all[i], 3000, 0);
        }
        assert_int_equal(level(), TAP_OFFLOAD_CHECKSUM);
        assert_int_equal(n_calls, 9); // each tried once, then in two
        for (size_t k = 0; k < N_OF(all); k++)
            write_packet(all[k], 3000, 0); // not tried any more, of whatever kind
        assert_int_equal(n_calls, 9 + 8);
        assert_int_equal(traffic(COUNT_TAP_OFFLOAD_REFUSED), 3);

        refuses = refuses_undone; // checksums are still left to it
        for (int k = 0; k < 3; k++) {
            assert_int_equal(level(), TAP_OFFLOAD_CHECKSUM);
            n_calls = 0;
            write_packet(k % 2 ? &udp6 : &tcp4, 0, 0);
            assert_int_equal(n_calls, 2);
        }
        assert_int_equal(level(), TAP_OFFLOAD_OFF);
        assert_int_equal(traffic(COUNT_TAP_OFFLOAD_REFUSED), 6);
        n_calls = 0;
        write_packet(&tcp4, 0, 0);
        assert_int_equal(n_calls, 1);
        assert_false(sink[n_sunk - 1].offload.is_partial);
        assert_int_equal(all_drops(), 0);
        assert_int_equal(tap.offload, TAP_OFFLOAD_FULL); // the other thread's tap_out finds out for itself
    }
}

// Only of UDP, and nothing else changes.
static void udp_alone_is_given_up(void **state)
{
    (void)state;
    start(TAP_OFFLOAD_FULL, true);
    refuses = refuses_udp_super;
    for (int i = 0; i < 3; i++) {
        assert_true(out.has_udp_offload);
        write_packet(i % 2 ? &udp6 : &udp4, 1000, 0);
    }
    assert_false(out.has_udp_offload);
    assert_int_equal(level(), TAP_OFFLOAD_FULL);
    size_t before = n_sunk;
    n_calls = 0;
    write_packet(&udp4, 1000, 0);
    assert_int_equal(n_calls, 6);
    check_cut(before, &udp4, 1000, true);
    write_packet(&tcp4, 1000, 0);
    check_undone(&tcp4, 1000);
    write_packet(&udp4, 0, 0);
    check_undone(&udp4, 0);
    assert_int_equal(traffic(COUNT_TAP_OFFLOAD_REFUSED), 3);
}

// Two and one of the same kind that is taken, again and again: some packets are odd, and the kernel is right.
static void strikes_are_forgiven(void **state)
{
    (void)state;
    start(TAP_OFFLOAD_FULL, true);
    for (int i = 0; i < 20; i++) {
        const struct recipe *recipe = all[i % 4];
        uint16_t gso_size = i % 3 ? 3000 : 0;
        int n_each = gso_size ? 3 : 2; // tried, then in two pieces, or completed
        forget();
        answers[0] = answers[n_each] = -EINVAL;
        write_packet(recipe, gso_size, 0);
        write_packet(recipe, gso_size, 0);
        assert_int_equal(n_calls, 2 * n_each);
        write_packet(recipe, gso_size, 0);
        assert_int_equal(n_calls, 2 * n_each + 1);
        check_undone(recipe, gso_size);
        check_written(3 * N_FRAMES, 3 * packet.len, gso_size ? 1 : 0, 2);
    }
    assert_int_equal(level(), TAP_OFFLOAD_FULL);
    assert_true(out.has_udp_offload);
}

static enum super_kind kind_of(const struct recipe *recipe)
{
    if (recipe->protocol == IPPROTO_UDP)
        return SUPER_UDP;
    return recipe->version == 4 ? SUPER_TCP4 : SUPER_TCP6;
}

// What is taken of one kind says nothing of another, and nor does a TAP that is down.
static void strikes_are_of_one_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(all); i++)
        for (int is_super = 0; is_super < 2; is_super++) {
            enum super_kind kind = is_super ? kind_of(all[i]) : SUPER_NONE;
            start(TAP_OFFLOAD_FULL, true);
            for (int k = 0; k < 3; k++) {
                assert_int_equal(level(), TAP_OFFLOAD_FULL);
                assert_true(out.has_udp_offload);
                answers[n_calls] = -EINVAL;
                write_packet(all[i], is_super ? 3000 : 0, 0);
                answers[n_calls] = -EIO;
                write_packet(all[i], is_super ? 3000 : 0, 0);
                for (size_t other = 0; other < N_OF(all) && k < 2; other++) {
                    if (kind != SUPER_NONE)
                        write_packet(all[other], 0, 0);
                    if (kind != kind_of(all[other]))
                        write_packet(all[other], 3000, 0);
                }
            }
            enum tap_offload lowered = is_super ? TAP_OFFLOAD_CHECKSUM : TAP_OFFLOAD_OFF;
            assert_int_equal(level(), kind == SUPER_UDP ? TAP_OFFLOAD_FULL : lowered);
            assert_int_equal(out.has_udp_offload, kind != SUPER_UDP);
        }
}

// ---- failures

static void a_failure_drops_all_frames_of_a_packet(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum drop_reason reason;
    } rows[] = {
        {-EIO, DROP_TAP_DOWN}, {-EBADFD, DROP_TAP_WRITE_FAILED}, {-EAGAIN, DROP_TAP_WRITE_FAILED}, {-ENOMEM, DROP_TAP_WRITE_FAILED}};
    for (size_t i = 0; i < N_OF(rows); i++)
        for (size_t r = 0; r < N_OF(all); r++)
            for (int is_super = 0; is_super < 2; is_super++)
                for (int wanted = 0; wanted < TAP_OFFLOAD_COUNT; wanted++) {
                    start((enum tap_offload)wanted, true);
                    for (size_t k = 0; k < SINK_MAX; k++)
                        answers[k] = rows[i].error;
                    write_packet(all[r], is_super ? 1000 : 0, 0);
                    assert_int_equal(n_sunk, 0);
                    check_dropped(rows[i].reason, N_FRAMES);
                    assert_int_equal(traffic(COUNT_TAP_OFFLOAD_REFUSED), 0);
                    if (wanted == TAP_OFFLOAD_FULL)
                        assert_int_equal(n_calls, 1); // no reason to try it otherwise
                    assert_int_equal(atomic_load(&out.level), wanted);
                }
}

static void what_is_refused_in_any_form_is_dropped(void **state)
{
    (void)state;
    for (size_t r = 0; r < N_OF(all); r++)
        for (int is_super = 0; is_super < 2; is_super++) {
            start(TAP_OFFLOAD_FULL, true);
            for (size_t k = 0; k < SINK_MAX; k++)
                answers[k] = -EINVAL;
            write_packet(all[r], is_super ? 1000 : 0, 0);
            assert_int_equal(n_calls, is_super ? 4 + 6 : 2); // after three pieces nothing is tried undone any more
            check_dropped(DROP_TAP_WRITE_FAILED, N_FRAMES);
        }
}

// A piece that is refused does not hold up those behind it, and only that one is lost.
static void a_refused_piece_does_not_hold_up_the_others(void **state)
{
    (void)state;
    for (unsigned failing = 1; failing < 64; failing++) { // a bit for each piece
        unsigned n_failing = (unsigned)__builtin_popcount(failing);
        bool is_first = true;
        start(TAP_OFFLOAD_OFF, false);
        for (size_t i = 0; i < 6; i++)
            if (failing >> i & 1) {
                answers[i] = is_first ? -EIO : -EAGAIN; // it counts under the first failure
                is_first = false;
            }
        struct tap_packet undone = packet_to_write(&tcp4, 1000, 0);
        undone.n_frames = 6;
        tap_out_write_packet(&out, &undone, NOW);
        assert_int_equal(n_calls, 6);
        assert_int_equal(n_sunk, 6 - n_failing);
        assert_int_equal(traffic(COUNT_TAP_WRITTEN_FRAMES), 6 - n_failing);
        assert_int_equal(atomic_load(&counters.drops[DROP_TAP_DOWN]), n_failing);
        assert_int_equal(all_drops(), n_failing);
    }
}

static void check_counted_once(uint32_t n_frames)
{
    for (size_t n_failing = 0; n_failing <= 6; n_failing++) {
        start(TAP_OFFLOAD_OFF, false);
        for (size_t i = 0; i < n_failing; i++)
            answers[i] = -EIO;
        struct tap_packet undone = packet_to_write(&tcp4, 1000, 0);
        undone.n_frames = n_frames;
        tap_out_write_packet(&out, &undone, NOW);
        uint64_t n_written = traffic(COUNT_TAP_WRITTEN_FRAMES);
        assert_int_equal(n_written + all_drops(), n_frames);
        assert_int_equal(all_drops() > 0, n_failing > 0);
        if (n_failing == 0)
            assert_int_equal(n_written, n_frames);
        if (n_failing == 6 && n_written > 0)
            fail_msg("%u frames, none of which got out: %u are counted as written", n_frames, (unsigned)n_written);
    }
}

// It may have come in fewer segments than it is cut into, if the peer is odd: each is counted once all the same.
static void fewer_segments_are_counted_once(void **state)
{
    (void)state;
    for (uint32_t n_frames = 1; n_frames <= 6; n_frames++)
        check_counted_once(n_frames);
}

// Or in more, as always when gso_size fits no datagram.
static void more_segments_are_counted_once(void **state)
{
    (void)state;
    for (uint32_t n_frames = 7; n_frames < 20; n_frames++)
        check_counted_once(n_frames);
}

// ---- the shortcut

static void writes_what_the_shortcut_has_to_say(void **state)
{
    (void)state;
    static const uint8_t request[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0,  0, 0, 0, 9, 8, 6, 0, 1, 8, 0,  6, 4, 0,
                                        1,    2,    0,    0,    0,    0,    9, 10, 9, 0, 2, 0, 0, 0, 0, 0, 0, 10, 9, 0, 251};
    static const uint8_t seed[16] = {1};
    static uint8_t room[FRAME_MAX];
    struct shortcut_config config = {.n_addresses = 1, .mtu = 1500, .mac = {{2, 0xec, 0, 0, 0, 1}}};
    config.addresses[0] = (struct cidr){.family = AF_INET, .prefix_len = 24, .ip = {10, 9, 0, 251}};
    size_t size = (shortcut_size() + 15) / 16 * 16;
    struct shortcut *shortcut = aligned_alloc(16, size);
    assert_non_null(shortcut);
    memset(shortcut, 0, size);
    start(TAP_OFFLOAD_FULL, true);
    shortcut_init(shortcut, &config, SHORTCUT_TAP, &counters, seed);
    tap_out_shortcut(&out, shortcut, room, NOW); // nothing to say
    assert_int_equal(n_calls, 0);
    (void)shortcut_handle(shortcut, request, sizeof request, true, NOW);
    tap_out_shortcut(&out, shortcut, room, NOW);
    assert_int_equal(n_sunk, 1);
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_FRAMES), 1);
    assert_int_equal(traffic(COUNT_TAP_WRITTEN_BYTES), sink[0].len);
    assert_memory_equal(sink[0].bytes, request + 6, 6);      // to who asked
    assert_memory_equal(sink[0].bytes + 6, config.mac.b, 6); // from the shortcut
    assert_int_equal(get16(sink[0].bytes + 20), 2);          // an answer
    free(shortcut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_goes_as_it_is),
        cmocka_unit_test(a_refused_frame_is_counted),
        cmocka_unit_test(levels_are_kept),
        cmocka_unit_test(small_ones_are_completed),
        cmocka_unit_test(those_with_a_trailer_are_completed),
        cmocka_unit_test(dhcp_is_completed),
        cmocka_unit_test(cuts_as_the_kernel_does),
        cmocka_unit_test(what_is_refused_is_done_here),
        cmocka_unit_test(nothing_undone_is_taken_at_all),
        cmocka_unit_test(three_in_a_row_lower_the_level),
        cmocka_unit_test(udp_alone_is_given_up),
        cmocka_unit_test(strikes_are_forgiven),
        cmocka_unit_test(strikes_are_of_one_kind),
        cmocka_unit_test(a_failure_drops_all_frames_of_a_packet),
        cmocka_unit_test(what_is_refused_in_any_form_is_dropped),
        cmocka_unit_test(a_refused_piece_does_not_hold_up_the_others),
        cmocka_unit_test(fewer_segments_are_counted_once),
        cmocka_unit_test(more_segments_are_counted_once),
        cmocka_unit_test(writes_what_the_shortcut_has_to_say),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
