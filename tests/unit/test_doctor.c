// SPDX-License-Identifier: MIT
/*
 * test_doctor: the tables, what is printed of findings, and what a status that means harm comes to. That each finding is found for what it
 * is: tests/netns/doctor.test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cli/doctor.h"
#include "../../src/cli/doctor_checks.h"
#include "../../src/cli/doctor_subject.h"

static struct doctor doctor;

static void begin(void)
{
    json_decref(doctor.subject.status);
    memset(&doctor, 0, sizeof doctor);
}

static char *read_docs(void)
{
    char path[1024];
    const char *tests = getenv("ETHERCORD_TESTS");
    char *text = calloc(1, 65536);
    (void)snprintf(path, sizeof path, "%s/../docs/doctor.md", tests ? tests : "tests");
    FILE *file = fopen(path, "re");
    assert_non_null(text);
    assert_non_null(file);
    assert_true(fread(text, 1, 65535, file) > 0);
    (void)fclose(file);
    return text;
}

static void each_finding_has_a_name_and_a_row_in_the_docs(void **state)
{
    static const char *const severities[] = {"fault", "hint"};
    char *docs = read_docs();
    char row[80];
    (void)state;
    for (int i = 0; i < FINDING_COUNT; i++) {
        const struct finding_row *finding = finding_row_of((enum finding_kind)i);
        assert_non_null(finding->name);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(finding->name, finding_row_of((enum finding_kind)j)->name);
        if (finding->severity == SEVERITY_SKIPPED)
            continue;
        (void)snprintf(row, sizeof row, "\n| `%s` | %s | ", finding->name, severities[finding->severity]);
        if (!strstr(docs, row))
            fail_msg("docs/doctor.md has no row%s", row);
    }
    free(docs);
}

static void the_docs_have_no_row_too_many(void **state)
{
    char *docs = read_docs();
    int n = 0;
    (void)state;
    for (const char *at = strstr(docs, "## What it finds"), *end = strstr(docs, "## Key elsewhere"); (at = strstr(at, "\n| `")) && at < end;
         at++)
        n++;
    assert_int_equal(n, FINDING_COUNT - 1); // all but "skipped"
    free(docs);
}

static void each_check_has_a_name_and_says_what_it_looks_at(void **state)
{
    size_t n = 0;
    (void)state;
    for (const struct doctor_check *check; (check = doctor_check_at(n)); n++) {
        assert_true(check->name[0] && check->looks_at[0] && check->look);
        for (size_t i = 0; i < n; i++)
            assert_string_not_equal(check->name, doctor_check_at(i)->name);
    }
    assert_int_equal(n, 14);
}

static void assert_printed(const char *wanted)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    doctor_print(&doctor, out);
    (void)fclose(out);
    assert_string_equal(text, wanted);
    free(text);
}

static void faults_come_first(void **state)
{
    (void)state;
    begin();
    (void)snprintf(doctor.subject.name, sizeof doctor.subject.name, "site-a");
    finding_advise(doctor_find(&doctor, FINDING_MTU_FAR, "%d here", 1500), "set both");
    doctor_skip(&doctor, "no nft");
    (void)doctor_find(&doctor, FINDING_BRIDGE_DOWN, "bridge br0 is down");
    assert_printed("site-a: not running, 14 checks\n"
                   "  fault    bridge-down: bridge br0 is down\n"
                   "  hint     mtu-far: 1500 here\n"
                   "           set both\n"
                   "  skipped  instance: no nft\n"
                   "1 fault, 1 hint; 1 could not be looked at\n");
    assert_int_equal(doctor_count(&doctor, SEVERITY_FAULT), 1);
    assert_int_equal(doctor_count(&doctor, SEVERITY_HINT), 1);
}

static void nothing_wrong(void **state)
{
    (void)state;
    begin();
    assert_printed("no instance: not running, 14 checks\nnothing wrong\n");
}

static void control_characters_are_not_printed(void **state)
{
    (void)state;
    begin();
    finding_advise(doctor_find(&doctor, FINDING_BRIDGE_DOWN, "%s", "br\x1b[31m\n\x9b"), "%s", "a\tb");
    assert_string_equal(doctor.findings[0].what, "br?[31m??");
    assert_string_equal(doctor.findings[0].advice, "a?b");
}

static void more_findings_than_there_is_room_for(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < DOCTOR_FINDINGS_MAX + 5; i++)
        finding_advise(doctor_find(&doctor, FINDING_MTU_PORT_SMALLER, "%d", i), "do");
    assert_int_equal(doctor.n_findings, DOCTOR_FINDINGS_MAX);
    assert_int_equal(doctor.n_untold, 5);
    assert_int_equal(doctor_count(&doctor, SEVERITY_FAULT), DOCTOR_FINDINGS_MAX);
}

static void json_has_all_of_it(void **state)
{
    (void)state;
    begin();
    finding_advise(doctor_find(&doctor, FINDING_TAP_DOWN, "the TAP is down"), "ip link set cord0 up");
    json_t *document = doctor_document(&doctor);
    const json_t *finding = json_array_get(json_object_get(document, "findings"), 0);
    assert_int_equal(json_integer_value(json_object_get(document, "schema")), 1);
    assert_int_equal(json_integer_value(json_object_get(document, "faults")), 1);
    assert_int_equal(json_array_size(json_object_get(document, "checks")), 14);
    assert_string_equal(json_string_value(json_object_get(finding, "finding")), "tap-down");
    assert_string_equal(json_string_value(json_object_get(finding, "severity")), "fault");
    assert_string_equal(json_string_value(json_object_get(finding, "advice")), "ip link set cord0 up");
    json_decref(document);
}

static void take(const char *text)
{
    begin();
    json_t *status = json_loads(text, 0, NULL);
    assert_non_null(status);
    subject_from_status_take(&doctor.subject, status);
}

static void a_status_says_what_is_looked_at(void **state)
{
    (void)state;
    take("{\"name\":\"a\",\"config_file\":\"/x/a.conf\",\"listen_port\":36160,\"tap\":{\"name\":\"cord0\",\"mtu\":1500,\"bridge\":\"br0\"},"
         "\"underlay\":{\"fwmark\":7,\"interface\":\"eth0\",\"source_address\":\"192.0.2.1\"},\"peers\":[{\"state\":\"down\","
         "\"endpoint\":\"[fe80::1%3]:36161\",\"tried\":\"192.0.2.2:36160\",\"addresses\":[\"192.0.2.2:36160\",\"[2001:db8::2]:7\"]}]}");
    const struct doctor_subject *subject = &doctor.subject;
    assert_string_equal(subject->file, "/x/a.conf");
    assert_string_equal(subject->tap, "cord0");
    assert_string_equal(subject->bridge, "br0");
    assert_int_equal(subject->fwmark, 7);
    assert_string_equal(subject->interface, "eth0");
    assert_int_equal(subject->source.family, AF_INET);
    assert_false(subject->is_up);
    assert_int_equal(subject->n_places, 3);
    assert_int_equal(subject->places[0].scope, 3);
    assert_int_equal(subject->places[0].port, 36161);
    assert_int_equal(subject->places[2].port, 7);
}

// While it is up only the endpoint counts.
static void a_peer_that_is_up_is_at_one_place(void **state)
{
    (void)state;
    take("{\"peers\":[{\"state\":\"up\",\"endpoint\":\"192.0.2.2:36160\",\"addresses\":[\"192.0.2.3:36160\"]}]}");
    assert_true(doctor.subject.is_up);
    assert_int_equal(doctor.subject.n_places, 1);
}

static void a_status_of_nonsense(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"name\":7,\"tap\":[],\"underlay\":\"x\",\"peers\":{}}",
        "{\"tap\":{\"mtu\":-1,\"name\":\"a name that is much longer than any interface has\"},\"peers\":[7]}",
        "{\"peers\":[{\"state\":1,\"endpoint\":\":\",\"tried\":\"[]:\",\"addresses\":[\"\",\"[\",\"x:1\",7,null]}]}",
        "{\"listen_port\":1e300,\"underlay\":{\"fwmark\":-5,\"source_address\":\"nowhere\"}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        take(texts[i]);
        assert_int_equal(doctor.subject.n_places, 0);
        check_clock(&doctor);
        check_offload(&doctor);
        check_buffers(&doctor);
        assert_int_equal(doctor.n_findings, 0);
    }
}

static void assert_found(const char *status, enum finding_kind kind, const char *advice)
{
    take(status);
    check_session(&doctor);
    assert_int_equal(doctor.n_findings, 1);
    assert_int_equal(doctor.findings[0].kind, kind);
    if (!strstr(doctor.findings[0].advice, advice))
        fail_msg("'%s' has no '%s'", doctor.findings[0].advice, advice);
}

#define DOWN "{\"public_key\":\"KEY\",\"listen_port\":36160,\"peers\":[{\"state\":\"down\",\"reason\":\"why\",\"since_s\":42}],"

static void why_there_is_no_session(void **state)
{
    (void)state;
    assert_found(DOWN "\"drops\":{\"handshake_unknown_peer\":3}}", FINDING_SESSION_DOWN, "3 initiations came from a key that is not");
    assert_string_equal(doctor.findings[0].what, "no session with peer ? for 42 s: why");
    assert_found(DOWN "\"drops\":{\"bad_mac1\":2}}", FINDING_SESSION_DOWN, "[Peer] PublicKey has to be KEY");
    assert_found(DOWN "\"drops\":{\"handshake_failed\":2}}", FINDING_SESSION_DOWN, "the PSK has to be the same");
    assert_found(DOWN "\"drops\":{\"handshake_no_cipher\":2}}", FINDING_SESSION_DOWN, "no cipher in common");
    assert_found(DOWN "\"counters\":{\"rx_datagrams\":2}}", FINDING_SESSION_DOWN, "datagrams do come here");
    assert_found(DOWN "\"counters\":{\"handshakes_started\":2}}", FINDING_SESSION_DOWN, "tcpdump -ni any udp port 36160");
    assert_found(DOWN "\"counters\":{}}", FINDING_SESSION_DOWN, "nobody has called yet");
    begin();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_finding_has_a_name_and_a_row_in_the_docs),
        cmocka_unit_test(the_docs_have_no_row_too_many),
        cmocka_unit_test(each_check_has_a_name_and_says_what_it_looks_at),
        cmocka_unit_test(faults_come_first),
        cmocka_unit_test(nothing_wrong),
        cmocka_unit_test(control_characters_are_not_printed),
        cmocka_unit_test(more_findings_than_there_is_room_for),
        cmocka_unit_test(json_has_all_of_it),
        cmocka_unit_test(a_status_says_what_is_looked_at),
        cmocka_unit_test(a_peer_that_is_up_is_at_one_place),
        cmocka_unit_test(a_status_of_nonsense),
        cmocka_unit_test(why_there_is_no_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
