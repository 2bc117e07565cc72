// SPDX-License-Identifier: MIT
/*
 * main: gets libsodium ready, sees to it that no key ends up in a core dump, and hands the command line over.
 */
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "confine.h"
#include "leaks.h"

int main(int argc, char **argv)
{
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
