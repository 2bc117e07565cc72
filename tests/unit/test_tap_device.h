// SPDX-License-Identifier: MIT
/*
 * test_tap_device: a real TAP in a network namespace of the test's own, for the tests of tap. Where no such namespace or no TAP can be
 * had, has_namespace is false and need_namespace() skips the test.
 */
#ifndef TEST_TAP_DEVICE_H
#define TEST_TAP_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ethercord/frame.h"
#include "ethercord/tap.h"
#include "test_namespace.h"

enum { N_FRAMES = 64, ROOM_LEN = 4 * (TAP_FRAME_MAX + TAP_TAILROOM), ETHER_TYPE_TEST = 0x88b5, TIMEOUT_MS = 2000 };

static struct tap tap;
static char tap_name[IFNAMSIZ];
static int packet_fd = -1;
static _Alignas(64) uint8_t room[ROOM_LEN];
static struct tap_read reads[N_FRAMES];

static inline void set_up(const char *name, bool is_up)
{
    struct ifreq request = {0};
    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(is_up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static inline int open_packet_socket(const char *name, uint16_t ether_type)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ether_type), .sll_ifindex = (int)if_nametoindex(name)};
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline bool wait_for(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, TIMEOUT_MS) == 1;
}

// A TAP that is up, and on which the kernel says nothing of its own.
static inline int open_quiet_tap(struct tap *opened, char name[static IFNAMSIZ], enum tap_offload wanted)
{
    char path[128];

    (void)snprintf(name, IFNAMSIZ, "utap%%d");
    int error = tap_open(opened, name, wanted);
    if (error)
        return error;
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    write_text(path, "1"); // else the kernel's own frames come in between
    set_up(name, true);
    return 0;
}

static inline int open_and_close(const char *text)
{
    struct tap other;
    char name[IFNAMSIZ] = "";
    memcpy(name, text, strnlen(text, IFNAMSIZ));
    int error = tap_open(&other, name, TAP_OFFLOAD_FULL);
    tap_close(&other);
    return error;
}

static inline int read_some(int n)
{
    return tap.ops->read_batch(&tap, room, sizeof room, reads, n);
}

// ---- set-ups of cmocka's: what each program opens at a level of offload it says itself

static int open_level(enum tap_offload level);

static inline int open_off(void **state)
{
    (void)state;
    return open_level(TAP_OFFLOAD_OFF);
}

static inline int open_checksum(void **state)
{
    (void)state;
    return open_level(TAP_OFFLOAD_CHECKSUM);
}

static inline int open_full(void **state)
{
    (void)state;
    return open_level(TAP_OFFLOAD_FULL);
}

#endif
