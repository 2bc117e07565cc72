// SPDX-License-Identifier: MIT
/*
 * tap: see tap.h. One read(2) or write(2) moves one frame: the kernel has no other way for a TAP.
 *
 * What the kernel says (measured on 6.18):
 *   open /dev/net/tun   ENOENT no such node; EACCES no permission on it; ENODEV the node is there, the driver is not
 *   TUNSETIFF           EPERM no CAP_NET_ADMIN (and not the owner of a persistent TAP); EBUSY somebody is attached; EINVAL the interface is
 *                       no TAP (veth, bridge, TUN, a multi-queue TAP) or the name is none
 *   read                EAGAIN nothing there, also while the interface is down; EBADFD it was deleted
 *   write               EIO it is down; EBADFD it was deleted; EINVAL less than an Ethernet header
 */
#include "ethercord/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char tun_path[] = "/dev/net/tun";

_Static_assert(EAGAIN == EWOULDBLOCK, "one value to look for");

// The one place that sorts out what a failed read or write means: 1 = again at once, 0 = would block, else the negative errno.
static int classify_error(int error)
{
    if (error == EINTR)
        return 1;
    return error == EAGAIN ? 0 : -error;
}

// Length of the frame, 0 = would block, or negative errno.
static ssize_t read_frame(int fd, uint8_t *bytes, size_t cap)
{
    for (;;) {
        ssize_t len = read(fd, bytes, cap);
        if (len >= 0)
            return len;
        int verdict = classify_error(errno);
        if (verdict <= 0)
            return verdict;
    }
}

// A TAP takes a frame whole or not at all. Unlike for reading, would-block is a failure: the frame did not get out.
static int write_frame(int fd, const struct tap_frame *frame)
{
    for (;;) {
        if (write(fd, frame->bytes, frame->len) >= 0)
            return 0;
        int verdict = classify_error(errno);
        if (verdict <= 0)
            return verdict ? verdict : -EAGAIN;
    }
}

static int read_batch(struct tap *tap, struct buf *const *bufs, int n)
{
    for (int i = 0; i < n; i++) {
        ssize_t len = read_frame(tap->fd, bufs[i]->data, bufs[i]->cap - buf_headroom(bufs[i]));
        // An error must not cost the frames before it; a lasting one shows again at the next call.
        if (len <= 0)
            return i > 0 ? i : (int)len;
        bufs[i]->len = (size_t)len;
    }
    return n;
}

static int write_batch(struct tap *tap, const struct tap_frame *frames, int n)
{
    for (int i = 0; i < n; i++) {
        int error = write_frame(tap->fd, &frames[i]);
        if (error)
            return i > 0 ? i : error;
    }
    return n;
}

static int set_carrier(struct tap *tap, bool is_on)
{
    int carrier = is_on;
    return ioctl(tap->fd, TUNSETCARRIER, &carrier) < 0 ? -errno : 0;
}

static const struct tap_ops kernel_ops = {
    .read_batch = read_batch,
    .write_batch = write_batch,
    .set_carrier = set_carrier,
};

// On a negative return errno has been taken over into it.
static int attach(int fd, char name[static IFNAMSIZ])
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    size_t name_len = strnlen(name, IFNAMSIZ);
    if (name_len == IFNAMSIZ)
        return -EINVAL;
    memcpy(request.ifr_name, name, name_len);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return -errno;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return 0;
}

int tap_open(struct tap *tap, char name[static IFNAMSIZ])
{
    *tap = (struct tap){.ops = &kernel_ops, .fd = -1};
    int fd = open(tun_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = attach(fd, name);
    if (error) {
        close(fd);
        return error;
    }
    tap->fd = fd;
    return 0;
}

void tap_close(struct tap *tap)
{
    if (tap->fd >= 0)
        close(tap->fd);
    tap->fd = -1;
}

int tap_get_mac_address(const struct tap *tap, struct mac_address *mac)
{
    // Asked of the descriptor, not by name: it stays right after the interface was renamed.
    struct ifreq request = {0};
    if (ioctl(tap->fd, SIOCGIFHWADDR, &request) < 0)
        return -errno;
    memcpy(mac->b, request.ifr_hwaddr.sa_data, MAC_ADDRESS_LEN);
    return 0;
}
