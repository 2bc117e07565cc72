// SPDX-License-Identifier: MIT
/*
 * What the files of udp share: udp.c (datagrams and errors), udp_open.c (the socket).
 */
#ifndef ETHERCORD_UDP_PRIVATE_H
#define ETHERCORD_UDP_PRIVATE_H

#include "ethercord/udp.h"

extern const struct udp_ops udp_kernel_ops;

#endif
