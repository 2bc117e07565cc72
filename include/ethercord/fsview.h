// SPDX-License-Identifier: MIT
/*
 * fsview: how the worker loses sight of the file system. Whatever it needs it has open already.
 *
 * Two ways, each tried on its own, since each needs what some environments don't give: an empty root (CAP_SYS_CHROOT), and Landlock (no
 * privilege, but Linux 5.13 and not switched off). Where neither works the filter of system calls still lets no path through.
 */
#ifndef ETHERCORD_FSVIEW_H
#define ETHERCORD_FSVIEW_H

#include <stdbool.h>

struct fsview {
    bool is_root_empty;
    int landlock; // version of what the kernel offers and is in use; 0 = none
};

// Makes an empty folder below `dir`, takes it as root, and has already removed it, so that nothing can ever be put there. For this it must
// be able to write there. Returns 0, -EPERM without CAP_SYS_CHROOT, or other negative errno.
int fsview_empty_root(struct fsview *view, const char *dir);
// Denies this process, from now on, every access to files that Landlock knows, TCP, and signals and abstract sockets of others. Needs
// no_new_privs. Returns 0 or negative errno (-ENOSYS, -EOPNOTSUPP: not in this kernel).
int fsview_landlock(struct fsview *view);

#endif
