// SPDX-License-Identifier: MIT
/*
 * server: what the web server answers: the page at /, the status at /status.json, metrics at /metrics; by GET and HEAD, and nothing else.
 *
 *   405  another method
 *   421  asked for by a name that nobody gave us: a page of somebody else's whose name was made to mean our address (DNS rebinding)
 *   404  another path
 *   503  the worker does not answer
 *
 * Each answer ends its connection. Whose turn it is and for how long is said in visitors.h; how often the worker is asked in asker.h.
 */
#ifndef ETHERCORD_WEB_SERVER_H
#define ETHERCORD_WEB_SERVER_H

#include <microhttpd.h>

#include "asker.h"
#include "page.h"
#include "visitors.h"

struct server {
    const char *host_name; // set by the owner: a further name, or ""
    struct asker *asker;   // the same
    struct MHD_Daemon *daemon;
    struct visitors visitors;
    struct page page;
    struct MHD_Response *page_response;
    char *metrics; // of the asker's status number metrics_of
    size_t metrics_len;
    unsigned metrics_of;
    double started_s; // when the node was; 0 = not known yet
};

// Returns 0 or negative errno. Answers nobody before server_turn().
int server_start(struct server *server);
void server_stop(struct server *server);
// Takes in who waits at the listening socket, answers, sends away. Returns how many milliseconds may pass before the next turn; -1 = any.
int server_turn(struct server *server, int listen_fd);
// Readable when there is something to do; besides the listening socket.
int server_fd(const struct server *server);

#endif
