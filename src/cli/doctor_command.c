// SPDX-License-Identifier: MIT
/*
 * doctor_command: doctor: finds the instance or the file, goes where its network is, and has the checks look.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "doctor.h"
#include "doctor_checks.h"
#include "doctor_subject.h"
#include "ethercord/program.h"
#include "status_client.h"

// A name has no slash, and the file of a name ends in .conf.
static bool is_file(const char *argument)
{
    size_t len = argument ? strlen(argument) : 0;
    return argument && (strchr(argument, '/') || (len > 5 && strcasecmp(argument + len - 5, ".conf") == 0));
}

// Returns CODE_DONE, or else what to exit with: all is said.
static int take_file(struct doctor *doctor, const char *path)
{
    char problem[CONTROL_PROBLEM_CAP];
    int exit_code;
    struct config *config = command_load_config(path, NULL, &exit_code);
    if (!config)
        return exit_code;
    json_t *status = status_fetch(doctor->subject.run_dir, config->name, problem);
    if (status)
        subject_from_status_take(&doctor->subject, status);
    else
        subject_from_config(&doctor->subject, config);
    config_free(config);
    return CODE_DONE;
}

// Where nobody answers, the file that it would be started on is looked at instead, if it is where units have it.
static int take_name(struct doctor *doctor, const char *name)
{
    char problem[CONTROL_PROBLEM_CAP], path[sizeof "/etc/ethercord/.conf" + INSTANCE_NAME_CAP];
    json_t *status = status_fetch(doctor->subject.run_dir, name, problem);
    if (status) {
        subject_from_status_take(&doctor->subject, status);
        return CODE_DONE;
    }
    if (!name && doctor_n_instances(doctor->subject.run_dir) > 1) {
        command_problem("doctor", problem);
        return CODE_USAGE;
    }
    bool is_name = name && config_is_instance_name(name);
    finding_advise(doctor_find(doctor, FINDING_NOT_RUNNING, "%s", problem),
                   "systemctl start ethercord@%s, and see its log: journalctl -eu ethercord@%s; before a start: ethercord doctor FILE",
                   is_name ? name : "NAME", is_name ? name : "NAME");
    if (!is_name)
        return CODE_DONE;
    (void)snprintf(doctor->subject.name, sizeof doctor->subject.name, "%s", name);
    (void)snprintf(path, sizeof path, "/etc/ethercord/%s.conf", name);
    if (access(path, R_OK) == 0)
        (void)take_file(doctor, path); // if that is bad, it is said, and a fault it is already
    return CODE_DONE;
}

// The instance may be in a container's network, or in a namespace of its own.
static void enter_network(struct doctor *doctor)
{
    char path[64];
    struct stat own, its;
    double pid = doctor_number(doctor->subject.status, "pid", 0);
    if (pid < 1 || pid > INT32_MAX)
        return;
    (void)snprintf(path, sizeof path, "/proc/%.0f/ns/net", pid);
    if (stat("/proc/self/ns/net", &own) < 0 || stat(path, &its) < 0 || own.st_ino == its.st_ino)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        doctor->cant_look = "the instance is in another network namespace, which only root can enter";
    if (fd >= 0)
        close(fd);
}

static void look(struct doctor *doctor)
{
    enter_network(doctor);
    int error = rtnl_open(&doctor->rtnl);
    if (error && !doctor->cant_look)
        doctor->cant_look = strerror(-error);
    doctor_look(doctor);
    rtnl_close(&doctor->rtnl);
}

static void tell(const struct doctor *doctor, bool wants_json)
{
    json_t *document = wants_json ? doctor_document(doctor) : NULL;
    if (document) {
        (void)json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        printf("\n");
    } else {
        doctor_print(doctor, stdout);
    }
    json_decref(document);
}

int command_doctor(const struct command_line *line)
{
    const char *argument = line->n_arguments > 0 ? line->arguments[0] : NULL;
    struct doctor *doctor = calloc(1, sizeof *doctor);
    int exit_code;
    if (!doctor)
        return command_fail("doctor", "no memory", ENOMEM);
    doctor->subject.run_dir = command_run_dir(line);
    exit_code = is_file(argument) ? take_file(doctor, argument) : take_name(doctor, argument);
    if (exit_code == CODE_DONE) {
        look(doctor);
        tell(doctor, line->wants_json);
        exit_code = doctor_count(doctor, SEVERITY_FAULT) > 0 ? CODE_FAILED : CODE_DONE;
    }
    json_decref(doctor->rules);
    subject_deinit(&doctor->subject);
    free(doctor);
    return exit_code;
}
