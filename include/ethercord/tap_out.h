// SPDX-License-Identifier: MIT
/*
 * tap_out: the last step of both pipelines: frames into the TAP, each counted as written or under one drop reason.
 */
#ifndef ETHERCORD_TAP_OUT_H
#define ETHERCORD_TAP_OUT_H

#include "ethercord/drop.h"
#include "ethercord/log.h"
#include "ethercord/shortcut.h"
#include "ethercord/tap.h"

struct tap_out {
    struct tap *tap;
    struct counters *counters;
    struct log_limit *limit;
};

void tap_out_write(const struct tap_out *out, const struct tap_frame *frames, int n, uint64_t now_ns);
// Writes all that the shortcut has to say; `room` is FRAME_MAX bytes.
void tap_out_shortcut(const struct tap_out *out, struct shortcut *shortcut, uint8_t *room, uint64_t now_ns);

#endif
