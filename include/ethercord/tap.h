// SPDX-License-Identifier: MIT
/*
 * tap: Ethernet frames from and to a TAP device, in batches.
 *
 * A const table of functions behind a small struct, so that the pipelines run on the kernel's TAP and on the simulator's alike. read is
 * called by one thread (tx) only; write by several.
 */
#ifndef ETHERCORD_TAP_H
#define ETHERCORD_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethercord/addr.h"
#include "ethercord/pool.h"

struct tap;

struct tap_frame {
    const uint8_t *bytes;
    size_t len;
};

struct tap_ops {
    // Reads up to n frames, each behind bufs[i]->data, and sets bufs[i]->len (a frame longer than the tailroom is cut by the kernel:
    // give FRAME_MAX + 1 and look). Returns how many were read; 0 = would block, also while the TAP is down; -EBADFD = the device was
    // deleted; other negative errno. Frames read before a failure are returned; a lasting failure shows at the next call.
    int (*read_batch)(struct tap *tap, struct buf *const *bufs, int n);
    // Writes frames in order. Returns how many were written before the first failure; when that is 0, the negative errno of the first:
    // -EIO = the TAP is down (a state, not an error); -EBADFD = deleted; -EINVAL = less than an Ethernet header; -EAGAIN = no room.
    int (*write_batch)(struct tap *tap, const struct tap_frame *frames, int n);
    // TUNSETCARRIER. Returns 0 or negative errno.
    int (*set_carrier)(struct tap *tap, bool is_on);
};

struct tap {
    const struct tap_ops *ops;
    int fd; // for polling; -1 in the simulator
    void *impl;
};

// The kernel's TAP. Creates the interface `name` ("" or "cord%d" lets the kernel number it) or attaches to an existing persistent one;
// non-blocking, close-on-exec. The real name is stored in `name`. Returns 0 or negative errno: -EBUSY = somebody else is attached,
// -EPERM (-EACCES = no permission on /dev/net/tun itself), -ENOENT = no /dev/net/tun, -EINVAL = exists and is no TAP of one queue, or is no
// name for an interface. An interface made here goes away with tap_close(); an existing one stays.
int tap_open(struct tap *tap, char name[static IFNAMSIZ]);
void tap_close(struct tap *tap);
// The MAC address of the interface. Returns 0 or negative errno.
int tap_get_mac_address(const struct tap *tap, struct mac_address *mac);

#endif
