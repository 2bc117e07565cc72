// SPDX-License-Identifier: MIT
/*
 * log_events: what there is to tell, each under a name of its own, with the level that it is told at.
 *
 * Names and ids are what scripts and people look for in the journal: those that are here stay. docs/service.md shows the same table.
 */
#ifndef ETHERCORD_LOG_EVENTS_H
#define ETHERCORD_LOG_EVENTS_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_COUNT };

enum log_event {
    LOG_EVENT_NONE,
    LOG_EVENT_RUNNING,
    LOG_EVENT_STOPPED,
    LOG_EVENT_START_FAILED,
    LOG_EVENT_UNCONFINED,
    LOG_EVENT_WORKER_ENDED,
    LOG_EVENT_MONITOR_GONE,
    LOG_EVENT_WORKER_STUCK,
    LOG_EVENT_WORKER_TURNS,
    LOG_EVENT_PEER_UP,
    LOG_EVENT_PEER_DOWN,
    LOG_EVENT_PEER_SILENT,
    LOG_EVENT_PEER_MOVED,
    LOG_EVENT_PATH_MTU,
    LOG_EVENT_BLACK_HOLE,
    LOG_EVENT_MTU_DIFFERS,
    LOG_EVENT_UNSTEADY,
    LOG_EVENT_NAME_FOUND,
    LOG_EVENT_NAME_FAILED,
    LOG_EVENT_CONFLICT,
    LOG_EVENT_TAP_UP,
    LOG_EVENT_TAP_DOWN,
    LOG_EVENT_TAP_GONE,
    LOG_EVENT_TAP_CHANGED,
    LOG_EVENT_TAP_RESTORED,
    LOG_EVENT_TAP_REFUSES,
    LOG_EVENT_PORT_NARROW,
    LOG_EVENT_PORTS_WIDE,
    LOG_EVENT_SEND_FAILED,
    LOG_EVENT_OFFLOAD_OFF,
    LOG_EVENT_UNDER_LOAD,
    LOG_EVENT_UNDERLAY,
    LOG_EVENT_RELOAD,
    LOG_EVENT_NEEDS_RESTART,
    LOG_EVENT_RELOAD_FAILED,
    LOG_EVENT_METRICS_ENDED,
    LOG_EVENT_COUNT
};

struct log_event_entry {
    const char *name;
    const char *message_id; // 128 random bits, as sd-id128(3) writes them
    enum log_level level;
    const char *meaning;
};

extern const struct log_event_entry log_events[LOG_EVENT_COUNT];

#endif
