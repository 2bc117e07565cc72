// SPDX-License-Identifier: MIT
/*
 * clock: the two clocks of the daemon. Only layers 3 to 5 read them; the core is given the time as an argument.
 */
#ifndef ETHERCORD_CLOCK_H
#define ETHERCORD_CLOCK_H

#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

// CLOCK_BOOTTIME in ns: goes on through suspend, never back. All ages and deadlines.
uint64_t now_boot_ns(void);
// CLOCK_REALTIME in ns since 1970 (UTC). Only for the handshake's timestamp and for people.
uint64_t now_wall_ns(void);

// How long ago `then_ns` was; 0 for a moment that another thread's clock reading puts a little into the future.
static inline uint64_t age_ns(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

#endif
