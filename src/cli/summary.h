// SPDX-License-Identifier: MIT
/*
 * summary: what a configuration amounts to, for a person, on stdout.
 */
#ifndef ETHERCORD_CLI_SUMMARY_H
#define ETHERCORD_CLI_SUMMARY_H

#include "ethercord/config.h"

void summary_print(const struct config *config);

#endif
