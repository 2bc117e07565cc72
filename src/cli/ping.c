// SPDX-License-Identifier: MIT
/*
 * ping: echoes through the tunnel. The instance sends them and measures; this asks for them, prints what comes, and sums it up at the end:
 * when all are accounted for, at the deadline, or when a signal (Ctrl-C) says so.
 */
#include "ping_account.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "control_client.h"
#include "ethercord/clock.h"
#include "ethercord/program.h"

enum { INTERVAL_MS_MIN = 10, INTERVAL_MS_MAX = 3600 * 1000, COUNT_MAX = 1000 * 1000 * 1000, REQUEST_CAP = 64 };
#define DEADLINE_MS_MAX 86400000.0

struct orders {
    long interval_ms;
    long count;           // 0 = until told to stop
    uint64_t deadline_ns; // UINT64_MAX = none
    bool is_quiet;
};

static int usage(const char *problem)
{
    command_problem("ping", problem);
    return CODE_USAGE;
}

// Seconds, with a fraction or without, as milliseconds; false when there are none between those.
static bool parse_ms(const char *text, double min_ms, double max_ms, double *ms)
{
    char *end;
    size_t len = strspn(text, "0123456789.");

    errno = 0;
    *ms = 1000 * strtod(text, &end);
    return errno == 0 && end > text && end == text + len && *end == '\0' && *ms >= min_ms && *ms <= max_ms;
}

static bool parse_count(const char *text, long *count)
{
    char *end;

    errno = 0;
    *count = strtol(text, &end, 10);
    return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0' && *count >= 1 && *count <= COUNT_MAX;
}

static int parse_orders(const struct command_line *line, struct orders *orders)
{
    double ms = 1000;

    *orders = (struct orders){.deadline_ns = UINT64_MAX, .is_quiet = line->is_quiet || line->wants_json};
    if (line->interval && !parse_ms(line->interval, INTERVAL_MS_MIN, INTERVAL_MS_MAX, &ms))
        return usage("--interval: expected seconds from 0.01 to 3600, as 0.5");
    orders->interval_ms = (long)ms;
    if (line->count && !parse_count(line->count, &orders->count))
        return usage("--count: expected a number from 1 to 1000000000");
    if (line->deadline && !parse_ms(line->deadline, 1, DEADLINE_MS_MAX, &ms))
        return usage("--deadline: expected seconds from 0.001 to 86400, as 2");
    if (line->deadline)
        orders->deadline_ns = now_boot_ns() + (uint64_t)(ms * (double)NS_PER_MS);
    return CODE_DONE;
}

/* ---- waiting ---- */

static void on_signal(int number)
{
    (void)number; // that ppoll() is interrupted is all that is needed
}

// SIGINT and SIGTERM come only while it waits; `mask` is for that.
static void catch_signals(sigset_t *mask)
{
    const struct sigaction action = {.sa_handler = on_signal};
    sigset_t held;

    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigprocmask(SIG_BLOCK, &held, mask);
    sigdelset(mask, SIGINT);
    sigdelset(mask, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

// Until there is something to read. False: a signal, or the deadline.
static bool wait_for(const struct control_client *client, uint64_t deadline_ns, const sigset_t *mask)
{
    struct pollfd pollfd = {.fd = client->fd, .events = POLLIN};
    uint64_t now_ns = now_boot_ns(), left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left_ns / NS_PER_S), .tv_nsec = (long)(left_ns % NS_PER_S)};

    if (control_client_has_document(client))
        return true;
    return ppoll(&pollfd, 1, deadline_ns == UINT64_MAX ? NULL : &timeout, mask) > 0;
}

// False with `problem` when the instance went away, or refused.
static bool listen_to(struct control_client *client, const struct orders *orders, struct ping_account *account,
                      char problem[static CONTROL_PROBLEM_CAP])
{
    FILE *out = orders->is_quiet ? NULL : stdout;
    sigset_t mask;

    catch_signals(&mask);
    while (!account->is_ended && wait_for(client, orders->deadline_ns, &mask)) {
        json_t *document = control_client_read(client, now_boot_ns() + CONTROL_TIMEOUT_MS * NS_PER_MS, problem);
        if (!document) {
            if (problem[0] == '\0')
                snprintf(problem, CONTROL_PROBLEM_CAP, "instance '%s' has stopped", client->name);
            return false;
        }
        ping_take(account, document, out);
        json_decref(document);
        if (out)
            fflush(out);
    }
    return true;
}

static void print(const struct ping_account *account, bool wants_json)
{
    json_t *summary;

    if (!wants_json) {
        ping_print_summary(account, stdout);
    } else if ((summary = ping_summary(account))) {
        (void)json_dumpf(summary, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        printf("\n");
        json_decref(summary);
    }
}

int command_ping(const struct command_line *line)
{
    char problem[CONTROL_PROBLEM_CAP], request[REQUEST_CAP];
    struct ping_account account = {0};
    struct control_client client;
    struct orders orders;
    int code = parse_orders(line, &orders);

    if (code != CODE_DONE)
        return code;
    int len = snprintf(request, sizeof request, "ping %ld", orders.interval_ms);
    if (orders.count)
        snprintf(request + len, sizeof request - (size_t)len, " %ld", orders.count);
    if (!control_client_open(&client, command_run_dir(line), line->n_arguments > 0 ? line->arguments[0] : NULL, request, problem)) {
        command_problem("ping", problem);
        return CODE_FAILED;
    }
    bool is_good = listen_to(&client, &orders, &account, problem);
    control_client_close(&client);
    if (is_good || account.n_sent > 0)
        print(&account, line->wants_json);
    if (!is_good)
        command_problem("ping", problem);
    return is_good && account.n_received > 0 ? CODE_DONE : CODE_FAILED;
}
