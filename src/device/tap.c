// SPDX-License-Identifier: MIT
/*
 * tap: see tap.h. One read(2) or write(2) moves one frame: the kernel has no other way for a TAP. So super-frames are all there is to save
 * system calls here: with IFF_VNET_HDR a virtio-net header goes in front of each frame and tells what is left undone in it.
 *
 * What the kernel says (measured on 6.18):
 *   open /dev/net/tun   ENOENT no such node; EACCES no permission on it; ENODEV the node is there, the driver is not
 *   TUNSETIFF           EPERM no CAP_NET_ADMIN (and not the owner of a persistent TAP); EBUSY somebody is attached; EINVAL the interface is
 *                       no TAP (veth, bridge, TUN, a multi-queue TAP) or the name is none
 *   TUNSETOFFLOAD       EINVAL a bit that it does not know, or USO4 without USO6
 *   read                EAGAIN nothing there, also while the interface is down; EBADFD it was deleted
 *   write               EIO it is down; EBADFD it was deleted; EINVAL less than an Ethernet header, or a virtio-net header that it refuses
 */
#include "ethercord/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ethercord/log.h"

static const char tun_path[] = "/dev/net/tun";

enum {
    HEADER_LEN = sizeof(struct virtio_net_hdr),
    READ_ALIGN = 64, // frames in the room begin at a cache line
    // Newer than the headers of Debian 12: linux/if_tun.h and linux/virtio_net.h of Linux 6.2.
    OFFLOAD_USO4 = 0x20,
    OFFLOAD_USO6 = 0x40,
    GSO_UDP_L4 = 5
};

_Static_assert(EAGAIN == EWOULDBLOCK, "one value to look for");
_Static_assert(HEADER_LEN == 10, "the size that the kernel begins with");

static const char *const offload_names[] = {
    [TAP_OFFLOAD_OFF] = "off",
    [TAP_OFFLOAD_CHECKSUM] = "checksum",
    [TAP_OFFLOAD_FULL] = "full",
};
_Static_assert(sizeof offload_names / sizeof offload_names[0] == TAP_OFFLOAD_COUNT, "one name per level");

const char *tap_offload_name(enum tap_offload offload)
{
    ensure((unsigned)offload < TAP_OFFLOAD_COUNT);
    return offload_names[offload];
}

// The one place that sorts out what a failed read or write means: 1 = again at once, 0 = would block, else the negative errno.
static int classify_error(int error)
{
    if (error == EINTR)
        return 1;
    return error == EAGAIN ? 0 : -error;
}

// ---- the virtio-net header, in the machine's own byte order (the kernel's default for a TAP)

static enum super_kind kind_of(uint8_t gso_type)
{
    switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        return SUPER_NONE;
    case VIRTIO_NET_HDR_GSO_TCPV4:
        return SUPER_TCP4;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return SUPER_TCP6;
    case GSO_UDP_L4:
        return SUPER_UDP;
    default:
        return SUPER_UNKNOWN;
    }
}

static uint8_t gso_type_of(const struct offload *offload)
{
    uint8_t ecn = offload->has_cwr ? VIRTIO_NET_HDR_GSO_ECN : 0;

    switch (offload->kind) {
    case SUPER_TCP4:
        return VIRTIO_NET_HDR_GSO_TCPV4 | ecn;
    case SUPER_TCP6:
        return VIRTIO_NET_HDR_GSO_TCPV6 | ecn;
    case SUPER_UDP:
        return GSO_UDP_L4;
    case SUPER_NONE:
    case SUPER_UNKNOWN:
        break;
    }
    return VIRTIO_NET_HDR_GSO_NONE;
}

static void decode_header(struct offload *offload, const struct virtio_net_hdr *header)
{
    *offload = (struct offload){.kind = kind_of(header->gso_type)};
    if (offload->kind != SUPER_NONE)
        offload->gso_size = header->gso_size;
    if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        offload->is_partial = true;
        offload->checksum_start = header->csum_start;
        offload->checksum_offset = header->csum_offset;
    }
}

static void encode_header(struct virtio_net_hdr *header, const struct offload *offload)
{
    memset(header, 0, sizeof *header);
    header->gso_type = gso_type_of(offload);
    header->gso_size = offload->gso_size;
    header->hdr_len = offload->headers_len;
    if (offload->is_partial) {
        header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        header->csum_start = offload->checksum_start;
        header->csum_offset = offload->checksum_offset;
    }
}

// ---- reading and writing

// Length of the frame, 0 = would block, or negative errno.
static ssize_t read_frame(const struct tap *tap, uint8_t *bytes, struct offload *offload)
{
    struct virtio_net_hdr header = {0};
    struct iovec iovecs[] = {{&header, HEADER_LEN}, {bytes, TAP_FRAME_MAX}};
    int skip = tap->has_header ? 0 : 1;

    *offload = (struct offload){0};
    for (;;) {
        ssize_t len = readv(tap->fd, iovecs + skip, 2 - skip);
        if (len >= 0 && !tap->has_header)
            return len;
        if (len >= HEADER_LEN) {
            decode_header(offload, &header);
            return len - HEADER_LEN;
        }
        int verdict = len >= 0 ? -EIO : classify_error(errno);
        if (verdict <= 0)
            return verdict;
    }
}

// A TAP takes a frame whole or not at all. Unlike for reading, would-block is a failure: the frame did not get out.
static int write_frame(const struct tap *tap, const struct tap_frame *frame)
{
    struct virtio_net_hdr header;
    struct iovec iovecs[3];
    int n = 0;

    if (tap->has_header) {
        encode_header(&header, &frame->offload);
        iovecs[n++] = (struct iovec){&header, HEADER_LEN};
    }
    if (frame->headers_len > 0)
        iovecs[n++] = (struct iovec){(void *)(uintptr_t)frame->headers, frame->headers_len};
    iovecs[n++] = (struct iovec){(void *)(uintptr_t)frame->bytes, frame->len};
    for (;;) {
        if (writev(tap->fd, iovecs, n) >= 0)
            return 0;
        int verdict = classify_error(errno);
        if (verdict <= 0)
            return verdict ? verdict : -EAGAIN;
    }
}

static int read_batch(struct tap *tap, uint8_t *room, size_t room_len, struct tap_read *reads, int n)
{
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        if (room_len - at < TAP_FRAME_MAX + TAP_TAILROOM)
            return i;
        ssize_t len = read_frame(tap, room + at, &reads[i].offload);
        // An error must not cost the frames before it; a lasting one shows again at the next call.
        if (len <= 0)
            return i > 0 ? i : (int)len;
        reads[i].bytes = room + at;
        reads[i].len = (size_t)len;
        at += ((size_t)len + TAP_TAILROOM + READ_ALIGN - 1) / READ_ALIGN * READ_ALIGN;
        if (at > room_len)
            at = room_len;
    }
    return n;
}

static int write_batch(struct tap *tap, const struct tap_frame *frames, int n)
{
    for (int i = 0; i < n; i++) {
        int error = write_frame(tap, &frames[i]);
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

// ---- opening

static int set_interface(int fd, char name[static IFNAMSIZ], short flags)
{
    struct ifreq request = {.ifr_flags = flags};
    size_t name_len = strnlen(name, IFNAMSIZ);
    if (name_len == IFNAMSIZ)
        return -EINVAL;
    memcpy(request.ifr_name, name, name_len);
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return -errno;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return 0;
}

// A persistent TAP keeps what somebody before us has set.
static bool set_header_len(int fd)
{
    int len = HEADER_LEN;
    return ioctl(fd, TUNSETVNETHDRSZ, &len) == 0;
}

static bool set_offload(int fd, unsigned bits)
{
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)bits) == 0;
}

// The most that the kernel has, up to what is wanted. Bits that it does not know it refuses all together.
static void choose_offload(struct tap *tap, enum tap_offload wanted)
{
    const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

    if (wanted == TAP_OFFLOAD_FULL && set_offload(tap->fd, tcp | OFFLOAD_USO4 | OFFLOAD_USO6)) {
        tap->offload = TAP_OFFLOAD_FULL;
        tap->has_udp_offload = true;
    } else if (wanted == TAP_OFFLOAD_FULL && set_offload(tap->fd, tcp)) {
        tap->offload = TAP_OFFLOAD_FULL;
    } else if (wanted >= TAP_OFFLOAD_CHECKSUM && set_offload(tap->fd, TUN_F_CSUM)) {
        tap->offload = TAP_OFFLOAD_CHECKSUM;
    } else {
        (void)set_offload(tap->fd, 0); // of a persistent TAP
    }
}

// On a negative return the descriptor is closed.
static int open_attached(struct tap *tap, char name[static IFNAMSIZ], enum tap_offload wanted)
{
    bool has_header = wanted != TAP_OFFLOAD_OFF;

    *tap = (struct tap){.ops = &kernel_ops, .has_header = has_header, .fd = open(tun_path, O_RDWR | O_NONBLOCK | O_CLOEXEC)};
    if (tap->fd < 0)
        return -errno;
    int error = set_interface(tap->fd, name, IFF_TAP | IFF_NO_PI | (has_header ? IFF_VNET_HDR : 0));
    if (!error && has_header && !set_header_len(tap->fd))
        error = -EINVAL;
    if (error)
        tap_close(tap);
    else
        choose_offload(tap, wanted);
    return error;
}

int tap_open(struct tap *tap, char name[static IFNAMSIZ], enum tap_offload wanted)
{
    char asked[IFNAMSIZ];

    memcpy(asked, name, IFNAMSIZ);
    int error = open_attached(tap, name, wanted);
    if (error != -EINVAL || wanted == TAP_OFFLOAD_OFF)
        return error;
    memcpy(name, asked, IFNAMSIZ);
    return open_attached(tap, name, TAP_OFFLOAD_OFF); // a kernel without virtio-net headers
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
