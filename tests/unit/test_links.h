// SPDX-License-Identifier: MIT
/*
 * test_links: a network namespace of the test's own with real links, for the tests of rtnl, link and ports. Needs root; where there is none
 * the tests are skipped, and say why.
 */
#ifndef TEST_LINKS_H
#define TEST_LINKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static const char *skip_reason; // NULL = there is a namespace

static inline void enter_namespace(void)
{
    if (geteuid() != 0)
        skip_reason = "needs root for a network namespace";
    else if (unshare(CLONE_NEWNET) < 0)
        skip_reason = "may not make a network namespace";
    else if (access("/dev/net/tun", R_OK | W_OK) < 0)
        skip_reason = "has no /dev/net/tun";
}

static inline void need_namespace(void)
{
    if (!skip_reason)
        return;
    print_message("skipped: %s\n", skip_reason);
    skip();
}

static inline void run(const char *command)
{
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

#endif
