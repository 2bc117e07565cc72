// SPDX-License-Identifier: MIT
/*
 * ping_account: what an asker for echoes has heard so far, and what it says at the end. No I/O but the printing; ping.c talks to the
 * instance.
 */
#ifndef ETHERCORD_CLI_PING_ACCOUNT_H
#define ETHERCORD_CLI_PING_ACCOUNT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ping_account {
    uint64_t n_sent, n_received; // sent: those too that had no session to go in
    double min_ms, max_ms, sum_ms, sum_squares;
    bool is_ended;                                       // by the instance: all that were wanted are accounted for
    char peer[40], endpoint[80], state[16], reason[200]; // as they were when the last one was sent
    int path_mtu, bytes;                                 // 0 = not known
};

// A document of the instance's (docs/control.md#ping). Prints a line about it if there is one, unless out is NULL.
void ping_take(struct ping_account *account, const json_t *document, FILE *out);
double ping_loss_percent(const struct ping_account *account);
double ping_deviation_ms(const struct ping_account *account);
void ping_print_summary(const struct ping_account *account, FILE *out);
// One object, schema 1 (docs/configuration.md#ping). NULL when memory is short.
json_t *ping_summary(const struct ping_account *account);

#endif
