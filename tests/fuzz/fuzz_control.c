// SPDX-License-Identifier: MIT
/*
 * control: what somebody with a permission may say on the control socket: one request, in one piece or in several. It is answered or not,
 * but the connection ends, and nobody but "status" gets a status.
 */
#include "../../src/daemon/control.h"
#include "../../src/daemon/echo.h"
#include "../../src/daemon/watch.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"

#define LONG_NAME "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static char folder[] = "fuzz-XXXXXX"; // in the current one
static uv_loop_t loop;
static struct control control;
static struct sockaddr_un at;
static struct echo echo;
static size_t n_built;
static bool has_no_memory;

static json_t *build(void *ctx)
{
    (void)ctx;
    n_built++;
    if (has_no_memory)
        return NULL;
    return json_pack("{s:i}", "schema", 1);
}

static json_t *describe(void *ctx)
{
    (void)ctx;
    return has_no_memory ? NULL : json_object();
}

static void start_status(void *ctx, struct control_client *client, char *arguments)
{
    watch_start(&(struct watch_source){&loop, build, ctx}, client, arguments);
}

static bool send_echo(void *ctx, const uint8_t id[static WIRE_TOKEN_LEN])
{
    (void)ctx;
    return id[4] & 1; // by chance
}

static void start_ping(void *ctx, struct control_client *client, char *arguments)
{
    (void)ctx;
    echo_start(&echo, client, arguments);
}

static const struct control_request requests[] = {{"status", start_status}, {"ping", start_ping}, {.word = NULL}};

static int open_control(const char *run_dir, const char *name, char path[static CONTROL_PATH_CAP])
{
    struct control_place place = {.run_dir = run_dir, .name = name, .group = ""};
    char problem[256];

    return control_open(&place, path, problem, sizeof problem);
}

static void clean_up(void)
{
    control_stop(&control);
    uv_run(&loop, UV_RUN_NOWAIT);
    unlink(at.sun_path);
    rmdir(folder);
}

// What is in its way is a socket that nobody serves any more, or is not its own to remove.
static void check_opening(void)
{
    char path[CONTROL_PATH_CAP];

    ensure(open_control(folder, "fuzz", path) == -EADDRINUSE);
    ensure(open_control("/dev/null/none", "fuzz", path) < 0);
    ensure(open_control("/", "dev/../dev/null/x", path) < 0);
    ensure(open_control(folder, LONG_NAME, path) == -ENAMETOOLONG);
    for (int i = 0; i < 2; i++) { // the second one finds what the first has left
        int fd = open_control(folder, "stale", path);
        ensure(fd >= 0 && close(fd) == 0);
    }
    ensure(unlink(path) == 0 && mkdir(path, 0700) == 0);
    ensure(open_control(folder, "stale", path) == -EEXIST && rmdir(path) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char path[CONTROL_PATH_CAP];
    (void)argc;
    (void)argv;

    ensure(mkdtemp(folder) && uv_loop_init(&loop) == 0);
    int fd = open_control(folder, "fuzz", path);
    ensure(fd >= 0);
    check_opening();
    control.requests = requests;
    echo.source = (struct echo_source){.loop = &loop, .send = send_echo, .describe = describe};
    ensure(control_start(&control, &loop, fd) == 0);
    at.sun_family = AF_UNIX;
    memcpy(at.sun_path, path, sizeof path < sizeof at.sun_path ? sizeof path : sizeof at.sun_path);
    atexit(clean_up);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < 8; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

// The first line, up to a NUL in it, is this word, or begins with it and a blank.
static bool is_request(const uint8_t *request, size_t len, const char *word, bool has_arguments)
{
    const uint8_t *end = memchr(request, '\n', len < CONTROL_LINE_CAP ? len : CONTROL_LINE_CAP);
    size_t word_len = strlen(word);

    return end && (size_t)(end - request) >= word_len && memcmp(request, word, word_len) == 0 &&
           (has_arguments ? request[word_len] == ' ' : request[word_len] == '\n' || request[word_len] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_of(data, size);
    uint8_t how = reader_u8(&in);
    char answer[512];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    ensure(fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0);
    has_no_memory = how & 2;
    size_t first = how & 1 ? reader_u8(&in) : in.left, n_before = n_built;
    first = first < in.left ? first : in.left;
    const uint8_t *request = in.at;
    size_t request_len = in.left;
    (void)!send(fd, request, first, MSG_NOSIGNAL);
    turn();
    (void)!send(fd, request + first, request_len - first, MSG_NOSIGNAL);
    turn();
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    ensure(n <= 0 || answer[0] == '{');
    if (!is_request(request, request_len, "status", true)) // else it is at once, later, or a refusal
        ensure(n_built == n_before + is_request(request, request_len, "status", false));
    close(fd);
    for (int i = 0; i < 4 && control.n_clients > 0; i++)
        turn();
    ensure(control.n_clients == 0 && !echo.askers);
    return 0;
}
