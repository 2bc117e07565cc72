// SPDX-License-Identifier: MIT
/*
 * udp_open: opens and closes the socket of an address family, with its options, and asks the kernel about it. What it does between is
 * udp.c.
 */
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "udp_private.h"

enum {
    MEMINFO_DROPS = 8 // SK_MEMINFO_DROPS, the last of what SO_MEMINFO gives since Linux 4.6
};

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
        {IPPROTO_IP, IP_RECVTOS, 1},
    };
    static const struct option ipv6[] = {
        {IPPROTO_IPV6, IPV6_V6ONLY, 1}, // IPv4 has a socket of its own on the same port
        {IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE},
        {IPPROTO_IPV6, IPV6_RECVERR, 1},
        {IPPROTO_IPV6, IPV6_RECVPKTINFO, 1},
        {IPPROTO_IPV6, IPV6_RECVTCLASS, 1},
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
    if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_RECV_BUFFER_BYTES) != 0)
        (void)set_int(fd, SOL_SOCKET, SO_RCVBUF, UDP_RECV_BUFFER_BYTES);
    if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, UDP_SEND_BUFFER_BYTES) != 0)
        (void)set_int(fd, SOL_SOCKET, SO_SNDBUF, UDP_SEND_BUFFER_BYTES);
}

// The kernel tells twice what it was asked for.
static uint32_t granted_bytes(int fd, int name)
{
    int value = 0;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 && value > 0 ? (uint32_t)value / 2 : 0;
}

// UDP_SEGMENT and UDP_GRO are of Linux 4.18 and 5.0. That a kernel has the first is asked by setting it to none.
static void set_offloads(struct udp *udp, bool is_off)
{
    struct udp_segmentation *segmentation = &udp->segmentation;

    segmentation->is_wanted = !is_off && set_int(udp->fd, IPPROTO_UDP, UDP_SEGMENT, 0) == 0;
    atomic_store_explicit(&segmentation->is_on, segmentation->is_wanted, memory_order_relaxed);
    udp->has_gro = !is_off && set_int(udp->fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
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
    *udp = (struct udp){.ops = &udp_kernel_ops, .family = AF_UNSPEC, .fd = -1};
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
    udp->recv_buffer_bytes = granted_bytes(fd, SO_RCVBUF);
    udp->send_buffer_bytes = granted_bytes(fd, SO_SNDBUF);
    set_offloads(udp, options->offload == UDP_OFFLOAD_OFF);
    return 0;
}

void udp_close(struct udp *udp)
{
    if (udp->fd >= 0)
        close(udp->fd);
    udp->fd = -1;
    udp->family = AF_UNSPEC;
}

uint32_t udp_n_dropped(const struct udp *udp)
{
    uint32_t values[MEMINFO_DROPS + 1] = {0}; // of linux/sock_diag.h
    socklen_t len = sizeof values;
    return getsockopt(udp->fd, SOL_SOCKET, SO_MEMINFO, values, &len) == 0 && len == sizeof values ? values[MEMINFO_DROPS] : 0;
}

uint16_t udp_port(const struct udp *udp)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct addr local = {0};
    if (getsockname(udp->fd, (struct sockaddr *)&name, &len) < 0 || !addr_from_sockaddr(&local, (struct sockaddr *)&name, len))
        return 0;
    return local.port;
}
