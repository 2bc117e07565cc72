// SPDX-License-Identifier: MIT
/*
 * capture_request: the request "capture SNAPLEN WHICH [FILTER]": copies of the inner frames, until the asker goes away. The datapath puts
 * them on rings (capture.h); from there they go to the askers as fast as those read, and no faster: what a ring has no room for meanwhile
 * is lost to that capture, and told. Main thread only.
 */
#ifndef ETHERCORD_DAEMON_CAPTURE_REQUEST_H
#define ETHERCORD_DAEMON_CAPTURE_REQUEST_H

#include <uv.h>

#include "control.h"
#include "ethercord/node.h"

struct capture_source {
    uv_loop_t *loop;
    struct node *node;
    const char *tap_name;
};

// Takes over `client`. What is wrong with `arguments`, or that there are too many captures, is said to it.
void capture_request_start(const struct capture_source *source, struct control_client *client, const char *arguments);

#endif
