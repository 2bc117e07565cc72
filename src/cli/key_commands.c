// SPDX-License-Identifier: MIT
/*
 * key_commands: genkey, genpsk and pubkey: keys as files, and as lines in a pipe.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "ethercord/keys.h"
#include "ethercord/program.h"

// A key on the screen or in a pipe is the user's business; in a file that others may read it is a secret no more.
static void warn_if_stdout_is_readable(const char *command)
{
    struct stat st;
    if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0044)
        fprintf(stderr,
                "ethercord %s: warning: others can read the file that this key goes to (mode %04o); 'ethercord %s FILE' makes one"
                " that they can't\n",
                command, (unsigned)(st.st_mode & 07777), command);
}

static int put_new_key(const char *command, const uint8_t key[static KEY_LEN], const char *path)
{
    if (!path) {
        warn_if_stdout_is_readable(command);
        int result = key_write_fd(STDOUT_FILENO, key);
        return result < 0 ? command_fail(command, "can't write to stdout", -result) : CODE_DONE;
    }
    int result = key_create_file(path, key);
    if (result == -EEXIST) {
        fprintf(stderr, "ethercord %s: %s exists already, and a key is never overwritten; remove it first, or take another name\n", command,
                path);
        return CODE_FAILED;
    }
    return result < 0 ? command_fail(command, path, -result) : CODE_DONE;
}

int command_genkey(const struct command_line *line)
{
    uint8_t key[KEY_LEN];
    key_new_private(key);
    int exit_code = put_new_key("genkey", key, line->arguments[0]);
    sodium_memzero(key, sizeof(key));
    return exit_code;
}

int command_genpsk(const struct command_line *line)
{
    uint8_t key[KEY_LEN];
    key_new_psk(key);
    int exit_code = put_new_key("genpsk", key, line->arguments[0]);
    sodium_memzero(key, sizeof(key));
    return exit_code;
}

int command_pubkey(const struct command_line *line)
{
    uint8_t private_key[KEY_LEN], public_key[KEY_LEN];
    char text[KEY_TEXT_CAP];
    (void)line;
    int result = key_read_fd(STDIN_FILENO, private_key);
    if (result == -EBADMSG || (result == 0 && key_is_zero(private_key))) {
        command_problem("pubkey", "no private key on stdin; expected one line of 44 characters of base64, as genkey prints it");
        return CODE_FAILED;
    }
    if (result < 0)
        return command_fail("pubkey", "can't read stdin", -result);
    key_derive_public(public_key, private_key);
    sodium_memzero(private_key, sizeof(private_key));
    key_encode(text, public_key);
    printf("%s\n", text);
    return CODE_DONE;
}
