// SPDX-License-Identifier: MIT
/*
 * asker: asks the worker for its status, over the socketpair that only these two have, and keeps the answer for a moment: however many
 * look at the page, the worker is asked four times a second at the most.
 *
 * Asking blocks, for ASKER_WAIT_MS at most, which nobody minds but other visitors. The worker reads what strangers send, so an answer is
 * bounded, and one that nobody asked for ends it all.
 */
#ifndef ETHERCORD_WEB_ASKER_H
#define ETHERCORD_WEB_ASKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ASKER_ANSWER_CAP = 256 * 1024, ASKER_KEEP_MS = 250, ASKER_WAIT_MS = 1000 };

struct asker {
    int fd;
    bool is_owed; // an answer
    char *bytes;  // of the answer that is coming, or of the last one
    size_t len;
    uint64_t tried_ns; // 0 = never
    unsigned n_tried;  // changes whenever `status` does
    json_t *status;    // NULL = there was no answer
    int error;         // that ends it all: what asker_listen() would return
};

// Takes the descriptor. Returns 0 or -ENOMEM.
int asker_init(struct asker *asker, int fd);
void asker_deinit(struct asker *asker);
// Whether there is a status not older than ASKER_KEEP_MS: asker->status, and its text in asker->bytes, of asker->len without a line feed.
bool asker_ask(struct asker *asker);
// When the descriptor is readable and nobody is asking. Returns 0, -EPIPE = the worker is gone, or -EBADMSG = it says what nobody asked.
int asker_listen(struct asker *asker);

#endif
