// SPDX-License-Identifier: MIT
/*
 * config: a configuration file as plain data. No effects on the system, no name resolution; key files are read, nothing else.
 *
 * All that is wrong is collected, not only the first thing, and told with file and line; values are never quoted, for one may be a secret
 * in the wrong place. The table in config_keys.c says which keys there are; docs/configuration.md says what they mean.
 * struct config holds secrets: have it from config_new(), or wipe it with config_deinit().
 */
#ifndef ETHERCORD_CONFIG_H
#define ETHERCORD_CONFIG_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ethercord/addr.h"
#include "ethercord/hook_settings.h"
#include "ethercord/keys.h"
#include "ethercord/log.h"
#include "ethercord/peer.h"
#include "ethercord/shortcut.h"
#include "ethercord/tap.h"
#include "ethercord/udp.h"
#include "ethercord/wire.h"

enum {
    PORT_DEFAULT = 36160,
    METRICS_PORT_DEFAULT = 9036,
    TAP_QUEUE_DEFAULT = 256, // measured: docs/performance.md#queues
    INSTANCE_NAME_CAP = 64,  // of the control socket <run-dir>/<name>.sock, too
    USER_NAME_CAP = 33,
    HOST_CAP = 256,
    TAP_ADDRESSES_MAX = 8,
    CONFIG_FILE_CAP = 1024,
    CONFIG_MESSAGES_MAX = 16,
    CONFIG_MESSAGE_CAP = 512
};

enum tap_carrier { TAP_CARRIER_ALWAYS, TAP_CARRIER_PEER_UP };

struct tap_settings {
    char name[IFNAMSIZ];
    uint16_t mtu;
    enum tap_carrier carrier;
    enum tap_offload offload;
    uint16_t queue_len;    // frames
    char bridge[IFNAMSIZ]; // "" = none
    struct cidr addresses[TAP_ADDRESSES_MAX];
    size_t n_addresses;
};

enum metrics_remote { METRICS_REMOTE_NO, METRICS_REMOTE_YES };

struct metrics_settings {
    struct addr listen; // AF_UNSPEC = off
    enum metrics_remote allow_remote;
    char host_name[HOST_CAP]; // what the page may be called besides its address; "" = nothing
};

struct peer_settings {
    bool is_present;
    bool has_psk;
    bool has_endpoint;
    char name[PEER_NAME_CAP];
    uint8_t public_key[KEY_LEN];
    uint8_t psk[KEY_LEN];         // zero without has_psk
    char endpoint_host[HOST_CAP]; // a name, or an address without brackets (IPv6 perhaps with %scope); "" = wait for the peer
    uint16_t endpoint_port;
    uint16_t persistent_keepalive_s; // 0 = off
    uint16_t path_mtu;               // 0 = to be found
};

struct config {
    char name[INSTANCE_NAME_CAP];
    char file[CONFIG_FILE_CAP]; // that it was read from, as an absolute path; "" = none, or its path is longer
    uint8_t private_key[KEY_LEN];
    uint8_t public_key[KEY_LEN];
    uint16_t ciphers; // set of data ciphers, as in aead.h
    uint16_t reassembly_memory_kib;
    uint16_t reassembly_timeout_ms;
    struct udp_options udp; // family AF_UNSPEC = both; else that of the source address
    enum log_level log_level;
    char user[USER_NAME_CAP];          // whom the worker becomes; not looked up
    char control_group[USER_NAME_CAP]; // who may ask; "" = the default (control.h); not looked up
    struct tap_settings tap;
    struct shortcut_config shortcut; // mac and mtu are filled in; the TAP's MAC address is not known here
    struct metrics_settings metrics;
    struct peer_settings peer;
    struct hook_settings hooks;
};

struct config_message {
    bool is_warning;
    char text[CONFIG_MESSAGE_CAP]; // "file:line: what is wrong; what was expected", no newline
};

// Too large for a stack frame: have it allocated.
struct config_errors {
    size_t n_errors; // all of them, also those that found no room below
    size_t n_warnings;
    size_t n_messages;
    struct config_message messages[CONFIG_MESSAGES_MAX];
};

// Locked memory, wiped when freed. NULL when there is none.
struct config *config_new(void);
void config_free(struct config *config);
// Wipes it.
void config_deinit(struct config *config);
// Wipes what is secret in it; the rest stays.
void config_wipe_secrets(struct config *config);

// Fill *out and *errors from scratch. False with at least one error, and *out is wiped then. Warnings leave it true.
bool config_parse_file(const char *path, struct config *out, struct config_errors *errors) __attribute__((warn_unused_result));
// `name` stands for the file in messages, gives the instance its name, and says which folder key files are relative to.
bool config_parse_text(const char *text, size_t len, const char *name, struct config *out, struct config_errors *errors)
    __attribute__((warn_unused_result));

// What `ethercord answer` was told, as texts of the forms that the keys in the file have.
struct config_answer {
    const char *tap;
    const char *addresses;
    const char *mtu; // NULL = default
};
// A node without a peer and with a random key, named after its TAP.
bool config_make_answer(const struct config_answer *answer, struct config *out, struct config_errors *errors)
    __attribute__((warn_unused_result));

// 1 to 63 of [A-Za-z0-9._-], beginning with a letter or digit.
bool config_is_instance_name(const char *name);
// The table of keys with their forms and defaults, for --help.
void config_print_keys(FILE *out);
// The same one by one, for the manual pages.
struct config_key_text {
    const char *section;
    const char *name;
    const char *form;
    const char *default_text; // NULL = none
    const char *help;
};
// False behind the last one.
bool config_key_text(size_t i, struct config_key_text *out);

#endif
