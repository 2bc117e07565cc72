// SPDX-License-Identifier: MIT
/*
 * test_config_change: for each key of the table: that another value is seen, said with old and new (never a secret), and taken over by a
 * running node exactly if the table says so. docs/reload.md says the same as the table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/config/config_keys.h"
#include "ethercord/aead.h"
#include "ethercord/config_change.h"

enum { TEXT_CAP = 8192, DOC_CAP = 1 << 20 };

#define KEY_A "XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os="
#define KEY_A_PUBLIC "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
#define KEY_B "KVPpfcoSKfl8YAvsLBf+6qs1zkvt9msdQvFqRJ3FwF8="
#define KEY_C "sLMFE3x3f3a3nIFxOIN6YPs1lZ8w1tZ4UHVWA5kWmF8="

// Two values of each key, and how the change is said. A row for each key: the test looks.
static const struct {
    enum config_key_id id;
    const char *before, *after; // NULL = not there
    const char *said;
} rows[] = {
    {KEY_PRIVATE_KEY, KEY_A, KEY_C, "[Node] PrivateKey: that of public key " KEY_A_PUBLIC " -> that of public key "},
    {KEY_LISTEN_PORT, "1", "2", "[Node] ListenPort: 1 -> 2"},
    {KEY_CIPHER, "chacha20-poly1305", "auto", "[Node] Cipher: chacha20-poly1305 -> auto"},
    {KEY_FW_MARK, NULL, "0x10", "[Node] FwMark: 0 -> 16"},
    {KEY_BIND_INTERFACE, NULL, "eth0", "[Node] BindInterface: none -> eth0"},
    {KEY_SOURCE_ADDRESS, "2001:db8::1", NULL, "[Node] SourceAddress: 2001:db8::1 -> none"},
    {KEY_LOG_LEVEL, NULL, "debug", "[Node] LogLevel: info -> debug"},
    {KEY_USER, NULL, "daemon", "[Node] User: nobody -> daemon"},
    {KEY_CONTROL_GROUP, "adm", NULL, "[Node] ControlGroup: adm -> none"},
    {KEY_TAP_OFFLOAD, NULL, "off", "[Node] TapOffload: full -> off"},
    {KEY_UDP_OFFLOAD, "off", NULL, "[Node] UdpOffload: off -> on"},
    {KEY_REASSEMBLY_MEMORY, NULL, "200", "[Node] ReassemblyMemory: 1024 -> 200"},
    {KEY_REASSEMBLY_TIMEOUT, NULL, "200", "[Node] ReassemblyTimeout: 1000 -> 200"},
    {KEY_POST_UP, "a", "b", "[Node] PostUp: another value"},
    {KEY_POST_UP, NULL, "b", "[Node] PostUp: another value"},
    {KEY_PRE_DOWN, "a", NULL, "[Node] PreDown: another value"},
    {KEY_HOOK_TIMEOUT, NULL, "7", "[Node] HookTimeout: 10 -> 7"},
    {KEY_PEER_ON_UP, "a", "b", "[Peer] OnPeerUp: another value"},
    {KEY_PEER_ON_DOWN, "a", "b", "[Peer] OnPeerDown: another value"},
    {KEY_TAP_NAME, NULL, "cord1", "[Tap] Name: cord0 -> cord1"},
    {KEY_TAP_MTU, NULL, "9000", "[Tap] MTU: 1500 -> 9000"},
    {KEY_TAP_BRIDGE, "br0", NULL, "[Tap] Bridge: br0 -> none"},
    {KEY_TAP_ADDRESS, NULL, "10.9.0.1/24, fd00::1/64", "[Tap] Address: none -> 10.9.0.1/24, fd00::1/64"},
    {KEY_TAP_CARRIER, NULL, "peer-up", "[Tap] Carrier: always -> peer-up"},
    {KEY_TAP_QUEUE_LENGTH, NULL, "9", "[Tap] QueueLength: 256 -> 9"},
    {KEY_SHORTCUT_ADDRESS, "10.9.0.7/24", "10.9.0.7/25", "[Shortcut] Address: 10.9.0.7/24 -> 10.9.0.7/25"},
    {KEY_SHORTCUT_ANSWER, NULL, "peer-up", "[Shortcut] Answer: always -> peer-up"},
    {KEY_METRICS_LISTEN, "127.0.0.1:9036", "[::1]:9037", "[Metrics] Listen: 127.0.0.1:9036 -> [::1]:9037"},
    {KEY_METRICS_ALLOW_REMOTE, NULL, "yes", "[Metrics] AllowRemote: no -> yes"},
    {KEY_METRICS_HOST_NAME, NULL, "b.example", "[Metrics] HostName: none -> b.example"},
    {KEY_PEER_PUBLIC_KEY, KEY_B, KEY_C, "[Peer] PublicKey: " KEY_B " -> " KEY_C},
    {KEY_PEER_PRESHARED_KEY, KEY_B, KEY_C, "[Peer] PresharedKey: another PSK"},
    {KEY_PEER_PRESHARED_KEY, NULL, KEY_C, "[Peer] PresharedKey: none -> a PSK"},
    {KEY_PEER_PRESHARED_KEY, KEY_B, NULL, "[Peer] PresharedKey: a PSK -> none"},
    {KEY_PEER_ENDPOINT, "a.example:5", "[2001:db8::1]:5", "[Peer] Endpoint: a.example:5 -> [2001:db8::1]:5"},
    {KEY_PEER_ENDPOINT, "a.example:5", NULL, "[Peer] Endpoint: a.example:5 -> none"},
    {KEY_PEER_PERSISTENT_KEEPALIVE, NULL, "25", "[Peer] PersistentKeepalive: off -> 25"},
    {KEY_PEER_PATH_MTU, "1400", NULL, "[Peer] PathMTU: 1400 -> auto"},
};

// A file of all that is needed, with this value in it.
static void parse(struct config *config, enum config_key_id id, const char *value)
{
    static const struct {
        int section;
        const char *name, *value;
    } needed[] = {{SECTION_NODE, "PrivateKey", KEY_A}, {SECTION_PEER, "PublicKey", KEY_B}, {SECTION_METRICS, "Listen", "127.0.0.1:9"}};
    static struct config_errors errors;
    char text[TEXT_CAP];
    size_t len = 0;

    for (int section = 0; section < SECTION_COUNT; section++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "[%s]\n", config_section_names[section]);
        for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
            if (section == needed[i].section && strcmp(config_keys[id].name, needed[i].name) != 0)
                len += (size_t)snprintf(text + len, sizeof text - len, "%s = %s\n", needed[i].name, needed[i].value);
        if (section == (int)config_keys[id].section && value)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s = %s\n", config_keys[id].name, value);
    }
    if (!config_parse_text(text, len, "t.conf", config, &errors))
        fail_msg("%s", errors.messages[0].text);
}

struct pair {
    struct config before, after;
    struct config_mark psk;
    struct config_changes changes;
};

static struct pair *new_pair(void)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    return pair;
}

// As the monitor has them: without the secrets of what is in force.
static void compare(struct pair *pair)
{
    config_mark_make(&pair->psk, &pair->before);
    config_wipe_secrets(&pair->before);
    config_compare(&pair->before, &pair->after, config_mark_matches(&pair->psk, &pair->after), &pair->changes);
}

static void test_each_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pair *pair = new_pair();
        struct config_live live;
        parse(&pair->before, rows[i].id, rows[i].before);
        parse(&pair->after, rows[i].id, rows[i].after);
        compare(pair);
        if (pair->changes.n != 1 || strncmp(pair->changes.at[0].text, rows[i].said, strlen(rows[i].said)) != 0)
            fail_msg("%s: %zu changes, the first: %s", rows[i].said, pair->changes.n, pair->changes.at[0].text);
        bool is_live = config_keys[rows[i].id].is_live;
        assert_int_equal(pair->changes.at[0].is_live, is_live);
        assert_int_equal(pair->changes.is_any_live, is_live);
        assert_int_equal(pair->changes.is_elsewhere, rows[i].id == KEY_PEER_ENDPOINT);

        // What is taken over is not another one any more; what needs a restart still is.
        config_live_get(&live, &pair->after);
        assert_true(config_live_is_valid(&live));
        config_live_put(&pair->before, &live);
        compare(pair);
        if (pair->changes.n != (is_live ? 0U : 1U))
            fail_msg("%s: %s, but then %zu changes are left", rows[i].said, is_live ? "live" : "needs a restart", pair->changes.n);
        free(pair);
    }
}

static void test_each_key_has_a_row(void **state)
{
    (void)state;
    for (int id = 0; id < KEY_COUNT; id++) {
        size_t n = 0;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            n += (int)rows[i].id == id;
        if (n == 0 && config_kind((enum config_key_id)id) != CONFIG_KEY_FILE)
            fail_msg("%s: no row for it in this test", config_keys[id].name);
    }
}

static void test_peers(void **state)
{
    struct pair *pair = new_pair();
    static struct config_errors errors;
    static const char alone[] = "[Node]\nPrivateKey = " KEY_A "\n[Shortcut]\nAddress = 10.9.0.7/24\n";
    static const char named[] = "[Node]\nPrivateKey = " KEY_A "\n[Shortcut]\nAddress = 10.9.0.7/24\n[Peer b]\nPublicKey = " KEY_B "\n";
    static const char renamed[] = "[Node]\nPrivateKey = " KEY_A "\n[Shortcut]\nAddress = 10.9.0.7/24\n[Peer c]\nPublicKey = " KEY_B "\n";
    static const struct {
        const char *before, *after, *said;
    } cases[] = {{alone, named, "[Peer b]: added"}, {named, alone, "[Peer b]: removed"}, {named, renamed, "[Peer b]: is called c now"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(config_parse_text(cases[i].before, strlen(cases[i].before), "t.conf", &pair->before, &errors));
        assert_true(config_parse_text(cases[i].after, strlen(cases[i].after), "t.conf", &pair->after, &errors));
        compare(pair);
        assert_int_equal(pair->changes.n, 1);
        assert_string_equal(pair->changes.at[0].text, cases[i].said);
        assert_true(pair->changes.at[0].is_live);
    }
    free(pair);
}

// What stays till a restart and what is taken over may not go together.
static void test_clashes(void **state)
{
    struct pair *pair = new_pair();
    char problem[CONFIG_MESSAGE_CAP];

    (void)state;
    parse(&pair->before, KEY_TAP_ADDRESS, "10.9.0.7/24");
    parse(&pair->after, KEY_SHORTCUT_ADDRESS, "10.9.0.7/24");
    assert_true(config_live_clashes(&pair->before, &pair->after, problem));
    assert_non_null(strstr(problem, "10.9.0.7/24"));
    parse(&pair->before, KEY_TAP_ADDRESS, "10.9.0.8/24");
    assert_false(config_live_clashes(&pair->before, &pair->after, problem));
    parse(&pair->after, KEY_PEER_PUBLIC_KEY, KEY_B);
    memcpy(pair->after.peer.public_key, pair->before.public_key, KEY_LEN);
    assert_true(config_live_clashes(&pair->before, &pair->after, problem));
    free(pair);
}

// The table in docs/reload.md has each key, under the section and with the word that the table of keys gives it.
static void test_documented(void **state)
{
    char path[512], row[256], *text = calloc(1, DOC_CAP);
    const char *tests = getenv("ETHERCORD_TESTS");

    (void)state;
    assert_non_null(text);
    snprintf(path, sizeof path, "%s/../docs/reload.md", tests ? tests : "tests");
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("%s can't be read", path);
    assert_true(fread(text, 1, DOC_CAP - 1, file) > 0);
    (void)fclose(file);
    for (int id = 0; id < KEY_COUNT; id++) {
        const struct config_key *key = &config_keys[id];
        snprintf(row, sizeof row, "\n| `[%s] %s` | %s |", config_section_names[key->section], key->name,
                 key->is_live ? "reload" : "restart");
        if (!strstr(text, row))
            fail_msg("docs/reload.md has no row %s", row + 1);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_key), cmocka_unit_test(test_each_key_has_a_row), cmocka_unit_test(test_peers),
        cmocka_unit_test(test_clashes),  cmocka_unit_test(test_documented),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
