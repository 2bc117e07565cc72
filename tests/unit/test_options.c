// SPDX-License-Identifier: MIT
/*
 * test_options: command lines as a user types them, run through commands_dispatch() with stdout and stderr caught in a file. `run` and
 * `answer` come no further here than their configuration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/cli/commands.h"
#include "ethercord/keys.h"
#include "ethercord/program.h"
#include "ethercord/suggest.h"

enum { WORDS_MAX = 8, OUTPUT_CAP = 8192 };

static char output[OUTPUT_CAP];

// Splits at blanks; what the program wrote is in `output` afterwards.
static int run_line(const char *line)
{
    char text[512];
    char *words[WORDS_MAX + 2] = {"ethercord"};
    char *rest = NULL;
    int n = 1;
    snprintf(text, sizeof(text), "%s", line);
    for (char *word = strtok_r(text, " ", &rest); word && n <= WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        words[n++] = word;

    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    int exit_code = commands_dispatch(n, words);
    fflush(stdout);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    rewind(file);
    output[fread(output, 1, sizeof(output) - 1, file)] = '\0';
    fclose(file);
    return exit_code;
}

static void test_bad_lines(void **state)
{
    static const struct {
        const char *line;
        const char *output;
    } rows[] = {
        {"", "ethercord: no command; see 'ethercord --help'\n"},
        {"chek", "ethercord: unknown command 'chek'; did you mean 'check'?\n"},
        {"frobnicate", "ethercord: unknown command 'frobnicate'; see 'ethercord --help'\n"},
        {"--hlep", "ethercord: unknown option '--hlep'; did you mean '--help'?\n"},
        {"-v", "ethercord: unknown option '-v'; see 'ethercord --help'\n"},
        {"check", "ethercord check: FILE is missing; expected 'ethercord check FILE'\n"},
        {"check a b", "ethercord check: too many arguments; expected 'ethercord check FILE'\n"},
        {"pubkey x", "ethercord pubkey: too many arguments; expected 'ethercord pubkey'\n"},
        {"status a b", "ethercord status: too many arguments; expected 'ethercord status [NAME]'\n"},
        {"status --jsno", "ethercord status: unknown option '--jsno'; did you mean --json?\n"},
        {"status --frobnicate=secret", "ethercord status: unknown option '--frobnicate'; see 'ethercord status --help'\n"},
        {"status --json=1", "ethercord status: option --json takes no value\n"},
        {"status --help=1", "ethercord status: option --help takes no value\n"},
        {"status -x", "ethercord status: unknown option '-x'; see 'ethercord status --help'\n"},
        {"status --run-dir", "ethercord status: option --run-dir needs a value; expected --run-dir DIR\n"},
        {"run --run-dri x y", "ethercord run: unknown option '--run-dri'; did you mean --run-dir?\n"},
        {"answer --tap x", "ethercord answer: option --address is missing; expected --address ADDRESS[,...]\n"},
        {"answer -a 10.0.0.1", "ethercord answer: option --tap is missing; expected --tap NAME\n"},
        {"answer -t", "ethercord answer: option --tap needs a value; expected --tap NAME\n"},
        {"speed x", "ethercord speed: too many arguments; expected 'ethercord speed'\n"},
        {"speed --seconds", "ethercord speed: option --seconds needs a value; expected --seconds N\n"},
        {"speed --secnods 1", "ethercord speed: unknown option '--secnods'; did you mean --seconds?\n"},
        {"speed --seconds 0", "ethercord speed: option --seconds: expected a number, 1 to 60\n"},
        {"speed --json -s 61", "ethercord speed: option --seconds: expected a number, 1 to 60\n"},
        {"answer --tap x --address 10.0.0.1 --mtu 1", "answer: MTU: expected a number, 576 to 9000\n"},
        {"run /nonexistent/x.conf", "/nonexistent/x.conf: can't be read: No such file or directory\n"},
        {"check /nonexistent/x.conf", "/nonexistent/x.conf: can't be read: No such file or directory\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(run_line(rows[i].line), CODE_USAGE);
        assert_string_equal(output, rows[i].output);
    }
}

static void test_help(void **state)
{
    static const char *const names[] = {"genkey", "pubkey", "genpsk", "check", "run", "status", "answer", "speed"};
    char line[64];
    (void)state;
    assert_int_equal(run_line("--help"), CODE_DONE);
    assert_non_null(strstr(output, "Exit codes: 0 done, 1 failed, 2 bad usage or configuration.\n"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(run_line("--help"), CODE_DONE);
        assert_non_null(strstr(output, names[i]));
        snprintf(line, sizeof(line), "%s --help", names[i]);
        assert_int_equal(run_line(line), CODE_DONE);
        assert_int_equal(strncmp(output, "Usage: ethercord ", 17), 0);
        // The column of helps is as wide as the longest option needs.
        assert_non_null(strstr(output, "\n  -h, --help               "));
        assert_non_null(strstr(output, "  this text\n"));
    }
    assert_int_equal(run_line("check -h"), CODE_DONE);
    assert_non_null(strstr(output, "\n[Node]\n"));
    assert_int_equal(run_line("--version"), CODE_DONE);
    assert_string_equal(output, "ethercord " ETHERCORD_VERSION "\n");
}

static void test_values(void **state)
{
    char *words[] = {"status", "-j", "name", "--run-dir=/x", NULL};
    char *speed[] = {"speed", "--seconds=5", "--json", NULL};
    char *ended[] = {"run", "--run-dir", "/y", "--", "--file", NULL};
    char problem[OPTIONS_PROBLEM_CAP];
    struct command_line line;
    (void)state;
    assert_int_equal(options_parse(commands_find("status"), 4, words, &line, problem), OPTIONS_RUN);
    assert_true(line.wants_json);
    assert_string_equal(line.run_dir, "/x");
    assert_int_equal(line.n_arguments, 1);
    assert_string_equal(line.arguments[0], "name");
    assert_int_equal(options_parse(commands_find("run"), 5, ended, &line, problem), OPTIONS_RUN);
    assert_string_equal(line.run_dir, "/y");
    assert_string_equal(line.arguments[0], "--file");
    assert_false(line.wants_json);
    assert_int_equal(options_parse(commands_find("speed"), 3, speed, &line, problem), OPTIONS_RUN);
    assert_string_equal(line.seconds, "5");
    assert_true(line.wants_json);
    assert_null(line.run_dir);
    assert_null(commands_find("nothing"));
}

static void put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void test_check_prints_a_summary(void **state)
{
    char folder[] = "/tmp/ethercord-options-XXXXXX";
    char path[64], line[128], expected[1024];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/b.conf", folder);
    put_file(path, "[Node]\nPrivateKey = XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os=\nCipher = chacha20-poly1305\n"
                   "[Tap]\nBridge = br0\n[Peer a]\nPublicKey = KVPpfcoSKfl8YAvsLBf+6qs1zkvt9msdQvFqRJ3FwF8=\n"
                   "Endpoint = [2001:db8::1]\n");
    snprintf(line, sizeof(line), "check %s", path);
    assert_int_equal(run_line(line), CODE_DONE);
    snprintf(expected, sizeof(expected),
             "%s: OK\n  instance    b\n  public key  3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=\n  listens     UDP port 36160\n"
             "  ciphers     chacha20-poly1305\n  TAP         cord0, MTU 1500, bridge br0\n"
             "  peer        a, public key KVPpfcoSKfl8YAvsLBf+6qs1zkvt9msdQvFqRJ3FwF8=\n"
             "              endpoint [2001:db8::1]:36160, path MTU to be found\n",
             path);
    assert_string_equal(output, expected);
    put_file(path, "[Nod]\n");
    assert_int_equal(run_line(line), CODE_USAGE);
    assert_null(strstr(output, "OK"));
    unlink(path);
    rmdir(folder);
}

static void test_keys_in_files(void **state)
{
    char folder[] = "/tmp/ethercord-options-XXXXXX";
    char path[64], line[128], expected[256];
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/key", folder);
    for (int i = 0; i < 2; i++) {
        const char *command = i ? "genpsk" : "genkey";
        snprintf(line, sizeof(line), "%s %s", command, path);
        assert_int_equal(run_line(line), CODE_DONE);
        assert_string_equal(output, "");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(run_line(line), CODE_FAILED);
        snprintf(expected, sizeof(expected),
                 "ethercord %s: %s exists already, and a key is never overwritten; remove it first, or take another name\n", command, path);
        assert_string_equal(output, expected);
        unlink(path);
    }
    // tmpfile() is readable by its owner only: nothing to warn of.
    assert_int_equal(run_line("genkey"), CODE_DONE);
    assert_int_equal(strlen(output), KEY_TEXT_LEN + 1);
    rmdir(folder);
}

// With `text` on stdin.
static int run_pubkey(const char *text)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(write(pipe_fds[1], text, strlen(text)), (ssize_t)strlen(text));
    close(pipe_fds[1]);
    int saved = dup(STDIN_FILENO);
    dup2(pipe_fds[0], STDIN_FILENO);
    close(pipe_fds[0]);
    int exit_code = run_line("pubkey");
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    return exit_code;
}

static void test_pubkey(void **state)
{
    static const char bad[] =
        "ethercord pubkey: no private key on stdin; expected one line of 44 characters of base64, as genkey prints it\n";
    (void)state;
    assert_int_equal(run_pubkey("XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os=\n"), CODE_DONE);
    assert_string_equal(output, "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=\n");
    assert_int_equal(run_pubkey("XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4O=\n"), CODE_FAILED);
    assert_string_equal(output, bad);
    assert_int_equal(run_pubkey("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), CODE_FAILED);
    assert_string_equal(output, bad);
    assert_int_equal(run_pubkey(""), CODE_FAILED);
    assert_string_equal(output, bad);
}

static void test_suggestions(void **state)
{
    static const struct {
        const char *word;
        const char *best;
    } rows[] = {
        {"check", "check"}, {"CHECK", "check"}, {"chck", "check"}, {"cehck", "check"}, {"checkers", NULL}, {"rn", "run"},
        {"ab", NULL},       {"", NULL},         {"runn", "run"},   {"xyz", NULL},      {"ckeck", "check"},
    };
    char long_word[200];
    struct suggestion suggestion;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        suggest_init(&suggestion, rows[i].word);
        suggest_offer(&suggestion, "check");
        suggest_offer(&suggestion, "run");
        if (rows[i].best)
            assert_string_equal(suggestion.best, rows[i].best);
        else
            assert_null(suggestion.best);
    }
    memset(long_word, 'a', sizeof(long_word));
    long_word[sizeof(long_word) - 1] = '\0';
    suggest_init(&suggestion, long_word);
    suggest_offer(&suggestion, long_word);
    assert_null(suggestion.best);
}

static int init(void **state)
{
    (void)state;
    return sodium_init() < 0 ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_lines),     cmocka_unit_test(test_help),
        cmocka_unit_test(test_values),        cmocka_unit_test(test_check_prints_a_summary),
        cmocka_unit_test(test_keys_in_files), cmocka_unit_test(test_pubkey),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
