// SPDX-License-Identifier: MIT
/*
 * queues: what the kernel dropped before the pipelines could see it, because one of their queues was full: the TAP's (its tx_dropped), and
 * the receive buffers of the UDP sockets. Nobody is told of these drops; they are asked for when somebody wants to know.
 */
#ifndef ETHERCORD_QUEUES_H
#define ETHERCORD_QUEUES_H

#include "ethercord/drop.h"
#include "ethercord/rtnl.h"
#include "ethercord/udp.h"

struct queues {
    struct rtnl rtnl;
    int tap_index;        // 0 = can't be asked
    uint64_t tap_dropped; // when it was opened: a TAP may have existed before
};

// Needs no privilege. What can't be opened counts nothing.
void queues_open(struct queues *queues, const char *tap_name);
void queues_close(struct queues *queues);
// Adds the drops since queues_open() to `counters`, under their reasons, and the trains that the sockets refused. udp: two of them.
void queues_count(struct queues *queues, const struct udp *udp, struct counters *counters);

#endif
