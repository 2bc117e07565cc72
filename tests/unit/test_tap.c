// SPDX-License-Identifier: MIT
/*
 * test_tap: a real TAP in a network namespace of the test's own; frames go in and out through a packet socket on the same interface, at
 * each level of offload. (test_tap_super has the super-frames.) Skipped where no such namespace or no TAP can be had.
 *
 * readv(2) and writev(2) are this program's own, so that they can be made to fail, and virtio-net headers
 * be looked at and made up.
 */
#include "test_tap_device.h"

#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "test_packets.h"

// ---- the system calls of the code under test

struct fault {
    int n_before; // calls that work before it
    int n_times;  // calls that fail then
    int error;    // errno
};
static struct fault read_fault, write_fault;

static bool is_failing(struct fault *fault)
{
    if (fault->n_times == 0)
        return false;
    if (fault->n_before > 0) {
        fault->n_before--;
        return false;
    }
    fault->n_times--;
    errno = fault->error;
    return true;
}

static struct virtio_net_hdr vnet_header; // made up, or seen
static ssize_t made_up_len = -1;          // negative = the kernel's turn

ssize_t readv(int fd, const struct iovec *iovecs, int n)
{
    if (made_up_len >= 0) {
        memcpy(iovecs[0].iov_base, &vnet_header, sizeof vnet_header);
        return made_up_len;
    }
    return is_failing(&read_fault) ? -1 : syscall(SYS_readv, fd, iovecs, n);
}

ssize_t writev(int fd, const struct iovec *iovecs, int n)
{
    if (made_up_len >= 0) {
        memcpy(&vnet_header, iovecs[0].iov_base, sizeof vnet_header);
        return made_up_len;
    }
    return is_failing(&write_fault) ? -1 : syscall(SYS_writev, fd, iovecs, n);
}

static size_t make_frame(uint8_t *bytes, size_t len, uint8_t number)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(number * 31 + i);
    bytes[0] = 0xff; // broadcast, so that it is for everybody
    memset(bytes, 0xff, 6);
    bytes[6] = 0x02;
    bytes[12] = ETHER_TYPE_TEST >> 8;
    bytes[13] = ETHER_TYPE_TEST & 0xff;
    return len;
}

static size_t len_of(unsigned i)
{
    static const size_t lens[] = {14, 15, 59, 60, 61, 64, 500, 1513, 1514};
    return lens[i % (N_OF(lens))];
}

static void kernel_sends(const uint8_t *bytes, size_t len)
{
    assert_int_equal(send(packet_fd, bytes, len, 0), len);
}

// ---- a fresh TAP, up, with a packet socket on it, for each test

static int open_level(enum tap_offload level)
{
    read_fault = write_fault = (struct fault){0};
    made_up_len = -1;
    if (!has_namespace)
        return 0;
    if (open_quiet_tap(&tap, tap_name, level) != 0)
        return -1;
    packet_fd = open_packet_socket(tap_name, ETHER_TYPE_TEST);
    return 0;
}

static int close_tap(void **state)
{
    (void)state;
    if (!has_namespace)
        return 0;
    close(packet_fd);
    tap_close(&tap);
    tap_close(&tap); // twice does no harm
    return 0;
}

static void opens_and_numbers(void **state)
{
    (void)state;
    need_namespace();
    assert_string_equal(tap_name, "utap0");
    assert_true(fcntl(tap.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(tap.fd, F_GETFD) & FD_CLOEXEC);
    struct mac_address mac = {0};
    assert_int_equal(tap_get_mac_address(&tap, &mac), 0);
    assert_false(mac_is_zero(&mac));
    assert_false(mac_is_group(&mac));
    assert_int_equal(read_some(N_FRAMES), 0);
    struct tap other;
    char name[IFNAMSIZ] = "";
    assert_int_equal(tap_open(&other, name, TAP_OFFLOAD_FULL), 0);
    assert_true(if_nametoindex(name) > 0);
    struct mac_address other_mac;
    assert_int_equal(tap_get_mac_address(&other, &other_mac), 0);
    assert_false(mac_equal(&mac, &other_mac));
    tap_close(&other);
    assert_int_equal(if_nametoindex(name), 0); // made by us, gone with us
    assert_int_equal(tap_get_mac_address(&other, &mac), -EBADF);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    need_namespace();
    assert_int_equal(open_and_close("utap0"), -EBUSY);
    assert_int_equal(open_and_close("lo"), -EINVAL);
    assert_int_equal(open_and_close("sixteen-or-more!"), -EINVAL);
    assert_int_equal(open_and_close("a/b"), -EINVAL);
    assert_int_equal(open_and_close("fifteen-letters"), 0);
    if (run("ip link add utveth0 type veth peer name utveth1 && ip tuntap add dev uttun0 mode tun && "
            "ip tuntap add dev utmulti0 mode tap multi_queue") == 0) {
        assert_int_equal(open_and_close("utveth0"), -EINVAL);
        assert_int_equal(open_and_close("uttun0"), -EINVAL);
        assert_int_equal(open_and_close("utmulti0"), -EINVAL);
        assert_int_equal(run("ip link del utveth0 && ip link del uttun0 && ip link del utmulti0"), 0);
    }
}

// Runs tap_open() in a process that `cripple` has taken something away from; returns its error, positive; 255 = could not be done.
static int open_crippled(bool (*cripple)(void))
{
    pid_t child = fork();
    if (child == 0)
        _exit(cripple() ? -open_and_close("utap-x") : 255);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    return syscall(SYS_capset, &header, none) == 0;
}

static bool hide_device(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/dev/net", "tmpfs", 0, NULL) == 0;
}

static void says_what_is_missing(void **state)
{
    (void)state;
    need_namespace();
    int error = open_crippled(drop_capabilities);
    assert_true(error == EPERM || error == 255);
    error = open_crippled(hide_device);
    assert_true(error == ENOENT || error == 255);
}

static void attaching_to_a_persistent_one_leaves_it(void **state)
{
    (void)state;
    need_namespace();
    if (run("ip tuntap add dev utkeep0 mode tap") != 0)
        skip();
    for (int i = 0; i < 2; i++) {
        struct tap kept;
        char name[IFNAMSIZ] = "utkeep0";
        assert_int_equal(tap_open(&kept, name, TAP_OFFLOAD_FULL), 0);
        assert_string_equal(name, "utkeep0");
        assert_int_equal(open_and_close("utkeep0"), -EBUSY);
        tap_close(&kept);
        assert_true(if_nametoindex("utkeep0") > 0);
    }
    assert_int_equal(run("ip link del utkeep0"), 0);
}

// They lie one behind the other, each at the beginning of a cache line, with room behind it, and nothing of them is undone.
static void check_places(int n)
{
    for (int i = 0; i < n; i++) {
        static const struct offload nothing;
        const uint8_t *end = i + 1 < n ? reads[i + 1].bytes : room + sizeof room;
        assert_int_equal((uintptr_t)reads[i].bytes % 64, 0);
        assert_true(reads[i].bytes >= room && reads[i].bytes + reads[i].len + TAP_TAILROOM <= end);
        assert_same_offload(&reads[i].offload, &nothing);
    }
}

static void reads_what_the_kernel_sends(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[1514];
    for (unsigned i = 0; i < N_FRAMES; i++)
        kernel_sends(bytes, make_frame(bytes, len_of(i), (uint8_t)i));
    assert_true(wait_for(tap.fd));
    // A batch that is smaller than what waits, then the rest.
    static const int batches[] = {10, N_FRAMES - 10};
    for (unsigned b = 0, first = 0; b < 2; first += (unsigned)batches[b++]) {
        assert_int_equal(read_some(batches[b]), batches[b]);
        check_places(batches[b]);
        assert_ptr_equal(reads[0].bytes, room);
        for (unsigned i = 0; i < (unsigned)batches[b]; i++) {
            size_t len = make_frame(bytes, len_of(first + i), (uint8_t)(first + i));
            assert_int_equal(reads[i].len, len);
            assert_memory_equal(reads[i].bytes, bytes, len);
        }
    }
    assert_int_equal(read_some(N_FRAMES), 0);
    assert_int_equal(read_some(0), 0);
    kernel_sends(bytes, make_frame(bytes, 100, 1));
    assert_int_equal(read_some(N_FRAMES), 1); // fewer than asked for
}

static void writes_what_the_kernel_receives(void **state)
{
    (void)state;
    need_namespace();
    static uint8_t bytes[N_FRAMES][1514];
    struct tap_frame frames[N_FRAMES];
    for (unsigned i = 0; i < N_FRAMES; i++)
        frames[i] = (struct tap_frame){.bytes = bytes[i], .len = make_frame(bytes[i], len_of(i), (uint8_t)i)};
    assert_int_equal(tap.ops->write_batch(&tap, frames, N_FRAMES), N_FRAMES);
    for (unsigned i = 0; i < N_FRAMES; i++) {
        uint8_t received[2000];
        assert_true(wait_for(packet_fd));
        assert_int_equal(recv(packet_fd, received, sizeof received, 0), frames[i].len);
        assert_memory_equal(received, bytes[i], frames[i].len);
    }
    assert_int_equal(tap.ops->write_batch(&tap, frames, 0), 0);
}

// Whatever comes must fit: a batch ends where the longest frame would not.
static void ends_where_the_room_does(void **state)
{
    (void)state;
    need_namespace();
    enum { LONGEST = TAP_FRAME_MAX + TAP_TAILROOM, STEP = (1514 + TAP_TAILROOM + 63) / 64 * 64 };
    static const struct {
        size_t room_len;
        int n;
    } rows[] = {{0, 0},
                {LONGEST - 1, 0},
                {LONGEST, 1},
                {LONGEST + STEP - 1, 1},
                {LONGEST + STEP, 2},
                {LONGEST + 9 * STEP - 1, 9},
                {LONGEST + 9 * STEP, 10},
                {LONGEST + 20 * STEP, 10}};
    for (size_t i = 0; i < N_OF(rows); i++) {
        uint8_t bytes[1514], *kept = room + rows[i].room_len;
        for (uint8_t k = 0; k < 10; k++)
            kernel_sends(bytes, make_frame(bytes, sizeof bytes, k));
        memset(kept, 0xa5, 64);
        assert_int_equal(tap.ops->read_batch(&tap, room, rows[i].room_len, reads, N_FRAMES), rows[i].n);
        for (uint8_t k = 0; k < rows[i].n; k++) {
            make_frame(bytes, sizeof bytes, k);
            assert_int_equal(reads[k].len, sizeof bytes);
            assert_memory_equal(reads[k].bytes, bytes, sizeof bytes);
        }
        for (size_t k = 0; k < 64; k++)
            assert_int_equal(kept[k], 0xa5);
        assert_int_equal(read_some(N_FRAMES), 10 - rows[i].n); // the others wait
    }
}

static void a_bad_frame_stops_the_batch_there(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[100];
    size_t len = make_frame(bytes, sizeof bytes, 1);
    struct tap_frame frames[] = {
        {.bytes = bytes, .len = len}, {.bytes = bytes, .len = 13}, {.bytes = bytes, .len = len}}; // 13: not even a header
    assert_int_equal(tap.ops->write_batch(&tap, frames, 3), 1);
    assert_int_equal(tap.ops->write_batch(&tap, frames + 1, 2), -EINVAL);
    assert_int_equal(tap.ops->write_batch(&tap, frames + 2, 1), 1);
}

static void down_is_a_state(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[100];
    struct tap_frame frame = {.bytes = bytes, .len = make_frame(bytes, sizeof bytes, 1)};
    set_up(tap_name, false);
    assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), -EIO);
    assert_int_equal(read_some(N_FRAMES), 0);
    set_up(tap_name, true);
    assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
}

static void deleted_is_said_by_both(void **state)
{
    (void)state;
    need_namespace();
    char command[64];
    (void)snprintf(command, sizeof command, "ip link del %s", tap_name);
    if (run(command) != 0)
        skip();
    uint8_t bytes[100];
    struct tap_frame frame = {.bytes = bytes, .len = make_frame(bytes, sizeof bytes, 1)};
    struct mac_address mac;
    struct pollfd pollfd = {.fd = tap.fd, .events = POLLIN};
    assert_int_equal(poll(&pollfd, 1, TIMEOUT_MS), 1); // the loop wakes up
    assert_int_equal(read_some(N_FRAMES), -EBADFD);
    assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), -EBADFD);
    assert_int_equal(tap.ops->set_carrier(&tap, true), -EBADFD);
    assert_int_equal(tap_get_mac_address(&tap, &mac), -EBADFD);
}

// The frames before an error come out all the same, a lasting error with the next call, and the frames behind it are still there.
static void a_failed_read_loses_no_frame(void **state)
{
    (void)state;
    need_namespace();
    for (int n_before = 0; n_before <= 3; n_before++) {
        uint8_t bytes[100];
        for (uint8_t i = 0; i < 3; i++)
            kernel_sends(bytes, make_frame(bytes, sizeof bytes, i));
        read_fault = (struct fault){.n_before = n_before, .n_times = 2, .error = EFAULT};
        uint8_t next = 0;
        for (int call = 0; call < 3; call++) {
            int got = read_some(N_FRAMES), expected = call == 0 ? n_before : (call == 1 ? -EFAULT : 3 - n_before);
            assert_int_equal(got, call == 0 && n_before == 0 ? -EFAULT : expected);
            for (int i = 0; i < got; i++) {
                make_frame(bytes, sizeof bytes, next++);
                assert_int_equal(reads[i].len, sizeof bytes);
                assert_memory_equal(reads[i].bytes, bytes, sizeof bytes);
            }
        }
        assert_int_equal(next, 3);
    }
}

static void an_interrupted_call_is_made_again(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[100];
    struct tap_frame frame = {.bytes = bytes, .len = make_frame(bytes, sizeof bytes, 1)};
    kernel_sends(bytes, frame.len);
    read_fault = (struct fault){.n_times = 3, .error = EINTR};
    write_fault = (struct fault){.n_times = 3, .error = EINTR};
    assert_int_equal(read_some(N_FRAMES), 1);
    assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), 1);
    assert_int_equal(read_fault.n_times + write_fault.n_times, 0);
}

// Unlike for reading: the frame did not get out.
static void no_room_to_write_is_a_failure(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[100];
    size_t len = make_frame(bytes, sizeof bytes, 1);
    struct tap_frame frames[] = {{.bytes = bytes, .len = len}, {.bytes = bytes, .len = len}, {.bytes = bytes, .len = len}};
    write_fault = (struct fault){.n_before = 2, .n_times = 2, .error = EAGAIN};
    assert_int_equal(tap.ops->write_batch(&tap, frames, 3), 2);
    assert_int_equal(tap.ops->write_batch(&tap, frames, 3), -EAGAIN);
    assert_int_equal(tap.ops->write_batch(&tap, frames, 3), 3);
}

static uint32_t ask_ethtool(const char *name, uint32_t command)
{
    struct ethtool_value value = {.cmd = command};
    struct ifreq request = {.ifr_data = (char *)&value};
    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
    close(fd);
    return value.data;
}

static bool has_link(const char *name)
{
    return ask_ethtool(name, ETHTOOL_GLINK) != 0;
}

static void carrier_goes_off_and_on(void **state)
{
    (void)state;
    need_namespace();
    assert_true(has_link(tap_name));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tap.ops->set_carrier(&tap, false), 0);
        assert_false(has_link(tap_name));
        assert_int_equal(tap.ops->set_carrier(&tap, true), 0);
        assert_true(has_link(tap_name));
    }
}

// ---- virtio-net headers

enum { GSO_UDP_L4 = 5 };

static void headers_are_decoded(void **state)
{
    (void)state;
    need_namespace();
    static const struct {
        uint8_t gso_type;
        enum super_kind kind;
    } kinds[] = {{0, SUPER_NONE},
                 {0x80, SUPER_NONE},
                 {VIRTIO_NET_HDR_GSO_TCPV4, SUPER_TCP4},
                 {VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, SUPER_TCP4},
                 {VIRTIO_NET_HDR_GSO_TCPV6, SUPER_TCP6},
                 {VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN, SUPER_TCP6},
                 {GSO_UDP_L4, SUPER_UDP},
                 {VIRTIO_NET_HDR_GSO_UDP, SUPER_UNKNOWN}, // fragments: nobody asked for them
                 {2, SUPER_UNKNOWN},
                 {6, SUPER_UNKNOWN},
                 {0x20, SUPER_UNKNOWN},
                 {0x40, SUPER_UNKNOWN},
                 {0x7f, SUPER_UNKNOWN},
                 {0xff, SUPER_UNKNOWN}};
    for (size_t i = 0; i < N_OF(kinds); i++)
        for (unsigned flags = 0; flags < 8; flags++) { // the first bit alone is about what is undone
            made_up_len = 10 + 100;
            vnet_header = (struct virtio_net_hdr){.flags = (uint8_t)flags,
                                                  .gso_type = kinds[i].gso_type,
                                                  .hdr_len = 0x1234, // not trusted
                                                  .gso_size = 0x5678,
                                                  .csum_start = 34,
                                                  .csum_offset = 16};
            assert_int_equal(read_some(1), 1);
            const struct offload *offload = &reads[0].offload;
            assert_int_equal(reads[0].len, 100);
            assert_int_equal(offload->kind, kinds[i].kind);
            assert_int_equal(offload->gso_size, kinds[i].kind == SUPER_NONE ? 0 : 0x5678);
            assert_int_equal(offload->is_partial, flags & 1);
            assert_int_equal(offload->checksum_start, flags & 1 ? 34 : 0);
            assert_int_equal(offload->checksum_offset, flags & 1 ? 16 : 0);
            assert_int_equal(offload->headers_len, 0);
        }
    for (made_up_len = 0; made_up_len < 10; made_up_len++)
        assert_int_equal(read_some(1), -EIO); // less than a header
}

static void headers_are_encoded(void **state)
{
    (void)state;
    need_namespace();
    enum { TCP4 = VIRTIO_NET_HDR_GSO_TCPV4, TCP6 = VIRTIO_NET_HDR_GSO_TCPV6, CWR = VIRTIO_NET_HDR_GSO_ECN };
    static const struct {
        struct offload offload;
        struct virtio_net_hdr header;
    } rows[] = {
        {{0}, {.flags = 0}},
        {{.is_partial = true, .checksum_start = 34, .checksum_offset = 6}, {.flags = 1, .csum_start = 34, .csum_offset = 6}},
        {{.kind = SUPER_TCP4, .is_partial = true, .gso_size = 1448, .checksum_start = 34, .checksum_offset = 16, .headers_len = 66},
         {.flags = 1, .gso_type = TCP4, .hdr_len = 66, .gso_size = 1448, .csum_start = 34, .csum_offset = 16}},
        {{.kind = SUPER_TCP4, .is_partial = true, .has_cwr = true, .gso_size = 1, .checksum_start = 35, .headers_len = 0xffff},
         {.flags = 1, .gso_type = TCP4 | CWR, .hdr_len = 0xffff, .gso_size = 1, .csum_start = 35}},
        {{.kind = SUPER_TCP6, .is_partial = true, .gso_size = 0xffff}, {.flags = 1, .gso_type = TCP6, .gso_size = 0xffff}},
        {{.kind = SUPER_TCP6, .is_partial = true, .has_cwr = true, .gso_size = 8}, {.flags = 1, .gso_type = TCP6 | CWR, .gso_size = 8}},
        {{.kind = SUPER_UDP, .is_partial = true, .gso_size = 9}, {.flags = 1, .gso_type = GSO_UDP_L4, .gso_size = 9}},
        {{.checksum_start = 34, .checksum_offset = 6}, {.flags = 0}}, // not partial: means nothing
    };
    for (size_t i = 0; i < N_OF(rows); i++) {
        made_up_len = 60;
        assert_int_equal(tap.ops->write_batch(&tap, &(struct tap_frame){.bytes = room, .len = 50, .offload = rows[i].offload}, 1), 1);
        if (memcmp(&vnet_header, &rows[i].header, sizeof vnet_header) != 0)
            fail_msg("row %zu: %02x %02x %u %u %u %u", i, vnet_header.flags, vnet_header.gso_type, vnet_header.hdr_len,
                     vnet_header.gso_size, vnet_header.csum_start, vnet_header.csum_offset);
    }
}

// The longest one leaves no room behind it, whatever its end is rounded up to.
static void the_longest_frame_fits(void **state)
{
    (void)state;
    need_namespace();
    for (size_t more = 0; more <= 64; more++)
        for (size_t less = 0; less <= 64; less++) {
            made_up_len = (ssize_t)(10 + TAP_FRAME_MAX - less);
            assert_int_equal(tap.ops->read_batch(&tap, room, TAP_FRAME_MAX + TAP_TAILROOM + more, reads, N_FRAMES), 1);
            assert_int_equal(reads[0].len, TAP_FRAME_MAX - less);
        }
}

// ---- levels of offload

static bool is_kernel_at_least(int major, int minor)
{
    struct utsname uts;
    int has_major = 0, has_minor = 0;

    assert_int_equal(uname(&uts), 0);
    assert_int_equal(sscanf(uts.release, "%d.%d", &has_major, &has_minor), 2);
    return has_major > major || (has_major == major && has_minor >= minor);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(tap_offload_name(TAP_OFFLOAD_OFF), "off");
    assert_string_equal(tap_offload_name(TAP_OFFLOAD_CHECKSUM), "checksum");
    assert_string_equal(tap_offload_name(TAP_OFFLOAD_FULL), "full");
}

static void check_level(const struct tap *opened, const char *name, enum tap_offload level)
{
    assert_int_equal(opened->offload, level);
    assert_int_equal(opened->has_header, level != TAP_OFFLOAD_OFF);
    assert_int_equal(opened->has_udp_offload, level == TAP_OFFLOAD_FULL && is_kernel_at_least(6, 2));
    assert_int_equal(ask_ethtool(name, ETHTOOL_GTXCSUM) != 0, level >= TAP_OFFLOAD_CHECKSUM);
    assert_int_equal(ask_ethtool(name, ETHTOOL_GTSO) != 0, level == TAP_OFFLOAD_FULL);
}

static void open_at(const char *text, enum tap_offload level)
{
    struct tap other;
    char name[IFNAMSIZ] = "";

    memcpy(name, text, strnlen(text, IFNAMSIZ - 1));
    assert_int_equal(tap_open(&other, name, level), 0);
    check_level(&other, name, level);
    tap_close(&other);
}

// What the interface is told, also when somebody before has told a persistent one something else.
static void levels_are_told_to_the_kernel(void **state)
{
    (void)state;
    need_namespace();
    bool can_keep = run("ip tuntap add dev utlevel0 mode tap") == 0;
    for (int i = 0; i < TAP_OFFLOAD_COUNT * TAP_OFFLOAD_COUNT; i++) {
        const enum tap_offload levels[] = {(enum tap_offload)(i / TAP_OFFLOAD_COUNT), (enum tap_offload)(i % TAP_OFFLOAD_COUNT)};
        for (size_t k = 0; k < 2; k++) {
            open_at("", levels[k]);
            if (can_keep)
                open_at("utlevel0", levels[k]);
        }
    }
    if (can_keep)
        assert_int_equal(run("ip link del utlevel0"), 0);
}

// A persistent TAP keeps the length of the header that somebody has set; ours is the kernel's first one.
static void a_header_length_of_others_is_no_matter(void **state)
{
    (void)state;
    need_namespace();
    static const int lens[] = {12, 20, 24};
    if (run("ip tuntap add dev utkeep1 mode tap") != 0)
        skip();
    for (size_t i = 0; i < N_OF(lens); i++) {
        struct ifreq request = {.ifr_name = "utkeep1", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), len = lens[i];
        assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
        assert_int_equal(ioctl(fd, TUNSETVNETHDRSZ, &len), 0);
        close(fd);
        struct tap kept;
        char name[IFNAMSIZ] = "utkeep1";
        assert_int_equal(tap_open(&kept, name, TAP_OFFLOAD_FULL), 0);
        assert_int_equal(ioctl(kept.fd, TUNGETVNETHDRSZ, &len), 0);
        assert_int_equal(len, 10);
        tap_close(&kept);
    }
    assert_int_equal(run("ip link del utkeep1"), 0);
}

#define TAP_TEST(test) cmocka_unit_test_setup_teardown(test, open_full, close_tap)
// Frames with nothing undone look the same at all levels.
#define AT_EACH_LEVEL(test)                                                                                                                \
    {#test ", off", test, open_off, close_tap, NULL}, {#test ", checksum", test, open_checksum, close_tap, NULL},                          \
    {                                                                                                                                      \
#test ", full", test, open_full, close_tap, NULL                                                                                   \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAP_TEST(opens_and_numbers),
        TAP_TEST(says_what_is_wrong),
        TAP_TEST(says_what_is_missing),
        TAP_TEST(attaching_to_a_persistent_one_leaves_it),
        AT_EACH_LEVEL(reads_what_the_kernel_sends),
        AT_EACH_LEVEL(writes_what_the_kernel_receives),
        AT_EACH_LEVEL(ends_where_the_room_does),
        AT_EACH_LEVEL(a_bad_frame_stops_the_batch_there),
        AT_EACH_LEVEL(down_is_a_state),
        AT_EACH_LEVEL(deleted_is_said_by_both),
        AT_EACH_LEVEL(a_failed_read_loses_no_frame),
        TAP_TEST(an_interrupted_call_is_made_again),
        TAP_TEST(no_room_to_write_is_a_failure),
        TAP_TEST(carrier_goes_off_and_on),
        TAP_TEST(headers_are_decoded),
        TAP_TEST(headers_are_encoded),
        TAP_TEST(the_longest_frame_fits),
        TAP_TEST(levels_have_names),
        TAP_TEST(levels_are_told_to_the_kernel),
        TAP_TEST(a_header_length_of_others_is_no_matter),
    };
    has_namespace = enter_namespace() && open_and_close("") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
