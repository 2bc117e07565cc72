// SPDX-License-Identifier: MIT
/*
 * doctor: the status of an instance as the doctor reads it, and a ruleset of nftables. Whatever they are, the checks end, and what they
 * say is one line of printable characters.
 */
#include "../../src/cli/doctor.h"
#include "../../src/cli/doctor_checks.h"
#include "../../src/cli/doctor_rules.h"
#include "../../src/cli/doctor_subject.h"

#include <jansson.h>

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static void check_said(const char *text)
{
    for (; *text; text++)
        ensure(*text >= 0x20 && *text < 0x7f);
}

// The checks that look at nothing but the status.
static void examine(json_t *status)
{
    static struct doctor doctor;

    doctor = (struct doctor){.subject = {.run_dir = "/nowhere"}};
    subject_from_status_take(&doctor.subject, status);
    ensure(doctor.subject.n_places <= DOCTOR_PLACES_MAX);
    check_session(&doctor);
    check_clock(&doctor);
    check_offload(&doctor);
    check_buffers(&doctor);
    check_key(&doctor);
    for (size_t i = 0; i < doctor.n_findings; i++) {
        check_said(doctor.findings[i].what);
        check_said(doctor.findings[i].advice);
    }
    json_decref(doctor_document(&doctor));
    subject_deinit(&doctor.subject);
}

static void judge(const json_t *ruleset)
{
    static const char *const hooks[] = {"input", "output", "forward", NULL};
    struct rules_packet packet = {.hooks = hooks, .is_udp = true, .family = AF_INET, .in = "eth0"};

    ensure(addr_parse_ip("192.0.2.1", &packet.from));
    packet.to.port = 36160;
    struct rules_verdict verdict = rules_judge(ruleset, &packet);
    ensure((verdict.outcome == RULES_PASS) == (verdict.where[0] == '\0'));
    packet = (struct rules_packet){.hooks = hooks, .is_of_bridge = true, .family = AF_INET6};
    (void)rules_judge(ruleset, &packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *document = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

    if (json_object_get(document, "nftables")) {
        judge(document);
        json_decref(document);
    } else if (document) {
        examine(document);
    }
    return 0;
}
