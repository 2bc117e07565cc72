// SPDX-License-Identifier: MIT
/*
 * lookup: the addresses of the name in Endpoint, asked of the system's resolver for the monitor.
 *
 * getaddrinfo() runs in a thread of libuv's pool: however long a dead resolver lets it wait, nothing else does. One question at a time.
 * The resolver is not trusted: of its answer no more than PEER_ADDRESSES_MAX addresses are taken, and only those that one host can have.
 * What is said in the log is said when it changes, and at long intervals while it stays bad.
 */
#ifndef ETHERCORD_LOOKUP_H
#define ETHERCORD_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "ethercord/addr.h"
#include "ethercord/config.h"
#include "ethercord/log.h"
#include "ethercord/peer.h"

struct lookup_answer {
    struct addr addresses[PEER_ADDRESSES_MAX];
    size_t n;
    size_t n_unusable; // multicast and the like
    size_t n_too_many; // usable, but more than there is room for
};

struct lookup {
    const struct config *config;
    void (*answered)(void *ctx, const struct lookup_answer *answer); // perhaps with no address
    void *ctx;
    uv_getaddrinfo_t request;
    bool is_running; // a thread of libuv writes to this struct
    bool is_stale;   // … and what it asks is not wanted any more
    uint64_t asked_ns;
    struct lookup_answer last;    // with an address in it
    struct log_limit found_limit; // a resolver may say something else each time
    struct log_budget lines;      // and may have an answer each second time
    unsigned n_failed;            // since it last had an address
    uint64_t failed_ns;           // the first of these
    uint64_t said_ns;             // the last of these that is in the log
};

// The caller has set config, answered and ctx. Does nothing without a name, or while a question is under way.
void lookup_start(struct lookup *lookup, uv_loop_t *uv);
// The name in the configuration has become another one: what is known of the last one, and what is being asked, is not of this.
void lookup_forget(struct lookup *lookup);
// Takes what is usable of the resolver's list.
void lookup_take(struct lookup_answer *answer, const struct addrinfo *list);
// Says what has changed; error 0, or what libuv said.
void lookup_log(struct lookup *lookup, const struct lookup_answer *answer, int error, uint64_t now_ns);

#endif
