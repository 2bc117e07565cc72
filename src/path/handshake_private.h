// SPDX-License-Identifier: MIT
/*
 * What the files of the main thread's part share: handshake.c (reports, handshake messages, acts), handshake_cookies.c (cookie replies).
 */
#ifndef ETHERCORD_HANDSHAKE_PRIVATE_H
#define ETHERCORD_HANDSHAKE_PRIVATE_H

#include "ethercord/handshake.h"
#include "messages.h"

void handshake_order_rx(struct handshake *handshake, const struct order *order);
// One batch of cookie replies. Returns whether there are more to be made.
bool handshake_answer_requests(struct handshake *handshake, uint64_t now_ns);

#endif
