// SPDX-License-Identifier: MIT
/*
 * sim: whole nodes on a virtual clock, joined by a network that is as bad as a test wants it (docs/simulator.md).
 *
 * Everything is deterministic: one seed gives one run, down to the order in which the three threads of each node get their turns. The
 * twins of the TAP and of the UDP socket lie in memory; no root, no sockets, no waiting. A test sets the nodes' configuration, lets time
 * pass, does something to the network or the nodes, and asserts. What must hold in every run is checked here (sim_check.c, sim_books.c).
 * There are two nodes, A and B, the ends of one cord; a test that wants more cords in the same network calls sim_add_cords().
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

enum { SIM_A, SIM_B, SIM_NODES }; // the ends of the first cord
enum { SIM_NODES_MAX = 50 };
enum { SIM_HEADERS_LEN = 20 + 8 }; // of the outer packet: IPv4 and UDP
enum { SIM_FRAME_MIN = 32, SIM_DATAGRAM_CAP = 9216, SIM_NOBODY = -1 };

// One direction of the network; all zero = perfect.
struct sim_link {
    double loss, duplicate; // probabilities per datagram
    double corrupt;         // … that it arrives damaged: see sim_damaged()
    double misroute;        // … that it gets to some other node
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

// Where datagrams are lost; see sim_lose().
enum sim_loss {
    SIM_LOST_FILTERED, // by the test
    SIM_LOST_BLOCKED,
    SIM_LOST_BY_CHANCE,
    SIM_LOST_TOO_LONG,
    SIM_LOST_STRAY,  // nobody has that address
    SIM_LOST_IN_NAT, // nobody behind it asked for that
    SIM_LOST_UNREAD, // the node was not running, or was stopped before it took them
    SIM_LOSS_COUNT
};

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
    uint64_t *runs;            // of fragments, by number: the receiver's life in which a piece was accepted last
    size_t n_runs, runs_cap;
};
struct sim_flow {
    uint64_t every_ns, next_ns; // 0 = none
    size_t min_len, max_len;
};

// A port-restricted NAT before a node; lifetime_ns = 0: there is none. Several nodes may share one, and its few ports.
enum { SIM_NAT_PORTS = 6, SIM_NAT_ASKED = 8 };
struct sim_nat {
    uint64_t lifetime_ns; // of a mapping, from the last datagram out
    uint64_t until_ns;    // of the mapping in use: sim_node.seen
    unsigned last_byte;   // of its address
    struct addr asked[SIM_NAT_ASKED];
    uint64_t asked_ns[SIM_NAT_ASKED];
};

// What the network and the receiver's keys say that has to become of what a node is given, since it was started (sim_books.c).
enum { SIM_WINDOWS = 16 };
struct sim_window { // of a key that something was accepted under
    uint32_t local_index;
    uint64_t next, confirmed_ns;
};
struct sim_books {
    uint64_t life;             // names this run of the node; never 0
    uint64_t n_taken, n_given; // datagrams by the network, and to the node
    uint64_t drops[DROP_COUNT];
    struct cookie_checker checker;
    uint64_t n_read, n_super_read, n_sent; // frames taken from the TAP (super-frames apart), and sent
    uint64_t n_frames;                     // in data messages to be accepted, but for those in pieces
    uint64_t n_runs;                       // of which at least a piece was accepted
    uint64_t n_handshake;                  // messages with a right mac1, and cookie replies
    uint64_t n_genuine;                    // … that the peer made, each counted once
    struct sim_window windows[SIM_WINDOWS];
    size_t n_windows;                    // ever
    uint32_t sealing, left[SIM_WINDOWS]; // receiver indices that it sends to, and sent to before
    size_t n_left;                       // ever
    bool is_in_run;                      // of fragments
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
    uint64_t wall_stands_ns;  // since that moment the wall clock stands still; 0 = it goes
    int64_t boot_skew_ns;     // its boot-time clock less the simulator's
    uint64_t asleep_until_ns; // suspended till then, or paused as a guest
    struct sim_nat nat;
    struct sim_books books;
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
    size_t n_nodes;
    struct sim_link links[SIM_NODES_MAX]; // by sender
    struct sim_node nodes[SIM_NODES_MAX];
    struct sim_traffic traffic[SIM_NODES_MAX]; // by sender
    struct sim_datagrams flying;               // a heap by time of arrival
    uint64_t n_sends;
    uint64_t n_taken, n_made, n_given; // datagrams: from sockets, copies, to sockets
    uint64_t n_lost[SIM_LOSS_COUNT];
    uint64_t n_damaged, n_lives, n_steps;
    void (*before_step)(struct sim *sim); // each turn of a thread is one
    void *step_ctx;
    sim_filter filter;
    void *filter_ctx;
    struct sim_datagrams held;
    bool is_recording;
    struct sim_datagrams recorded;
    size_t recorded_max;         // then a new one takes the place of any other; 0 = there is no limit
    size_t stray_bytes, n_stray; // went to addresses that nobody here has
    struct sim_seals *seals;
    bool has_reordered;    // frames may come out of order, too
    bool has_hostile_peer; // a test holds the keys of one: there are no books on what that makes
};

// Seeds (sim_seeds.c).
typedef void (*sim_scenario)(struct sim *sim);
// Runs a scenario under n seeds (ten times as many with ETHERCORD_FULL, only $SIM_SEED if that is set), each with a fresh sim.
void sim_each_seed(const char *name, unsigned n, sim_scenario scenario);
// Call first in main(): $SIM_ONLY picks one test of the program.
void sim_begin(void);
_Noreturn void sim_fail(const struct sim *sim, const char *file, int line, const char *what);
#define sim_assert(sim, expr) ((expr) ? (void)0 : sim_fail((sim), __FILE__, __LINE__, #expr))

void sim_open(struct sim *sim, const char *name, uint64_t seed);
void sim_close(struct sim *sim);
// All that is random from now on, keys included, follows from `seed`. Before sim_start().
void sim_sow(struct sim *sim, uint64_t seed);
// Nodes 2 and 3, 4 and 5, … are the ends of further cords. Before sim_start().
void sim_add_cords(struct sim *sim, size_t n);
static inline int sim_other(int id) // end of the same cord
{
    return id ^ 1;
}
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
// The node runs on with what is in its configuration now; `is_elsewhere`: its Endpoint is another one.
void sim_reload(struct sim *sim, int id, bool is_elsewhere);
void sim_run(struct sim *sim, uint64_t duration_ns);
// Clocks. The boot-time clock jumps ahead; or the node does nothing for a while, in which its boot-time clock goes on or does not.
void sim_jump(struct sim *sim, int id, uint64_t by_ns);
void sim_sleep(struct sim *sim, int id, uint64_t duration_ns, bool is_counted);
uint64_t sim_boot_clock(const struct sim_node *node);
// False when `is_done` was not true within that time.
bool sim_run_until(struct sim *sim, uint64_t limit_ns, bool (*is_done)(const struct sim *sim)) __attribute__((warn_unused_result));
bool sim_are_up(const struct sim *sim);
// False when they are not both up within that time.
bool sim_run_until_up(struct sim *sim, uint64_t limit_ns) __attribute__((warn_unused_result));
// Makes the network perfect, lets everything settle, then asserts that both ends are up with the same current keypair and that frames
// cross both ways.
void sim_heal(struct sim *sim);
// All that troubles network, clocks and nodes ends (but NATs), and who can be called is called where he is; then asserts that within that
// time frames cross each cord both ways, and that from then on none is lost.
void sim_recover(struct sim *sim, uint64_t limit_ns);
// Whether the nodes of each cord are up with the same current keypair.
bool sim_is_converged(const struct sim *sim);
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
// Keeps count of one that does not arrive; frees nothing.
void sim_lose(struct sim *sim, enum sim_loss where);
// A copy with some bits flipped, or cut off, or with something behind it, or with another one's end. To be freed.
struct sim_datagram *sim_damaged(struct sim *sim, const struct sim_datagram *datagram);
struct sim_datagram *sim_copy(const struct sim_datagram *datagram);
// Puts a copy on the wire, past loss and filter; arrives at once.
void sim_inject(struct sim *sim, const struct sim_datagram *datagram, const struct addr *from, const struct addr *to);
// Lets one of the datagrams that were held back go; `i` counts from the oldest that is left.
void sim_release(struct sim *sim, size_t i);
// The node has another address from now on, as others see it; `is_own`: it knows it itself (no NAT).
void sim_move(struct sim *sim, int id, struct addr to, bool is_own);
// Puts the node behind the NAT with that address, whose mappings live so long.
void sim_nat_put(struct sim *sim, int id, unsigned last_byte, uint64_t lifetime_ns);
// A datagram goes out to `to`: the mapping that it takes is node->seen.
void sim_nat_out(struct sim_node *node, const struct addr *to);
// Who has that address; NULL = nobody.
struct sim_node *sim_who_is_at(struct sim *sim, const struct addr *addr);
// Whether its NAT, if there is one, lets something from `from` in.
bool sim_nat_lets_in(const struct sim_node *node, const struct addr *from);
void sim_datagrams_free(struct sim_datagrams *datagrams);
bool sim_is_data(const struct sim_datagram *datagram);
uint64_t sim_next_arrival(const struct sim *sim);

// Invariants: sums, keys (sim_check.c).
// Asserts that each datagram is where it should be.
void sim_check_net(struct sim *sim);
// Asserts the sums of counters and the whereabouts of keys of a node; does nothing while messages between its threads are on their way.
void sim_check_node(struct sim *sim, const struct sim_node *node);

// Invariants: what becomes of each datagram (sim_books.c).
struct sim_seals *sim_seals_new(void);
void sim_seals_free(struct sim_seals *seals);
// Begins new ones: the node was started.
void sim_books_open(struct sim_node *node);
// The node's socket took a datagram. Asserts that no (sender, receiver index, counter) ever names two different datagrams, and that no node
// goes back to a key that it has left.
void sim_book_sent(struct sim_node *node, const struct sim_datagram *datagram, const struct tx_datagram *made_of);
// The node's socket gives one.
void sim_book_given(struct sim_node *node, const struct sim_datagram *datagram);
// Asserts that all that the node was given became of it what had to.
void sim_check_books(const struct sim_node *node);

// The core's side of the twins (sim.c).
void sim_wake(struct sim_node *node, enum node_thread thread);

#endif
