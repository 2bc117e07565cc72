// SPDX-License-Identifier: MIT
/*
 * capture_ask: see capture_ask.h.
 */
#include "capture_ask.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture_text.h"
#include "ethercord/bytes.h"
#include "ethercord/capture.h"

enum {
    INSTRUCTION_LEN = 8,
    PROGRAM_LEN_MAX = CAPTURE_PROGRAM_MAX * INSTRUCTION_LEN,
    PROGRAM_TEXT_CAP = sodium_base64_ENCODED_LEN(PROGRAM_LEN_MAX, sodium_base64_VARIANT_ORIGINAL)
};
_Static_assert((int)PROGRAM_TEXT_CAP + 64 <= (int)CAPTURE_REQUEST_CAP, "room for the longest program");

bool capture_ask_number(const char *option, const char *text, uint64_t max, uint64_t *number, char problem[static CONTROL_PROBLEM_CAP])
{
    char *end;

    if (!text)
        return true;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *number >= 1 && *number <= max)
        return true;
    if (max == UINT64_MAX)
        snprintf(problem, CONTROL_PROBLEM_CAP, "option --%s: expected a number, 1 or more", option);
    else
        snprintf(problem, CONTROL_PROBLEM_CAP, "option --%s: expected a number, 1 to %" PRIu64, option, max);
    return false;
}

// As by tcpdump: the words are one expression.
static bool join_words(struct capture_ask *ask, const struct command_line *line, char problem[static CONTROL_PROBLEM_CAP])
{
    size_t len = 0;

    for (size_t i = 1; i < line->n_arguments; i++) {
        int n = snprintf(ask->filter + len, sizeof ask->filter - len, "%s%s", i > 1 ? " " : "", line->arguments[i]);
        if (n < 0 || (size_t)n >= sizeof ask->filter - len) {
            snprintf(problem, CONTROL_PROBLEM_CAP, "the filter is too long; expected less than %d characters", CAPTURE_FILTER_CAP);
            return false;
        }
        len += (size_t)n;
    }
    return true;
}

static bool encode(const struct bpf_program *program, char *text, char problem[static CONTROL_PROBLEM_CAP])
{
    uint8_t *bytes = malloc(PROGRAM_LEN_MAX);

    if (!bytes || program->bf_len > CAPTURE_PROGRAM_MAX) {
        snprintf(problem, CONTROL_PROBLEM_CAP,
                 "the filter becomes a program of %u instructions, and there is room for %d; use a shorter one", program->bf_len,
                 CAPTURE_PROGRAM_MAX);
        free(bytes);
        return false;
    }
    for (size_t i = 0; i < program->bf_len; i++) {
        const struct bpf_insn *at = &program->bf_insns[i];
        store_le16(bytes + i * INSTRUCTION_LEN, at->code);
        bytes[i * INSTRUCTION_LEN + 2] = at->jt;
        bytes[i * INSTRUCTION_LEN + 3] = at->jf;
        store_le32(bytes + i * INSTRUCTION_LEN + 4, at->k);
    }
    sodium_bin2base64(text, PROGRAM_TEXT_CAP, bytes, (size_t)program->bf_len * INSTRUCTION_LEN, sodium_base64_VARIANT_ORIGINAL);
    free(bytes);
    return true;
}

// Frames carry their VLAN tags where a file has them.
static bool compile(const char *filter, char *text, char problem[static CONTROL_PROBLEM_CAP])
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, CAPTURE_FRAME_MAX);
    struct bpf_program program;
    bool is_good = false;

    if (!pcap) {
        snprintf(problem, CONTROL_PROBLEM_CAP, "out of memory");
        return false;
    }
    if (pcap_compile(pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
        snprintf(problem, CONTROL_PROBLEM_CAP, "the filter is none that libpcap knows: %s; see 'man pcap-filter'", pcap_geterr(pcap));
    } else {
        is_good = encode(&program, text, problem);
        pcap_freecode(&program);
    }
    pcap_close(pcap);
    return is_good;
}

static bool is_direction(const char *text)
{
    return strcmp(text, "all") == 0 || strcmp(text, "in") == 0 || strcmp(text, "out") == 0 || strcmp(text, "dropped") == 0;
}

bool capture_ask_make(struct capture_ask *ask, const struct command_line *line, char problem[static CONTROL_PROBLEM_CAP])
{
    uint64_t snaplen = line->write_file ? CAPTURE_FRAME_MAX : CAPTURE_TEXT_SNAPLEN;
    const char *direction = line->direction ? line->direction : "all";

    if (!capture_ask_number("snaplen", line->snaplen, CAPTURE_FRAME_MAX, &snaplen, problem) || !join_words(ask, line, problem))
        return false;
    if (!is_direction(direction)) {
        snprintf(problem, CONTROL_PROBLEM_CAP, "option --direction: expected in (from the peer), out (to it), dropped, or all");
        return false;
    }
    int len = snprintf(ask->request, sizeof ask->request, "capture %" PRIu64 " %s", snaplen, direction);
    if (!ask->filter[0])
        return true;
    ask->request[len++] = ' ';
    return compile(ask->filter, ask->request + len, problem);
}
