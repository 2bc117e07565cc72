// SPDX-License-Identifier: MIT
/*
 * keys: static keys and PSKs as text and in files, the way users of `wg` know them: 32 bytes as 44 characters of base64.
 *
 * Decoding is strict (RFC 4648 alphabet, padding needed, no white space inside, no stray bits), so that one key has one text.
 * Texts and keys that pass through here are wiped from all buffers of this module. Nothing is ever printed.
 */
#ifndef ETHERCORD_KEYS_H
#define ETHERCORD_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { KEY_LEN = 32, KEY_TEXT_LEN = 44, KEY_TEXT_CAP = KEY_TEXT_LEN + 1 };

bool key_decode(uint8_t key[static KEY_LEN], const char *text, size_t len) __attribute__((warn_unused_result));
void key_encode(char text[static KEY_TEXT_CAP], const uint8_t key[static KEY_LEN]);
bool key_is_zero(const uint8_t key[static KEY_LEN]);
bool key_equal(const uint8_t a[static KEY_LEN], const uint8_t b[static KEY_LEN]);

// A new private key, clamped as X25519 does it; a new PSK.
void key_new_private(uint8_t key[static KEY_LEN]);
void key_new_psk(uint8_t key[static KEY_LEN]);
void key_derive_public(uint8_t public_key[static KEY_LEN], const uint8_t private_key[static KEY_LEN]);
// False for the public keys of low order, which give an all-zero Diffie-Hellman result with every private key.
bool key_is_usable_public(const uint8_t public_key[static KEY_LEN], const uint8_t private_key[static KEY_LEN]);

// Reads one line of 44 characters; white space after it is fine. Returns 0, -EBADMSG when it is something else, or negative errno.
int key_read_fd(int fd, uint8_t key[static KEY_LEN]) __attribute__((warn_unused_result));
// The same from a file; `mode` gets its permissions.
int key_read_file(const char *path, uint8_t key[static KEY_LEN], mode_t *mode) __attribute__((warn_unused_result));
// Writes the line to `fd`. Returns 0 or negative errno.
int key_write_fd(int fd, const uint8_t key[static KEY_LEN]) __attribute__((warn_unused_result));
// Creates `path` with mode 0600. Returns 0 or negative errno (-EEXIST: it is there already, and stays as it is).
int key_create_file(const char *path, const uint8_t key[static KEY_LEN]) __attribute__((warn_unused_result));

#endif
