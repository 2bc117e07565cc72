// SPDX-License-Identifier: MIT
/*
 * metrics: the status (docs/status.md) as Prometheus' text format: a pure function with a table behind it (metrics_table.c).
 *
 * A member that is missing, null, or of another kind than the table says leaves its metric out. The status comes from the worker, which
 * strangers talk to: names come from our own tables, texts are escaped and cut, and the whole is bounded.
 */
#ifndef ETHERCORD_WEB_METRICS_H
#define ETHERCORD_WEB_METRICS_H

#include <jansson.h>
#include <stddef.h>

enum { METRICS_TEXT_MAX = 256 * 1024, METRICS_LABEL_MAX = 200, METRICS_PEERS_MAX = 64 };

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER };

struct metric {
    const char *path; // in the status, or for a peer's in the member of `peers`; dots between names
    const char *name; // rows of one name stand together, and the first has the help
    enum metric_kind kind;
    double scale;       // of the status' unit in ours: seconds, bytes, parts of one
    const char *labels; // besides the peer's name: "" or "direction=\"rx\""
    const char *help;
};

// Both ended by a row without a path.
extern const struct metric metrics_of_node[];
extern const struct metric metrics_of_peer[];

// `started_s`: when the node was started, seconds since 1970. To be freed; NULL = out of memory, or longer than METRICS_TEXT_MAX.
char *metrics_format(const json_t *status, double started_s, size_t *len);

#endif
