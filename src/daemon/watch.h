// SPDX-License-Identifier: MIT
/*
 * watch: the request "status [MILLISECONDS]": the status once, or again and again until the asker goes away. Who does not read what is
 * there gets the next one later.
 */
#ifndef ETHERCORD_DAEMON_WATCH_H
#define ETHERCORD_DAEMON_WATCH_H

#include <jansson.h>
#include <uv.h>

#include "control.h"

enum { WATCH_MS_MIN = 100, WATCH_MS_MAX = 60000 };

struct watch_source {
    uv_loop_t *loop;
    json_t *(*build)(void *ctx); // NULL = out of memory
    void *ctx;
};

// Takes over `client`. What is wrong with `arguments` is said to it.
void watch_start(const struct watch_source *source, struct control_client *client, const char *arguments);

#endif
