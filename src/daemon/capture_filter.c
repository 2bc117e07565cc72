// SPDX-License-Identifier: MIT
/*
 * capture_filter: see capture_filter.h.
 */
#include "capture_filter.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "ethercord/bytes.h"

enum { HEADER_LEN_MAX = 60 }; // what BPF_MSH can give: 4 * 15
_Static_assert(sizeof(struct bpf_insn) == CAPTURE_INSTRUCTION_LEN, "an instruction has no padding");
_Static_assert(BPF_MEMWORDS <= 16, "a bit for each word of memory");

static const char *const choices[CAPTURE_CHOICES] = {"all", "in", "out", "dropped"};

/* ---- the program ---- */

static bool decode(struct capture_filter *filter, const char *text)
{
    uint8_t *bytes = (uint8_t *)filter->program; // to be put right in its place
    size_t len;

    if (sodium_base642bin(bytes, sizeof filter->program, text, strlen(text), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) ||
        len % CAPTURE_INSTRUCTION_LEN != 0)
        return false;
    filter->n_instructions = (uint16_t)(len / CAPTURE_INSTRUCTION_LEN);
    for (size_t i = 0; i < filter->n_instructions; i++) {
        uint8_t at[CAPTURE_INSTRUCTION_LEN];
        memcpy(at, bytes + i * CAPTURE_INSTRUCTION_LEN, sizeof at);
        filter->program[i] = (struct bpf_insn){.code = load_le16(at), .jt = at[2], .jf = at[3], .k = load_le32(at + 4)};
    }
    return true;
}

static const uint16_t known_codes[] = {
    BPF_RET | BPF_K,
    BPF_RET | BPF_A,
    BPF_LD | BPF_W | BPF_ABS,
    BPF_LD | BPF_H | BPF_ABS,
    BPF_LD | BPF_B | BPF_ABS,
    BPF_LD | BPF_W | BPF_IND,
    BPF_LD | BPF_H | BPF_IND,
    BPF_LD | BPF_B | BPF_IND,
    BPF_LD | BPF_W | BPF_LEN,
    BPF_LDX | BPF_W | BPF_LEN,
    BPF_LDX | BPF_MSH | BPF_B,
    BPF_LD | BPF_IMM,
    BPF_LDX | BPF_IMM,
    BPF_LD | BPF_MEM,
    BPF_LDX | BPF_MEM,
    BPF_ST,
    BPF_STX,
    BPF_JMP | BPF_JA,
    BPF_JMP | BPF_JGT | BPF_K,
    BPF_JMP | BPF_JGE | BPF_K,
    BPF_JMP | BPF_JEQ | BPF_K,
    BPF_JMP | BPF_JSET | BPF_K,
    BPF_JMP | BPF_JGT | BPF_X,
    BPF_JMP | BPF_JGE | BPF_X,
    BPF_JMP | BPF_JEQ | BPF_X,
    BPF_JMP | BPF_JSET | BPF_X,
    BPF_ALU | BPF_ADD, // BPF_K: both are 0
    BPF_ALU | BPF_SUB | BPF_K,
    BPF_ALU | BPF_MUL | BPF_K,
    BPF_ALU | BPF_DIV | BPF_K,
    BPF_ALU | BPF_MOD | BPF_K,
    BPF_ALU | BPF_AND | BPF_K,
    BPF_ALU | BPF_OR | BPF_K,
    BPF_ALU | BPF_XOR | BPF_K,
    BPF_ALU | BPF_LSH | BPF_K,
    BPF_ALU | BPF_RSH | BPF_K,
    BPF_ALU | BPF_ADD | BPF_X,
    BPF_ALU | BPF_SUB | BPF_X,
    BPF_ALU | BPF_MUL | BPF_X,
    BPF_ALU | BPF_DIV | BPF_X,
    BPF_ALU | BPF_MOD | BPF_X,
    BPF_ALU | BPF_AND | BPF_X,
    BPF_ALU | BPF_OR | BPF_X,
    BPF_ALU | BPF_XOR | BPF_X,
    BPF_ALU | BPF_LSH | BPF_X,
    BPF_ALU | BPF_RSH | BPF_X,
    BPF_ALU | BPF_NEG,
    BPF_MISC | BPF_TAX,
    BPF_MISC | BPF_TXA,
};

// Those that bpf_filter() has; it aborts at any other, and bpf_validate() does not look for that.
static bool is_known(const struct bpf_insn *at)
{
    for (size_t i = 0; i < sizeof known_codes / sizeof known_codes[0]; i++)
        if (at->code == known_codes[i])
            return true;
    return false;
}

static bool is_load(const struct bpf_insn *at)
{
    return BPF_CLASS(at->code) == BPF_LD || BPF_CLASS(at->code) == BPF_LDX;
}

// What is known before instruction i: which words of memory are written, whichever way was taken.
struct knowledge {
    uint16_t written_at[CAPTURE_PROGRAM_MAX]; // a bit for each word
    uint16_t written;                         // after the instruction in hand
};

// False when it goes back.
static bool jump(struct knowledge *known, const struct bpf_insn *at, size_t i, size_t n)
{
    bool is_always = BPF_OP(at->code) == BPF_JA;

    if (is_always && at->k >= n - i - 1)
        return false;
    known->written_at[i + 1 + (is_always ? at->k : at->jt)] &= known->written;
    known->written_at[i + 1 + (is_always ? at->k : at->jf)] &= known->written;
    known->written = UINT16_MAX; // nobody comes from here to the next
    return true;
}

static bool step(struct knowledge *known, const struct bpf_insn *at, size_t i, size_t n)
{
    switch (BPF_CLASS(at->code)) {
    case BPF_LD:
    case BPF_LDX:
        return BPF_MODE(at->code) != BPF_MEM || known->written >> at->k & 1;
    case BPF_ST:
    case BPF_STX:
        known->written |= (uint16_t)(1U << at->k);
        return true;
    case BPF_JMP:
        return jump(known, at, i, n);
    case BPF_RET:
        known->written = UINT16_MAX;
        return true;
    default:
        return true;
    }
}

// For a program that bpf_validate() lets pass: all its jumps go forward, each word of its memory is written before it is read, and there
// are no other instructions than there are.
static bool is_safe(const struct capture_filter *filter)
{
    struct knowledge *known = malloc(sizeof *known);
    bool is_good = known != NULL;

    if (known)
        memset(known, 0xff, sizeof *known);
    for (size_t i = 0; is_good && i < filter->n_instructions; i++) {
        known->written = i == 0 ? 0 : known->written & known->written_at[i];
        is_good = is_known(&filter->program[i]) && step(known, &filter->program[i], i, filter->n_instructions);
    }
    free(known);
    return is_good;
}

static size_t width_of(const struct bpf_insn *at)
{
    return BPF_SIZE(at->code) == BPF_W ? 4 : BPF_SIZE(at->code) == BPF_H ? 2 : 1;
}

// Whether it may look beyond CAPTURE_REACH. Of X nothing is known but what an IP header's length can be.
static bool is_deep(const struct capture_filter *filter)
{
    for (size_t i = 0; i < filter->n_instructions; i++) {
        const struct bpf_insn *at = &filter->program[i];
        bool is_header_len = at->code == (BPF_LDX | BPF_MSH | BPF_B);
        size_t from_x = is_load(at) && BPF_MODE(at->code) == BPF_IND ? HEADER_LEN_MAX : 0;
        if (at->code == (BPF_MISC | BPF_TAX) || (BPF_CLASS(at->code) == BPF_LDX && !is_header_len))
            return true;
        if (is_load(at) && (is_header_len || BPF_MODE(at->code) == BPF_ABS || BPF_MODE(at->code) == BPF_IND) &&
            at->k + from_x + width_of(at) > CAPTURE_REACH)
            return true;
    }
    return false;
}

/* ---- the request ---- */

static const char *take_program(struct capture_filter *filter, const char *text)
{
    if (!decode(filter, text))
        return "capture: expected behind WHICH a BPF program in base64, of 1024 instructions at the most; a shorter filter is needed";
    if (filter->n_instructions == 0)
        return NULL;
    if (!bpf_validate(filter->program, filter->n_instructions) || !is_safe(filter))
        return "capture: that filter does not run here: its program is none, or has loops ('protochain' makes them)";
    filter->is_deep = is_deep(filter);
    return NULL;
}

static bool take_choice(struct capture_filter *filter, const char **at)
{
    size_t len = strcspn(*at, " ");

    for (int i = 0; i < CAPTURE_CHOICES; i++)
        if (strlen(choices[i]) == len && memcmp(choices[i], *at, len) == 0) {
            filter->choice = (enum capture_choice)i;
            *at += len;
            *at += strspn(*at, " ");
            return true;
        }
    return false;
}

const char *capture_filter_parse(struct capture_filter *filter, const char *arguments)
{
    char *end;
    unsigned long snaplen = strtoul(arguments, &end, 10);
    const char *at = end;

    *filter = (struct capture_filter){.snaplen = (uint32_t)snaplen};
    if (*arguments < '0' || *arguments > '9' || snaplen < 1 || snaplen > CAPTURE_FRAME_MAX || *at++ != ' ' || !take_choice(filter, &at))
        return "capture: expected SNAPLEN (bytes of each frame), WHICH (all, in, out or dropped), and perhaps a filter";
    return take_program(filter, at);
}
