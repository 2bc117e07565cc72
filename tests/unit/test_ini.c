// SPDX-License-Identifier: MIT
/*
 * test_ini: texts and the events that they give, written one per line: "1 [name]", "2 key=value", "3 !problem".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/config/ini.h"

enum { EVENTS_CAP = 4096 };

#define BAD_ENTRY "expected Key = value"
#define BAD_TAIL "something follows the closing quote; expected only a comment, after white space"

static const struct {
    const char *text;
    const char *events;
} rows[] = {
    {"", ""},
    {"\n\n", ""},
    {"\n# a = b\n ; [c]\n\t#\n", ""},
    {"[Node]", "1 [Node]\n"},
    {"[ Peer  site b ] # x", "1 [Peer  site b]\n"},
    {"[a];", "1 !something follows the closing bracket; expected a line of its own\n"},
    {"[a] ;", "1 [a]\n"},
    {"[a] b", "1 !something follows the closing bracket; expected a line of its own\n"},
    {"[a\n[b]\n", "1 !the closing bracket is missing; expected [Section]\n2 [b]\n"},
    {"[]\n[ \t]\n", "1 !the section has no name; expected [Section]\n2 !the section has no name; expected [Section]\n"},
    {"a=b", "1 a=b\n"},
    {"a = b\r\n c = d\r\n", "1 a=b\n2 c=d\n"},
    {"\n  a  =\t b c \t\n", "2 a=b c\n"},
    {"a = b = c", "1 a=b = c\n"},
    {"a =", "1 a=\n"},
    {"a = # b", "1 a=\n"},
    {"a = b # c", "1 a=b\n"},
    {"a = b\t;c", "1 a=b\n"},
    {"a = b#c;d", "1 a=b#c;d\n"},
    {"a =#b", "1 a=#b\n"},
    {"a = \"b # c\" # d", "1 a=b # c\n"},
    {"a = \"\"", "1 a=\n"},
    {"a = \"  b \"", "1 a=  b \n"},
    {"a = b\"c\"", "1 a=b\"c\"\n"},
    {"a = \"b", "1 !the closing quote is missing; expected \"value\"\n"},
    {"a = \"b\"c", "1 !" BAD_TAIL "\n"},
    {"a = \"b\" \"c\"", "1 !" BAD_TAIL "\n"},
    {"a = \"b\"#c", "1 !" BAD_TAIL "\n"},
    {"a", "1 !" BAD_ENTRY "\n"},
    {"a: b", "1 !" BAD_ENTRY "\n"},
    {"a # b = c", "1 !" BAD_ENTRY "\n"},
    {"= b", "1 !the key is missing; expected Key = value\n"},
    {"a\x01 = b\na\x7f=\na\rb=c\n",
     "1 !the line holds a control character; expected text\n2 !the line holds a control character; expected text\n"
     "3 !the line holds a control character; expected text\n"},
    {"\xef\xbb\xbf[Node]\n\xc3\xa4 = \xc3\xb6\n", "1 [Node]\n2 \xc3\xa4=\xc3\xb6\n"},
    {"a=b\n\n\nc\n\nd=e", "1 a=b\n4 !" BAD_ENTRY "\n6 d=e\n"},
};

static void read_events(const char *text, size_t len, char events[static EVENTS_CAP])
{
    struct ini_event event;
    struct ini ini;
    size_t at = 0;
    events[0] = '\0';
    ini_init(&ini, text, len);
    while (ini_next(&ini, &event) != INI_END && at < EVENTS_CAP) {
        if (event.kind == INI_SECTION)
            at += (size_t)snprintf(events + at, EVENTS_CAP - at, "%u [%s]\n", event.line, event.name);
        else if (event.kind == INI_ENTRY)
            at += (size_t)snprintf(events + at, EVENTS_CAP - at, "%u %s=%s\n", event.line, event.name, event.value);
        else
            at += (size_t)snprintf(events + at, EVENTS_CAP - at, "%u !%s\n", event.line, event.problem);
    }
    ini_deinit(&ini);
}

static void test_rows(void **state)
{
    char events[EVENTS_CAP];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_events(rows[i].text, strlen(rows[i].text), events);
        assert_string_equal(events, rows[i].events);
    }
}

static void test_nul_bytes(void **state)
{
    static const char text[] = "a=b\nc\0d=e\nf=g\0\n\0";
    char events[EVENTS_CAP];
    (void)state;
    read_events(text, sizeof(text) - 1, events);
    assert_string_equal(events, "1 a=b\n2 !the line holds a NUL byte; expected text\n3 !the line holds a NUL byte; expected text\n"
                                "4 !the line holds a NUL byte; expected text\n");
}

// `n` bytes of value: 1022 of them behind "a=" fill the line.
static void check_line_of(size_t n, const char *line_end, const char *expected)
{
    char events[EVENTS_CAP];
    char *text = malloc(n + 16);
    assert_non_null(text);
    memcpy(text, "a=", 2);
    memset(text + 2, 'x', n);
    strcpy(text + 2 + n, line_end);
    read_events(text, strlen(text), events);
    if (expected)
        assert_string_equal(events, expected);
    else
        assert_int_equal(strlen(events), 2 + 2 + n + 1 + strlen("2 b=c\n"));
    free(text);
}

static void test_line_length(void **state)
{
    static const char too_long[] = "1 !the line is too long; expected at most 1024 bytes\n2 b=c\n";
    (void)state;
    check_line_of(INI_LINE_MAX - 2, "\nb=c", NULL);
    check_line_of(INI_LINE_MAX - 2, "\r\nb=c", NULL);
    check_line_of(INI_LINE_MAX - 1, "\nb=c", too_long);
    check_line_of(INI_LINE_MAX * 8, "\nb=c\n", too_long);
}

static void test_deinit_wipes(void **state)
{
    static const struct ini zero;
    struct ini_event event;
    struct ini ini;
    (void)state;
    ini_init(&ini, "a = secret", 10);
    assert_int_equal(ini_next(&ini, &event), INI_ENTRY);
    ini_deinit(&ini);
    assert_memory_equal(&ini, &zero, sizeof(ini));
}

// A shorter line leaves nothing of the longer one before it.
static void test_next_line_wipes(void **state)
{
    static const char text[] = "PrivateKey = secretsecretsecret\nb=c\n";
    struct ini_event event;
    struct ini ini;
    (void)state;
    ini_init(&ini, text, sizeof(text) - 1);
    assert_int_equal(ini_next(&ini, &event), INI_ENTRY);
    assert_int_equal(ini_next(&ini, &event), INI_ENTRY);
    assert_null(memmem(ini.text, sizeof(ini.text), "secret", 6));
    ini_deinit(&ini);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_nul_bytes),       cmocka_unit_test(test_line_length),
        cmocka_unit_test(test_deinit_wipes), cmocka_unit_test(test_next_line_wipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
