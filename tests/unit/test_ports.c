// SPDX-License-Identifier: MIT
/*
 * test_ports: what is said of the TAP, its bridge and the bridge's ports, against the real kernel, in a network namespace of this program's
 * own. Each test has a TAP "cord0" in a bridge "br0" with a port "port0", and a bridge "br1". Needs root; says so and skips otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/daemon/loops.h"
#include "ethercord/ports.h"
#include "test_links.h"
#include "test_said.h"

enum { MTU = 1500 };

struct context {
    struct ports ports;
    struct said said;
    int n_gone;
};

static int set_up(void **state)
{
    static struct context context;
    if (skip_reason)
        return 0;
    context = (struct context){.n_gone = 0};
    *state = &context;
    if (!said_begin(&context.said))
        return -1;
    return system("ip link add br0 type bridge && ip link add br1 type bridge && ip tuntap add cord0 mode tap && "
                  "ip link add port0 type veth peer name far0 && ip link set port0 master br0 && ip link set cord0 master br0 up");
}

static int tear_down(void **state)
{
    struct context *context = *state;
    if (skip_reason)
        return 0;
    ports_close(&context->ports);
    said_end(&context->said);
    return system("for i in cord0 port0 br0 br1 bond0; do ! [ -d /proc/sys/net/ipv4/conf/$i ] || ip link del $i || exit 1; done");
}

static struct context *begin(void **state)
{
    need_namespace();
    return *state;
}

static void note_gone(void *ctx)
{
    struct context *context = ctx;
    context->n_gone++;
}

static void open_as(struct context *context, const char *tap_name, const char *bridge)
{
    ports_open(&context->ports,
               &(struct ports_config){.tap_name = tap_name, .mtu = MTU, .bridge = bridge, .on_gone = note_gone, .ctx = context});
}

static void open_ports(struct context *context)
{
    open_as(context, "cord0", "br0");
}

// A change, and a look.
static void change(struct context *context, const char *command)
{
    run(command);
    ports_look(&context->ports);
}

static void all_is_well(void **state)
{
    struct context *context = begin(state);
    open_ports(context);
    ports_look(&context->ports);
    assert_said_nothing(&context->said);
    assert_int_equal(context->ports.n_narrow, 0);
    assert_string_equal(context->ports.bridge_name, "br0");
}

static void a_narrow_port(void **state)
{
    struct context *context = begin(state);
    run("ip link set port0 mtu 1499");
    open_ports(context);
    assert_said(&context->said, "bridge br0: its port port0 has MTU 1499, the TAP cord0 has 1500: ");
    assert_int_equal(context->ports.n_narrow, 1);
    assert_string_equal(context->ports.narrow[0].name, "port0");
    assert_int_equal(context->ports.narrow[0].mtu, 1499);
    ports_look(&context->ports);
    assert_said_nothing(&context->said);
    change(context, "ip link set port0 mtu 1400");
    assert_said(&context->said, "port0 has MTU 1400");
    change(context, "ip link set port0 nomaster");
    assert_said(&context->said, "bridge br0: no port has a smaller MTU than the TAP cord0 any more");
    assert_int_equal(context->ports.n_narrow, 0);
    change(context, "ip link set port0 master br1"); // another bridge's
    assert_said_nothing(&context->said);
    change(context, "ip link set port0 master br0");
    assert_said(&context->said, "port0 has MTU 1400");
}

static void more_narrow_ports_than_are_told(void **state)
{
    struct context *context = begin(state);
    open_ports(context);
    change(context, "for i in $(seq 20); do ip link add p$i mtu 1400 type veth peer name q$i; ip link set p$i master br0; done");
    const char *text = said_all(&context->said);
    size_t n_lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        n_lines++;
    assert_int_equal(n_lines, PORTS_NARROW_MAX + 1);
    assert_non_null(strstr(text, "bridge br0: 4 more ports have a smaller MTU than the TAP cord0\n"));
    assert_int_equal(context->ports.n_narrow, 20);
    ports_look(&context->ports);
    assert_said_nothing(&context->said);
    run("for i in $(seq 20); do ip link del p$i; done");
}

static void up_and_down(void **state)
{
    struct context *context = begin(state);
    open_ports(context);
    change(context, "ip link set cord0 down");
    assert_said(&context->said, "the TAP cord0 was taken down: no frame crosses until it is up again (ip link set cord0 up)");
    change(context, "ip link set br1 up");
    assert_said_nothing(&context->said);
    change(context, "ip link set cord0 up");
    assert_said(&context->said, "the TAP cord0 is up again");
    change(context, "ip link set cord0 down && ip link set cord0 up");
    assert_said_nothing(&context->said);
}

static void another_mtu(void **state)
{
    struct context *context = begin(state);
    open_ports(context);
    change(context, "ip link set cord0 mtu 1400");
    assert_said(&context->said,
                "the MTU of the TAP cord0 was changed to 1400: ethercord goes on with the 1500 of [Tap] MTU; set both to the same");
    change(context, "ip link set cord0 mtu 1500");
    assert_said(&context->said, "the TAP cord0 has MTU 1500 again, as [Tap] MTU says");
}

static void another_bridge(void **state)
{
    struct context *context = begin(state);
    open_ports(context);
    change(context, "ip link set cord0 nomaster");
    assert_said(&context->said, "the TAP cord0 was taken out of bridge br0: ");
    change(context, "ip link set port0 mtu 1400"); // not its bridge any more
    assert_said_nothing(&context->said);
    change(context, "ip link set cord0 master br1");
    assert_said(&context->said, "the TAP cord0 was moved to bridge br1; [Tap] Bridge says br0");
    change(context, "ip link del br1");
    assert_said(&context->said, "the TAP cord0 was taken out of bridge br1: ");
    change(context, "ip link set port0 mtu 1500 && ip link set cord0 master br0");
    assert_said(&context->said, "the TAP cord0 is in bridge br0");
}

static void without_a_bridge(void **state)
{
    struct context *context = begin(state);
    run("ip link set cord0 nomaster && ip link set port0 mtu 1400");
    open_as(context, "cord0", "");
    ports_look(&context->ports);
    assert_said_nothing(&context->said);
    run("ip link set cord0 master br0");
    ports_look(&context->ports);
    const char *text = said_all(&context->said);
    assert_non_null(strstr(text, "the TAP cord0 is in bridge br0\n"));
    assert_non_null(strstr(text, "its port port0 has MTU 1400"));
}

static void renamed(void **state)
{
    struct context *context = begin(state);
    open_ports(context);
    change(context, "ip link set cord0 down && ip link set cord0 name cord9");
    assert_said(&context->said, "the TAP cord9 was taken down: no frame crosses until it is up again (ip link set cord9 up)");
    run("ip link del cord9");
}

static void gone(void **state)
{
    struct context *context = begin(state);
    open_ports(context);
    change(context, "ip link del cord0");
    assert_int_equal(context->n_gone, 1);
    ports_look(&context->ports);
    assert_int_equal(context->n_gone, 1);
    assert_said_nothing(&context->said);
}

static void a_tap_that_does_not_exist(void **state)
{
    struct context *context = begin(state);
    uv_loop_t uv;
    open_as(context, "cord7", "br0");
    assert_said(&context->said, "can't watch the TAP cord7 and its bridge: No such device");
    ports_look(&context->ports);
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(ports_start(&context->ports, &uv), 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0); // there is nothing to wait for
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_said_nothing(&context->said);
}

static void on_end(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void run_for(uv_loop_t *uv, uint64_t ms)
{
    uv_timer_t timer;
    assert_int_equal(uv_timer_init(uv, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_end, ms, 0), 0);
    uv_run(uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(uv, UV_RUN_NOWAIT);
}

// More than the watch has room for, so that notifications are lost, and the last change of all is noticed.
static void notifications(void **state)
{
    struct context *context = begin(state);
    uv_loop_t uv;
    open_ports(context);
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(ports_start(&context->ports, &uv), 0);
    run_for(&uv, PORTS_SETTLE_MS);
    run("for i in $(seq 150); do echo link set port0 mtu 1400; echo link set port0 mtu 1500; done | ip -batch - && ip link set port0 mtu "
        "1401");
    run_for(&uv, PORTS_EVERY_MS + 10 * PORTS_SETTLE_MS);
    assert_said(&context->said, "port0 has MTU 1401");
    uint64_t looked_ms = context->ports.looked_ms;
    run_for(&uv, 5 * PORTS_SETTLE_MS);
    assert_int_equal(context->ports.looked_ms, looked_ms); // nothing changes, nobody looks
    run("ip link set port0 mtu 1500");
    run_for(&uv, PORTS_EVERY_MS + 10 * PORTS_SETTLE_MS);
    assert_said(&context->said, "no port has a smaller MTU");
    loop_close_handles(&uv);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void never_opened(void **state)
{
    struct ports ports = {0};
    (void)begin(state);
    ports_look(&ports);
    ports_close(&ports);
    ports_close(&ports);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_is_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_narrow_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_narrow_ports_than_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(up_and_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_mtu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_bridge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_bridge, set_up, tear_down),
        cmocka_unit_test_setup_teardown(renamed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tap_that_does_not_exist, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notifications, set_up, tear_down),
        cmocka_unit_test_setup_teardown(never_opened, set_up, tear_down),
    };
    enter_namespace();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
