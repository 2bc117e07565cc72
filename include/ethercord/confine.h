// SPDX-License-Identifier: MIT
/*
 * confine: how the two processes give up what they don't need.
 *
 * The worker, which reads what strangers send, keeps no privilege at all; the monitor keeps its own, and only makes sure that no key ends
 * up in a core file. System calls are limited elsewhere (the seccomp filter). Call both while the process has one thread: user ids,
 * capabilities and no_new_privs are per thread on Linux, and threads inherit them.
 */
#ifndef ETHERCORD_CONFINE_H
#define ETHERCORD_CONFINE_H

#include <stddef.h>
#include <stdint.h>

#include "ethercord/fsview.h"

// What keys need in locked memory, with room: libsodium locks whole pages, and two guard pages around each allocation are not locked.
enum { CONFINE_MEMLOCK_BYTES = 8 * 1024 * 1024 };

struct confine_order {
    const char *user;
    const char *hide_below; // a folder that we may write to, for a moment: see fsview.h; NULL = the file system stays in sight
};

// What came of it.
struct confinement {
    uint32_t uid, gid;
    struct fsview view;
};

// Becomes order->user for good when started as root; otherwise stays who it is. Either way without capabilities, unable to gain any, and
// without core dumps, and without a view of the file system as far as the environment allows that. Gets SIGTERM when the monitor dies (also
// watch the socketpair for its end: a monitor that died before the call, or that may not signal us, says so only there). Returns 0 only
// after having looked that nothing is left; else negative errno, and the process must not go on: -EPERM = something is left or could not be
// dropped, -ENOENT = no such user, -EINVAL = the user is root. `text` gets one line without a line feed: on failure the cause and what to
// do about it; on success "", or what a container kept us from dropping.
int confine_worker(const struct confine_order *order, struct confinement *confinement, char *text, size_t cap)
    __attribute__((warn_unused_result));

// No core dump, no ptrace by others of the same user: before the first key is read. Returns 0 or negative errno.
int confine_dumps(void) __attribute__((warn_unused_result));

// The monitor, once the worker runs: keeps only what undoing the changes to the TAP needs (CAP_NET_ADMIN) and ending a worker that is
// somebody else by now (CAP_KILL). `*kept` gets what is left, one bit per capability. What runs hooks has to be forked before.
// Returns 0 or negative errno.
int confine_monitor(uint64_t *kept) __attribute__((warn_unused_result));

#endif
