// SPDX-License-Identifier: MIT
/*
 * plan: see plan.h. What a reload would do only the daemon can say: it alone has the secrets that are in force to compare with.
 */
#include "plan.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "reload_client.h"

/* ---- a start ---- */

static const char *if_missing(const char *interface)
{
    return if_nametoindex(interface) == 0 ? " (THERE IS NONE of that name: it would fail)" : "";
}

static void print_tap(const struct tap_settings *tap)
{
    char text[CIDR_TEXT_CAP];

    printf("  %s the TAP %s, set its MTU to %u and its queue to %u frames, and bring it up\n",
           if_nametoindex(tap->name) ? "take over" : "make", tap->name, tap->mtu, tap->queue_len);
    if (tap->bridge[0])
        printf("  make it a port of the bridge %s%s\n", tap->bridge, if_missing(tap->bridge));
    for (size_t i = 0; i < tap->n_addresses; i++)
        printf("  give it the address %s\n", cidr_format(&tap->addresses[i], text));
}

static void print_underlay(const struct udp_options *udp)
{
    char text[ADDR_TEXT_CAP];

    if (udp->port)
        printf("  listen on UDP port %u", udp->port);
    else
        printf("  listen on any free UDP port");
    if (udp->source.family != AF_UNSPEC) {
        struct addr source = udp->source;
        source.port = udp->port;
        printf(", at %s alone", addr_format(&source, text));
    }
    if (udp->interface[0])
        printf(" on interface %s alone%s", udp->interface, if_missing(udp->interface));
    printf("\n");
}

void plan_print_start(const char *run_dir, const struct config *config)
{
    const struct peer_settings *peer = &config->peer;
    bool is_v6 = strchr(peer->endpoint_host, ':') != NULL;

    printf("A start would\n");
    print_tap(&config->tap);
    print_underlay(&config->udp);
    if (peer->is_present && peer->has_endpoint)
        printf("  call peer %s at %s%s%s port %u\n", peer->name, is_v6 ? "[" : "", peer->endpoint_host, is_v6 ? "]" : "",
               peer->endpoint_port);
    else if (peer->is_present)
        printf("  wait for peer %s to call\n", peer->name);
    printf("  run its worker as user %s, and serve %s/%s.sock for root and group %s\n", config->user, run_dir, config->name,
           config->control_group[0] ? config->control_group : "ethercord (where there is one)");
}

/* ---- a reload ---- */

static bool is_running(const char *run_dir, const char *name)
{
    char path[512];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s.sock", run_dir, name);
    return stat(path, &st) == 0;
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat st_a, st_b;

    return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev && st_a.st_ino == st_b.st_ino;
}

void plan_print_reload(const char *run_dir, const char *name, const char *file)
{
    char problem[CONTROL_PROBLEM_CAP];

    if (!is_running(run_dir, name))
        return;
    (void)fflush(stdout); // before what goes to stderr
    json_t *document = reload_fetch(run_dir, name, true, problem);
    if (!document) {
        fprintf(stderr, "what a reload would change is not known: %s\n", problem);
        return;
    }
    const char *running = json_string_value(json_object_get(document, "file"));
    if (!running) {
        printf("Instance %s runs, but not from a file: a reload is not possible, a restart is\n", name);
    } else if (!is_same_file(running, file)) {
        printf("Instance %s runs with another file, %s: what this one would change can't be said\n", name, running);
    } else {
        printf("Instance %s runs with this file; a reload:\n", name);
        (void)reload_print(document, stdout, stderr);
    }
    json_decref(document);
}
