// SPDX-License-Identifier: MIT
/*
 * tap_out: see the header. A frame that the kernel refuses never holds up the ones behind it.
 */
#include "tap_out.h"

#include <errno.h>
#include <string.h>

#include "ethercord/frame.h"

static void count_written(struct counters *counters, const struct tap_frame *frames, int n)
{
    uint64_t n_bytes = 0;

    for (int i = 0; i < n; i++)
        n_bytes += frames[i].len;
    count_traffic(counters, COUNT_TAP_WRITTEN_FRAMES, (uint64_t)n);
    count_traffic(counters, COUNT_TAP_WRITTEN_BYTES, n_bytes);
}

static void count_refused(const struct tap_out *out, int error, uint64_t now_ns)
{
    if (error == -EIO) { // the TAP is down: a state, not an error
        count_drop(out->counters, DROP_TAP_DOWN);
        return;
    }
    count_drop(out->counters, DROP_TAP_WRITE_FAILED);
    log_limited(out->limit, now_ns, LOG_LEVEL_WARNING, "the TAP refuses frames: %s", strerror(-error));
}

void tap_out_write(const struct tap_out *out, const struct tap_frame *frames, int n, uint64_t now_ns)
{
    for (int done = 0; done < n;) {
        int written = out->tap->ops->write_batch(out->tap, frames + done, n - done);
        if (written > 0) {
            count_written(out->counters, frames + done, written);
            done += written;
        } else {
            count_refused(out, written, now_ns);
            done++;
        }
    }
}

void tap_out_shortcut(const struct tap_out *out, struct shortcut *shortcut, uint8_t *room, uint64_t now_ns)
{
    size_t len;

    while ((len = shortcut_next(shortcut, room, FRAME_MAX)) > 0)
        tap_out_write(out, &(struct tap_frame){.bytes = room, .len = len}, 1, now_ns);
}
