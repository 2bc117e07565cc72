// SPDX-License-Identifier: MIT
/*
 * doctor_nft: the rules of nftables, from the nft program.
 *
 * The program and not its library: the daemon is the same file as this command, and it has no business with a firewall's parser in its
 * address space. It is asked once, in a few seconds, and for so much text at most. What legacy iptables has set is not in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor_checks.h"
#include "ethercord/clock.h"

enum { RULES_TEXT_MAX = 16 << 20, RULES_TIMEOUT_MS = 5000 };

static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"};

static const char *find_nft(void)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

// In the child: nothing of ours but the pipe.
static void run_nft(const char *path, int out)
{
    char *const arguments[] = {(char *)"nft", (char *)"-j", (char *)"list", (char *)"ruleset", NULL};
    char *const environment[] = {(char *)"LC_ALL=C", NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0)
        execve(path, arguments, environment);
    _exit(127);
}

// Returns the length, or negative errno: -ETIMEDOUT, -EMSGSIZE.
static ssize_t read_all(int fd, char *text)
{
    uint64_t deadline_ns = now_boot_ns() + RULES_TIMEOUT_MS * NS_PER_MS;
    size_t len = 0;
    for (;;) {
        uint64_t now_ns = now_boot_ns();
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        int n = now_ns >= deadline_ns ? 0 : poll(&pollfd, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
        if (n == 0)
            return -ETIMEDOUT;
        ssize_t got = n < 0 ? n : read(fd, text + len, RULES_TEXT_MAX - len);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            return (ssize_t)len;
        len += got > 0 ? (size_t)got : 0;
        if (len == RULES_TEXT_MAX)
            return -EMSGSIZE;
    }
}

// -ECHILD: it ran and failed, which is what it does without permission.
static ssize_t ask(const char *path, char *text)
{
    int fds[2], status = 0;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    if (child == 0)
        run_nft(path, fds[1]);
    int error = errno;
    close(fds[1]);
    ssize_t len = child < 0 ? -error : read_all(fds[0], text);
    close(fds[0]);
    if (child < 0)
        return len;
    if (len < 0)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return len >= 0 && status != 0 ? -ECHILD : len;
}

static json_t *fetch(struct doctor *doctor)
{
    const char *path = find_nft();
    char *text = path ? malloc(RULES_TEXT_MAX) : NULL;
    json_t *rules = NULL;
    if (!text) {
        (void)snprintf(doctor->rules_problem, sizeof doctor->rules_problem, "%s",
                       path ? "out of memory"
                            : "the nft program is not installed: "
                              "apt install nftables");
        return NULL;
    }
    ssize_t len = ask(path, text);
    if (len >= 0)
        rules = json_loadb(text, (size_t)len, 0, NULL);
    free(text);
    if (!rules)
        (void)snprintf(doctor->rules_problem, sizeof doctor->rules_problem, "'nft -j list ruleset' %s",
                       len == -ECHILD      ? "failed: run this as root"
                       : len == -ETIMEDOUT ? "did not end in time"
                       : len == -EMSGSIZE  ? "says more than is read here"
                       : len < 0           ? strerror((int)-len)
                                           : "did not print JSON");
    return rules;
}

const json_t *doctor_rules(struct doctor *doctor)
{
    if (!doctor->has_asked_rules)
        doctor->rules = fetch(doctor);
    doctor->has_asked_rules = true;
    return doctor->rules;
}
