// SPDX-License-Identifier: MIT
/*
 * test_tap: a real TAP in a network namespace of the test's own; frames go in and out through a packet socket on the same interface.
 * Skipped where no such namespace or no TAP can be had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ethercord/frame.h"
#include "ethercord/tap.h"

enum { N_FRAMES = 64, ETHER_TYPE_TEST = 0x88b5, TIMEOUT_MS = 2000 };

static bool has_namespace;
static struct pool pool;
static struct buf *bufs[N_FRAMES];
static struct tap tap;
static char tap_name[IFNAMSIZ];
static int packet_fd;

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        perror(path);
    close(fd);
}

// Without privileges a user namespace does, where that is allowed; root in it is the user outside.
static bool enter_namespace(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        return true;
    char map[64];
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    write_text("/proc/self/uid_map", map);
    return true;
}

static int run(const char *command)
{
    return system(command); // NOLINT(cert-env33-c): fixed commands, in the test's own namespace
}

static void set_up(const char *name, bool is_up)
{
    struct ifreq request = {0};
    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags = (short)(is_up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
}

static int open_packet_socket(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHER_TYPE_TEST), .sll_ifindex = (int)if_nametoindex(name)};
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static bool wait_for(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return poll(&pollfd, 1, TIMEOUT_MS) == 1;
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
    return lens[i % (sizeof lens / sizeof lens[0])];
}

static void kernel_sends(const uint8_t *bytes, size_t len)
{
    assert_int_equal(send(packet_fd, bytes, len, 0), len);
}

// ---- a fresh TAP, up, with a packet socket on it, for each test

static int open_tap(void **state)
{
    (void)state;
    if (!has_namespace)
        return 0;
    (void)snprintf(tap_name, sizeof tap_name, "utap%%d");
    if (tap_open(&tap, tap_name) != 0)
        return -1;
    char path[128];
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", tap_name);
    write_text(path, "1"); // else the kernel's own frames come in between
    set_up(tap_name, true);
    packet_fd = open_packet_socket(tap_name);
    if (pool_init(&pool, N_FRAMES, FRAME_MAX + 1) != 0)
        return -1;
    for (size_t i = 0; i < N_FRAMES; i++)
        bufs[i] = pool_get(&pool, 32);
    return 0;
}

static int close_tap(void **state)
{
    (void)state;
    if (!has_namespace)
        return 0;
    for (size_t i = 0; i < N_FRAMES; i++)
        pool_put(&pool, bufs[i]);
    (void)pool_deinit(&pool);
    close(packet_fd);
    tap_close(&tap);
    tap_close(&tap); // twice does no harm
    return 0;
}

static void need_namespace(void)
{
    if (has_namespace)
        return;
    print_message("no network namespace of its own, or no TAP, can be had here: skipped\n");
    skip();
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
    assert_int_equal(tap.ops->read_batch(&tap, bufs, N_FRAMES), 0);
    struct tap other;
    char name[IFNAMSIZ] = "";
    assert_int_equal(tap_open(&other, name), 0);
    assert_true(if_nametoindex(name) > 0);
    struct mac_address other_mac;
    assert_int_equal(tap_get_mac_address(&other, &other_mac), 0);
    assert_false(mac_equal(&mac, &other_mac));
    tap_close(&other);
    assert_int_equal(if_nametoindex(name), 0); // made by us, gone with us
    assert_int_equal(tap_get_mac_address(&other, &mac), -EBADF);
}

static int open_and_close(const char *text)
{
    struct tap other;
    char name[IFNAMSIZ] = "";
    memcpy(name, text, strnlen(text, IFNAMSIZ));
    int error = tap_open(&other, name);
    tap_close(&other);
    return error;
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
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
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
        assert_int_equal(tap_open(&kept, name), 0);
        assert_string_equal(name, "utkeep0");
        assert_int_equal(open_and_close("utkeep0"), -EBUSY);
        tap_close(&kept);
        assert_true(if_nametoindex("utkeep0") > 0);
    }
    assert_int_equal(run("ip link del utkeep0"), 0);
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
    assert_int_equal(tap.ops->read_batch(&tap, bufs, 10), 10);
    assert_int_equal(tap.ops->read_batch(&tap, bufs + 10, N_FRAMES - 10), N_FRAMES - 10);
    for (unsigned i = 0; i < N_FRAMES; i++) {
        size_t len = make_frame(bytes, len_of(i), (uint8_t)i);
        assert_int_equal(bufs[i]->len, len);
        assert_int_equal(buf_headroom(bufs[i]), 32);
        assert_memory_equal(bufs[i]->data, bytes, len);
    }
    assert_int_equal(tap.ops->read_batch(&tap, bufs, N_FRAMES), 0);
    kernel_sends(bytes, make_frame(bytes, 100, 1));
    assert_int_equal(tap.ops->read_batch(&tap, bufs, N_FRAMES), 1); // fewer than asked for
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

static void a_longer_frame_fills_the_room(void **state)
{
    (void)state;
    need_namespace();
    struct pool small;
    assert_int_equal(pool_init(&small, 1, 128), 0);
    struct buf *buf = pool_get(&small, 28);
    uint8_t bytes[500];
    kernel_sends(bytes, make_frame(bytes, sizeof bytes, 3));
    assert_int_equal(tap.ops->read_batch(&tap, &buf, 1), 1);
    assert_int_equal(buf->len, 100);
    assert_memory_equal(buf->data, bytes, 100);
    assert_int_equal(tap.ops->read_batch(&tap, &buf, 1), 0);
    pool_put(&small, buf);
    assert_int_equal(pool_deinit(&small), 0);
}

static void a_bad_frame_stops_the_batch_there(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[100];
    size_t len = make_frame(bytes, sizeof bytes, 1);
    struct tap_frame frames[] = {{bytes, len}, {bytes, 13}, {bytes, len}}; // 13: not even a header
    assert_int_equal(tap.ops->write_batch(&tap, frames, 3), 1);
    assert_int_equal(tap.ops->write_batch(&tap, frames + 1, 2), -EINVAL);
    assert_int_equal(tap.ops->write_batch(&tap, frames + 2, 1), 1);
}

static void down_is_a_state(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[100];
    struct tap_frame frame = {bytes, make_frame(bytes, sizeof bytes, 1)};
    set_up(tap_name, false);
    assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), -EIO);
    assert_int_equal(tap.ops->read_batch(&tap, bufs, N_FRAMES), 0);
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
    struct tap_frame frame = {bytes, make_frame(bytes, sizeof bytes, 1)};
    struct mac_address mac;
    struct pollfd pollfd = {.fd = tap.fd, .events = POLLIN};
    assert_int_equal(poll(&pollfd, 1, TIMEOUT_MS), 1); // the loop wakes up
    assert_int_equal(tap.ops->read_batch(&tap, bufs, N_FRAMES), -EBADFD);
    assert_int_equal(tap.ops->write_batch(&tap, &frame, 1), -EBADFD);
    assert_int_equal(tap.ops->set_carrier(&tap, true), -EBADFD);
    assert_int_equal(tap_get_mac_address(&tap, &mac), -EBADFD);
}

// The second buffer lies where no process has memory, which read(2) refuses before it takes a frame: the first frame comes out all the
// same, the error with the next call, and the frames behind it are still there.
static void a_failed_read_loses_no_frame(void **state)
{
    (void)state;
    need_namespace();
    uint8_t bytes[100];
    for (uint8_t i = 0; i < 3; i++)
        kernel_sends(bytes, make_frame(bytes, sizeof bytes, i));
    uint8_t *nowhere = (uint8_t *)(UINTPTR_MAX - 0xffff);
    struct buf bad = {.mem = nowhere, .data = nowhere, .cap = 4096};
    struct buf *batch[] = {bufs[0], &bad, bufs[1], bufs[2]};
    assert_int_equal(tap.ops->read_batch(&tap, batch, 4), 1);
    assert_int_equal(tap.ops->read_batch(&tap, batch + 1, 3), -EFAULT);
    assert_int_equal(tap.ops->read_batch(&tap, batch + 2, 2), 2);
    for (uint8_t i = 0; i < 3; i++) {
        make_frame(bytes, sizeof bytes, i);
        assert_int_equal(bufs[i]->len, sizeof bytes);
        assert_memory_equal(bufs[i]->data, bytes, sizeof bytes);
    }
}

static bool has_link(const char *name)
{
    struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
    struct ifreq request = {.ifr_data = (char *)&value};
    memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
    close(fd);
    return value.data != 0;
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

#define TAP_TEST(test) cmocka_unit_test_setup_teardown(test, open_tap, close_tap)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAP_TEST(opens_and_numbers),
        TAP_TEST(says_what_is_wrong),
        TAP_TEST(says_what_is_missing),
        TAP_TEST(attaching_to_a_persistent_one_leaves_it),
        TAP_TEST(reads_what_the_kernel_sends),
        TAP_TEST(writes_what_the_kernel_receives),
        TAP_TEST(a_longer_frame_fills_the_room),
        TAP_TEST(a_bad_frame_stops_the_batch_there),
        TAP_TEST(down_is_a_state),
        TAP_TEST(deleted_is_said_by_both),
        TAP_TEST(a_failed_read_loses_no_frame),
        TAP_TEST(carrier_goes_off_and_on),
    };
    has_namespace = enter_namespace() && open_and_close("") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
