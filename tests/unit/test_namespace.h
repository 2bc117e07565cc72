// SPDX-License-Identifier: MIT
/*
 * test_namespace: a network namespace of the test's own, for the tests of the devices. Where none can be had, has_namespace is to be false,
 * and need_namespace() skips the test.
 */
#ifndef TEST_NAMESPACE_H
#define TEST_NAMESPACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_namespace;

static inline void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        perror(path);
    close(fd);
}

// Without privileges a user namespace does, where that is allowed; root in it is the user outside.
static inline bool enter_namespace(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        return true;
    char map[64];
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    write_text("/proc/self/uid_map", map);
    return true;
}

static inline void need_namespace(void)
{
    if (has_namespace)
        return;
    print_message("no network namespace of its own, or no device in it, can be had here: skipped\n");
    skip();
}

static inline int run(const char *command)
{
    return system(command); // NOLINT(cert-env33-c): fixed commands, in the test's own namespace
}

#endif
