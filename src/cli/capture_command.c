// SPDX-License-Identifier: MIT
/*
 * capture_command: capture: asks a running instance for copies of its frames, and shows each as a line or writes it as pcapng. It ends by
 * Ctrl-C, after as many frames as were wanted, when the instance stops, or when nobody reads its output any more. Numbers go to stderr.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "capture_ask.h"
#include "capture_stream.h"
#include "capture_text.h"
#include "commands.h"
#include "ethercord/clock.h"
#include "ethercord/program.h"
#include "pcapng.h"

#define LINGER_NS (100 * NS_PER_MS) // after Ctrl-C: what is on its way still counts

struct capturer {
    struct capture_ask ask;
    struct capture_stream stream;
    struct pcapng pcapng; // its file is also that of the lines
    bool is_pcapng;
    uint64_t n_wanted; // 0 = no limit
    uint64_t n_frames;
    uint64_t n_lost_told; // of the counts
    uint64_t begin_ns;
    uint64_t until_ns; // UINT64_MAX = for ever
    int signal_fd;
};

/* ---- output ---- */

// -w: a file, which is written over as by others of its kind, for the owner's eyes; "-" is stdout, which must be somebody else's stdin.
static FILE *open_output(const char *path)
{
    int fd = -1;

    if (!path || strcmp(path, "-") == 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); // not stdout itself: that its reader goes away is no failure here
    else
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out && fd >= 0)
        close(fd);
    return out;
}

static const char *fate_of(const struct capturer *capturer, char text[static CAPTURE_VERDICT_CAP + 16])
{
    unsigned verdict = capturer->stream.header.verdict;
    const char *name = capturer->stream.verdicts[verdict];

    if (strcmp(name, "passed") == 0)
        return NULL;
    if (strcmp(name, "shortcut") == 0)
        return "taken by the shortcut";
    if (*name)
        snprintf(text, CAPTURE_VERDICT_CAP + 16, "dropped: %s", name);
    else
        snprintf(text, CAPTURE_VERDICT_CAP + 16, "verdict %u", verdict);
    return text;
}

static bool write_frame(struct capturer *capturer, const char *fate)
{
    const struct capture_stream *stream = &capturer->stream;
    uint64_t n_lost = stream->counts.n_lost[CAPTURE_IN] + stream->counts.n_lost[CAPTURE_OUT];
    char comment[CAPTURE_VERDICT_CAP + 48];

    snprintf(comment, sizeof comment, "%s%s%s", stream->header.is_own ? "made by this node" : "", stream->header.is_own && fate ? ", " : "",
             fate ? fate : "");
    const struct pcapng_frame frame = {
        .wall_ns = stream->header.wall_ns,
        .is_inbound = stream->header.direction == CAPTURE_IN,
        .bytes = stream->message + CAPTURE_HEADER_LEN,
        .len = stream->header.len,
        .frame_len = stream->header.frame_len,
        .n_lost = n_lost - capturer->n_lost_told,
        .comment = comment[0] ? comment : NULL,
    };
    capturer->n_lost_told = n_lost;
    return pcapng_write(&capturer->pcapng, &frame);
}

static bool print_frame(struct capturer *capturer, const char *fate)
{
    const struct capture_stream *stream = &capturer->stream;
    const struct captured captured = {
        .wall_ns = stream->header.wall_ns,
        .is_inbound = stream->header.direction == CAPTURE_IN,
        .bytes = stream->message + CAPTURE_HEADER_LEN,
        .len = stream->header.len,
        .frame_len = stream->header.frame_len,
        .is_own = stream->header.is_own,
        .fate = fate,
    };
    char text[CAPTURE_TEXT_CAP];

    capture_text_format(&captured, text);
    return fprintf(capturer->pcapng.out, "%s\n", text) >= 0;
}

static bool begin_output(struct capturer *capturer)
{
    const struct pcapng_interface interface = {
        .name = capturer->stream.tap,
        .description = "inner frames of an ethercord tunnel: outbound = to the peer",
        .filter = capturer->ask.filter,
        .snaplen = capturer->stream.snaplen,
    };

    return !capturer->is_pcapng || (pcapng_begin(&capturer->pcapng, &interface) && fflush(capturer->pcapng.out) == 0);
}

static bool end_output(struct capturer *capturer)
{
    const struct capture_counts *counts = &capturer->stream.counts;
    uint64_t n_lost = counts->n_lost[CAPTURE_IN] + counts->n_lost[CAPTURE_OUT];
    const struct pcapng_counts told = {
        .begin_ns = capturer->begin_ns, .end_ns = now_wall_ns(), .n_matched = capturer->n_frames + n_lost, .n_lost = n_lost};

    return (!capturer->is_pcapng || pcapng_end(&capturer->pcapng, &told)) && fflush(capturer->pcapng.out) == 0;
}

/* ---- the capture ---- */

// Takes all that is there. False when that was all, for good; `problem` says why, "" = it was to be so.
static bool take_frames(struct capturer *capturer, char problem[static CONTROL_PROBLEM_CAP])
{
    char text[CAPTURE_VERDICT_CAP + 16];
    enum capture_got got;

    while ((got = capture_stream_next(&capturer->stream)) == CAPTURE_GOT_FRAME) {
        const char *fate = fate_of(capturer, text);
        if (!(capturer->is_pcapng ? write_frame : print_frame)(capturer, fate))
            return false;
        if (++capturer->n_frames == capturer->n_wanted)
            return false;
    }
    if (got == CAPTURE_GOT_END)
        snprintf(problem, CONTROL_PROBLEM_CAP,
                 "instance '%s' ended the capture: it is stopping, or what it sent was not read for 5 s; see its log",
                 capturer->stream.client.name);
    if (got == CAPTURE_GOT_GARBAGE)
        snprintf(problem, CONTROL_PROBLEM_CAP, "what instance '%s' sends is no capture; is it another version of ethercord?",
                 capturer->stream.client.name);
    return got == CAPTURE_GOT_NOTHING && fflush(capturer->pcapng.out) == 0;
}

static int ms_left(const struct capturer *capturer)
{
    uint64_t now_ns = now_boot_ns();

    if (capturer->until_ns == UINT64_MAX)
        return -1;
    return capturer->until_ns > now_ns ? (int)((capturer->until_ns - now_ns) / NS_PER_MS) + 1 : 0;
}

// False when the output is at its end: what happens next does not matter.
static bool take_events(struct capturer *capturer, const struct pollfd polled[static 3])
{
    struct signalfd_siginfo info;

    if (polled[1].revents && read(capturer->signal_fd, &info, sizeof info) > 0)
        capturer->until_ns = now_boot_ns() + LINGER_NS;
    return !(polled[2].revents & (POLLERR | POLLHUP));
}

static void run(struct capturer *capturer, char problem[static CONTROL_PROBLEM_CAP])
{
    struct pollfd polled[] = {{.fd = capturer->stream.client.fd, .events = POLLIN},
                              {.fd = capturer->signal_fd, .events = POLLIN},
                              {.fd = fileno(capturer->pcapng.out)}}; // whether it still has a reader

    for (;;) {
        if (!take_frames(capturer, problem))
            return;
        int n = poll(polled, 3, ms_left(capturer));
        if (n == 0 || (n < 0 && errno != EINTR) || (n > 0 && !take_events(capturer, polled)))
            return;
    }
}

static void say_sum(const struct capturer *capturer)
{
    const uint64_t *n_lost = capturer->stream.counts.n_lost;

    fprintf(stderr, "ethercord capture: %llu frames captured", (unsigned long long)capturer->n_frames);
    if (n_lost[CAPTURE_IN] + n_lost[CAPTURE_OUT] > 0)
        fprintf(stderr, "; %llu to the peer and %llu from it lost to the capture, not to the cord: more came than was taken",
                (unsigned long long)n_lost[CAPTURE_OUT], (unsigned long long)n_lost[CAPTURE_IN]);
    fprintf(stderr, "\n");
}

// Ctrl-C and the like are read from a descriptor, and somebody who stops reading is told by write().
static int watch_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int capture(struct capturer *capturer, const char *where)
{
    char problem[CONTROL_PROBLEM_CAP] = "";

    capturer->signal_fd = watch_signals();
    capturer->begin_ns = now_wall_ns();
    capturer->until_ns = UINT64_MAX;
    fprintf(stderr, "ethercord capture: at %s of %s; Ctrl-C ends it\n", capturer->stream.tap, capturer->stream.client.name);
    errno = 0;
    bool is_good = capturer->signal_fd >= 0 && begin_output(capturer);
    if (is_good)
        run(capturer, problem);
    int error = errno;
    is_good = is_good && end_output(capturer);
    if (!is_good && errno)
        error = errno;
    say_sum(capturer);
    if (problem[0])
        command_problem("capture", problem);
    if (ferror(capturer->pcapng.out) && error != EPIPE)
        return command_fail("capture", where, error);
    return problem[0] ? CODE_FAILED : CODE_DONE;
}

static int open_and_capture(struct capturer *capturer, const struct command_line *line)
{
    const char *where = line->write_file && strcmp(line->write_file, "-") != 0 ? line->write_file : "stdout";
    char problem[CONTROL_PROBLEM_CAP];

    if (!control_client_open(&capturer->stream.client, command_run_dir(line), line->arguments[0], capturer->ask.request, problem)) {
        command_problem("capture", problem);
        return CODE_FAILED;
    }
    int code = CODE_FAILED;
    if (!capture_stream_begin(&capturer->stream, problem))
        command_problem("capture", problem);
    else if (!(capturer->pcapng.out = open_output(line->write_file)))
        command_fail("capture", where, errno);
    else
        code = capture(capturer, where);
    if (capturer->pcapng.out)
        fclose(capturer->pcapng.out);
    control_client_close(&capturer->stream.client);
    return code;
}

int command_capture(const struct command_line *line)
{
    struct capturer *capturer = calloc(1, sizeof *capturer);
    char problem[CONTROL_PROBLEM_CAP];
    int code = CODE_USAGE;

    if (!capturer)
        return command_fail("capture", "can't begin", ENOMEM);
    capturer->is_pcapng = line->write_file != NULL;
    if (!capture_ask_make(&capturer->ask, line, problem) ||
        !capture_ask_number("count", line->count, UINT64_MAX, &capturer->n_wanted, problem))
        command_problem("capture", problem);
    else if (line->write_file && strcmp(line->write_file, "-") == 0 && isatty(STDOUT_FILENO))
        command_problem("capture", "-w - is for a program that reads it, not for a terminal: ... -w - | wireshark -k -i -");
    else
        code = open_and_capture(capturer, line);
    free(capturer);
    return code;
}
