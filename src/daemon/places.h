// SPDX-License-Identifier: MIT
/*
 * places: what is said about where the peer is, in the log and in the status: the addresses that are known, which was tried last, that it
 * has moved, that it is at none of them.
 */
#ifndef ETHERCORD_DAEMON_PLACES_H
#define ETHERCORD_DAEMON_PLACES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/config.h"
#include "ethercord/log.h"
#include "ethercord/peer.h"

struct places {
    bool was_up;
    struct addr at; // as was said last
    struct log_limit moved_limit, silence_limit;
    bool is_silence_said; // of this outage
};

// After each turn of the main thread: says in the log what has changed.
void places_note(struct places *places, const struct peer *peer, const struct peer_settings *settings, uint64_t now_ns);
// Members of the peer's object in the status.
void places_set_status(json_t *object, const struct peer *peer, const struct peer_settings *settings, uint64_t now_ns);

#endif
