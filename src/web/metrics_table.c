// SPDX-License-Identifier: MIT
/*
 * metrics_table: which number of the status is which metric. docs/metrics.md shows the same table, and says which numbers are left out and
 * why; tests/netns/metrics.test compares both with what a node tells.
 *
 * Base units, _total for what only grows; ages are ages and not moments, because they are measured by a clock that nobody sets.
 */
#include "metrics.h"

#define RX "direction=\"rx\""
#define TX "direction=\"tx\""
#define SHORT ",window=\"10s\""
#define LONG ",window=\"60s\""

#define G(path, name, scale, help)                                                                                                         \
    {                                                                                                                                      \
        path, "ethercord_" name, METRIC_GAUGE, scale, "", help                                                                             \
    }
#define C(path, help)                                                                                                                      \
    {                                                                                                                                      \
        "counters." path, "ethercord_" path "_total", METRIC_COUNTER, 1, "", help                                                          \
    }
#define PG(path, name, scale, labels, help)                                                                                                \
    {                                                                                                                                      \
        path, "ethercord_peer_" name, METRIC_GAUGE, scale, labels, help                                                                    \
    }
#define PC(path, name, labels, help)                                                                                                       \
    {                                                                                                                                      \
        path, "ethercord_peer_" name, METRIC_COUNTER, 1, labels, help                                                                      \
    }

const struct metric metrics_of_node[] = {
    G("tap.mtu", "tap_mtu_bytes", 1, "MTU of the TAP."),
    G("tap.carrier", "tap_carrier", 1, "Whether the TAP has carrier."),
    G("underlay.gso", "underlay_gso", 1, "Whether trains of datagrams leave in one call."),
    G("underlay.gro", "underlay_gro", 1, "Whether trains of datagrams are received in one piece."),
    G("underlay.recv_buffer_bytes", "underlay_recv_buffer_bytes", 1, "Receive buffer of the UDP socket that the kernel has granted."),
    G("underlay.send_buffer_bytes", "underlay_send_buffer_bytes", 1, "Send buffer of the UDP socket that the kernel has granted."),
    G("reassembly.memory_bytes", "reassembly_memory_bytes", 1, "Memory that frames may take of which some fragments have not come yet."),
    G("reassembly.used_bytes", "reassembly_used_bytes", 1, "Memory that they take now."),
    G("reassembly.unfinished_frames", "reassembly_unfinished_frames", 1, "Frames of which some fragments have not come yet."),
    G("reassembly.unfinished_frames_max", "reassembly_unfinished_frames_max", 1, "How many of them have room."),
    G("sandbox.on", "sandbox_on", 1, "Whether system calls are filtered."),
    G("sandbox.worker.keys_locked", "keys_locked", 1, "Whether keys are locked in memory."),
    C("tap_read_frames", "Frames read from the TAP."),
    C("tap_read_bytes", "Bytes of the frames read from the TAP."),
    C("tap_written_frames", "Frames written to the TAP."),
    C("tap_written_bytes", "Bytes of the frames written to the TAP."),
    C("tx_frames", "Whole frames sent to the peer."),
    C("tx_bytes", "Bytes of the frames sent to the peer, Ethernet header included."),
    C("rx_frames", "Whole frames of the peer that got through all checks."),
    C("rx_bytes", "Bytes of the peer's frames that got through all checks."),
    C("tx_datagrams", "Datagrams sent."),
    C("tx_datagram_bytes", "UDP payload sent."),
    C("tx_copies", "Datagrams sent a second time, to where the peer may be now."),
    C("rx_datagrams", "Datagrams received."),
    C("rx_datagram_bytes", "UDP payload received."),
    C("tx_trains", "Trains sent; a single datagram is one, too."),
    C("rx_trains", "Trains received."),
    C("tap_read_super_frames", "Super-frames read from the TAP."),
    C("tap_written_super_frames", "Super-frames written to the TAP."),
    C("tx_segments", "Frames sent that were cut from super-frames."),
    C("rx_segments", "Frames received that came as segments."),
    C("send_offload_refused", "Trains that went out one by one because the kernel refused them."),
    C("tap_offload_refused", "Writes to the TAP that had to be finished in software."),
    C("tx_fragmented_frames", "Frames cut into fragments."),
    C("rx_reassembled_frames", "Frames put together from fragments."),
    C("shortcut_taken", "Frames that were for the shortcut and go nowhere else."),
    C("shortcut_sent", "Frames that the shortcut made."),
    C("shortcut_conflicts", "Frames of somebody else who claims the shortcut's address."),
    C("too_big_sent", "ICMP answers to senders of packets that the far TAP can't take."),
    C("send_blocked", "Times that sending had to wait for the underlay."),
    C("icmp_errors", "ICMP errors taken from the UDP sockets."),
    C("path_probes", "Probes of the path MTU."),
    C("black_holes", "Times that packets of the size in use turned out to vanish on their way."),
    C("handshakes_started", "Initiations sent."),
    C("handshakes_done", "Keypairs that came into use."),
    C("cookie_replies", "Cookie replies sent: this node was under load."),
    C("cookies_taken", "Cookies received: the peer was under load."),
    C("rx_messages", "Data messages of the peer that were accepted."),
    C("rx_messages_expected", "Data messages that the peer must have sent, by their counters."),
    C("rx_messages_late", "Data messages of the peer that came behind a later one."),
    C("rx_messages_repeated", "Data messages of the peer that came again."),
    {.path = NULL},
};

const struct metric metrics_of_peer[] = {
    PG("since_s", "state_age_seconds", 1, "", "For how long the peer has been up or not up."),
    PG("last_handshake_age_s", "last_handshake_age_seconds", 1, "", "Age of the current keypair."),
    PG("lookup_age_s", "lookup_age_seconds", 1, "", "How long ago the name in Endpoint was looked up."),
    PG("rtt_ms", "rtt_seconds", 1e-3, "", "Round trip through the tunnel, smoothed."),
    PG("rtt_last_ms", "rtt_last_seconds", 1e-3, "", "Round trip of the last echo."),
    PG("jitter_ms", "jitter_seconds", 1e-3, "", "Mean difference between one round trip and the next."),
    PG("loss_rx_percent", "loss_ratio", 1e-2, RX SHORT, "Part of the data messages that were lost lately."),
    PG("loss_tx_percent", "loss_ratio", 1e-2, TX SHORT, ""),
    PG("loss_rx_60s_percent", "loss_ratio", 1e-2, RX LONG, ""),
    PG("loss_tx_60s_percent", "loss_ratio", 1e-2, TX LONG, ""),
    PG("reordered_rx_percent", "reordered_ratio", 1e-2, RX SHORT, "Part of the data messages that came behind a later one lately."),
    PG("reordered_tx_percent", "reordered_ratio", 1e-2, TX SHORT, ""),
    PC("rx_expected_messages", "messages_expected_total", RX, "Data messages that must have been sent."),
    PC("tx_expected_messages", "messages_expected_total", TX, ""),
    PG("rx_lost_messages", "messages_lost", 1, RX, "Data messages that are missing so far; one that comes late is no longer."),
    PG("tx_lost_messages", "messages_lost", 1, TX, ""),
    PC("rx_reordered_messages", "messages_reordered_total", RX, "Data messages that came behind a later one."),
    PC("tx_reordered_messages", "messages_reordered_total", TX, ""),
    PC("rx_repeated_messages", "messages_repeated_total", RX, "Data messages that came again."),
    PC("tx_repeated_messages", "messages_repeated_total", TX, ""),
    PG("path_mtu", "path_mtu_bytes", 1, "", "Largest outer IP packet that is sent now."),
    PG("far_tap_mtu", "far_tap_mtu_bytes", 1, "", "MTU of the peer's TAP."),
    PG("clock_behind_s", "clock_behind_seconds", 1, "", "The peer was refused because its clock was this far behind."),
    PG("clock_skew_s", "clock_skew_seconds", 1, "", "How far the peer's clock was ahead when it last called; negative: behind."),
    PC("rival_returns", "rival_returns_total", "", "Times that the peer went back within a minute to the address it had come from."),
    PG("rival_returned_age_s", "rival_returned_age_seconds", 1, "", "How long ago it last did: perhaps two nodes have one key."),
    PC("rx_frames", "frames_total", RX, "Whole frames of the peer, and to it."),
    PC("tx_frames", "frames_total", TX, ""),
    PC("rx_bytes", "bytes_total", RX, "Bytes of whole frames of the peer, and to it, Ethernet header included."),
    PC("tx_bytes", "bytes_total", TX, ""),
    {.path = NULL},
};
