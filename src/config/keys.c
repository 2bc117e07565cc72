// SPDX-License-Identifier: MIT
/*
 * keys: see keys.h. read(2) and write(2) only: stdio would keep copies of keys in buffers that nobody wipes.
 */
#include "ethercord/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

_Static_assert(KEY_LEN == crypto_scalarmult_curve25519_BYTES, "a public key is one of X25519");
_Static_assert(KEY_LEN == crypto_scalarmult_curve25519_SCALARBYTES, "a private key is one of X25519");
_Static_assert(KEY_TEXT_CAP == sodium_base64_ENCODED_LEN(KEY_LEN, sodium_base64_VARIANT_ORIGINAL), "base64 length of a key");

enum { KEY_READ_CAP = 256 }; // a key, its newline, and enough more to see that there is more

// Returns the number of bytes read until the end of the file or of the room, or negative errno.
static ssize_t read_all(int fd, char *out, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t n = read(fd, out + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

static size_t trimmed_len(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1] != '\0')
        len--;
    return len;
}

bool key_decode(uint8_t key[static KEY_LEN], const char *text, size_t len)
{
    size_t key_len = 0;
    const char *end = NULL;
    char again[KEY_TEXT_CAP] = "";
    if (len != KEY_TEXT_LEN)
        return false;
    int result = sodium_base642bin(key, KEY_LEN, text, len, NULL, &key_len, &end, sodium_base64_VARIANT_ORIGINAL);
    bool is_right = result == 0 && key_len == KEY_LEN && end == text + len;
    // libsodium 1.0.18 takes some bytes above 0x7f for digits: the text has to be the one that the key has.
    if (is_right)
        key_encode(again, key);
    is_right = is_right && sodium_memcmp(again, text, KEY_TEXT_LEN) == 0;
    sodium_memzero(again, sizeof again);
    if (!is_right)
        sodium_memzero(key, KEY_LEN);
    return is_right;
}

void key_encode(char text[static KEY_TEXT_CAP], const uint8_t key[static KEY_LEN])
{
    sodium_bin2base64(text, KEY_TEXT_CAP, key, KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
}

bool key_is_zero(const uint8_t key[static KEY_LEN])
{
    return sodium_is_zero(key, KEY_LEN) == 1;
}

bool key_equal(const uint8_t a[static KEY_LEN], const uint8_t b[static KEY_LEN])
{
    return sodium_memcmp(a, b, KEY_LEN) == 0;
}

void key_new_private(uint8_t key[static KEY_LEN])
{
    randombytes_buf(key, KEY_LEN);
    key[0] &= 248;
    key[31] = (uint8_t)((key[31] & 127) | 64);
}

void key_new_psk(uint8_t key[static KEY_LEN])
{
    randombytes_buf(key, KEY_LEN);
}

void key_derive_public(uint8_t public_key[static KEY_LEN], const uint8_t private_key[static KEY_LEN])
{
    // Fails for no scalar: the base point is not of low order.
    (void)crypto_scalarmult_curve25519_base(public_key, private_key);
}

bool key_is_usable_public(const uint8_t public_key[static KEY_LEN], const uint8_t private_key[static KEY_LEN])
{
    uint8_t shared[KEY_LEN];
    bool is_usable = crypto_scalarmult_curve25519(shared, private_key, public_key) == 0;
    sodium_memzero(shared, sizeof(shared));
    return is_usable;
}

int key_read_fd(int fd, uint8_t key[static KEY_LEN])
{
    char text[KEY_READ_CAP];
    ssize_t len = read_all(fd, text, sizeof(text));
    int result = len < 0 ? (int)len : 0;
    if (result == 0 && !key_decode(key, text, trimmed_len(text, (size_t)len)))
        result = -EBADMSG;
    sodium_memzero(text, sizeof(text));
    return result;
}

int key_read_file(const char *path, uint8_t key[static KEY_LEN], mode_t *mode)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int result = fstat(fd, &st) < 0 ? -errno : key_read_fd(fd, key);
    if (result == 0)
        *mode = st.st_mode & 07777;
    close(fd);
    return result;
}

int key_write_fd(int fd, const uint8_t key[static KEY_LEN])
{
    char text[KEY_TEXT_CAP];
    key_encode(text, key);
    text[KEY_TEXT_LEN] = '\n';
    int result = write_all(fd, text, sizeof(text));
    sodium_memzero(text, sizeof(text));
    return result;
}

int key_create_file(const char *path, const uint8_t key[static KEY_LEN])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int result = key_write_fd(fd, key);
    // Half a key is worse than none, and would be in the way of the next attempt.
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result < 0)
        (void)unlink(path);
    return result;
}
