// SPDX-License-Identifier: MIT
/*
 * status_text: the status document (JSON, schema 1, docs/status.md) as text for a person, one screen long.
 *
 * The document comes from another process: what is missing, or of another type than expected, is left out, and control characters are
 * never printed.
 */
#ifndef ETHERCORD_CLI_STATUS_TEXT_H
#define ETHERCORD_CLI_STATUS_TEXT_H

#include <jansson.h>
#include <stdio.h>

#include "text.h"

enum { STATUS_SCHEMA = 1 };

// The two halves of the screen: the name and its peers, which are what is looked for, and the node itself with what was dropped.
void status_text_print_peers(const json_t *status, const struct text_style *style, FILE *out);
void status_text_print_node(const json_t *status, const struct text_style *style, FILE *out);
// Both.
void status_text_print(const json_t *status, const struct text_style *style, FILE *out);

#endif
