// SPDX-License-Identifier: MIT
/*
 * test_keys: keys as text and in files. The key pair is Bob's of RFC 7748 section 6.1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ethercord/keys.h"

#define PRIVATE_TEXT "XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os="
#define PUBLIC_TEXT "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="

static char folder[] = "/tmp/ethercord-keys-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (sodium_init() < 0 || !mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/key", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void put_file(const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
}

static void test_text_round_trip(void **state)
{
    uint8_t key[KEY_LEN], again[KEY_LEN];
    char text[KEY_TEXT_CAP];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        randombytes_buf(key, sizeof(key));
        key_encode(text, key);
        assert_int_equal(strlen(text), KEY_TEXT_LEN);
        assert_true(key_decode(again, text, KEY_TEXT_LEN));
        assert_memory_equal(key, again, KEY_LEN);
    }
}

static void test_decoding_is_strict(void **state)
{
    static const char *const bad[] = {
        "",
        "=",
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqwXf7pR25LCo",      // no padding
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqwXf7pR25LCoA",     // 33 bytes
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqwXf7pR25LC==",     // 31 bytes
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqwXf7pR25LCp=",     // stray bits
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqwXf7pR25LCo=\n",   // more behind it
        " dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqwXf7pR25LCo=",    // more before it
        "dwdtCnMYpX08FsFyUbJm d9ML4frwJkqwXf7pR25LCo=",     // white space
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkq-_f7pR25LCo=",     // the URL alphabet
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992a", // hexadecimal
    };
    uint8_t key[KEY_LEN];
    (void)state;
    assert_true(key_decode(key, PRIVATE_TEXT, KEY_TEXT_LEN));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(key_decode(key, bad[i], strlen(bad[i])));
    }
    // Every byte that is no digit of base64, wherever it stands.
    for (int byte = 0; byte < 256; byte++) {
        char text[] = PRIVATE_TEXT;
        if (byte != '\0' && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", byte))
            continue;
        text[byte % (KEY_TEXT_LEN - 1)] = (char)byte;
        if (key_decode(key, text, KEY_TEXT_LEN))
            fail_msg("byte %02x is taken for a digit", (unsigned)byte);
    }
    assert_false(key_decode(key, PRIVATE_TEXT, KEY_TEXT_LEN - 1));
    assert_false(key_decode(key, PRIVATE_TEXT "\0", KEY_TEXT_LEN + 1));
}

// A rejected text leaves nothing of itself behind.
static void test_decoding_wipes(void **state)
{
    uint8_t key[KEY_LEN];
    (void)state;
    memset(key, 0xaa, sizeof(key));
    assert_false(key_decode(key, "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqwXf7pR25LC!=", KEY_TEXT_LEN));
    assert_true(key_is_zero(key));
}

static void test_public_key(void **state)
{
    uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
    char text[KEY_TEXT_CAP];
    (void)state;
    assert_true(key_decode(private_key, PRIVATE_TEXT, KEY_TEXT_LEN));
    key_derive_public(public_key, private_key);
    key_encode(text, public_key);
    assert_string_equal(text, PUBLIC_TEXT);
    assert_true(key_is_usable_public(public_key, private_key));
    assert_false(key_equal(public_key, private_key));
    memset(public_key, 0, sizeof(public_key));
    assert_true(key_is_zero(public_key));
    assert_false(key_is_usable_public(public_key, private_key));
    public_key[0] = 1; // the point of order 1
    assert_false(key_is_zero(public_key));
    assert_false(key_is_usable_public(public_key, private_key));
}

static void test_new_keys(void **state)
{
    uint8_t a[KEY_LEN], b[KEY_LEN];
    (void)state;
    for (int i = 0; i < 100; i++) {
        key_new_private(a);
        assert_int_equal(a[0] & 7, 0);
        assert_int_equal(a[31] & 0xc0, 0x40);
    }
    key_new_private(b);
    assert_false(key_equal(a, b));
    key_new_psk(a);
    key_new_psk(b);
    assert_false(key_equal(a, b));
    assert_false(key_is_zero(a));
}

static void test_create_file(void **state)
{
    uint8_t key[KEY_LEN], again[KEY_LEN];
    struct stat st;
    mode_t mode = 0;
    (void)state;
    mode_t mask = umask(0);
    key_new_private(key);
    (void)unlink(path);
    assert_int_equal(key_create_file(path, key), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, KEY_TEXT_LEN + 1);
    assert_int_equal(key_read_file(path, again, &mode), 0);
    assert_memory_equal(key, again, KEY_LEN);
    assert_int_equal(mode, 0600);

    assert_int_equal(key_create_file(path, again), -EEXIST);
    assert_int_equal(key_read_file(path, again, &mode), 0);
    assert_memory_equal(key, again, KEY_LEN);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(key_read_file(path, again, &mode), 0);
    assert_int_equal(mode, 0644);
    umask(mask);
}

static void test_create_through_link(void **state)
{
    uint8_t key[KEY_LEN] = {1};
    char target[80];
    (void)state;
    snprintf(target, sizeof(target), "%s.target", path);
    (void)unlink(path);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(key_create_file(path, key), -EEXIST);
    assert_int_not_equal(access(target, F_OK), 0);
    assert_int_equal(key_create_file("/nonexistent/key", key), -ENOENT);
    (void)unlink(path);
}

static void test_failed_write(void **state)
{
    uint8_t key[KEY_LEN] = {1};
    (void)state;
    int fd = open("/dev/full", O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(key_write_fd(fd, key), -ENOSPC);
    close(fd);
    assert_int_equal(key_write_fd(-1, key), -EBADF);
}

static void test_read_file(void **state)
{
    static const struct {
        const char *text;
        int result;
    } rows[] = {
        {PRIVATE_TEXT, 0},
        {PRIVATE_TEXT "\n", 0},
        {PRIVATE_TEXT "\r\n", 0},
        {PRIVATE_TEXT " \t\n\n", 0},
        {"", -EBADMSG},
        {"\n", -EBADMSG},
        {"\n" PRIVATE_TEXT "\n", -EBADMSG},
        {PRIVATE_TEXT "\n" PUBLIC_TEXT "\n", -EBADMSG},
        {"PrivateKey = " PRIVATE_TEXT "\n", -EBADMSG},
    };
    uint8_t key[KEY_LEN], expected[KEY_LEN];
    mode_t mode;
    (void)state;
    assert_true(key_decode(expected, PRIVATE_TEXT, KEY_TEXT_LEN));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put_file(rows[i].text, strlen(rows[i].text));
        assert_int_equal(key_read_file(path, key, &mode), rows[i].result);
        if (rows[i].result == 0)
            assert_memory_equal(key, expected, KEY_LEN);
    }
    put_file(PRIVATE_TEXT "\0", KEY_TEXT_LEN + 1);
    assert_int_equal(key_read_file(path, key, &mode), -EBADMSG);
    (void)unlink(path);
    assert_int_equal(key_read_file(path, key, &mode), -ENOENT);
    assert_int_equal(key_read_file(folder, key, &mode), -EISDIR);
    assert_int_equal(key_read_file("/dev/zero", key, &mode), -EBADMSG);
    assert_int_equal(key_read_fd(-1, key), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_round_trip),     cmocka_unit_test(test_decoding_is_strict), cmocka_unit_test(test_decoding_wipes),
        cmocka_unit_test(test_public_key),          cmocka_unit_test(test_new_keys),           cmocka_unit_test(test_create_file),
        cmocka_unit_test(test_create_through_link), cmocka_unit_test(test_failed_write),       cmocka_unit_test(test_read_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
