// SPDX-License-Identifier: MIT
/*
 * handshake: a whole node of the simulator, and a hostile peer with the right keys: the input says what its hellos and choices are, which
 * messages it makes, damages, sends again or answers, and what it seals under the keys that come of it. All that the peer says is inside
 * the AEAD and authentic, so everything behind it is reached: the machine of handshakes, records, reports from rx to main.
 *
 * The node's books agree and its keys are where they belong (sim_check.c), whatever its peer does.
 */
#include "fuzz_sim.h"

#include "ethercord/session.h"
#include "ethercord/wire.h"

enum { OPS_MAX = 80, PAYLOAD_MAX = 1400, KEPT = 4 };

struct hostile {
    struct cookie_jar jar;
    struct noise noise; // of the initiation that waits
    bool is_waiting;
    uint32_t next_index;      // of ours: one for each keypair
    uint64_t wall_ns;         // of the timestamp
    struct send_session send; // of the newest keypair
    bool has_send;
    size_t n_seen; // of what was recorded
    uint8_t last_initiation[WIRE_INITIATION_LEN];
    bool has_initiation;
    uint8_t sent[KEPT][WIRE_INITIATION_LEN]; // to be sent again
    size_t n_sent;
};

static struct reader script;
static struct hostile hostile;

static const struct peer_self *own(const struct sim *sim)
{
    return &sim->nodes[SIM_B].config.self;
}

static const uint8_t *node_key(const struct sim *sim)
{
    return sim->nodes[SIM_A].config.self.static_public;
}

static void send_bytes(struct sim *sim, const uint8_t *bytes, size_t len)
{
    struct sim_datagram *datagram = calloc(1, sizeof *datagram + len);
    struct addr from = sim->nodes[SIM_B].seen;
    uint8_t how = reader_u8(&script);

    ensure(datagram);
    datagram->len = len;
    datagram->ecn = how >> 2 & 3;
    memcpy(datagram->bytes, bytes, len);
    if (how & 1)
        datagram->bytes[reader_le16(&script) % len] ^= reader_u8(&script);
    if (how & 2)
        from.port = (uint16_t)(1 + reader_u8(&script) % 3);
    sim_inject(sim, datagram, &from, &sim->nodes[SIM_A].seen);
    if (len == WIRE_INITIATION_LEN)
        memcpy(hostile.sent[hostile.n_sent++ % KEPT], datagram->bytes, len);
    free(datagram);
}

// Somebody else's, where the input wants it.
static const uint8_t *static_key(const struct sim *sim, bool is_strange)
{
    static const uint8_t strange[NOISE_KEY_LEN] = {3, 1, 4};

    return is_strange ? strange : own(sim)->static_private;
}

static void begin_noise(struct sim *sim, struct noise *noise, bool is_initiator, bool is_strange)
{
    const struct noise_params params = {
        .cipher = NOISE_CHACHAPOLY,
        .is_initiator = is_initiator,
        .has_psk = true,
        .prologue = (const uint8_t *)WIRE_PROLOGUE,
        .prologue_len = sizeof WIRE_PROLOGUE - 1,
        .static_private = static_key(sim, is_strange),
        .remote_static = is_initiator ? node_key(sim) : NULL,
    };
    static const uint8_t no_psk[NOISE_KEY_LEN];

    noise_init(noise, &params);
    noise_set_psk(noise, no_psk);
}

// What the node needs, if the input does not want it otherwise.
static void fill_hello(uint8_t out[static WIRE_HELLO_LEN])
{
    uint8_t how = reader_u8(&script);
    struct hello hello = {.ciphers = 1U << CIPHER_CHACHA20_POLY1305, .tap_mtu = 1500, .features = FEATURES_ALL};

    hostile.wall_ns += how & 1 ? 0 : UINT64_C(0x2000000);
    tai64n_from_wall(hello.timestamp, hostile.wall_ns);
    if (how & 2)
        hello.ciphers = reader_le16(&script);
    if (how & 4)
        hello.tap_mtu = reader_le16(&script);
    if (how & 8)
        hello.features = reader_le32(&script);
    hello_encode(&hello, out);
    if (how & 16)
        reader_copy(&script, out, WIRE_HELLO_LEN);
}

static void initiate(struct sim *sim)
{
    static const uint8_t ephemeral[NOISE_KEY_LEN] = {9};
    uint8_t hello[WIRE_HELLO_LEN], bytes[WIRE_INITIATION_LEN];
    struct initiation_msg msg;

    uint8_t how = reader_u8(&script);

    begin_noise(sim, &hostile.noise, true, how & 1);
    fill_hello(hello);
    initiation_begin(bytes, hostile.next_index++, &msg);
    ensure(noise_create_initiation(&hostile.noise, ephemeral, hello, sizeof hello, msg.noise));
    if (how & 2)
        msg.noise[reader_u8(&script) % (NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN)] ^= 1;
    cookie_add_macs(&hostile.jar, bytes, sizeof bytes, sim->now_ns);
    hostile.is_waiting = true;
    send_bytes(sim, bytes, sizeof bytes);
}

// The keypair of a finished handshake is what is sent under from now on.
static void take_keys(const struct noise *noise, bool is_initiator, enum cipher cipher, uint32_t remote_index)
{
    struct noise_keys split;
    struct session_limits limits;
    uint8_t key[NOISE_KEY_LEN];

    noise_split(noise, &split);
    noise_derive_data_key(key, is_initiator ? split.to_responder : split.to_initiator, cipher_name(cipher));
    session_limits_default(&limits);
    memset(&hostile.send, 0, sizeof hostile.send);
    send_session_init(&hostile.send, &(struct session_secret){key, cipher, 0}, &limits);
    hostile.send.remote_index = remote_index;
    hostile.has_send = true;
}

static void respond(struct sim *sim)
{
    static const uint8_t ephemeral[NOISE_KEY_LEN] = {8};
    uint8_t hello[WIRE_HELLO_LEN], payload[WIRE_CHOICE_LEN], bytes[WIRE_RESPONSE_LEN], how = reader_u8(&script);
    struct choice choice = {.cipher = CIPHER_CHACHA20_POLY1305, .tap_mtu = 1500, .features = FEATURES_ALL};
    struct initiation_msg initiation;
    struct response_msg response;
    struct noise noise;

    if (!hostile.has_initiation)
        return;
    hostile.has_initiation = how & 8;
    initiation_decode(hostile.last_initiation, &initiation);
    begin_noise(sim, &noise, false, false);
    ensure(noise_consume_initiation(&noise, initiation.noise, NOISE_INITIATION_OVERHEAD + WIRE_HELLO_LEN, hello));
    choice_encode(&choice, payload);
    if (how & 1)
        reader_copy(&script, payload, sizeof payload);
    response_begin(bytes, hostile.next_index++, initiation.sender_index ^ (how & 2 ? reader_u8(&script) : 0), &response);
    ensure(noise_create_response(&noise, ephemeral, payload, sizeof payload, response.noise));
    cookie_add_macs(&hostile.jar, bytes, sizeof bytes, sim->now_ns);
    send_bytes(sim, bytes, sizeof bytes);
    if (choice_decode(&choice, payload) && cipher_is_available(choice.cipher))
        take_keys(&noise, false, choice.cipher, initiation.sender_index);
    noise_deinit(&noise);
}

// To the node's initiation, as if this end were under load.
static void reply_with_cookie(struct sim *sim)
{
    struct cookie_checker checker;
    struct cookie_reply_msg msg = {.receiver_index = load_le32(hostile.last_initiation + 4)};
    uint8_t random[56] = {reader_u8(&script)}, bytes[WIRE_COOKIE_REPLY_LEN];

    if (!hostile.has_initiation)
        return;
    cookie_checker_init(&checker, own(sim)->static_public);
    cookie_create_reply(&checker, hostile.last_initiation, WIRE_INITIATION_LEN, &sim->nodes[SIM_A].seen, sim->now_ns, random, &msg.cookie);
    cookie_reply_encode(&msg, bytes);
    send_bytes(sim, bytes, sizeof bytes);
}

static void take_response(uint8_t *bytes)
{
    uint8_t payload[WIRE_CHOICE_LEN];
    struct response_msg response;
    struct choice choice;

    response_decode(bytes, &response);
    if (!hostile.is_waiting || response.receiver_index != hostile.next_index - 1 ||
        !noise_consume_response(&hostile.noise, response.noise, NOISE_RESPONSE_OVERHEAD + WIRE_CHOICE_LEN, payload))
        return;
    hostile.is_waiting = false;
    ensure(choice_decode(&choice, payload) && cipher_is_available(choice.cipher));
    take_keys(&hostile.noise, true, choice.cipher, response.sender_index);
}

// What the node has sent since.
static void listen_to(struct sim *sim)
{
    for (; hostile.n_seen < sim->recorded.n; hostile.n_seen++) {
        struct sim_datagram *datagram = sim->recorded.at[hostile.n_seen];
        struct cookie_reply_msg reply;
        switch (wire_classify(datagram->bytes, datagram->len)) {
        case MESSAGE_INITIATION:
            memcpy(hostile.last_initiation, datagram->bytes, WIRE_INITIATION_LEN);
            hostile.has_initiation = true;
            break;
        case MESSAGE_RESPONSE:
            take_response(datagram->bytes);
            break;
        case MESSAGE_COOKIE_REPLY:
            cookie_reply_decode(datagram->bytes, &reply);
            (void)!cookie_consume_reply(&hostile.jar, &reply.cookie, sim->now_ns); // for a message that was damaged it is none of ours
            break;
        case MESSAGE_DATA:
            break;
        case MESSAGE_INVALID:
            ensure_failed("the node has sent what is no message", __FILE__, __LINE__);
        }
    }
}

// The simulator's numbered frames have books of their own.
static void avoid_numbers(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (bytes[i] == 0x88 && bytes[i + 1] == 0xb5)
            bytes[i + 1] = 0;
}

static void send_data(struct sim *sim, const uint8_t *payload, size_t len)
{
    uint8_t *message = malloc(len + WIRE_DATA_OVERHEAD);

    ensure(message);
    session_seal(&hostile.send, hostile.send.next_counter++, payload, len, message);
    send_bytes(sim, message, len + WIRE_DATA_OVERHEAD);
    free(message);
}

static void send_payload(struct sim *sim)
{
    struct fuzz_chunk chunk = fuzz_chunk(&script, PAYLOAD_MAX);

    avoid_numbers(chunk.bytes, chunk.len);
    if (hostile.has_send)
        send_data(sim, chunk.bytes, chunk.len);
    free(chunk.bytes);
}

static void send_record(struct sim *sim)
{
    static struct payload payload;
    uint8_t bytes[PAYLOAD_MAX];
    struct record record = {.type = 1 + reader_u8(&script) % (RECORD_TYPE_COUNT - 1)};
    uint8_t how = reader_u8(&script);
    struct fuzz_chunk chunk = fuzz_chunk(&script, PAYLOAD_MAX - WIRE_RECORD_OVERHEAD);

    if (how & 1) {
        record.size = reader_le16(&script);
        record.index = reader_u8(&script);
        record.extra = reader_u8(&script);
    }
    record.len = (uint16_t)(how & 2 || chunk.len < wire_control_len(record.type) ? chunk.len : wire_control_len(record.type));
    payload_begin(&payload, bytes, sizeof bytes);
    memcpy(bytes, chunk.bytes, record.len);
    payload_add(&payload, &record);
    avoid_numbers(bytes, record.len);
    if (hostile.has_send)
        send_data(sim, bytes, payload_finish(&payload));
    free(chunk.bytes);
}

static void send_again(struct sim *sim)
{
    if (hostile.n_sent > 0)
        send_bytes(sim, hostile.sent[reader_u8(&script) % (hostile.n_sent < KEPT ? hostile.n_sent : KEPT)], WIRE_INITIATION_LEN);
}

static void do_next(struct sim *sim)
{
    uint8_t op = reader_u8(&script);

    switch (op % 11) {
    case 0:
        sim_run(sim, reader_u8(&script) * (NS_PER_S / 10));
        break;
    case 1:
        initiate(sim);
        break;
    case 2:
        respond(sim);
        break;
    case 3:
        send_payload(sim);
        break;
    case 4:
        send_record(sim);
        break;
    case 5:
        send_again(sim);
        break;
    case 6:
        sim_send_frame(sim, SIM_A, SIM_FRAME_MIN + reader_le16(&script) % 1400U);
        break;
    case 7:
        hostile.send.next_counter = reader_le64(&script);
        break;
    case 10:
        reply_with_cookie(sim);
        break;
    case 8:
        sim->nodes[SIM_A].wall_skew_ns += (int64_t)(reader_u8(&script) * NS_PER_S);
        break;
    default:
        sim_run(sim, reader_u8(&script) * NS_PER_MS);
    }
    if (op & 0x80)
        sim_run(sim, 3 * NS_PER_MS);
    listen_to(sim);
}

static void play(struct sim *sim)
{
    uint8_t how = reader_u8(&script);

    memset(&hostile, 0, sizeof hostile);
    hostile.next_index = 0x1000;
    hostile.wall_ns = UINT64_C(1700000000) * NS_PER_S;
    cookie_jar_init(&hostile.jar, node_key(sim));
    sim->is_recording = sim->has_hostile_peer = true;
    sim->nodes[SIM_A].config.has_peer = (how & 12) != 12;
    if (how & 1)
        sim->nodes[SIM_A].config.self.ciphers = ciphers_available();
    if (how & 2)
        sim->nodes[SIM_A].config.peer.path_mtu = 0;
    sim_start_node(sim, SIM_A);
    sim_run(sim, 2 * NS_PER_MS);
    listen_to(sim);
    for (int i = 0; i < OPS_MAX && script.left > 0 && !script.is_short; i++)
        do_next(sim);
    sim_run(sim, 20 * NS_PER_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = reader_of(data, size);
    sim_each_seed("handshake", 1, play);
    return 0;
}
