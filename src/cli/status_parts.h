// SPDX-License-Identifier: MIT
/*
 * status_parts: what the parts of the status screen share. The document comes from another process: each member may be missing, or of any
 * type.
 */
#ifndef ETHERCORD_CLI_STATUS_PARTS_H
#define ETHERCORD_CLI_STATUS_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "text.h"

// "" when it is no text.
const char *status_member(const json_t *object, const char *key);
// False, and *out untouched, when it is no number.
bool status_number(const json_t *object, const char *key, double *out);
// Texts, as "a, b".
void status_put_list(const json_t *list, FILE *out);

void status_put_peer(const json_t *tap, const json_t *peer, const struct text_style *style, FILE *out);

#endif
