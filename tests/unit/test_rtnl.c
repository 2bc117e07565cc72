// SPDX-License-Identifier: MIT
/*
 * test_rtnl: each function against the real kernel, in a network namespace of this program's own that goes with it. Needs root; says so
 * and skips otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ethercord/rtnl.h"
#include "test_links.h"

enum { NO_SUCH_INDEX = 99999, DEFAULT_MTU = 1500 };

struct context {
    struct rtnl rtnl;
    int tap; // descriptor of "cord0"; -1 = could not be made
};

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

// Whether `ip` shows the text for cord0.
static bool shows(const char *ip_arguments, const char *text)
{
    char command[256];
    (void)snprintf(command, sizeof command, "ip %s | grep -q -- '%s'", ip_arguments, text);
    return system(command) == 0;
}

static int set_up(void **state)
{
    static struct context context;
    if (skip_reason)
        return 0;
    context.tap = open_tap("cord0");
    *state = &context;
    return context.tap < 0 ? -1 : rtnl_open(&context.rtnl);
}

static int tear_down(void **state)
{
    struct context *context = *state;
    if (skip_reason)
        return 0;
    rtnl_close(&context->rtnl);
    (void)close(context->tap);
    return 0;
}

static struct rtnl *begin(void **state)
{
    need_namespace();
    struct context *context = *state;
    return &context->rtnl;
}

static struct rtnl_link look_up(struct rtnl *rtnl, const char *name)
{
    struct rtnl_link link;
    assert_int_equal(rtnl_get_link(rtnl, name, &link), 0);
    return link;
}

static void a_link_is_described(void **state)
{
    struct rtnl *rtnl = begin(state);
    struct rtnl_link link = look_up(rtnl, "cord0");
    assert_int_equal(link.index, if_nametoindex("cord0"));
    assert_int_equal(link.mtu, DEFAULT_MTU);
    assert_int_equal(link.master, 0);
    assert_false(link.flags & IFF_UP);
    assert_string_equal(link.kind, "tun");
    assert_int_equal(link.operstate, 2); // IF_OPER_DOWN
    assert_true(link.has_addrgenmode);
    assert_int_equal(link.addrgenmode, IN6_ADDR_GEN_MODE_EUI64);

    struct ifreq request = {.ifr_name = "cord0"};
    struct context *context = *state;
    assert_int_equal(ioctl(context->tap, SIOCGIFHWADDR, &request), 0);
    assert_memory_equal(link.mac_address.b, request.ifr_hwaddr.sa_data, MAC_ADDRESS_LEN);

    link = look_up(rtnl, "lo");
    assert_string_equal(link.kind, "");
    assert_int_equal(link.index, 1);
}

static void kinds_are_told_apart(void **state)
{
    struct rtnl *rtnl = begin(state);
    run("ip link add br0 type bridge && ip link add va type veth peer name vb");
    assert_string_equal(look_up(rtnl, "br0").kind, "bridge");
    assert_string_equal(look_up(rtnl, "va").kind, "veth");
}

static void names_that_do_not_exist(void **state)
{
    static const char *const names[] = {"", "cord1", "fifteen-bytes-x", "sixteen-bytes-xx",
                                        "a name much longer than any interface can have"};
    struct rtnl *rtnl = begin(state);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct rtnl_link link;
        assert_int_equal(rtnl_get_link(rtnl, names[i], &link), -ENODEV);
    }
}

static void an_index_that_does_not_exist(void **state)
{
    struct rtnl *rtnl = begin(state);
    struct rtnl_stats stats;
    struct cidr address = {.family = AF_INET, .prefix_len = 24, .ip = {10, 9, 0, 1}};
    assert_int_equal(rtnl_set_link_mtu(rtnl, NO_SUCH_INDEX, DEFAULT_MTU), -ENODEV);
    assert_int_equal(rtnl_set_link_up(rtnl, NO_SUCH_INDEX, true), -ENODEV);
    assert_int_equal(rtnl_set_link_master(rtnl, NO_SUCH_INDEX, 0), -ENODEV);
    assert_int_equal(rtnl_set_txqueuelen(rtnl, NO_SUCH_INDEX, 10), -ENODEV);
    assert_int_equal(rtnl_set_addrgenmode(rtnl, NO_SUCH_INDEX, IN6_ADDR_GEN_MODE_NONE), -ENODEV);
    assert_int_equal(rtnl_add_address(rtnl, NO_SUCH_INDEX, &address), -ENODEV);
    assert_int_equal(rtnl_del_address(rtnl, NO_SUCH_INDEX, &address), -ENODEV);
    assert_int_equal(rtnl_get_stats(rtnl, NO_SUCH_INDEX, &stats), -ENODEV);
    assert_int_equal(rtnl_get_stats(rtnl, 0, &stats), -ENODEV);
    // The socket is in step after all these refusals.
    assert_int_equal(look_up(rtnl, "cord0").index, if_nametoindex("cord0"));
}

static void mtu(void **state)
{
    static const struct {
        uint32_t mtu;
        int result;
    } rows[] = {{68, 0}, {1280, 0}, {9000, 0}, {65521, 0}, {65522, -EINVAL}, {67, -EINVAL}, {UINT32_MAX, -EINVAL}};
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t before = look_up(rtnl, "cord0").mtu;
        assert_int_equal(rtnl_set_link_mtu(rtnl, index, rows[i].mtu), rows[i].result);
        assert_int_equal(look_up(rtnl, "cord0").mtu, rows[i].result == 0 ? rows[i].mtu : before);
    }
}

static void up_and_down(void **state)
{
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    assert_int_equal(rtnl_set_link_up(rtnl, index, true), 0);
    assert_true(look_up(rtnl, "cord0").flags & IFF_UP);
    assert_true(shows("link show dev cord0", "[<,]UP[,>]"));
    assert_int_equal(rtnl_set_link_up(rtnl, index, false), 0);
    assert_false(look_up(rtnl, "cord0").flags & IFF_UP);
}

static void bridge_membership(void **state)
{
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    run("ip link add br1 type bridge && ip link add br2 type bridge");
    struct rtnl_link first = look_up(rtnl, "br1"), second = look_up(rtnl, "br2");
    assert_int_equal(rtnl_set_link_master(rtnl, index, first.index), 0);
    assert_int_equal(look_up(rtnl, "cord0").master, first.index);
    assert_true(shows("-d link show dev cord0", "master br1"));
    assert_int_equal(rtnl_set_link_master(rtnl, index, second.index), 0);
    assert_int_equal(look_up(rtnl, "cord0").master, second.index);
    assert_int_equal(rtnl_set_link_master(rtnl, index, 0), 0);
    assert_int_equal(look_up(rtnl, "cord0").master, 0);
    // lo is no bridge.
    assert_int_equal(rtnl_set_link_master(rtnl, index, 1), -EOPNOTSUPP);
}

static void a_link_by_its_index(void **state)
{
    struct rtnl *rtnl = begin(state);
    struct rtnl_link by_name = look_up(rtnl, "cord0"), link;
    assert_int_equal(rtnl_get_link_at(rtnl, by_name.index, &link), 0);
    assert_memory_equal(&link, &by_name, sizeof link);
    assert_string_equal(link.name, "cord0");
    assert_int_equal(rtnl_get_link_at(rtnl, NO_SUCH_INDEX, &link), -ENODEV);
    assert_int_equal(rtnl_get_link_at(rtnl, 0, &link), -ENODEV);
    assert_int_equal(link.index, 0);
}

struct visited {
    size_t n;
    uint32_t sum_of_mtus;
    char last[IFNAMSIZ];
};

static void note_port(void *ctx, const struct rtnl_link *port)
{
    struct visited *visited = ctx;
    visited->n++;
    visited->sum_of_mtus += port->mtu;
    (void)snprintf(visited->last, sizeof visited->last, "%s", port->name);
}

static void ports_of_a_bridge(void **state)
{
    struct rtnl *rtnl = begin(state);
    struct visited visited = {0};
    run("ip link add br3 type bridge && ip link add br4 type bridge && ip link set cord0 master br4");
    int index = look_up(rtnl, "br3").index;
    assert_int_equal(rtnl_visit_ports(rtnl, index, note_port, &visited), 0);
    assert_int_equal(visited.n, 0);
    // More than fits one answer.
    run("for i in $(seq 60); do echo link add p$i mtu 1400 type veth peer name q$i; echo link set p$i master br3; done | ip -batch -");
    assert_int_equal(rtnl_visit_ports(rtnl, index, note_port, &visited), 0);
    assert_int_equal(visited.n, 60);
    assert_int_equal(visited.sum_of_mtus, 60 * 1400);
    run("for i in $(seq 60); do echo link del p$i; done | ip -batch -");
    visited = (struct visited){0};
    assert_int_equal(rtnl_visit_ports(rtnl, look_up(rtnl, "br4").index, note_port, &visited), 0);
    assert_int_equal(visited.n, 1);
    assert_string_equal(visited.last, "cord0");
    assert_int_equal(rtnl_visit_ports(rtnl, NO_SUCH_INDEX, note_port, &visited), 0);
    assert_int_equal(visited.n, 1);
    run("ip link set cord0 nomaster && ip link del br3 && ip link del br4");
}

static bool is_readable(const struct rtnl *watch)
{
    struct pollfd wait = {.fd = rtnl_fd(watch), .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

static void changes_are_noticed(void **state)
{
    struct rtnl *rtnl = begin(state);
    struct rtnl watch;
    int index = look_up(rtnl, "cord0").index;
    assert_int_equal(rtnl_open_watch(&watch), 0);
    assert_true(fcntl(rtnl_fd(&watch), F_GETFD) & FD_CLOEXEC);
    assert_false(is_readable(&watch));
    rtnl_forget_changes(&watch); // of nothing: does not wait
    assert_int_equal(rtnl_set_link_mtu(rtnl, index, 1400), 0);
    assert_true(is_readable(&watch));
    rtnl_forget_changes(&watch);
    assert_false(is_readable(&watch));
    for (uint32_t i = 0; i < 200; i++) // more than it has room for
        assert_int_equal(rtnl_set_link_mtu(rtnl, index, 1400 + i), 0);
    assert_true(is_readable(&watch));
    rtnl_forget_changes(&watch);
    assert_false(is_readable(&watch));
    assert_int_equal(rtnl_set_link_mtu(rtnl, index, DEFAULT_MTU), 0);
    assert_true(is_readable(&watch));
    rtnl_close(&watch);
}

static void queue_length(void **state)
{
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    assert_int_equal(rtnl_set_txqueuelen(rtnl, index, 77), 0);
    assert_int_equal(look_up(rtnl, "cord0").txqueuelen, 77);
    assert_true(shows("link show dev cord0", "qlen 77"));
}

static void address_generation(void **state)
{
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    struct cidr address;
    assert_int_equal(rtnl_set_link_mtu(rtnl, index, DEFAULT_MTU), 0);
    assert_int_equal(rtnl_set_addrgenmode(rtnl, index, IN6_ADDR_GEN_MODE_NONE), 0);
    assert_int_equal(look_up(rtnl, "cord0").addrgenmode, IN6_ADDR_GEN_MODE_NONE);
    assert_true(shows("-d link show dev cord0", "addrgenmode none"));
    assert_int_equal(rtnl_set_link_up(rtnl, index, true), 0);
    assert_int_equal(rtnl_get_link_local(rtnl, index, &address), -EADDRNOTAVAIL);
    assert_int_equal(rtnl_set_link_up(rtnl, index, false), 0);

    assert_int_equal(rtnl_set_addrgenmode(rtnl, index, IN6_ADDR_GEN_MODE_EUI64), 0);
    assert_int_equal(rtnl_set_link_up(rtnl, index, true), 0);
    assert_int_equal(rtnl_get_link_local(rtnl, index, &address), 0);
    assert_int_equal(address.family, AF_INET6);
    assert_int_equal(address.prefix_len, 64);
    assert_int_equal(address.ip[0], 0xfe);
    assert_int_equal(address.ip[1], 0x80);
    assert_int_equal(rtnl_del_address(rtnl, index, &address), 0);
    assert_int_equal(rtnl_get_link_local(rtnl, index, &address), -EADDRNOTAVAIL);
    assert_int_equal(rtnl_set_link_up(rtnl, index, false), 0);
}

// Below 1280 the kernel has no IPv6 on the interface at all: what a kernel without IPv6 answers too.
static void address_generation_without_ipv6(void **state)
{
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    assert_int_equal(rtnl_set_link_mtu(rtnl, index, 1279), 0);
    assert_false(look_up(rtnl, "cord0").has_addrgenmode);
    assert_int_equal(rtnl_set_addrgenmode(rtnl, index, IN6_ADDR_GEN_MODE_NONE), -EAFNOSUPPORT);
    assert_int_equal(rtnl_set_link_mtu(rtnl, index, DEFAULT_MTU), 0);
    assert_true(look_up(rtnl, "cord0").has_addrgenmode);
}

static void addresses(void **state)
{
    static const struct {
        struct cidr address;
        const char *shown;
    } rows[] = {
        {{.family = AF_INET, .prefix_len = 24, .ip = {10, 9, 0, 1}}, "inet 10.9.0.1/24 brd 10.9.0.255"},
        {{.family = AF_INET, .prefix_len = 0, .ip = {10, 9, 8, 7}}, "inet 10.9.8.7/0 brd 255.255.255.255"},
        {{.family = AF_INET, .prefix_len = 30, .ip = {10, 9, 1, 1}}, "inet 10.9.1.1/30 brd 10.9.1.3"},
        {{.family = AF_INET, .prefix_len = 31, .ip = {10, 9, 2, 0}}, "inet 10.9.2.0/31 scope"},
        {{.family = AF_INET, .prefix_len = 32, .ip = {10, 9, 3, 3}}, "inet 10.9.3.3/32 scope"},
        {{.family = AF_INET6, .prefix_len = 64, .ip = {0xfd, 0, 0, 9, [15] = 1}}, "inet6 fd00:9::1/64"},
        {{.family = AF_INET6, .prefix_len = 128, .ip = {0xfd, 0, 0, 9, [15] = 2}}, "inet6 fd00:9::2/128"},
    };
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(rtnl_add_address(rtnl, index, &rows[i].address), 0);
        assert_true(shows("addr show dev cord0", rows[i].shown));
        assert_int_equal(rtnl_add_address(rtnl, index, &rows[i].address), -EEXIST);
        assert_int_equal(rtnl_del_address(rtnl, index, &rows[i].address), 0);
        assert_false(shows("addr show dev cord0", rows[i].shown));
        assert_int_equal(rtnl_del_address(rtnl, index, &rows[i].address), -EADDRNOTAVAIL);
    }
}

static void addresses_that_are_none(void **state)
{
    static const struct cidr rows[] = {
        {.family = AF_UNSPEC, .prefix_len = 24},
        {.family = AF_UNIX, .prefix_len = 24},
        {.family = AF_INET, .prefix_len = 33, .ip = {10, 9, 0, 1}},
        {.family = AF_INET6, .prefix_len = 129, .ip = {0xfd}},
    };
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(rtnl_add_address(rtnl, index, &rows[i]), -EINVAL);
        assert_int_equal(rtnl_del_address(rtnl, index, &rows[i]), -EINVAL);
    }
}

// Nobody reads the TAP: with a ring for two frames, the others of a flood are dropped and must show.
static void drops_are_counted(void **state)
{
    struct rtnl *rtnl = begin(state);
    int index = look_up(rtnl, "cord0").index;
    struct rtnl_stats before, after;
    struct cidr address = {.family = AF_INET, .prefix_len = 24, .ip = {10, 9, 0, 1}};
    assert_int_equal(rtnl_set_txqueuelen(rtnl, index, 2), 0);
    assert_int_equal(rtnl_add_address(rtnl, index, &address), 0);
    assert_int_equal(rtnl_set_link_up(rtnl, index, true), 0);
    assert_int_equal(rtnl_get_stats(rtnl, index, &before), 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on), 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x0a0900ff)};
    for (int i = 0; i < 50; i++)
        (void)sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, sizeof to);
    (void)close(fd);
    assert_int_equal(rtnl_get_stats(rtnl, index, &after), 0);
    assert_true(after.tx_dropped >= before.tx_dropped + 40);
    assert_int_equal(rtnl_set_link_up(rtnl, index, false), 0);
    assert_int_equal(rtnl_del_address(rtnl, index, &address), 0);
}

static void states_of_a_bridge_and_its_ports(void **state)
{
    struct rtnl *rtnl = begin(state);
    run("ip link add br9 type bridge stp_state 1 && ip link add v9 type veth peer name w9 && ip link set v9 master br9");
    assert_true(look_up(rtnl, "br9").has_stp);
    assert_false(look_up(rtnl, "br9").is_bridge_port);
    assert_true(look_up(rtnl, "v9").is_bridge_port);
    assert_int_equal(look_up(rtnl, "v9").port_state, 0); // disabled: it is down
    assert_false(look_up(rtnl, "v9").has_carrier);
    run("ip link set br9 up && ip link set v9 up && ip link set w9 up");
    assert_true(look_up(rtnl, "v9").has_carrier);
    assert_int_equal(look_up(rtnl, "v9").port_state, 1); // listening
    run("ip link set br9 type bridge stp_state 0 && bridge link set dev v9 state 3");
    assert_false(look_up(rtnl, "br9").has_stp);
    assert_int_equal(look_up(rtnl, "v9").port_state, 3); // forwarding
    assert_int_equal(look_up(rtnl, "v9").lower, look_up(rtnl, "w9").index);
    run("ip link delete v9 && ip link delete br9");
}

static struct addr ip(const char *text)
{
    struct addr addr;
    assert_true(addr_parse_ip(text, &addr));
    return addr;
}

static void routes(void **state)
{
    struct rtnl *rtnl = begin(state);
    struct rtnl_route route;
    run("ip link set lo up && ip link add r1 type veth peer name s1 && ip link add r2 type veth peer name s2 && ip link set r1 up &&"
        "ip link set r2 up && ip link set s1 up && ip link set s2 up && ip address add 192.0.2.1/24 dev r1 &&"
        "ip address add 198.51.100.1/24 dev r2 && ip route add 203.0.113.0/24 via 192.0.2.9 && ip route add 203.0.113.0/24 via "
        "198.51.100.9 table 7 &&"
        "ip rule add fwmark 7 lookup 7 && ip address add 2001:db8::1/64 dev r1 nodad && ip route add 2001:db8:1::/64 via 2001:db8::9");
    int r1 = look_up(rtnl, "r1").index, r2 = look_up(rtnl, "r2").index;
    assert_int_equal(rtnl_get_route(rtnl, &(struct rtnl_route_query){.to = ip("192.0.2.2")}, &route), 0);
    assert_int_equal(route.index, r1);
    assert_int_equal(route.gateway.family, AF_UNSPEC);
    assert_true(addr_equal_ip(&route.source, &(struct addr){.family = AF_INET, .ip = {192, 0, 2, 1}}));
    assert_int_equal(rtnl_get_route(rtnl, &(struct rtnl_route_query){.to = ip("203.0.113.5")}, &route), 0);
    assert_int_equal(route.index, r1);
    assert_int_equal(route.gateway.ip[3], 9);
    assert_int_equal(rtnl_get_route(rtnl, &(struct rtnl_route_query){.to = ip("203.0.113.5"), .mark = 7}, &route), 0);
    assert_int_equal(route.index, r2);
    assert_int_equal(rtnl_get_route(rtnl, &(struct rtnl_route_query){.to = ip("192.0.2.1")}, &route), 0);
    assert_true(route.is_local);
    assert_int_equal(rtnl_get_route(rtnl, &(struct rtnl_route_query){.to = ip("8.8.8.8")}, &route), -ENETUNREACH);
    assert_int_equal(rtnl_get_route(rtnl, &(struct rtnl_route_query){.to = ip("2001:db8:1::5"), .from = ip("2001:db8::1")}, &route), 0);
    assert_int_equal(route.index, r1);
    assert_int_equal(route.gateway.ip[15], 9);
    assert_int_equal(rtnl_get_route(rtnl, &(struct rtnl_route_query){.to = {.family = AF_UNSPEC}}, &route), -EINVAL);
}

struct wanted_neighbour {
    int n;
    struct rtnl_neighbour last;
};

static void keep_neighbour(void *ctx, const struct rtnl_neighbour *neighbour)
{
    static const uint8_t mac_address[] = {2, 0, 0, 0, 0, 7};
    struct wanted_neighbour *wanted = ctx;
    if (memcmp(neighbour->mac_address.b, mac_address, sizeof mac_address) != 0)
        return;
    wanted->n++;
    wanted->last = *neighbour;
}

static void neighbours(void **state)
{
    struct rtnl *rtnl = begin(state);
    struct wanted_neighbour wanted = {0};
    run("ip link add n1 type veth peer name m1 && ip link set n1 up && ip neighbour add 192.0.2.77 lladdr 02:00:00:00:00:07 dev n1 &&"
        "ip link add br8 type bridge && ip link set n1 master br8 && bridge fdb add 02:00:00:00:00:07 dev n1 master static");
    int n1 = look_up(rtnl, "n1").index;
    assert_int_equal(rtnl_visit_neighbours(rtnl, AF_INET, keep_neighbour, &wanted), 0);
    assert_int_equal(wanted.n, 1);
    assert_int_equal(wanted.last.index, n1);
    assert_int_equal(wanted.last.address.ip[3], 77);
    wanted = (struct wanted_neighbour){0};
    assert_int_equal(rtnl_visit_neighbours(rtnl, AF_BRIDGE, keep_neighbour, &wanted), 0);
    assert_int_equal(wanted.n, 1);
    assert_int_equal(wanted.last.index, n1);
    assert_int_equal(wanted.last.master, look_up(rtnl, "br8").index);
}

static void the_socket_is_not_inherited(void **state)
{
    struct rtnl *rtnl = begin(state);
    assert_true(fcntl(mnl_socket_get_fd(rtnl->socket), F_GETFD) & FD_CLOEXEC);
}

static void closing_twice(void **state)
{
    struct rtnl rtnl = {0};
    (void)begin(state);
    rtnl_close(&rtnl);
    assert_int_equal(rtnl_open(&rtnl), 0);
    rtnl_close(&rtnl);
    rtnl_close(&rtnl);
    assert_null(rtnl.socket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_is_described),
        cmocka_unit_test(kinds_are_told_apart),
        cmocka_unit_test(names_that_do_not_exist),
        cmocka_unit_test(an_index_that_does_not_exist),
        cmocka_unit_test(mtu),
        cmocka_unit_test(up_and_down),
        cmocka_unit_test(bridge_membership),
        cmocka_unit_test(a_link_by_its_index),
        cmocka_unit_test(ports_of_a_bridge),
        cmocka_unit_test(changes_are_noticed),
        cmocka_unit_test(queue_length),
        cmocka_unit_test(address_generation),
        cmocka_unit_test(address_generation_without_ipv6),
        cmocka_unit_test(addresses),
        cmocka_unit_test(addresses_that_are_none),
        cmocka_unit_test(drops_are_counted),
        cmocka_unit_test(states_of_a_bridge_and_its_ports),
        cmocka_unit_test(routes),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(the_socket_is_not_inherited),
        cmocka_unit_test(closing_twice),
    };
    enter_namespace();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
