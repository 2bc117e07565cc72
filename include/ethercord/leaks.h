// SPDX-License-Identifier: MIT
/*
 * leaks: the processes end by _exit(), which skips what AddressSanitizer does at exit(): look for memory that nobody knows any more.
 * leaks_look() has it look at once, in builds with that sanitizer; in others it does nothing.
 */
#ifndef ETHERCORD_LEAKS_H
#define ETHERCORD_LEAKS_H

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define HAS_LEAK_SANITIZER
#endif
#elif defined __SANITIZE_ADDRESS__
#define HAS_LEAK_SANITIZER
#endif

#ifdef HAS_LEAK_SANITIZER
#include <sanitizer/lsan_interface.h>
#include <sys/prctl.h>
#endif

static inline void leaks_look(void)
{
#ifdef HAS_LEAK_SANITIZER
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // it stops the other threads by ptrace, which a confined process does not allow
    __lsan_do_leak_check();
#endif
}

#endif
