// SPDX-License-Identifier: MIT
/*
 * status: see status.h. Ages are seconds, sizes bytes; what is not known is null.
 */
#include "status.h"

#include <arpa/inet.h>
#include <cap-ng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/program.h"
#include "places.h"
#include "status_quality.h"

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

static json_t *age_or_null(uint64_t now_ns, uint64_t then_ns)
{
    return then_ns ? json_real(seconds(age_ns(now_ns, then_ns))) : json_null();
}

static json_t *cidr_list(const struct cidr *cidrs, size_t n)
{
    json_t *list = json_array();
    char text[CIDR_TEXT_CAP];

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(cidr_format(&cidrs[i], text)));
    return list;
}

static json_t *narrow_list(const struct ports *ports)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ports->n_narrow && i < PORTS_NARROW_MAX; i++)
        json_array_append_new(list, json_pack("{s:s, s:I}", "name", ports->narrow[i].name, "mtu", (json_int_t)ports->narrow[i].mtu));
    return list;
}

static json_t *tap_object(const struct node *node, const struct status_facts *facts)
{
    const struct tap_settings *tap = &facts->config->tap;
    bool is_on = !node->is_carrier_peer_up || atomic_load_explicit(&node->is_peer_up, memory_order_relaxed);
    char text[MAC_TEXT_CAP];

    enum tap_offload level = atomic_load_explicit(&node->rx.tap_out.level, memory_order_relaxed);
    return json_pack("{s:s, s:i, s:s, s:s?, s:s, s:b, s:s, s:s, s:o}", "name", tap->name, "mtu", (int)tap->mtu, "mac_address",
                     mac_format(&facts->tap_mac, text), "bridge", tap->bridge[0] ? tap->bridge : NULL, "carrier_mode",
                     tap->carrier == TAP_CARRIER_PEER_UP ? "peer-up" : "always", "carrier", is_on, "offload", tap_offload_name(level),
                     "offload_wanted", tap_offload_name(tap->offload), "narrow_ports", narrow_list(facts->ports));
}

// Of the socket that the peer is reached by, or else of the first there is.
static json_t *underlay_object(const struct node *node, const struct peer *peer, const struct udp_options *options)
{
    bool is_ipv6 = peer && peer->has_endpoint && peer->endpoint.remote.family == AF_INET6;
    char source[INET6_ADDRSTRLEN];
    const struct udp *udp = &node->tx.udp[is_ipv6 || node->tx.udp[0].family == AF_UNSPEC];

    json_t *object = json_pack(
        "{s:b, s:b, s:b, s:I, s:s?, s:s?}", "gso", atomic_load_explicit(&udp->segmentation.is_on, memory_order_relaxed), "gro",
        udp->has_gro, "offload_wanted", options->offload == UDP_OFFLOAD_ON, "fwmark", (json_int_t)options->fwmark, "interface",
        options->interface[0] ? options->interface : NULL, "source_address",
        options->source.family == AF_UNSPEC ? NULL : inet_ntop(options->source.family, options->source.ip, source, sizeof source));
    json_object_set_new(object, "recv_buffer_bytes", json_integer(udp->recv_buffer_bytes));
    json_object_set_new(object, "recv_buffer_wanted_bytes", json_integer(UDP_RECV_BUFFER_BYTES));
    json_object_set_new(object, "send_buffer_bytes", json_integer(udp->send_buffer_bytes));
    json_object_set_new(object, "send_buffer_wanted_bytes", json_integer(UDP_SEND_BUFFER_BYTES));
    return object;
}

static json_t *shortcut_object(const struct status_facts *facts)
{
    const struct shortcut_config *shortcut = &facts->config->shortcut;
    char text[MAC_TEXT_CAP];

    return json_pack("{s:o, s:s, s:s, s:I}", "addresses", cidr_list(shortcut->addresses, shortcut->n_addresses), "mac_address",
                     mac_format(&shortcut->mac, text), "answer", shortcut->answer == SHORTCUT_ANSWER_PEER_UP ? "peer-up" : "always",
                     "conflicts", (json_int_t)facts->n_conflicts);
}

// Read while rx writes: each number is right, if not of the same moment.
static json_t *reassembly_object(const struct node *node, const struct config *config)
{
    const struct reassembly *reassembly = &node->rx.reassembly;
    uint32_t n = reassembly_unfinished(reassembly);

    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "memory_bytes", (json_int_t)config->reassembly_memory_kib * 1024, "timeout_ms",
                     (json_int_t)config->reassembly_timeout_ms, "used_bytes", (json_int_t)reassembly_bytes(reassembly, n),
                     "unfinished_frames", (json_int_t)n, "unfinished_frames_max", (json_int_t)reassembly_cap(reassembly));
}

const char *status_reason(const struct peer *peer, uint64_t now_ns, char *text, size_t cap)
{
    double since = seconds(age_ns(now_ns, peer->since_ns));
    char to[ADDR_TEXT_CAP];

    switch (peer->reason) {
    case PEER_REASON_STARTING:
        snprintf(text, cap, peer->is_resolving ? "starting: the name in Endpoint is being looked up" : "starting");
        break;
    case PEER_REASON_NO_ENDPOINT:
        snprintf(text, cap, "waiting for the peer to call: no Endpoint is configured here");
        break;
    case PEER_REASON_UNRESOLVED:
        snprintf(text, cap, "the name in Endpoint has no address (see the log); trying again");
        break;
    case PEER_REASON_NO_ANSWER:
        snprintf(text, cap, "no answer to %u initiations, the last to %s", peer->n_attempts, addr_format(&peer->tried, to));
        break;
    case PEER_REASON_SILENT:
        snprintf(text, cap, "nothing heard from the peer any more");
        break;
    case PEER_REASON_GOODBYE:
        snprintf(text, cap, "the peer said goodbye");
        break;
    case PEER_REASON_EXPIRED:
        snprintf(text, cap, "the keys reached the end of their life and no new handshake succeeded");
        break;
    case PEER_REASON_CLOCK:
        snprintf(text, cap, "refused: the peer's clock is %.1f s behind its last handshake", seconds(peer->clock_behind_ns));
        break;
    case PEER_REASON_REMOVED:
        snprintf(text, cap, "another peer was configured by a reload, or none");
        break;
    case PEER_REASON_UP:
        snprintf(text, cap, "up for %.0f s", since);
        break;
    case PEER_REASON_COUNT:
        abort();
    }
    return text;
}

static void set_traffic(json_t *object, const struct counters *counters)
{
    static const enum traffic_counter shown[] = {COUNT_RX_FRAMES, COUNT_TX_FRAMES, COUNT_RX_BYTES, COUNT_TX_BYTES};

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        json_object_set_new(object, traffic_name(shown[i]), json_integer((json_int_t)counters->traffic[shown[i]]));
}

static void set_rival(json_t *object, const struct peer_rival *rival, uint64_t now_ns)
{
    char at[ADDR_TEXT_CAP];

    json_object_set_new(object, "rival", rival->taken_ns ? json_string(addr_format(&rival->at, at)) : json_null());
    json_object_set_new(object, "rival_age_s", age_or_null(now_ns, rival->taken_ns));
    json_object_set_new(object, "rival_returns", json_integer((json_int_t)rival->n_returns));
    json_object_set_new(object, "rival_returned_age_s", age_or_null(now_ns, rival->returned_ns));
}

static json_t *peer_object(const struct peer *peer, const struct status_facts *facts, const struct counters *counters, uint64_t now_ns)
{
    char endpoint[ADDR_TEXT_CAP], reason[200], key[KEY_TEXT_CAP];

    key_encode(key, peer->config.public_key);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:f, s:s?, s:s?, s:o, s:i, s:s, s:o, s:o}", "name", peer->config.name, "public_key", key, "state",
        peer_state_name(peer_state(peer)), "reason", status_reason(peer, now_ns, reason, sizeof reason), "since_s",
        seconds(age_ns(now_ns, peer->since_ns)), "endpoint", peer->has_endpoint ? addr_format(&peer->endpoint.remote, endpoint) : NULL,
        "cipher", peer->current.is_used ? cipher_name(peer->current.cipher) : NULL, "last_handshake_age_s",
        age_or_null(now_ns, peer->current.born_ns), "path_mtu", (int)peer->pmtu.size, "path_mtu_state", pmtu_state_name(peer->pmtu.state),
        "far_tap_mtu", peer->current.is_used ? json_integer(peer->current.far_tap_mtu) : json_null(), "clock_behind_s",
        peer->clock_behind_ns ? json_real(seconds(peer->clock_behind_ns)) : json_null());
    if (object) {
        places_set_status(object, peer, &facts->config->peer, now_ns);
        json_object_set_new(object, "clock_skew_s",
                            peer->has_clock_skew ? json_real((double)peer->clock_skew_ns / (double)NS_PER_S) : json_null());
        set_rival(object, &peer->rival, now_ns);
        set_traffic(object, counters);
    }
    return object;
}

static json_t *drops_object(const struct counters *counters)
{
    json_t *object = json_object();

    for (int i = 0; i < DROP_COUNT; i++)
        json_object_set_new(object, drop_name((enum drop_reason)i), json_integer((json_int_t)counters->drops[i]));
    return object;
}

static json_t *counters_object(const struct counters *counters)
{
    json_t *object = json_object();

    for (int i = 0; i < COUNT_COUNT; i++)
        json_object_set_new(object, traffic_name((enum traffic_counter)i), json_integer((json_int_t)counters->traffic[i]));
    return object;
}

static json_t *capability_list(uint64_t capabilities)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < 64; i++)
        if (capabilities >> i & 1)
            json_array_append_new(list, json_string(capng_capability_to_name(i)));
    return list;
}

// The worker's confinement was looked at when it began: nothing in it can grow again.
static json_t *worker_object(const struct status_facts *facts)
{
    const struct sandbox *sandbox = facts->sandbox;
    json_t *filters = json_object();

    for (int who = SANDBOX_MAIN; who <= SANDBOX_RX; who++)
        json_object_set_new(filters, sandbox_who_name((enum sandbox_who)who), json_integer(atomic_load(&sandbox->n_filters[who])));
    return json_pack("{s:I, s:I, s:[], s:b, s:o, s:b, s:i, s:b, s:b}", "uid", (json_int_t)facts->confinement.uid, "gid",
                     (json_int_t)facts->confinement.gid, "capabilities", "no_new_privs", true, "filters", filters, "empty_root",
                     facts->confinement.view.is_root_empty, "landlock", facts->confinement.view.landlock, "keys_locked",
                     facts->is_memory_locked, "core_dumps", false);
}

// As the monitor has said itself, in the page that both see.
static json_t *monitor_object(const struct sandbox_page *page)
{
    if (!atomic_load(&page->is_monitor_confined))
        return json_null();
    bool is_filtered = atomic_load(&page->is_monitor_filtered);
    return json_pack("{s:I, s:o, s:b, s:i, s:b}", "uid", (json_int_t)atomic_load(&page->monitor_uid), "capabilities",
                     capability_list(atomic_load(&page->monitor_capabilities)), "no_new_privs", is_filtered, "filters", (int)is_filtered,
                     "core_dumps", false);
}

static json_t *sandbox_object(const struct status_facts *facts)
{
    return json_pack("{s:b, s:o, s:o}", "on", facts->sandbox->is_on, "worker", worker_object(facts), "monitor",
                     monitor_object(facts->page));
}

static json_t *metrics_object(const struct status_facts *facts)
{
    const struct addr *listen = &facts->config->metrics.listen;
    char text[ADDR_TEXT_CAP];

    if (listen->family == AF_UNSPEC)
        return json_null();
    return json_pack("{s:s, s:b}", "listen", addr_format(listen, text), "running", (int)atomic_load(&facts->page->is_web_running));
}

json_t *status_build(const struct node *node, const struct status_facts *facts, uint64_t now_ns)
{
    struct counters counters;
    const struct peer *peer = node_peer(node);
    json_t *peers = json_array();
    char key[KEY_TEXT_CAP];

    memset(&counters, 0, sizeof counters);
    node_count(node, &counters);
    queues_count(facts->queues, node->tx.udp, &counters);
    key_encode(key, facts->config->public_key);
    if (peer) {
        json_t *object = peer_object(peer, facts, &counters, now_ns);
        status_set_quality(object, node, now_ns);
        json_array_append_new(peers, object);
    }
    return json_pack("{s:i, s:s, s:s?, s:s, s:i, s:f, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", 1, "name",
                     facts->config->name, "config_file", facts->config->file[0] ? facts->config->file : NULL, "version", ETHERCORD_VERSION,
                     "pid", (int)facts->pid, "uptime_s", seconds(age_ns(now_ns, facts->started_ns)), "public_key", key, "listen_port",
                     (int)facts->listen_port, "tap", tap_object(node, facts), "underlay", underlay_object(node, peer, &facts->config->udp),
                     "shortcut", shortcut_object(facts), "reassembly", reassembly_object(node, facts->config), "sandbox",
                     sandbox_object(facts), "metrics", metrics_object(facts), "peers", peers, "drops", drops_object(&counters), "counters",
                     counters_object(&counters));
}
