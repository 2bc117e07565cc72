// SPDX-License-Identifier: MIT
/*
 * hurry: takes the place of timing_default() and session_limits_default() in a daemon that is linked for a test, so that its keys last a
 * second instead of minutes. There is no setting for that, as it would help nobody else.
 *
 *     … main.o hurry.c libethercord.a -Wl,--wrap=timing_default -Wl,--wrap=session_limits_default
 *
 * HURRY_MS: age at which either end makes a new keypair. HURRY_MESSAGES: … or so many messages. A hundred times as many are refused.
 */
#include <stdlib.h>

#include "ethercord/clock.h"
#include "ethercord/session.h"
#include "ethercord/timers.h"

// The linker's names.
void __real_timing_default(struct timing *timing);
void __wrap_timing_default(struct timing *timing);
void __real_session_limits_default(struct session_limits *limits);
void __wrap_session_limits_default(struct session_limits *limits);

void __wrap_timing_default(struct timing *timing)
{
    const char *ms = getenv("HURRY_MS");

    __real_timing_default(timing);
    if (ms)
        timing->rekey_after_ns = timing->rekey_backup_ns = strtoull(ms, NULL, 10) * NS_PER_MS;
}

void __wrap_session_limits_default(struct session_limits *limits)
{
    const char *messages = getenv("HURRY_MESSAGES");

    __real_session_limits_default(limits);
    if (messages) {
        limits->rekey_after_messages = strtoull(messages, NULL, 10);
        limits->reject_after_messages = 100 * limits->rekey_after_messages;
    }
}
