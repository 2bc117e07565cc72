// SPDX-License-Identifier: MIT
/*
 * test_link: set-up and undo of a TAP's interface against the real kernel, in a network namespace of this program's own. Each test has
 * its own persistent TAP "cord0", and bridges "br0" (up) and "br1" (down). Needs root; says so and skips otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ethercord/link.h"
#include "test_links.h"

enum { TEXT_CAP = 256 };

struct context {
    struct rtnl rtnl;
    struct link link;
    char text[TEXT_CAP];
    int tap; // descriptor of "cord0"
};

static const struct cidr address_v4 = {.family = AF_INET, .prefix_len = 24, .ip = {10, 9, 0, 1}};
static const struct cidr address_v6 = {.family = AF_INET6, .prefix_len = 64, .ip = {0xfd, 0, 0, 9, [15] = 1}};

static int set_up(void **state)
{
    static struct context context;
    if (skip_reason)
        return 0;
    context = (struct context){0};
    *state = &context;
    if (system("ip link add br0 type bridge && ip link add br1 type bridge && ip link set br0 up && ip tuntap add cord0 mode tap") != 0)
        return -1;
    struct ifreq request = {.ifr_name = "cord0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    context.tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (context.tap < 0 || ioctl(context.tap, TUNSETIFF, &request) < 0)
        return -1;
    return rtnl_open(&context.rtnl);
}

static int tear_down(void **state)
{
    struct context *context = *state;
    if (skip_reason)
        return 0;
    (void)link_undo(&context->link);
    rtnl_close(&context->rtnl);
    (void)close(context->tap);
    return system("for i in cord0 br0 br1; do ! [ -d /proc/sys/net/ipv4/conf/$i ] || ip link del $i || exit 1; done");
}

static struct context *begin(void **state)
{
    need_namespace();
    return *state;
}

static struct rtnl_link look_up(struct context *context, const char *name)
{
    struct rtnl_link link;
    assert_int_equal(rtnl_get_link(&context->rtnl, name, &link), 0);
    return link;
}

static bool shows(const char *ip_arguments, const char *text)
{
    char command[256];
    (void)snprintf(command, sizeof command, "ip %s | grep -q -- '%s'", ip_arguments, text);
    return system(command) == 0;
}

static int apply(struct context *context, const struct link_settings *settings)
{
    return link_set_up(&context->link, settings, context->text, sizeof context->text);
}

static void assert_as_before(struct context *context, const struct rtnl_link *before)
{
    struct rtnl_link now = look_up(context, "cord0");
    assert_int_equal(now.mtu, before->mtu);
    assert_int_equal(now.txqueuelen, before->txqueuelen);
    assert_int_equal(now.master, before->master);
    assert_int_equal(now.flags & IFF_UP, before->flags & IFF_UP);
    assert_int_equal(now.has_addrgenmode, before->has_addrgenmode);
    assert_int_equal(now.addrgenmode, before->addrgenmode);
}

static void nothing_but_up(void **state)
{
    struct context *context = begin(state);
    struct rtnl_link before = look_up(context, "cord0");
    assert_int_equal(apply(context, &(struct link_settings){.name = "cord0"}), 0);
    assert_string_equal(context->text, "");
    struct rtnl_link link = look_up(context, "cord0");
    assert_true(link.flags & IFF_UP);
    assert_int_equal(link.mtu, before.mtu);
    assert_int_equal(link.txqueuelen, before.txqueuelen);
    assert_int_equal(link.addrgenmode, IN6_ADDR_GEN_MODE_EUI64); // no bridge: an ordinary interface
    assert_int_equal(link_undo(&context->link), 0);
    assert_as_before(context, &before);
}

static void bridged_and_silent(void **state)
{
    struct context *context = begin(state);
    struct rtnl_link before = look_up(context, "cord0");
    struct link_settings settings = {.name = "cord0", .mtu = 1400, .txqueuelen = 64, .bridge = "br0"};
    assert_int_equal(apply(context, &settings), 0);
    assert_string_equal(context->text, "");
    struct rtnl_link link = look_up(context, "cord0");
    assert_true(link.flags & IFF_UP);
    assert_int_equal(link.mtu, 1400);
    assert_int_equal(link.txqueuelen, 64);
    assert_int_equal(link.master, look_up(context, "br0").index);
    assert_true(shows("-d link show dev cord0", "mtu 1400.*master br0"));
    assert_true(shows("-d link show dev cord0", "addrgenmode none"));
    assert_false(shows("addr show dev cord0", "inet6"));
    assert_int_equal(link_undo(&context->link), 0);
    assert_as_before(context, &before);
    assert_int_equal(link_undo(&context->link), 0);
}

static void addresses_without_bridge(void **state)
{
    struct context *context = begin(state);
    struct rtnl_link before = look_up(context, "cord0");
    const struct cidr addresses[] = {address_v4, address_v6};
    struct link_settings settings = {.name = "cord0", .bridge = "", .addresses = addresses, .n_addresses = 2};
    assert_int_equal(apply(context, &settings), 0);
    assert_true(shows("addr show dev cord0", "inet 10.9.0.1/24"));
    assert_true(shows("addr show dev cord0", "inet6 fd00:9::1/64"));
    assert_int_equal(link_undo(&context->link), 0);
    assert_as_before(context, &before);
    assert_false(shows("addr show dev cord0", "inet"));
}

// With an address of its own a port of a bridge is a host too: it keeps its link-local address.
static void bridged_with_address(void **state)
{
    struct context *context = begin(state);
    struct link_settings settings = {.name = "cord0", .bridge = "br0", .addresses = &address_v4, .n_addresses = 1};
    assert_int_equal(apply(context, &settings), 0);
    assert_int_equal(look_up(context, "cord0").addrgenmode, IN6_ADDR_GEN_MODE_EUI64);
    assert_true(shows("addr show dev cord0", "inet 10.9.0.1/24"));
    assert_int_equal(link_undo(&context->link), 0);
    assert_false(shows("addr show dev cord0", "inet "));
}

static void what_was_there_stays(void **state)
{
    struct context *context = begin(state);
    run("ip link set cord0 master br1 mtu 1300 txqueuelen 33 addrgenmode none up && ip addr add 10.9.0.1/24 dev cord0");
    struct rtnl_link before = look_up(context, "cord0");
    const struct cidr addresses[] = {address_v4, address_v6};
    struct link_settings settings = {
        .name = "cord0", .mtu = 1500, .txqueuelen = 500, .bridge = "br0", .addresses = addresses, .n_addresses = 2};
    assert_int_equal(apply(context, &settings), 0);
    assert_int_equal(look_up(context, "cord0").master, look_up(context, "br0").index);
    assert_int_equal(link_undo(&context->link), 0);
    assert_as_before(context, &before);
    assert_int_equal(before.master, look_up(context, "br1").index);
    assert_true(shows("addr show dev cord0", "inet 10.9.0.1/24"));
    assert_false(shows("addr show dev cord0", "fd00:9::1"));
}

// A persistent TAP that is up gets a link-local address as soon as somebody attaches: it must go, or the kernel talks on the wire.
static void link_local_of_a_tap_that_was_up(void **state)
{
    struct context *context = begin(state);
    run("ip link set cord0 up && ip addr add fe80::1234/64 dev cord0 nodad && ip addr add fd00:77::1/64 dev cord0 nodad");
    assert_true(shows("addr show dev cord0", "scope link"));
    assert_int_equal(apply(context, &(struct link_settings){.name = "cord0", .bridge = "br0"}), 0);
    assert_false(shows("addr show dev cord0", "scope link"));
    assert_true(shows("addr show dev cord0", "fd00:77::1")); // set on purpose by somebody
    assert_int_equal(link_undo(&context->link), 0);
    assert_int_equal(look_up(context, "cord0").addrgenmode, IN6_ADDR_GEN_MODE_EUI64);
}

static void without_ipv6_on_the_interface(void **state)
{
    struct context *context = begin(state);
    struct rtnl_link before = look_up(context, "cord0");
    assert_int_equal(apply(context, &(struct link_settings){.name = "cord0", .mtu = 1000, .bridge = "br0"}), 0);
    assert_string_equal(context->text, "");
    assert_false(look_up(context, "cord0").has_addrgenmode);
    assert_int_equal(link_undo(&context->link), 0);
    assert_as_before(context, &before);
}

static void ipv6_disabled(void **state)
{
    struct context *context = begin(state);
    run("echo 1 >/proc/sys/net/ipv6/conf/cord0/disable_ipv6");
    struct rtnl_link before = look_up(context, "cord0");
    assert_int_equal(apply(context, &(struct link_settings){.name = "cord0", .bridge = "br0"}), 0);
    assert_int_equal(link_undo(&context->link), 0);
    const struct cidr addresses[] = {address_v4, address_v6};
    struct link_settings settings = {.name = "cord0", .addresses = addresses, .n_addresses = 2};
    assert_true(apply(context, &settings) < 0);
    assert_non_null(strstr(context->text, "fd00:9::1/64"));
    assert_non_null(strstr(context->text, "is IPv6 disabled on it?"));
    assert_as_before(context, &before);
    assert_false(shows("addr show dev cord0", "inet")); // the IPv4 address before it is gone too
}

static void a_bridge_that_is_down(void **state)
{
    struct context *context = begin(state);
    assert_int_equal(apply(context, &(struct link_settings){.name = "cord0", .bridge = "br1"}), 0);
    assert_string_equal(context->text, "bridge 'br1' is down: nothing passes until it is up (ip link set br1 up)");
}

static void refusals(void **state)
{
    static const struct cidr no_address = {.family = AF_INET, .prefix_len = 99};
    static const struct {
        struct link_settings settings;
        int result;
        const char *text;
    } rows[] = {
        {{.name = "cord7"}, -ENODEV, "interface 'cord7' does not exist"},
        {{.name = "cord0", .mtu = 1400, .bridge = "br9"},
         -ENODEV,
         "bridge 'br9' does not exist: create it first (ip link add br9 type bridge) or remove Bridge from [Tap]"},
        {{.name = "cord0", .mtu = 1400, .bridge = "lo"}, -EINVAL, "'lo' is no bridge: name a bridge, or remove Bridge from [Tap]"},
        {{.name = "cord0", .mtu = 1400, .bridge = "cord0"}, -EINVAL, "'cord0' is no bridge: name a bridge, or remove Bridge from [Tap]"},
        {{.name = "cord0", .mtu = 70000}, -EINVAL, "'cord0' can't have an MTU of 70000: change MTU in [Tap]"},
        {{.name = "cord0", .addresses = &address_v4, .n_addresses = LINK_ADDRESSES_MAX + 1},
         -EINVAL,
         "'cord0' can have at most 16 addresses: remove some from Address in [Tap]"},
        {{.name = "cord0", .mtu = 1400, .bridge = "br0", .addresses = &no_address, .n_addresses = 1}, -EINVAL, "cannot add "},
    };
    struct context *context = begin(state);
    struct rtnl_link before = look_up(context, "cord0");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(apply(context, &rows[i].settings), rows[i].result);
        assert_memory_equal(context->text, rows[i].text, strlen(rows[i].text));
        assert_as_before(context, &before);
        assert_int_equal(link_undo(&context->link), 0);
    }
}

static void a_short_buffer_for_the_text(void **state)
{
    struct context *context = begin(state);
    char text[] = "0123456789";
    struct link_settings settings = {.name = "cord7"};
    assert_int_equal(link_set_up(&context->link, &settings, text, 6), -ENODEV);
    assert_memory_equal(text, "inter\0006789", 11);
}

static void an_interface_that_went_away(void **state)
{
    struct context *context = begin(state);
    const struct cidr addresses[] = {address_v4, address_v6};
    struct link_settings settings = {
        .name = "cord0", .mtu = 1400, .txqueuelen = 5, .bridge = "br0", .addresses = addresses, .n_addresses = 2};
    assert_int_equal(apply(context, &settings), 0);
    run("ip link del cord0");
    assert_int_equal(link_undo(&context->link), 0);
}

static void a_bridge_that_went_away(void **state)
{
    struct context *context = begin(state);
    run("ip link set cord0 master br1");
    assert_int_equal(apply(context, &(struct link_settings){.name = "cord0", .mtu = 1400, .bridge = "br0"}), 0);
    run("ip link del br0 && ip link del br1");
    (void)link_undo(&context->link); // br1 can't be joined again; the rest is restored
    assert_int_equal(look_up(context, "cord0").mtu, 1500);
    assert_int_equal(look_up(context, "cord0").master, 0);
}

static void without_privileges(void **state)
{
    struct context *context = begin(state);
    if (seteuid(65534) < 0) {
        print_message("skipped: this user namespace has no second user\n");
        skip();
    }
    int result = apply(context, &(struct link_settings){.name = "cord0", .mtu = 1400});
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, -EPERM);
    assert_string_equal(context->text, "cannot set the MTU of 'cord0' to 1400: not permitted: run it as root, or with CAP_NET_ADMIN");
}

static void undo_of_nothing(void **state)
{
    struct link link = {0};
    (void)begin(state);
    assert_int_equal(link_undo(&link), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_but_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bridged_and_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_without_bridge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bridged_with_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_there_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(link_local_of_a_tap_that_was_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_ipv6_on_the_interface, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ipv6_disabled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bridge_that_is_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_buffer_for_the_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interface_that_went_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bridge_that_went_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_privileges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(undo_of_nothing, set_up, tear_down),
    };
    enter_namespace();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
