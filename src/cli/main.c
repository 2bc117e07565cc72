// SPDX-License-Identifier: MIT
/*
 * main: gets libsodium ready, sees to it that no key ends up in a core dump, and hands the command line over.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "ethercord/confine.h"
#include "ethercord/leaks.h"
#include "ethercord/program.h"

// Where stdin, stdout or stderr is closed the next thing that is opened would take its place: the log would be written to the TAP, or into
// libuv's pipe. What stands in for it can't be used either, so that using it fails as before.
static void keep_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); // NOLINT(android-cloexec-open): like those that it is for
}

int main(int argc, char **argv)
{
    keep_standard();
    if (sodium_init() < 0) {
        fprintf(stderr, "ethercord: libsodium can't be initialized; is there a source of randomness?\n");
        return CODE_FAILED;
    }
    (void)!confine_dumps(); // before any key is read; `run` says where it did not work
    int code = commands_dispatch(argc, argv);
    fflush(NULL);
    leaks_look();
    _exit(code); // at exit() libuv would wait for a name lookup that may hang
}
