// SPDX-License-Identifier: MIT
/*
 * config: a whole configuration file, its reader of lines first, then its keys. It is understood or there is an error that names a line of
 * the file; what it is not understood leaves no secret behind; the same text gives the same configuration.
 */
#include "../../src/config/ini.h"
#include "ethercord/config.h"
#include "fuzz.h"

#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' && *text != '\t')
            return false;
    return true;
}

static void check_lines(const char *text, size_t len)
{
    static struct ini ini;
    struct ini_event event;
    unsigned line = 0;

    ini_init(&ini, text, len);
    while (ini_next(&ini, &event) != INI_END) {
        ensure(event.line > line && event.line <= len);
        line = event.line;
        if (event.kind == INI_SECTION || event.kind == INI_ENTRY)
            ensure(event.name[0] != '\0' && strlen(event.name) <= INI_LINE_MAX && is_printable(event.name));
        if (event.kind == INI_ENTRY)
            ensure(strlen(event.value) <= INI_LINE_MAX && is_printable(event.value));
        if (event.kind == INI_BAD)
            ensure(event.problem[0] != '\0');
    }
    ini_deinit(&ini);
}

static void check_messages(const struct config_errors *errors)
{
    ensure(errors->n_messages <= CONFIG_MESSAGES_MAX && errors->n_messages <= errors->n_errors + errors->n_warnings);
    for (size_t i = 0; i < errors->n_messages; i++) {
        ensure(memchr(errors->messages[i].text, '\0', CONFIG_MESSAGE_CAP));
        ensure(strncmp(errors->messages[i].text, "fuzz.conf", 9) == 0 && is_printable(errors->messages[i].text));
    }
}

static void check_config(const struct config *config)
{
    ensure(config_is_instance_name(config->name));
    ensure(config->tap.mtu >= TAP_MTU_MIN && config->tap.mtu <= TAP_MTU_MAX && config->tap.n_addresses <= TAP_ADDRESSES_MAX);
    ensure(config->shortcut.n_addresses <= SHORTCUT_ADDRESSES_MAX && config->ciphers != 0);
    ensure(memchr(config->peer.endpoint_host, '\0', HOST_CAP) && memchr(config->tap.name, '\0', IFNAMSIZ));
    ensure(!config->peer.has_endpoint || config->peer.endpoint_port != 0);
}

// Field by field: what lies between them means nothing.
static bool are_same(const struct config *a, const struct config *b)
{
    return strcmp(a->name, b->name) == 0 && key_equal(a->private_key, b->private_key) && key_equal(a->public_key, b->public_key) &&
           a->ciphers == b->ciphers && a->udp.port == b->udp.port && addr_equal(&a->udp.source, &b->udp.source) &&
           strcmp(a->user, b->user) == 0 && strcmp(a->tap.name, b->tap.name) == 0 && a->tap.mtu == b->tap.mtu &&
           a->tap.n_addresses == b->tap.n_addresses && a->shortcut.n_addresses == b->shortcut.n_addresses &&
           key_equal(a->peer.public_key, b->peer.public_key) && key_equal(a->peer.psk, b->peer.psk) &&
           strcmp(a->peer.endpoint_host, b->peer.endpoint_host) == 0 && a->peer.endpoint_port == b->peer.endpoint_port &&
           a->peer.path_mtu == b->peer.path_mtu;
}

// A key file is looked for beside the file that names it, so that it may be understood at one place and not at the other.
static bool names_files(const char *text, size_t len)
{
    for (size_t i = 0; i + 4 <= len; i++)
        if (strncasecmp(text + i, "file", 4) == 0)
            return true;
    return false;
}

// The same text from a file.
static void check_file(const char *text, size_t len, bool is_understood)
{
    static struct config config;
    static struct config_errors errors;
    char path[32];
    int fd = memfd_create("config", MFD_CLOEXEC);

    ensure(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ensure(config_parse_file(path, &config, &errors) == is_understood || names_files(text, len));
    config_deinit(&config);
    close(fd);
}

// Three lines are what `ethercord answer` was told.
static void check_answer(char *text)
{
    static struct config config;
    static struct config_errors errors;
    char *tap = strtok(text, "\n"), *addresses = strtok(NULL, "\n"), *mtu = strtok(NULL, "\n");
    const struct config_answer answer = {.tap = tap ? tap : "", .addresses = addresses ? addresses : "", .mtu = mtu};

    bool is_understood = config_make_answer(&answer, &config, &errors);
    ensure(is_understood == (errors.n_errors == 0) && (!is_understood || config.tap.mtu >= TAP_MTU_MIN));
    config_deinit(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config, again;
    static struct config_errors errors;
    char *text = (char *)fuzz_copy(data, size);

    if (size > 1 && text[0] == '@') {
        text[size - 1] = '\0';
        check_answer(text + 1);
        free(text);
        return 0;
    }
    check_lines(text, size);
    bool is_understood = config_parse_text(text, size, "fuzz.conf", &config, &errors);
    ensure(is_understood == (errors.n_errors == 0));
    check_messages(&errors);
    if (size % 8 == 0) // the file system is slow
        check_file(text, size, is_understood);
    if (is_understood) {
        check_config(&config);
        ensure(config_parse_text(text, size, "fuzz.conf", &again, &errors) && are_same(&config, &again));
        config_deinit(&again);
    } else {
        ensure(sodium_is_zero(config.private_key, KEY_LEN) && sodium_is_zero(config.peer.psk, KEY_LEN));
    }
    config_deinit(&config);
    free(text);
    return 0;
}
