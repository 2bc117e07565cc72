// SPDX-License-Identifier: MIT
/*
 * rx: the whole pipeline of the rx thread, between twins of its devices. A script makes datagrams: bytes as they are; payloads of the
 * input's and runs of records of its choosing, sealed under a key that rx has, so that they get past the AEAD to what is behind it; runs
 * of segments and fragments with gaps; all of it alone or in trains, with errors of the TAP and of the socket, and time that passes.
 *
 * What goes to the TAP is no longer than it takes and says of itself what is true; every datagram and every frame is counted once.
 */
#include "ethercord/rx.h"

#include <errno.h>

#include "ethercord/clock.h"
#include "ethercord/ecn.h"
#include "fuzz_packets.h"

#include "../../src/path/messages.h"

enum { SESSIONS = 2, QUEUE_MAX = 96, DATAGRAM_MAX = 9000, RECORDS_RING = 64 * 1024, HINTS_RING = 16 * 1024 };

struct queued {
    uint8_t *bytes;
    size_t len, datagram_len;
    uint8_t ecn, from;
    bool is_truncated;
};

struct bench {
    uint64_t now_ns;
    struct send_session send[SESSIONS];
    struct recv_session recv[SESSIONS];
    struct queued queue[QUEUE_MAX];
    size_t n_queued;
    uint64_t n_datagrams; // fed
    int tap_error;
    struct counters counters;
    struct activity activity;
    uint16_t tap_mtu;
};

static struct bench bench;
static struct rx rx, fresh;
static struct tap tap;
static struct udp udp[2];
static struct ring orders, records, reports, hints, cookie_requests;
static const _Atomic uint32_t pending_index = 1; // an initiation of ours waits, so that answers to it get further
static uint8_t *reassembly_memory;
static const uint8_t public_key[NOISE_KEY_LEN] = {5};

/* ---- twins of the devices ---- */

static int recv_batch(struct udp *socket, struct udp_train *trains, int n)
{
    int taken = 0;
    (void)socket;

    for (; taken < n && (size_t)taken < bench.n_queued; taken++) {
        struct queued *queued = &bench.queue[taken];
        struct udp_train *train = &trains[taken];
        ensure(train->len >= UDP_ROOM_MAX && queued->len <= train->len);
        if (queued->len)
            memcpy(train->bytes, queued->bytes, queued->len);
        train->len = queued->len;
        train->datagram_len = queued->datagram_len;
        train->is_truncated = queued->is_truncated;
        train->ecn = queued->ecn;
        train->endpoint = (struct endpoint){.remote = {.family = AF_INET, .port = 9, .ip = {192, 0, 2, queued->from}}};
        free(queued->bytes);
    }
    bench.n_queued -= (size_t)taken;
    memmove(bench.queue, bench.queue + taken, bench.n_queued * sizeof *bench.queue);
    return taken;
}

static int send_batch(struct udp *socket, const struct udp_train *trains, int n)
{
    (void)socket;
    (void)trains;
    (void)n;
    ensure_failed("rx sends nothing", __FILE__, __LINE__);
}

static uint32_t error_mtu;

static int next_error(struct udp *socket, struct udp_error *error)
{
    (void)socket;
    if (error_mtu == 0)
        return 0;
    *error = (struct udp_error){.error = EMSGSIZE, .mtu = error_mtu, .remote = {.family = AF_INET, .ip = {192, 0, 2, 1}}};
    error_mtu = 0;
    return 1;
}

static void check_written(const struct tap_frame *frame)
{
    size_t len = frame->headers_len + frame->len;
    uint8_t *bytes = malloc(len);
    struct frame_view view;
    struct packet_view packet;

    ensure(bytes && len >= ETHER_HEADER_LEN && len <= SUPER_FRAME_MAX);
    if (frame->headers_len)
        memcpy(bytes, frame->headers, frame->headers_len);
    memcpy(bytes + frame->headers_len, frame->bytes, frame->len);
    ensure(frame_parse(&view, bytes, len) && !frame_is_link_local_control(&view));
    if (frame->offload.kind == SUPER_NONE)
        ensure(len <= frame_max_len(bench.tap_mtu, view.n_tags));
    if (frame->offload.is_partial || frame->offload.kind != SUPER_NONE) {
        ensure(offload_is_valid(&frame->offload, len) && packet_parse(&packet, &view));
        ensure(frame->offload.checksum_start == packet.l4_offset && frame->offload.checksum_offset == packet_checksum_offset(&packet));
        if (frame->offload.kind != SUPER_NONE)
            ensure(packet.payload_offset - packet.l3_offset + frame->offload.gso_size <= bench.tap_mtu);
    }
    free(bytes);
}

static int write_batch(struct tap *to, const struct tap_frame *frames, int n)
{
    (void)to;
    if (bench.tap_error)
        return -bench.tap_error;
    for (int i = 0; i < n; i++)
        check_written(&frames[i]);
    return n;
}

/* ---- begin and end ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct tap_ops tap_ops = {.write_batch = write_batch};
    static const struct udp_ops udp_ops = {recv_batch, send_batch, next_error};
    (void)argc;
    (void)argv;

    if (sodium_init() < 0)
        return 1;
    log_set_level(LOG_LEVEL_ERROR);
    tap = (struct tap){.ops = &tap_ops, .fd = -1};
    udp[0] = (struct udp){.ops = &udp_ops, .family = AF_INET, .fd = -1};
    fresh = (struct rx){.tap = &tap,
                        .udp = udp,
                        .counters = &bench.counters,
                        .activity = &bench.activity,
                        .orders = &orders,
                        .records = &records,
                        .reports = &reports,
                        .hints = &hints,
                        .cookie_requests = &cookie_requests,
                        .pending_index = &pending_index};
    fresh.shortcut = aligned_alloc(16, (shortcut_size() + 15) / 16 * 16);
    reassembly_memory = malloc(REASSEMBLY_MEMORY_MIN);
    ensure(fresh.shortcut && reassembly_memory && rx_init(&fresh) == 0);
    cookie_checker_init(&fresh.checker, public_key);
    return 0;
}

static void make_session(uint8_t i)
{
    uint8_t key[AEAD_KEY_LEN] = {(uint8_t)(i + 1)};
    const struct session_secret secret = {.key = key, .cipher = CIPHER_CHACHA20_POLY1305, .born_ns = bench.now_ns};
    struct session_limits limits;

    session_limits_default(&limits);
    send_session_init(&bench.send[i], &secret, &limits);
    recv_session_init(&bench.recv[i], &secret, &limits);
    bench.send[i].remote_index = bench.recv[i].local_index = i + 1U;
    const struct order order = {.kind = ORDER_KEY, .u.recv = &bench.recv[i]};
    ensure(ring_put(&orders, &order, sizeof order, NULL, 0));
}

static void order_the_rest(void)
{
    const struct order all[] = {
        {.kind = ORDER_CURRENT, .u.local_index = 1},
        {.kind = ORDER_ENDPOINT, .u.endpoint.remote = {.family = AF_INET, .port = 9, .ip = {192, 0, 2, 1}}},
        {.kind = ORDER_ANNOUNCE},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        ensure(ring_put(&orders, &all[i], sizeof all[i], NULL, 0));
    rx_take_orders(&rx, bench.now_ns);
}

static void begin(struct reader *in)
{
    static const uint8_t seed[16] = {3};
    static const uint16_t mtus[] = {1500, 576, 9000, 1400};
    struct shortcut_config shortcut = {.n_addresses = 1, .mac = {{2, 0, 0, 0, 0, 7}}, .mtu = 1500};
    struct reassembly_limits limits;
    uint8_t how = reader_u8(in);

    memset(&bench, 0, sizeof bench);
    bench.now_ns = 1000 * NS_PER_S;
    bench.tap_mtu = mtus[how & 3];
    tap.offload = (how >> 2 & 3) % TAP_OFFLOAD_COUNT;
    tap.has_udp_offload = how & 16;
    tap.has_header = true;
    ensure(ring_init(&orders, 8 * 1024) == 0 && ring_init(&records, RECORDS_RING) == 0);
    ensure(ring_init(&reports, 8 * 1024) == 0 && ring_init(&hints, HINTS_RING) == 0 && ring_init(&cookie_requests, HINTS_RING) == 0);
    rx = fresh;
    rx.tap_mtu = bench.tap_mtu;
    tap_out_init(&rx.tap_out, &tap, &bench.counters);
    reassembly_limits_default(&limits);
    limits.memory_bytes = REASSEMBLY_MEMORY_MIN;
    limits.frame_len_max = frame_max_len(bench.tap_mtu, 1);
    ensure(reassembly_needs(&limits) <= REASSEMBLY_MEMORY_MIN);
    reassembly_init(&rx.reassembly, &limits, reassembly_memory);
    ensure(cidr_parse("10.9.0.251/24", &shortcut.addresses[0]));
    memset(rx.shortcut, 0, shortcut_size());
    shortcut_init(rx.shortcut, &shortcut, SHORTCUT_PEER, &bench.counters, seed);
    make_session(0);
    make_session(1);
    order_the_rest();
}

static void check_books(void)
{
    const struct counters *c = &bench.counters;
    uint64_t shortcut = 0, unopened = 0;
    static const enum drop_reason of_datagrams[] = {
        DROP_MALFORMED,       DROP_UNKNOWN_INDEX,        DROP_AUTH_FAILED,         DROP_REPLAYED,
        DROP_BAD_MAC1,        DROP_KEY_EXPIRED,          DROP_DATAGRAM_TRUNCATED,  DROP_BAD_MAC2,
        DROP_HANDSHAKE_LIMIT, DROP_HANDSHAKE_QUEUE_FULL, DROP_HANDSHAKE_UNEXPECTED};

    for (int reason = DROP_SHORTCUT_SILENT; reason < DROP_COUNT; reason++)
        shortcut += c->drops[reason];
    for (size_t i = 0; i < sizeof of_datagrams / sizeof *of_datagrams; i++)
        unopened += c->drops[of_datagrams[i]];
    ensure(c->traffic[COUNT_RX_DATAGRAMS] == bench.n_datagrams && unopened <= bench.n_datagrams);
    ensure(c->traffic[COUNT_RX_FRAMES] == c->traffic[COUNT_TAP_WRITTEN_FRAMES] + c->traffic[COUNT_SHORTCUT_TAKEN] +
                                              c->drops[DROP_TAP_DOWN] + c->drops[DROP_TAP_WRITE_FAILED] + shortcut);
}

static void end(void)
{
    bench.now_ns += 10 * NS_PER_S;
    (void)rx_tick(&rx, bench.now_ns);
    ensure(!rx.run.is_open && reassembly_unfinished(&rx.reassembly) == 0);
    check_books();
    for (size_t i = 0; i < bench.n_queued; i++)
        free(bench.queue[i].bytes);
    ring_deinit(&orders);
    ring_deinit(&records);
    ring_deinit(&reports);
    ring_deinit(&hints);
    ring_deinit(&cookie_requests);
}

/* ---- what arrives ---- */

static void run(void)
{
    for (int i = 0; i < 16 && bench.n_queued > 0; i++)
        (void)rx_run(&rx, 0, bench.now_ns);
}

// Takes the bytes. Behind the last one as the next datagram of a train, where it may be one.
static void arrive_take(uint8_t *bytes, size_t len, uint8_t how)
{
    struct queued *last = bench.n_queued ? &bench.queue[bench.n_queued - 1] : NULL;
    uint8_t ecn = how >> 2 & ECN_MASK, from = 1 + (how >> 4 & 1);

    bench.n_datagrams++;
    if ((how & 1) && last && len > 0 && len <= last->datagram_len && last->len % last->datagram_len == 0 && last->ecn == ecn &&
        last->from == from && !last->is_truncated && last->len + len <= UDP_ROOM_MAX) {
        last->bytes = realloc(last->bytes, last->len + len);
        ensure(last->bytes);
        memcpy(last->bytes + last->len, bytes, len);
        last->len += len;
        free(bytes);
        return;
    }
    if (bench.n_queued == QUEUE_MAX)
        run();
    bench.queue[bench.n_queued++] =
        (struct queued){.bytes = bytes, .len = len, .datagram_len = len, .ecn = ecn, .from = from, .is_truncated = (how & 0xe0) == 0xe0};
}

static void seal(const uint8_t *payload, size_t len, uint8_t how)
{
    struct send_session *session = &bench.send[how >> 1 & 1];
    uint8_t *message = malloc(len + WIRE_DATA_OVERHEAD);

    ensure(message);
    session_seal(session, session->next_counter++, payload, len, message);
    arrive_take(message, len + WIRE_DATA_OVERHEAD, how);
}

static void arrive_raw(struct reader *in, uint8_t how)
{
    struct fuzz_chunk chunk = fuzz_chunk(in, DATAGRAM_MAX);

    arrive_take(chunk.bytes, chunk.len, how);
}

// With a mac1 that is right: it gets as far as main's ring.
static void arrive_handshake(struct reader *in, uint8_t how)
{
    struct cookie_jar jar;
    uint8_t message[WIRE_INITIATION_LEN];
    struct initiation_msg msg;

    cookie_jar_init(&jar, public_key);
    initiation_begin(message, reader_le32(in), &msg);
    cookie_add_macs(&jar, message, sizeof message, bench.now_ns);
    message[sizeof message - 1] ^= reader_u8(in);
    arrive_take(fuzz_copy(message, sizeof message), sizeof message, how);
}

static void arrive_payload(struct reader *in, uint8_t how)
{
    struct fuzz_chunk chunk = fuzz_chunk(in, DATAGRAM_MAX);

    seal(chunk.bytes, chunk.len, how);
    free(chunk.bytes);
}

static void arrive_records(struct reader *in, uint8_t how)
{
    static struct payload payload;
    static uint8_t bytes[DATAGRAM_MAX];

    payload_begin(&payload, bytes, sizeof bytes);
    for (uint8_t n = 1 + reader_u8(in) % 4; n > 0; n--) {
        struct record record = {.type = reader_u8(in) % (RECORD_TYPE_COUNT + 1), .flags = reader_u8(in) & 3};
        if (record.type == RECORD_SEGMENT || record.type == RECORD_FRAGMENT) {
            record.size = reader_le16(in);
            record.index = reader_u8(in);
            record.extra = reader_u8(in);
        }
        struct fuzz_chunk chunk = fuzz_chunk(in, payload_room(&payload));
        record.len = (uint16_t)chunk.len;
        if (chunk.len)
            memcpy(payload_next(&payload), chunk.bytes, chunk.len);
        if (payload_fits(&payload, chunk.len))
            payload_add(&payload, &record);
        free(chunk.bytes);
    }
    seal(bytes, payload_finish(&payload), how);
}

static void seal_record(const struct record *record, const uint8_t *body, size_t body_len, const uint8_t *headers, uint8_t how)
{
    static struct payload payload;
    static uint8_t bytes[DATAGRAM_MAX + 512];

    payload_begin(&payload, bytes, sizeof bytes);
    memcpy(bytes, body, body_len);
    if (headers)
        memcpy(bytes + body_len, headers, record->extra);
    payload_add(&payload, record);
    seal(bytes, payload_finish(&payload), how);
}

static void skip_counter(uint8_t how)
{
    bench.send[how >> 1 & 1].next_counter++;
}

// A frame that is built and damaged, whole or in pieces.
static void arrive_frame(struct reader *in, uint8_t how)
{
    static struct packet_bytes packet;
    struct recipe recipe;
    struct fragment_plan plan;

    fuzz_recipe(in, &recipe, 4000);
    uint8_t flags = reader_u8(in);
    recipe.is_whole = !(flags & RECORD_FLAG_PARTIAL_CHECKSUM);
    make_packet(&packet, &recipe, 1);
    fuzz_damage(in, packet.b, packet.payload);
    const struct record whole = {.type = RECORD_FRAME, .flags = flags & RECORD_FLAG_PARTIAL_CHECKSUM, .len = (uint16_t)packet.len};
    if (flags & 2) {
        seal_record(&whole, packet.b, packet.len, NULL, how);
        return;
    }
    uint64_t lost = reader_u8(in);
    ensure(fragment_plan(&plan, packet.len, 64 + (size_t)reader_u8(in) * 8));
    for (uint8_t i = 0; i < plan.count && plan.count > 1; i++) {
        size_t at = (size_t)i * plan.size, left = packet.len - at, len = left < plan.size ? left : plan.size;
        const struct record record = {.type = RECORD_FRAGMENT, .len = (uint16_t)len, .size = plan.size, .index = i, .extra = plan.count};
        if (lost >> (i & 7) & 1 && lost != 0xff)
            skip_counter(how);
        else
            seal_record(&record, packet.b + at, len, NULL, how);
    }
}

static void arrive_run(struct reader *in, uint8_t how)
{
    static struct packet_bytes packet;
    struct recipe recipe;
    struct frame_view frame;
    struct super_frame super;
    struct split_run run;

    fuzz_recipe(in, &recipe, 60000);
    make_packet(&packet, &recipe, 1);
    fuzz_damage(in, packet.b, packet.payload);
    struct offload offload = super_of(&recipe, &packet, (uint16_t)(1 + reader_le16(in) % 9000U));
    const struct split_limits limits = {.room = 200 + reader_le16(in) % 8000U, .n_segments = 1 + reader_u8(in) % SEGMENTS_MAX};
    uint8_t lost = reader_u8(in), bend = reader_u8(in);
    if (!offload_is_valid(&offload, packet.len) || !frame_parse(&frame, packet.b, packet.len) || !split_parse(&super, &frame, &offload))
        return;
    for (size_t at = 0, n = 0; n < 3 && at < super.payload_len && split_next_run(&super, at, &limits, &run); at += run.len, n++)
        for (uint8_t i = 0; i < run.count; i++) {
            uint8_t headers[SEGMENT_HEADERS_MAX];
            size_t from = (size_t)i * run.size, left = run.len - from, len = left < run.size ? left : run.size;
            split_headers(&super, at + from, len, headers);
            const struct record record = {.type = RECORD_SEGMENT,
                                          .len = (uint16_t)(len + super.packet.payload_offset),
                                          .size = super.gso_size,
                                          .index = i,
                                          .extra = (uint8_t)super.packet.payload_offset};
            if (bend == i)
                headers[reader_u8(in) % record.extra] ^= reader_u8(in);
            if (lost && i % 8U == (lost & 7U))
                skip_counter(how);
            else
                seal_record(&record, super.payload + at + from, len, headers, how | 1);
        }
}

// What main would take from there.
static void drain(struct ring *ring)
{
    static uint8_t room[RECORDS_RING];

    while (ring_get(ring, room, sizeof room) > 0)
        ;
}

static void pass_time(struct reader *in)
{
    bench.now_ns += reader_u8(in) * (uint64_t)(5 * NS_PER_MS);
    (void)rx_tick(&rx, bench.now_ns);
    drain(&records);
    drain(&reports);
    drain(&hints);
    drain(&cookie_requests);
}

static void change_devices(struct reader *in)
{
    static const int errors[] = {0, EIO, EINVAL, EBADFD};
    uint8_t how = reader_u8(in);

    run();
    bench.tap_error = errors[how & 3];
    if (how & 4) {
        error_mtu = reader_le16(in);
        rx_take_errors(&rx, 0, bench.now_ns);
    }
    if (how & 8) {
        const struct order order = {.kind = ORDER_STOP_KEY, .u.local_index = 2};
        ensure(ring_put(&orders, &order, sizeof order, NULL, 0));
        rx_take_orders(&rx, bench.now_ns);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const arrivals[])(struct reader *, uint8_t) = {arrive_raw,     arrive_handshake, arrive_payload,
                                                                 arrive_records, arrive_frame,     arrive_run};
    struct reader in = reader_of(data, size);

    begin(&in);
    for (int ops = 0; ops < 64 && in.left > 0 && !in.is_short; ops++) {
        uint8_t op = reader_u8(&in) % 10;
        if (op < 6)
            arrivals[op](&in, reader_u8(&in));
        else if (op == 6)
            pass_time(&in);
        else if (op == 7)
            change_devices(&in);
        else if (op == 8)
            bench.send[0].next_counter -= bench.send[0].next_counter ? reader_u8(&in) % bench.send[0].next_counter : 0; // replays
        else
            run();
    }
    run();
    end();
    return 0;
}
