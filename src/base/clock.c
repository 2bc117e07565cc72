// SPDX-License-Identifier: MIT
/*
 * clock: reads the kernel's clocks; see clock.h for which one is for what.
 *
 * Both clocks exist on every kernel that ethercord supports, so a failure is an impossible state and not an error to hand on.
 */
#include "ethercord/clock.h"

#include <time.h>

#include "ethercord/log.h"

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;

    ensure(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t now_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t now_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
