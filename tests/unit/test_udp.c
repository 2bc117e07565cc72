// SPDX-License-Identifier: MIT
/*
 * test_udp: real sockets over the loopback of a network namespace of the test's own, for IPv4 and IPv6: batches, source addresses, DF,
 * and storms of ICMP errors that must not cost a single datagram. (test_udp_trains has the trains.) Skipped where no such namespace can be
 * had.
 */
#include "test_udp_device.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "ethercord/checksum.h"

// Sum of all counters of that name; the file has names and numbers in lines of their own (IPv4), or side by side (IPv6).
static unsigned long n_fragments_made(void)
{
    unsigned long sum = 0;
    unsigned long values[20] = {0};
    char line[1024];
    FILE *file = fopen("/proc/net/snmp", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        char *at = line + 3;
        for (size_t i = 0; strncmp(line, "Ip: ", 4) == 0 && i < 19; i++)
            values[i] = strtoul(at, &at, 10);
    }
    (void)fclose(file);
    sum = values[18]; // FragCreates is the last one of RFC 2011's
    file = fopen("/proc/net/snmp6", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "Ip6FragCreates", 14) == 0)
            sum += strtoul(line + 14, NULL, 10);
    if (file)
        (void)fclose(file);
    return sum;
}

// ---- tests

static void opens_and_binds(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        struct udp udp, other;
        open_any(&udp, families[f]);
        assert_int_equal(udp.family, families[f]);
        assert_true(fcntl(udp.fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(udp.fd, F_GETFD) & FD_CLOEXEC);
        struct udp_options same = {.family = families[f], .port = udp_port(&udp)};
        assert_true(same.port >= 1024);
        assert_int_equal(udp_open(&other, &same), -EADDRINUSE);
        assert_int_equal(other.family, AF_UNSPEC);
        assert_int_equal(other.fd, -1);
        same.family = families[1 - f]; // the other family is free: IPV6_V6ONLY
        assert_int_equal(udp_open(&other, &same), 0);
        assert_int_equal(udp_port(&other), udp_port(&udp));
        udp_close(&other);
        udp_close(&udp);
        udp_close(&udp); // twice does no harm
        assert_int_equal(udp_port(&udp), 0);
    }
}

static void options_are_checked(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        struct udp udp;
        struct udp_options options = {.family = families[f], .source = nowhere(families[f])};
        assert_int_equal(udp_open(&udp, &options), -EADDRNOTAVAIL);
        options.source = loopback(families[1 - f], 0);
        assert_int_equal(udp_open(&udp, &options), -EAFNOSUPPORT);
        options = (struct udp_options){.family = families[f], .interface = "no-such"};
        assert_int_equal(udp_open(&udp, &options), -ENODEV);
        memset(options.interface, 'x', sizeof options.interface);
        assert_int_equal(udp_open(&udp, &options), -EINVAL);
        options = (struct udp_options){.family = families[f], .interface = "lo", .fwmark = 42, .source = loopback(families[f], 1)};
        assert_int_equal(udp_open(&udp, &options), 0);
        uint32_t mark = 0;
        socklen_t len = sizeof mark;
        assert_int_equal(getsockopt(udp.fd, SOL_SOCKET, SO_MARK, &mark, &len), 0);
        assert_int_equal(mark, 42);
        assert_int_not_equal(udp_port(&udp), 1); // the source's port means nothing
        udp_close(&udp);
    }
    struct udp udp;
    struct udp_options none = {.family = AF_UNSPEC};
    assert_int_equal(udp_open(&udp, &none), -EAFNOSUPPORT);
}

static void moves_full_batches(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        struct udp a, b;
        open_any(&a, families[f]);
        open_any(&b, families[f]);
        struct udp_train out[UDP_BATCH_MAX + 1], in[UDP_BATCH_MAX];
        uint8_t bytes[UDP_BATCH_MAX + 1][1400];
        for (size_t i = 0; i <= UDP_BATCH_MAX; i++) {
            memset(bytes[i], (int)i, sizeof bytes[i]);
            out[i] = datagram_to(loopback(families[f], udp_port(&b)), bytes[i], 1 + i * 20);
        }
        assert_int_equal(a.ops->send_batch(&a, out, UDP_BATCH_MAX + 1), UDP_BATCH_MAX);
        assert_int_equal(recv_some(&b, in, 10), 10);
        assert_int_equal(b.ops->recv_batch(&b, (prepare_rooms(in, UDP_BATCH_MAX), in), UDP_BATCH_MAX), UDP_BATCH_MAX - 10);
        for (size_t i = 10; i < UDP_BATCH_MAX; i++) {
            assert_int_equal(in[i - 10].len, 1 + i * 20);
            assert_int_equal(in[i - 10].datagram_len, 1 + i * 20);
            assert_memory_equal(in[i - 10].bytes, bytes[i], 1 + i * 20);
            assert_false(in[i - 10].is_truncated);
            struct addr from = loopback(families[f], udp_port(&a));
            assert_true(addr_equal(&in[i - 10].endpoint.remote, &from));
        }
        prepare_rooms(in, 1);
        assert_int_equal(b.ops->recv_batch(&b, in, 1), 0);
        assert_int_equal(a.ops->send_batch(&a, out, 0), 0);
        send_plainly(families[f], udp_port(&b), bytes[0], 0, 0); // an empty one, which is never sent, counts like any other
        assert_int_equal(recv_some(&b, in, UDP_BATCH_MAX), 1);
        assert_int_equal(in[0].len, 0);
        assert_int_equal(in[0].datagram_len, 0);
        assert_false(in[0].is_truncated);
        udp_close(&a);
        udp_close(&b);
    }
}

static void marks_what_was_cut(void **state)
{
    (void)state;
    need_namespace();
    struct udp udp;
    open_any(&udp, AF_INET);
    uint8_t bytes[200] = {1, 2, 3};
    struct udp_train out[2] = {datagram_to(loopback(AF_INET, udp_port(&udp)), bytes, 200),
                               datagram_to(loopback(AF_INET, udp_port(&udp)), bytes, 100)};
    assert_int_equal(udp.ops->send_batch(&udp, out, 2), 2);
    struct udp_train in[2];
    prepare_rooms(in, 2);
    in[0].len = in[1].len = 100;
    assert_int_equal(udp.ops->recv_batch(&udp, in, 2), 2);
    assert_true(in[0].is_truncated);
    assert_int_equal(in[0].len, 100);
    assert_false(in[1].is_truncated);
    assert_int_equal(in[1].len, 100);
    udp_close(&udp);
}

// Asked at 127.0.0.2, it answers from there, though the route would choose 127.0.0.1.
static void answers_from_the_address_that_was_asked(void **state)
{
    (void)state;
    need_namespace();
    struct udp a, b;
    open_any(&a, AF_INET);
    open_any(&b, AF_INET);
    struct addr second = loopback(AF_INET, udp_port(&b));
    second.ip[3] = 2;
    struct udp_train datagram = datagram_to(second, "ask", 3), in;
    assert_int_equal(a.ops->send_batch(&a, &datagram, 1), 1);
    assert_int_equal(recv_some(&b, &in, 1), 1);
    second.port = 0;
    assert_true(addr_equal(&in.endpoint.source, &second));
    assert_int_equal(in.endpoint.source_ifindex, 0); // the routing table decides
    assert_int_equal(b.ops->send_batch(&b, &in, 1), 1);
    assert_int_equal(recv_some(&a, &in, 1), 1);
    second.port = udp_port(&b);
    assert_true(addr_equal(&in.endpoint.remote, &second));
    udp_close(&a);
    udp_close(&b);
}

// A second IPv6 address, when `ip` can give us one; the answer comes from it.
static void answers_from_the_ipv6_address_that_was_asked(void **state)
{
    (void)state;
    need_namespace();
    if (run("ip -6 addr add fd00:99::2/128 dev lo nodad") != 0)
        skip();
    // The kernel makes its route a moment later, in a work queue.
    assert_int_equal(
        run("for i in $(seq 100); do ip -6 route get fd00:99::2 2>/dev/null | grep -q ^local && exit; sleep 0.02; done; exit 1"), 0);
    struct udp a, b;
    open_any(&a, AF_INET6);
    open_any(&b, AF_INET6);
    struct addr second = {.family = AF_INET6, .port = udp_port(&b), .ip = {0xfd, 0, 0, 0x99, [15] = 2}};
    struct udp_train datagram = datagram_to(second, "ask", 3), in;
    datagram.endpoint.source = loopback(AF_INET6, 0);
    assert_int_equal(a.ops->send_batch(&a, &datagram, 1), 1);
    assert_int_equal(recv_some(&b, &in, 1), 1);
    struct addr from = loopback(AF_INET6, udp_port(&a));
    assert_true(addr_equal(&in.endpoint.remote, &from));
    second.port = 0;
    assert_true(addr_equal(&in.endpoint.source, &second));
    assert_int_equal(b.ops->send_batch(&b, &in, 1), 1);
    assert_int_equal(recv_some(&a, &in, 1), 1);
    second.port = udp_port(&b);
    assert_true(addr_equal(&in.endpoint.remote, &second));
    // Once the address is gone, that is an error of this datagram.
    assert_int_equal(run("ip -6 addr del fd00:99::2/128 dev lo"), 0);
    struct udp_train answer = datagram_to(loopback(AF_INET6, udp_port(&a)), "gone", 4);
    second.port = 0;
    answer.endpoint.source = second;
    assert_int_equal(b.ops->send_batch(&b, &answer, 1), -EINVAL);
    udp_close(&a);
    udp_close(&b);
}

// Each error of a datagram's own: the one before it went out, it is named, and the one behind it goes out when it is skipped.
static void an_error_of_its_own_is_said_once(void **state)
{
    (void)state;
    need_namespace();
    static const uint8_t bytes[2000];
    for (size_t f = 0; f < 2; f++) {
        struct udp udp;
        open_any(&udp, families[f]);
        struct addr self = loopback(families[f], udp_port(&udp));
        struct udp_train good = datagram_to(self, bytes, 10), bad[5];
        // IPv4 has the same answer for no route and for a source that is not ours.
        const int errors[5] = {ENETUNREACH, EMSGSIZE, families[f] == AF_INET ? ENETUNREACH : EINVAL, EAFNOSUPPORT, ENODEV};
        bad[0] = datagram_to(nowhere(families[f]), bytes, 10);
        bad[1] = datagram_to(self, bytes, 2000);
        bad[2] = good;
        bad[2].endpoint.source = nowhere(families[f]);
        bad[3] = datagram_to(loopback(families[1 - f], 9), bytes, 10);
        bad[4] = good;
        bad[4].endpoint.source_ifindex = 99999;
        for (size_t i = 0; i < 5; i++) {
            struct udp_train out[3] = {good, bad[i], good}, in[UDP_BATCH_MAX];
            assert_int_equal(udp.ops->send_batch(&udp, out, 3), 1);
            assert_int_equal(udp.ops->send_batch(&udp, out + 1, 2), -errors[i]);
            assert_int_equal(udp.ops->send_batch(&udp, out + 2, 1), 1);
            assert_int_equal(recv_some(&udp, in, UDP_BATCH_MAX), 2);
        }
        udp_close(&udp);
    }
}

static void df_is_set_and_nothing_is_cut(void **state)
{
    (void)state;
    need_namespace();
    static const uint8_t bytes[2000];
    for (size_t f = 0; f < 2; f++) {
        unsigned long before = n_fragments_made();
        struct udp udp;
        open_any(&udp, families[f]);
        struct addr self = loopback(families[f], udp_port(&udp));
        size_t largest = families[f] == AF_INET ? LO_MTU - 28 : LO_MTU - 48;
        struct udp_train out[3] = {datagram_to(self, bytes, largest), datagram_to(self, bytes, largest + 1),
                                   datagram_to(self, bytes, 2000)};
        assert_int_equal(udp.ops->send_batch(&udp, out, 1), 1);
        assert_int_equal(udp.ops->send_batch(&udp, out + 1, 1), -EMSGSIZE);
        assert_int_equal(udp.ops->send_batch(&udp, out + 2, 1), -EMSGSIZE);
        assert_int_equal(n_fragments_made(), before);
        struct udp_train in[2];
        assert_int_equal(recv_some(&udp, in, 2), 1);
        assert_int_equal(in[0].len, largest);
        struct udp_error error;
        int n_errors = 0;
        while (udp.ops->next_error(&udp, &error) == 1) {
            n_errors++;
            assert_int_equal(error.error, EMSGSIZE);
            assert_true(error.is_local);
            assert_int_equal(error.mtu, LO_MTU);
            assert_memory_equal(error.remote.ip, self.ip, 16);
        }
        assert_in_range(n_errors, 1, 32); // each try of its own leaves one
        udp_close(&udp);
    }
}

// ---- storms

struct storm {
    struct udp near, far;
    struct addr near_addr, far_addr, dead;
    uint32_t n_sent, n_received; // near to far: each datagram has its number
    uint64_t n_errors;
};

static void storm_begin(struct storm *storm, uint16_t family)
{
    memset(storm, 0, sizeof *storm);
    open_any(&storm->near, family);
    open_any(&storm->far, family);
    storm->near_addr = loopback(family, udp_port(&storm->near));
    storm->far_addr = loopback(family, udp_port(&storm->far));
    storm->dead = loopback(family, dead_port(family));
}

static void storm_end(struct storm *storm)
{
    udp_close(&storm->near);
    udp_close(&storm->far);
}

// Sends all; a datagram that the kernel refuses for a reason of its own would fail the test.
static void send_all(struct udp *udp, const struct udp_train *trains, int n)
{
    for (int sent = 0; sent < n;) {
        int got = udp->ops->send_batch(udp, trains + sent, n - sent);
        assert_in_range(got, 1, n - sent);
        sent += got;
    }
}

// A full batch in which every third datagram goes to the far end, the others to a port where nobody listens.
static void send_mixed(struct udp *udp, const struct addr *remote, const struct addr *dead, uint32_t *number)
{
    struct udp_train out[UDP_BATCH_MAX];
    uint8_t numbers[UDP_BATCH_MAX][4];
    for (size_t i = 0; i < UDP_BATCH_MAX; i++) {
        bool is_live = i % 3 == 0;
        store_be32(numbers[i], is_live ? (*number)++ : UINT32_MAX);
        out[i] = datagram_to(is_live ? *remote : *dead, numbers[i], 4);
    }
    send_all(udp, out, UDP_BATCH_MAX);
}

static void recv_numbers(struct udp *udp, uint32_t *next)
{
    struct udp_train in[UDP_BATCH_MAX];
    for (;;) {
        prepare_rooms(in, UDP_BATCH_MAX);
        int got = udp->ops->recv_batch(udp, in, UDP_BATCH_MAX);
        assert_in_range(got, 0, UDP_BATCH_MAX);
        if (got == 0)
            return;
        for (int i = 0; i < got; i++) {
            assert_int_equal(in[i].len, 4);
            assert_int_equal(load_be32(in[i].bytes), (*next)++);
        }
    }
}

static void drain_errors(struct udp *udp, const struct addr *dead, uint64_t *n_errors)
{
    struct udp_error error;
    int got;
    while ((got = udp->ops->next_error(udp, &error)) == 1) {
        assert_int_equal(error.error, ECONNREFUSED);
        assert_false(error.is_local);
        assert_int_equal(error.mtu, 0);
        assert_true(addr_equal(&error.remote, dead));
        (*n_errors)++;
    }
    assert_int_equal(got, 0);
}

static void icmp_errors_cost_no_datagram(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        struct storm storm;
        storm_begin(&storm, families[f]);
        uint32_t n_back = 0, n_back_received = 0;
        uint64_t n_far_errors = 0;
        enum { ROUNDS = 300, PER_ROUND = (UDP_BATCH_MAX + 2) / 3 };
        for (int i = 0; i < ROUNDS; i++) {
            send_mixed(&storm.near, &storm.far_addr, &storm.dead, &storm.n_sent);
            send_mixed(&storm.far, &storm.near_addr, &storm.dead, &n_back);
            recv_numbers(&storm.far, &storm.n_received);
            recv_numbers(&storm.near, &n_back_received);
            if (i % 3 == 0) { // sometimes late, sometimes before anything else
                drain_errors(&storm.near, &storm.dead, &storm.n_errors);
                drain_errors(&storm.far, &storm.dead, &n_far_errors);
            }
        }
        assert_int_equal(storm.n_sent, ROUNDS * PER_ROUND);
        assert_int_equal(storm.n_received, ROUNDS * PER_ROUND);
        assert_int_equal(n_back_received, ROUNDS * PER_ROUND);
        assert_true(storm.n_errors > 100 && n_far_errors > 100);
        storm_end(&storm);
    }
}

static _Atomic bool is_over;
static struct storm storm_of_two;
static pthread_t drainer;

// What the rx thread does: receives, and empties the error queue, which leaves the next entry's errno pending each time.
static void *drain_thread(void *argument)
{
    struct storm *storm = argument;
    struct udp_error error;
    while (!atomic_load(&is_over))
        while (storm->near.ops->next_error(&storm->near, &error) == 1)
            storm->n_errors++;
    return NULL;
}

static int stop_drainer(void **state)
{
    (void)state;
    atomic_store(&is_over, true);
    int error = drainer ? pthread_join(drainer, NULL) : 0;
    drainer = 0;
    return error;
}

// `port` is the dead one; 0 = any where nobody listens.
static void storm_of_two_threads(uint16_t family, uint16_t port)
{
    struct storm *storm = &storm_of_two;
    storm_begin(storm, family);
    if (port != 0)
        storm->dead.port = port;
    enum { ROUNDS = 300, PER_ROUND = (UDP_BATCH_MAX + 2) / 3 };
    for (int i = 0; i < ROUNDS; i++) {
        if (i == ROUNDS / 2) { // by now the error queue is long
            atomic_store(&is_over, false);
            assert_int_equal(pthread_create(&drainer, NULL, drain_thread, storm), 0);
        }
        send_mixed(&storm->near, &storm->far_addr, &storm->dead, &storm->n_sent);
        recv_numbers(&storm->far, &storm->n_received);
    }
    assert_int_equal(stop_drainer(NULL), 0);
    assert_int_equal(storm->n_received, ROUNDS * PER_ROUND);
    assert_true(storm->n_errors > 0);
    storm_end(storm);
}

static void errors_drained_by_another_thread_cost_no_datagram(void **state)
{
    (void)state;
    need_namespace();
    storm_of_two_threads(AF_INET, 0);
    storm_of_two_threads(AF_INET6, 0);
}

// EHOSTUNREACH may be the kernel's own word (no neighbour, an unreachable route) as well as a router's. A packet filter plays the router.
static void ambiguous_errors_cost_no_datagram(void **state)
{
    (void)state;
    need_namespace();
    enum { REJECTED_PORT = 9 };
    if (run("nft 'table inet ut { chain in { type filter hook input priority 0; udp dport 9 reject with icmpx host-unreachable; }; }'") !=
        0) {
        print_message("no nft here: skipped\n");
        skip();
    }
    for (size_t f = 0; f < 2; f++) {
        storm_of_two_threads(families[f], REJECTED_PORT);
        struct storm storm;
        storm_begin(&storm, families[f]);
        storm.dead.port = REJECTED_PORT;
        for (int i = 0; i < 100; i++) {
            send_mixed(&storm.near, &storm.far_addr, &storm.dead, &storm.n_sent);
            recv_numbers(&storm.far, &storm.n_received);
        }
        assert_int_equal(storm.n_received, storm.n_sent);
        struct udp_error error;
        while (storm.near.ops->next_error(&storm.near, &error) == 1) {
            assert_int_equal(error.error, EHOSTUNREACH);
            storm.n_errors++;
        }
        assert_true(storm.n_errors > 100);
        storm_end(&storm);
    }
    assert_int_equal(run("nft delete table inet ut"), 0);
}

// ---- forged ICMP

// "The packet that you sent from there to there needs to be fragmented": anybody can say that who guesses the ports.
static void forge_too_big(const struct udp *udp, const struct addr *to)
{
    uint8_t packet[8 + 20 + 8] = {3, 4, [6] = 1000 >> 8, [7] = 1000 & 0xff};
    uint8_t *ip = packet + 8, *quoted_udp = ip + 20;
    const struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

    assert_true(fd >= 0);
    ip[0] = 0x45;
    store_be16(ip + 2, 1400);
    store_be16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    memcpy(ip + 12, to->ip, 4);
    memcpy(ip + 16, to->ip, 4);
    store_be16(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
    store_be16(quoted_udp, udp_port(udp));
    store_be16(quoted_udp + 2, to->port);
    store_be16(quoted_udp + 4, 1380);
    store_be16(packet + 2, checksum_finish(checksum_add(0, packet, sizeof packet)));
    assert_int_equal(sendto(fd, packet, sizeof packet, 0, (const struct sockaddr *)&name, sizeof name), sizeof packet);
    close(fd);
}

static int n_errors_of(struct udp *udp, int error)
{
    struct udp_error entry;
    int n = 0;

    while (udp->ops->next_error(udp, &entry) == 1) {
        assert_int_equal(entry.error, error);
        assert_false(entry.is_local);
        n++;
    }
    return n;
}

static void forged_icmp_costs_no_datagram(void **state)
{
    (void)state;
    need_namespace();
    static const uint8_t bytes[1400];
    struct udp a, b;
    open_any(&a, AF_INET);
    open_any(&b, AF_INET);
    struct addr to_b = loopback(AF_INET, udp_port(&b));
    struct udp_train datagram = datagram_to(to_b, bytes, sizeof bytes), in;
    for (int i = 0; i < 10; i++) {
        forge_too_big(&a, &to_b);
        assert_int_equal(a.ops->send_batch(&a, &datagram, 1), 1);
        assert_int_equal(recv_some(&b, &in, 1), 1);
        assert_int_equal(in.len, sizeof bytes); // and the path MTU is what it was
    }
    assert_int_equal(n_errors_of(&a, EMSGSIZE), 10); // they did come
    udp_close(&a);
    udp_close(&b);
}

// What is pending is no word about the train at hand, and three of them are no reason to send no trains any more.
static void forged_icmp_does_not_turn_trains_off(void **state)
{
    (void)state;
    need_namespace();
    static const uint8_t bytes[10 * 1400];
    struct udp a, b;
    open_any(&a, AF_INET);
    open_any(&b, AF_INET);
    struct addr to_b = loopback(AF_INET, udp_port(&b));
    struct udp_train train = train_to(to_b, bytes, sizeof bytes, 1400), shorter = train_to(to_b, bytes, 9 * 1400, 1400), in[2];
    for (int i = 0; i < 10; i++) {
        forge_too_big(&a, &to_b);
        assert_int_equal(a.ops->send_batch(&a, &train, 1), 10);
        assert_int_equal(a.ops->send_batch(&a, &shorter, 1), 9);
        assert_int_equal(atomic_load(&a.segmentation.n_refused), 0);
        assert_true(atomic_load(&a.segmentation.is_on));
        assert_int_equal(recv_some(&b, in, 2), 2);
        assert_int_equal(in[0].len, sizeof bytes);
        assert_int_equal(in[1].len, 9 * 1400);
    }
    assert_int_equal(n_errors_of(&a, EMSGSIZE), 10);
    udp_close(&a);
    udp_close(&b);
}

// ---- a slow underlay: `tc` makes the loopback's queue hold datagrams (would block) or drop them (ENOBUFS)

static void would_block_and_no_buffers(void **state)
{
    (void)state;
    need_namespace();
    static const uint8_t bytes[1400];
    if (run("tc qdisc add dev lo root tbf rate 64kbit burst 2000 limit 30000000 2>/dev/null") != 0) {
        print_message("no tc with tbf here: skipped\n");
        skip();
    }
    struct udp udp;
    open_any(&udp, AF_INET);
    struct udp_train out[UDP_BATCH_MAX];
    for (size_t i = 0; i < UDP_BATCH_MAX; i++)
        out[i] = datagram_to(loopback(AF_INET, udp_port(&udp)), bytes, sizeof bytes);
    int total = 0, got;
    while ((got = udp.ops->send_batch(&udp, out, UDP_BATCH_MAX)) > 0 && total < 100000)
        total += got;
    assert_int_equal(got, 0);
    assert_in_range(total, UDP_BATCH_MAX, 10000);
    assert_int_equal(udp.ops->send_batch(&udp, out, 1), 0);
    udp_close(&udp);
    assert_int_equal(run("tc qdisc replace dev lo root tbf rate 64kbit burst 2000 limit 3000"), 0);
    open_any(&udp, AF_INET);
    total = 0;
    while ((got = udp.ops->send_batch(&udp, out, UDP_BATCH_MAX)) > 0 && total < 100000)
        total += got;
    assert_int_equal(got, -ENOBUFS);
    udp_close(&udp);
    assert_int_equal(run("tc qdisc del dev lo root"), 0);
}

static void advice_for_errors(void **state)
{
    static const int errors[] = {ENETUNREACH, EADDRNOTAVAIL, EHOSTUNREACH, ENETDOWN, ENODEV,      ENXIO,
                                 EPERM,       EACCES,        EINVAL,       EMSGSIZE, EAFNOSUPPORT};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        assert_memory_equal(udp_send_advice(-errors[i]), "; ", 2);
    assert_string_equal(udp_send_advice(0), "");
    assert_string_equal(udp_send_advice(-EIO), "");
    assert_non_null(strstr(udp_send_advice(-EMSGSIZE), "PathMTU"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_binds),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(moves_full_batches),
        cmocka_unit_test(marks_what_was_cut),
        cmocka_unit_test(answers_from_the_address_that_was_asked),
        cmocka_unit_test(answers_from_the_ipv6_address_that_was_asked),
        cmocka_unit_test(an_error_of_its_own_is_said_once),
        cmocka_unit_test(df_is_set_and_nothing_is_cut),
        cmocka_unit_test(icmp_errors_cost_no_datagram),
        cmocka_unit_test_teardown(errors_drained_by_another_thread_cost_no_datagram, stop_drainer),
        cmocka_unit_test_teardown(ambiguous_errors_cost_no_datagram, stop_drainer),
        cmocka_unit_test(forged_icmp_costs_no_datagram),
        cmocka_unit_test(forged_icmp_does_not_turn_trains_off),
        cmocka_unit_test(would_block_and_no_buffers),
        cmocka_unit_test(advice_for_errors),
    };
    has_namespace = enter_namespace() && set_up_loopback();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
