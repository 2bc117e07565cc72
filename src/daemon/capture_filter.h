// SPDX-License-Identifier: MIT
/*
 * capture_filter: what stands behind "capture" on the control socket: SNAPLEN WHICH [FILTER], the filter a BPF program in base64, into what
 * the datapath runs on each frame.
 *
 * The program comes from somebody who may see frames but not stop them, and not look into the worker: it has only instructions that there
 * are, goes only forward, so that it ends, and reads nothing that it has not written. libpcap's own check is laxer in all three: of what it
 * lets pass some abort the process, and some never end.
 */
#ifndef ETHERCORD_DAEMON_CAPTURE_FILTER_H
#define ETHERCORD_DAEMON_CAPTURE_FILTER_H

#include "ethercord/capture.h"

enum { CAPTURE_INSTRUCTION_LEN = 8 }; // code (2 bytes), jt, jf, k (4): little-endian

// NULL, or what is wrong with it.
const char *capture_filter_parse(struct capture_filter *filter, const char *arguments);

#endif
