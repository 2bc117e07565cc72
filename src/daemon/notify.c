// SPDX-License-Identifier: MIT
/*
 * notify: see notify.h. libsystemd opens a socket for each message and sends it to the path or the abstract name in NOTIFY_SOCKET, which
 * the confined monitor may do: nobody has to keep a descriptor for it.
 */
#include "notify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "ethercord/clock.h"

enum { US_PER_MS = 1000, TEXT_CAP = IPC_TEXT_CAP + 80 };

static void send_text(struct notify *notify, const char *text)
{
    int sent = notify->is_on ? sd_notify(0, text) : 0;

    if (sent < 0)
        log_limited(&notify->failed, now_boot_ns(), LOG_LEVEL_WARNING, "can't tell the service manager that %.*s: %s",
                    (int)strcspn(text, "="), text, strerror(-sent));
}

static void keep_state(struct notify *notify, const char *state)
{
    snprintf(notify->state, sizeof notify->state, "%s", state);
}

void notify_init(struct notify *notify)
{
    uint64_t watchdog_us = 0;

    *notify = (struct notify){.is_on = getenv("NOTIFY_SOCKET") != NULL};
    if (notify->is_on && sd_watchdog_enabled(0, &watchdog_us) > 0)
        notify->watchdog_ms = watchdog_us / US_PER_MS;
}

void notify_forget(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
}

void notify_ready(struct notify *notify, const char *state)
{
    char text[TEXT_CAP];

    keep_state(notify, state);
    snprintf(text, sizeof text, "READY=1\nSTATUS=%s", notify->state);
    send_text(notify, text);
}

void notify_state(struct notify *notify, const char *state)
{
    char text[TEXT_CAP];

    keep_state(notify, state);
    snprintf(text, sizeof text, "STATUS=%s", notify->state);
    send_text(notify, text);
}

// The time is for Type=notify-reload of newer ones.
void notify_reloading(struct notify *notify)
{
    struct timespec now;
    char text[TEXT_CAP];

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration again",
             (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    send_text(notify, text);
}

void notify_ready_again(struct notify *notify)
{
    char text[TEXT_CAP];

    snprintf(text, sizeof text, "READY=1\nSTATUS=%s", notify->state);
    send_text(notify, text);
}

void notify_stopping(struct notify *notify)
{
    send_text(notify, "STOPPING=1\nSTATUS=saying goodbye");
}

void notify_alive(struct notify *notify)
{
    send_text(notify, "WATCHDOG=1");
}
