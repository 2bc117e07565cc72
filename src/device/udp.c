// SPDX-License-Identifier: MIT
/*
 * udp: see udp.h. recvmmsg(2) and sendmmsg(2) on one bound, unconnected socket per address family.
 *
 * Pending errors. With IP_RECVERR an ICMP error does two things: an entry goes to the error queue, and its errno is left pending on the
 * socket (again whenever the queue moves on to its next entry), where it fails the next call of whatever kind before that has touched any
 * datagram, and is thereby cleared. So such a failure says nothing about the datagram at hand: the call is repeated. The same errno may be
 * the kernel's own answer instead (no route), given every time: a call that only looks up the route tells the two apart.
 * An error behind the first datagram of a call is not reported: the count is short, and the rest is tried again.
 */
#include "ethercord/udp.h"

// linux/errqueue.h needs struct timespec.
#include <time.h>

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/ip.h>
#include <string.h>
#include <unistd.h>

enum {
    // A burst of 40 ms at 1.4 Gb/s, while the receiving thread is busy or not scheduled.
    RECV_BUFFER_BYTES = 7 << 20,
    // Holds a few full batches. More would only let a queue build up here, behind which every later datagram waits.
    SEND_BUFFER_BYTES = 1 << 20,
    CONTROL_CAP = 64,        // one in_pktinfo or in6_pktinfo
    ERROR_CONTROL_CAP = 256, // sock_extended_err with an address, and packet info
    ERROR_ENTRIES_MAX = 64,  // unreadable ones skipped at once
    // Another thread that drains a full error queue leaves one pending error after the other: rows of 200 were measured. The
    // limit is there so that an errno that we don't know better about can't hold up the thread for ever.
    TRIES_PENDING = 1 << 14,
    TRIES_TOO_LONG = 8, // EMSGSIZE: from an ICMP error, or of its own, which also adds an entry to the error queue each time
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
_Static_assert(CONTROL_CAP >= CMSG_SPACE(sizeof(struct in6_pktinfo)), "room for IPv6 packet info");
_Static_assert(CONTROL_CAP >= CMSG_SPACE(sizeof(struct in_pktinfo)), "room for IPv4 packet info");

struct scratch {
    struct mmsghdr messages[UDP_BATCH_MAX];
    struct iovec iovecs[UDP_BATCH_MAX];
    union sockaddr_any names[UDP_BATCH_MAX];
    union control controls[UDP_BATCH_MAX];
};
// What the kernel wants to be told about a batch. It is written anew by each call and holds nothing between two, so it is no state; it
// is here because it is too large for a stack, and sending is done by several threads.
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

static void prepare_recv(const struct udp_datagram *datagrams, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        scratch.iovecs[i] = (struct iovec){.iov_base = datagrams[i].bytes, .iov_len = datagrams[i].len};
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

static void take_source(struct endpoint *endpoint, struct msghdr *header)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO && cmsg->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo)))
            take_ipv4_source(endpoint, cmsg);
        else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO &&
                 cmsg->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo)))
            take_ipv6_source(endpoint, cmsg);
    }
}

static void finish_recv(struct udp_datagram *datagrams, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct msghdr *header = &scratch.messages[i].msg_hdr;
        struct udp_datagram *datagram = &datagrams[i];
        datagram->len = scratch.messages[i].msg_len;
        datagram->is_truncated = (header->msg_flags & MSG_TRUNC) != 0;
        memset(&datagram->endpoint, 0, sizeof datagram->endpoint);
        (void)addr_from_sockaddr(&datagram->endpoint.remote, header->msg_name, header->msg_namelen); // stays unset if it is none
        take_source(&datagram->endpoint, header);
    }
}

static int recv_batch(struct udp *udp, struct udp_datagram *datagrams, int n)
{
    if (n > UDP_BATCH_MAX)
        n = UDP_BATCH_MAX;
    for (int failed = 0;; failed++) {
        prepare_recv(datagrams, (size_t)n);
        int got = recvmmsg(udp->fd, scratch.messages, (unsigned)n, MSG_DONTWAIT, NULL);
        if (got >= 0) {
            finish_recv(datagrams, (size_t)got);
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

static size_t put_ipv4_source(union control *control, const struct endpoint *endpoint)
{
    struct in_pktinfo info = {.ipi_ifindex = (int)endpoint->source_ifindex};
    memcpy(&info.ipi_spec_dst, endpoint->source.ip, IPV4_LEN);
    control->align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    memcpy(CMSG_DATA(&control->align), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

static size_t put_ipv6_source(union control *control, const struct endpoint *endpoint)
{
    struct in6_pktinfo info = {.ipi6_ifindex = endpoint->source_ifindex};
    memcpy(&info.ipi6_addr, endpoint->source.ip, IPV6_LEN);
    control->align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO};
    memcpy(CMSG_DATA(&control->align), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
}

// Returns the length of the control message; 0 = the kernel is to choose the source.
static size_t put_source(union control *control, const struct endpoint *endpoint, uint16_t family)
{
    if (endpoint->source.family == AF_UNSPEC && endpoint->source_ifindex == 0)
        return 0;
    memset(control, 0, sizeof *control);
    return family == AF_INET ? put_ipv4_source(control, endpoint) : put_ipv6_source(control, endpoint);
}

static bool has_family_of(const struct udp *udp, const struct endpoint *endpoint)
{
    return endpoint->remote.family == udp->family && (endpoint->source.family == AF_UNSPEC || endpoint->source.family == udp->family);
}

// Returns how many were prepared: up to the first that is not for this socket.
static size_t prepare_send(const struct udp *udp, const struct udp_datagram *datagrams, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct udp_datagram *datagram = &datagrams[i];
        if (!has_family_of(udp, &datagram->endpoint))
            return i;
        size_t control_len = put_source(&scratch.controls[i], &datagram->endpoint, udp->family);
        scratch.iovecs[i] = (struct iovec){.iov_base = datagram->bytes, .iov_len = datagram->len};
        scratch.messages[i] = (struct mmsghdr){.msg_hdr = {
                                                   .msg_name = &scratch.names[i],
                                                   .msg_namelen = addr_to_sockaddr(&datagram->endpoint.remote, &scratch.names[i].storage),
                                                   .msg_iov = &scratch.iovecs[i],
                                                   .msg_iovlen = 1,
                                                   .msg_control = control_len ? &scratch.controls[i] : NULL,
                                                   .msg_controllen = control_len,
                                               }};
    }
    return n;
}

// Is there a way to where this message goes? The answer does not depend on errors that are pending.
static bool has_route(const struct udp *udp, const struct msghdr *header)
{
    struct msghdr probe = *header;
    probe.msg_iov = NULL;
    probe.msg_iovlen = 0;
    return sendmsg(udp->fd, &probe, PROBE_ROUTE | MSG_DONTWAIT) >= 0;
}

// Whether the message that `error` was said of can do without another try. `n_failed`: tries for nothing so far, this one included.
static bool is_refused(const struct udp *udp, const struct msghdr *header, int error, int n_failed)
{
    if (n_failed >= tries_for(error))
        return true;
    return n_failed == 1 && !has_route(udp, header);
}

static int send_batch(struct udp *udp, const struct udp_datagram *datagrams, int n)
{
    if (n > UDP_BATCH_MAX)
        n = UDP_BATCH_MAX;
    int prepared = (int)prepare_send(udp, datagrams, (size_t)n);
    if (prepared == 0 && n > 0)
        return -EAFNOSUPPORT;
    int sent = 0;
    int n_failed = 0; // with the datagram that is now the first
    while (sent < prepared) {
        int got = sendmmsg(udp->fd, scratch.messages + sent, (unsigned)(prepared - sent), MSG_DONTWAIT);
        if (got > 0) {
            sent += got;
            n_failed = 0;
            continue;
        }
        int error = errno;
        if (error == EAGAIN)
            break;
        if (is_refused(udp, &scratch.messages[sent].msg_hdr, error, ++n_failed))
            return sent > 0 ? sent : -error; // an error of its own shows again when the caller goes on from here
    }
    return sent;
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

static const struct udp_ops kernel_ops = {
    .recv_batch = recv_batch,
    .send_batch = send_batch,
    .next_error = next_error,
};

// ---- opening

struct option {
    int level, name, value;
};

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int set_family_options(int fd, uint16_t family)
{
    static const struct option ipv4[] = {
        {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE},
        {IPPROTO_IP, IP_RECVERR, 1},
        {IPPROTO_IP, IP_PKTINFO, 1},
    };
    static const struct option ipv6[] = {
        {IPPROTO_IPV6, IPV6_V6ONLY, 1}, // IPv4 has a socket of its own on the same port
        {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE},
        {IPPROTO_IPV6, IPV6_RECVERR, 1},
        {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
    };
    const struct option *options = family == AF_INET ? ipv4 : ipv6;
    size_t n = family == AF_INET ? sizeof ipv4 / sizeof ipv4[0] : sizeof ipv6 / sizeof ipv6[0];
    for (size_t i = 0; i < n; i++) {
        int error = set_int(fd, options[i].level, options[i].name, options[i].value);
        if (error)
            return error;
    }
    return 0;
}

// Beyond the system's limit where that is allowed, else up to it. Smaller buffers are no reason not to start.
static void set_buffers(int fd)
{
    if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECV_BUFFER_BYTES) != 0)
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, RECV_BUFFER_BYTES);
    if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES) != 0)
        (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
}

static int bind_underlay(int fd, const struct udp_options *options)
{
    size_t name_len = strnlen(options->interface, sizeof options->interface);
    if (name_len == sizeof options->interface)
        return -EINVAL;
    if (name_len > 0 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->interface, (socklen_t)name_len) < 0)
        return -errno;
    if (options->fwmark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &options->fwmark, sizeof options->fwmark) < 0)
        return -errno;
    struct addr local = options->source;
    local.family = options->family; // without a source the zeroed address is any
    local.port = options->port;
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&local, &sa);
    return bind(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}

int udp_open(struct udp *udp, const struct udp_options *options)
{
    *udp = (struct udp){.ops = &kernel_ops, .family = AF_UNSPEC, .fd = -1};
    bool is_ip = options->family == AF_INET || options->family == AF_INET6;
    if (!is_ip || (options->source.family != AF_UNSPEC && options->source.family != options->family))
        return -EAFNOSUPPORT;
    int fd = socket(options->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0)
        return -errno;
    set_buffers(fd);
    int error = set_family_options(fd, options->family);
    if (!error)
        error = bind_underlay(fd, options);
    if (error) {
        close(fd);
        return error;
    }
    udp->family = options->family;
    udp->fd = fd;
    return 0;
}

void udp_close(struct udp *udp)
{
    if (udp->fd >= 0)
        close(udp->fd);
    udp->fd = -1;
    udp->family = AF_UNSPEC;
}

uint16_t udp_port(const struct udp *udp)
{
    union sockaddr_any name;
    socklen_t len = sizeof name;
    struct addr local = {0};
    if (getsockname(udp->fd, &name.sa, &len) < 0 || !addr_from_sockaddr(&local, &name.sa, len))
        return 0;
    return local.port;
}
