// SPDX-License-Identifier: MIT
/*
 * fsview: see fsview.h.
 *
 * Landlock without a single rule: all that it handles is denied. What it handles grows with its version; the numbers are here because
 * Debian 12's linux/landlock.h stops at version 2.
 */
#include "ethercord/fsview.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "outer.h"

enum {
    LANDLOCK_VERSION = 1, // flag: ask for the version
    PATH_CAP = 256        // the control socket is below the same folder, and its path is shorter
};

// struct landlock_ruleset_attr of version 6. An older kernel takes what is longer than its own, as long as the rest is zero.
struct ruleset {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

static const struct {
    int version;
    unsigned n_files, n_network, n_scopes; // how many rights it knows: bits from 0 on
} versions[] = {
    {1, 13, 0, 0}, {2, 14, 0, 0}, {3, 15, 0, 0}, {4, 15, 2, 0}, {5, 16, 2, 0}, {6, 16, 2, 2},
};

static uint64_t bits(unsigned n)
{
    return (UINT64_C(1) << n) - 1;
}

static void try_chroot(void)
{
    (void)!chroot("/");
}

static void try_landlock(void)
{
    (void)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_VERSION);
    (void)syscall(SYS_landlock_restrict_self, -1, 0);
}

static bool may_change_root(void)
{
    return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_CHROOT) && outer_survives(try_chroot);
}

// A folder that was removed stays usable for who has it open, and takes nothing in.
static int enter_removed(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;

    if (rmdir(path) < 0 && !error)
        error = -errno;
    if (!error && (fchdir(fd) < 0 || chroot(".") < 0))
        error = -errno;
    if (fd >= 0)
        close(fd);
    return error;
}

int fsview_empty_root(struct fsview *view, const char *dir)
{
    char path[PATH_CAP];

    if (!may_change_root())
        return -EPERM;
    int len = snprintf(path, sizeof path, "%s/.empty-XXXXXX", dir);
    if (len < 0 || (size_t)len >= sizeof path)
        return -ENAMETOOLONG;
    if (!mkdtemp(path))
        return -errno;
    int error = enter_removed(path);
    view->is_root_empty = !error;
    return error;
}

int fsview_landlock(struct fsview *view)
{
    struct ruleset ruleset = {0};

    if (!outer_survives(try_landlock))
        return -ENOSYS;
    long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_VERSION);
    if (version < 0)
        return -errno;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0] && versions[i].version <= version; i++)
        ruleset = (struct ruleset){bits(versions[i].n_files), bits(versions[i].n_network), bits(versions[i].n_scopes)};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
    if (fd < 0)
        return -errno;
    int error = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : 0;
    close(fd);
    if (!error)
        view->landlock = (int)version;
    return error;
}
