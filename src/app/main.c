// SPDX-License-Identifier: MIT
/*
 * main: gets libsodium ready and hands the command line over.
 */
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "leaks.h"

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        fprintf(stderr, "ethercord: libsodium can't be initialized; is there a source of randomness?\n");
        return CODE_FAILED;
    }
    int code = commands_dispatch(argc, argv);
    fflush(NULL);
    leaks_look();
    _exit(code); // at exit() libuv would wait for a name lookup that may hang
}
