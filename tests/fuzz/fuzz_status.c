// SPDX-License-Identifier: MIT
/*
 * status: the reply of a running instance, as `ethercord status` reads it from the socket and shows it to a person. Whatever it is, it is
 * told in one line what is wrong, or shown without a control character; the same for what `ping` hears; and what becomes of it for
 * Prometheus is what that can read.
 */
#include "../../src/cli/ping_account.h"
#include "../../src/cli/status_client.h"
#include "../../src/cli/status_text.h"
#include "../../src/web/metrics.h"

#include <math.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fuzz.h"

#define LONG_FOLDER "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static char folder[] = "fuzz-XXXXXX"; // in the current one
static struct sockaddr_un at = {.sun_family = AF_UNIX};
static int server = -1;
static struct reply {
    const uint8_t *bytes;
    size_t len;
} reply;

static void clean_up(void)
{
    unlink(at.sun_path);
    rmdir(folder);
}

static int listen_at(const char *name)
{
    snprintf(at.sun_path, sizeof at.sun_path, "%s/%s.sock", folder, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ensure(fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1) == 0);
    return fd;
}

static void check_two_instances(void)
{
    char problem[CONTROL_PROBLEM_CAP];

    close(listen_at("gone"));
    ensure(!status_fetch(folder, "gone", problem) && !status_fetch(folder, NULL, problem));
    unlink(at.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;

    ensure(mkdtemp(folder));
    server = listen_at("fuzz");
    check_two_instances();
    snprintf(at.sun_path, sizeof at.sun_path, "%s/fuzz.sock", folder);
    atexit(clean_up);
    return 0;
}

static void *serve(void *ctx)
{
    char request[64];
    int fd = accept(server, NULL, NULL);
    (void)ctx;

    ensure(fd >= 0 && recv(fd, request, sizeof request, 0) > 0);
    (void)!send(fd, reply.bytes, reply.len, MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

// Without a server.
static void check_others(const char *text)
{
    char problem[CONTROL_PROBLEM_CAP] = "";
    json_t *status = status_fetch(folder, text, problem);

    ensure(!status && problem[0] != '\0' && !strchr(problem, '\n'));
    ensure(!status_fetch("/dev/null", NULL, problem) && !status_fetch("/nowhere", NULL, problem));
    ensure(!status_fetch("/nowhere", "fuzz", problem) && !status_fetch("/dev/null", "fuzz", problem));
    ensure(!status_fetch(LONG_FOLDER, "fuzz", problem) && !status_fetch(folder, "gone", problem));
}

static json_t *fetch(bool is_named, char problem[static CONTROL_PROBLEM_CAP])
{
    pthread_t thread;

    ensure(pthread_create(&thread, NULL, serve, NULL) == 0);
    json_t *status = status_fetch(folder, is_named ? "fuzz" : NULL, problem);
    pthread_join(thread, NULL);
    return status;
}

static void check_shown(const json_t *status)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    ensure(out);
    status_text_print(status, &(struct text_style){false}, out);
    fclose(out);
    for (size_t i = 0; i < len; i++)
        ensure((unsigned char)text[i] >= ' ' || text[i] == '\n');
    free(text);
}

// What `ping` makes of the same: a document, or several.
static void check_pinged(json_t *documents)
{
    struct ping_account account = {0};
    char *text = NULL;
    size_t i, len = 0;
    json_t *document;
    FILE *out = open_memstream(&text, &len);

    ensure(out);
    ping_take(&account, documents, out);
    json_array_foreach(documents, i, document) ping_take(&account, document, out);
    ping_print_summary(&account, out);
    fclose(out);
    for (i = 0; i < len; i++)
        ensure((unsigned char)text[i] >= ' ' || text[i] == '\n');
    free(text);
    json_t *summary = ping_summary(&account);
    ensure(summary || !isfinite(account.sum_squares)); // JSON has no infinity
    json_decref(summary);
}

// Behind the quote that ends a label's value, or NULL.
static const char *skip_value(const char *text)
{
    for (; *text != '"'; text++) {
        if (*text == '\n' || *text == '\0')
            return NULL;
        if (*text == '\\' && !memchr("\\\"n", *++text, 3))
            return NULL;
    }
    return text + 1;
}

static bool is_sample(const char *line)
{
    const char *next = line + strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_");

    if (strncmp(line, "ethercord_", 10) != 0)
        return false;
    while (*next == '{' || *next == ',') {
        next += 1 + strspn(next + 1, "abcdefghijklmnopqrstuvwxyz_");
        if (strncmp(next, "=\"", 2) != 0 || !(next = skip_value(next + 2)))
            return false;
        if (*next == '}') {
            next++;
            break;
        }
    }
    return *next == ' ' && next[1 + strspn(next + 1, "0123456789.e+-")] == '\n';
}

static void check_metrics(const json_t *status)
{
    size_t len = 0;
    char *text = metrics_format(status, 0, &len);

    if (!text)
        return;
    ensure(len > 0 && len <= METRICS_TEXT_MAX && text[len - 1] == '\n');
    text[len - 1] = '\0'; // for strchr(), below
    ensure(strlen(text) == len - 1);
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += line != text;
        char *end = strchr(line, '\n');
        if (!end)
            break;
        ensure(strncmp(line, "# ", 2) == 0 || is_sample(line));
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[CONTROL_PROBLEM_CAP] = "";
    json_t *status;

    if (size > 0 && data[0] == '!') { // over the socket; much slower
        reply = (struct reply){data + 1, size - 1};
        status = fetch(size % 2, problem);
        ensure(status || (problem[0] != '\0' && !strchr(problem, '\n')));
    } else if (size > 1 && data[0] == '?') {
        char *name = (char *)fuzz_copy(data, size);
        name[size - 1] = '\0';
        if (strcmp(name + 1, "fuzz") != 0)
            check_others(name + 1);
        free(name);
        return 0;
    } else {
        status = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    }
    if (status) {
        check_shown(status);
        check_pinged(status);
        check_metrics(status);
    }
    json_decref(status);
    return 0;
}
