// SPDX-License-Identifier: MIT
/*
 * control: the control socket, a Unix stream socket (docs/control.md): one line in, which begins with a request's word; an answer out; and
 * the connection ends.
 *
 * The monitor opens the socket before the fork, the worker's main loop serves it. What a request does is its own module's business: it
 * answers at once or later, once or for ever. Those who ask are strangers with a permission: few at a time, one line, a deadline for saying
 * it and for reading what they asked for, and no effect on the datapath. Main thread only.
 */
#ifndef ETHERCORD_DAEMON_CONTROL_H
#define ETHERCORD_DAEMON_CONTROL_H

#include <jansson.h>
#include <stddef.h>
#include <uv.h>

enum { CONTROL_PATH_CAP = 108 };
// Tuning constants.
enum {
    CONTROL_LINE_CAP = 16 * 1024,         // of a request, its line feed included
    CONTROL_CLIENTS_MAX = 16,             // connected at a time
    CONTROL_UNSENT_MAX = 4 * 1024 * 1024, // bytes: who reads that slowly has it ended
    CONTROL_SILENCE_MS = 5000             // for the whole request, and then without reading any of the answer
};

// The group that may ask, where the configuration names none and where there is one of that name.
#define CONTROL_GROUP_DEFAULT "ethercord"

struct control_place {
    const char *run_dir;
    const char *name;  // the instance's
    const char *group; // "" = CONTROL_GROUP_DEFAULT, if there is one
};
// Makes the folder where it is missing, removes a socket that nobody serves any more, and listens (mode 0660). Returns the descriptor
// with the path in `path`, or negative errno with one line about what to do in `text`. -EADDRINUSE: the instance runs already.
int control_open(const struct control_place *place, char path[static CONTROL_PATH_CAP], char *text, size_t cap);

struct control_client; // somebody who is connected

struct control_request {
    const char *word;
    // `arguments`: the rest of the line, "" = none; valid during the call and may be written to. Unless it calls control_end() before it
    // returns, it must call control_on_gone(), or `client` would end unseen.
    void (*start)(void *ctx, struct control_client *client, char *arguments);
};

struct control {
    const struct control_request *requests; // ended by a row without a word
    void *ctx;                              // for all of them
    uv_pipe_t server;
    struct control_client *first, *last; // the oldest first
    int n_clients;                       // of them, those whose connection is not being closed
};
// `requests` and `ctx` are filled in by the caller. Takes the descriptor. Returns 0 or negative errno.
int control_start(struct control *control, uv_loop_t *loop, int fd);
// One more connection, to a process of our own: it may ask again and again, and has all the time there is. Takes the descriptor.
int control_adopt(struct control *control, int fd);
void control_stop(struct control *control);

// Answers. What can't be sent for want of memory, or to somebody who does not read, ends the connection; its user hears that by `gone`,
// but not before he returns to the loop.
void control_say_take(struct control_client *client, json_t *document); // as one line; NULL = no memory
void control_say_bytes(struct control_client *client, const void *bytes, size_t len);
// One line {"error": text}.
void control_refuse(struct control_client *client, const char *text);
// Bytes said that have not left yet.
size_t control_unsent(const struct control_client *client);
// Nothing more will be said; `client` is not the caller's any more. What was said still leaves.
void control_end(struct control_client *client);
// Called at most once, when the connection has ended and control_end() was not called before: `client` is not the user's any more.
void control_on_gone(struct control_client *client, void (*gone)(void *user), void *user);

#endif
