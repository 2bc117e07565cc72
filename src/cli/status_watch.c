// SPDX-License-Identifier: MIT
/*
 * status_watch: see status_watch.h.
 *
 * A screen is made in memory, then written in one go: each line is cut at the terminal's width and clears what was behind it, so nothing
 * flickers and nothing scrolls. Where stdout is no terminal the screens follow each other, with an empty line between.
 */
#include "status_watch.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "ethercord/clock.h"
#include "ethercord/program.h"
#include "sparkline.h"
#include "status_client.h"
#include "status_parts.h"
#include "status_text.h"

enum { EVERY_MS = 1000, LATE_MS = 5000 };

#define SCREEN_BEGIN "\033[?1049h\033[?25l" // the other screen, without a cursor
#define SCREEN_END "\033[?25h\033[?1049l"
#define SCREEN_HOME "\033[H"
#define SCREEN_CLEAR_LINE "\033[K"
#define SCREEN_CLEAR_REST "\033[J"

struct watch {
    const char *run_dir;
    const char *name; // NULL = the only one, until it is known
    char found_name[INSTANCE_NAME_CAP];
    char problem[CONTROL_PROBLEM_CAP];
    bool is_terminal, is_utf8;
    struct text_style style;
    struct sparkline sent, received, round_trip;
};

// Ends at once, wherever it was: there is nothing to lose but the terminal's own screen, which it gives back.
static void on_signal(int number)
{
    static const char end[] = "\033[0m" SCREEN_END;

    (void)number;
    if (isatty(STDOUT_FILENO))
        (void)!write(STDOUT_FILENO, end, sizeof end - 1);
    _exit(CODE_DONE);
}

// A closed pipe shows when writing.
static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- what is drawn ---- */

static void remember(struct watch *watch, const json_t *status)
{
    const json_t *peer = json_array_get(json_object_get(status, "peers"), 0);
    double sent = -1, received = -1, round_trip = -1;

    (void)status_number(peer, "tx_bits_per_s", &sent);
    (void)status_number(peer, "rx_bits_per_s", &received);
    (void)status_number(peer, "rtt_last_ms", &round_trip);
    sparkline_add(&watch->sent, sent);
    sparkline_add(&watch->received, received);
    sparkline_add(&watch->round_trip, round_trip);
}

static void put_graph(const struct watch *watch, const char *label, const struct sparkline *line, FILE *out)
{
    text_label(out, "    ", label);
    fprintf(out, "%*s", (int)(SPARKLINE_VALUES - line->n), "");
    sparkline_put(line, watch->is_utf8, out);
}

static void put_graphs(const struct watch *watch, FILE *out)
{
    char text[TEXT_NUMBER_CAP];

    fputs("\nthe last minute\n", out);
    put_graph(watch, "sent", &watch->sent, out);
    fprintf(out, "  up to %s\n", text_rate(sparkline_max(&watch->sent), text));
    put_graph(watch, "received", &watch->received, out);
    fprintf(out, "  up to %s\n", text_rate(sparkline_max(&watch->received), text));
    put_graph(watch, "round trip", &watch->round_trip, out);
    fprintf(out, "  up to %.2f ms\n", sparkline_max(&watch->round_trip));
}

/* ---- how it gets to the terminal ---- */

static struct winsize size_of_screen(void)
{
    struct winsize size = {0};

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = 24, .ws_col = 80};
    return size;
}

// Bytes of the line's beginning that fill `columns`. Colours take no column, nor do the bytes of a character behind its first.
static size_t fitting_len(const char *line, size_t len, size_t columns)
{
    size_t at = 0, used = 0;

    while (at < len) {
        if (line[at] == '\033') {
            while (at < len && line[at] != 'm')
                at++;
        } else if (((unsigned char)line[at] & 0xc0) != 0x80 && ++used > columns) {
            break;
        }
        at += at < len;
    }
    return at;
}

// The last row stays free: a line feed there would scroll.
static void draw_lines(const char *text, const struct winsize *size)
{
    for (int row = 0; row + 1 < size->ws_row && *text; row++) {
        size_t len = strcspn(text, "\n");
        printf("%.*s%s\n", (int)fitting_len(text, len, size->ws_col), text, SCREEN_CLEAR_LINE);
        text += len + (text[len] == '\n');
    }
    if (*text)
        printf("... more does not fit this window%s", SCREEN_CLEAR_LINE);
}

static void draw(const struct watch *watch, const char *text)
{
    if (watch->is_terminal) {
        struct winsize size = size_of_screen();
        fputs(SCREEN_HOME, stdout);
        draw_lines(text, &size);
        fputs("\033[0m" SCREEN_CLEAR_REST, stdout);
    } else {
        printf("%s\n", text);
    }
}

static void show(struct watch *watch, const json_t *status)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    remember(watch, status);
    if (!out)
        return;
    status_text_print_peers(status, &watch->style, out);
    put_graphs(watch, out);
    status_text_print_node(status, &watch->style, out);
    fclose(out);
    draw(watch, text);
    free(text);
}

static void show_document(const json_t *status)
{
    (void)json_dumpf(status, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    printf("\n");
}

/* ---- watching ---- */

// Until the connection ends. True when nobody reads any more what is written.
static bool follow(struct watch *watch, struct control_client *client, bool wants_json)
{
    for (;;) {
        json_t *status = status_read(client, now_boot_ns() + LATE_MS * NS_PER_MS, watch->problem);
        if (!status)
            return false;
        if (wants_json)
            show_document(status);
        else
            show(watch, status);
        json_decref(status);
        if (fflush(stdout) != 0)
            return true;
    }
}

static void wait_a_second(void)
{
    (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
}

static bool open_client(struct watch *watch, struct control_client *client)
{
    char request[32];

    snprintf(request, sizeof request, "status %d", EVERY_MS);
    return control_client_open(client, watch->run_dir, watch->name, request, watch->problem);
}

// What went wrong takes the place of the screen, and it is tried again.
static void show_problem(struct watch *watch, bool wants_json)
{
    char text[CONTROL_PROBLEM_CAP + 80];

    if (wants_json)
        return;
    sparkline_add(&watch->sent, -1);
    sparkline_add(&watch->received, -1);
    sparkline_add(&watch->round_trip, -1);
    snprintf(text, sizeof text, "%s\ntrying again each second; Ctrl-C ends\n", watch->problem);
    draw(watch, text);
    fflush(stdout);
}

static void watch_all(struct watch *watch, struct control_client *client, bool wants_json)
{
    bool is_open = true;

    for (;;) {
        if (is_open && follow(watch, client, wants_json))
            break;
        control_client_close(client);
        show_problem(watch, wants_json);
        wait_a_second();
        is_open = open_client(watch, client);
    }
    control_client_close(client);
}

static void watch_screen(struct watch *watch, struct control_client *client, bool wants_json)
{
    watch->is_terminal = isatty(STDOUT_FILENO) && !wants_json;
    setlocale(LC_CTYPE, "");
    watch->is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    handle_signals();
    if (watch->is_terminal)
        fputs(SCREEN_BEGIN, stdout);
    watch_all(watch, client, wants_json);
    if (watch->is_terminal)
        fputs(SCREEN_END, stdout);
}

int status_watch(const char *run_dir, const char *name, bool wants_json)
{
    struct watch *watch = calloc(1, sizeof *watch);
    struct control_client client;
    int code = CODE_FAILED;

    if (!watch)
        return command_fail("status", "can't watch", ENOMEM);
    *watch = (struct watch){.run_dir = run_dir, .name = name, .style = text_style_of(stdout)};
    if (open_client(watch, &client)) {
        memcpy(watch->found_name, client.name, sizeof watch->found_name); // the same one again, whoever else comes
        watch->name = watch->found_name;
        watch_screen(watch, &client, wants_json);
        code = CODE_DONE;
    } else {
        command_problem("status", watch->problem);
    }
    free(watch);
    return code;
}
