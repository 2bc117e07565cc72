// SPDX-License-Identifier: MIT
/*
 * sim: two whole nodes on a virtual clock, joined by a network that is as bad as a test wants it.
 *
 * Everything is deterministic: one seed gives one run, down to the order in which the three threads of each node get their turns. The
 * twins of the TAP and of the UDP socket lie in memory; no root, no sockets, no waiting. A test sets the nodes' configuration, lets time
 * pass, does something to the network or the nodes, and asserts. What must hold in every run is checked here (sim_check.c): see
 * sim_check_node().
 *
 * A failure prints the seed and the command that repeats the run.
 */
#ifndef ETHERCORD_TESTS_SIM_H
#define ETHERCORD_TESTS_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/clock.h"
#include "ethercord/node.h"

enum { SIM_A, SIM_B, SIM_NODES };
enum { SIM_HEADERS_LEN = 20 + 8 }; // of the outer packet: IPv4 and UDP
enum { SIM_FRAME_MIN = 32, SIM_DATAGRAM_CAP = 9216, SIM_NOBODY = -1 };

// One direction of the network; all zero = perfect.
struct sim_link {
    double loss, duplicate; // probabilities per datagram
    double busy;            // … that a call to send is refused for now (would block, or ENOBUFS)
    unsigned delay_ms;
    unsigned reorder_ms; // a random part on top of the delay
    bool is_blocked;
    bool is_marking; // congested: every datagram whose ECN field allows it is marked
    size_t mtu;      // largest UDP payload; longer ones: EMSGSIZE. 0 = any
    size_t carries;  // the same, but longer ones vanish on the way
    bool has_icmp;   // … not without a word
};

struct sim_datagram {
    uint64_t at_ns, order; // of arrival
    int sender;            // which node, or SIM_NOBODY
    struct addr from, to;
    uint8_t ecn;
    size_t len;
    uint8_t bytes[];
};
struct sim_datagrams { // owned
    struct sim_datagram **at;
    size_t n, cap;
};

// What the network does with a datagram, before loss and delay.
enum sim_fate {
    SIM_PASS,
    SIM_DROP,
    SIM_HOLD // goes to sim.held; see sim_release()
};
struct sim;
typedef enum sim_fate (*sim_filter)(struct sim *sim, const struct sim_datagram *datagram);

struct sim_thread {
    uint64_t due_ns; // of its next turn; UINT64_MAX = when something wakes it
};

struct sim_frame {
    size_t len;
    struct offload offload;
    uint8_t *bytes;
};
struct sim_frames { // a queue; the first `first` have been taken and freed
    struct sim_frame *at;
    size_t first, n, cap;
};

// A numbered frame that a test sent from a node: its bytes follow from node, number and length.
struct sim_sent {
    size_t len;
    bool is_received;
};
struct sim_traffic { // from one node to the other
    struct sim_sent *sent;
    size_t n_sent, cap;
    size_t n_received, n_late; // late: behind a later one
    size_t next;               // one above the highest number received
};
struct sim_flow {
    uint64_t every_ns, next_ns; // 0 = none
    size_t min_len, max_len;
};

struct sim_node {
    struct sim *sim;
    int id;
    struct node_config config; // to be changed before sim_start()
    struct node *node;         // NULL = not running
    uint64_t random;           // state
    struct addr own;           // what it is bound to
    struct addr seen;          // what others see: differs behind a NAT
    struct addr far;           // what its Endpoint's name means; unset = does not exist
    int64_t wall_skew_ns;
    struct sim_thread threads[NODE_THREADS];
    enum tx_wait wait;
    bool is_resolving;
    struct tap tap;
    struct udp udp[2];
    bool is_tap_down, has_carrier;
    enum tap_offload tap_offload; // what the TAP takes
    struct sim_frames to_read;    // in the TAP, for the node
    uint64_t read_ns;             // when it read some of them last
    struct sim_frames written;    // by the node to the TAP: all but numbered frames
    struct sim_datagrams inbox;   // of the UDP socket
    struct udp_error icmp;        // in its error queue; error 0 = none
    struct sim_flow flow;
    uint64_t last_arrival_ns; // of what it sent
    unsigned n_up, n_down;    // events
    unsigned n_paths_found;
    unsigned n_conflicts;
};

struct sim {
    const char *scenario;
    uint64_t seed, random;
    uint64_t now_ns;
    uint64_t n_turns, turns_from_ns, check_ns;
    unsigned slow_us; // threads get their turns up to this much late
    struct sim_link links[SIM_NODES];
    struct sim_node nodes[SIM_NODES];
    struct sim_traffic traffic[SIM_NODES]; // by sender
    struct sim_datagrams flying;           // a heap by time of arrival
    uint64_t n_sends;
    sim_filter filter;
    void *filter_ctx;
    struct sim_datagrams held;
    bool is_recording;
    struct sim_datagrams recorded;
    size_t stray_bytes, n_stray; // went to addresses that nobody here has
    struct sim_seals *seals;
    bool has_reordered; // frames may come out of order, too
};

typedef void (*sim_scenario)(struct sim *sim);
// Runs a scenario under n seeds (ten times as many with ETHERCORD_FULL, only $SIM_SEED if that is set), each with a fresh sim.
void sim_each_seed(const char *name, unsigned n, sim_scenario scenario);
// Call first in main(): $SIM_ONLY picks one test of the program.
void sim_begin(void);
_Noreturn void sim_fail(const struct sim *sim, const char *file, int line, const char *what);
#define sim_assert(sim, expr) ((expr) ? (void)0 : sim_fail((sim), __FILE__, __LINE__, #expr))

uint64_t sim_random(struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t limit); // 0 … limit - 1
bool sim_chance(struct sim *sim, double p);

// Both directions at once. Frames that are in flight stay what they are.
void sim_link(struct sim *sim, struct sim_link link);
// Starts a node (with its configuration) or both, in this very moment.
void sim_start_node(struct sim *sim, int id);
void sim_start(struct sim *sim);
// Ends a node, as by SIGTERM (goodbye leaves) or as by SIGKILL. It may be started again: it has forgotten everything then.
void sim_stop_node(struct sim *sim, int id, bool has_goodbye);
void sim_run(struct sim *sim, uint64_t duration_ns);
bool sim_are_up(const struct sim *sim);
// False when they are not both up within that time.
bool sim_run_until_up(struct sim *sim, uint64_t limit_ns) __attribute__((warn_unused_result));
// Makes the network perfect, lets everything settle, then asserts that both ends are up with the same current keypair and that frames
// cross both ways.
void sim_heal(struct sim *sim);
const struct peer *sim_peer(const struct sim *sim, int id);
uint64_t sim_dropped(const struct sim *sim, int id, enum drop_reason reason);
uint64_t sim_counted(const struct sim *sim, int id, enum traffic_counter counter);

// Frames (sim_tap.c).
void sim_send_frame(struct sim *sim, int from, size_t len);
void sim_send_frames(struct sim *sim, int from, size_t n, size_t len);
// Frames from `from` all the time, with lengths between these; every_ns = 0 ends it.
void sim_flow(struct sim *sim, int from, uint64_t every_ns, size_t min_len, size_t max_len);
void sim_send_raw(struct sim *sim, int from, const uint8_t *bytes, size_t len);
// The same with something left undone: a super-frame, or a frame without its checksum.
void sim_send_undone(struct sim *sim, int from, const uint8_t *bytes, size_t len, const struct offload *offload);
size_t sim_n_sent(const struct sim *sim, int from);
size_t sim_n_received(const struct sim *sim, int from);
void sim_frames_push(struct sim_frames *frames, const uint8_t *bytes, size_t len, const struct offload *offload);
void sim_frames_free(struct sim_frames *frames);
void sim_tap_open(struct sim_node *node);
void sim_feed_flow(struct sim_node *node);

// The network (sim_net.c).
struct addr sim_addr(unsigned last_byte, uint16_t port); // 192.0.2.last_byte
void sim_udp_open(struct sim_node *node);
void sim_deliver(struct sim *sim);
// An ICMP message for the node says that what goes to `remote` may have `mtu` bytes at the most.
void sim_icmp(struct sim_node *node, const struct addr *remote, uint32_t mtu);
// Puts a copy on the wire, past loss and filter; arrives at once.
void sim_inject(struct sim *sim, const struct sim_datagram *datagram, const struct addr *from, const struct addr *to);
// Lets one of the datagrams that were held back go; `i` counts from the oldest that is left.
void sim_release(struct sim *sim, size_t i);
// The node has another address from now on, as others see it; `is_own`: it knows it itself (no NAT).
void sim_move(struct sim *sim, int id, struct addr to, bool is_own);
void sim_datagrams_free(struct sim_datagrams *datagrams);
bool sim_is_data(const struct sim_datagram *datagram);
uint64_t sim_next_arrival(const struct sim *sim);

// Invariants (sim_check.c).
struct sim_seals *sim_seals_new(void);
void sim_seals_free(struct sim_seals *seals);
// Asserts that no (sender, receiver index, counter) ever names two different datagrams.
void sim_check_seal(struct sim *sim, const struct sim_datagram *datagram);
// Asserts the sums of counters and the whereabouts of keys of a node; does nothing while messages between its threads are on their way.
void sim_check_node(struct sim *sim, const struct sim_node *node);

// The core's side of the twins (sim.c).
void sim_wake(struct sim_node *node, enum node_thread thread);

#endif
