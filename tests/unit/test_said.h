// SPDX-License-Identifier: MIT
/*
 * What is written to the log: stderr goes into a pipe from said_begin() to said_end(), and a test looks at what has come since it last
 * looked.
 */
#ifndef ETHERCORD_TEST_SAID_H
#define ETHERCORD_TEST_SAID_H

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

struct said {
    int log[2];
    int stderr_fd;
    char text[8192];
};

static inline bool said_begin(struct said *said)
{
    *said = (struct said){.stderr_fd = dup(STDERR_FILENO)};
    return said->stderr_fd >= 0 && pipe2(said->log, O_NONBLOCK | O_CLOEXEC) == 0 && dup2(said->log[1], STDERR_FILENO) >= 0;
}

static inline void said_end(struct said *said)
{
    (void)dup2(said->stderr_fd, STDERR_FILENO);
    (void)close(said->stderr_fd);
    (void)close(said->log[0]);
    (void)close(said->log[1]);
}

// Everything that was logged since the last call.
static inline const char *said_all(struct said *said)
{
    ssize_t len = read(said->log[0], said->text, sizeof said->text - 1);

    said->text[len > 0 ? len : 0] = '\0';
    return said->text;
}

// One line, with this in it.
static inline void assert_said(struct said *said, const char *text)
{
    const char *all = said_all(said);

    if (!strstr(all, text))
        fail_msg("said '%s', and not '%s'", all, text);
    const char *end = strchr(all, '\n');
    assert_non_null(end);
    assert_string_equal(end, "\n"); // and nothing else
}

static inline void assert_said_nothing(struct said *said)
{
    assert_string_equal(said_all(said), "");
}

#endif
