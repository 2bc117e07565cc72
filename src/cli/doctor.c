// SPDX-License-Identifier: MIT
/*
 * doctor: see doctor.h. The tables of checks and of findings, and how both are told.
 */
#include "doctor.h"

#include <stdarg.h>

#include "doctor_checks.h"

// docs/doctor.md has a row for each: a test holds the two together.
static const struct finding_row findings[FINDING_COUNT] = {
    [FINDING_NOT_RUNNING] = {"not-running", SEVERITY_FAULT},
    [FINDING_SESSION_DOWN] = {"session-down", SEVERITY_FAULT},
    [FINDING_ENDPOINT_UNRESOLVED] = {"endpoint-unresolved", SEVERITY_FAULT},
    [FINDING_NO_TUN] = {"no-tun", SEVERITY_FAULT},
    [FINDING_NO_CAPABILITY] = {"no-capability", SEVERITY_FAULT},
    [FINDING_TAP_MISSING] = {"tap-missing", SEVERITY_FAULT},
    [FINDING_TAP_DOWN] = {"tap-down", SEVERITY_FAULT},
    [FINDING_TAP_NO_CARRIER] = {"tap-no-carrier", SEVERITY_FAULT},
    [FINDING_TAP_NOT_IN_BRIDGE] = {"tap-not-in-bridge", SEVERITY_FAULT},
    [FINDING_BRIDGE_MISSING] = {"bridge-missing", SEVERITY_FAULT},
    [FINDING_BRIDGE_DOWN] = {"bridge-down", SEVERITY_FAULT},
    [FINDING_BRIDGE_NO_CARRIER] = {"bridge-no-carrier", SEVERITY_FAULT},
    [FINDING_PORT_BLOCKED] = {"port-blocked", SEVERITY_FAULT},
    [FINDING_PORT_SPANNING_TREE] = {"port-spanning-tree", SEVERITY_HINT},
    [FINDING_MTU_TAP] = {"mtu-tap", SEVERITY_FAULT},
    [FINDING_MTU_PORT_SMALLER] = {"mtu-port-smaller", SEVERITY_FAULT},
    [FINDING_MTU_PORT_LARGER] = {"mtu-port-larger", SEVERITY_HINT},
    [FINDING_MTU_FAR] = {"mtu-far", SEVERITY_HINT},
    [FINDING_BRIDGE_FILTER_DROPS] = {"bridge-filter-drops", SEVERITY_FAULT},
    [FINDING_BRIDGE_FILTER_MAY_DROP] = {"bridge-filter-may-drop", SEVERITY_HINT},
    [FINDING_BR_NETFILTER_ON] = {"br-netfilter-on", SEVERITY_HINT},
    [FINDING_NO_ROUTE] = {"no-route", SEVERITY_FAULT},
    [FINDING_ROUTE_THROUGH_TUNNEL] = {"route-through-tunnel", SEVERITY_FAULT},
    [FINDING_FIREWALL_DROPS] = {"firewall-drops", SEVERITY_FAULT},
    [FINDING_FIREWALL_MAY_DROP] = {"firewall-may-drop", SEVERITY_HINT},
    [FINDING_RP_FILTER_DROPS] = {"rp-filter-drops", SEVERITY_FAULT},
    [FINDING_RP_FILTER_COUNTS] = {"rp-filter-counts", SEVERITY_HINT},
    [FINDING_BUFFERS_SMALL] = {"buffers-small", SEVERITY_HINT},
    [FINDING_CLOCK_BEHIND] = {"clock-behind", SEVERITY_FAULT},
    [FINDING_CLOCK_SKEW] = {"clock-skew", SEVERITY_HINT},
    [FINDING_OFFLOAD_REFUSED] = {"offload-refused", SEVERITY_HINT},
    [FINDING_OFFLOAD_OFF] = {"offload-off", SEVERITY_HINT},
    [FINDING_KEY_TWICE_HERE] = {"key-twice-here", SEVERITY_FAULT},
    [FINDING_KEY_ELSEWHERE] = {"key-elsewhere", SEVERITY_FAULT},
    [FINDING_SKIPPED] = {"skipped", SEVERITY_SKIPPED},
};

// What keeps a node from starting comes first, then what keeps frames from crossing, then what makes them slow.
static const struct doctor_check checks[] = {
    {"session", "whether there is a session with the peer, and else why not", 0, check_session},
    {"tun", "/dev/net/tun, which TAPs are made by", CHECK_MACHINE, check_tun},
    {"capability", "what this user may do, before a start", CHECK_MACHINE, check_capability},
    {"tap", "the TAP: there, up, with carrier, in its bridge", CHECK_NETWORK, check_tap},
    {"bridge", "the bridge: up, its other ports, spanning tree", CHECK_NETWORK, check_bridge},
    {"mtu", "MTUs of the TAP, of the bridge's ports and of the far TAP", CHECK_NETWORK, check_mtu},
    {"br-netfilter", "br_netfilter and rules that drop bridged frames", CHECK_NETWORK, check_br_netfilter},
    {"route", "routes to the peer, and whether they lead into the tunnel", CHECK_NETWORK, check_route},
    {"firewall", "nftables rules that drop the tunnel's datagrams", CHECK_NETWORK, check_firewall},
    {"rp-filter", "reverse path filtering of what the peer sends", CHECK_NETWORK, check_rp_filter},
    {"buffers", "buffers of the UDP sockets", 0, check_buffers},
    {"clock", "the peer's clock against this one", 0, check_clock},
    {"offload", "whether the kernel cuts and joins for the node, and else why not", 0, check_offload},
    {"key", "a second daemon with the same key, here or elsewhere", 0, check_key},
};
enum { N_CHECKS = sizeof(checks) / sizeof(checks[0]) };

static const char *const severities[SEVERITY_COUNT] = {
    [SEVERITY_FAULT] = "fault",
    [SEVERITY_HINT] = "hint",
    [SEVERITY_SKIPPED] = "skipped",
};

const struct doctor_check *doctor_check_at(size_t i)
{
    return i < N_CHECKS ? &checks[i] : NULL;
}

const struct finding_row *finding_row_of(enum finding_kind kind)
{
    return &findings[kind];
}

size_t doctor_count(const struct doctor *doctor, enum finding_severity severity)
{
    size_t n = 0;
    for (size_t i = 0; i < doctor->n_findings; i++)
        n += findings[doctor->findings[i].kind].severity == severity;
    return n;
}

/* ---- for checks ---- */

// Nothing that comes from elsewhere gets to a terminal as it is.
static void write_text(char text[static DOCTOR_TEXT_CAP], const char *format, va_list args)
{
    (void)vsnprintf(text, DOCTOR_TEXT_CAP, format, args);
    for (char *c = text; *c; c++) {
        if (*c < 0x20 || *c >= 0x7f)
            *c = '?';
    }
}

// The last one is written over when there is no room: what is not told one by one is counted.
static struct finding *add(struct doctor *doctor, enum finding_kind kind)
{
    bool is_full = doctor->n_findings == DOCTOR_FINDINGS_MAX;
    struct finding *finding = &doctor->findings[is_full ? DOCTOR_FINDINGS_MAX - 1 : doctor->n_findings];
    doctor->n_untold += is_full;
    doctor->n_findings += !is_full;
    *finding = (struct finding){.kind = kind, .check = doctor->check ? doctor->check->name : "instance"};
    return finding;
}

struct finding *doctor_find(struct doctor *doctor, enum finding_kind kind, const char *format, ...)
{
    struct finding *finding = add(doctor, kind);
    va_list args;
    va_start(args, format);
    write_text(finding->what, format, args);
    va_end(args);
    return finding;
}

void finding_advise(struct finding *finding, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_text(finding->advice, format, args);
    va_end(args);
}

void doctor_skip(struct doctor *doctor, const char *format, ...)
{
    struct finding *finding = add(doctor, FINDING_SKIPPED);
    va_list args;
    va_start(args, format);
    write_text(finding->what, format, args);
    va_end(args);
}

void doctor_look(struct doctor *doctor)
{
    size_t n_unknown = 0;
    for (size_t i = 0; i < N_CHECKS; i++) {
        doctor->check = &checks[i];
        if (!doctor->subject.has_config && !(checks[i].traits & CHECK_MACHINE))
            n_unknown++;
        else if ((checks[i].traits & CHECK_NETWORK) && doctor->cant_look)
            doctor_skip(doctor, "%s", doctor->cant_look);
        else
            checks[i].look(doctor);
    }
    doctor->check = NULL;
    if (n_unknown > 0)
        doctor_skip(doctor, "%zu checks need to know the instance, from itself or from its file", n_unknown);
}

/* ---- the answer ---- */

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_severity(const struct doctor *doctor, enum finding_severity severity, FILE *out)
{
    for (size_t i = 0; i < doctor->n_findings; i++) {
        const struct finding *finding = &doctor->findings[i];
        if (findings[finding->kind].severity != severity)
            continue;
        if (severity == SEVERITY_SKIPPED) {
            fprintf(out, "  %-8s %s: %s\n", severities[severity], finding->check, finding->what);
            continue;
        }
        fprintf(out, "  %-8s %s: %s\n", severities[severity], findings[finding->kind].name, finding->what);
        if (finding->advice[0])
            fprintf(out, "           %s\n", finding->advice);
    }
}

void doctor_print(const struct doctor *doctor, FILE *out)
{
    const struct doctor_subject *subject = &doctor->subject;
    size_t n_faults = doctor_count(doctor, SEVERITY_FAULT), n_hints = doctor_count(doctor, SEVERITY_HINT);
    size_t n_skipped = doctor_count(doctor, SEVERITY_SKIPPED);
    fprintf(out, "%s: %s, %zu checks\n", subject->name[0] ? subject->name : "no instance", subject->status ? "running" : "not running",
            (size_t)N_CHECKS);
    for (int severity = 0; severity < SEVERITY_COUNT; severity++)
        print_severity(doctor, (enum finding_severity)severity, out);
    if (doctor->n_untold > 0)
        fprintf(out, "  and %zu more\n", doctor->n_untold);
    if (n_faults == 0 && n_hints == 0)
        fprintf(out, "nothing wrong");
    else
        fprintf(out, "%zu fault%s, %zu hint%s", n_faults, plural(n_faults), n_hints, plural(n_hints));
    fprintf(out, n_skipped > 0 ? "; %zu could not be looked at\n" : "\n", n_skipped);
}

json_t *doctor_document(const struct doctor *doctor)
{
    const struct doctor_subject *subject = &doctor->subject;
    json_t *found = json_array(), *looked = json_array();
    for (size_t i = 0; i < doctor->n_findings; i++) {
        const struct finding *finding = &doctor->findings[i];
        const struct finding_row *row = &findings[finding->kind];
        json_array_append_new(found, json_pack("{s:s, s:s, s:s, s:s, s:s?}", "check", finding->check, "finding", row->name, "severity",
                                               severities[row->severity], "what", finding->what, "advice",
                                               finding->advice[0] ? finding->advice : NULL));
    }
    for (size_t i = 0; i < N_CHECKS; i++)
        json_array_append_new(looked, json_pack("{s:s, s:s}", "name", checks[i].name, "looks_at", checks[i].looks_at));
    return json_pack("{s:i, s:s?, s:b, s:s?, s:I, s:I, s:I, s:I, s:o, s:o}", "schema", DOCTOR_SCHEMA, "name",
                     subject->name[0] ? subject->name : NULL, "running", subject->status != NULL, "config_file",
                     subject->file[0] ? subject->file : NULL, "faults", (json_int_t)doctor_count(doctor, SEVERITY_FAULT), "hints",
                     (json_int_t)doctor_count(doctor, SEVERITY_HINT), "skipped", (json_int_t)doctor_count(doctor, SEVERITY_SKIPPED),
                     "untold", (json_int_t)doctor->n_untold, "checks", looked, "findings", found);
}
