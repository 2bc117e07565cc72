// SPDX-License-Identifier: MIT
/*
 * test_udp_trains: trains over the loopback of a network namespace of the test's own: out by UDP_SEGMENT and in by UDP_GRO, one by one when
 * that is off or refused, and every refusal counted; ECN both ways. Skipped where no such namespace can be had.
 *
 * sendmmsg(2) is this program's own: it tells what it was asked for, and fails when it has to.
 */
#include "test_udp_device.h"

#include <netinet/udp.h>
#include <sys/syscall.h>

#include "ethercord/ecn.h"
#include "ethercord/log.h"

enum { SEEN_MAX = 1000, BYTES_CAP = 1 << 17 };

static uint8_t bytes[BYTES_CAP];

// ---- the system call of the code under test

struct seen {
    size_t len;
    int segment_size; // 0 = none
    int ecn;          // -1 = not said
};
static struct seen seen[SEEN_MAX]; // messages that were accepted
static size_t n_seen, n_calls;
static int train_error;    // refuses every train: errno
static int n_train_errors; // so often
static int single_error;   // refuses every datagram that comes alone: errno
static int n_accepted_max; // messages in one call, 0 = any
static int n_calls_max;    // calls that accept something; then it would block. 0 = any, negative = none

static void forget(void)
{
    n_seen = n_calls = 0;
    train_error = n_train_errors = single_error = n_accepted_max = n_calls_max = 0;
}

static struct seen look_at(struct msghdr *message)
{
    struct seen found = {.len = message->msg_iov->iov_len, .ecn = -1};

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg; cmsg = CMSG_NXTHDR(message, cmsg)) {
        uint16_t size;
        if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_SEGMENT) {
            memcpy(&size, CMSG_DATA(cmsg), sizeof size);
            found.segment_size = size;
        } else if ((cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_TOS) ||
                   (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_TCLASS)) {
            memcpy(&found.ecn, CMSG_DATA(cmsg), sizeof found.ecn);
        }
    }
    return found;
}

// 0 = the kernel's turn
static int refuse(struct msghdr *message)
{
    bool is_train = look_at(message).segment_size > 0;

    if (is_train && train_error && n_train_errors > 0) {
        n_train_errors--;
        return train_error;
    }
    return is_train ? 0 : single_error;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    int accepted = 0;

    n_calls++;
    if (n_calls_max != 0 && (int)n_calls > n_calls_max) {
        errno = EAGAIN;
        return -1;
    }
    if (n_accepted_max > 0 && n > (unsigned)n_accepted_max)
        n = (unsigned)n_accepted_max;
    for (unsigned i = 0; i < n; i++) {
        struct seen found = look_at(&messages[i].msg_hdr);
        int error = refuse(&messages[i].msg_hdr);
        errno = error;
        if (error || syscall(SYS_sendmmsg, fd, &messages[i], 1, flags) != 1)
            return accepted > 0 ? accepted : -1;
        assert_true(n_seen < SEEN_MAX);
        seen[n_seen++] = found;
        accepted++;
    }
    return accepted;
}

// ---- two ends

static struct udp a, b;
static struct addr to_b;

static void open_pair(uint16_t family, enum udp_offload offload_a, enum udp_offload offload_b)
{
    const struct udp_options options_a = {.family = family, .offload = offload_a}, options_b = {.family = family, .offload = offload_b};

    forget();
    assert_int_equal(udp_open(&a, &options_a), 0);
    assert_int_equal(udp_open(&b, &options_b), 0);
    to_b = loopback(family, udp_port(&b));
}

static void close_pair(void)
{
    udp_close(&a);
    udp_close(&b);
}

static int count_of(const struct udp_train *train)
{
    return (int)((train->len + train->datagram_len - 1) / train->datagram_len);
}

static uint64_t n_refused(void)
{
    return atomic_load(&a.segmentation.n_refused);
}

static bool is_on(void)
{
    return atomic_load(&a.segmentation.is_on);
}

static int nothing_more(struct udp *udp)
{
    struct udp_train in[1];

    prepare_rooms(in, 1);
    return udp->ops->recv_batch(udp, in, 1);
}

// Takes `n` datagrams that were sent one by one, in order, from bytes[] on.
static void receive_singly(const struct udp_train *train, int n)
{
    for (int got = 0; got < n;) {
        struct udp_train in[UDP_BATCH_MAX];
        int batch = recv_some(&b, in, UDP_BATCH_MAX);
        assert_true(batch > 0);
        for (int i = 0; i < batch; i++, got++) {
            size_t at = (size_t)got * train->datagram_len, left = train->len - at;
            assert_int_equal(in[i].len, left < train->datagram_len ? left : train->datagram_len);
            assert_int_equal(in[i].datagram_len, in[i].len);
            assert_memory_equal(in[i].bytes, train->bytes + at, in[i].len);
        }
    }
    assert_int_equal(nothing_more(&b), 0);
}

static void receive_train(const struct udp_train *train)
{
    struct udp_train in[2];

    assert_int_equal(recv_some(&b, in, 2), 1);
    assert_int_equal(in[0].len, train->len);
    assert_int_equal(in[0].datagram_len, train->datagram_len);
    assert_false(in[0].is_truncated);
    assert_int_equal(in[0].ecn, train->ecn);
    assert_memory_equal(in[0].bytes, train->bytes, train->len);
    struct addr from = loopback(a.family, udp_port(&a)), to = loopback(a.family, 0);
    assert_true(addr_equal(&in[0].endpoint.remote, &from));
    assert_true(addr_equal(&in[0].endpoint.source, &to));
}

// ---- tests

static void trains_go_and_come_in_one_piece(void **state)
{
    (void)state;
    need_namespace();
    static const size_t sizes[] = {1, 2, 100, 576, 1200, 1039, 1399, 1400}, counts[] = {1, 2, 3, 31, 62, 63};
    for (size_t f = 0; f < 2; f++) {
        open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        assert_true(a.has_gro && is_on() && a.segmentation.is_wanted);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] * 6 * 3; i++) {
            size_t size = sizes[i / 18], count = counts[i / 3 % 6], lasts[] = {size, 1, size > 1 ? size - 1 : 1};
            struct udp_train train = train_to(to_b, bytes, (count - 1) * size + lasts[i % 3], size);
            if (train.len > UDP_TRAIN_BYTES_MAX)
                train.len = UDP_TRAIN_BYTES_MAX; // the longest there is
            if (train.datagram_len > train.len)
                train.datagram_len = train.len;
            forget();
            assert_int_equal(a.ops->send_batch(&a, &train, 1), count_of(&train));
            assert_int_equal(n_calls, 1);
            assert_int_equal(n_seen, 1);
            assert_int_equal(seen[0].len, train.len);
            assert_int_equal(seen[0].segment_size, count_of(&train) > 1 ? train.datagram_len : 0); // never for a single one
            // The kernel keeps what is less than 64 KiB with its Ethernet header in one piece.
            if (train.len + (f == 0 ? 20 : 40) + 8 + 14 < 65536)
                receive_train(&train);
            else
                receive_singly(&train, count_of(&train));
        }
        assert_int_equal(n_refused(), 0);
        close_pair();
    }
}

// Trains and single datagrams, of different lengths, in one call and in order.
static void a_batch_is_of_many_trains(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        struct udp_train out[UDP_BATCH_MAX + 1], in[UDP_BATCH_MAX];
        int n_datagrams = 0;
        for (size_t i = 0; i <= UDP_BATCH_MAX; i++) {
            size_t size = 100 + i, count = 1 + i % 5;
            out[i] = train_to(to_b, bytes + 10 * i, count * size - (i % 3 && count > 1 ? i : 0), size);
            n_datagrams += i < UDP_BATCH_MAX ? count_of(&out[i]) : 0;
        }
        assert_int_equal(a.ops->send_batch(&a, out, UDP_BATCH_MAX + 1), n_datagrams);
        assert_int_equal(n_calls, 1);
        for (int got = 0; got < UDP_BATCH_MAX;) {
            int n = recv_some(&b, in, 10);
            assert_in_range(n, 1, 10);
            for (int i = 0; i < n; i++, got++) {
                assert_int_equal(in[i].len, out[got].len);
                assert_int_equal(in[i].datagram_len, out[got].datagram_len);
                assert_memory_equal(in[i].bytes, out[got].bytes, in[i].len);
            }
        }
        assert_int_equal(nothing_more(&b), 0);
        close_pair();
    }
}

// Off at the sending end: each alone; at the receiving end: the kernel takes the train apart.
static void without_offload_each_goes_alone(void **state)
{
    (void)state;
    need_namespace();
    for (int i = 0; i < 4; i++) {
        bool is_sent_singly = i & 1;
        open_pair(families[i / 2], is_sent_singly ? UDP_OFFLOAD_OFF : UDP_OFFLOAD_ON, is_sent_singly ? UDP_OFFLOAD_ON : UDP_OFFLOAD_OFF);
        assert_int_equal(is_on(), !is_sent_singly);
        assert_int_equal(a.segmentation.is_wanted, !is_sent_singly);
        assert_int_equal(b.has_gro, is_sent_singly);
        struct udp_train train = train_to(to_b, bytes, 62 * 1000 + 1, 1000);
        assert_int_equal(a.ops->send_batch(&a, &train, 1), 63);
        assert_int_equal(n_seen, is_sent_singly ? 63 : 1);
        for (size_t k = 0; k < n_seen && is_sent_singly; k++) {
            assert_int_equal(seen[k].segment_size, 0);
            assert_int_equal(seen[k].len, k < 62 ? 1000 : 1);
        }
        receive_singly(&train, 63);
        assert_int_equal(n_refused(), 0); // nobody refused anything
        close_pair();
    }
}

// A call takes so many messages: the rest of a train is left over, and goes with the next call.
static void without_offload_a_train_may_go_in_part(void **state)
{
    (void)state;
    need_namespace();
    open_pair(AF_INET, UDP_OFFLOAD_OFF, UDP_OFFLOAD_ON);
    struct udp_train out[] = {train_to(to_b, bytes, 40 * 100, 100), train_to(to_b, bytes + 4000, 40 * 100, 100)};
    assert_int_equal(a.ops->send_batch(&a, out, 2), UDP_BATCH_MAX);
    struct udp_train rest = train_to(to_b, bytes + 6400, 16 * 100, 100);
    assert_int_equal(a.ops->send_batch(&a, &rest, 1), 16);
    struct udp_train all = train_to(to_b, bytes, 80 * 100, 100);
    receive_singly(&all, 80);
    close_pair();
}

// The kernel takes a few messages per call, or would block in between: what is returned is what went out, to the datagram.
static void what_is_accepted_is_counted_in_datagrams(void **state)
{
    (void)state;
    need_namespace();
    static const int n_messages[] = {0, 1, 2, 3, 5};
    for (int is_off = 0; is_off < 2; is_off++)
        for (size_t i = 0; i < 5; i++)
            for (int is_blocked = 0; is_blocked < 2; is_blocked++) {
                open_pair(AF_INET, is_off ? UDP_OFFLOAD_OFF : UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
                const struct udp_train out[] = {train_to(to_b, bytes, 301, 100), datagram_to(to_b, bytes, 50),
                                                train_to(to_b, bytes, 700, 100), train_to(to_b, bytes, 201, 200),
                                                datagram_to(to_b, bytes, 1)}; // 4 + 1 + 7 + 2 + 1
                static const int upto[2][6] = {{0, 4, 5, 12, 14, 15}, {0, 1, 2, 3, 4, 5}};
                n_accepted_max = n_messages[i];
                n_calls_max = is_blocked ? (n_messages[i] ? 1 : -1) : 0;
                int got = a.ops->send_batch(&a, out, 5);
                if (!is_blocked)
                    assert_int_equal(got, 15);
                else
                    assert_int_equal(got, upto[is_off][n_messages[i]]);
                close_pair();
            }
}

// ---- refusals

// Longer than any kernel takes: it refuses, the datagrams go alone, and that is counted.
static void a_train_that_is_too_long_goes_singly(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        struct udp_train many = train_to(to_b, bytes, 1000 * 20, 20);    // datagrams
        struct udp_train large = train_to(to_b, bytes, 60 * 1400, 1400); // bytes
        for (unsigned i = 1; i <= 4; i++) {
            const struct udp_train *train = i % 2 ? &many : &large;
            forget();
            assert_int_equal(a.ops->send_batch(&a, train, 1), i % 2 ? UDP_BATCH_MAX : 60);
            assert_int_equal(n_refused(), i < 3 ? i : 3);
            assert_int_equal(is_on(), i < 3); // the third time it is off on the way to there
            receive_singly(train, i % 2 ? UDP_BATCH_MAX : 60);
        }
        close_pair();
    }
}

static void some_errors_may_be_the_trains(void **state)
{
    (void)state;
    need_namespace();
    static const struct {
        int error;
        bool is_tried_singly;
    } rows[] = {{EIO, true},        {EINVAL, true},    {EMSGSIZE, true},     {EOPNOTSUPP, false}, {ENOPROTOOPT, false},
                {ENOBUFS, false},   {EPERM, false},    {ENETUNREACH, false}, {ENODEV, false},     {ENOMEM, false},
                {EHOSTDOWN, false}, {ENETDOWN, false}, {EHOSTUNREACH, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_pair(families[i % 2], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        struct udp_train train = train_to(to_b, bytes, 10 * 100 + 7, 100);
        train_error = rows[i].error;
        n_train_errors = 1 << 20;
        assert_int_equal(a.ops->send_batch(&a, &train, 1), rows[i].is_tried_singly ? 11 : -rows[i].error);
        assert_int_equal(n_refused(), rows[i].is_tried_singly);
        assert_int_equal(n_seen, rows[i].is_tried_singly ? 11 : 0);
        assert_int_equal(is_on(), rows[i].error != EIO); // that one says all
        if (rows[i].is_tried_singly)
            receive_singly(&train, 11);
        close_pair();
    }
}

static int send_train_of(int n)
{
    struct udp_train train = train_to(to_b, bytes, (size_t)n * 100, 100);

    return a.ops->send_batch(&a, &train, 1);
}

static int send_train(void)
{
    return send_train_of(3);
}

static void refuse_trains(int n)
{
    forget();
    train_error = EINVAL;
    n_train_errors = n;
}

static void a_train_that_goes_forgives_the_others(void **state)
{
    (void)state;
    need_namespace();
    open_pair(AF_INET, UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
    for (unsigned i = 0; i < 10; i++) {
        refuse_trains(2);
        for (int k = 0; k < 3; k++)
            assert_int_equal(send_train(), 3);
        assert_int_equal(n_seen, 3 + 3 + 1);
        assert_int_equal(n_refused(), 2 * (i + 1));
        assert_int_equal(a.segmentation.strikes, 0);
        assert_true(is_on());
    }
    // A datagram that goes says nothing about trains.
    refuse_trains(3);
    struct udp_train single = datagram_to(to_b, bytes, 100);
    for (int k = 0; k < 3; k++) {
        assert_true(is_on());
        assert_int_equal(send_train(), 3);
        assert_int_equal(a.ops->send_batch(&a, &single, 1), 1);
    }
    assert_false(is_on());
    close_pair();
}

// Some devices refuse the long ones only: what goes must be comparable, an eighth of it at least.
static void a_shorter_train_forgives_nothing(void **state)
{
    (void)state;
    need_namespace();
    static const struct {
        int n; // datagrams of the train in between
        bool is_forgiven;
    } rows[] = {{2, false}, {3, false}, {4, true}, {5, true}, {32, true}, {60, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_pair(AF_INET, UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        refuse_trains(2);
        for (int k = 0; k < 2; k++)
            assert_int_equal(send_train_of(32), 32);
        assert_int_equal(send_train_of(rows[i].n), rows[i].n);
        refuse_trains(1);
        assert_int_equal(send_train_of(32), 32);
        assert_int_equal(is_on(), rows[i].is_forgiven);
        assert_int_equal(n_refused(), 3);
        close_pair();
    }
}

// Datagrams that are refused for a reason of their own are no strike against trains.
static void the_datagrams_own_error_is_no_refusal_of_trains(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        struct udp_train train = train_to(to_b, bytes, 3 * 1600, 1600); // more than the MTU each
        for (int i = 0; i < 5; i++)
            assert_int_equal(a.ops->send_batch(&a, &train, 1), -EMSGSIZE);
        train.datagram_len = 1000;
        train.endpoint.source = nowhere(families[f]); // gone
        for (int i = 0; i < 5; i++)
            assert_int_equal(a.ops->send_batch(&a, &train, 1), families[f] == AF_INET ? -ENETUNREACH : -EINVAL);
        refuse_trains(1 << 20); // and any other
        single_error = EMSGSIZE;
        for (int i = 0; i < 5; i++)
            assert_int_equal(send_train(), -EMSGSIZE);
        single_error = EAGAIN; // not now, neither so nor so
        for (int i = 0; i < 5; i++)
            assert_int_equal(send_train(), 0);
        assert_int_equal(n_refused(), 0);
        assert_true(is_on());
        forget();
        assert_int_equal(send_train(), 3);
        assert_int_equal(n_seen, 1);
        close_pair();
    }
}

// What is in front of a refused train has gone, and is not sent again; what is behind it goes with the next call.
static void a_refused_train_in_the_middle(void **state)
{
    (void)state;
    need_namespace();
    open_pair(AF_INET, UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
    struct udp_train out[] = {datagram_to(to_b, bytes, 10), train_to(to_b, bytes, 300, 100), datagram_to(to_b, bytes, 20)};
    refuse_trains(4); // with the rest of the first call, and at the head of the next one
    assert_int_equal(a.ops->send_batch(&a, out, 3), 1);
    assert_int_equal(n_refused(), 0);
    n_train_errors = 1;
    assert_int_equal(a.ops->send_batch(&a, out + 1, 2), 3);
    assert_int_equal(n_refused(), 1);
    assert_int_equal(a.ops->send_batch(&a, out + 2, 1), 1);
    static const size_t lens[] = {10, 100, 100, 100, 20};
    assert_int_equal(n_seen, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(seen[i].len, lens[i]);
    close_pair();
}

// Off is off on the way to that endpoint; another one, or another port, is another path until it proves the same.
static void another_endpoint_begins_anew(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        struct udp c;
        open_any(&c, families[f]);
        const struct addr to_c = loopback(families[f], udp_port(&c)), first = to_b;
        refuse_trains(3);
        for (int i = 0; i < 3; i++)
            assert_int_equal(send_train(), 3);
        assert_false(is_on());
        forget();
        assert_int_equal(send_train(), 3);
        assert_int_equal(n_seen, 3); // not tried any more
        struct udp_train single = datagram_to(to_c, bytes, 100);
        assert_int_equal(a.ops->send_batch(&a, &single, 1), 1); // another thread may send those: it changes nothing
        assert_false(is_on());
        n_seen = 3;
        to_b = to_c;
        assert_int_equal(send_train(), 3);
        assert_int_equal(n_seen, 3 + 1);
        assert_true(is_on());
        to_b = first;
        assert_int_equal(send_train(), 3); // it has another chance
        assert_int_equal(n_seen, 3 + 1 + 1);
        assert_int_equal(n_refused(), 3);
        // Strikes of one endpoint are not the other's.
        refuse_trains(1 << 20);
        for (int i = 0; i < 6; i++) {
            to_b = i % 2 ? to_c : first;
            assert_int_equal(send_train(), 3);
            assert_true(is_on());
        }
        udp_close(&c);
        close_pair();
    }
}

// By the options: no endpoint turns it on.
static void off_by_options_stays_off(void **state)
{
    (void)state;
    need_namespace();
    open_pair(AF_INET, UDP_OFFLOAD_OFF, UDP_OFFLOAD_ON);
    const uint16_t port = to_b.port;
    for (int i = 0; i < 6; i++) {
        to_b.port = (uint16_t)(port + i % 2); // perhaps to nobody
        assert_int_equal(send_train(), 3);
        assert_false(is_on());
    }
    for (size_t i = 0; i < n_seen; i++)
        assert_int_equal(seen[i].segment_size, 0);
    close_pair();
}

static void a_batch_of_the_other_family_is_refused(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        struct udp_train out[] = {train_to(to_b, bytes, 300, 100), train_to(loopback(families[1 - f], 9), bytes, 300, 100)};
        assert_int_equal(a.ops->send_batch(&a, out, 2), 3);
        assert_int_equal(a.ops->send_batch(&a, out + 1, 1), -EAFNOSUPPORT);
        assert_int_equal(n_refused(), 0);
        close_pair();
    }
}

// ---- receiving

static void a_train_without_room_is_marked(void **state)
{
    (void)state;
    need_namespace();
    open_pair(AF_INET, UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
    struct udp_train out[3], in[3];
    for (size_t i = 0; i < 3; i++)
        out[i] = train_to(to_b, bytes, 1000, 100);
    assert_int_equal(a.ops->send_batch(&a, out, 3), 30);
    prepare_rooms(in, 3);
    in[0].len = 999;
    in[1].len = 1000;
    in[2].len = 99; // less than its first datagram
    assert_int_equal(b.ops->recv_batch(&b, in, 3), 3);
    assert_true(in[0].is_truncated);
    assert_int_equal(in[0].len, 999);
    assert_false(in[1].is_truncated);
    assert_int_equal(in[1].len, 1000);
    assert_int_equal(in[1].datagram_len, 100);
    assert_true(in[2].is_truncated);
    assert_int_equal(in[2].len, 99);
    assert_int_equal(in[2].datagram_len, 99);
    close_pair();
}

// Sends until nothing has been taken for long; returns how many datagrams came out.
static uint32_t overflow(size_t n_per_train, int n_trains)
{
    struct udp_train train = train_to(to_b, bytes, n_per_train * 100, 100), in[UDP_BATCH_MAX];
    uint32_t n_came = 0;

    for (int i = 0; i < n_trains; i++)
        assert_int_equal(a.ops->send_batch(&a, &train, 1), n_per_train);
    for (;;) {
        prepare_rooms(in, UDP_BATCH_MAX);
        int n = b.ops->recv_batch(&b, in, UDP_BATCH_MAX);
        if (n == 0)
            return n_came;
        for (int i = 0; i < n; i++)
            n_came += (uint32_t)count_of(&in[i]);
    }
}

static void what_has_no_room_is_counted(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++)
        for (size_t n_per_train = 1; n_per_train < 64; n_per_train += 31) {
            open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
            int little = 1;
            assert_int_equal(setsockopt(b.fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof little), 0);
            assert_int_equal(udp_n_dropped(&b), 0);
            uint32_t n_came = overflow(n_per_train, 50), n_dropped = udp_n_dropped(&b);
            assert_in_range(n_dropped, 1, 49);
            // The kernel counts a train that it throws away as one.
            if (n_came / n_per_train + n_dropped != 50)
                fail_msg("trains of %zu: %u came, %u were dropped", n_per_train, n_came, n_dropped);
            n_came = overflow(1, 1);
            assert_int_equal(n_came, 1); // there is room again
            assert_int_equal(udp_n_dropped(&b), n_dropped);
            close_pair();
            assert_int_equal(udp_n_dropped(&b), 0); // of a socket that is closed
        }
}

// ---- ECN

static void ecn_goes_and_comes(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++)
        for (int is_off = 0; is_off < 2; is_off++) {
            open_pair(families[f], is_off ? UDP_OFFLOAD_OFF : UDP_OFFLOAD_ON, is_off ? UDP_OFFLOAD_OFF : UDP_OFFLOAD_ON);
            for (int i = 0; i < 16; i++) {
                struct udp_train out[2] = {train_to(to_b, bytes, 300, i % 2 ? 100 : 300), datagram_to(to_b, bytes, 7)}, in[4];
                out[0].ecn = (uint8_t)(i / 4);
                out[1].ecn = (uint8_t)(3 - i / 4); // each has its own
                int n = i % 2 ? 4 : 2, n_trains = i % 2 && is_off ? 4 : 2;
                forget();
                assert_int_equal(a.ops->send_batch(&a, out, 2), n);
                assert_int_equal(n_seen, n_trains);
                assert_int_equal(seen[0].ecn, out[0].ecn ? out[0].ecn : -1); // nothing said is none
                assert_int_equal(seen[n_trains - 1].ecn, out[1].ecn ? out[1].ecn : -1);
                assert_int_equal(recv_some(&b, in, 4), n_trains);
                for (int k = 0; k < n_trains; k++)
                    assert_int_equal(in[k].ecn, k < n_trains - 1 ? out[0].ecn : out[1].ecn);
            }
            close_pair();
        }
}

// Of the whole traffic class these two bits alone; with the address and the size of a train next to them.
static void ecn_is_two_bits(void **state)
{
    (void)state;
    need_namespace();
    for (size_t f = 0; f < 2; f++) {
        open_pair(families[f], UDP_OFFLOAD_ON, UDP_OFFLOAD_ON);
        for (int tos = 0; tos < 256; tos += tos < 8 || tos > 0xb0 ? 1 : 13) {
            struct udp_train in[1];
            send_plainly(families[f], to_b.port, bytes, 10, tos);
            assert_int_equal(recv_some(&b, in, 1), 1);
            assert_int_equal(in[0].ecn, tos & ECN_MASK);
        }
        struct udp_train train = train_to(to_b, bytes, 1000, 100);
        train.ecn = ECN_CE;
        train.endpoint.source = loopback(families[f], 0); // packet info, ECN and size in one message
        assert_int_equal(a.ops->send_batch(&a, &train, 1), 10);
        receive_train(&train);
        close_pair();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trains_go_and_come_in_one_piece),
        cmocka_unit_test(a_batch_is_of_many_trains),
        cmocka_unit_test(without_offload_each_goes_alone),
        cmocka_unit_test(without_offload_a_train_may_go_in_part),
        cmocka_unit_test(what_is_accepted_is_counted_in_datagrams),
        cmocka_unit_test(a_train_that_is_too_long_goes_singly),
        cmocka_unit_test(some_errors_may_be_the_trains),
        cmocka_unit_test(a_train_that_goes_forgives_the_others),
        cmocka_unit_test(a_shorter_train_forgives_nothing),
        cmocka_unit_test(the_datagrams_own_error_is_no_refusal_of_trains),
        cmocka_unit_test(a_refused_train_in_the_middle),
        cmocka_unit_test(another_endpoint_begins_anew),
        cmocka_unit_test(off_by_options_stays_off),
        cmocka_unit_test(a_batch_of_the_other_family_is_refused),
        cmocka_unit_test(a_train_without_room_is_marked),
        cmocka_unit_test(what_has_no_room_is_counted),
        cmocka_unit_test(ecn_goes_and_comes),
        cmocka_unit_test(ecn_is_two_bits),
    };
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    log_set_level(LOG_LEVEL_ERROR);
    has_namespace = enter_namespace() && set_up_loopback();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
