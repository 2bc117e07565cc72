// SPDX-License-Identifier: MIT
/*
 * What the files of the peer's state machine share: peer.c (life and timers), peer_handshake.c (keypairs), peer_endpoint.c (where it is),
 * peer_path.c (what the way there carries), peer_rival.c (what handshakes say beyond keys), peer_settings.c (when it is configured
 * otherwise).
 */
#ifndef ETHERCORD_PEER_PRIVATE_H
#define ETHERCORD_PEER_PRIVATE_H

#include "ethercord/peer.h"

// The next act of that kind, to be filled in.
struct peer_act *peer_act_add(struct peer_acts *acts, enum peer_act_kind kind);
// A control record to be sent; what is returned may be filled in further.
struct peer_control *peer_act_control(struct peer_acts *acts, enum record_type type, const uint8_t *token);

void peer_set_up(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);
void peer_set_down(struct peer *peer, enum peer_reason reason, const struct peer_input *input, struct peer_acts *acts);
// Asks the peer whether it is there; the first message under a new keypair, too. The same question again while it waits for its answer.
void peer_send_echo(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);

// peer_handshake.c
void peer_initiate(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);
// The earliest moment for the next initiation.
uint64_t peer_may_initiate_ns(const struct peer *peer);
void peer_forget_pending(struct peer *peer);
// Ends a keypair of ours wherever it is: gives its halves back, tells rx and (for the current one) tx.
void peer_drop_keypair(struct peer *peer, struct keypair *keypair, struct peer_acts *acts);

// peer_settings.c
// Ends moving where it has succeeded, or its time is over.
void peer_move_on(struct peer *peer, const struct peer_input *input);
// Whether there is another place to call than the one where the session is.
bool peer_wants_to_move(const struct peer *peer);

// peer_endpoint.c
void peer_use_endpoint(struct peer *peer, const struct endpoint *endpoint, struct peer_acts *acts);
// How often each place that is to be tried has had its turn.
unsigned peer_n_rounds(const struct peer *peer);
// Where the next initiation goes: to the endpoint while the peer is heard, else there first and then to the configured addresses in turn.
// False when nothing is known.
bool peer_choose_target(struct peer *peer, struct endpoint *target);
// Copies for a candidate have their time.
void peer_end_sharing_in_time(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);
void peer_probe_candidate(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);

// peer_path.c
void peer_path_restart(struct peer *peer);
void peer_path_answered(struct peer *peer, const uint8_t token[static WIRE_TOKEN_LEN], const struct peer_input *input);
// Returns the deadline of the next call.
uint64_t peer_path_tick(struct peer *peer, const struct peer_input *input, struct peer_acts *acts);

// peer_rival.c
// What an initiation that was accepted says about the peer's clock.
void peer_note_initiation(struct peer *peer, const struct initiation_in *in, const struct peer_input *input);
// Whether an initiation from there is what no node sends whose session lives: see peer_rival.c.
bool peer_is_rival(const struct peer *peer, const struct addr *from, const struct peer_input *input);
// Such a one has led to a keypair that is in use from now on.
void peer_note_rival(struct peer *peer, const struct addr *from, const struct peer_input *input);

#endif
