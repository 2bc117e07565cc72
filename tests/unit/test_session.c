// SPDX-License-Identifier: MIT
/*
 * session: the limits of a sending key to the last message, block and nanosecond; sealing and opening with both ciphers; that nothing
 * moves the replay window but a message that has verified; and the places of the keystore.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/session.h"

#define BORN (1000 * NS_PER_S)
enum { REMOTE_INDEX = 0x55667788, CAP = 4096 };

static const uint8_t key_ab[32] = {1, 2, 3}, key_ba[32] = {3, 2, 1}; // one per direction

static struct session_limits small_limits(void)
{
    return (struct session_limits){
        .rekey_after_messages = 5,
        .reject_after_messages = 10,
        .rekey_after_blocks = UINT64_MAX,
        .reject_after_blocks = UINT64_MAX,
        .reject_after_ns = 180 * NS_PER_S,
    };
}

static struct send_session new_send(enum cipher cipher, const uint8_t *key, const struct session_limits *limits)
{
    struct send_session session = {.remote_index = REMOTE_INDEX};

    send_session_init(&session, &(struct session_secret){key, cipher, BORN}, limits);
    return session;
}

static struct recv_session new_recv(enum cipher cipher, const uint8_t *key)
{
    struct recv_session session = {.local_index = REMOTE_INDEX};
    struct session_limits limits = small_limits();

    recv_session_init(&session, &(struct session_secret){key, cipher, BORN}, &limits);
    return session;
}

static bool is_skipped(unsigned cipher)
{
    if (cipher_is_available((enum cipher)cipher))
        return false;
    print_message("%s: skipped, not available on this CPU\n", cipher_name((enum cipher)cipher));
    return true;
}

/* ---- limits ---- */

static void test_default_limits(void **state)
{
    struct session_limits limits;

    (void)state;
    session_limits_default(&limits); // docs/protocol.md#limits
    assert_true(limits.rekey_after_messages == UINT64_C(1) << 60);
    assert_true(limits.reject_after_messages == UINT64_MAX - REPLAY_WINDOW);
    assert_true(limits.rekey_after_blocks == UINT64_C(1) << 32);
    assert_true(limits.reject_after_blocks == UINT64_C(1) << 33);
    assert_true(limits.reject_after_ns == 180 * NS_PER_S);
}

// A step of a sequence of reservations under one key.
struct step {
    uint32_t n;
    bool is_granted;
    uint64_t first; // if granted
    bool wants_rekey;
};

static void run_steps(struct send_session *session, const struct step *steps, size_t n, size_t payload_len)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t before = session->next_counter, n_blocks = session->n_blocks, first = 0xbad;
        bool is_granted = send_session_reserve(session, steps[i].n, payload_len, BORN, &first);
        if (is_granted != steps[i].is_granted || (is_granted && first != steps[i].first))
            fail_msg("step %zu: %s, first %llu", i, is_granted ? "granted" : "refused", (unsigned long long)first);
        if (send_session_wants_rekey(session) != steps[i].wants_rekey)
            fail_msg("step %zu: wants_rekey", i);
        if (!is_granted) { // nothing taken
            assert_true(session->next_counter == before);
            assert_true(session->n_blocks == n_blocks);
        }
    }
}
#define RUN(session, steps, payload_len) run_steps(session, steps, sizeof steps / sizeof steps[0], payload_len)

static void test_message_limits(void **state)
{
    static const struct step one_by_one[] = {
        {1, true, 0, false}, {1, true, 1, false}, {1, true, 2, false}, {1, true, 3, false}, {1, true, 4, true},  {1, true, 5, true},
        {1, true, 6, true},  {1, true, 7, true},  {1, true, 8, true},  {1, true, 9, true},  {1, false, 0, true}, {1, false, 0, true},
    };
    static const struct step trains[] = {
        {11, false, 0, false}, {UINT32_MAX, false, 0, false}, {4, true, 0, false}, {3, true, 4, true}, {4, false, 0, true},
        {3, true, 7, true},    {1, false, 0, true},
    };
    static const struct step whole[] = {{10, true, 0, true}, {1, false, 0, true}};
    struct session_limits limits = small_limits();

    (void)state;
    for (unsigned cipher = CIPHER_NONE + 1; cipher < CIPHER_COUNT; cipher++) {
        if (is_skipped(cipher))
            continue;
        struct send_session session = new_send((enum cipher)cipher, key_ab, &limits);
        RUN(&session, one_by_one, 0);
        session = new_send((enum cipher)cipher, key_ab, &limits);
        RUN(&session, trains, 0);
        session = new_send((enum cipher)cipher, key_ab, &limits);
        RUN(&session, whole, 1500);
    }
}

// Next to the end of all counters nothing wraps around.
static void test_default_message_limit(void **state)
{
    struct session_limits limits;
    uint64_t first;

    (void)state;
    session_limits_default(&limits);
    struct send_session session = new_send(CIPHER_CHACHA20_POLY1305, key_ab, &limits);
    session.next_counter = (UINT64_C(1) << 60) - 1;
    assert_false(send_session_wants_rekey(&session));
    assert_true(send_session_reserve(&session, 1, 9000, BORN, &first));
    assert_true(send_session_wants_rekey(&session));
    session.next_counter = UINT64_MAX - REPLAY_WINDOW - 5;
    assert_false(send_session_reserve(&session, UINT32_MAX, 9000, BORN, &first));
    assert_false(send_session_reserve(&session, 6, 9000, BORN, &first));
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(send_session_reserve(&session, 1, 9000, BORN, &first));
        assert_true(first == UINT64_MAX - REPLAY_WINDOW - 5 + i);
    }
    assert_false(send_session_reserve(&session, 1, 0, BORN, &first));
    assert_false(send_session_reserve(&session, UINT32_MAX, 0, BORN, &first));
}

// A message is its payload in blocks of 16 bytes, one for the associated data and one for the lengths.
static void test_block_limits(void **state)
{
    static const struct {
        size_t payload_len;
        uint64_t n_blocks;
    } sizes[] = {{0, 2}, {1, 3}, {15, 3}, {16, 3}, {17, 4}, {32, 4}, {33, 5}, {1500, 96}};
    struct session_limits limits = small_limits();

    (void)state;
    if (is_skipped(CIPHER_AES_256_GCM))
        return;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct step steps[] = {
            {8, false, 0, false}, {2, true, 0, false}, {1, true, 2, true}, {5, false, 0, true}, {4, true, 3, true}, {1, false, 0, true},
        };
        limits.reject_after_messages = 1000;
        limits.rekey_after_messages = 1000;
        limits.rekey_after_blocks = 3 * sizes[i].n_blocks;
        limits.reject_after_blocks = 7 * sizes[i].n_blocks;
        struct send_session session = new_send(CIPHER_AES_256_GCM, key_ab, &limits);
        RUN(&session, steps, sizes[i].payload_len);
        limits.reject_after_blocks--;
        session = new_send(CIPHER_AES_256_GCM, key_ab, &limits);
        assert_false(send_session_reserve(&session, 7, sizes[i].payload_len, BORN, &(uint64_t){0}));
        assert_true(send_session_reserve(&session, 6, sizes[i].payload_len, BORN, &(uint64_t){0}));
        // ChaCha20-Poly1305 does not count blocks.
        session = new_send(CIPHER_CHACHA20_POLY1305, key_ab, &limits);
        assert_true(send_session_reserve(&session, 1000, sizes[i].payload_len, BORN, &(uint64_t){0}));
    }
}

static void test_default_block_limit(void **state)
{
    struct session_limits limits;
    uint64_t first;

    (void)state;
    if (is_skipped(CIPHER_AES_256_GCM))
        return;
    session_limits_default(&limits);
    struct send_session session = new_send(CIPHER_AES_256_GCM, key_ab, &limits);
    assert_false(send_session_reserve(&session, UINT32_MAX, CAP, BORN, &first)); // no product wraps at 32 bits
    session.n_blocks = (UINT64_C(1) << 32) - 3;
    assert_true(send_session_reserve(&session, 1, 0, BORN, &first));
    assert_false(send_session_wants_rekey(&session));
    assert_true(send_session_reserve(&session, 1, 0, BORN, &first));
    assert_true(send_session_wants_rekey(&session));
    session.n_blocks = (UINT64_C(1) << 33) - 2;
    assert_false(send_session_reserve(&session, 1, 1, BORN, &first));
    assert_true(send_session_reserve(&session, 1, 0, BORN, &first));
    assert_false(send_session_reserve(&session, 1, 0, BORN, &first));
}

struct age {
    uint64_t now_ns;
    bool is_young;
};
static const struct age ages[] = {
    {BORN, true},
    {BORN - 1, true}, // another thread's clock reading may be a little behind
    {0, true},
    {BORN + 1, true},
    {BORN + 180 * NS_PER_S - 1, true},
    {BORN + 180 * NS_PER_S, false},
    {BORN + 180 * NS_PER_S + 1, false},
    {UINT64_MAX, false},
};

static void test_ages(void **state)
{
    struct session_limits limits = small_limits();
    uint8_t message[WIRE_DATA_OVERHEAD], payload[1];

    (void)state;
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        struct send_session send = new_send(CIPHER_CHACHA20_POLY1305, key_ab, &limits);
        struct recv_session recv = new_recv(CIPHER_CHACHA20_POLY1305, key_ab);
        uint64_t first = 0;
        assert_int_equal(send_session_reserve(&send, 1, 0, ages[i].now_ns, &first), ages[i].is_young);
        assert_int_equal(send.next_counter, ages[i].is_young);
        session_seal(&send, 0, payload, 0, message);
        assert_int_equal(session_open(&recv, message, sizeof message, ages[i].now_ns, payload),
                         ages[i].is_young ? DROP_COUNT : DROP_KEY_EXPIRED);
        assert_int_equal(recv.replay.next, ages[i].is_young);
    }
}

/* ---- sealing and opening ---- */

static void fill(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + len);
}

// Where a payload lies while it is sealed, and where it is opened to: where it is in the message, or elsewhere.
enum place { IN_PLACE, ELSEWHERE, PLACE_COUNT };

static size_t seal_at(struct send_session *send, uint8_t *message, size_t len, enum place place)
{
    static uint8_t elsewhere[CAP];
    uint8_t *payload = place == IN_PLACE ? message + WIRE_DATA_HEADER_LEN : elsewhere;
    uint64_t counter;

    fill(payload, len);
    assert_true(send_session_reserve(send, 1, len, BORN, &counter));
    session_seal(send, counter, payload, len, message);
    if (place == ELSEWHERE) { // it is left as it was
        uint8_t plain[CAP];
        fill(plain, len);
        assert_memory_equal(elsewhere, plain, len);
    }
    return len + WIRE_DATA_OVERHEAD;
}

static size_t seal_one(struct send_session *send, uint8_t *message, size_t len)
{
    return seal_at(send, message, len, IN_PLACE);
}

// Sealed into the middle of something: nothing around the message is written to, at either end.
static void check_round_trip(struct send_session *send, struct recv_session *recv, size_t len, enum place from, enum place to)
{
    enum { GUARD = 32, SEALED_CAP = CAP + WIRE_DATA_OVERHEAD };
    static uint8_t room[GUARD + SEALED_CAP + GUARD], sealed[SEALED_CAP], plain[CAP], opened[GUARD + CAP + GUARD], guard[GUARD];
    uint8_t *message = room + GUARD, *payload = to == IN_PLACE ? message + WIRE_DATA_HEADER_LEN : opened + GUARD;
    size_t sealed_len = len + WIRE_DATA_OVERHEAD;
    uint64_t counter = send->next_counter;

    memset(room, 0xa5, sizeof room);
    memset(opened, 0xa5, sizeof opened);
    memset(guard, 0xa5, sizeof guard);
    fill(plain, len);
    assert_int_equal(seal_at(send, message, len, from), sealed_len);
    assert_memory_equal(room, guard, GUARD);
    assert_memory_equal(message + sealed_len, guard, GUARD);
    assert_int_equal(message[0], MESSAGE_DATA);
    assert_int_equal(wire_classify(message, sealed_len), MESSAGE_DATA);
    assert_int_equal(load_le32(message + 4), REMOTE_INDEX);
    assert_true(load_le64(message + 8) == counter);
    if (len >= 16)
        assert_memory_not_equal(message + WIRE_DATA_HEADER_LEN, plain, len);
    memcpy(sealed, message, sealed_len);
    assert_int_equal(session_open(recv, message, sealed_len, BORN, payload), DROP_COUNT);
    assert_memory_equal(payload, plain, len);
    if (to == ELSEWHERE) {
        assert_memory_equal(message, sealed, sealed_len);
        assert_memory_equal(opened, guard, GUARD);
        assert_memory_equal(payload + len, guard, GUARD);
    }
}

static void test_round_trip(void **state)
{
    static const size_t lengths[] = {0, 1, 15, 16, 17, 127, 128, 129, 1408, 1500, CAP};
    struct session_limits limits;

    (void)state;
    session_limits_default(&limits);
    for (unsigned cipher = CIPHER_NONE + 1; cipher < CIPHER_COUNT; cipher++) {
        if (is_skipped(cipher))
            continue;
        struct send_session send = new_send((enum cipher)cipher, key_ab, &limits);
        struct recv_session recv = new_recv((enum cipher)cipher, key_ab);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
            for (int places = 0; places < PLACE_COUNT * PLACE_COUNT; places++)
                check_round_trip(&send, &recv, lengths[i], (enum place)(places / PLACE_COUNT), (enum place)(places % PLACE_COUNT));
        send.next_counter = UINT64_C(0x123456789abcdef0);
        check_round_trip(&send, &recv, 100, IN_PLACE, IN_PLACE);
        send.next_counter = limits.reject_after_messages - 1; // the last one there is
        check_round_trip(&send, &recv, 100, IN_PLACE, IN_PLACE);
    }
}

// Opens a copy. What is refused must leave the session as it was, and, opened to elsewhere, the message.
static enum drop_reason try_open(struct recv_session *recv, const uint8_t *message, size_t len)
{
    uint8_t copy[512], payload[512];
    struct replay before = recv->replay;

    assert_true(len <= sizeof copy);
    memcpy(copy, message, len);
    enum drop_reason verdict = session_open(recv, copy, len, BORN, payload);
    if (verdict != DROP_COUNT) { // neither elsewhere nor in its place
        assert_memory_equal(copy, message, len);
        assert_int_equal(session_open(recv, copy, len, BORN, copy + WIRE_DATA_HEADER_LEN), verdict);
    }
    if (verdict != DROP_COUNT) {
        assert_memory_equal(&recv->replay, &before, sizeof before);
        assert_false(recv->is_confirmed);
    }
    return verdict;
}

static void check_flips(enum cipher cipher, size_t payload_len)
{
    struct session_limits limits = small_limits();
    struct send_session send = new_send(cipher, key_ab, &limits);
    struct recv_session recv = new_recv(cipher, key_ab);
    uint8_t message[512];

    size_t len = seal_one(&send, message, payload_len);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (try_open(&recv, message, len) != DROP_AUTH_FAILED)
            fail_msg("%s: bit %zu of %zu bytes flipped, and it opened", cipher_name(cipher), bit, len);
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t shorter = WIRE_DATA_HEADER_LEN; shorter < len; shorter++)
        assert_int_equal(try_open(&recv, message, shorter), DROP_AUTH_FAILED);
    message[len] = 0;
    assert_int_equal(try_open(&recv, message, len + 1), DROP_AUTH_FAILED);
    assert_int_equal(try_open(&recv, message, len), DROP_COUNT); // and the real one still counts as new
    assert_int_equal(try_open(&recv, message, len), DROP_REPLAYED);
}

static void test_flipped_bits(void **state)
{
    static const size_t lengths[] = {0, 1, 16, 200};

    (void)state;
    for (unsigned cipher = CIPHER_NONE + 1; cipher < CIPHER_COUNT; cipher++)
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] && !is_skipped(cipher); i++)
            check_flips((enum cipher)cipher, lengths[i]);
}

// A forged counter far ahead must not push the window past the real ones.
static void test_forgery_moves_nothing(void **state)
{
    struct session_limits limits = small_limits();
    struct send_session send = new_send(CIPHER_CHACHA20_POLY1305, key_ab, &limits);
    struct recv_session recv = new_recv(CIPHER_CHACHA20_POLY1305, key_ab);
    uint8_t message[64], forged[64];

    (void)state;
    size_t len = seal_one(&send, message, 10);
    memcpy(forged, message, sizeof forged);
    for (unsigned bit = 0; bit < 64; bit++) {
        store_le64(forged + 8, UINT64_C(1) << bit);
        assert_int_equal(try_open(&recv, forged, len), DROP_AUTH_FAILED);
    }
    assert_int_equal(recv.replay.next, 0);
    assert_int_equal(try_open(&recv, message, len), DROP_COUNT);
}

struct arrival {
    uint64_t counter;
    enum drop_reason verdict;
};

static void test_replay(void **state)
{
    static const struct arrival arrivals[] = {
        {0, DROP_COUNT},
        {0, DROP_REPLAYED},
        {5, DROP_COUNT},
        {3, DROP_COUNT},
        {3, DROP_REPLAYED},
        {5, DROP_REPLAYED},
        {5 + REPLAY_WINDOW, DROP_COUNT},
        {5, DROP_REPLAYED},
        {6, DROP_COUNT},
        {6, DROP_REPLAYED},
        {4, DROP_REPLAYED}, // never seen, but too old to tell
    };
    struct session_limits limits = small_limits();
    struct send_session send = new_send(CIPHER_CHACHA20_POLY1305, key_ab, &limits);
    struct recv_session recv = new_recv(CIPHER_CHACHA20_POLY1305, key_ab);
    uint8_t message[64] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof arrivals / sizeof arrivals[0]; i++) {
        session_seal(&send, arrivals[i].counter, message + WIRE_DATA_HEADER_LEN, 10, message);
        if (try_open(&recv, message, 10 + WIRE_DATA_OVERHEAD) != arrivals[i].verdict)
            fail_msg("arrival %zu", i);
    }
}

// The two directions have keys of their own: what a node sealed itself it refuses.
static void test_reflection(void **state)
{
    struct session_limits limits = small_limits();
    uint8_t message[64];

    (void)state;
    for (unsigned cipher = CIPHER_NONE + 1; cipher < CIPHER_COUNT; cipher++) {
        if (is_skipped(cipher))
            continue;
        struct send_session send = new_send((enum cipher)cipher, key_ab, &limits);
        struct recv_session own = new_recv((enum cipher)cipher, key_ba), other = new_recv((enum cipher)cipher, key_ab);
        size_t len = seal_one(&send, message, 20);
        assert_int_equal(try_open(&own, message, len), DROP_AUTH_FAILED);
        assert_int_equal(try_open(&other, message, len), DROP_COUNT);
    }
}

/* ---- keystore ---- */

static struct keystore keystore;

static void test_keystore_send(void **state)
{
    struct send_session *got[KEYSTORE_PLACES];
    struct session_limits limits = small_limits();

    (void)state;
    for (size_t i = 0; i < KEYSTORE_PLACES; i++) {
        got[i] = keystore_get_send(&keystore);
        assert_non_null(got[i]);
        assert_int_equal((uintptr_t)got[i] % 64, 0);
        for (size_t before = 0; before < i; before++)
            assert_ptr_not_equal(got[i], got[before]);
        send_session_init(got[i], &(struct session_secret){key_ab, CIPHER_CHACHA20_POLY1305, BORN}, &limits);
        got[i]->next_counter = 7;
        got[i]->n_blocks = 7;
        assert_true(got[i]->is_taken); // init leaves that alone
    }
    assert_null(keystore_get_send(&keystore));
    for (size_t i = 0; i < KEYSTORE_PLACES; i++) { // whichever is put back is the one that is got
        keystore_put_send(got[i]);
        assert_true(sodium_is_zero((const uint8_t *)got[i], sizeof *got[i]));
        assert_ptr_equal(keystore_get_send(&keystore), got[i]);
        assert_null(keystore_get_send(&keystore));
    }
    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        keystore_put_send(got[i]);
    assert_true(sodium_is_zero((const uint8_t *)&keystore, sizeof keystore));
}

static void test_keystore_recv(void **state)
{
    struct recv_session *got[KEYSTORE_PLACES];
    struct session_limits limits = small_limits();

    (void)state;
    for (size_t i = 0; i < KEYSTORE_PLACES; i++) {
        got[i] = keystore_get_recv(&keystore);
        assert_non_null(got[i]);
        assert_int_equal((uintptr_t)got[i] % 64, 0);
        for (size_t before = 0; before < i; before++)
            assert_ptr_not_equal(got[i], got[before]);
        recv_session_init(got[i], &(struct session_secret){key_ab, CIPHER_CHACHA20_POLY1305, BORN}, &limits);
        got[i]->is_confirmed = true;
        assert_true(replay_accept(&got[i]->replay, 100));
        assert_true(got[i]->is_taken);
    }
    assert_null(keystore_get_recv(&keystore));
    for (size_t i = 0; i < KEYSTORE_PLACES; i++) { // a window of an earlier key must not refuse the next one's messages
        keystore_put_recv(got[i]);
        assert_true(sodium_is_zero((const uint8_t *)got[i], sizeof *got[i]));
        assert_ptr_equal(keystore_get_recv(&keystore), got[i]);
        assert_null(keystore_get_recv(&keystore));
    }
    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        keystore_put_recv(got[i]);
    assert_true(sodium_is_zero((const uint8_t *)&keystore, sizeof keystore));
}

// The two kinds of places don't take each other's.
static void test_keystore_both(void **state)
{
    struct send_session *send[KEYSTORE_PLACES];

    (void)state;
    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        send[i] = keystore_get_send(&keystore);
    struct recv_session *recv = keystore_get_recv(&keystore);
    assert_non_null(recv);
    keystore_put_recv(recv);
    for (size_t i = 0; i < KEYSTORE_PLACES; i++)
        keystore_put_send(send[i]);
}

// What the peer says need not arrive: no more than it has probed or than is missing, whatever it says, and it takes nothing back.
static void test_excuse(void **state)
{
    struct recv_session session = {.replay.next = 100, .n_accepted = 90};

    (void)state;
    assert_int_equal(recv_session_excuse(&session, 0), 0);
    assert_int_equal(recv_session_excuse(&session, 3), 3);
    assert_int_equal(recv_session_excuse(&session, 2), 0); // overtaken
    session.n_probes = 1;                                  // one has arrived
    assert_int_equal(recv_session_excuse(&session, 0), -1);
    assert_int_equal(recv_session_excuse(&session, 5), 2);
    assert_int_equal(recv_session_excuse(&session, UINT64_MAX), 6);
    assert_int_equal(session.n_excused, 10);
    session.n_accepted = 97; // they come late
    assert_int_equal(recv_session_excuse(&session, 1), -7);
    session.n_probes = 5; // more than it has told of yet
    session.told_excused = 4;
    assert_int_equal(recv_session_excuse(&session, 4), -3);
    assert_int_equal(session.n_excused, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_limits), cmocka_unit_test(test_message_limits),      cmocka_unit_test(test_default_message_limit),
        cmocka_unit_test(test_block_limits),   cmocka_unit_test(test_default_block_limit), cmocka_unit_test(test_ages),
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_flipped_bits),        cmocka_unit_test(test_forgery_moves_nothing),
        cmocka_unit_test(test_replay),         cmocka_unit_test(test_reflection),          cmocka_unit_test(test_keystore_send),
        cmocka_unit_test(test_keystore_recv),  cmocka_unit_test(test_keystore_both),       cmocka_unit_test(test_excuse),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
