// SPDX-License-Identifier: MIT
/*
 * test_udp_device: real sockets over the loopback of a network namespace of the test's own, for the tests of udp. Where no such namespace
 * can be had, has_namespace is false and need_namespace() skips the test.
 */
#ifndef TEST_UDP_DEVICE_H
#define TEST_UDP_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ethercord/bytes.h"
#include "ethercord/udp.h"
#include "test_namespace.h"

enum { LO_MTU = 1500, ROOM = UDP_ROOM_MAX + 1, TIMEOUT_MS = 2000 };

static const uint16_t families[] = {AF_INET, AF_INET6};
static uint8_t room[UDP_BATCH_MAX][ROOM];

// ---- the namespace

static inline bool set_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_mtu = LO_MTU;
    bool is_set = ioctl(fd, SIOCSIFMTU, &request) == 0;
    request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    is_set = is_set && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    return is_set;
}

// ---- sockets

static inline struct addr loopback(uint16_t family, uint16_t port)
{
    struct addr addr = {.family = family, .port = port};
    if (family == AF_INET)
        memcpy(addr.ip, (const uint8_t[]){127, 0, 0, 1}, 4);
    else
        addr.ip[15] = 1;
    return addr;
}

// 192.0.2.9 or 2001:db8::9: documentation addresses, which nobody has.
static inline struct addr nowhere(uint16_t family)
{
    struct addr addr = {.family = family, .port = 9};
    if (family == AF_INET)
        memcpy(addr.ip, (const uint8_t[]){192, 0, 2, 9}, 4);
    else
        memcpy(addr.ip, (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8, [15] = 9}, 16);
    return addr;
}

static inline void open_any(struct udp *udp, uint16_t family)
{
    struct udp_options options = {.family = family};
    assert_int_equal(udp_open(udp, &options), 0);
}

static inline uint16_t dead_port(uint16_t family)
{
    struct udp udp;
    open_any(&udp, family);
    uint16_t port = udp_port(&udp);
    assert_int_not_equal(port, 0);
    udp_close(&udp);
    return port;
}

static inline void prepare_rooms(struct udp_train *trains, size_t n)
{
    for (size_t i = 0; i < n; i++)
        trains[i] = (struct udp_train){.bytes = room[i], .len = ROOM};
}

// Waits for something, then takes a batch.
static inline int recv_some(struct udp *udp, struct udp_train *trains, int n)
{
    struct pollfd pollfd = {.fd = udp->fd, .events = POLLIN};
    assert_int_equal(poll(&pollfd, 1, TIMEOUT_MS), 1);
    prepare_rooms(trains, (size_t)n);
    return udp->ops->recv_batch(udp, trains, n);
}

// By a socket like any other, to the loopback; `tos` is the whole traffic class.
static inline void send_plainly(uint16_t family, uint16_t port, const void *bytes, size_t len, int tos)
{
    struct addr remote = loopback(family, port);
    struct sockaddr_storage name;
    socklen_t name_len = addr_to_sockaddr(&remote, &name);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_ipv4 = family == AF_INET;

    assert_int_equal(setsockopt(fd, is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6, is_ipv4 ? IP_TOS : IPV6_TCLASS, &tos, sizeof tos), 0);
    assert_int_equal(sendto(fd, bytes, len, 0, (struct sockaddr *)&name, name_len), len);
    close(fd);
}

static inline struct udp_train train_to(struct addr remote, const void *bytes, size_t len, size_t datagram_len)
{
    return (struct udp_train){.endpoint.remote = remote, .bytes = (uint8_t *)(uintptr_t)bytes, .len = len, .datagram_len = datagram_len};
}

static inline struct udp_train datagram_to(struct addr remote, const void *bytes, size_t len)
{
    return train_to(remote, bytes, len, len);
}

#endif
