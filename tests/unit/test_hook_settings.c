// SPDX-License-Identifier: MIT
/*
 * test_hook_settings: commands in a configuration: several, in order, as they stand in the line, so many and so long; and what is said of
 * those that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ethercord/config.h"

#define NODE "[Node]\nPrivateKey = XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os=\n"
#define PEER "[Peer b]\nPublicKey = KVPpfcoSKfl8YAvsLBf+6qs1zkvt9msdQvFqRJ3FwF8=\n"
#define FORM "expected a command for /bin/sh; may be there several times"

static struct config config;
static struct config_errors errors;

// What is said of it, the first message.
static const char *parse(const char *text)
{
    (void)!config_parse_text(text, strlen(text), "t.conf", &config, &errors);
    return errors.n_messages > 0 ? errors.messages[0].text : "";
}

static void in_order(void **state)
{
    char title[HOOK_TITLE_CAP];
    static const struct hook expected[] = {
        {HOOK_POST_UP, "a"}, {HOOK_PRE_DOWN, "b"}, {HOOK_POST_UP, "c"}, {HOOK_PEER_DOWN, "d"}, {HOOK_PEER_UP, "e"}};

    (void)state;
    assert_string_equal(parse(NODE "PostUp = a\npredown = b\nPOSTUP = c\nHookTimeout = 3\n" PEER "OnPeerDown = d\nOnPeerUp = e\n"), "");
    assert_int_equal(config.hooks.n, 5);
    assert_int_equal(config.hooks.timeout_s, 3);
    assert_memory_equal(config.hooks.at, expected, sizeof expected); // plain data, to the last byte
    assert_int_equal(hooks_count(&config.hooks, HOOK_POST_UP), 2);
    assert_string_equal(hook_title(&config.hooks, 0, title), "PostUp 1");
    assert_string_equal(hook_title(&config.hooks, 1, title), "PreDown");
    assert_string_equal(hook_title(&config.hooks, 2, title), "PostUp 2");
    assert_string_equal(parse(NODE PEER), "");
    assert_int_equal(config.hooks.n, 0);
    assert_int_equal(config.hooks.timeout_s, 10);
}

// # and ; mean to a shell what they mean to a shell; quotes around all of it are the file's.
static void as_it_stands(void **state)
{
    static const char *const rows[][2] = {
        {"echo \"a b\"; echo c", "echo \"a b\"; echo c"},
        {"a ; b # c  ", "a ; b # c"},
        {"\t echo 'x # y' \t", "echo 'x # y'"},
        {"\"a; b # c\" # d", "a; b # c"},
        {"\" a \"", " a "},
        {"a = b", "a = b"},
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, NODE "PostUp =%s\r\n" PEER, rows[i][0]);
        assert_string_equal(parse(text), "");
        assert_string_equal(config.hooks.at[0].command, rows[i][1]);
    }
}

static void refusals(void **state)
{
    static const char *const rows[][2] = {
        {NODE "PostUp =\n" PEER, "t.conf:3: PostUp: " FORM},
        {NODE "PostUp = # nothing\n" PEER, "t.conf:3: PostUp: " FORM},
        {NODE "PostUp = ; b\n" PEER, "t.conf:3: PostUp: " FORM},
        {NODE "PostUp = \"\"\n" PEER, "t.conf:3: PostUp: " FORM},
        {NODE "PostUp = \"a\" b\n" PEER, "t.conf:3: something follows the closing quote; expected only a comment, after white space"},
        {NODE "PostUp = a\nPostUp = ip link set %i up\n" PEER,
         "t.conf:4: PostUp: %i is not replaced here, as wg-quick does it; expected $ETHERCORD_TAP"},
        {NODE "OnPeerUp = a\n" PEER, "t.conf:3: OnPeerUp is no key of [Node]; it belongs in [Peer]"},
        {NODE PEER "PreDown = a\n", "t.conf:5: PreDown is no key of [Peer]; it belongs in [Node]"},
        {NODE "PostUpp = a\n" PEER, "t.conf:3: unknown key PostUpp in [Node]; did you mean PostUp?"},
        {NODE "HookTimeout = 0\n" PEER, "t.conf:3: HookTimeout: expected seconds, 1 to 3600"},
        {NODE "HookTimeout = 3601\n" PEER, "t.conf:3: HookTimeout: expected seconds, 1 to 3600"},
        {NODE "HookTimeout = 5\nHookTimeout = 5\n" PEER, "t.conf:4: HookTimeout is there twice; the first one is on line 3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(parse(rows[i][0]), rows[i][1]);
}

static void how_many_and_how_long(void **state)
{
    char text[4096] = NODE, line[1100];

    (void)state;
    for (int i = 0; i < HOOKS_MAX; i++)
        strcat(text, "PostUp = a\n");
    strcat(text, PEER);
    assert_string_equal(parse(text), "");
    strcat(text, "OnPeerUp = b\n");
    assert_string_equal(parse(text), "t.conf:21: OnPeerUp: one hook more than there is room for; expected up to 16 in all");

    // The longest that a line has room for.
    memset(line, 'x', sizeof line);
    snprintf(text, sizeof text, NODE "PostUp=%.*s\n" PEER, 1024 - 7, line);
    assert_string_equal(parse(text), "");
    assert_int_equal(strlen(config.hooks.at[0].command), 1024 - 7);
    snprintf(text, sizeof text, NODE "PostUp=%.*s\n" PEER, 1024 - 6, line);
    assert_string_equal(parse(text), "t.conf:3: the line is too long; expected at most 1024 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(as_it_stands),
        cmocka_unit_test(refusals),
        cmocka_unit_test(how_many_and_how_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
