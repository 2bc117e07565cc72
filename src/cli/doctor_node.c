// SPDX-License-Identifier: MIT
/*
 * doctor_node: what the instance itself says: its session, the peer's clock, offloads, and the buffers of its sockets.
 */
#include <cap-ng.h>
#include <math.h>
#include <string.h>

#include "doctor_checks.h"
#include "ethercord/udp.h"

// Tuning constants. TLS and Kerberos mind some minutes; NTP keeps clocks within milliseconds.
#define SKEW_WORTH_TELLING_S 10.0

/* ---- session ---- */

static double drops(const struct doctor *doctor, const char *reason)
{
    return doctor_number(json_object_get(doctor->subject.status, "drops"), reason, 0);
}

static double counter(const struct doctor *doctor, const char *name)
{
    return doctor_number(json_object_get(doctor->subject.status, "counters"), name, 0);
}

// Somebody calls, and is refused: the counters say why.
static void advise_session(const struct doctor *doctor, struct finding *finding)
{
    if (drops(doctor, "handshake_unknown_peer") > 0)
        finding_advise(
            finding, "%.0f initiations came from a key that is not [Peer] PublicKey here: compare it with the far end's 'ethercord status'",
            drops(doctor, "handshake_unknown_peer"));
    else if (drops(doctor, "bad_mac1") > 0)
        finding_advise(finding, "%.0f handshake messages were meant for another key: at the far end, [Peer] PublicKey has to be %s",
                       drops(doctor, "bad_mac1"), doctor->subject.public_key);
    else if (drops(doctor, "handshake_failed") > 0)
        finding_advise(finding, "%.0f handshake messages did not open: the PSK has to be the same at both ends",
                       drops(doctor, "handshake_failed"));
    else if (drops(doctor, "handshake_no_cipher") > 0)
        finding_advise(finding, "the two ends have no cipher in common: set [Node] Cipher = auto at both");
    else if (counter(doctor, "rx_datagrams") > 0)
        finding_advise(finding, "datagrams do come here: look at the far end, with 'ethercord doctor' there");
    else if (counter(doctor, "handshakes_started") > 0)
        finding_advise(finding,
                       "nothing at all came back: is the far end running, its address and port right, and UDP let through? "
                       "Look there with 'ethercord doctor', here with: tcpdump -ni any udp port %u",
                       doctor->subject.listen_port);
    else
        finding_advise(finding, "nobody has called yet: look at the far end, with 'ethercord doctor' there");
}

void check_session(struct doctor *doctor)
{
    const struct doctor_subject *subject = &doctor->subject;
    const json_t *peer = doctor_peer(doctor);
    if (subject->unresolved[0])
        finding_advise(doctor_find(doctor, FINDING_ENDPOINT_UNRESOLVED, "the name in Endpoint, %s, has no address", subject->unresolved),
                       "getent ahosts %s; see /etc/resolv.conf and /etc/hosts, or write an address into Endpoint", subject->unresolved);
    if (!peer || subject->is_up)
        return;
    const char *name = doctor_text(peer, "name"), *reason = doctor_text(peer, "reason");
    advise_session(doctor, doctor_find(doctor, FINDING_SESSION_DOWN, "no session with peer %s for %.0f s: %s", name ? name : "?",
                                       doctor_number(peer, "since_s", 0), reason ? reason : "?"));
}

/* ---- clock ---- */

void check_clock(struct doctor *doctor)
{
    const json_t *peer = doctor_peer(doctor);
    double behind_s = doctor_number(peer, "clock_behind_s", 0), skew_s = doctor_number(peer, "clock_skew_s", 0);
    if (behind_s >= 1 && !doctor->subject.is_up) // else it may be somebody who repeats an old message
        finding_advise(doctor_find(doctor, FINDING_CLOCK_BEHIND,
                                   "the peer's handshakes are refused: its clock is %.0f s behind that of an earlier one", behind_s),
                       "set the clock there right (timedatectl, chronyc makestep); or, if it was ahead before: restart ethercord here, "
                       "which forgets the earlier one");
    if (fabs(skew_s) >= SKEW_WORTH_TELLING_S)
        finding_advise(
            doctor_find(doctor, FINDING_CLOCK_SKEW, "the peer's clock was %.0f s %s this one at its last initiation", fabs(skew_s),
                        skew_s > 0 ? "ahead of" : "behind"),
            "have both synchronised (timedatectl set-ntp true): when a clock that is ahead is put right, that node's handshakes are "
            "refused until its old time has come");
}

/* ---- offload ---- */

static void check_tap_offload(struct doctor *doctor)
{
    const json_t *tap = json_object_get(doctor->subject.status, "tap");
    const char *is = doctor_text(tap, "offload"), *wanted = doctor_text(tap, "offload_wanted");
    if (!is || !wanted || strcmp(is, "full") == 0)
        return;
    if (strcmp(is, wanted) == 0)
        finding_advise(doctor_find(doctor, FINDING_OFFLOAD_OFF, "offload of the TAP is '%s', as [Node] TapOffload says", wanted),
                       "TapOffload = full, unless the kernel does it wrong: frames cross one by one now, which is slow");
    else
        finding_advise(doctor_find(doctor, FINDING_OFFLOAD_REFUSED,
                                   "offload of the TAP is '%s' and not '%s': the kernel refused it (%.0f writes were refused)", is, wanted,
                                   counter(doctor, "tap_offload_refused")),
                       "see the log for the call that it refused (journalctl -u 'ethercord@*'); Linux 6.1.103 to 110 and 6.6.44 to 45 are "
                       "known for it: "
                       "update the kernel");
}

static void check_udp_offload(struct doctor *doctor)
{
    const json_t *underlay = json_object_get(doctor->subject.status, "underlay");
    bool has_gso = !json_is_false(json_object_get(underlay, "gso")), has_gro = !json_is_false(json_object_get(underlay, "gro"));
    if (has_gso && has_gro)
        return;
    if (json_is_false(json_object_get(underlay, "offload_wanted")))
        finding_advise(doctor_find(doctor, FINDING_OFFLOAD_OFF, "datagrams go and come one by one, as [Node] UdpOffload = off says"),
                       "UdpOffload = on, unless a kernel or card on the way loses trains");
    else
        finding_advise(
            doctor_find(doctor, FINDING_OFFLOAD_REFUSED, "datagrams %s one by one: the kernel refused trains (%.0f were refused)",
                        has_gso   ? "come"
                        : has_gro ? "go"
                                  : "go and come",
                        counter(doctor, "send_offload_refused")),
            "see the log for the call that it refused; UDP GSO needs Linux 4.18, GRO 5.0, and a card whose driver does not break them: "
            "try ethtool -K IF tx-udp-segmentation off, and a restart");
}

void check_offload(struct doctor *doctor)
{
    if (!doctor->subject.status)
        return; // the kernel says it when it is asked, at the start
    check_tap_offload(doctor);
    check_udp_offload(doctor);
}

/* ---- buffers ---- */

static void find_small(struct doctor *doctor, double is_bytes, double wanted_bytes, const char *sysctl)
{
    bool is_for_receiving = strcmp(sysctl, "rmem_max") == 0;
    double n_dropped = is_for_receiving ? drops(doctor, "receive_queue_full") : 0;
    finding_advise(doctor_find(doctor, FINDING_BUFFERS_SMALL,
                               "the UDP socket's %s buffer %s %.0f bytes of the %.0f that it asks for (%.0f datagrams found it full)",
                               is_for_receiving ? "receive" : "send", doctor->subject.status ? "has" : "will have", is_bytes, wanted_bytes,
                               n_dropped),
                   "sysctl -w net.core.%s=%.0f (on the host, not in a container), and start ethercord again; or give it CAP_NET_ADMIN",
                   sysctl, wanted_bytes);
}

static void check_granted(struct doctor *doctor, const char *which, const char *sysctl)
{
    const json_t *underlay = json_object_get(doctor->subject.status, "underlay");
    char is[32], wanted[32];
    (void)snprintf(is, sizeof is, "%s_buffer_bytes", which);
    (void)snprintf(wanted, sizeof wanted, "%s_buffer_wanted_bytes", which);
    double is_bytes = doctor_number(underlay, is, 0), wanted_bytes = doctor_number(underlay, wanted, 0);
    if (is_bytes > 0 && is_bytes < wanted_bytes)
        find_small(doctor, is_bytes, wanted_bytes, sysctl);
}

// With CAP_NET_ADMIN the system's limit does not count.
static void check_limit(struct doctor *doctor, const char *sysctl, long wanted_bytes)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/sys/net/core/%s", sysctl);
    long limit = doctor_proc_number(path, -1);
    if (limit < 0)
        doctor_skip(doctor, "net.core.%s can't be read here", sysctl);
    else if (limit < wanted_bytes)
        find_small(doctor, (double)limit, (double)wanted_bytes, sysctl);
}

void check_buffers(struct doctor *doctor)
{
    if (doctor->subject.status) {
        check_granted(doctor, "recv", "rmem_max");
        check_granted(doctor, "send", "wmem_max");
    } else if (capng_get_caps_process() == 0 && !capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN)) {
        check_limit(doctor, "rmem_max", UDP_RECV_BUFFER_BYTES);
        check_limit(doctor, "wmem_max", UDP_SEND_BUFFER_BYTES);
    }
}
