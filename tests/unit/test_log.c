// SPDX-License-Identifier: MIT
/*
 * log: what reaches stderr, read back through a socket that keeps the borders of each write(2).
 *
 * Each case runs in a child process, since the level, the name and the kind of stderr are state of the process.
 */
#include "ethercord/log.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ethercord/clock.h"

enum { LINE_MAX_LEN = 1024, TIME_LEN = 25 }; // "2026-01-31T12:00:00.000Z "

struct captured {
    char writes[8][2048]; // one per write(2), with a NUL behind
    size_t n_writes;
    int status; // of the child
};

static void set_journal_stream(int fd, unsigned wrong_by)
{
    struct stat st;
    char text[64];

    fstat(fd, &st);
    snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + wrong_by);
    setenv("JOURNAL_STREAM", text, 1);
}

static const struct captured *capture(void (*body)(void))
{
    static struct captured captured;
    int pair[2];

    memset(&captured, 0, sizeof captured);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        unsetenv("JOURNAL_STREAM");
        dup2(pair[1], STDERR_FILENO);
        close(pair[0]);
        body();
        _exit(0);
    }
    close(pair[1]);
    while (captured.n_writes < 8) {
        char *text = captured.writes[captured.n_writes];
        ssize_t n = recv(pair[0], text, sizeof captured.writes[0] - 1, 0);
        if (n <= 0)
            break;
        text[n] = '\0';
        captured.n_writes++;
    }
    close(pair[0]);
    assert_int_equal(waitpid(pid, &captured.status, 0), pid);
    return &captured;
}

// The line after its time, which must look like one.
static const char *after_time(const char *line)
{
    unsigned year, month, day, hour, minute, second, ms;
    int n = 0;

    assert_int_equal(sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &year, &month, &day, &hour, &minute, &second, &ms, &n), 7);
    assert_int_equal(n, TIME_LEN);
    assert_true(year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31);
    return line + n;
}

// As the C library has it.
static void dates(void **state)
{
    (void)state;
    for (uint64_t days = 0; days < 400 * 366; days++) {
        time_t seconds = (time_t)(days * 86400);
        struct tm utc;
        struct log_date date = log_date_of(days);
        assert_non_null(gmtime_r(&seconds, &utc));
        if ((int)date.year != utc.tm_year + 1900 || (int)date.month != utc.tm_mon + 1 || (int)date.day != utc.tm_mday)
            fail_msg("day %u is not %u-%u-%u", (unsigned)days, date.year, date.month, date.day);
    }
}

static void plain_body(void)
{
    log_info("no name, %d", 1);
    log_set_name("site-a");
    log_error("an error");
    log_warning("a warning");
    log_info("%s", "");
    log_debug("not shown by default");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("shown now");
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("not shown any more");
}

static void plain_lines(void **state)
{
    static const char *const expected[] = {"ethercord: info: no name, 1\n", "ethercord[site-a]: error: an error\n",
                                           "ethercord[site-a]: warning: a warning\n", "ethercord[site-a]: info: \n",
                                           "ethercord[site-a]: debug: shown now\n"};
    (void)state;

    const struct captured *captured = capture(plain_body);
    assert_int_equal(captured->n_writes, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(after_time(captured->writes[i]), expected[i]);
}

static void journal_body(void)
{
    set_journal_stream(STDERR_FILENO, 0);
    log_error("no name");
    log_set_name("site-a");
    log_set_level(LOG_LEVEL_DEBUG);
    log_error("e");
    log_warning("w");
    log_info("i");
    log_debug("d");
}

static void journal_lines(void **state)
{
    static const char *const expected[] = {"<3>no name\n", "<3>site-a: e\n", "<4>site-a: w\n", "<6>site-a: i\n", "<7>site-a: d\n"};
    (void)state;

    const struct captured *captured = capture(journal_body);
    assert_int_equal(captured->n_writes, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(captured->writes[i], expected[i]);
}

/* ---- the journal's own socket ---- */

static struct sockaddr_un journal_at = {.sun_family = AF_UNIX};
static int journal = -1;

static int open_journal(void **state)
{
    (void)state;
    snprintf(journal_at.sun_path, sizeof journal_at.sun_path, "/tmp/ethercord-test-journal.%d", (int)getpid());
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return journal < 0 ? -1 : bind(journal, (const struct sockaddr *)&journal_at, sizeof journal_at);
}

static int close_journal(void **state)
{
    (void)state;
    close(journal);
    return unlink(journal_at.sun_path);
}

// The next entry, or NULL.
static const char *entry(void)
{
    static char text[4096];
    ssize_t n = recv(journal, text, sizeof text - 1, 0);

    if (n < 0)
        return NULL;
    text[n] = '\0';
    return text;
}

static void begin_entries(void)
{
    set_journal_stream(STDERR_FILENO, 0);
    log_set_name("site-a");
    log_open_journal(journal_at.sun_path);
}

static void entries_body(void)
{
    struct log_limit limit = {.n_swallowed = 2};

    begin_entries();
    log_error("an %s", "error");
    log_tell(&(struct log_about){LOG_EVENT_PEER_UP, .peer = "site-b"}, "peer is up");
    log_tell(&(struct log_about){.event = LOG_EVENT_UNDERLAY}, "below the level");
    log_tell(&(struct log_about){LOG_EVENT_SEND_FAILED, .limit = &limit, .now_ns = NS_PER_S}, "can't send");
    log_tell(&(struct log_about){LOG_EVENT_SEND_FAILED, .limit = &limit, .now_ns = 2 * NS_PER_S}, "swallowed");
}

static void entries_have_fields(void **state)
{
    char up[512], failed[512];
    const struct log_event_entry *event = &log_events[LOG_EVENT_PEER_UP], *failure = &log_events[LOG_EVENT_SEND_FAILED];
    (void)state;

    snprintf(up, sizeof up,
             "MESSAGE=site-a: peer is up\nPRIORITY=6\nSYSLOG_IDENTIFIER=ethercord\nETHERCORD_INSTANCE=site-a\nMESSAGE_ID=%s\n"
             "ETHERCORD_EVENT=peer-up\nETHERCORD_PEER=site-b\n",
             event->message_id);
    snprintf(failed, sizeof failed,
             "MESSAGE=site-a: can't send (2 like it before were not logged)\nPRIORITY=4\nSYSLOG_IDENTIFIER=ethercord\n"
             "ETHERCORD_INSTANCE=site-a\nMESSAGE_ID=%s\nETHERCORD_EVENT=send-failed\n",
             failure->message_id);
    assert_int_equal(capture(entries_body)->n_writes, 0); // none of it to stderr as well
    assert_string_equal(entry(), "MESSAGE=site-a: an error\nPRIORITY=3\nSYSLOG_IDENTIFIER=ethercord\nETHERCORD_INSTANCE=site-a\n");
    assert_string_equal(entry(), up);
    assert_string_equal(entry(), failed);
    assert_null(entry());
}

static void hostile_entries_body(void)
{
    static char text[5000];

    begin_entries();
    log_tell(&(struct log_about){LOG_EVENT_PEER_UP, .peer = "b\nPRIORITY=0\n"}, "a\nPRIORITY=0\nMESSAGE\n\x01");
    memset(text, 'x', sizeof text - 1);
    log_tell(&(struct log_about){LOG_EVENT_PEER_UP, .peer = text}, "%s", text);
}

static void nothing_forges_a_field(void **state)
{
    (void)state;

    capture(hostile_entries_body);
    const char *text = entry();
    assert_non_null(text);
    assert_ptr_equal(strstr(text, "MESSAGE=site-a: a?PRIORITY=0?MESSAGE??\nPRIORITY=6\n"), text);
    assert_non_null(strstr(text, "\nETHERCORD_PEER=b?PRIORITY=0?\n"));
    assert_null(strstr(text, "\nPRIORITY=0"));
    text = entry();
    assert_non_null(text);
    assert_in_range(strcspn(text, "\n"), LINE_MAX_LEN - 2, LINE_MAX_LEN);
    assert_non_null(strstr(text, "\nPRIORITY=6\n")); // a long line costs none of its fields
    assert_non_null(strstr(text, "\nETHERCORD_EVENT=peer-up\nETHERCORD_PEER=xxx"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

// A journal that takes nothing: its queue is as long as net.unix.max_dgram_qlen says.
static void full_body(void)
{
    begin_entries();
    for (int i = 0; i < 5000; i++)
        log_info("%d", i);
    while (entry())
        continue;
    log_info("the last one");
}

static void a_journal_that_hangs_costs_lines_and_no_time(void **state)
{
    unsigned n_lost = 0;
    (void)state;

    const struct captured *captured = capture(full_body);
    assert_true(WIFEXITED(captured->status));
    const char *text = entry();
    assert_non_null(text);
    assert_int_equal(sscanf(text, "MESSAGE=site-a: the last one (%u lines before this one are lost", &n_lost), 1);
    assert_in_range(n_lost, 1, 4999);
    assert_null(entry());
}

static void gone_body(void)
{
    begin_entries();
    close(journal);
    log_warning("as a line");
}

static void a_journal_whose_socket_is_gone_gets_lines(void **state)
{
    (void)state;

    // The child's copy is closed there; this one has to be, too.
    close(journal);
    journal = -1;
    unlink(journal_at.sun_path);
    assert_string_equal(capture(gone_body)->writes[0], "<4>site-a: as a line\n");
    assert_int_equal(open_journal(state), 0);
}

static void broken_body(void)
{
    int own = socket(AF_UNIX, SOCK_DGRAM, 0);

    unlink(journal_at.sun_path);
    (void)!bind(own, (const struct sockaddr *)&journal_at, sizeof journal_at);
    begin_entries();
    close(own); // restarted: nobody has the other end any more
    log_warning("as a line");
}

static void a_journal_that_went_gets_lines(void **state)
{
    (void)state;

    assert_string_equal(capture(broken_body)->writes[0], "<4>site-a: as a line\n");
}

static void not_a_journal_body(void)
{
    log_set_name("site-a");
    log_open_journal(journal_at.sun_path);
    log_warning("as a line");
}

static void without_a_journal_stream_there_are_no_entries(void **state)
{
    (void)state;

    assert_string_equal(after_time(capture(not_a_journal_body)->writes[0]), "ethercord[site-a]: warning: as a line\n");
    assert_null(entry());
}

static void events_are_told_apart(void **state)
{
    (void)state;

    for (int i = LOG_EVENT_NONE + 1; i < LOG_EVENT_COUNT; i++) {
        assert_int_equal(strspn(log_events[i].message_id, "0123456789abcdef"), 32);
        assert_int_equal(strlen(log_events[i].message_id), 32);
        assert_true(log_events[i].name[0] != '\0' && log_events[i].meaning[0] != '\0');
        for (int k = LOG_EVENT_NONE + 1; k < i; k++) {
            assert_string_not_equal(log_events[i].name, log_events[k].name);
            assert_string_not_equal(log_events[i].message_id, log_events[k].message_id);
        }
    }
}

static void budget_body(void)
{
    struct log_budget budget = {0};
    unsigned n = 0;

    for (int i = 0; i < 1000; i++)
        n += log_may_tell(&budget, (1000 + (uint64_t)i) * NS_PER_MS, "the TAP cord0");
    n += log_may_tell(&budget, 1000 * NS_PER_S, "the TAP cord0");
    log_info("%u", n);
}

static void what_flaps_has_a_budget(void **state)
{
    (void)state;

    const struct captured *captured = capture(budget_body);
    assert_int_equal(captured->n_writes, 2);
    assert_string_equal(after_time(captured->writes[0]),
                        "ethercord: warning: the TAP cord0 comes and goes, or changes, more often than is told here\n");
    assert_string_equal(after_time(captured->writes[1]), "ethercord: info: 21\n");
}

static void foreign_journal_body(void)
{
    set_journal_stream(STDERR_FILENO, 1);
    log_info("x");
}

static void a_journal_stream_that_is_not_stderr_does_not_count(void **state)
{
    (void)state;

    assert_string_equal(after_time(capture(foreign_journal_body)->writes[0]), "ethercord: info: x\n");
}

static void forging_body(void)
{
    log_info("a\nb\r\x1b[31m\x7f\t\xc3\xa4");
}

static void control_characters_forge_no_line(void **state)
{
    (void)state;

    assert_string_equal(after_time(capture(forging_body)->writes[0]), "ethercord: info: a?b??[31m??\xc3\xa4\n");
}

static void long_body(void)
{
    static char text[5000];
    struct log_limit limit = {.n_swallowed = 3};

    memset(text, 'x', sizeof text - 1);
    log_info("%s", text);
    log_limited(&limit, 0, LOG_LEVEL_INFO, "%s", text);
    log_set_name(text);
    log_info("end");
}

static void long_lines_are_cut(void **state)
{
    (void)state;

    const struct captured *captured = capture(long_body);
    assert_int_equal(captured->n_writes, 3);
    for (size_t i = 0; i < 2; i++) {
        size_t len = strlen(captured->writes[i]);
        assert_in_range(len, LINE_MAX_LEN - 2, LINE_MAX_LEN);
        assert_string_equal(captured->writes[i] + len - 2, "x\n");
    }
    // 63 bytes of the name are kept.
    assert_int_equal(strlen(after_time(captured->writes[2])), strlen("ethercord[]: info: end\n") + 63);
}

static void limited_body(void)
{
    struct log_limit limit = {0};
    uint64_t now_ns = 5 * NS_PER_S;

    log_limited(&limit, now_ns, LOG_LEVEL_DEBUG, "below the level: takes no part");
    log_limited(&limit, now_ns, LOG_LEVEL_INFO, "first");
    log_limited(&limit, now_ns, LOG_LEVEL_INFO, "swallowed");
    log_limited(&limit, now_ns + 10 * NS_PER_S - 1, LOG_LEVEL_INFO, "swallowed");
    log_limited(&limit, now_ns + 10 * NS_PER_S, LOG_LEVEL_INFO, "second %d", 2);
    log_limited(&limit, now_ns + 20 * NS_PER_S, LOG_LEVEL_INFO, "third");
}

static void limited_lines_tell_what_was_swallowed(void **state)
{
    (void)state;

    const struct captured *captured = capture(limited_body);
    assert_int_equal(captured->n_writes, 3);
    assert_string_equal(after_time(captured->writes[0]), "ethercord: info: first\n");
    assert_string_equal(after_time(captured->writes[1]), "ethercord: info: second 2 (2 like it before were not logged)\n");
    assert_string_equal(after_time(captured->writes[2]), "ethercord: info: third\n");
}

static void errno_body(void)
{
    errno = ENOENT;
    log_info("%m");
    log_info("%s", errno == ENOENT ? "kept" : "lost");
    close(STDERR_FILENO);
    log_info("into the void");
    _exit(errno == ENOENT ? 0 : 1);
}

static void errno_is_kept_and_can_be_printed(void **state)
{
    (void)state;

    const struct captured *captured = capture(errno_body);
    assert_string_equal(after_time(captured->writes[0]), "ethercord: info: No such file or directory\n");
    assert_string_equal(after_time(captured->writes[1]), "ethercord: info: kept\n");
    assert_true(WIFEXITED(captured->status) && WEXITSTATUS(captured->status) == 0);
}

static void ensure_body(void)
{
    int two = 2;

    ensure(two == 2);
    ensure(two == 3);
}

// qemu-user has a line of its own for a signal that ends a process (make portable).
static bool is_emulators(const char *text)
{
    return strncmp(text, "qemu: ", 6) == 0;
}

static void ensure_tells_and_aborts(void **state)
{
    (void)state;

    const struct captured *captured = capture(ensure_body);
    assert_true(captured->n_writes == 1 || (captured->n_writes == 2 && is_emulators(captured->writes[1])));
    assert_non_null(strstr(captured->writes[0], "two == 3"));
    assert_non_null(strstr(captured->writes[0], "test_log.c:"));
    assert_true(WIFSIGNALED(captured->status) && WTERMSIG(captured->status) == SIGABRT);
}

static void levels_are_parsed(void **state)
{
    static const char *const refused[] = {"", "err", "errors", " info", "info ", "7"};
    enum log_level level = LOG_LEVEL_COUNT;
    (void)state;

    assert_true(log_level_parse("error", &level) && level == LOG_LEVEL_ERROR);
    assert_true(log_level_parse("Warning", &level) && level == LOG_LEVEL_WARNING);
    assert_true(log_level_parse("INFO", &level) && level == LOG_LEVEL_INFO);
    assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(log_level_parse(refused[i], &level));
    assert_true(level == LOG_LEVEL_DEBUG);
}

static void clocks_run(void **state)
{
    (void)state;

    uint64_t before_ns = now_boot_ns();
    assert_true(before_ns > 0);
    assert_true(now_boot_ns() >= before_ns);
    assert_true(now_wall_ns() > UINT64_C(1600000000) * NS_PER_S);
}

#define WITH_JOURNAL(test) cmocka_unit_test_setup_teardown(test, open_journal, close_journal)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates),
        cmocka_unit_test(plain_lines),
        cmocka_unit_test(journal_lines),
        WITH_JOURNAL(entries_have_fields),
        WITH_JOURNAL(nothing_forges_a_field),
        WITH_JOURNAL(a_journal_that_hangs_costs_lines_and_no_time),
        WITH_JOURNAL(a_journal_whose_socket_is_gone_gets_lines),
        WITH_JOURNAL(a_journal_that_went_gets_lines),
        WITH_JOURNAL(without_a_journal_stream_there_are_no_entries),
        cmocka_unit_test(events_are_told_apart),
        cmocka_unit_test(what_flaps_has_a_budget),
        cmocka_unit_test(a_journal_stream_that_is_not_stderr_does_not_count),
        cmocka_unit_test(control_characters_forge_no_line),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(limited_lines_tell_what_was_swallowed),
        cmocka_unit_test(errno_is_kept_and_can_be_printed),
        cmocka_unit_test(ensure_tells_and_aborts),
        cmocka_unit_test(levels_are_parsed),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
