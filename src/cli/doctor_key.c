// SPDX-License-Identifier: MIT
/*
 * doctor_key: two daemons with one key. Of each other, neither can know: the far end gives the session to whichever called last. On this
 * machine the statuses of all instances tell; elsewhere, what the far end has seen (docs/doctor.md#key-elsewhere).
 */
#include <dirent.h>
#include <string.h>

#include "doctor_checks.h"
#include "status_client.h"

// Tuning constants. A node that is started anew at another address takes its session with it once.
enum { INSTANCES_MAX = 64, RETURNS_OF_TWO = 2 };
#define RETURNED_LATELY_S 300.0

static void compare(struct doctor *doctor, const char *name)
{
    const struct doctor_subject *subject = &doctor->subject;
    char problem[CONTROL_PROBLEM_CAP];
    json_t *status = status_fetch(subject->run_dir, name, problem);
    const char *key = doctor_text(status, "public_key"), *file = doctor_text(status, "config_file");
    bool is_same_key = key && subject->public_key[0] && strcmp(key, subject->public_key) == 0;
    if (is_same_key)
        finding_advise(doctor_find(doctor, FINDING_KEY_TWICE_HERE, "instance %s (process %.0f, %s) runs with the same key %s", name,
                                   doctor_number(status, "pid", 0), file ? file : "no file", key),
                       "stop one of the two, or give each a key of its own: ethercord genkey FILE; its peer needs the public key of it");
    json_decref(status);
}

// The next instance that has a socket in the folder. False when there is none any more.
static bool next_instance(DIR *dir, char name[static INSTANCE_NAME_CAP])
{
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        size_t len = strlen(entry->d_name);
        if (len <= 5 || len - 5 >= INSTANCE_NAME_CAP || strcmp(entry->d_name + len - 5, ".sock") != 0)
            continue;
        memcpy(name, entry->d_name, len - 5);
        name[len - 5] = '\0';
        if (config_is_instance_name(name))
            return true;
    }
    return false;
}

size_t doctor_n_instances(const char *run_dir)
{
    char name[INSTANCE_NAME_CAP];
    size_t n = 0;
    DIR *dir = opendir(run_dir);
    while (dir && n < INSTANCES_MAX && next_instance(dir, name))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

// The instance's own socket is not asked again.
static void compare_all(struct doctor *doctor)
{
    char name[INSTANCE_NAME_CAP];
    size_t n = 0;
    DIR *dir = opendir(doctor->subject.run_dir);
    while (dir && n < INSTANCES_MAX && next_instance(dir, name)) {
        if (strcmp(name, doctor->subject.name) != 0)
            compare(doctor, name);
        n++;
    }
    if (dir)
        closedir(dir);
}

static void check_rival(struct doctor *doctor)
{
    const json_t *peer = doctor_peer(doctor);
    const char *rival = doctor_text(peer, "rival"), *endpoint = doctor_text(peer, "endpoint"), *name = doctor_text(peer, "name");
    double n = doctor_number(peer, "rival_returns", 0), age_s = doctor_number(peer, "rival_returned_age_s", RETURNED_LATELY_S);
    if (!rival || n < RETURNS_OF_TWO || age_s >= RETURNED_LATELY_S)
        return;
    finding_advise(
        doctor_find(doctor, FINDING_KEY_ELSEWHERE,
                    "peer %s is at two places: handshakes from %s and %s took the session from each other, and it went back %.0f "
                    "times, the last %.0f s ago",
                    name ? name : "?", endpoint ? endpoint : "?", rival, n, age_s),
        "two daemons use the peer's key (a cloned machine, a copied file): stop one, or give it a key and a [Peer] of its own");
}

void check_key(struct doctor *doctor)
{
    compare_all(doctor);
    check_rival(doctor);
}
