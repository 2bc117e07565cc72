// SPDX-License-Identifier: MIT
/*
 * main: gets libsodium ready, sees to it that no key ends up in a core dump, and hands the command line over.
 */
#include <sodium.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "confine.h"
#include "leaks.h"

// What whoever started us forgot to close is nothing that the worker should hold: a folder, say, is a way to all files. On Linux before 5.9
// there is no such call, and no harm done.
static void close_inherited(void)
{
    (void)syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, 0U);
}

int main(int argc, char **argv)
{
    close_inherited();
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
