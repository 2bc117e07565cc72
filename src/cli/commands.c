// SPDX-License-Identifier: MIT
/*
 * commands: see commands.h. The functions parse nothing themselves: options.h and config.h do.
 */
#include "commands.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ethercord/aead.h"
#include "ethercord/clock.h"
#include "ethercord/keys.h"
#include "ethercord/program.h"
#include "ethercord/run.h"
#include "ethercord/suggest.h"
#include "speed.h"
#include "status_client.h"
#include "status_text.h"

static void print_problem(const char *command, const char *problem)
{
    fprintf(stderr, "ethercord %s: %s\n", command, problem);
}

static int fail(const char *command, const char *what, int error)
{
    fprintf(stderr, "ethercord %s: %s: %s\n", command, what, strerror(error));
    return CODE_FAILED;
}

// A key on the screen or in a pipe is the user's business; in a file that others may read it is a secret no more.
static void warn_if_stdout_is_readable(const char *command)
{
    struct stat st;
    if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0044)
        fprintf(stderr,
                "ethercord %s: warning: others can read the file that this key goes to (mode %04o); 'ethercord %s FILE' makes one"
                " that they can't\n",
                command, (unsigned)(st.st_mode & 07777), command);
}

static int put_new_key(const char *command, const uint8_t key[static KEY_LEN], const char *path)
{
    if (!path) {
        warn_if_stdout_is_readable(command);
        int result = key_write_fd(STDOUT_FILENO, key);
        return result < 0 ? fail(command, "can't write to stdout", -result) : CODE_DONE;
    }
    int result = key_create_file(path, key);
    if (result == -EEXIST) {
        fprintf(stderr, "ethercord %s: %s exists already, and a key is never overwritten; remove it first, or take another name\n", command,
                path);
        return CODE_FAILED;
    }
    return result < 0 ? fail(command, path, -result) : CODE_DONE;
}

static void print_messages(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->n_messages; i++)
        fprintf(stderr, "%s%s\n", errors->messages[i].text, errors->messages[i].is_warning ? " (warning)" : "");
    size_t n_more = errors->n_errors + errors->n_warnings - errors->n_messages;
    if (n_more > 0)
        fprintf(stderr, "... and %zu more\n", n_more);
}

// A configuration from a file, or from the options of `answer` if there is no file; NULL with everything said. Free with config_free().
static struct config *load_config(const char *path, const struct config_answer *answer, int *exit_code)
{
    struct config *config = config_new();
    struct config_errors *errors = malloc(sizeof(*errors));
    bool is_good = false;
    *exit_code = CODE_FAILED;
    if (config && errors) {
        is_good = path ? config_parse_file(path, config, errors) : config_make_answer(answer, config, errors);
        print_messages(errors);
        *exit_code = is_good ? CODE_DONE : CODE_USAGE;
    } else {
        fprintf(stderr, "ethercord: out of memory (locked memory: see ulimit -l)\n");
    }
    free(errors);
    if (is_good)
        return config;
    config_free(config);
    return NULL;
}

static void print_cidrs(const struct cidr *list, size_t n)
{
    char text[CIDR_TEXT_CAP];
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i > 0 ? ", " : "", cidr_format(&list[i], text));
}

static void print_node_summary(const struct config *config)
{
    char text[KEY_TEXT_CAP];
    key_encode(text, config->public_key);
    printf("  instance    %s\n  public key  %s\n", config->name, text);
    printf(config->udp.port ? "  listens     UDP port %u\n" : "  listens     any UDP port\n", config->udp.port);
    printf("  ciphers    ");
    for (int i = CIPHER_NONE + 1; i < CIPHER_COUNT; i++) {
        if (config->ciphers >> i & 1)
            printf(" %s", cipher_name((enum cipher)i));
    }
    printf("\n  TAP         %s, MTU %u", config->tap.name, config->tap.mtu);
    if (config->tap.bridge[0])
        printf(", bridge %s", config->tap.bridge);
    if (config->tap.n_addresses > 0)
        printf(", ");
    print_cidrs(config->tap.addresses, config->tap.n_addresses);
    printf("\n");
}

static void print_peer_summary(const struct peer_settings *peer)
{
    char text[KEY_TEXT_CAP];
    const char *psk = peer->has_psk ? ", with a PSK" : "";
    bool is_v6 = strchr(peer->endpoint_host, ':') != NULL;
    key_encode(text, peer->public_key);
    printf("  peer        %s, public key %s\n", peer->name, text);
    if (peer->has_endpoint)
        printf("              endpoint %s%s%s:%u", is_v6 ? "[" : "", peer->endpoint_host, is_v6 ? "]" : "", peer->endpoint_port);
    else
        printf("              no endpoint: waits for the peer");
    if (peer->path_mtu)
        printf(", path MTU %u%s\n", peer->path_mtu, psk);
    else
        printf(", path MTU to be found%s\n", psk);
}

static void print_summary(const struct config *config)
{
    char text[MAC_TEXT_CAP];
    print_node_summary(config);
    if (config->shortcut.n_addresses > 0) {
        printf("  shortcut    ");
        print_cidrs(config->shortcut.addresses, config->shortcut.n_addresses);
        printf(", MAC address %s\n", mac_format(&config->shortcut.mac, text));
    }
    if (config->peer.is_present)
        print_peer_summary(&config->peer);
    else
        printf("  peer        none: the shortcut alone\n");
}

static void print_keys_help(FILE *out)
{
    fprintf(out, "\nKeys of the file:\n\n");
    config_print_keys(out);
}

static const char *run_dir_of(const struct command_line *line)
{
    return line->run_dir ? line->run_dir : RUN_DIR_DEFAULT;
}

#define FIELD(name) offsetof(struct command_line, name)
#define RUN_DIR_ROW                                                                                                                        \
    {                                                                                                                                      \
        "run-dir", '\0', "DIR", OPTION_TEXT, FIELD(run_dir), false, "folder of the control socket (default " RUN_DIR_DEFAULT ")"           \
    }

#define NO_SANDBOX_ROW                                                                                                                     \
    {                                                                                                                                      \
        "no-sandbox", '\0', NULL, OPTION_FLAG, FIELD(has_no_sandbox), false, "don't filter system calls, to look for an error"             \
    }

static const struct option_row run_options[] = {NO_SANDBOX_ROW, RUN_DIR_ROW, {.name = NULL}};

static const struct option_row status_options[] = {
    {"json", 'j', NULL, OPTION_FLAG, FIELD(wants_json), false, "the whole status as JSON"},
    RUN_DIR_ROW,
    {.name = NULL},
};

static const struct option_row answer_options[] = {
    {"tap", 't', "NAME", OPTION_TEXT, FIELD(tap), true, "name of the TAP; also names the instance"},
    {"address", 'a', "ADDRESS[,...]", OPTION_TEXT, FIELD(address), true, "addresses to answer for, as 10.9.0.1/24,fd00:9::1/64"},
    {"mtu", 'm', "BYTES", OPTION_TEXT, FIELD(mtu), false, "MTU of the TAP (default 1500)"},
    NO_SANDBOX_ROW,
    RUN_DIR_ROW,
    {.name = NULL},
};

static const struct option_row speed_options[] = {
    {"json", 'j', NULL, OPTION_FLAG, FIELD(wants_json), false, "the results as JSON"},
    {"seconds", 's', "N", OPTION_TEXT, FIELD(seconds), false, "CPU time to take, 1 to 60 (default 2)"},
    {.name = NULL},
};

static const struct command commands[] = {
    {"genkey", "[FILE]", 0, 1, NULL, "Makes a private key: prints it, or puts it into a new FILE that only its owner can read", NULL,
     command_genkey},
    {"pubkey", "", 0, 0, NULL, "Reads a private key from stdin and prints the public key that belongs to it", NULL, command_pubkey},
    {"genpsk", "[FILE]", 0, 1, NULL, "Makes a preshared key (PSK): prints it, or puts it into a new FILE that only its owner can read",
     NULL, command_genpsk},
    {"check", "FILE", 1, 1, NULL, "Checks a configuration file and says what it amounts to", print_keys_help, command_check},
    {"run", "FILE", 1, 1, run_options, "Runs the node that a configuration file describes, in the foreground", NULL, command_run},
    {"status", "[NAME]", 0, 1, status_options, "Shows how a running instance is; NAME may be left out if only one is running", NULL,
     command_status},
    {"answer", "", 0, 0, answer_options, "Answers pings at a TAP, without a file and without a peer", NULL, command_answer},
    {"speed", "", 0, 0, speed_options, "Measures what this CPU does per cipher and frame size, and says which cipher 'auto' takes", NULL,
     command_speed},
};
enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int report_unknown_command(const char *name)
{
    struct suggestion suggestion;
    suggest_init(&suggestion, name);
    for (size_t i = 0; i < N_COMMANDS; i++)
        suggest_offer(&suggestion, commands[i].name);
    suggest_offer(&suggestion, "--help");
    suggest_offer(&suggestion, "--version");
    const char *what = name[0] == '-' ? "option" : "command";
    if (suggestion.best)
        fprintf(stderr, "ethercord: unknown %s '%.40s'; did you mean '%s'?\n", what, name, suggestion.best);
    else
        fprintf(stderr, "ethercord: unknown %s '%.40s'; see 'ethercord --help'\n", what, name);
    return CODE_USAGE;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    char problem[OPTIONS_PROBLEM_CAP];
    struct command_line line;
    switch (options_parse(command, argc, argv, &line, problem)) {
    case OPTIONS_HELP:
        options_print_help(command, stdout);
        return CODE_DONE;
    case OPTIONS_BAD:
        print_problem(command->name, problem);
        return CODE_USAGE;
    case OPTIONS_RUN:
        break;
    }
    return command->run(&line);
}

// A full disk or a closed pipe must not look like success.
static int flush_stdout(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    fprintf(stderr, "ethercord: can't write to stdout: %s\n", strerror(errno));
    return exit_code == CODE_DONE ? CODE_FAILED : exit_code;
}

const struct command *commands_find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

void commands_print_help(FILE *out)
{
    fprintf(out, "Usage: ethercord COMMAND [OPTION...] [ARGUMENT]\n\nAn encrypted Ethernet cord between places.\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-7s %-7s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fprintf(out, "\n  --help          this text; 'ethercord COMMAND --help' says more\n  --version       the version\n\n"
                 "Exit codes: 0 done, 1 failed, 2 bad usage or configuration.\n");
}

int commands_dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "ethercord: no command; see 'ethercord --help'\n");
        return CODE_USAGE;
    }
    const char *name = argv[1];
    const struct command *command = commands_find(name);
    if (command)
        return flush_stdout(run_command(command, argc - 1, argv + 1));
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        commands_print_help(stdout);
    else if (strcmp(name, "--version") == 0)
        printf("ethercord %s\n", ETHERCORD_VERSION);
    else
        return report_unknown_command(name);
    return flush_stdout(CODE_DONE);
}

int command_genkey(const struct command_line *line)
{
    uint8_t key[KEY_LEN];
    key_new_private(key);
    int exit_code = put_new_key("genkey", key, line->arguments[0]);
    sodium_memzero(key, sizeof(key));
    return exit_code;
}

int command_genpsk(const struct command_line *line)
{
    uint8_t key[KEY_LEN];
    key_new_psk(key);
    int exit_code = put_new_key("genpsk", key, line->arguments[0]);
    sodium_memzero(key, sizeof(key));
    return exit_code;
}

int command_pubkey(const struct command_line *line)
{
    uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
    char text[KEY_TEXT_CAP];
    (void)line;
    int result = key_read_fd(STDIN_FILENO, private_key);
    if (result == -EBADMSG || (result == 0 && key_is_zero(private_key))) {
        print_problem("pubkey", "no private key on stdin; expected one line of 44 characters of base64, as genkey prints it");
        return CODE_FAILED;
    }
    if (result < 0)
        return fail("pubkey", "can't read stdin", -result);
    key_derive_public(public_key, private_key);
    sodium_memzero(private_key, sizeof(private_key));
    key_encode(text, public_key);
    printf("%s\n", text);
    return CODE_DONE;
}

int command_check(const struct command_line *line)
{
    int exit_code;
    struct config *config = load_config(line->arguments[0], NULL, &exit_code);
    if (!config)
        return exit_code;
    printf("%s: OK\n", line->arguments[0]);
    print_summary(config);
    config_free(config);
    return exit_code;
}

int command_run(const struct command_line *line)
{
    int exit_code;
    struct config *config = load_config(line->arguments[0], NULL, &exit_code);
    if (!config)
        return exit_code;
    exit_code = run_node(config, run_dir_of(line), !line->has_no_sandbox);
    config_free(config);
    return exit_code;
}

int command_status(const struct command_line *line)
{
    char problem[STATUS_PROBLEM_CAP];
    json_t *status = status_fetch(run_dir_of(line), line->n_arguments > 0 ? line->arguments[0] : NULL, problem);
    if (!status) {
        print_problem("status", problem);
        return CODE_FAILED;
    }
    if (line->wants_json) {
        (void)json_dumpf(status, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        printf("\n");
    } else {
        status_text_print(status, stdout);
    }
    json_decref(status);
    return CODE_DONE;
}

int command_answer(const struct command_line *line)
{
    const struct config_answer answer = {.tap = line->tap, .addresses = line->address, .mtu = line->mtu};
    int exit_code;
    struct config *config = load_config(NULL, &answer, &exit_code);
    if (!config)
        return exit_code;
    exit_code = run_node(config, run_dir_of(line), !line->has_no_sandbox);
    config_free(config);
    return exit_code;
}

int command_speed(const struct command_line *line)
{
    struct speed speed;
    unsigned seconds;
    if (!speed_parse_seconds(line->seconds, &seconds)) {
        print_problem("speed", "option --seconds: expected a number, 1 to 60");
        return CODE_USAGE;
    }
    if (!speed_measure(&speed, seconds * NS_PER_S))
        return fail("speed", "can't measure", ENOMEM);
    if (!line->wants_json) {
        speed_print(&speed, stdout);
        return CODE_DONE;
    }
    json_t *document = speed_document(&speed);
    if (!document)
        return fail("speed", "can't make the document", ENOMEM);
    (void)json_dumpf(document, stdout, SPEED_JSON_FLAGS);
    printf("\n");
    json_decref(document);
    return CODE_DONE;
}
