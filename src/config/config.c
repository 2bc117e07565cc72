// SPDX-License-Identifier: MIT
/*
 * config: see config.h.
 *
 * Three steps: the events of ini.h are looked up in the tables and set one by one; then what must be there, or not be there together, is
 * checked; and only if nothing was wrong, what follows from the keys (public key, MAC address) is computed.
 */
#include "ethercord/config.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_keys.h"
#include "ethercord/aead.h"
#include "ethercord/fragment.h"
#include "ethercord/frame.h"
#include "ethercord/suggest.h"
#include "ini.h"

// Longer "keys" are not said again in messages: a wrapped line may have left a piece of a secret at the start of a line.
enum { ECHO_MAX = 24 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void add_message(struct config_parse *parse, bool is_warning, const char *format, va_list args)
{
    struct config_errors *errors = parse->errors;
    if (is_warning)
        errors->n_warnings++;
    else
        errors->n_errors++;
    if (errors->n_messages == CONFIG_MESSAGES_MAX)
        return;
    struct config_message *message = &errors->messages[errors->n_messages++];
    message->is_warning = is_warning;
    int len = parse->line ? snprintf(message->text, sizeof(message->text), "%s:%u: ", parse->file, parse->line)
                          : snprintf(message->text, sizeof(message->text), "%s: ", parse->file);
    if (len > 0 && (size_t)len < sizeof(message->text))
        (void)vsnprintf(message->text + len, sizeof(message->text) - (size_t)len, format, args);
}

void config_report(struct config_parse *parse, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_message(parse, false, format, args);
    va_end(args);
}

void config_warn(struct config_parse *parse, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_message(parse, true, format, args);
    va_end(args);
}

static bool is_echoable(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    return len > 0 && len <= ECHO_MAX && name[len] == '\0';
}

static void set_defaults(struct config *config)
{
    memset(config, 0, sizeof(*config));
    config->ciphers = ciphers_available();
    config->udp.port = PORT_DEFAULT;
    config->log_level = LOG_LEVEL_INFO;
    config->reassembly_memory_kib = REASSEMBLY_MEMORY_DEFAULT / 1024;
    config->reassembly_timeout_ms = REASSEMBLY_TIMEOUT_MS_DEFAULT;
    memcpy(config->user, "nobody", sizeof("nobody"));
    memcpy(config->tap.name, "cord0", sizeof("cord0"));
    memcpy(config->peer.name, "peer", sizeof("peer"));
    config->tap.mtu = TAP_MTU_DEFAULT;
    config->tap.offload = TAP_OFFLOAD_FULL;
    config->tap.queue_len = TAP_QUEUE_DEFAULT;
    config->hooks.timeout_s = HOOK_TIMEOUT_S_DEFAULT;
}

static void set_instance_name(struct config_parse *parse)
{
    const char *name = base_name(parse->file);
    size_t len = strlen(name);
    char text[INSTANCE_NAME_CAP] = "";
    if (len > 5 && strcasecmp(name + len - 5, ".conf") == 0)
        len -= 5;
    if (len < sizeof(text))
        memcpy(text, name, len); // NOLINT(bugprone-not-null-terminated-result): all of it is NUL beforehand
    if (!config_is_instance_name(text)) {
        config_report(parse, "the file's name names the instance; expected 1 to 63 letters, digits, dots, dashes and underscores"
                             ", then .conf");
        return;
    }
    memcpy(parse->config->name, text, sizeof(text));
}

static void report_unknown_section(struct config_parse *parse, const char *name)
{
    struct suggestion suggestion;
    suggest_init(&suggestion, name);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        suggest_offer(&suggestion, config_section_names[i]);
    if (!is_echoable(name))
        config_report(parse, "unknown section; expected [Node], [Tap], [Shortcut], [Metrics] or [Peer NAME]");
    else if (suggestion.best)
        config_report(parse, "unknown section [%s]; did you mean [%s]?", name, suggestion.best);
    else
        config_report(parse, "unknown section [%s]; expected [Node], [Tap], [Shortcut], [Metrics] or [Peer NAME]", name);
}

static bool is_peer_name(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return len > 0 && len < PEER_NAME_CAP && name[len] == '\0';
}

// `rest` is what stands behind the section's word.
static void begin_section(struct config_parse *parse, enum config_section section, const char *rest)
{
    parse->section = SECTION_IGNORED;
    if (parse->section_lines[section] && section == SECTION_PEER) {
        config_report(parse, "only one [Peer] is supported yet; the first one is on line %u", parse->section_lines[section]);
        return;
    }
    if (parse->section_lines[section]) {
        config_report(parse, "[%s] is there twice; the first one is on line %u", config_section_names[section],
                      parse->section_lines[section]);
        return;
    }
    parse->section = (int)section;
    parse->section_lines[section] = parse->line;
    if (*rest == '\0')
        return;
    if (section != SECTION_PEER)
        config_report(parse, "[%s] takes no name; expected [%s]", config_section_names[section], config_section_names[section]);
    else if (!is_peer_name(rest))
        config_report(parse, "the peer's name is no name; expected 1 to 31 letters, digits, dots, dashes and underscores");
    else
        memcpy(parse->config->peer.name, rest, strlen(rest) + 1);
}

static void handle_section(struct config_parse *parse, const char *name)
{
    size_t len = strcspn(name, " \t");
    const char *rest = name + len + strspn(name + len, " \t");
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (strlen(config_section_names[i]) == len && strncasecmp(config_section_names[i], name, len) == 0) {
            begin_section(parse, (enum config_section)i, rest);
            return;
        }
    }
    parse->section = SECTION_IGNORED;
    report_unknown_section(parse, name);
}

static int find_key(int section, const char *name)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        if ((int)config_keys[i].section == section && strcasecmp(config_keys[i].name, name) == 0)
            return i;
    }
    return -1;
}

static void report_unknown_key(struct config_parse *parse, const char *name)
{
    const char *section = config_section_names[parse->section];
    struct suggestion suggestion;
    if (!is_echoable(name)) {
        config_report(parse, "unknown key in [%s]", section);
        return;
    }
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (find_key(i, name) >= 0) {
            config_report(parse, "%s is no key of [%s]; it belongs in [%s]", name, section, config_section_names[i]);
            return;
        }
    }
    suggest_init(&suggestion, name);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if ((int)config_keys[i].section == parse->section)
            suggest_offer(&suggestion, config_keys[i].name);
    }
    if (suggestion.best)
        config_report(parse, "unknown key %s in [%s]; did you mean %s?", name, section, suggestion.best);
    else
        config_report(parse, "unknown key %s in [%s]", name, section);
}

// A value that is nothing but a comment is none.
static void set_command(struct config_parse *parse, enum config_key_id id, const struct ini_event *event)
{
    char *command = strndup(event->command, event->value[0] ? event->command_len : 0);
    if (command)
        (void)config_set(parse, id, command);
    else
        config_report(parse, "%s: out of memory", config_keys[id].name);
    free(command);
}

static void handle_entry(struct config_parse *parse, const struct ini_event *event)
{
    if (parse->section == SECTION_IGNORED)
        return;
    if (parse->section == SECTION_NONE) {
        config_report(parse, "a key before the first section; expected [Node], [Tap], [Shortcut], [Metrics] or [Peer NAME]");
        return;
    }
    int id = find_key(parse->section, event->name);
    if (id < 0) {
        report_unknown_key(parse, event->name);
        return;
    }
    const struct config_key *key = &config_keys[id];
    if (parse->key_lines[id] && !key->is_command) {
        config_report(parse, "%s is there twice; the first one is on line %u", key->name, parse->key_lines[id]);
        return;
    }
    parse->key_lines[id] = parse->line;
    if (key->is_command)
        set_command(parse, (enum config_key_id)id, event);
    else
        (void)config_set(parse, (enum config_key_id)id, event->value);
}

static void handle_events(struct config_parse *parse, const char *text, size_t len)
{
    struct ini_event event;
    struct ini ini;
    ini_init(&ini, text, len);
    while (ini_next(&ini, &event) != INI_END) {
        parse->line = event.line;
        if (event.kind == INI_BAD)
            config_report(parse, "%s", event.problem);
        else if (event.kind == INI_SECTION)
            handle_section(parse, event.name);
        else
            handle_entry(parse, &event);
    }
    ini_deinit(&ini);
}

// Of a key and the key that names its file, one is too much.
static void check_pair(struct config_parse *parse, enum config_key_id a, enum config_key_id b)
{
    unsigned line_a = parse->key_lines[a];
    unsigned line_b = parse->key_lines[b];
    if (!line_a || !line_b)
        return;
    parse->line = line_a > line_b ? line_a : line_b;
    config_report(parse, "both %s and %s are there; expected one of them", config_keys[a].name, config_keys[b].name);
}

static void check_needed(struct config_parse *parse)
{
    check_pair(parse, KEY_PRIVATE_KEY, KEY_PRIVATE_KEY_FILE);
    check_pair(parse, KEY_PEER_PRESHARED_KEY, KEY_PEER_PRESHARED_KEY_FILE);
    parse->line = parse->section_lines[SECTION_NODE];
    if (!parse->key_lines[KEY_PRIVATE_KEY] && !parse->key_lines[KEY_PRIVATE_KEY_FILE])
        config_report(parse, "the node has no key; expected PrivateKeyFile or PrivateKey in [Node]");
    parse->line = parse->section_lines[SECTION_PEER];
    if (parse->config->peer.is_present && !parse->key_lines[KEY_PEER_PUBLIC_KEY])
        config_report(parse, "the peer has no key; expected PublicKey in [Peer]");
    parse->line = 0;
    if (!parse->config->peer.is_present && !parse->key_lines[KEY_SHORTCUT_ADDRESS])
        config_report(parse, "nothing to do; expected a [Peer], or an Address in [Shortcut]");
}

static void check_interfaces(struct config_parse *parse)
{
    const struct config *config = parse->config;
    bool is_bound = config->udp.interface[0] != '\0';
    parse->line = parse->key_lines[KEY_BIND_INTERFACE];
    if (is_bound && strcmp(config->udp.interface, config->tap.name) == 0)
        config_report(parse, "BindInterface: this is the TAP itself; expected an interface of the underlay");
    else if (is_bound && strcmp(config->udp.interface, config->tap.bridge) == 0)
        config_report(parse, "BindInterface: this is the TAP's bridge; expected an interface of the underlay");
    parse->line = parse->key_lines[KEY_TAP_BRIDGE];
    if (config->tap.bridge[0] && strcmp(config->tap.bridge, config->tap.name) == 0)
        config_report(parse, "Bridge: this is the TAP itself; expected another interface");
}

// The kernel and the shortcut would both answer, with different MAC addresses.
static void check_addresses(struct config_parse *parse)
{
    const struct tap_settings *tap = &parse->config->tap;
    const struct shortcut_config *shortcut = &parse->config->shortcut;
    char text[CIDR_TEXT_CAP];
    parse->line = parse->key_lines[KEY_SHORTCUT_ADDRESS];
    for (size_t i = 0; i < tap->n_addresses; i++) {
        for (size_t j = 0; j < shortcut->n_addresses; j++) {
            const struct cidr *address = &shortcut->addresses[j];
            if (address->family == tap->addresses[i].family && memcmp(address->ip, tap->addresses[i].ip, IPV6_LEN) == 0)
                config_report(parse, "Address: %s is an Address in [Tap] too; expected one that nobody else has",
                              cidr_format(address, text));
        }
    }
}

// What is told there is no secret, but nobody else's business either, and a listener that strangers reach is one more to look after.
static void check_metrics(struct config_parse *parse)
{
    const struct metrics_settings *metrics = &parse->config->metrics;
    unsigned line = parse->section_lines[SECTION_METRICS];
    if (!line)
        return;
    parse->line = line;
    if (!parse->key_lines[KEY_METRICS_LISTEN])
        config_report(parse, "nothing to listen at; expected Listen in [Metrics], as Listen = 127.0.0.1:%u", METRICS_PORT_DEFAULT);
    parse->line = parse->key_lines[KEY_METRICS_LISTEN];
    if (metrics->listen.family != AF_UNSPEC && !config_is_loopback(metrics->listen.family, metrics->listen.ip) &&
        metrics->allow_remote != METRICS_REMOTE_YES)
        config_report(parse,
                      "Listen: not only this machine can reach that address; expected a loopback address, as 127.0.0.1:%u, or "
                      "AllowRemote = yes besides",
                      METRICS_PORT_DEFAULT);
}

static void check_peer_key(struct config_parse *parse)
{
    const struct config *config = parse->config;
    parse->line = parse->key_lines[KEY_PEER_PUBLIC_KEY];
    if (!config->peer.is_present)
        return;
    if (key_equal(config->peer.public_key, config->public_key))
        config_report(parse, "PublicKey: this is the node's own key; expected the peer's");
    else if (!key_is_usable_public(config->peer.public_key, config->private_key))
        config_report(parse, "PublicKey: this can't be anybody's key (a point of low order); expected the peer's");
}

// With an error less than all is known, and the messages would mislead.
static void derive(struct config_parse *parse)
{
    struct config *config = parse->config;
    if (parse->errors->n_errors > 0)
        return;
    key_derive_public(config->public_key, config->private_key);
    mac_derive(&config->shortcut.mac, config->public_key);
    config->shortcut.mtu = config->tap.mtu;
    check_peer_key(parse);
}

static bool finish(struct config_parse *parse)
{
    check_interfaces(parse);
    check_addresses(parse);
    check_metrics(parse);
    derive(parse);
    if (parse->errors->n_errors == 0)
        return true;
    config_deinit(parse->config);
    return false;
}

static void begin(struct config_parse *parse, const char *file, struct config *out, struct config_errors *errors)
{
    *parse = (struct config_parse){.config = out, .errors = errors, .file = file, .section = SECTION_NONE};
    errors->n_errors = 0;
    errors->n_warnings = 0;
    errors->n_messages = 0;
    set_defaults(out);
}

static void warn_if_readable(struct config_parse *parse, mode_t mode)
{
    bool has_secret = parse->key_lines[KEY_PRIVATE_KEY] || parse->key_lines[KEY_PEER_PRESHARED_KEY];
    parse->line = 0;
    if (has_secret && mode & 0077)
        config_warn(parse, "the file holds a key and others than the owner have access to it (mode %04o); expected mode 0600",
                    (unsigned)mode);
}

static bool parse_all(struct config_parse *parse, const char *text, size_t len, mode_t mode)
{
    if (len > INI_TEXT_MAX) {
        config_report(parse, "the file is too large; expected at most 1 MiB");
        config_deinit(parse->config);
        return false;
    }
    set_instance_name(parse);
    handle_events(parse, text, len);
    parse->config->peer.is_present = parse->section_lines[SECTION_PEER] > 0;
    check_needed(parse);
    warn_if_readable(parse, mode);
    return finish(parse);
}

// Reads up to `cap` bytes. Returns how many, or negative errno.
static ssize_t read_text(const char *path, char *text, size_t cap, mode_t *mode)
{
    struct stat st;
    size_t len = 0;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        n = -1;
    while (n >= 0 && len < cap) {
        n = read(fd, text + len, cap - len);
        if (n == 0)
            break;
        if (n > 0)
            len += (size_t)n;
        else if (errno == EINTR)
            n = 0;
    }
    int error = errno;
    close(fd);
    if (n < 0)
        return -error;
    *mode = st.st_mode & 07777;
    return (ssize_t)len;
}

struct config *config_new(void)
{
    struct config *config = sodium_malloc(sizeof(*config));
    if (config)
        memset(config, 0, sizeof(*config));
    return config;
}

void config_free(struct config *config)
{
    sodium_free(config);
}

void config_wipe_secrets(struct config *config)
{
    sodium_memzero(config->private_key, sizeof config->private_key);
    sodium_memzero(config->peer.psk, sizeof config->peer.psk);
}

void config_deinit(struct config *config)
{
    sodium_memzero(config, sizeof(*config));
}

bool config_parse_text(const char *text, size_t len, const char *name, struct config *out, struct config_errors *errors)
{
    struct config_parse parse;
    begin(&parse, name, out, errors);
    return parse_all(&parse, text, len, 0);
}

// For those who ask the running node where its settings come from. Of a pipe there is no path.
static void set_file(struct config *config, const char *path)
{
    char *absolute = realpath(path, NULL);
    size_t len = absolute ? strlen(absolute) : 0;
    if (len > 0 && len < sizeof(config->file))
        memcpy(config->file, absolute, len + 1);
    free(absolute);
}

bool config_parse_file(const char *path, struct config *out, struct config_errors *errors)
{
    const size_t cap = INI_TEXT_MAX + 1;
    struct config_parse parse;
    mode_t mode = 0;
    bool is_good = false;
    begin(&parse, path, out, errors);
    char *text = malloc(cap);
    ssize_t len = text ? read_text(path, text, cap, &mode) : -ENOMEM;
    if (len >= 0) {
        is_good = parse_all(&parse, text, (size_t)len, mode);
        if (is_good)
            set_file(out, path);
    } else {
        config_report(&parse, "can't be read: %s", strerror((int)-len));
        config_deinit(out);
    }
    if (text)
        sodium_memzero(text, cap);
    free(text);
    return is_good;
}

bool config_make_answer(const struct config_answer *answer, struct config *out, struct config_errors *errors)
{
    struct config_parse parse;
    begin(&parse, "answer", out, errors);
    if (config_set(&parse, KEY_TAP_NAME, answer->tap)) {
        memcpy(out->name, out->tap.name, sizeof(out->tap.name));
        if (!config_is_instance_name(out->name))
            config_report(&parse, "Name: the TAP names the instance; expected letters, digits, dots, dashes and underscores");
    }
    (void)config_set(&parse, KEY_SHORTCUT_ADDRESS, answer->addresses);
    if (answer->mtu)
        (void)config_set(&parse, KEY_TAP_MTU, answer->mtu);
    key_new_private(out->private_key);
    return finish(&parse);
}

bool config_is_instance_name(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return len > 0 && len < INSTANCE_NAME_CAP && name[len] == '\0' && !strchr("._-", name[0]);
}

void config_print_keys(FILE *out)
{
    int section = SECTION_NONE;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if ((int)key->section != section)
            fprintf(out, "%s[%s%s]\n", i > 0 ? "\n" : "", config_section_names[key->section], key->section == SECTION_PEER ? " NAME" : "");
        section = (int)key->section;
        fprintf(out, "  %-20s %s%s%s%s\n", key->name, key->help, key->default_text ? " (default " : "",
                key->default_text ? key->default_text : "", key->default_text ? ")" : "");
        fprintf(out, "  %-20s   %s\n", "", key->expected);
    }
}

bool config_key_text(size_t i, struct config_key_text *out)
{
    if (i >= KEY_COUNT)
        return false;
    const struct config_key *key = &config_keys[i];
    *out = (struct config_key_text){.section = config_section_names[key->section],
                                    .name = key->name,
                                    .form = key->expected,
                                    .default_text = key->default_text,
                                    .help = key->help};
    return true;
}
