// SPDX-License-Identifier: MIT
/*
 * status_text: the status document (JSON, schema 1, docs/configuration.md#status) as text for a person, one screen long.
 *
 * The document comes from another process: what is missing, or of another type than expected, is left out, and control characters are
 * never printed.
 */
#ifndef ETHERCORD_CLI_STATUS_TEXT_H
#define ETHERCORD_CLI_STATUS_TEXT_H

#include <jansson.h>
#include <stdio.h>

enum { STATUS_SCHEMA = 1 };

void status_text_print(const json_t *status, FILE *out);

#endif
