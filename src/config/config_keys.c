// SPDX-License-Identifier: MIT
/*
 * config_keys: see config_keys.h. A setter validates the whole value before it writes the field, and never quotes it in a message, except
 * for overlay addresses, which are in their canonical form by then.
 */
#include "config_keys.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ethercord/aead.h"
#include "ethercord/fragment.h"
#include "ethercord/frame.h"

static const char *const carrier_choices[] = {"always", "peer-up", NULL};
static const char *const answer_choices[] = {"always", "peer-up", NULL};
static const char *const tap_offload_choices[] = {"off", "checksum", "full", NULL};
static const char *const udp_offload_choices[] = {"on", "off", NULL};
static const char *const yes_choices[] = {"no", "yes", NULL};
_Static_assert(METRICS_REMOTE_NO == 0 && METRICS_REMOTE_YES == 1, "order of yes_choices");
_Static_assert(TAP_CARRIER_ALWAYS == 0 && TAP_CARRIER_PEER_UP == 1, "order of carrier_choices");
_Static_assert(SHORTCUT_ANSWER_ALWAYS == 0 && SHORTCUT_ANSWER_PEER_UP == 1, "order of answer_choices");
_Static_assert(TAP_OFFLOAD_OFF == 0 && TAP_OFFLOAD_CHECKSUM == 1 && TAP_OFFLOAD_FULL == 2, "order of tap_offload_choices");
_Static_assert(UDP_OFFLOAD_ON == 0 && UDP_OFFLOAD_OFF == 1, "order of udp_offload_choices");

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 10 || text[len] != '\0')
        return false;
    *out = strtoul(text, NULL, 10);
    return *out >= min && *out <= max;
}

// What the kernel takes as the name of a network interface; `%` is left out, for the kernel would put a number there.
static bool is_interface_name(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len >= IFNAMSIZ || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("/:%", text[i]))
            return false;
    }
    return true;
}

bool config_is_loopback(uint16_t family, const uint8_t *ip)
{
    static const uint8_t v6_loopback[IPV6_LEN] = {[15] = 1};
    return family == AF_INET ? ip[0] == 127 : memcmp(ip, v6_loopback, IPV6_LEN) == 0;
}

// Multicast, reserved (IPv4 from 224 on: RFC 5771, RFC 1112 section 4) and IPv4 in IPv6's clothing (RFC 4291 section 2.5.5.2).
static bool is_unicast(uint16_t family, const uint8_t *ip)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (sodium_is_zero(ip, addr_ip_len(family)))
        return false;
    if (family == AF_INET)
        return ip[0] != 0 && ip[0] < 224;
    return ip[0] != 0xff && memcmp(ip, v4_mapped, sizeof(v4_mapped)) != 0;
}

// Whether all bits behind the prefix are `bit`.
static bool are_host_bits(const struct cidr *cidr, unsigned bit)
{
    unsigned n_bits = (unsigned)addr_ip_len(cidr->family) * 8;
    for (unsigned i = cidr->prefix_len; i < n_bits; i++) {
        if (((unsigned)cidr->ip[i / 8] >> (7 - i % 8) & 1U) != bit)
            return false;
    }
    return true;
}

// What keeps the address from being a host's, or NULL. Networks of one or two addresses have no others (RFC 3021, RFC 6164).
static const char *host_address_problem(const struct cidr *cidr)
{
    unsigned n_bits = (unsigned)addr_ip_len(cidr->family) * 8;
    if (!is_unicast(cidr->family, cidr->ip))
        return "is no unicast address";
    if (config_is_loopback(cidr->family, cidr->ip))
        return "is a loopback address";
    if (cidr->prefix_len + 2U > n_bits)
        return NULL;
    if (are_host_bits(cidr, 0))
        return "is the address of the network itself";
    if (cidr->family == AF_INET && are_host_bits(cidr, 1))
        return "is the network's broadcast address";
    return NULL;
}

static bool is_host_label(const char *text, size_t len)
{
    if (len == 0 || len > 63 || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_letter_or_digit(text[i]) && text[i] != '-' && text[i] != '_')
            return false;
    }
    return true;
}

// A name by the rules of DNS. One that ends in a number would be taken for an old spelling of an IPv4 address ("10.1" is 10.0.0.1).
static bool is_host_name(const char *text)
{
    size_t len = strlen(text);
    const char *at = text;
    size_t label_len;
    if (len == 0 || len > 253)
        return false;
    for (;;) {
        label_len = strcspn(at, ".");
        if (!is_host_label(at, label_len))
            return false;
        if (at[label_len] == '\0' || at[label_len + 1] == '\0')
            break;
        at += label_len + 1;
    }
    return strspn(at, "0123456789") < label_len;
}

static bool is_ip_endpoint(const char *text, uint16_t family)
{
    struct addr addr;
    return addr_parse_ip(text, &addr) && addr.family == family && is_unicast(addr.family, addr.ip);
}

// An IPv6 address, perhaps with a scope ("fe80::1%eth0") that is looked up later.
static bool is_ipv6_host(const char *text)
{
    char ip[ADDR_TEXT_CAP];
    size_t len = strcspn(text, "%");
    if (len >= sizeof(ip) || (text[len] == '%' && !is_interface_name(text + len + 1)))
        return false;
    memcpy(ip, text, len);
    ip[len] = '\0';
    return is_ip_endpoint(ip, AF_INET6);
}

static void *field_of(struct config_parse *parse, size_t offset)
{
    return (char *)parse->config + offset;
}

static enum set_result set_number(struct config_parse *parse, const struct config_key *key, const char *value)
{
    unsigned long number;
    if (!parse_number(value, key->min, key->max, &number))
        return SET_BAD;
    *(uint16_t *)field_of(parse, key->offset) = (uint16_t)number;
    return SET_OK;
}

static enum set_result set_number_or_off(struct config_parse *parse, const struct config_key *key, const char *value)
{
    return set_number(parse, key, strcasecmp(value, "off") == 0 ? "0" : value);
}

static enum set_result set_number_or_auto(struct config_parse *parse, const struct config_key *key, const char *value)
{
    if (strcasecmp(value, "auto") != 0)
        return set_number(parse, key, value);
    *(uint16_t *)field_of(parse, key->offset) = 0;
    return SET_OK;
}

static enum set_result set_fwmark(struct config_parse *parse, const struct config_key *key, const char *value)
{
    unsigned long number;
    if (strncasecmp(value, "0x", 2) == 0) {
        size_t len = strspn(value + 2, "0123456789abcdefABCDEF");
        if (len == 0 || len > 8 || value[2 + len] != '\0')
            return SET_BAD;
        number = strtoul(value, NULL, 16);
    } else if (!parse_number(value, 0, UINT32_MAX, &number)) {
        return SET_BAD;
    }
    *(uint32_t *)field_of(parse, key->offset) = (uint32_t)number;
    return SET_OK;
}

static enum set_result set_choice(struct config_parse *parse, const struct config_key *key, const char *value)
{
    for (unsigned i = 0; key->choices[i]; i++) {
        if (strcasecmp(value, key->choices[i]) == 0) {
            *(unsigned *)field_of(parse, key->offset) = i;
            return SET_OK;
        }
    }
    return SET_BAD;
}
_Static_assert(sizeof(enum tap_carrier) == sizeof(unsigned) && sizeof(enum shortcut_answer) == sizeof(unsigned), "set_choice");
_Static_assert(sizeof(enum tap_offload) == sizeof(unsigned) && sizeof(enum udp_offload) == sizeof(unsigned), "set_choice");

static enum set_result set_log_level(struct config_parse *parse, const struct config_key *key, const char *value)
{
    enum log_level level;
    if (!log_level_parse(value, &level))
        return SET_BAD;
    *(enum log_level *)field_of(parse, key->offset) = level;
    return SET_OK;
}

static enum set_result set_cipher(struct config_parse *parse, const struct config_key *key, const char *value)
{
    uint16_t *ciphers = field_of(parse, key->offset);
    enum cipher cipher;
    if (strcasecmp(value, "auto") == 0) {
        *ciphers = ciphers_available();
        return SET_OK;
    }
    if (!cipher_parse(value, &cipher) || cipher == CIPHER_NONE)
        return SET_BAD;
    if (!cipher_is_available(cipher)) {
        config_report(parse, "Cipher: this CPU has no instructions for %s; expected auto or chacha20-poly1305", cipher_name(cipher));
        return SET_REPORTED;
    }
    *ciphers = (uint16_t)(1U << cipher);
    return SET_OK;
}

static enum set_result set_interface(struct config_parse *parse, const struct config_key *key, const char *value)
{
    if (!is_interface_name(value))
        return SET_BAD;
    memcpy(field_of(parse, key->offset), value, strlen(value) + 1);
    return SET_OK;
}

// Of a user or a group. useradd and groupadd refuse names of digits alone, and a number is not looked up.
static enum set_result set_group(struct config_parse *parse, const struct config_key *key, const char *value)
{
    size_t len = strlen(value);
    if (len == 0 || len >= USER_NAME_CAP || value[0] == '-' || value[0] == '.' || strspn(value, "0123456789") == len)
        return SET_BAD;
    for (size_t i = 0; i < len; i++) {
        if (!is_letter_or_digit(value[i]) && !strchr("._-", value[i]))
            return SET_BAD;
    }
    memcpy(field_of(parse, key->offset), value, len + 1);
    return SET_OK;
}

static enum set_result set_user(struct config_parse *parse, const struct config_key *key, const char *value)
{
    return strcmp(value, "root") == 0 ? SET_BAD : set_group(parse, key, value);
}

static enum set_result set_source(struct config_parse *parse, const struct config_key *key, const char *value)
{
    struct addr addr;
    if (!addr_parse_ip(value, &addr) || !is_unicast(addr.family, addr.ip))
        return SET_BAD;
    *(struct addr *)field_of(parse, key->offset) = addr;
    parse->config->udp.family = addr.family;
    return SET_OK;
}

static bool has_ip(const struct cidr *list, size_t n, const struct cidr *cidr)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].family == cidr->family && memcmp(list[i].ip, cidr->ip, IPV6_LEN) == 0)
            return true;
    }
    return false;
}

// Parses the item of `len` characters and puts it behind the others.
static enum set_result add_cidr(struct config_parse *parse, const struct config_key *key, const char *item, size_t len)
{
    struct cidr *list = field_of(parse, key->offset);
    size_t *n = field_of(parse, key->count_offset);
    char text[CIDR_TEXT_CAP];
    struct cidr cidr;
    while (len > 0 && (item[len - 1] == ' ' || item[len - 1] == '\t'))
        len--;
    if (len >= sizeof(text))
        return SET_BAD;
    memcpy(text, item, len);
    text[len] = '\0';
    memset(&cidr, 0, sizeof(cidr));
    if (!cidr_parse(text, &cidr))
        return SET_BAD;

    const char *problem = host_address_problem(&cidr);
    if (!problem && has_ip(list, *n, &cidr))
        problem = "is in the list twice";
    if (!problem && *n == key->max)
        problem = "is one more than there is room for";
    if (problem) {
        config_report(parse, "%s: %s %s; expected %s", key->name, cidr_format(&cidr, text), problem, key->expected);
        return SET_REPORTED;
    }
    list[(*n)++] = cidr;
    return SET_OK;
}

static enum set_result set_cidrs(struct config_parse *parse, const struct config_key *key, const char *value)
{
    enum set_result result = SET_OK;
    for (const char *at = value; result == SET_OK;) {
        at += strspn(at, " \t");
        size_t len = strcspn(at, ",");
        result = add_cidr(parse, key, at, len);
        if (at[len] == '\0')
            break;
        at += len + 1;
    }
    if (result != SET_OK)
        *(size_t *)field_of(parse, key->count_offset) = 0;
    return result;
}

// Says so if the key can't be one.
static bool take_key(struct config_parse *parse, const struct config_key *key, const uint8_t value[static KEY_LEN])
{
    if (key_is_zero(value)) {
        config_report(parse, "%s: the key is all zeros; expected %s", key->name, key->expected);
        return false;
    }
    memcpy(field_of(parse, key->offset), value, KEY_LEN);
    if (key->count_offset)
        *(bool *)field_of(parse, key->count_offset) = true;
    return true;
}

static enum set_result set_key(struct config_parse *parse, const struct config_key *key, const char *value)
{
    uint8_t bytes[KEY_LEN];
    if (!key_decode(bytes, value, strlen(value)))
        return SET_BAD;
    bool is_taken = take_key(parse, key, bytes);
    sodium_memzero(bytes, sizeof(bytes));
    return is_taken ? SET_OK : SET_REPORTED;
}

// Relative paths start at the folder of the configuration file. To be freed; NULL = no memory.
static char *key_file_path(const char *config_file, const char *value)
{
    const char *slash = strrchr(config_file, '/');
    char *path = NULL;
    if (value[0] == '/' || !slash)
        return strdup(value);
    if (asprintf(&path, "%.*s/%s", (int)(slash - config_file), config_file, value) < 0)
        return NULL;
    return path;
}

// A key in the place of its file's name must not come back in the message that there is no such file.
static bool looks_like_key(const char *value)
{
    const char *name = strrchr(value, '/');
    size_t len = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
    return value[len] == '\0' && len >= 40 && len <= 48 && (!name || strchr(value, '='));
}

// The same for a key with something before or behind it. A long path without dots and dashes is not said again either; its line is.
static bool may_hold_key(const char *value)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    for (const char *at = value; *at; at++) {
        size_t len = strspn(at, alphabet);
        if (len >= 32)
            return true;
        at += len;
        if (*at == '\0')
            break;
    }
    return false;
}

static enum set_result read_key(struct config_parse *parse, const struct config_key *key, const char *value)
{
    uint8_t bytes[KEY_LEN];
    mode_t mode = 0;
    char *path = key_file_path(parse->file, value);
    if (!path) {
        config_report(parse, "%s: out of memory", key->name);
        return SET_REPORTED;
    }
    const char *shown = may_hold_key(value) ? "the file" : path;
    int result = key_read_file(path, bytes, &mode);
    bool is_taken = false;
    if (result == -EBADMSG)
        config_report(parse, "%s: %s holds no key; expected one line of 44 characters of base64", key->name, shown);
    else if (result < 0)
        config_report(parse, "%s: %s can't be read: %s", key->name, shown, strerror(-result));
    else
        is_taken = take_key(parse, key, bytes);
    if (is_taken && mode & 0077)
        config_warn(parse, "%s: others than the owner have access to %s (mode %04o); expected mode 0600", key->name, shown, (unsigned)mode);
    sodium_memzero(bytes, sizeof(bytes));
    free(path);
    return is_taken ? SET_OK : SET_REPORTED;
}

static enum set_result set_key_file(struct config_parse *parse, const struct config_key *key, const char *value)
{
    if (*value == '\0')
        return SET_BAD;
    if (looks_like_key(value)) {
        config_report(parse, "%s: this looks like a key itself; expected %s", key->name, key->expected);
        return SET_REPORTED;
    }
    return read_key(parse, key, value);
}

// Splits "host:port", "[v6]:port" and both without a port. `host` takes what stands before the port, without brackets.
static bool split_endpoint(const char *value, char host[static HOST_CAP], const char **port)
{
    bool has_brackets = value[0] == '[';
    size_t len = strcspn(value + has_brackets, has_brackets ? "]" : ":");
    const char *end = value + has_brackets + len;
    if (len >= HOST_CAP || (has_brackets && *end++ != ']'))
        return false;
    memcpy(host, value + has_brackets, len);
    host[len] = '\0';
    if (*end != '\0' && *end != ':')
        return false;
    *port = *end == ':' ? end + 1 : NULL;
    return true;
}

static enum set_result set_endpoint(struct config_parse *parse, const struct config_key *key, const char *value)
{
    struct peer_settings *peer = &parse->config->peer;
    char host[HOST_CAP];
    const char *port_text = NULL;
    unsigned long port = PORT_DEFAULT;
    (void)key;
    if (!split_endpoint(value, host, &port_text) || (port_text && !parse_number(port_text, 1, UINT16_MAX, &port)))
        return SET_BAD;
    bool is_host = value[0] == '[' ? is_ipv6_host(host) : is_ip_endpoint(host, AF_INET) || is_host_name(host);
    if (!is_host)
        return SET_BAD;
    memcpy(peer->endpoint_host, host, sizeof(host));
    peer->endpoint_port = (uint16_t)port;
    peer->has_endpoint = true;
    return SET_OK;
}

// `min` is the event.
static enum set_result set_hook(struct config_parse *parse, const struct config_key *key, const char *value)
{
    struct hook_settings *hooks = &parse->config->hooks;
    size_t len = strlen(value);
    if (len == 0 || len >= HOOK_COMMAND_CAP)
        return SET_BAD;
    if (hooks->n == HOOKS_MAX) {
        config_report(parse, "%s: one hook more than there is room for; expected up to %d in all", key->name, HOOKS_MAX);
        return SET_REPORTED;
    }
    if (strstr(value, "%i"))
        config_warn(parse, "%s: %%i is not replaced here, as wg-quick does it; expected $ETHERCORD_TAP", key->name);
    struct hook *hook = &hooks->at[hooks->n++];
    hook->event = key->min;
    memcpy(hook->command, value, len + 1);
    return SET_OK;
}

static enum set_result set_hook_timeout(struct config_parse *parse, const struct config_key *key, const char *value)
{
    unsigned long number;
    if (!parse_number(value, key->min, key->max, &number))
        return SET_BAD;
    parse->config->hooks.timeout_s = (uint32_t)number;
    return SET_OK;
}

// Where to listen: an address and no name, which may also be the unspecified one: all addresses.
static enum set_result set_listen(struct config_parse *parse, const struct config_key *key, const char *value)
{
    char host[HOST_CAP];
    const char *port_text = NULL;
    unsigned long port = METRICS_PORT_DEFAULT;
    struct addr addr;
    if (!split_endpoint(value, host, &port_text) || (port_text && !parse_number(port_text, 1, UINT16_MAX, &port)) ||
        !addr_parse_ip(host, &addr) || (value[0] == '[') != (addr.family == AF_INET6))
        return SET_BAD;
    if (!sodium_is_zero(addr.ip, sizeof addr.ip) && !is_unicast(addr.family, addr.ip))
        return SET_BAD;
    addr.port = (uint16_t)port;
    *(struct addr *)field_of(parse, key->offset) = addr;
    return SET_OK;
}

static enum set_result set_host_name(struct config_parse *parse, const struct config_key *key, const char *value)
{
    if (!is_host_name(value))
        return SET_BAD;
    memcpy(field_of(parse, key->offset), value, strlen(value) + 1);
    return SET_OK;
}

#define FIELD(path) .offset = offsetof(struct config, path), .size = sizeof(((struct config *)NULL)->path)
#define COUNT(path) .count_offset = offsetof(struct config, path)
#define KEY_FORM "a key: 44 characters of base64"
#define KEY_FILE_FORM "the name of a file with a key in it"
#define INTERFACE_FORM "the name of a network interface: 1 to 15 characters"
#define COMMAND_FORM "a command for /bin/sh; may be there several times"
#define CIDRS_FORM "up to 8 addresses of hosts, with commas between them, as 10.9.0.1/24, fd00:9::1/64"

const char *const config_section_names[SECTION_COUNT] = {"Node", "Tap", "Shortcut", "Metrics", "Peer"};

const struct config_key config_keys[KEY_COUNT] = {
    [KEY_PRIVATE_KEY] = {SECTION_NODE, "PrivateKey", set_key, FIELD(private_key), .expected = KEY_FORM,
                         .help = "the node's own key; this or PrivateKeyFile is needed"},
    [KEY_PRIVATE_KEY_FILE] = {SECTION_NODE, "PrivateKeyFile", set_key_file, FIELD(private_key), .expected = KEY_FILE_FORM,
                              .help = "file with the node's own key, relative to this file's folder"},
    [KEY_LISTEN_PORT] = {SECTION_NODE, "ListenPort", set_number, FIELD(udp.port), .min = 0, .max = 65535,
                         .expected = "a UDP port, 0 to 65535 (0 = any)", .default_text = "36160", .help = "UDP port to receive at"},
    [KEY_CIPHER] = {SECTION_NODE, "Cipher", set_cipher, .is_live = true, FIELD(ciphers),
                    .expected = "auto, aes-256-gcm or chacha20-poly1305", .default_text = "auto", .help = "data ciphers to allow"},
    [KEY_FW_MARK] = {SECTION_NODE, "FwMark", set_fwmark, FIELD(udp.fwmark),
                     .expected = "a number of 32 bits, decimal or with 0x (0 = none)", .default_text = "0",
                     .help = "mark of outgoing datagrams, for routing rules"},
    [KEY_BIND_INTERFACE] = {SECTION_NODE, "BindInterface", set_interface, FIELD(udp.interface), .expected = INTERFACE_FORM,
                            .help = "send and receive datagrams on this interface only"},
    [KEY_SOURCE_ADDRESS] = {SECTION_NODE, "SourceAddress", set_source, FIELD(udp.source),
                            .expected = "an IPv4 or IPv6 address of this machine, without prefix or port",
                            .help = "send from and receive at this address only"},
    [KEY_LOG_LEVEL] = {SECTION_NODE, "LogLevel", set_log_level, .is_live = true, FIELD(log_level),
                       .expected = "error, warning, info or debug", .default_text = "info", .help = "how much to tell"},
    [KEY_USER] = {SECTION_NODE, "User", set_user, FIELD(user), .expected = "the name of an unprivileged user", .default_text = "nobody",
                  .help = "the user that the worker becomes"},
    [KEY_CONTROL_GROUP] = {SECTION_NODE, "ControlGroup", set_group, FIELD(control_group), .expected = "the name of a group",
                           .default_text = "ethercord", .help = "the group that may use the control socket, besides root"},
    [KEY_TAP_OFFLOAD] = {SECTION_NODE, "TapOffload", set_choice, FIELD(tap.offload), .choices = tap_offload_choices,
                         .expected = "full, checksum or off", .default_text = "full",
                         .help = "what the kernel leaves to us and takes from us undone at the TAP"},
    [KEY_UDP_OFFLOAD] = {SECTION_NODE, "UdpOffload", set_choice, FIELD(udp.offload), .choices = udp_offload_choices,
                         .expected = "on or off", .default_text = "on", .help = "send and receive trains of datagrams in one call"},
    [KEY_REASSEMBLY_MEMORY] = {SECTION_NODE, "ReassemblyMemory", set_number, FIELD(reassembly_memory_kib),
                               .min = REASSEMBLY_MEMORY_MIN / 1024, .max = REASSEMBLY_MEMORY_MAX / 1024,
                               .expected = "a number of KiB, 128 to 65535", .default_text = "1024",
                               .help = "memory for frames that have come in part"},
    [KEY_REASSEMBLY_TIMEOUT] = {SECTION_NODE, "ReassemblyTimeout", set_number, .is_live = true, FIELD(reassembly_timeout_ms),
                                .min = REASSEMBLY_TIMEOUT_MS_MIN, .max = REASSEMBLY_TIMEOUT_MS_MAX, .expected = "milliseconds, 10 to 60000",
                                .default_text = "1000", .help = "how long such a frame is waited for"},
    [KEY_POST_UP] = {SECTION_NODE, "PostUp", set_hook, .is_command = true, .min = HOOK_POST_UP, .expected = COMMAND_FORM,
                     .help = "run when the node is up; when it fails the node ends"},
    [KEY_PRE_DOWN] = {SECTION_NODE, "PreDown", set_hook, .is_command = true, .min = HOOK_PRE_DOWN, .expected = COMMAND_FORM,
                      .help = "run before anything is undone at the end"},
    [KEY_HOOK_TIMEOUT] = {SECTION_NODE, "HookTimeout", set_hook_timeout, FIELD(hooks.timeout_s), .min = 1, .max = HOOK_TIMEOUT_S_MAX,
                          .expected = "seconds, 1 to 3600", .default_text = "10", .help = "how long each hook may take"},
    [KEY_TAP_NAME] = {SECTION_TAP, "Name", set_interface, FIELD(tap.name), .expected = INTERFACE_FORM, .default_text = "cord0",
                      .help = "name of the TAP interface"},
    [KEY_TAP_MTU] = {SECTION_TAP, "MTU", set_number, FIELD(tap.mtu), .min = TAP_MTU_MIN, .max = TAP_MTU_MAX,
                     .expected = "a number, 576 to 9000", .default_text = "1500", .help = "MTU of the TAP"},
    [KEY_TAP_BRIDGE] = {SECTION_TAP, "Bridge", set_interface, FIELD(tap.bridge), .expected = INTERFACE_FORM,
                        .help = "bridge that the TAP joins"},
    [KEY_TAP_ADDRESS] = {SECTION_TAP, "Address", set_cidrs, FIELD(tap.addresses), COUNT(tap.n_addresses), .max = TAP_ADDRESSES_MAX,
                         .expected = CIDRS_FORM, .help = "the kernel's own addresses on the TAP"},
    [KEY_TAP_CARRIER] = {SECTION_TAP, "Carrier", set_choice, .is_live = true, FIELD(tap.carrier), .choices = carrier_choices,
                         .expected = "always or peer-up", .default_text = "always", .help = "when the TAP has carrier"},
    [KEY_TAP_QUEUE_LENGTH] = {SECTION_TAP, "QueueLength", set_number, FIELD(tap.queue_len), .min = 1, .max = 65535,
                              .expected = "a number of frames, 1 to 65535", .default_text = "256",
                              .help = "frames that wait in the TAP at the most; the kernel drops the rest"},
    [KEY_SHORTCUT_ADDRESS] = {SECTION_SHORTCUT, "Address", set_cidrs, .is_live = true, FIELD(shortcut.addresses),
                              COUNT(shortcut.n_addresses), .max = SHORTCUT_ADDRESSES_MAX, .expected = CIDRS_FORM,
                              .help = "addresses that the node itself answers for"},
    [KEY_SHORTCUT_ANSWER] = {SECTION_SHORTCUT, "Answer", set_choice, .is_live = true, FIELD(shortcut.answer), .choices = answer_choices,
                             .expected = "always or peer-up", .default_text = "always", .help = "when to answer on the side of the TAP"},
    [KEY_METRICS_LISTEN] = {SECTION_METRICS, "Listen", set_listen, FIELD(metrics.listen),
                            .expected = "an IPv4 address:port or [IPv6 address]:port, port 1 to 65535 (without one: 9036)",
                            .help = "where metrics and the status page are served; without it they are not"},
    [KEY_METRICS_ALLOW_REMOTE] = {SECTION_METRICS, "AllowRemote", set_choice, FIELD(metrics.allow_remote), .choices = yes_choices,
                                  .expected = "yes or no", .default_text = "no",
                                  .help = "whether Listen may be an address that other machines reach"},
    [KEY_METRICS_HOST_NAME] = {SECTION_METRICS, "HostName", set_host_name, FIELD(metrics.host_name),
                               .expected = "a name of this machine, as browsers are told it",
                               .help = "a name for the page, besides its addresses and localhost"},
    [KEY_PEER_PUBLIC_KEY] = {SECTION_PEER, "PublicKey", set_key, .is_live = true, FIELD(peer.public_key), .expected = KEY_FORM,
                             .help = "the peer's key; needed"},
    [KEY_PEER_PRESHARED_KEY] = {SECTION_PEER, "PresharedKey", set_key, .is_live = true, FIELD(peer.psk), COUNT(peer.has_psk),
                                .expected = KEY_FORM, .help = "a PSK mixed into the handshake, the same at both ends"},
    [KEY_PEER_PRESHARED_KEY_FILE] = {SECTION_PEER, "PresharedKeyFile", set_key_file, .is_live = true, FIELD(peer.psk), COUNT(peer.has_psk),
                                     .expected = KEY_FILE_FORM, .help = "file with the PSK, relative to this file's folder"},
    [KEY_PEER_ENDPOINT] = {SECTION_PEER, "Endpoint", set_endpoint, .is_live = true, FIELD(peer.endpoint_host),
                           .expected = "name:port, address:port or [IPv6 address]:port, port 1 to 65535 (without one: 36160)",
                           .help = "where the peer is; needed at one end at least"},
    [KEY_PEER_PERSISTENT_KEEPALIVE] = {SECTION_PEER, "PersistentKeepalive", set_number_or_off, .is_live = true,
                                       FIELD(peer.persistent_keepalive_s), .min = 0, .max = 65535,
                                       .expected = "seconds, 1 to 65535, or off", .default_text = "off",
                                       .help = "send something at least this often, to keep NAT open"},
    [KEY_PEER_PATH_MTU] = {SECTION_PEER, "PathMTU", set_number_or_auto, .is_live = true, FIELD(peer.path_mtu), .min = PATH_MTU_MIN,
                           .max = PATH_MTU_MAX, .expected = "a number, 576 to 9216, or auto", .default_text = "auto",
                           .help = "largest IP packet that passes to the peer; auto: find it, and notice when it changes"},
    [KEY_PEER_ON_UP] = {SECTION_PEER, "OnPeerUp", set_hook, .is_command = true, .min = HOOK_PEER_UP, .expected = COMMAND_FORM,
                        .help = "run when the session with the peer has come up"},
    [KEY_PEER_ON_DOWN] = {SECTION_PEER, "OnPeerDown", set_hook, .is_command = true, .min = HOOK_PEER_DOWN, .expected = COMMAND_FORM,
                          .help = "run when the session with the peer is lost"},
};

enum config_kind config_kind(enum config_key_id id)
{
    static const struct {
        enum set_result (*set)(struct config_parse *parse, const struct config_key *key, const char *value);
        enum config_kind kind;
    } kinds[] = {
        {set_key, CONFIG_KEY},
        {set_key_file, CONFIG_KEY_FILE},
        {set_number, CONFIG_NUMBER},
        {set_cipher, CONFIG_CIPHERS},
        {set_fwmark, CONFIG_MARK},
        {set_interface, CONFIG_TEXT},
        {set_source, CONFIG_ADDRESS},
        {set_listen, CONFIG_ADDRESS_AND_PORT},
        {set_host_name, CONFIG_TEXT},
        {set_log_level, CONFIG_LOG_LEVEL},
        {set_user, CONFIG_TEXT},
        {set_group, CONFIG_TEXT},
        {set_choice, CONFIG_CHOICE},
        {set_cidrs, CONFIG_CIDRS},
        {set_hook_timeout, CONFIG_MARK},
        {set_endpoint, CONFIG_ENDPOINT},
        {set_number_or_off, CONFIG_OR_OFF},
        {set_number_or_auto, CONFIG_OR_AUTO},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (config_keys[id].set == kinds[i].set)
            return kinds[i].kind;
    return CONFIG_OTHER;
}

bool config_set(struct config_parse *parse, enum config_key_id id, const char *value)
{
    const struct config_key *key = &config_keys[id];
    enum set_result result = key->set(parse, key, value);
    if (result == SET_BAD)
        config_report(parse, "%s: expected %s", key->name, key->expected);
    return result == SET_OK;
}
