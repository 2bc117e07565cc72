// SPDX-License-Identifier: MIT
/*
 * wrong_clock: a library for LD_PRELOAD: the wall clock is $ETHERCORD_CLOCK_SHIFT_S seconds ahead. Linux has no namespace for it.
 *
 *     cc -D_GNU_SOURCE -shared -fPIC -O2 -o wrong_clock.so wrong_clock.c -ldl
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);
static long shift_s;

// Before there is a filter or a thread; but the constructor of another library may ask for the time before this one runs.
__attribute__((constructor)) static void prepare(void)
{
    const char *shift = getenv("ETHERCORD_CLOCK_SHIFT_S");

    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    shift_s = shift ? strtol(shift, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!real)
        prepare();
    int result = real(clock, now);

    if (result == 0 && clock == CLOCK_REALTIME)
        now->tv_sec += shift_s;
    return result;
}
