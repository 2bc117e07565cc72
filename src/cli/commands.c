// SPDX-License-Identifier: MIT
/*
 * commands: see commands.h. The tables of commands and options, and who runs what. What a command does is in its own file.
 */
#include "commands.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "doctor.h"
#include "ethercord/config.h"
#include "ethercord/program.h"
#include "ethercord/suggest.h"

static void print_keys_help(FILE *out)
{
    fprintf(out, "\nKeys of the file:\n\n");
    config_print_keys(out);
}

static void print_checks_help(FILE *out)
{
    fprintf(out, "\nFILE has a slash in it, or ends in .conf. Exit code: 0 nothing wrong, or hints only; 1 faults; 2 bad usage or\n"
                 "configuration. Checks:\n\n");
    for (size_t i = 0; doctor_check_at(i); i++)
        fprintf(out, "  %-14s %s\n", doctor_check_at(i)->name, doctor_check_at(i)->looks_at);
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

static const struct option_row check_options[] = {RUN_DIR_ROW, {.name = NULL}};

static const struct option_row run_options[] = {
    {"dry-run", 'n', NULL, OPTION_FLAG, FIELD(is_dry_run), false, "only say what a start, or a reload, would do"},
    NO_SANDBOX_ROW,
    RUN_DIR_ROW,
    {.name = NULL},
};

static const struct option_row reload_options[] = {
    {"dry-run", 'n', NULL, OPTION_FLAG, FIELD(is_dry_run), false, "only say what would change"},
    {"json", 'j', NULL, OPTION_FLAG, FIELD(wants_json), false, "the answer as JSON"},
    RUN_DIR_ROW,
    {.name = NULL},
};

static const struct option_row stop_options[] = {RUN_DIR_ROW, {.name = NULL}};

static const struct option_row status_options[] = {
    {"json", 'j', NULL, OPTION_FLAG, FIELD(wants_json), false, "the whole status as JSON"},
    {"watch", 'w', NULL, OPTION_FLAG, FIELD(wants_watch), false, "again each second, in place, with graphs of the last minute"},
    RUN_DIR_ROW,
    {.name = NULL},
};

static const struct option_row doctor_options[] = {
    {"json", 'j', NULL, OPTION_FLAG, FIELD(wants_json), false, "the findings as JSON"},
    RUN_DIR_ROW,
    {.name = NULL},
};

static const struct option_row capture_options[] = {
    {"write", 'w', "FILE|-", OPTION_TEXT, FIELD(write_file), false,
     "write pcapng to FILE (written over), or to stdout, for wireshark -k -i -"},
    {"count", 'c', "N", OPTION_TEXT, FIELD(count), false, "end after N frames"},
    {"snaplen", 's', "BYTES", OPTION_TEXT, FIELD(snaplen), false, "take no more of each frame (default: all of it with -w, else 256)"},
    {"direction", 'd', "WHICH", OPTION_TEXT, FIELD(direction), false, "only frames: in (from the peer), out (to it), dropped"},
    RUN_DIR_ROW,
    {.name = NULL},
};

static const struct option_row ping_options[] = {
    {"count", 'c', "N", OPTION_TEXT, FIELD(count), false, "so many echoes (without: until Ctrl-C)"},
    {"interval", 'i', "S", OPTION_TEXT, FIELD(interval), false, "seconds between two, 0.01 to 3600 (default 1)"},
    {"deadline", 'w', "S", OPTION_TEXT, FIELD(deadline), false, "ends after so many seconds, whatever has been answered"},
    {"quiet", 'q', NULL, OPTION_FLAG, FIELD(is_quiet), false, "only the summary"},
    {"json", 'j', NULL, OPTION_FLAG, FIELD(wants_json), false, "only the summary, as JSON"},
    RUN_DIR_ROW,
    {.name = NULL},
};

static void print_ping_help(FILE *out)
{
    fprintf(out, "\nThe exit code is 0 when at least one echo was answered, 1 when none was or the instance does not run.\n");
}

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
    {"check", "FILE", 1, 1, check_options, "Checks a configuration file and says what it amounts to, and what a reload would change",
     print_keys_help, command_check},
    {"run", "FILE", 1, 1, run_options, "Runs the node that a configuration file describes, in the foreground", NULL, command_run},
    {"status", "[NAME]", 0, 1, status_options, "Shows how a running instance is; NAME may be left out if only one is running", NULL,
     command_status},
    {"reload", "[NAME]", 0, 1, reload_options, "Has a running instance read its file again, without dropping what did not change", NULL,
     command_reload},
    {"stop", "[NAME]", 0, 1, stop_options, "Stops a running instance, and returns when it has ended", NULL, command_stop},
    {"ping", "[NAME]", 0, 1, ping_options,
     "Sends echoes through the tunnel of a running instance, and says how long they take and how many are lost", print_ping_help,
     command_ping},
    {"doctor", "[NAME|FILE]", 0, 1, doctor_options,
     "Looks for what is wrong, around a running instance or before a start on FILE, and says what to do", print_checks_help,
     command_doctor},
    {"capture", "NAME [FILTER]", 1, OPTIONS_ARGUMENTS_MAX, capture_options,
     "Shows the frames that cross a running instance, and what became of them; FILTER as of tcpdump", NULL, command_capture},
    {"answer", "", 0, 0, answer_options, "Answers pings at a TAP, without a file and without a peer", NULL, command_answer},
    {"speed", "", 0, 0, speed_options, "Measures what this CPU does per cipher and frame size, and says which cipher 'auto' takes", NULL,
     command_speed},
};
enum { N_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

void command_problem(const char *command, const char *problem)
{
    fprintf(stderr, "ethercord %s: %s\n", command, problem);
}

int command_fail(const char *command, const char *what, int error)
{
    fprintf(stderr, "ethercord %s: %s: %s\n", command, what, strerror(error));
    return CODE_FAILED;
}

const char *command_run_dir(const struct command_line *line)
{
    return line->run_dir ? line->run_dir : RUN_DIR_DEFAULT;
}

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
        command_problem(command->name, problem);
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

const struct command *commands_at(size_t i)
{
    return i < N_COMMANDS ? &commands[i] : NULL;
}

static int wider(int width, const char *text)
{
    return (int)strlen(text) > width ? (int)strlen(text) : width;
}

void commands_print_help(FILE *out)
{
    int name_width = 0;
    int arguments_width = 0;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        name_width = wider(name_width, commands[i].name);
        arguments_width = wider(arguments_width, commands[i].arguments);
    }
    fprintf(out, "Usage: ethercord COMMAND [OPTION...] [ARGUMENT]\n\nAn encrypted Ethernet cord between places.\n\nCommands:\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-*s %-*s %s\n", name_width, commands[i].name, arguments_width, commands[i].arguments, commands[i].help);
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
