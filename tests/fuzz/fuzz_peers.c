// SPDX-License-Identifier: MIT
/*
 * peers: two whole nodes of the simulator, and a script of what happens to them: frames good and bad from either TAP, super-frames with
 * undone checksums, datagrams that are lost, held back, let go, doubled, recorded and sent again, flipped, cut, made up; nodes that end,
 * start again and move; time.
 *
 * What the simulator asserts in every run holds here, too (sim_check.c, sim_tap.c): no counter is used twice, no frame comes out that did
 * not go in, none twice, the books agree, keys are where they belong. And when the network is left in peace the two always find together.
 */
#include "fuzz_sim.h"

#include <stdlib.h>

#include "ethercord/wire.h"
#include "fuzz_packets.h"

enum { OPS_MAX = 60, HELD_MAX = 64, DATAGRAM_MAX = 2048 };

static struct reader script;
static unsigned n_dropping, n_holding; // of the next datagrams

static enum sim_fate decide(struct sim *sim, const struct sim_datagram *datagram)
{
    (void)datagram;
    if (n_dropping > 0) {
        n_dropping--;
        return SIM_DROP;
    }
    if (n_holding > 0 && sim->held.n < HELD_MAX) {
        n_holding--;
        return SIM_HOLD;
    }
    return SIM_PASS;
}

static bool has_own_books(const uint8_t *bytes, size_t len)
{
    return len >= SIM_FRAME_MIN && load_be16(bytes + 12) == 0x88b5; // the simulator's numbered frames
}

static void send_any(struct sim *sim, int id)
{
    struct fuzz_chunk chunk = fuzz_chunk(&script, TAP_FRAME_MAX);

    if (!has_own_books(chunk.bytes, chunk.len) && sim->nodes[id].to_read.n < 256)
        sim_send_raw(sim, id, chunk.bytes, chunk.len);
    free(chunk.bytes);
}

static void send_undone(struct sim *sim, int id)
{
    static struct packet_bytes packet;
    struct recipe recipe;
    size_t len;

    fuzz_recipe(&script, &recipe, 60000);
    recipe.is_whole = reader_u8(&script) % 4 == 0;
    make_packet(&packet, &recipe, 1);
    struct offload offload = super_of(&recipe, &packet, (uint16_t)(reader_le16(&script) % 9000));
    uint8_t bend = reader_u8(&script);
    if (bend & 1)
        offload.kind = reader_u8(&script) % (SUPER_UNKNOWN + 1);
    if (bend & 2)
        offload.checksum_start = reader_le16(&script);
    if (bend & 4)
        offload.checksum_offset = reader_le16(&script);
    fuzz_damage(&script, packet.b, packet.payload);
    len = packet.len < TAP_FRAME_MAX ? packet.len : TAP_FRAME_MAX;
    if (!has_own_books(packet.b, len) && sim->nodes[id].to_read.n < 256)
        sim_send_undone(sim, id, packet.b, len, &offload);
}

static struct addr somewhere(const struct sim *sim, uint8_t which)
{
    return which % 3 < 2 ? sim->nodes[which % 3].seen : sim_addr(77, 7);
}

// One of those that were recorded, perhaps flipped and cut.
static void send_again(struct sim *sim)
{
    _Alignas(struct sim_datagram) static uint8_t room[sizeof(struct sim_datagram) + SIM_DATAGRAM_CAP];
    struct sim_datagram *copy = (struct sim_datagram *)(void *)room;
    size_t back = reader_u8(&script);
    uint8_t how = reader_u8(&script);

    if (sim->recorded.n == 0)
        return;
    const struct sim_datagram *from = sim->recorded.at[sim->recorded.n - 1 - back % sim->recorded.n];
    memcpy(copy, from, sizeof *copy + from->len);
    if (how & 1)
        fuzz_damage(&script, copy->bytes, copy->len);
    if (how & 2)
        copy->len = reader_le16(&script) % (copy->len + 1);
    struct addr source = how & 4 ? somewhere(sim, reader_u8(&script)) : copy->from;
    struct addr to = how & 8 ? somewhere(sim, reader_u8(&script)) : copy->to;
    if (copy->len > 0)
        sim_inject(sim, copy, &source, &to);
}

static void send_made_up(struct sim *sim, int to)
{
    struct fuzz_chunk chunk = fuzz_chunk(&script, DATAGRAM_MAX);
    struct sim_datagram *datagram = calloc(1, sizeof *datagram + chunk.len);
    struct addr source = somewhere(sim, reader_u8(&script));

    ensure(datagram);
    datagram->len = chunk.len;
    memcpy(datagram->bytes, chunk.bytes, chunk.len);
    if (chunk.len > 0)
        sim_inject(sim, datagram, &source, &sim->nodes[to].seen);
    free(datagram);
    free(chunk.bytes);
}

static void change_link(struct sim *sim)
{
    uint8_t how = reader_u8(&script), more = reader_u8(&script);

    sim_link(sim, (struct sim_link){.loss = (how & 3) * 0.1,
                                    .duplicate = (how >> 2 & 3) * 0.1,
                                    .delay_ms = how & 0x10 ? 30 : 0,
                                    .reorder_ms = how & 0x20 ? 20 : 0,
                                    .is_marking = how & 0x40,
                                    .carries = how & 0x80 ? 1000 : 0,
                                    .busy = (more & 3) * 0.2,
                                    .mtu = more & 4 ? 1200 : 0,
                                    .is_blocked = (more & 0xf8) == 0xf8,
                                    .has_icmp = how & 1});
}

static void stop_or_start(struct sim *sim, int id)
{
    bool has_goodbye = reader_u8(&script) & 1;

    if (sim->nodes[id].node)
        sim_stop_node(sim, id, has_goodbye);
    else
        sim_start_node(sim, id);
}

static void move(struct sim *sim, int id)
{
    uint8_t where = reader_u8(&script);

    sim_move(sim, id, sim_addr((unsigned)id + 1 + (where & 1 ? 10 : 0), (uint16_t)(36160 + (where >> 1 & 3))), where & 8);
    if (where & 16) // its name is told the new address
        sim->nodes[1 - id].far = sim->nodes[id].seen;
}

static void do_next(struct sim *sim)
{
    uint8_t op = reader_u8(&script);
    int id = op >> 7;

    switch (op & 15) {
    case 0:
        sim_run(sim, reader_u8(&script) * NS_PER_MS);
        break;
    case 1:
        sim_run(sim, reader_u8(&script) % 200 * (NS_PER_S / 4));
        break;
    case 2:
        sim_send_frame(sim, id, SIM_FRAME_MIN + reader_le16(&script) % 1500U);
        break;
    case 3:
        send_any(sim, id);
        break;
    case 4:
        send_undone(sim, id);
        break;
    case 5:
        n_dropping = reader_u8(&script) % 16;
        break;
    case 6:
        n_holding = reader_u8(&script) % 16;
        break;
    case 7:
        if (sim->held.n > 0)
            sim_release(sim, reader_u8(&script) % sim->held.n);
        break;
    case 8:
        send_again(sim);
        break;
    case 9:
        send_made_up(sim, id);
        break;
    case 10:
        change_link(sim);
        break;
    case 11:
        stop_or_start(sim, id);
        break;
    case 12:
        move(sim, id);
        break;
    case 13:
        sim->nodes[id].wall_skew_ns += reader_u8(&script) * (int64_t)NS_PER_S; // forward: who goes back is refused
        break;
    case 14:
        if (sim->nodes[id].node)
            sim_icmp(&sim->nodes[id], &sim->nodes[1 - id].seen, reader_le16(&script));
        break;
    default:
        sim->nodes[id].is_tap_down = !sim->nodes[id].is_tap_down;
    }
}

static void configure(struct sim *sim)
{
    uint8_t how = reader_u8(&script), limits = reader_u8(&script);

    for (int id = 0; id < SIM_NODES; id++) {
        struct node_config *config = &sim->nodes[id].config;
        struct shortcut_config *shortcut = &config->shortcut;
        if (how & 1)
            config->peer.path_mtu = 0;
        if (how & 2) {
            *shortcut = (struct shortcut_config){.n_addresses = 1, .mac = {{2, 0xec, 0, 0, 0, (uint8_t)id}}, .mtu = TAP_MTU_DEFAULT};
            ensure(cidr_parse(id ? "10.9.1.251/24" : "10.9.0.251/24", &shortcut->addresses[0]));
        }
        if (limits & 1) // keys that are soon used up
            config->peer.limits.rekey_after_messages = 100, config->peer.limits.reject_after_messages = 200;
        config->self.features = limits >> (2 * id + 1) & FEATURES_ALL;
        sim->nodes[id].tap_offload = (how >> (2 + id) & 1) ? TAP_OFFLOAD_OFF : TAP_OFFLOAD_FULL;
        config->self.tap_mtu = how >> (4 + id) & 1 ? 1400 : TAP_MTU_DEFAULT;
    }
}

static void leave_in_peace(struct sim *sim)
{
    sim->filter = NULL;
    sim_link(sim, (struct sim_link){.delay_ms = 5});
    for (int id = 0; id < SIM_NODES; id++) {
        sim->nodes[id].is_tap_down = false;
        sim->nodes[1 - id].far = sim->nodes[id].seen;
        if (!sim->nodes[id].node)
            sim_start_node(sim, id);
    }
    sim_run(sim, 30 * NS_PER_S); // both may have moved at once: until they are silent, and names have been looked up again
    sim_heal(sim);
}

static void play(struct sim *sim)
{
    n_dropping = n_holding = 0;
    sim->filter = decide;
    sim->is_recording = true;
    configure(sim);
    sim_start(sim);
    (void)sim_run_until_up(sim, NS_PER_S);
    for (int i = 0; i < OPS_MAX && script.left > 0 && !script.is_short; i++)
        do_next(sim);
    leave_in_peace(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = reader_of(data, size);
    sim_each_seed("peers", 1, play);
    return 0;
}
