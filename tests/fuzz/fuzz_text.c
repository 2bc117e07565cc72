// SPDX-License-Identifier: MIT
/*
 * text: the short texts that people and files give us: keys in base64, addresses, prefixes, names. What is understood has one meaning:
 * written down again and read again it is the same.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ethercord/addr.h"
#include "ethercord/aead.h"
#include "fuzz.h"

#include "ethercord/config.h"
#include "ethercord/keys.h"
#include "ethercord/suggest.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    uint8_t psk[KEY_LEN], again[KEY_LEN];
    (void)argc;
    (void)argv;

    key_new_psk(psk);
    key_new_psk(again);
    ensure(!key_equal(psk, again) && !key_is_zero(psk));
    return 0;
}

static void check_key(const char *text, size_t len)
{
    uint8_t key[KEY_LEN];
    char again[KEY_TEXT_CAP];

    if (!key_decode(key, text, len))
        return;
    key_encode(again, key);
    ensure(len == KEY_TEXT_LEN && memcmp(again, text, len) == 0); // one key has one text
    (void)key_is_usable_public(key, key);
    ensure(key_equal(key, key));
}

// The same from a file, and written to one.
static void check_key_file(const char *text, size_t len)
{
    uint8_t key[KEY_LEN], again[KEY_LEN];
    char path[32];
    mode_t mode;
    int fd = memfd_create("key", MFD_CLOEXEC);

    ensure(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (key_read_file(path, key, &mode) == 0) {
        ensure(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 && key_write_fd(fd, key) == 0);
        ensure(key_create_file("key.new", key) == 0 && key_create_file("key.new", key) == -EEXIST && unlink("key.new") == 0);
        ensure(lseek(fd, 0, SEEK_SET) == 0 && key_read_fd(fd, again) == 0 && key_equal(key, again));
    }
    close(fd);
}

static void check_addr(const char *text)
{
    char written[ADDR_TEXT_CAP], ip[ADDR_TEXT_CAP];
    struct addr addr, again;
    struct sockaddr_storage sa;

    if (!addr_parse_ip(text, &addr))
        return;
    ensure((addr.family == AF_INET || addr.family == AF_INET6) && addr.port == 0);
    addr_format(&addr, written);
    const char *first = written[0] == '[' ? written + 1 : written, *end = strrchr(written, addr.family == AF_INET ? ':' : ']');
    ensure(end);
    memcpy(ip, first, (size_t)(end - first));
    ip[end - first] = '\0';
    ensure(addr_parse_ip(ip, &again) && addr_equal(&addr, &again));
    socklen_t len = addr_to_sockaddr(&addr, &sa);
    ensure(addr_from_sockaddr(&again, (const struct sockaddr *)&sa, len) && addr_equal(&addr, &again));
}

static void check_cidr(const char *text)
{
    char written[CIDR_TEXT_CAP];
    struct cidr cidr, again;

    if (!cidr_parse(text, &cidr))
        return;
    ensure(cidr.prefix_len <= 8 * addr_ip_len(cidr.family));
    ensure(cidr_parse(cidr_format(&cidr, written), &again) && memcmp(&cidr, &again, sizeof cidr) == 0);
}

static void check_sockaddr(const uint8_t *bytes, size_t len)
{
    struct sockaddr_storage *sa = calloc(1, sizeof *sa);
    struct addr addr, again;

    if (!sa)
        abort();
    len = len < sizeof *sa ? len : sizeof *sa;
    memcpy(sa, bytes, len);
    if (addr_from_sockaddr(&addr, (const struct sockaddr *)sa, (socklen_t)len)) {
        struct sockaddr_storage out;
        socklen_t out_len = addr_to_sockaddr(&addr, &out);
        ensure(addr_from_sockaddr(&again, (const struct sockaddr *)&out, out_len) && addr_equal(&addr, &again));
        ensure(addr_equal_ip(&addr, &again) && addr_is_unicast(&addr) == addr_is_unicast(&again));
        char written[ADDR_TEXT_CAP];
        ensure(strlen(addr_format(&addr, written)) < sizeof written);
    }
    free(sa);
}

static void check_names(const char *text)
{
    static const char *const words[] = {"ListenPort", "PrivateKey", "Endpoint", "status"};
    struct suggestion suggestion;
    enum log_level level;
    enum cipher cipher;

    if (cipher_parse(text, &cipher))
        ensure(strcmp(cipher_name(cipher), text) == 0);
    (void)log_level_parse(text, &level);
    ensure(!config_is_instance_name(text) || strlen(text) < INSTANCE_NAME_CAP);
    suggest_init(&suggestion, text);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        suggest_offer(&suggestion, words[i]);
    ensure(!suggestion.best || suggestion.distance <= SUGGEST_DISTANCE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = fuzz_copy(data, size);
    char *text = malloc(size + 1);

    if (!text)
        abort();
    memcpy(text, bytes, size);
    text[size] = '\0';
    check_key((const char *)bytes, size);
    check_key_file((const char *)bytes, size);
    check_sockaddr(bytes, size);
    check_addr(text);
    check_cidr(text);
    check_names(text);
    free(text);
    free(bytes);
    return 0;
}
