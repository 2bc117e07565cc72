// SPDX-License-Identifier: MIT
/*
 * visitors: who is connected to the web server: so many at a time, and none for longer than a request takes.
 *
 * libmicrohttpd by itself would wait for ever for somebody who says a byte now and then, and would let nobody in while all places are
 * taken. So connections are accepted here: who has been there for VISIT_MS is sent away, and when all places are taken somebody new gets
 * that of the one who came first, of those who have the most.
 */
#ifndef ETHERCORD_WEB_VISITORS_H
#define ETHERCORD_WEB_VISITORS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#include "ethercord/addr.h"

enum { VISITORS_MAX = 64, VISIT_MS = 5000, VISITORS_PER_TURN = 16 };

struct visitor {
    int fd; // -1 = a free place
    bool is_ending;
    struct addr from; // an IPv6 address without its lower half, which one machine has all of
    uint64_t since_ns;
};

struct visitors {
    struct visitor at[VISITORS_MAX];
    struct MHD_Daemon *daemon; // set by the owner
};

void visitors_init(struct visitors *visitors);
// MHD_OPTION_NOTIFY_CONNECTION, with the visitors for `cls`.
void visitors_note(void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code);
// Takes in who waits at the listening socket: VISITORS_PER_TURN at the most.
void visitors_accept(struct visitors *visitors, int listen_fd);
// Sends away whose time is over. Returns the milliseconds until the next one's is; -1 = nobody is there.
int visitors_expire(struct visitors *visitors, uint64_t now_ns);

#endif
