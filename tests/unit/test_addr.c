// SPDX-License-Identifier: MIT
/*
 * addr: text forms both ways, socket addresses both ways, and comparison that sees every field.
 */
#include "ethercord/addr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void ip_text_is_parsed_and_formatted(void **state)
{
    static const struct {
        const char *text;
        const char *formatted; // with port 36160; NULL = refused
    } rows[] = {
        {"192.0.2.1", "192.0.2.1:36160"},
        {"0.0.0.0", "0.0.0.0:36160"},
        {"255.255.255.255", "255.255.255.255:36160"},
        {"2001:DB8:0:0::1", "[2001:db8::1]:36160"},
        {"::", "[::]:36160"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:36160"},
        {"::ffff:192.0.2.1", "192.0.2.1:36160"},
        {"fe80::1", "[fe80::1]:36160"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.1 ", NULL},
        {" 192.0.2.1", NULL},
        {"192.0.2.1:80", NULL},
        {"[2001:db8::1]", NULL},
        {"2001:db8::1::2", NULL},
        {"fe80::1%eth0", NULL},
        {"12345::", NULL},
        {"b.example.net", NULL},
        {"1.2.3.4.5", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr addr;
        char text[ADDR_TEXT_CAP];
        memset(&addr, 0xff, sizeof addr);
        assert_int_equal(addr_parse_ip(rows[i].text, &addr), rows[i].formatted != NULL);
        if (!rows[i].formatted)
            continue;
        assert_int_equal(addr.port, 0);
        addr.port = 36160;
        assert_string_equal(addr_format(&addr, text), rows[i].formatted);
    }
}

static void unusual_addresses_are_formatted(void **state)
{
    struct addr addr = {0};
    char text[ADDR_TEXT_CAP];
    (void)state;

    assert_string_equal(addr_format(&addr, text), "unset");
    assert_true(addr_parse_ip("fe80:1111:1111:1111:1111:1111:1111:1111", &addr));
    addr.scope = UINT32_MAX;
    addr.port = UINT16_MAX;
    assert_string_equal(addr_format(&addr, text), "[fe80:1111:1111:1111:1111:1111:1111:1111%4294967295]:65535");
}

static void sockaddr_round_trip(void **state)
{
    static const char *const ips[] = {"192.0.2.1", "2001:db8::1", "fe80::1", "ff02::1"};
    (void)state;

    for (size_t i = 0; i < sizeof ips / sizeof ips[0]; i++) {
        struct addr in;
        struct addr out;
        struct sockaddr_storage sa;
        assert_true(addr_parse_ip(ips[i], &in));
        in.port = 36160;
        in.scope = i >= 2 ? 7 : 0;
        socklen_t len = addr_to_sockaddr(&in, &sa);
        assert_int_equal(len, i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_true(addr_from_sockaddr(&out, (struct sockaddr *)&sa, len));
        assert_true(addr_equal(&in, &out));
        for (socklen_t less = 0; less < len; less++) {
            assert_false(addr_from_sockaddr(&out, (struct sockaddr *)&sa, less));
            assert_int_equal(out.family, AF_UNSPEC);
        }
    }
    struct addr unset = {0};
    struct sockaddr_storage sa;
    assert_int_equal(addr_to_sockaddr(&unset, &sa), 0);
    assert_false(addr_from_sockaddr(&unset, (struct sockaddr *)&sa, sizeof sa));
}

static void one_form_per_address(void **state)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(1), .sin6_scope_id = 9};
    struct addr from_socket;
    struct addr from_text;
    (void)state;

    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &mapped.sin6_addr), 1);
    assert_true(addr_from_sockaddr(&from_socket, (struct sockaddr *)&mapped, sizeof mapped));
    assert_true(addr_parse_ip("192.0.2.1", &from_text));
    from_text.port = 1;
    assert_true(addr_equal(&from_socket, &from_text));

    // A scope that means nothing is dropped.
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", &mapped.sin6_addr), 1);
    assert_true(addr_from_sockaddr(&from_socket, (struct sockaddr *)&mapped, sizeof mapped));
    assert_int_equal(from_socket.scope, 0);
    assert_int_equal(from_socket.family, AF_INET6);
}

static void comparison_sees_every_field(void **state)
{
    struct endpoint a = {.remote = {.family = AF_INET6, .port = 1, .scope = 2, .ip = {[15] = 3}}, .source_ifindex = 4};
    (void)state;

    struct endpoint b = a;
    assert_true(endpoint_equal(&a, &b));
    b.remote.family = AF_INET;
    assert_false(endpoint_equal(&a, &b));
    b = a;
    b.remote.port++;
    assert_false(endpoint_equal(&a, &b));
    b = a;
    b.remote.scope++;
    assert_false(endpoint_equal(&a, &b));
    b = a;
    b.remote.ip[15]++;
    assert_false(addr_equal(&a.remote, &b.remote));
    b = a;
    b.source.family = AF_INET6;
    assert_false(endpoint_equal(&a, &b));
    b = a;
    b.source_ifindex++;
    assert_false(endpoint_equal(&a, &b));
}

static void cidr_text_is_parsed_and_formatted(void **state)
{
    static const struct {
        const char *text;
        const char *formatted; // NULL = refused
    } rows[] = {
        {"10.9.0.1/24", "10.9.0.1/24"},
        {"10.9.0.1", "10.9.0.1/32"},
        {"10.9.0.1/0", "10.9.0.1/0"},
        {"10.9.0.1/32", "10.9.0.1/32"},
        {"fd00::1/64", "fd00::1/64"},
        {"fd00::1", "fd00::1/128"},
        {"fd00::1/128", "fd00::1/128"},
        {"::ffff:10.9.0.1/120", "::ffff:10.9.0.1/120"},
        {"10.9.0.1/33", NULL},
        {"fd00::1/129", NULL},
        {"fd00::1/256", NULL},
        {"fd00::1/999", NULL},
        {"10.9.0.1/", NULL},
        {"10.9.0.1/-1", NULL},
        {"10.9.0.1/+1", NULL},
        {"10.9.0.1/ 1", NULL},
        {"10.9.0.1/1 ", NULL},
        {"10.9.0.1/024", NULL},
        {"10.9.0.1/0x8", NULL},
        {"10.9.0.1/4294967320", NULL},
        {"10.9.0.1/24/24", NULL},
        {"10.9.0/24", NULL},
        {"/24", NULL},
        {"", NULL},
        {"fd00::1%1/64", NULL},
        {"aaaa:bbbb:cccc:dddd:eeee:ffff:aaaa:bbbb:cccc:dddd:eeee:ffff/64", NULL},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cidr cidr;
        char text[CIDR_TEXT_CAP];
        assert_int_equal(cidr_parse(rows[i].text, &cidr), rows[i].formatted != NULL);
        if (rows[i].formatted)
            assert_string_equal(cidr_format(&cidr, text), rows[i].formatted);
    }
}

static void mac_addresses_are_formatted(void **state)
{
    char text[MAC_TEXT_CAP];
    (void)state;

    assert_string_equal(mac_format(&(struct mac_address){{0x02, 0, 0xab, 0xCD, 0x0e, 0xff}}, text), "02:00:ab:cd:0e:ff");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip_text_is_parsed_and_formatted),
        cmocka_unit_test(unusual_addresses_are_formatted),
        cmocka_unit_test(sockaddr_round_trip),
        cmocka_unit_test(one_form_per_address),
        cmocka_unit_test(comparison_sees_every_field),
        cmocka_unit_test(cidr_text_is_parsed_and_formatted),
        cmocka_unit_test(mac_addresses_are_formatted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
