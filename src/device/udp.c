// SPDX-License-Identifier: MIT
/*
 * udp: see udp.h. recvmmsg(2) and sendmmsg(2) on one bound, unconnected socket per address family; a train is one message, with
 * UDP_SEGMENT when it is sent and UDP_GRO when it is received.
 *
 * Pending errors. With IP_RECVERR an ICMP error does two things: an entry goes to the error queue, and its errno is left pending on the
 * socket (again whenever the queue moves on to its next entry), where it fails the next call of whatever kind before that has touched any
 * datagram, and is thereby cleared. So such a failure says nothing about the datagram at hand: the call is repeated. The same errno may be
 * the kernel's own answer instead (no route), given every time: a call that only looks up the route tells the two apart.
 * An error behind the first message of a call is not reported: the count is short, and the rest is tried again.
 *
 * Refused trains. EIO: the device can't do checksums, or an IPsec policy (Linux before 6.11); EINVAL and EMSGSIZE: one kernel's or driver's
 * limit or another's. The train goes out one by one; when that works it was the train that was refused, not the datagrams.
 */
#include "ethercord/udp.h"

// linux/errqueue.h needs struct timespec.
#include <time.h>

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

#include "ethercord/clock.h"
#include "ethercord/ecn.h"
#include "ethercord/log.h"
#include "udp_private.h"

enum {
    CONTROL_CAP = 128,       // packet info, ECN, segment size
    ERROR_CONTROL_CAP = 256, // sock_extended_err with an address, and packet info
    ERROR_ENTRIES_MAX = 64,  // unreadable ones skipped at once
    // Another thread that drains a full error queue leaves one pending error after the other: rows of 200 were measured. The
    // limit is there so that an errno that we don't know better about can't hold up the thread for ever.
    TRIES_PENDING = 1 << 14,
    BLOCKED_MAX = 32,    // would block, between such tries
    TRIES_TOO_LONG = 16, // EMSGSIZE: from an ICMP error, or of its own, which also adds an entry to the error queue each time
    STRIKES_MAX = 3,     // trains refused one after the other
    COMPARABLE = 8,      // a train is long beside one of that many times its length, not more
    // The kernel's MSG_PROBE: with MSG_CONFIRM and without payload, look up the route and send nothing. The C library has no name for it.
    PROBE_ROUTE = MSG_CONFIRM | 0x10
};

_Static_assert(EAGAIN == EWOULDBLOCK, "one value to look for");

union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

union control {
    struct cmsghdr align;
    uint8_t bytes[CONTROL_CAP];
};
_Static_assert(CONTROL_CAP >= CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)), "room for all of IPv6");
_Static_assert(CONTROL_CAP >= CMSG_SPACE(sizeof(struct in_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)), "room for all of IPv4");

struct scratch {
    struct mmsghdr messages[UDP_BATCH_MAX];
    struct iovec iovecs[UDP_BATCH_MAX];
    union sockaddr_any names[UDP_BATCH_MAX];
    union control controls[UDP_BATCH_MAX];
    int n_datagrams[UDP_BATCH_MAX]; // sending: in each message
};
// What the kernel wants to be told about a batch. It is written anew by each call and holds nothing between two, so it is no state; it
// is here because it is too large for a stack, and sending is done by several threads.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): see above
static _Thread_local struct scratch scratch;

// The one place that sorts out what a failed call means: how often it may be repeated at once, as the errno may have come from an ICMP
// error (the kernel's icmp_err_convert[] and icmpv6_err_convert()). 0 = it can't have.
static int tries_for(int error)
{
    switch (error) {
    case EINTR:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case ECONNREFUSED:
    case EOPNOTSUPP:
    case EHOSTDOWN:
    case ENONET:
    case EPROTO:
    case EACCES:
        return TRIES_PENDING;
    case EMSGSIZE:
        return TRIES_TOO_LONG;
    default:
        return 0;
    }
}

// ---- receiving

static void prepare_recv(const struct udp_train *trains, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        scratch.iovecs[i] = (struct iovec){.iov_base = trains[i].bytes, .iov_len = trains[i].len};
        scratch.messages[i] = (struct mmsghdr){.msg_hdr = {
                                                   .msg_name = &scratch.names[i],
                                                   .msg_namelen = sizeof scratch.names[i],
                                                   .msg_iov = &scratch.iovecs[i],
                                                   .msg_iovlen = 1,
                                                   .msg_control = &scratch.controls[i],
                                                   .msg_controllen = sizeof scratch.controls[i],
                                               }};
    }
}

// The interface is kept for link-local addresses only: in a control message that is sent it is no fact but an order, which goes before
// the routing table; an answer would stay on that interface when the route has long moved.
static void take_ipv4_source(struct endpoint *endpoint, const struct cmsghdr *cmsg)
{
    struct in_pktinfo info;
    memcpy(&info, CMSG_DATA(cmsg), sizeof info);
    // ipi_spec_dst, not ipi_addr: for a broadcast it is the address of ours to answer from.
    endpoint->source.family = AF_INET;
    memcpy(endpoint->source.ip, &info.ipi_spec_dst, IPV4_LEN);
}

static void take_ipv6_source(struct endpoint *endpoint, const struct cmsghdr *cmsg)
{
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(cmsg), sizeof info);
    if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
        return; // nothing can be sent from it
    endpoint->source.family = AF_INET6;
    memcpy(endpoint->source.ip, &info.ipi6_addr, IPV6_LEN);
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
        endpoint->source.scope = endpoint->source_ifindex = info.ipi6_ifindex;
}

static bool is_cmsg(const struct cmsghdr *cmsg, int level, int type, size_t len)
{
    return cmsg->cmsg_level == level && cmsg->cmsg_type == type && cmsg->cmsg_len >= CMSG_LEN(len);
}

static void take_segment_size(struct udp_train *train, const struct cmsghdr *cmsg)
{
    int size;
    memcpy(&size, CMSG_DATA(cmsg), sizeof size);
    if (size > 0 && (size_t)size < train->len)
        train->datagram_len = (size_t)size;
}

static void take_control(struct udp_train *train, struct msghdr *header)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (is_cmsg(cmsg, IPPROTO_IP, IP_PKTINFO, sizeof(struct in_pktinfo)))
            take_ipv4_source(&train->endpoint, cmsg);
        else if (is_cmsg(cmsg, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(struct in6_pktinfo)))
            take_ipv6_source(&train->endpoint, cmsg);
        else if (is_cmsg(cmsg, IPPROTO_UDP, UDP_GRO, sizeof(int)))
            take_segment_size(train, cmsg);
        else if (is_cmsg(cmsg, IPPROTO_IP, IP_TOS, 1))
            train->ecn = *CMSG_DATA(cmsg) & ECN_MASK;
        else if (is_cmsg(cmsg, IPPROTO_IPV6, IPV6_TCLASS, sizeof(int))) {
            int traffic_class;
            memcpy(&traffic_class, CMSG_DATA(cmsg), sizeof traffic_class);
            train->ecn = (uint8_t)(traffic_class & ECN_MASK);
        }
    }
}

static void finish_recv(struct udp_train *trains, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct msghdr *header = &scratch.messages[i].msg_hdr;
        struct udp_train *train = &trains[i];
        train->len = train->datagram_len = scratch.messages[i].msg_len;
        train->is_truncated = (header->msg_flags & MSG_TRUNC) != 0;
        train->ecn = ECN_NOT_ECT;
        memset(&train->endpoint, 0, sizeof train->endpoint);
        (void)addr_from_sockaddr(&train->endpoint.remote, header->msg_name, header->msg_namelen); // stays unset if it is none
        take_control(train, header);
    }
}

static int recv_batch(struct udp *udp, struct udp_train *trains, int n)
{
    if (n > UDP_BATCH_MAX)
        n = UDP_BATCH_MAX;
    for (int failed = 0;; failed++) {
        prepare_recv(trains, (size_t)n);
        int got = recvmmsg(udp->fd, scratch.messages, (unsigned)n, MSG_DONTWAIT, NULL);
        if (got >= 0) {
            finish_recv(trains, (size_t)got);
            return got;
        }
        if (errno == EAGAIN)
            return 0;
        // Receiving has no such errors of its own.
        if (tries_for(errno) == 0 || failed >= TRIES_PENDING)
            return -errno;
    }
}

// ---- sending

// Appends a control message of `len` bytes of data.
static void put_control(struct msghdr *header, int level, int type, const void *bytes, size_t len)
{
    struct cmsghdr *cmsg = (struct cmsghdr *)(void *)((uint8_t *)header->msg_control + header->msg_controllen);
    memset(cmsg, 0, CMSG_SPACE(len));
    *cmsg = (struct cmsghdr){.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(cmsg), bytes, len);
    header->msg_controllen += CMSG_SPACE(len);
}

// Without one the kernel chooses.
static void put_source(struct msghdr *header, const struct endpoint *endpoint, uint16_t family)
{
    if (endpoint->source.family == AF_UNSPEC && endpoint->source_ifindex == 0)
        return;
    if (family == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = (int)endpoint->source_ifindex};
        memcpy(&info.ipi_spec_dst, endpoint->source.ip, IPV4_LEN);
        put_control(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = endpoint->source_ifindex};
        memcpy(&info.ipi6_addr, endpoint->source.ip, IPV6_LEN);
        put_control(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static void put_ecn(struct msghdr *header, uint8_t ecn, uint16_t family)
{
    int traffic_class = ecn;
    if (ecn == ECN_NOT_ECT)
        return;
    if (family == AF_INET)
        put_control(header, IPPROTO_IP, IP_TOS, &traffic_class, sizeof traffic_class);
    else
        put_control(header, IPPROTO_IPV6, IPV6_TCLASS, &traffic_class, sizeof traffic_class);
}

static bool has_family_of(const struct udp *udp, const struct endpoint *endpoint)
{
    return endpoint->remote.family == udp->family && (endpoint->source.family == AF_UNSPEC || endpoint->source.family == udp->family);
}

// Message `i` carries `len` bytes of a train from `at` on: one datagram, or several with UDP_SEGMENT.
static void prepare_message(const struct udp *udp, size_t i, const struct udp_train *train, size_t at, size_t len)
{
    struct msghdr *header = &scratch.messages[i].msg_hdr;

    scratch.iovecs[i] = (struct iovec){.iov_base = train->bytes + at, .iov_len = len};
    *header = (struct msghdr){
        .msg_name = &scratch.names[i],
        .msg_namelen = addr_to_sockaddr(&train->endpoint.remote, &scratch.names[i].storage),
        .msg_iov = &scratch.iovecs[i],
        .msg_iovlen = 1,
        .msg_control = &scratch.controls[i],
    };
    put_source(header, &train->endpoint, udp->family);
    put_ecn(header, train->ecn, udp->family);
    if (len > train->datagram_len) { // never for a single datagram: some drivers send it damaged
        uint16_t size = (uint16_t)train->datagram_len;
        put_control(header, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    scratch.n_datagrams[i] = (int)((len + train->datagram_len - 1) / train->datagram_len);
}

// Returns how many messages were prepared: up to the first train that is not for this socket, and as many as there is room for.
static int prepare_send(const struct udp *udp, const struct udp_train *trains, int n, bool is_one_by_one)
{
    size_t n_messages = 0;

    for (int i = 0; i < n && has_family_of(udp, &trains[i].endpoint); i++) {
        size_t step = is_one_by_one ? trains[i].datagram_len : trains[i].len;
        for (size_t at = 0; at < trains[i].len; at += step, n_messages++) {
            if (n_messages == UDP_BATCH_MAX)
                return UDP_BATCH_MAX;
            prepare_message(udp, n_messages, &trains[i], at, step < trains[i].len - at ? step : trains[i].len - at);
        }
    }
    return (int)n_messages;
}

// Is there a way to where this message goes? The answer does not depend on errors that are pending.
static bool has_route(const struct udp *udp, const struct msghdr *header)
{
    struct msghdr probe = *header;
    probe.msg_iov = NULL;
    probe.msg_iovlen = 0;
    return sendmsg(udp->fd, &probe, PROBE_ROUTE | MSG_DONTWAIT) >= 0;
}

static bool may_be_of_train(int error)
{
    return error == EIO || error == EINVAL || error == EMSGSIZE;
}

// Whether the message that `error` was said of can do without another try. `n_failed`: tries for nothing so far, this one included.
static bool is_refused(const struct udp *udp, int i, int error, int n_failed)
{
    if (n_failed >= tries_for(error))
        return true;
    return n_failed == 1 && !has_route(udp, &scratch.messages[i].msg_hdr);
}

// While another thread drains the error queue one pending error follows the other, as fast as calls to send take them off. Taken off just
// before the call, one is hardly there again in time: what the call says then is about its message.
static void take_pending(const struct udp *udp)
{
    int error;
    socklen_t len = sizeof error;
    (void)getsockopt(udp->fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

// Returns how many datagrams were accepted, 0 = would block, or the negative errno of the first.
static int send_messages(const struct udp *udp, int n)
{
    int sent = 0, n_datagrams = 0;
    int n_failed = 0; // with the message that is now the first
    int n_blocked = 0;
    while (sent < n) {
        int got = sendmmsg(udp->fd, scratch.messages + sent, (unsigned)(n - sent), MSG_DONTWAIT);
        if (got > 0) {
            while (got-- > 0)
                n_datagrams += scratch.n_datagrams[sent++];
            n_failed = 0;
            continue;
        }
        int error = errno;
        if (error == EAGAIN && (n_failed == 0 || ++n_blocked > BLOCKED_MAX))
            break;
        if (error == EAGAIN) // a message that is refused for its length must not be what everything waits for
            continue;
        if (is_refused(udp, sent, error, ++n_failed))
            return n_datagrams > 0 ? n_datagrams : -error; // an error of its own shows again when the caller goes on from here
        take_pending(udp);
    }
    return n_datagrams;
}

static bool is_single(const struct udp_train *train)
{
    return train->len == train->datagram_len;
}

static bool are_single(const struct udp_train *trains, int n)
{
    while (n > 0 && is_single(trains))
        trains++, n--;
    return n == 0;
}

// The train was refused and its datagrams were not. A device may refuse the long ones only.
static void note_refused(struct udp *udp, const struct udp_train *train, int error)
{
    struct udp_segmentation *segmentation = &udp->segmentation;
    char to[ADDR_TEXT_CAP];

    atomic_fetch_add_explicit(&segmentation->n_refused, 1, memory_order_relaxed);
    segmentation->refused_to = train->endpoint.remote;
    segmentation->refused_len = train->len;
    if (++segmentation->strikes < STRIKES_MAX && error != -EIO)
        return;
    atomic_store_explicit(&segmentation->is_on, false, memory_order_relaxed);
    log_tell(&(struct log_about){LOG_EVENT_OFFLOAD_OFF, .limit = &segmentation->off_limit, .now_ns = now_boot_ns()},
             "UDP offload is off on the way to %s: the kernel refuses trains (%s); datagrams go one by one, which is slower",
             addr_format(&train->endpoint.remote, to), strerror(-error));
}

// A train that can be compared with the refused one was taken: it is not that this path has none. Some devices refuse the long ones only,
// and what is left of a run makes very short ones beside them.
static void forgive(struct udp_segmentation *segmentation, const struct udp_train *train, int n_sent)
{
    for (; n_sent > 0; train++) {
        n_sent -= (int)((train->len + train->datagram_len - 1) / train->datagram_len);
        if (n_sent >= 0 && !is_single(train) && train->len >= segmentation->refused_len / COMPARABLE)
            segmentation->strikes = 0;
    }
}

// Another path may be another device. Only the thread that sends trains gets to the state.
static bool may_send_trains(struct udp *udp, const struct udp_train *trains)
{
    struct udp_segmentation *segmentation = &udp->segmentation;
    const struct udp_train *train = trains;

    while (is_single(train))
        train++;
    if (segmentation->strikes > 0 && !addr_equal(&segmentation->refused_to, &train->endpoint.remote)) {
        segmentation->strikes = 0;
        atomic_store_explicit(&segmentation->is_on, segmentation->is_wanted, memory_order_relaxed);
    }
    return atomic_load_explicit(&segmentation->is_on, memory_order_relaxed);
}

static int send_batch(struct udp *udp, const struct udp_train *trains, int n)
{
    if (n <= 0)
        return 0;
    bool are_singles = are_single(trains, n); // of whichever thread: the state below is that of the one that sends trains
    bool has_trains = are_singles || may_send_trains(udp, trains);
    int prepared = prepare_send(udp, trains, n, !has_trains);
    if (prepared == 0)
        return -EAFNOSUPPORT;
    int sent = send_messages(udp, prepared);
    if (are_singles)
        return sent;
    if (has_trains && sent > 0 && udp->segmentation.strikes > 0)
        forgive(&udp->segmentation, trains, sent);
    if (!has_trains || is_single(trains) || !may_be_of_train(-sent))
        return sent;
    int sent_singly = send_messages(udp, prepare_send(udp, trains, 1, true));
    if (sent_singly > 0)
        note_refused(udp, trains, sent);
    return sent_singly;
}

// ---- the error queue

static bool take_error(struct udp_error *error, struct msghdr *header)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        bool is_error = (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_RECVERR) ||
                        (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_RECVERR);
        struct sock_extended_err extended;
        if (!is_error || cmsg->cmsg_len < CMSG_LEN(sizeof extended))
            continue;
        memcpy(&extended, CMSG_DATA(cmsg), sizeof extended);
        *error = (struct udp_error){
            .error = (int)extended.ee_errno,
            .is_local = extended.ee_origin == SO_EE_ORIGIN_LOCAL,
            .mtu = extended.ee_errno == EMSGSIZE ? extended.ee_info : 0,
        };
        // The name is the address that the datagram was sent to, not that of the router that complained.
        (void)addr_from_sockaddr(&error->remote, header->msg_name, header->msg_namelen);
        return true;
    }
    return false;
}

static int next_error(struct udp *udp, struct udp_error *error)
{
    for (int skipped = 0; skipped < ERROR_ENTRIES_MAX;) {
        union {
            struct cmsghdr align;
            uint8_t bytes[ERROR_CONTROL_CAP];
        } control;
        union sockaddr_any name;
        struct msghdr header = {
            .msg_name = &name,
            .msg_namelen = sizeof name,
            .msg_control = &control,
            .msg_controllen = sizeof control,
        };
        if (recvmsg(udp->fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
            if (take_error(error, &header))
                return 1;
            skipped++;
        } else if (errno != EINTR) {
            return errno == EAGAIN ? 0 : -errno;
        }
    }
    return 0;
}

const struct udp_ops udp_kernel_ops = {
    .recv_batch = recv_batch,
    .send_batch = send_batch,
    .next_error = next_error,
};

const char *udp_send_advice(int error)
{
    switch (error) {
    case -ENETUNREACH:
    case -EADDRNOTAVAIL:
        return "; is the interface of the underlay up, has it an address, and is there a route (ip route get)?";
    case -EHOSTUNREACH:
        return "; nobody answers there for that address (ip neighbour), or a route says so (ip route get)";
    case -ENETDOWN:
    case -ENODEV:
    case -ENXIO:
        return "; the interface of the underlay is down or gone";
    case -EPERM:
        return "; a firewall on this machine refuses it (nft list ruleset)";
    case -EACCES:
        return "; a route or a firewall on this machine forbids it (ip route get)";
    case -EINVAL:
        return "; has this machine still the address in SourceAddress?";
    case -EAFNOSUPPORT:
        return "; the node has no socket for this IP version: see SourceAddress";
    case -EMSGSIZE:
        return "; set [Peer] PathMTU to the underlay's MTU or less, or to auto";
    default:
        return "";
    }
}
