// SPDX-License-Identifier: MIT
/*
 * tap: Ethernet frames and super-frames from and to a TAP device, in batches.
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
#include "ethercord/offload.h"
#include "ethercord/split.h"

enum {
    TAP_FRAME_MAX = SUPER_FRAME_MAX, // bytes that a read may give
    TAP_TAILROOM = 320               // free bytes behind each frame that was read: the last headers of a run and their record go there
};

// What the kernel leaves undone in frames that are read, and takes undone in those that are written. Each level has those before it.
enum tap_offload { TAP_OFFLOAD_OFF, TAP_OFFLOAD_CHECKSUM, TAP_OFFLOAD_FULL, TAP_OFFLOAD_COUNT };

struct tap;

struct tap_read {
    uint8_t *bytes; // in the room that was given; may be written to, TAP_TAILROOM bytes behind the end included
    size_t len;
    struct offload offload; // as the kernel says: see offload_is_valid()
};

struct tap_frame {
    const uint8_t *headers; // the beginning of the frame, when it does not lie in front of `bytes`; else NULL
    size_t headers_len;     // 0 = none
    const uint8_t *bytes;
    size_t len;
    struct offload offload; // with it, what is undone must be what the TAP takes
};

struct tap_ops {
    // Reads up to n frames one behind the other into `room`, while it has room for the longest one (TAP_FRAME_MAX + TAP_TAILROOM).
    // Returns how many were read; 0 = would block, also while the TAP is down; -EBADFD = the device was deleted; other negative errno.
    // Frames read before a failure are returned; a lasting failure shows at the next call.
    int (*read_batch)(struct tap *tap, uint8_t *room, size_t room_len, struct tap_read *reads, int n);
    // Writes frames in order. Returns how many were written before the first failure; when that is 0, the negative errno of the first:
    // -EIO = the TAP is down (a state, not an error); -EBADFD = deleted; -EINVAL = less than an Ethernet header, or an offload that this
    // kernel refuses; -EAGAIN = no room.
    int (*write_batch)(struct tap *tap, const struct tap_frame *frames, int n);
    // TUNSETCARRIER. Returns 0 or negative errno.
    int (*set_carrier)(struct tap *tap, bool is_on);
};

struct tap {
    const struct tap_ops *ops;
    int fd; // for polling; -1 in the simulator
    void *impl;
    enum tap_offload offload; // set by tap_open()
    bool has_udp_offload;     // super-frames of UDP, too: Linux 6.2
    bool has_header;          // a virtio-net header goes with each frame
};

// "off", "checksum", "full".
const char *tap_offload_name(enum tap_offload offload);

// The kernel's TAP. Creates the interface `name` ("" or "cord%d" lets the kernel number it) or attaches to an existing persistent one;
// non-blocking, close-on-exec. The real name is stored in `name`. Of the offloads up to `wanted` it takes what the kernel has: see
// tap->offload. Returns 0 or negative errno: -EBUSY = somebody else is attached, -EPERM (-EACCES = no permission on /dev/net/tun itself),
// -ENOENT = no /dev/net/tun, -EINVAL = exists and is no TAP of one queue, or is no name for an interface. An interface made here goes away
// with tap_close(); an existing one stays.
int tap_open(struct tap *tap, char name[static IFNAMSIZ], enum tap_offload wanted);
void tap_close(struct tap *tap);
// The MAC address of the interface. Returns 0 or negative errno.
int tap_get_mac_address(const struct tap *tap, struct mac_address *mac);

#endif
