// SPDX-License-Identifier: MIT
/*
 * devices: what the kernel says to the TAP and to the UDP sockets, with the system calls replaced by the input (the linker's --wrap):
 * virtio-net headers, control messages, entries of the error queue, errors of every call. Lengths and offsets that come out are within what
 * was read, sending ends, and what is written undone comes back as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ethercord/ecn.h"
#include "ethercord/tap.h"
#include "fuzz.h"

#include "../../src/device/udp_private.h"

enum { ROOM = 2 * (TAP_FRAME_MAX + TAP_TAILROOM), HEADER_LEN = 10, TRAINS = 4 };

static struct reader script;
static uint8_t *last_written;
static size_t last_written_len;

/* ---- in place of the system calls ---- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
ssize_t __wrap_readv(int fd, const struct iovec *iovecs, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iovecs, int n);
int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout);
ssize_t __wrap_recvmsg(int fd, struct msghdr *header, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

// One call in a few fails, and all of them once the input is used up.
static bool fails(void)
{
    static const int errors[] = {EAGAIN, EINTR, EIO, EBADFD, EINVAL, EMSGSIZE, ECONNREFUSED, ENOBUFS, EHOSTUNREACH, EPERM};
    uint8_t how = reader_u8(&script);

    errno = script.is_short ? EAGAIN : errors[(how >> 4) % (sizeof errors / sizeof *errors)];
    return script.is_short || (how & 15) == 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    if (strcmp(path, "/dev/net/tun") != 0) // a tool's own, such as the counts of coverage
        return __real_open(path, flags, 0666);
    return fails() ? -1 : dup(STDIN_FILENO);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    (void)fd;
    (void)request;
    return fails() ? -1 : 0;
}

static ssize_t scatter(const struct iovec *iovecs, size_t n, struct fuzz_chunk chunk)
{
    size_t at = 0;

    for (size_t i = 0; i < n && at < chunk.len; i++) {
        size_t left = chunk.len - at, len = left < iovecs[i].iov_len ? left : iovecs[i].iov_len;
        memcpy(iovecs[i].iov_base, chunk.bytes + at, len);
        at += len;
    }
    free(chunk.bytes);
    return (ssize_t)at;
}

ssize_t __wrap_readv(int fd, const struct iovec *iovecs, int n)
{
    (void)fd;
    return fails() ? -1 : scatter(iovecs, (size_t)n, fuzz_chunk(&script, 4096));
}

ssize_t __wrap_writev(int fd, const struct iovec *iovecs, int n)
{
    size_t len = 0;
    (void)fd;

    if (fails())
        return -1;
    for (int i = 0; i < n; i++)
        len += iovecs[i].iov_len;
    free(last_written);
    last_written = malloc(len);
    ensure(last_written);
    last_written_len = 0;
    for (int i = 0; i < n; i++) {
        memcpy(last_written + last_written_len, iovecs[i].iov_base, iovecs[i].iov_len);
        last_written_len += iovecs[i].iov_len;
    }
    return (ssize_t)len;
}

static void put_cmsg(struct msghdr *header, size_t cap, size_t *at)
{
    static const int kinds[][2] = {
        {IPPROTO_IP, IP_PKTINFO},    {IPPROTO_IPV6, IPV6_PKTINFO}, {IPPROTO_UDP, UDP_GRO},       {IPPROTO_IP, IP_TOS},
        {IPPROTO_IPV6, IPV6_TCLASS}, {IPPROTO_IP, IP_RECVERR},     {IPPROTO_IPV6, IPV6_RECVERR}, {SOL_SOCKET, 1}};
    uint8_t kind = reader_u8(&script) % 8;
    struct fuzz_chunk chunk = fuzz_chunk(&script, 64);

    if (*at + CMSG_SPACE(chunk.len) <= cap) {
        struct cmsghdr *cmsg = (struct cmsghdr *)(void *)((uint8_t *)header->msg_control + *at);
        memset(cmsg, 0, CMSG_SPACE(chunk.len));
        *cmsg = (struct cmsghdr){.cmsg_len = CMSG_LEN(chunk.len), .cmsg_level = kinds[kind][0], .cmsg_type = kinds[kind][1]};
        if (chunk.len)
            memcpy(CMSG_DATA(cmsg), chunk.bytes, chunk.len);
        *at += CMSG_SPACE(chunk.len);
    }
    free(chunk.bytes);
}

// Name and control messages as a kernel lays them out, with what the input says in them.
static void fill_header(struct msghdr *header)
{
    struct fuzz_chunk name = fuzz_chunk(&script, header->msg_namelen);
    size_t cap = header->msg_controllen, at = 0;

    if (name.len)
        memcpy(header->msg_name, name.bytes, name.len);
    header->msg_namelen = (socklen_t)name.len;
    free(name.bytes);
    for (uint8_t n = reader_u8(&script) % 4; n > 0; n--)
        put_cmsg(header, cap, &at);
    header->msg_controllen = at;
    header->msg_flags = reader_u8(&script) & 1 ? MSG_TRUNC : 0;
}

int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout)
{
    unsigned i = 0;
    (void)fd;
    (void)flags;
    (void)timeout;

    if (fails())
        return -1;
    for (; i < n && !script.is_short && reader_u8(&script) % 4 != 0; i++) {
        struct msghdr *header = &messages[i].msg_hdr;
        messages[i].msg_len = (unsigned)scatter(header->msg_iov, header->msg_iovlen, fuzz_chunk(&script, 4096));
        fill_header(header);
    }
    return (int)i;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *header, int flags)
{
    (void)fd;
    ensure(flags & MSG_ERRQUEUE);
    if (fails())
        return -1;
    fill_header(header);
    return 0;
}

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    (void)fd;
    (void)flags;
    for (unsigned i = 0; i < n; i++)
        ensure(messages[i].msg_hdr.msg_namelen > 0 && messages[i].msg_hdr.msg_iov[0].iov_len > 0);
    return fails() ? -1 : (int)(1 + reader_u8(&script) % n);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *header, int flags)
{
    (void)fd;
    (void)header;
    (void)flags;
    return fails() ? -1 : 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    (void)fd;
    (void)level;
    (void)name;
    memset(value, 0, *len);
    return 0;
}

/* ---- the TAP ---- */

static void check_reads(const struct tap_read *reads, int n, const uint8_t *room)
{
    for (int i = 0; i < n; i++) {
        ensure(reads[i].bytes >= room && reads[i].bytes + reads[i].len + TAP_TAILROOM <= room + ROOM);
        ensure(i == 0 || reads[i].bytes >= reads[i - 1].bytes + reads[i - 1].len + TAP_TAILROOM);
        ensure(reads[i].offload.kind <= SUPER_UNKNOWN);
        (void)!offload_is_valid(&reads[i].offload, reads[i].len);
    }
}

// What is written undone is, read again, undone in the same way.
static void write_again(struct tap *tap, const struct tap_read *read)
{
    static uint8_t room[ROOM];
    struct tap_frame frame = {.bytes = read->bytes, .len = read->len, .offload = read->offload};
    struct tap_read again;

    if (!tap->has_header || read->offload.kind == SUPER_UNKNOWN || tap->ops->write_batch(tap, &frame, 1) != 1)
        return;
    ensure(last_written_len == read->len + HEADER_LEN);
    size_t len = last_written_len + 3;
    uint8_t *bytes = malloc(len);
    ensure(bytes);
    bytes[0] = 1; // no failure; then a chunk
    store_le16(bytes + 1, (uint16_t)last_written_len);
    memcpy(bytes + 3, last_written, last_written_len);
    struct reader kept = script;
    script = reader_of(bytes, len);
    ensure(tap->ops->read_batch(tap, room, sizeof room, &again, 1) == 1);
    script = kept;
    free(bytes);
    ensure(again.len == read->len && again.offload.kind == read->offload.kind && again.offload.is_partial == read->offload.is_partial);
    ensure(again.offload.gso_size == read->offload.gso_size && again.offload.checksum_start == read->offload.checksum_start);
}

static void use_tap(void)
{
    static uint8_t *room;
    char name[IFNAMSIZ] = "cord0";
    struct tap_read reads[4];
    struct mac_address mac;
    struct tap tap;

    if (!room)
        room = malloc(ROOM);
    ensure(room);
    int error = tap_open(&tap, name, (enum tap_offload)(reader_u8(&script) % TAP_OFFLOAD_COUNT));
    if (error) {
        ensure(error < 0 && tap.fd < 0);
        return;
    }
    (void)!tap_get_mac_address(&tap, &mac);
    (void)!tap.ops->set_carrier(&tap, true);
    while (!script.is_short) {
        int n = tap.ops->read_batch(&tap, room, ROOM, reads, 4);
        ensure(n <= 4);
        if (n <= 0)
            break;
        check_reads(reads, n, room);
        write_again(&tap, &reads[0]);
    }
    tap_close(&tap);
}

/* ---- the socket ---- */

static void receive(struct udp *udp)
{
    struct udp_train trains[TRAINS];

    for (int i = 0; i < TRAINS; i++)
        trains[i] = (struct udp_train){.bytes = malloc(2048), .len = 2048};
    int n = udp->ops->recv_batch(udp, trains, TRAINS);
    ensure(n <= TRAINS);
    for (int i = 0; i < n; i++) {
        ensure(trains[i].len <= 2048 && trains[i].datagram_len <= trains[i].len && trains[i].ecn <= ECN_MASK);
        ensure(trains[i].len == 0 || trains[i].datagram_len > 0); // else a loop over them would never end
    }
    for (int i = 0; i < TRAINS; i++)
        free(trains[i].bytes);
}

static void send_trains(struct udp *udp)
{
    static uint8_t bytes[TRAINS][4096];
    struct udp_train trains[TRAINS];
    int n_datagrams = 0;

    for (int i = 0; i < TRAINS; i++) {
        trains[i] = (struct udp_train){.bytes = bytes[i], .datagram_len = 64 + reader_u8(&script), .ecn = reader_u8(&script) & ECN_MASK};
        trains[i].len = trains[i].datagram_len * (1U + reader_u8(&script) % 10) - reader_u8(&script) % 64;
        trains[i].endpoint.remote = (struct addr){.family = udp->family, .port = 1, .ip = {192, 0, 2, 1}};
        if (reader_u8(&script) & 1)
            trains[i].endpoint.source = (struct addr){.family = udp->family, .ip = {192, 0, 2, 2}};
        n_datagrams += (int)((trains[i].len + trains[i].datagram_len - 1) / trains[i].datagram_len);
    }
    int sent = udp->ops->send_batch(udp, trains, 1 + reader_u8(&script) % TRAINS);
    ensure(sent <= n_datagrams);
    (void)udp_send_advice(sent);
}

static void use_udp(void)
{
    struct udp udp = {.ops = &udp_kernel_ops, .fd = -1, .family = reader_u8(&script) & 1 ? AF_INET6 : AF_INET, .has_gro = true};
    struct udp_error error;

    udp.segmentation.is_wanted = true;
    atomic_init(&udp.segmentation.is_on, true);
    while (!script.is_short) {
        uint8_t op = reader_u8(&script) % 3;
        if (op == 0)
            receive(&udp);
        else if (op == 1)
            (void)!udp.ops->next_error(&udp, &error);
        else
            send_trains(&udp);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = reader_of(data, size);
    if (reader_u8(&script) & 1)
        use_tap();
    else
        use_udp();
    return 0;
}
