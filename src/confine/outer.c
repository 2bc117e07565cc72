// SPDX-License-Identifier: MIT
/*
 * outer: see outer.h. A filter can't be read without privileges, only tried.
 */
#include "outer.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

bool outer_survives(void (*attempt)(void))
{
    int status = 0;

    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) <= 0) // an error: a kernel without filters
        return true;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSYS, SIG_DFL);
        attempt();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
}
