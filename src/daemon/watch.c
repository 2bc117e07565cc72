// SPDX-License-Identifier: MIT
/*
 * watch: see watch.h. A watcher is freed when its timer is closed, after its connection.
 */
#include "watch.h"

#include <stdlib.h>

struct watcher {
    struct watch_source source;
    struct control_client *client;
    uv_timer_t timer;
};

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static void on_gone(void *user)
{
    struct watcher *watcher = user;

    uv_close((uv_handle_t *)&watcher->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
    const struct watcher *watcher = timer->data;

    if (control_unsent(watcher->client) == 0)
        control_say_take(watcher->client, watcher->source.build(watcher->source.ctx));
}

static void start_watcher(const struct watch_source *source, struct control_client *client, uint64_t every_ms)
{
    struct watcher *watcher = malloc(sizeof *watcher);

    if (!watcher) {
        control_end(client);
        return;
    }
    *watcher = (struct watcher){.source = *source, .client = client};
    uv_timer_init(source->loop, &watcher->timer);
    watcher->timer.data = watcher;
    control_on_gone(client, on_gone, watcher);
    uv_timer_start(&watcher->timer, on_timer, 0, every_ms);
}

void watch_start(const struct watch_source *source, struct control_client *client, const char *arguments)
{
    char *end;
    unsigned long every_ms = strtoul(arguments, &end, 10);

    if (*arguments == '\0') {
        control_say_take(client, source->build(source->ctx));
        control_end(client);
    } else if (*end || *arguments < '0' || *arguments > '9' || every_ms < WATCH_MS_MIN || every_ms > WATCH_MS_MAX) {
        control_refuse(client, "status: expected nothing behind it, or milliseconds, 100 to 60000");
        control_end(client);
    } else {
        start_watcher(source, client, every_ms);
    }
}
