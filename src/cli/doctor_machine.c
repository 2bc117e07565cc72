// SPDX-License-Identifier: MIT
/*
 * doctor_machine: what a node needs of the machine before it can start: the TAP driver, and what its user may do.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor_checks.h"

static const char tun_path[] = "/dev/net/tun";

enum { PRIVILEGED_PORTS = 1024 };

long doctor_proc_number(const char *path, long otherwise)
{
    char text[32];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return otherwise;
    text[n] = '\0';
    char *end;
    long number = strtol(text, &end, 10);
    return end == text ? otherwise : number;
}

// To open it makes no interface yet.
void check_tun(struct doctor *doctor)
{
    int fd = open(tun_path, O_RDWR | O_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    const char *next = doctor->subject.status ? "; the instance has its TAP still, and will not start again" : "";
    if (error == ENOENT)
        finding_advise(doctor_find(doctor, FINDING_NO_TUN, "there is no %s%s", tun_path, next),
                       "modprobe tun; in a container start it with --device %s, or: mkdir -p /dev/net && mknod %s c 10 200", tun_path,
                       tun_path);
    else if (error == ENODEV || error == ENXIO)
        finding_advise(doctor_find(doctor, FINDING_NO_TUN, "%s is there, and the kernel has no driver for it%s", tun_path, next),
                       "modprobe tun; if there is no such module, the kernel was updated: reboot, or install its modules");
    else if ((error == EACCES || error == EPERM) && geteuid() != 0)
        doctor_skip(doctor, "%s can't be opened: %s; run this as root", tun_path, strerror(error));
    else if (error)
        finding_advise(doctor_find(doctor, FINDING_NO_TUN, "%s can't be opened: %s%s", tun_path, strerror(error), next),
                       "in a container allow the device: --device %s; else see: ls -l %s", tun_path, tun_path);
}

static void need_capability(struct doctor *doctor, unsigned capability, const char *name, const char *what_for)
{
    if (capng_have_capability(CAPNG_EFFECTIVE, capability))
        return;
    finding_advise(doctor_find(doctor, FINDING_NO_CAPABILITY, "root here does not have CAP_%s, which %s needs", name, what_for),
                   "give it that: a container with --cap-add %s, a unit with CapabilityBoundingSet=CAP_%s", name, name);
}

void check_capability(struct doctor *doctor)
{
    const struct doctor_subject *subject = &doctor->subject;
    if (subject->status)
        return; // it has what it needed
    if (geteuid() != 0)
        doctor_skip(doctor, "run this as the user that starts the daemon, root as a rule");
    else if (capng_get_caps_process() != 0)
        doctor_skip(doctor, "the capabilities of this process can't be read: %s", strerror(errno));
    else {
        need_capability(doctor, CAP_NET_ADMIN, "NET_ADMIN", "making the TAP");
        if (subject->listen_port > 0 && subject->listen_port < PRIVILEGED_PORTS)
            need_capability(doctor, CAP_NET_BIND_SERVICE, "NET_BIND_SERVICE", "a ListenPort below 1024");
    }
}
