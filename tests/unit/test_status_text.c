// SPDX-License-Identifier: MIT
/*
 * test_status_text: a status document as text, hostile documents, and the client against a server that misbehaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/cli/status_client.h"
#include "../../src/cli/status_text.h"

#define KEY_A "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
#define KEY_B "KVPpfcoSKfl8YAvsLBf+6qs1zkvt9msdQvFqRJ3FwF8="
#define IN_FULL                                                                                                                            \
    "{\"schema\":1,\"name\":\"site-a\",\"version\":\"0.1.0\",\"pid\":7,\"uptime_s\":7325,\"public_key\":\"" KEY_A                          \
    "\",\"listen_port\":36160,\"tap\":{\"name\":\"cord0\",\"mtu\":1500,\"mac_address\":\"02:00:00:00:00:01\",\"bridge\":\"br0\","          \
    "\"carrier_mode\":\"peer-up\",\"carrier\":false,\"narrow_ports\":[{\"name\":\"eth1\",\"mtu\":1400},{\"name\":\"eth2\",\"mtu\":1280}]}" \
    ",\"shortcut\":{\"addresses\":[\"10.9.0.251/24\",\"fd00:9::251/64\"],\"mac_address\":"                                                 \
    "\"5e:c4:58:d5:86:a0\",\"answer\":\"peer-up\",\"conflicts\":2},\"reassembly\":{\"memory_bytes\":1048576,\"timeout_ms\":1000,"          \
    "\"used_bytes\":4752,\"unfinished_frames\":3,\"unfinished_frames_max\":618},\"sandbox\":{\"on\":true,\"worker\":{\"uid\":65534,"       \
    "\"capabilities\":[],\"empty_root\":true,\"landlock\":7,\"keys_locked\":true},\"monitor\":{\"uid\":0,\"capabilities\":[\"kill\","      \
    "\"net_admin\"]}},\"metrics\":{\"listen\":\"127.0.0.1:9036\",\"running\":true},\"peers\":[{\"name\":\"site-b\",\"public_key\":"        \
    "\"" KEY_B                                                                                                                             \
    "\",\"state\":\"up\",\"reason\":\"handshake completed\",\"since_s\":90,\"endpoint\":\"192.0.2.1:36160\",\"cipher\":\"aes-256-gcm\","   \
    "\"last_handshake_age_s\":30,\"rtt_ms\":0.314,\"rtt_last_ms\":0.3,\"jitter_ms\":0.021,\"loss_tx_percent\":0.25,\"loss_rx_percent\":0," \
    "\"reordered_rx_percent\":12.5,\"tx_bits_per_s\":1234567890,\"tx_frames_per_s\":103000,\"rx_bits_per_s\":999,\"rx_frames_per_s\":1,"   \
    "\"path_mtu\":1420,\"path_mtu_state\":\"found\",\"far_tap_mtu\":1400,\"tx_frames\":12,"                                                \
    "\"rx_frames\":3,\"tx_bytes\":"                                                                                                        \
    "1234567,\"rx_bytes\":"                                                                                                                \
    "999,\"clock_behind_s\":3600}],\"drops\":{\"replayed\":12,\"no_session\":0,\"brand_new\":1},\"counters\":{\"tx_frames\":12}}"
#define OUT_FULL                                                                                                                           \
    "site-a: running for 2 h 2 min, version 0.1.0, process 7\n"                                                                            \
    "\npeer site-b: up 90 s\n"                                                                                                             \
    "    public key  " KEY_B "\n"                                                                                                          \
    "    endpoint    192.0.2.1:36160\n"                                                                                                    \
    "    session     aes-256-gcm, last handshake 30 s ago\n"                                                                               \
    "    path        MTU 1420 (found), MTU of the far TAP 1400\n"                                                                          \
    "    clock       the peer's clock went back by 60 min 0 s; its handshakes are refused until it is right again\n"                       \
    "    quality     round trip 0.31 ms (last 0.30), jitter 0.02 ms, lost of ours 0.25 %, of theirs 0.0 %, reordered 12.5 %\n"             \
    "    mismatch    the TAP's MTU is 1500 here and 1400 there: larger packets than 1400 can't cross\n"                                    \
    "    sent        12 frames, 1.2 MB; now 1.23 Gb/s, 103 k frames/s\n"                                                                   \
    "    received    3 frames, 999 B; now 999 b/s, 1 frames/s\n"                                                                           \
    "\nhere\n"                                                                                                                             \
    "    public key  " KEY_A "\n"                                                                                                          \
    "    listens     UDP port 36160\n"                                                                                                     \
    "    TAP         cord0, no carrier, MTU 1500, bridge br0, carrier only while the peer is up, MAC address 02:00:00:00:00:01\n"          \
    "                ports of the bridge with a smaller MTU, where larger frames are lost: eth1 (1400), eth2 (1280)\n"                     \
    "    shortcut    10.9.0.251/24, fd00:9::251/64, MAC address 5e:c4:58:d5:86:a0, answers only while the peer is up\n"                    \
    "                2 conflicts: somebody else claims an address of the shortcut (see the log)\n"                                         \
    "    reassembly  3 unfinished frames in 4.8 kB of 1.0 MB, waited for 1000 ms\n"                                                        \
    "    worker      user 65534 without capabilities, system calls filtered, no files (empty root, Landlock, filter), keys locked in "     \
    "memory\n"                                                                                                                             \
    "    monitor     user 0 with kill, net_admin, system calls filtered\n"                                                                 \
    "    metrics     http://127.0.0.1:9036/\n"                                                                                             \
    "\ndropped\n"                                                                                                                          \
    "          12  replayed                data message that was seen before or is too old to tell\n"                                      \
    "           1  brand_new               \n"
#define IN_DOWN                                                                                                                            \
    "{\"schema\":1,\"name\":\"x\",\"sandbox\":{\"on\":false,\"worker\":{\"uid\":0,\"capabilities\":[],\"keys_locked\":false},\"monitor\":" \
    "null},\"metrics\":{\"listen\":\"[::1]:9036\",\"running\":false},\"reassembly\":{\"memory_bytes\":131072,\"timeout_ms\":10,\"used_"    \
    "bytes\":0,\"unfinished_frames\":0},"                                                                                                  \
    "\"peers\":[{\"name\":\"p\",\"public_key\":\"" KEY_B "\",\"state\":\"down\",\"reason\":\"no answer to 8 "                              \
    "initiations\",\"since_s\":4000000,\"endpoint\":null,\"cipher\":null,\"last_handshake_age_s\":null,"                                   \
    "\"rtt_ms\":null,\"path_mtu\":1420,\"clock_behind_s\":null}],\"drops\":{\"replayed\":0}}"
#define OUT_DOWN                                                                                                                           \
    "x\n\npeer p: down 46 d 7 h: no answer to 8 initiations\n    public key  " KEY_B                                                       \
    "\n    endpoint    not known yet\n    session     none\n    path        MTU 1420\n"                                                    \
    "\nhere\n    public key  \n    worker      user 0 without capabilities, system calls NOT filtered, files in sight, keys NOT locked "   \
    "in "                                                                                                                                  \
    "memory\n    metrics     NOT served any more, see the log: http://[::1]:9036/\n\ndropped: nothing\n"

// Where the peer may be, while it is not there, and where there is more than one.
#define IN_PLACES(state, addresses)                                                                                                        \
    "{\"name\":\"x\",\"peers\":[{\"name\":\"p\",\"state\":\"" state                                                                        \
    "\",\"endpoint\":null,\"endpoint_name\":\"b.example.net\",\"addresses\":[" addresses                                                   \
    "],\"tried\":\"192.0.2.9:36160\",\"lookup\":\"asking\",\"lookup_age_s\":7.4}],\"drops\":{}}"
#define ASKED "; the resolver is being asked, for 7 s"

static char *print_status(const char *json)
{
    char *text = NULL;
    size_t len = 0;
    json_t *status = json_loads(json, JSON_DECODE_ANY, NULL);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(status);
    assert_non_null(out);
    status_text_print(status, &(struct text_style){false}, out);
    fclose(out);
    json_decref(status);
    return text;
}

static void test_text(void **state)
{
    (void)state;
    char *text = print_status(IN_FULL);
    assert_string_equal(text, OUT_FULL);
    free(text);
    text = print_status(IN_DOWN);
    assert_string_equal(text, OUT_DOWN);
    free(text);
}

static void test_places(void **state)
{
    static const struct {
        const char *json, *line; // NULL = nothing is said
    } rows[] = {
        {IN_PLACES("down", ""), "    name        b.example.net has no address" ASKED "; tried last: 192.0.2.9:36160\n"},
        {IN_PLACES("down", "\"192.0.2.9:36160\""),
         "    name        b.example.net is 192.0.2.9:36160" ASKED "; tried last: 192.0.2.9:36160\n"},
        {IN_PLACES("up", "\"192.0.2.9:36160\""), NULL},
        {IN_PLACES("up", "\"192.0.2.9:36160\",\"[2001:db8::9]:36160\""),
         "    name        b.example.net is 192.0.2.9:36160, [2001:db8::9]:36160" ASKED "\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = print_status(rows[i].json);
        if (rows[i].line)
            assert_non_null(strstr(text, rows[i].line));
        else
            assert_null(strstr(text, "b.example.net"));
        free(text);
    }
}

static void test_hostile_documents(void **state)
{
    static const char *const documents[] = {
        "{}",
        "[]",
        "7",
        "{\"name\":7,\"uptime_s\":\"x\",\"pid\":null,\"tap\":[],\"shortcut\":7,\"peers\":{},\"drops\":[1]}",
        "{\"reassembly\":7}",
        "{\"sandbox\":7,\"metrics\":[]}",
        "{\"metrics\":{\"listen\":7,\"running\":\"x\"}}",
        "{\"sandbox\":{\"on\":7,\"worker\":{\"uid\":\"x\",\"capabilities\":[7,{}],\"landlock\":1e308},\"monitor\":{\"capabilities\":{}}}}",
        "{\"reassembly\":{\"unfinished_frames\":1e308,\"used_bytes\":-1,\"memory_bytes\":1e308,\"timeout_ms\":\"x\"}}",
        "{\"reassembly\":{\"unfinished_frames\":1e308,\"used_bytes\":-1,\"memory_bytes\":1e308,\"timeout_ms\":1e308}}",
        "{\"tap\":{\"narrow_ports\":[7,{},{\"name\":\"\\u001b\",\"mtu\":\"x\"}]}}",
        ("{\"tap\":{\"name\":{},\"mtu\":\"\",\"narrow_ports\":{}},\"shortcut\":{\"addresses\":[7,null,\"x\"]},\"peers\":[7,null,[],{}],"
         "\"drops\":{\"a\":\"b\"}}"),
        "{\"uptime_s\":1e308,\"drops\":{\"a\":-1,\"b\":1e308},\"peers\":[{\"since_s\":-5,\"tx_frames\":1e308,\"tx_bytes\":1e308}]}",
        "{\"name\":\"\\u001b[2J\\n\",\"version\":\"\\u007f\",\"peers\":[{\"name\":\"\\u0007\"}],\"drops\":{\"\\u001b[0m\":1}}",
        "{\"name\":\"\\u009b2J\",\"version\":\"\\u202e\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        char *text = print_status(documents[i]);
        for (const char *at = text; *at; at++)
            assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
        free(text);
    }
}

static char folder[] = "/tmp/ethercord-status-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int listen_at(const char *name, char path[static 108])
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    snprintf(path, sizeof(sun.sun_path), "%s/%s.sock", folder, name);
    memcpy(sun.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

// In a child: answers one request with `n` times `reply`. With `stays_open` it then waits for the client to close.
static pid_t serve(int fd, const char *reply, size_t n, bool stays_open)
{
    char request[16];
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int client = accept(fd, NULL, NULL);
    ssize_t len = read(client, request, sizeof(request));
    bool is_right = len == 7 && memcmp(request, "status\n", 7) == 0;
    for (size_t i = 0; is_right && i < n; i++) {
        if (send(client, reply, strlen(reply), MSG_NOSIGNAL) < 0)
            break;
    }
    if (stays_open)
        (void)!read(client, request, sizeof(request));
    _exit(is_right ? 0 : 1);
}

struct exchange {
    const char *reply;
    size_t n;
    bool stays_open;
    const char *problem; // NULL = a document
};

static void check_exchange(const struct exchange *exchange)
{
    char path[108], problem[CONTROL_PROBLEM_CAP] = "";
    int exit_status = 0;
    int fd = listen_at("x", path);
    pid_t pid = serve(fd, exchange->reply, exchange->n, exchange->stays_open);
    assert_true(pid > 0);
    close(fd);
    json_t *status = status_fetch(folder, NULL, problem);
    assert_int_equal(waitpid(pid, &exit_status, 0), pid);
    assert_int_equal(exit_status, 0);
    unlink(path);
    if (exchange->problem)
        assert_string_equal(problem, exchange->problem);
    assert_int_equal(status != NULL, exchange->problem == NULL);
    json_decref(status);
}

static void test_exchanges(void **state)
{
    static const char no_json[] = "the reply of instance 'x' is no JSON; is it another version of ethercord?";
    static const char unknown_form[] = "instance 'x' tells its status in a form that this program does not know; restart the older one";
    static const char spaces[] = "                                                                ";
    static const struct exchange rows[] = {
        {IN_FULL, 1, false, NULL},
        {IN_FULL "\n", 1, true, NULL},
        {"", 0, false, "instance 'x' ended the connection without an answer: it is stopping, or too many ask; try again"},
        {"\n", 1, true, no_json},
        {"{\"error\":\"no\"}\n", 1, true, "instance 'x' says: no"},
        {"{\"schema\":1", 1, false, no_json},
        {"{\"schema\":1}x", 1, false, no_json},
        {"{\"schema\":2}", 1, false, unknown_form},
        {"{\"schema\":\"1\"}", 1, false, unknown_form},
        {"[]", 1, false, unknown_form},
        {spaces, CONTROL_DOCUMENT_MAX / 64 + 1, false, "the reply of instance 'x' is too long; is it another version of ethercord?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_exchange(&rows[i]);
}

static void assert_problem(const char *run_dir, const char *name, const char *format)
{
    char problem[CONTROL_PROBLEM_CAP], expected[CONTROL_PROBLEM_CAP];
    assert_null(status_fetch(run_dir, name, problem));
    snprintf(expected, sizeof(expected), format, folder);
    assert_string_equal(problem, expected);
}

static void test_nobody_there(void **state)
{
    char long_dir[200], a[108], b[108];
    (void)state;
    memset(long_dir, 'x', sizeof(long_dir));
    long_dir[0] = '/';
    long_dir[sizeof(long_dir) - 1] = '\0';
    assert_problem(folder, NULL, "no instance is running: no socket in %s; is the daemon started?");
    assert_problem("/nonexistent", NULL, "no instance is running: no socket in /nonexistent; is the daemon started?");
    assert_problem("/dev/null", NULL, "/dev/null can't be read: Not a directory");
    assert_problem(folder, "x", "no instance 'x' is running: no socket %s/x.sock; is the daemon started?");
    assert_problem(folder, "../x", "that is no name of an instance; expected what the configuration file is called, without .conf");
    assert_problem(long_dir, "x", "the path of the socket is longer than the kernel allows; use a shorter --run-dir");
    close(listen_at("a", a));
    assert_problem(folder, "a", "no instance 'a' is running: nobody listens at %s/a.sock any more; start the daemon again");
    close(listen_at("b", b));
    assert_problem(folder, NULL, "2 instances have a socket in %s; give the NAME of the one you mean");
    unlink(a);
    unlink(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),      cmocka_unit_test(test_places),       cmocka_unit_test(test_hostile_documents),
        cmocka_unit_test(test_exchanges), cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
