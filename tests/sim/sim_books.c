// SPDX-License-Identifier: MIT
/*
 * sim_books: what has to become of each datagram that a node is given, worked out from what was really sent, not from what the node says.
 *
 *   sent:  the hash of every data and handshake message is kept under (sender, index, counter). None is ever another one's.
 *   given: a data message opens only if the peer of this node made exactly that, the key is still there and in time, and the counter was
 *          not accepted before and is not too old. A handshake message is of use only if the peer made it, and once.
 *   then:  each of the node's drop reasons must have exactly the count that follows; so what is damaged, somebody else's, reflected or
 *          seen before never gets in, and what is none of this is never refused.
 *
 * And of keys: a node never seals again under one that it has left, and accepts nothing under one when two later ones are known to be in
 * use.
 */
#include <stdlib.h>
#include <string.h>

#include "ethercord/bytes.h"
#include "ethercord/clock.h"
#include "ethercord/wire.h"
#include "sim.h"

#define SETTLED_NS (200 * NS_PER_MS) // the threads of a node have told each other by then

struct seal {
    uint64_t counter, hash, life; // life: of the receiver that had it last, of handshake messages
    uint32_t receiver_index, run;
    uint8_t n_frames;
    bool is_fragment, is_accepted, is_used;
    int sender;
};
struct sim_seals { // open addressing
    struct seal *at;
    size_t n, cap;
};

struct sim_seals *sim_seals_new(void)
{
    struct sim_seals *seals = calloc(1, sizeof *seals);

    if (!seals || !(seals->at = calloc(seals->cap = 1024, sizeof *seals->at)))
        abort();
    return seals;
}

void sim_seals_free(struct sim_seals *seals)
{
    free(seals->at);
    free(seals);
}

static uint64_t hash_of(const uint8_t *bytes, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ len;

    for (; len >= sizeof hash; len -= sizeof hash, bytes += sizeof hash) {
        hash = (hash ^ load_le64(bytes)) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct seal *find(const struct sim_seals *seals, const struct seal *wanted)
{
    uint64_t mixed = (wanted->counter + ((uint64_t)wanted->receiver_index << 20)) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(mixed >> 20) % seals->cap;

    for (; seals->at[i].is_used; i = (i + 1) % seals->cap)
        if (seals->at[i].counter == wanted->counter && seals->at[i].receiver_index == wanted->receiver_index &&
            seals->at[i].sender == wanted->sender)
            break;
    return &seals->at[i];
}

static void grow(struct sim_seals *seals)
{
    struct sim_seals larger = {.n = seals->n, .cap = 2 * seals->cap};

    if (!(larger.at = calloc(larger.cap, sizeof *larger.at)))
        abort();
    for (size_t i = 0; i < seals->cap; i++)
        if (seals->at[i].is_used)
            *find(&larger, &seals->at[i]) = seals->at[i];
    free(seals->at);
    *seals = larger;
}

// How a message is known: one of a handshake by its sender index, and up to its mac2.
static struct seal seal_of(int sender, const struct sim_datagram *datagram, enum message_type type)
{
    struct seal seal = {.sender = sender, .is_used = true};
    struct data_header header;

    if (type == MESSAGE_DATA) {
        data_header_decode(datagram->bytes, &header);
        seal.counter = header.counter;
        seal.receiver_index = header.receiver_index;
        seal.hash = hash_of(datagram->bytes, datagram->len);
    } else {
        seal.counter = ~(uint64_t)type;
        seal.receiver_index = load_le32(datagram->bytes + 4);
        seal.hash = hash_of(datagram->bytes, datagram->len - MAC_LEN);
    }
    return seal;
}

void sim_books_open(struct sim_node *node)
{
    node->books = (struct sim_books){.life = ++node->sim->n_lives};
    cookie_checker_init(&node->books.checker, node->config.self.static_public);
}

/* ---- sent ---- */

static bool is_among(const uint32_t *indices, size_t n, uint32_t index)
{
    for (size_t i = 0; i < n && i < SIM_WINDOWS; i++)
        if (indices[i] == index)
            return true;
    return false;
}

static void check_generation(struct sim_node *node, uint32_t receiver_index)
{
    struct sim_books *books = &node->books;

    if (books->sealing == receiver_index)
        return;
    sim_assert(node->sim, !is_among(books->left, books->n_left, receiver_index));
    if (books->sealing)
        books->left[books->n_left++ % SIM_WINDOWS] = books->sealing;
    books->sealing = receiver_index;
}

static uint32_t run_of(struct sim_node *node, const struct tx_datagram *made_of)
{
    struct sim_traffic *traffic = &node->sim->traffic[node->id];

    if (!made_of->is_fragment)
        return 0;
    if (!node->books.is_in_run || traffic->n_runs == 0) {
        if (traffic->n_runs == traffic->runs_cap) {
            traffic->runs_cap = traffic->runs_cap ? 2 * traffic->runs_cap : 64;
            traffic->runs = realloc(traffic->runs, traffic->runs_cap * sizeof *traffic->runs);
            if (!traffic->runs)
                abort();
        }
        traffic->runs[traffic->n_runs++] = 0;
    }
    node->books.is_in_run = !made_of->is_last_fragment;
    return (uint32_t)traffic->n_runs;
}

void sim_book_sent(struct sim_node *node, const struct sim_datagram *datagram, const struct tx_datagram *made_of)
{
    struct sim *sim = node->sim;
    enum message_type type = wire_classify(datagram->bytes, datagram->len);

    sim_assert(sim, type != MESSAGE_INVALID);
    sim_assert(sim, (type == MESSAGE_DATA) == (made_of != NULL));
    sim->n_taken++;
    node->books.n_taken++;
    if (type == MESSAGE_COOKIE_REPLY)
        return;
    struct seal seal = seal_of(node->id, datagram, type);
    if (2 * sim->seals->n >= sim->seals->cap)
        grow(sim->seals);
    struct seal *known = find(sim->seals, &seal);
    if (known->is_used) {
        sim_assert(sim, known->hash == seal.hash);
        return;
    }
    if (type == MESSAGE_DATA) {
        check_generation(node, seal.receiver_index);
        node->books.n_sent += made_of->n_frames;
        seal.n_frames = (uint8_t)made_of->n_frames;
        seal.is_fragment = made_of->is_fragment;
        seal.run = run_of(node, made_of);
    }
    *known = seal;
    sim->seals->n++;
}

/* ---- given ---- */

static const struct recv_session *session_of(const struct rx *rx, uint32_t local_index)
{
    for (size_t i = 0; i < rx->n_sessions; i++)
        if (rx->sessions[i]->local_index == local_index)
            return rx->sessions[i];
    return NULL;
}

static struct sim_window *window_of(struct sim_books *books, uint32_t local_index)
{
    for (size_t i = 0; i < books->n_windows && i < SIM_WINDOWS; i++)
        if (books->windows[i].local_index == local_index)
            return &books->windows[i];
    return NULL;
}

// Accepted under a key that has no window yet: it is in use at both ends from now on.
static struct sim_window *new_window(struct sim_node *node, uint32_t local_index)
{
    struct sim_window *window = &node->books.windows[node->books.n_windows++ % SIM_WINDOWS];

    *window = (struct sim_window){.local_index = local_index, .confirmed_ns = node->sim->now_ns};
    return window;
}

static void check_is_live(const struct sim_node *node, const struct sim_window *window)
{
    const struct sim_books *books = &node->books;
    uint64_t until_ns = node->sim->now_ns - SETTLED_NS - node->sim->slow_us * UINT64_C(4000);
    unsigned n_later = 0;

    for (size_t i = 0; i < books->n_windows && i < SIM_WINDOWS; i++)
        n_later += books->windows[i].confirmed_ns > window->confirmed_ns && books->windows[i].confirmed_ns < until_ns;
    sim_assert(node->sim, n_later <= 1);
}

static void take(struct sim_node *node, struct seal *seal, uint64_t counter)
{
    struct sim_window *window = window_of(&node->books, seal->receiver_index);
    struct sim_traffic *traffic = &node->sim->traffic[seal->sender];

    if (!window)
        window = new_window(node, seal->receiver_index);
    check_is_live(node, window);
    if (counter >= window->next)
        window->next = counter + 1;
    seal->is_accepted = true;
    if (!seal->is_fragment) {
        node->books.n_frames += seal->n_frames;
    } else if (traffic->runs[seal->run - 1] != node->books.life) {
        traffic->runs[seal->run - 1] = node->books.life;
        node->books.n_runs++;
    }
}

static enum drop_reason judge_data(struct sim_node *node, const struct sim_datagram *datagram)
{
    struct seal seal = seal_of(sim_other(node->id), datagram, MESSAGE_DATA);
    const struct recv_session *session = session_of(&node->node->rx, seal.receiver_index);

    if (!session)
        return DROP_UNKNOWN_INDEX;
    if (age_ns(sim_boot_clock(node), session->born_ns) >= session->reject_after_ns)
        return DROP_KEY_EXPIRED;
    struct seal *known = find(node->sim->seals, &seal);
    if (!known->is_used || known->hash != seal.hash)
        return DROP_AUTH_FAILED;
    const struct sim_window *window = window_of(&node->books, seal.receiver_index);
    if (known->is_accepted || (window && seal.counter + REPLAY_WINDOW < window->next))
        return DROP_REPLAYED;
    take(node, known, seal.counter);
    return DROP_COUNT;
}

// Whoever knows the node's public key can make mac1; but what the peer did not make comes to nothing.
static enum drop_reason judge_handshake(struct sim_node *node, const struct sim_datagram *datagram, enum message_type type)
{
    struct seal seal = seal_of(sim_other(node->id), datagram, type);
    struct seal *known = find(node->sim->seals, &seal);

    if (!cookie_check_mac1(&node->books.checker, datagram->bytes, datagram->len))
        return DROP_BAD_MAC1;
    node->books.n_handshake++;
    if (!known->is_used || known->hash != seal.hash)
        return DROP_COUNT;
    node->books.n_genuine += known->life != node->books.life;
    known->life = node->books.life;
    return DROP_COUNT;
}

void sim_book_given(struct sim_node *node, const struct sim_datagram *datagram)
{
    enum message_type type = wire_classify(datagram->bytes, datagram->len);
    enum drop_reason verdict = DROP_MALFORMED;

    node->sim->n_given++;
    node->books.n_given++;
    switch (type) {
    case MESSAGE_DATA:
        verdict = judge_data(node, datagram);
        break;
    case MESSAGE_INITIATION:
    case MESSAGE_RESPONSE:
        verdict = judge_handshake(node, datagram, type);
        break;
    case MESSAGE_COOKIE_REPLY: // told from others' by main alone
        node->books.n_handshake++;
        node->books.n_genuine++;
        verdict = DROP_COUNT;
        break;
    case MESSAGE_INVALID:
        break;
    }
    if (verdict != DROP_COUNT)
        node->books.drops[verdict]++;
}

/* ---- then ---- */

static void check_counts(const struct sim_node *node)
{
    const struct counters *rx = &node->node->counters[NODE_RX];
    const struct sim_books *books = &node->books;

    sim_assert(node->sim, rx->traffic[COUNT_RX_DATAGRAMS] == books->n_given);
    sim_assert(node->sim, rx->drops[DROP_MALFORMED] == books->drops[DROP_MALFORMED]);
    sim_assert(node->sim, rx->drops[DROP_UNKNOWN_INDEX] == books->drops[DROP_UNKNOWN_INDEX]);
    sim_assert(node->sim, rx->drops[DROP_AUTH_FAILED] == books->drops[DROP_AUTH_FAILED]);
    sim_assert(node->sim, rx->drops[DROP_REPLAYED] == books->drops[DROP_REPLAYED]);
    sim_assert(node->sim, rx->drops[DROP_KEY_EXPIRED] == books->drops[DROP_KEY_EXPIRED]);
    sim_assert(node->sim, rx->drops[DROP_BAD_MAC1] == books->drops[DROP_BAD_MAC1]);
    sim_assert(node->sim, rx->drops[DROP_BAD_RECORD] == 0 && rx->drops[DROP_BAD_FRAGMENT] == 0); // no peer here makes such
}

// Frames that came in an accepted data message are written, or counted. Too long ones are counted before they are whole, or after.
static void check_frames(const struct sim_node *node)
{
    const struct counters *rx = &node->node->counters[NODE_RX];
    uint64_t n_too_long = rx->drops[DROP_EXCEEDS_TAP_MTU], n_reassembled = rx->traffic[COUNT_RX_REASSEMBLED_FRAMES];
    uint64_t n_dropped = rx->drops[DROP_FRAME_TOO_SHORT] + rx->drops[DROP_LINK_LOCAL_CONTROL] + rx->drops[DROP_ECN_NOT_CAPABLE];
    uint64_t n_whole = node->books.n_frames + n_reassembled, n_done = rx->traffic[COUNT_RX_FRAMES] + n_dropped;
    uint64_t n_given_up = rx->drops[DROP_FRAGMENT_TIMEOUT] + rx->drops[DROP_FRAGMENT_NO_ROOM] + node->node->rx.reassembly.n_unfinished;

    if (node->node->rx.run.is_open)
        return;
    sim_assert(node->sim, n_done <= n_whole && n_whole <= n_done + n_too_long);
    sim_assert(node->sim, node->books.n_runs <= n_reassembled + n_given_up + n_too_long);
}

void sim_check_books(const struct sim_node *node)
{
    if (node->sim->has_hostile_peer)
        return;
    check_counts(node);
    check_frames(node);
}
