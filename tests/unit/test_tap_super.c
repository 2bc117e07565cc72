// SPDX-License-Identifier: MIT
/*
 * test_tap_super: super-frames and undone checksums through a real TAP in a network namespace of the test's own. What is read at each
 * level of offload: packets sent through a packet socket with a virtio-net header, and those of real UDP and TCP sockets. What is written:
 * taken by a real socket, and cut by the kernel on its way out of another TAP. The kernel's own software segmentation is held against ours.
 */
#include "test_tap_device.h"

#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <netinet/udp.h>

#include "test_packets.h"

enum { GSO_UDP_L4 = 5, CUT = 1000 };

static struct packet_bytes packet;
static uint8_t bytes[PACKET_CAP], expected[PACKET_CAP];

// ---- TAPs

static int open_level(enum tap_offload level)
{
    packet_fd = -1;
    if (!has_namespace)
        return 0;
    if (open_quiet_tap(&tap, tap_name, level) != 0)
        return -1;
    packet_fd = open_packet_socket(tap_name, ETH_P_ALL);
    int is_on = 1;
    return setsockopt(packet_fd, SOL_PACKET, PACKET_VNET_HDR, &is_on, sizeof is_on);
}

static int close_tap(void **state)
{
    (void)state;
    if (!has_namespace)
        return 0;
    close(packet_fd);
    tap_close(&tap);
    return 0;
}

// ---- what is read

static struct virtio_net_hdr header_of(const struct offload *offload)
{
    static const uint8_t gso_types[] = {
        [SUPER_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4, [SUPER_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6, [SUPER_UDP] = GSO_UDP_L4};

    return (struct virtio_net_hdr){
        .flags = offload->is_partial ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0,
        .gso_type = (uint8_t)(gso_types[offload->kind] | (offload->has_cwr ? VIRTIO_NET_HDR_GSO_ECN : 0)),
        .hdr_len = offload->headers_len,
        .gso_size = offload->gso_size,
        .csum_start = offload->checksum_start,
        .csum_offset = offload->checksum_offset,
    };
}

static void send_packet(const struct offload *offload)
{
    struct virtio_net_hdr to_send = header_of(offload);
    struct iovec iovecs[] = {{&to_send, sizeof to_send}, {packet.b, packet.len}};
    struct msghdr message = {.msg_iov = iovecs, .msg_iovlen = 2};

    if (sendmsg(packet_fd, &message, 0) != (ssize_t)(sizeof to_send + packet.len))
        fail_msg("%zu bytes, %zu of headers: %s", packet.len, packet.payload, strerror(errno));
}

static void kernel_sends(const struct recipe *recipe, uint16_t gso_size)
{
    make_packet(&packet, recipe, 1);
    struct offload offload = super_of(recipe, &packet, gso_size);
    offload.headers_len = (uint16_t)packet.payload;
    offload.has_cwr = gso_size && recipe->protocol == IPPROTO_TCP && (recipe->flags & TCP_CWR);
    if (gso_size == 0)
        offload.kind = SUPER_NONE;
    send_packet(&offload);
}

// As it was sent: a frame or super-frame with its L4 checksum undone.
static void check_undone(const struct tap_read *read, const struct recipe *recipe, uint16_t gso_size)
{
    struct offload offload = super_of(recipe, &packet, gso_size);

    assert_int_equal(read->len, packet.len);
    assert_memory_equal(read->bytes, packet.b, packet.len);
    assert_int_equal(read->offload.kind, gso_size ? offload.kind : SUPER_NONE);
    assert_int_equal(read->offload.gso_size, gso_size);
    assert_true(read->offload.is_partial);
    assert_int_equal(read->offload.checksum_start, packet.l4);
    assert_int_equal(read->offload.checksum_offset, l4_checksum_at(recipe));
}

// The kernel has cut it: the pieces are ours, whole or with undone checksums.
static void check_cut(int n, const struct recipe *recipe, uint16_t gso_size, bool is_partial)
{
    assert_int_equal(n, (recipe->payload_len + gso_size - 1) / gso_size);
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * gso_size, left = recipe->payload_len - at, len = left < gso_size ? left : gso_size;
        const struct tap_read *read = &reads[i];
        naive_piece(recipe, &packet, at, len, gso_size, expected);
        size_t field = packet.l4 + l4_checksum_at(recipe);
        assert_int_equal(read->len, packet.payload + len);
        assert_int_equal(read->offload.kind, SUPER_NONE);
        assert_int_equal(read->offload.is_partial, is_partial);
        if (is_partial) {
            assert_int_equal(read->offload.checksum_start, packet.l4);
            assert_int_equal(read->offload.checksum_offset, l4_checksum_at(recipe));
            assert_true(same_sum(get16(read->bytes + field), pseudo_sum(recipe, expected + packet.l3, read->len - packet.l4)));
            memcpy(expected + field, read->bytes + field, 2);
        }
        assert_memory_equal(read->bytes, expected, read->len);
    }
}

static const struct recipe sent[] = {
    {.version = 4, .protocol = IPPROTO_TCP, .tcp_words = 3, .id = 0xfffe, .sequence = 0xfffff000},
    {.version = 4, .protocol = IPPROTO_TCP, .flags = TCP_ACK | TCP_PSH | TCP_FIN, .tos = 2},
    {.version = 4, .protocol = IPPROTO_TCP, .flags = TCP_ACK | TCP_CWR | TCP_PSH, .tos = 2},
    {.version = 4, .protocol = IPPROTO_TCP, .ip_words = 5, .tcp_words = 10, .n_tags = 1},
    {.version = 4, .protocol = IPPROTO_TCP, .n_tags = 2, .id = 5},
    {.version = 6, .protocol = IPPROTO_TCP, .tcp_words = 3, .sequence = 7},
    {.version = 6, .protocol = IPPROTO_TCP, .flags = TCP_ACK | TCP_CWR, .tos = 3, .n_tags = 1},
    {.version = 6, .protocol = IPPROTO_TCP, .extensions = {{0, 0}, {60, 1}}, .n_extensions = 2},
    {.version = 6, .protocol = IPPROTO_TCP, .n_tags = 2},
    {.version = 4, .protocol = IPPROTO_UDP, .id = 0xffff},
    {.version = 4, .protocol = IPPROTO_UDP, .ip_words = 1, .n_tags = 1},
    {.version = 4, .protocol = IPPROTO_UDP, .n_tags = 2},
    {.version = 6, .protocol = IPPROTO_UDP, .tos = 1},
    {.version = 6, .protocol = IPPROTO_UDP, .extensions = {{60, 0}}, .n_extensions = 1, .n_tags = 1},
};
static const struct {
    uint16_t gso_size;
    size_t payload_len;
} sizes[] = {{1000, 3000}, {1000, 3001}, {1000, 2999}, {1000, 1001}, {64, 1000}, {536, 5360}, {1208, 12080 + 1207}, {1448, 43 * 1448}};

static void super_frames_are_read(void **state)
{
    (void)state;
    need_namespace();
    for (size_t i = 0; i < N_OF(sent) * N_OF(sizes); i++) {
        struct recipe recipe = sent[i % N_OF(sent)];
        uint16_t gso_size = sizes[i / N_OF(sent)].gso_size;
        recipe.payload_len = sizes[i / N_OF(sent)].payload_len;
        kernel_sends(&recipe, gso_size);
        int n = read_some(N_FRAMES);
        bool is_super = tap.offload == TAP_OFFLOAD_FULL && (recipe.protocol == IPPROTO_TCP || tap.has_udp_offload);
        if (!is_super) {
            check_cut(n, &recipe, gso_size, tap.offload != TAP_OFFLOAD_OFF);
            continue;
        }
        assert_int_equal(n, 1);
        check_undone(&reads[0], &recipe, gso_size);
        assert_true(offload_is_valid(&reads[0].offload, reads[0].len));
        struct frame_view view;
        struct super_frame super;
        assert_true(frame_parse(&view, reads[0].bytes, reads[0].len));
        assert_true(split_parse(&super, &view, &reads[0].offload));
    }
}

static void undone_checksums_are_read(void **state)
{
    (void)state;
    need_namespace();
    for (size_t i = 0; i < N_OF(sent); i++) {
        struct recipe recipe = sent[i];
        for (recipe.payload_len = 0; recipe.payload_len < 1300; recipe.payload_len += 1 + recipe.payload_len / 3) {
            kernel_sends(&recipe, 0);
            assert_int_equal(read_some(N_FRAMES), 1);
            if (tap.offload != TAP_OFFLOAD_OFF) {
                check_undone(&reads[0], &recipe, 0);
                offload_complete(&reads[0].offload, reads[0].bytes, reads[0].len);
            }
            assert_int_equal(reads[0].offload.kind, SUPER_NONE);
            assert_false(reads[0].offload.is_partial);
            recipe.is_whole = true;
            make_packet(&packet, &recipe, 1);
            recipe.is_whole = false;
            assert_int_equal(reads[0].len, packet.len);
            assert_memory_equal(reads[0].bytes, packet.b, packet.len);
        }
    }
}

// Gives each piece of `size` bytes of payload a sum of zero.
static void make_sums_zero(const struct recipe *recipe, size_t size)
{
    make_packet(&packet, recipe, 1);
    for (size_t at = 0; at < recipe->payload_len; at += size) {
        uint8_t *word = packet.b + packet.payload + at;
        put16(word, 0);
        naive_piece(recipe, &packet, at, size, (uint16_t)size, expected);
        put16(word, get16(expected + packet.l4 + l4_checksum_at(recipe)));
    }
}

static const struct recipe zero_recipes[] = {
    {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 300},
    {.version = 6, .protocol = IPPROTO_UDP, .payload_len = 300},
    {.version = 4, .protocol = IPPROTO_TCP, .payload_len = 300},
    {.version = 6, .protocol = IPPROTO_TCP, .payload_len = 300},
};

static void check_zero(const uint8_t *ours, const uint8_t *kernels, const struct recipe *recipe)
{
    unsigned our_sum = get16(ours + packet.l4 + l4_checksum_at(recipe)), its_sum = get16(kernels + packet.l4 + l4_checksum_at(recipe));

    assert_true(same_sum(our_sum, 0) && same_sum(its_sum, 0));
    if (memcmp(ours, kernels, packet.payload) != 0)
        fail_msg("protocol %u: ours is %04x, the kernel's %04x", recipe->protocol, our_sum, its_sum);
}

// How the kernel writes a sum of zero into a frame.
static void zero_checksums_of_frames(void **state)
{
    (void)state;
    need_namespace();
    for (size_t i = 0; i < N_OF(zero_recipes); i++) {
        struct packet_view view;
        make_sums_zero(&zero_recipes[i], 300);
        struct offload offload = super_of(&zero_recipes[i], &packet, 0);
        offload.kind = SUPER_NONE;
        send_packet(&offload);
        assert_int_equal(read_some(N_FRAMES), 1);
        memcpy(expected, packet.b, packet.len);
        parse_packet(&view, expected, packet.len);
        packet_complete(&view, expected, expected + packet.payload, 300);
        check_zero(expected, reads[0].bytes, &zero_recipes[i]);
        memcpy(expected, packet.b, packet.len);
        offload_complete(&offload, expected, packet.len);
        check_zero(expected, reads[0].bytes, &zero_recipes[i]);
    }
}

// … and into a piece of a super-frame: the two differ.
static void zero_checksums_of_pieces(void **state)
{
    (void)state;
    need_namespace();
    for (size_t i = 0; i < N_OF(zero_recipes); i++) {
        struct frame_view view;
        struct super_frame super;
        make_sums_zero(&zero_recipes[i], 100);
        struct offload offload = super_of(&zero_recipes[i], &packet, 100);
        send_packet(&offload);
        assert_int_equal(read_some(N_FRAMES), 3);
        assert_true(frame_parse(&view, packet.b, packet.len));
        assert_true(split_parse(&super, &view, &offload));
        for (size_t k = 0; k < 3; k++) {
            split_whole_headers(&super, k * 100, 100, expected);
            check_zero(expected, reads[k].bytes, &zero_recipes[i]);
        }
    }
}

// ---- real sockets

// The kernel makes its route of an IPv6 address a moment later, in a work queue.
static bool give_addresses(void)
{
    char command[1024];

    (void)snprintf(command, sizeof command,
                   "t=%s; sysctl -qw net.ipv6.conf.$t.disable_ipv6=0 net.ipv6.conf.$t.router_solicitations=0 && ip addr replace "
                   "10.9.1.251/16 dev $t && "
                   "ip addr replace fd00:9::ff:51/64 dev $t nodad && ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev $t && "
                   "ip neigh replace fd00:9::2 lladdr 02:00:00:00:00:02 dev $t && "
                   "for i in $(seq 100); do ip -6 route get fd00:9::ff:51 2>/dev/null | grep -q ^local && exit; sleep 0.02; done; exit 1",
                   tap_name);
    if (run(command) == 0)
        return true;
    print_message("no addresses can be given here: skipped\n");
    return false;
}

// The next frame of that protocol that the kernel sends, among others of its own.
static const struct tap_read *next_of(uint8_t protocol, struct packet_view *view)
{
    for (int tries = 0; tries < 100; tries++) {
        struct frame_view frame;
        if (!wait_for(tap.fd) || read_some(1) != 1)
            continue;
        assert_true(frame_parse(&frame, reads[0].bytes, reads[0].len));
        if (packet_parse(view, &frame) && view->protocol == protocol)
            return &reads[0];
    }
    fail_msg("no frame came");
    return NULL;
}

static union {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} name;

static socklen_t name_host(int family, const char *ipv4, const char *ipv6, uint16_t port)
{
    memset(&name, 0, sizeof name);
    name.sa.sa_family = (sa_family_t)family;
    name.in.sin_port = htons(port);
    assert_int_equal(
        inet_pton(family, family == AF_INET ? ipv4 : ipv6, family == AF_INET ? (void *)&name.in.sin_addr : (void *)&name.in6.sin6_addr), 1);
    return family == AF_INET ? sizeof name.in : sizeof name.in6;
}

static void udp_sockets_send_super_frames(void **state)
{
    (void)state;
    need_namespace();
    if (!give_addresses())
        skip();
    for (int i = 0; i < 2; i++) {
        int family = i ? AF_INET6 : AF_INET, fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), gso_size = CUT;
        socklen_t name_len = name_host(family, "10.9.0.2", "fd00:9::2", 4433);
        assert_int_equal(connect(fd, &name.sa, name_len), 0);
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(k * 7);
        struct packet_view view;
        assert_int_equal(send(fd, bytes, 700, 0), 700);
        const struct tap_read *read = next_of(IPPROTO_UDP, &view);
        assert_int_equal(read->offload.kind, SUPER_NONE);
        assert_int_equal(read->offload.is_partial, tap.offload != TAP_OFFLOAD_OFF);
        assert_memory_equal(read->bytes + view.payload_offset, bytes, 700);
        assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &gso_size, sizeof gso_size), 0);
        assert_int_equal(send(fd, bytes, 3500, 0), 3500);
        for (size_t at = 0; at < 3500;) {
            read = next_of(IPPROTO_UDP, &view);
            size_t len = read->len - view.payload_offset;
            bool is_super = tap.offload == TAP_OFFLOAD_FULL && tap.has_udp_offload;
            assert_int_equal(len, is_super ? 3500 : (at < 3000 ? CUT : 500));
            assert_int_equal(read->offload.kind, is_super ? SUPER_UDP : SUPER_NONE);
            assert_int_equal(read->offload.gso_size, is_super ? CUT : 0);
            assert_int_equal(read->offload.is_partial, tap.offload != TAP_OFFLOAD_OFF);
            assert_memory_equal(read->bytes + view.payload_offset, bytes + at, len);
            at += len;
        }
        close(fd);
    }
}

// Answers the SYN in reads[0]: the other end of a connection, as far as that.
static void answer_syn(const struct packet_view *view, uint32_t *sequence)
{
    uint8_t answer[54];
    const uint8_t *syn = reads[0].bytes;

    assert_int_equal(view->l4_offset, 34);
    memcpy(answer, syn, sizeof answer);
    memcpy(answer, syn + 6, 6);
    memcpy(answer + 6, syn, 6);
    put16(answer + 16, 40);
    memcpy(answer + 26, syn + 30, 4);
    memcpy(answer + 30, syn + 26, 4);
    put_ipv4_checksum(answer + 14);
    put16(answer + 34, get16(syn + 36));
    put16(answer + 36, get16(syn + 34));
    *sequence = get32(syn + 38) + 1;
    put32(answer + 38, 1000);
    put32(answer + 42, *sequence);
    answer[46] = 5 << 4; // no options: segments of 536 bytes
    answer[47] = TCP_SYN | TCP_ACK;
    struct recipe recipe = {.version = 4, .protocol = IPPROTO_TCP};
    put16(answer + 50, whole_checksum(&recipe, answer + 14, answer + 34, 20));
    assert_int_equal(tap.ops->write_batch(&tap, &(struct tap_frame){.bytes = answer, .len = sizeof answer}, 1), 1);
}

static void tcp_sockets_send_super_frames(void **state)
{
    (void)state;
    need_namespace();
    if (!give_addresses())
        skip();
    enum { MSS = 536, LEN = 4 * MSS + 100 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t name_len = name_host(AF_INET, "10.9.0.2", NULL, 5201);
    assert_int_equal(connect(fd, &name.sa, name_len), -1);
    assert_int_equal(errno, EINPROGRESS);
    struct packet_view view;
    uint32_t sequence;
    (void)next_of(IPPROTO_TCP, &view);
    assert_int_equal(reads[0].bytes[view.l4_offset + 13], TCP_SYN);
    answer_syn(&view, &sequence);
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&pollfd, 1, TIMEOUT_MS), 1);
    for (size_t k = 0; k < LEN; k++)
        bytes[k] = (uint8_t)(k * 7);
    assert_int_equal(send(fd, bytes, LEN, 0), LEN);
    size_t n_super = 0;
    for (size_t at = 0; at < LEN;) {
        const struct tap_read *read = next_of(IPPROTO_TCP, &view);
        size_t len = read->len - view.payload_offset;
        if (len == 0)
            continue; // the last of the handshake
        assert_int_equal(get32(read->bytes + view.l4_offset + 4), sequence + at);
        assert_memory_equal(read->bytes + view.payload_offset, bytes + at, len);
        assert_int_equal(read->offload.is_partial, tap.offload != TAP_OFFLOAD_OFF);
        if (read->offload.kind != SUPER_NONE) {
            n_super++;
            assert_int_equal(read->offload.kind, SUPER_TCP4);
            assert_int_equal(read->offload.gso_size, MSS);
        } else {
            assert_true(len <= MSS);
        }
        at += len;
    }
    assert_int_equal(n_super > 0, tap.offload == TAP_OFFLOAD_FULL);
    const struct linger reset = {.l_onoff = 1}; // else it goes on sending, to whoever has that address next
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(fd);
}

// ---- what is written

static struct tap_frame frame_to_write(const struct recipe *recipe, uint16_t gso_size)
{
    make_packet(&packet, recipe, 1);
    struct offload offload = super_of(recipe, &packet, gso_size);
    offload.headers_len = (uint16_t)packet.payload;
    offload.has_cwr = gso_size && recipe->protocol == IPPROTO_TCP && (recipe->flags & TCP_CWR);
    if (gso_size == 0)
        offload.kind = SUPER_NONE;
    return (struct tap_frame){.headers = packet.b,
                              .headers_len = packet.payload,
                              .bytes = packet.b + packet.payload,
                              .len = packet.len - packet.payload,
                              .offload = offload};
}

// Out of another TAP that takes nothing undone: cut and completed by the kernel, piece by piece what is cut here.
static void super_frames_are_written(void **state)
{
    (void)state;
    need_namespace();
    struct tap far;
    char far_name[IFNAMSIZ], command[512];
    assert_int_equal(open_quiet_tap(&far, far_name, TAP_OFFLOAD_OFF), 0);
    (void)snprintf(command, sizeof command,
                   "ip link add utbr0 type bridge mcast_snooping 0 && sysctl -qw net.ipv6.conf.utbr0.disable_ipv6=1 && "
                   "for t in ip ip6 arp; do sysctl -qw net.bridge.bridge-nf-call-${t}tables=0 2>/dev/null; done; "
                   "ip link set %s master utbr0 && ip link set %s master utbr0 && ip link set utbr0 up",
                   tap_name, far_name);
    if (run(command) != 0)
        skip();
    for (size_t i = 0; i < N_OF(sent) * N_OF(sizes); i++) {
        struct recipe recipe = sent[i % N_OF(sent)];
        uint16_t gso_size = sizes[i / N_OF(sent)].gso_size;
        recipe.payload_len = sizes[i / N_OF(sent)].payload_len;
        if (recipe.protocol == IPPROTO_UDP && !tap.has_udp_offload)
            continue;
        struct tap_frame frame = frame_to_write(&recipe, gso_size);
        assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
        assert_true(wait_for(far.fd));
        int n = far.ops->read_batch(&far, room, sizeof room, reads, N_FRAMES);
        check_cut(n, &recipe, gso_size, false);
        // and one without a super-frame, its checksum undone
        recipe.payload_len = 700;
        frame = frame_to_write(&recipe, 0);
        assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
        assert_true(wait_for(far.fd));
        assert_int_equal(far.ops->read_batch(&far, room, sizeof room, reads, N_FRAMES), 1);
        check_cut(1, &recipe, 1000, false);
    }
    assert_int_equal(run("ip link del utbr0"), 0);
    tap_close(&far);
}

// Taken by a socket, datagram by datagram.
static void sockets_receive_what_is_written(void **state)
{
    (void)state;
    need_namespace();
    if (!give_addresses() || !tap.has_udp_offload)
        skip();
    struct mac_address own;
    assert_int_equal(tap_get_mac_address(&tap, &own), 0);
    for (int i = 0; i < 2; i++) {
        int family = i ? AF_INET6 : AF_INET, fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        socklen_t name_len = name_host(family, "10.9.1.251", "fd00:9::ff:51", 4433);
        assert_int_equal(bind(fd, &name.sa, name_len), 0);
        for (int is_super = 0; is_super < 2; is_super++) {
            struct recipe recipe = {.version = i ? 6 : 4, .protocol = IPPROTO_UDP, .payload_len = is_super ? 3500 : 700};
            struct tap_frame frame = frame_to_write(&recipe, is_super ? CUT : 0);
            memcpy(packet.b, own.b, 6);
            assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
            for (size_t at = 0; at < recipe.payload_len; at += CUT) {
                size_t left = recipe.payload_len - at, len = left < CUT ? left : CUT;
                assert_true(wait_for(fd));
                assert_int_equal(recv(fd, bytes, sizeof bytes, 0), len);
                assert_memory_equal(bytes, packet.b + packet.payload + at, len);
            }
            // A wrong sum is noticed: what is undone was not taken on trust.
            put16(packet.b + packet.l4 + 6, get16(packet.b + packet.l4 + 6) ^ 0x0100);
            frame.offload = (struct offload){0};
            if (!is_super) {
                assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
                assert_int_equal(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), -1);
            }
        }
        close(fd);
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    need_namespace();
    struct recipe recipe = {.version = 4, .protocol = IPPROTO_TCP, .payload_len = 3000};
    const struct tap_frame right = frame_to_write(&recipe, CUT);
    assert_int_equal(tap.ops->write_batch(&tap, &right, 1), 1);
    struct tap_frame rows[6];
    for (size_t i = 0; i < N_OF(rows); i++)
        rows[i] = right;
    rows[0].offload.gso_size = 0;
    rows[1].offload.checksum_start = (uint16_t)packet.len;
    rows[2].offload.checksum_start = (uint16_t)(packet.len - 1);
    rows[3].offload.headers_len = (uint16_t)(packet.len + 1);
    rows[4].offload.kind = SUPER_TCP6; // it is IPv4
    rows[5].headers_len = 13;          // less than an Ethernet header
    rows[5].len = 0;
    for (size_t i = 0; i < N_OF(rows); i++) {
        struct tap_frame frames[] = {right, rows[i], right};
        if (tap.ops->write_batch(&tap, frames, 3) != 1)
            fail_msg("row %zu", i);
        assert_int_equal(tap.ops->write_batch(&tap, frames + 1, 2), -EINVAL);
        assert_int_equal(tap.ops->write_batch(&tap, frames + 2, 1), 1);
    }
    // A plain frame whose checksum has no place.
    struct tap_frame plain = frame_to_write(&recipe, 0);
    plain.offload.checksum_start = 65535;
    assert_int_equal(tap.ops->write_batch(&tap, &plain, 1), -EINVAL);
}

// Without headers nothing can be undone: they are not written.
static void off_writes_no_header(void **state)
{
    (void)state;
    need_namespace();
    struct recipe recipe = {.version = 4, .protocol = IPPROTO_UDP, .payload_len = 100, .is_whole = true};
    struct tap_frame frame = frame_to_write(&recipe, 0);
    struct virtio_net_hdr got;
    frame.offload = (struct offload){0};
    assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
    assert_true(wait_for(packet_fd));
    struct iovec iovecs[] = {{&got, sizeof got}, {bytes, sizeof bytes}};
    struct msghdr message = {.msg_iov = iovecs, .msg_iovlen = 2};
    assert_int_equal(recvmsg(packet_fd, &message, 0), sizeof got + packet.len);
    assert_int_equal(got.gso_type, 0);
    assert_memory_equal(bytes, packet.b, packet.len);
}

// A packet socket on the TAP sees what was written as it was written: nothing is lost on the way into the kernel.
static void the_kernel_has_it_as_it_was_written(void **state)
{
    (void)state;
    need_namespace();
    for (size_t i = 0; i < N_OF(sent); i++) {
        struct recipe recipe = sent[i];
        if (recipe.n_tags > 0 || (recipe.protocol == IPPROTO_UDP && !tap.has_udp_offload))
            continue; // it takes the tag out of the frame
        recipe.payload_len = 3001;
        struct tap_frame frame = frame_to_write(&recipe, CUT);
        struct virtio_net_hdr got;
        struct virtio_net_hdr wanted = header_of(&frame.offload);
        assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
        assert_true(wait_for(packet_fd));
        struct iovec iovecs[] = {{&got, sizeof got}, {bytes, sizeof bytes}};
        struct msghdr message = {.msg_iov = iovecs, .msg_iovlen = 2};
        assert_int_equal(recvmsg(packet_fd, &message, 0), sizeof got + packet.len);
        assert_memory_equal(bytes, packet.b, packet.len);
        assert_int_equal(got.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        assert_int_equal(got.gso_type, wanted.gso_type);
        assert_int_equal(got.gso_size, CUT);
        assert_int_equal(got.csum_start, wanted.csum_start);
        assert_int_equal(got.csum_offset, wanted.csum_offset);
    }
}

#define TEST_AT(test, level)                                                                                                               \
    {                                                                                                                                      \
#test ", " #level, test, open_##level, close_tap, NULL                                                                             \
    }
#define AT_EACH_LEVEL(test) TEST_AT(test, off), TEST_AT(test, checksum), TEST_AT(test, full)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AT_EACH_LEVEL(super_frames_are_read),
        AT_EACH_LEVEL(undone_checksums_are_read),
        TEST_AT(zero_checksums_of_frames, off),
        TEST_AT(zero_checksums_of_pieces, off),
        AT_EACH_LEVEL(udp_sockets_send_super_frames),
        AT_EACH_LEVEL(tcp_sockets_send_super_frames),
        TEST_AT(super_frames_are_written, full),
        TEST_AT(sockets_receive_what_is_written, full),
        TEST_AT(nonsense_is_refused, full),
        TEST_AT(off_writes_no_header, off),
        TEST_AT(the_kernel_has_it_as_it_was_written, full),
    };
    has_namespace = enter_namespace() && open_and_close("") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
