// SPDX-License-Identifier: MIT
/*
 * echo: the request "ping MILLISECONDS [COUNT]": an echo to the peer each so often, and a document about each that is sent, answered or
 * given up (docs/control.md#ping). Any number of askers at once: each echo has an id of its own, which says whose it is.
 *
 * Here are the timers and the accounts; what sends an echo and what is known of the peer is the source's.
 */
#ifndef ETHERCORD_DAEMON_ECHO_H
#define ETHERCORD_DAEMON_ECHO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "control.h"
#include "ethercord/wire.h"

// Tuning constants.
enum {
    ECHO_MS_MIN = 10,
    ECHO_MS_MAX = 3600 * 1000,
    ECHO_COUNT_MAX = 1000 * 1000 * 1000,
    ECHO_WAIT_MS = 5000,        // for an answer
    ECHO_WAITING_MAX = 512,     // of one asker
    ECHO_UNREAD_MAX = 64 * 1024 // bytes: who reads that slowly has his next echo sent later
};
_Static_assert(ECHO_WAITING_MAX >= ECHO_WAIT_MS / ECHO_MS_MIN + 2, "room for all that can wait for an answer");

struct echo_source {
    uv_loop_t *loop;
    void *ctx;
    // False: there is no session, and nothing has left.
    bool (*send)(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN]);
    // What is known of the way to the peer right now: an object. NULL = no memory.
    json_t *(*describe)(void *ctx);
};

struct echo_asker;
struct echo {
    struct echo_source source;
    struct echo_asker *askers;
    uint16_t next_serial; // of an asker
};

// `source` is filled in by the caller before. Takes over `client`. What is wrong with `arguments` is said to it.
void echo_start(struct echo *echo, struct control_client *client, const char *arguments);
// An echo was answered; perhaps one of ours.
void echo_answered(struct echo *echo, const uint8_t id[static WIRE_TOKEN_LEN], uint64_t now_ns);

#endif
