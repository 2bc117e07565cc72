// SPDX-License-Identifier: MIT
/*
 * config_keys: the table of sections and keys, and a setter for each kind of value. Used by config.c only.
 *
 * To add a key, add its row and say in docs/configuration.md what it means: duplicates, suggestions, messages, help, and what a reload says
 * of it come from the row. With is_live it also has a place in struct config_live (docs/reload.md).
 */
#ifndef ETHERCORD_CONFIG_CONFIG_KEYS_H
#define ETHERCORD_CONFIG_CONFIG_KEYS_H

#include "ethercord/config.h"

enum config_section { SECTION_NODE, SECTION_TAP, SECTION_SHORTCUT, SECTION_METRICS, SECTION_PEER, SECTION_COUNT };

enum config_key_id {
    KEY_PRIVATE_KEY,
    KEY_PRIVATE_KEY_FILE,
    KEY_LISTEN_PORT,
    KEY_CIPHER,
    KEY_FW_MARK,
    KEY_BIND_INTERFACE,
    KEY_SOURCE_ADDRESS,
    KEY_LOG_LEVEL,
    KEY_USER,
    KEY_CONTROL_GROUP,
    KEY_TAP_OFFLOAD,
    KEY_UDP_OFFLOAD,
    KEY_REASSEMBLY_MEMORY,
    KEY_REASSEMBLY_TIMEOUT,
    KEY_POST_UP,
    KEY_PRE_DOWN,
    KEY_HOOK_TIMEOUT,
    KEY_TAP_NAME,
    KEY_TAP_MTU,
    KEY_TAP_BRIDGE,
    KEY_TAP_ADDRESS,
    KEY_TAP_CARRIER,
    KEY_TAP_QUEUE_LENGTH,
    KEY_SHORTCUT_ADDRESS,
    KEY_SHORTCUT_ANSWER,
    KEY_METRICS_LISTEN,
    KEY_METRICS_ALLOW_REMOTE,
    KEY_METRICS_HOST_NAME,
    KEY_PEER_PUBLIC_KEY,
    KEY_PEER_PRESHARED_KEY,
    KEY_PEER_PRESHARED_KEY_FILE,
    KEY_PEER_ENDPOINT,
    KEY_PEER_PERSISTENT_KEEPALIVE,
    KEY_PEER_PATH_MTU,
    KEY_PEER_ON_UP,
    KEY_PEER_ON_DOWN,
    KEY_COUNT
};

// A parse in progress. Lines are 0 for what has not been there.
struct config_parse {
    struct config *config;
    struct config_errors *errors;
    const char *file;
    unsigned line; // of the event being handled; 0 = messages name no line
    unsigned key_lines[KEY_COUNT];
    unsigned section_lines[SECTION_COUNT];
    int section; // enum config_section, or one of the two below
};
enum { SECTION_NONE = -1, SECTION_IGNORED = -2 };

enum set_result {
    SET_OK,
    SET_BAD,     // not of the expected form: the caller says so
    SET_REPORTED // the setter has said what is wrong
};

struct config_key {
    enum config_section section;
    const char *name;
    enum set_result (*set)(struct config_parse *parse, const struct config_key *key, const char *value);
    bool is_live;  // a reload puts it into force; else it needs a restart
    size_t offset; // of the field in struct config
    size_t size;
    size_t count_offset; // of the list's length, or of the bool that says that the field is set
    bool is_command;     // of the shell: the rest of the line as it stands; may be there several times
    unsigned min;
    unsigned max;
    const char *const *choices; // texts of an enum, ended by NULL
    const char *expected;       // "expected …"
    const char *default_text;   // NULL = none
    const char *help;
};

extern const struct config_key config_keys[KEY_COUNT];
extern const char *const config_section_names[SECTION_COUNT];

void config_report(struct config_parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));
void config_warn(struct config_parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Whether only this machine itself can reach that address.
bool config_is_loopback(uint16_t family, const uint8_t *ip);
// Sets one value and reports what is wrong with it. False then.
bool config_set(struct config_parse *parse, enum config_key_id id, const char *value);
// What a setter puts into the field.
enum config_kind {
    CONFIG_OTHER, // of a setter that is not known here: it can be compared, and not shown
    CONFIG_KEY,
    CONFIG_KEY_FILE,
    CONFIG_NUMBER, // 16 bits
    CONFIG_OR_OFF,
    CONFIG_OR_AUTO,
    CONFIG_MARK,
    CONFIG_TEXT,
    CONFIG_CHOICE,
    CONFIG_CIDRS,
    CONFIG_CIPHERS,
    CONFIG_ADDRESS,
    CONFIG_ADDRESS_AND_PORT,
    CONFIG_LOG_LEVEL,
    CONFIG_ENDPOINT
};
enum config_kind config_kind(enum config_key_id id);

// The value that a key has, as it could stand in the file; "none" where that would be nothing. Of a secret: what may be known of it.
// Returns `text`, or NULL when values of this kind can only be compared.
enum { CONFIG_VALUE_CAP = 640 }; // the longest list in full: what is shown the same is the same
const char *config_show(const struct config *config, enum config_key_id id, char text[static CONFIG_VALUE_CAP]);

#endif
