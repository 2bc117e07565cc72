// SPDX-License-Identifier: MIT
/*
 * capture_filter: what stands behind "capture" on the control socket: every good one, every kind of bad one, and programs that would not
 * end or would read what is not theirs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/cli/capture_ask.h"
#include "../../src/daemon/capture_filter.h"
#include "ethercord/bytes.h"

static struct capture_filter filter;

static const char *parse(const char *arguments)
{
    return capture_filter_parse(&filter, arguments);
}

static void test_words(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "all",
                                      "0 all",
                                      "-1 all",
                                      "65582 all",
                                      "99999999999999999999 all",
                                      "64",
                                      "64 ",
                                      "64 both",
                                      "64  all",
                                      "64 al",
                                      "64 all *",
                                      "64 all AAAA",
                                      "64all",
                                      "64 all A",
                                      "64 ALL",
                                      "1e3 all",
                                      "64 all AAAAAAAAAAA= x"};
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!parse(bad[i]))
            fail_msg("'%s' was taken", bad[i]);
    assert_null(parse("64 all"));
    assert_int_equal(filter.snaplen, 64);
    assert_int_equal(filter.choice, CAPTURE_ALL);
    assert_int_equal(filter.n_instructions, 0);
    assert_null(parse("1 in"));
    assert_int_equal(filter.choice, CAPTURE_ONLY_IN);
    assert_null(parse("65581 out "));
    assert_int_equal(filter.choice, CAPTURE_ONLY_OUT);
    assert_null(parse("64 dropped"));
    assert_int_equal(filter.choice, CAPTURE_ONLY_DROPPED);
}

static const char *parse_program(const struct bpf_insn *program, size_t n)
{
    uint8_t *bytes = malloc(n * CAPTURE_INSTRUCTION_LEN);
    size_t cap = sodium_base64_encoded_len(n * CAPTURE_INSTRUCTION_LEN, sodium_base64_VARIANT_ORIGINAL) + 16;
    char *text = malloc(cap);

    assert_true(bytes && text);
    for (size_t i = 0; i < n; i++) {
        store_le16(bytes + i * 8, program[i].code);
        bytes[i * 8 + 2] = program[i].jt;
        bytes[i * 8 + 3] = program[i].jf;
        store_le32(bytes + i * 8 + 4, program[i].k);
    }
    int len = snprintf(text, cap, "64 all ");
    sodium_bin2base64(text + len, cap - (size_t)len, bytes, n * 8, sodium_base64_VARIANT_ORIGINAL);
    const char *problem = parse(text);
    free(bytes);
    free(text);
    return problem;
}

#define REFUSED(...) assert_non_null(parse_program((const struct bpf_insn[]){__VA_ARGS__}, N_OF(__VA_ARGS__)))
#define TAKEN(...) assert_null(parse_program((const struct bpf_insn[]){__VA_ARGS__}, N_OF(__VA_ARGS__)))
#define N_OF(...) (sizeof((const struct bpf_insn[]){__VA_ARGS__}) / sizeof(struct bpf_insn))
#define ACCEPT BPF_STMT(BPF_RET | BPF_K, 1)

static void test_jumps(void **state)
{
    (void)state;
    TAKEN(ACCEPT);
    REFUSED(BPF_STMT(BPF_LD | BPF_IMM, 1));                                                     // no end
    REFUSED(BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), ACCEPT);                                    // to itself
    REFUSED(BPF_STMT(BPF_LD | BPF_IMM, 1), BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX - 1), ACCEPT); // back
    REFUSED(BPF_STMT(BPF_JMP | BPF_JA, 1), ACCEPT);                                             // past the end
    TAKEN(BPF_STMT(BPF_JMP | BPF_JA, 0), ACCEPT);
    REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ACCEPT);
    TAKEN(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ACCEPT, ACCEPT);
    REFUSED({.code = 0xffff}, ACCEPT);
    REFUSED(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ACCEPT);
}

// Each code there can be: what is taken runs, and does not abort.
static void test_codes(void **state)
{
    static const uint8_t frame[64] = {0x45};
    size_t n_taken = 0;
    (void)state;

    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        const struct bpf_insn program[] = {BPF_STMT(BPF_ST, 0), {.code = (uint16_t)code}, ACCEPT, ACCEPT};
        filter = (struct capture_filter){0};
        if (parse_program(program, 4))
            continue;
        n_taken++;
        bpf_filter(filter.program, frame, sizeof frame, sizeof frame);
    }
    assert_int_equal(n_taken, 49 - 2); // less division by zero, twice
}

// A word that was not written holds what was on the stack.
static void test_memory(void **state)
{
    (void)state;
    REFUSED(BPF_STMT(BPF_LD | BPF_MEM, 3), ACCEPT);
    REFUSED(BPF_STMT(BPF_LDX | BPF_MEM, 3), ACCEPT);
    REFUSED(BPF_STMT(BPF_ST, 16), ACCEPT);
    TAKEN(BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), ACCEPT);
    REFUSED(BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 4), ACCEPT);
    // Written on one of two ways only, and on both.
    REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), ACCEPT);
    REFUSED(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LDX | BPF_MEM, 3), ACCEPT);
    TAKEN(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2), BPF_STMT(BPF_STX, 3), BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_ST, 3),
          BPF_STMT(BPF_LD | BPF_MEM, 3), ACCEPT);
    // Behind an end comes only who jumps there.
    TAKEN(BPF_STMT(BPF_ST, 3), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ACCEPT, BPF_STMT(BPF_LD | BPF_MEM, 3), ACCEPT);
}

static void test_length(void **state)
{
    static struct bpf_insn program[CAPTURE_PROGRAM_MAX + 1];
    (void)state;

    for (size_t i = 0; i < CAPTURE_PROGRAM_MAX + 1; i++)
        program[i] = (struct bpf_insn)ACCEPT;
    assert_null(parse_program(program, CAPTURE_PROGRAM_MAX));
    assert_int_equal(filter.n_instructions, CAPTURE_PROGRAM_MAX);
    assert_non_null(parse_program(program, CAPTURE_PROGRAM_MAX + 1));
}

// What the command makes of a filter is taken, and the usual ones look at no more than the beginning.
static void test_as_the_command_asks(void **state)
{
    static const struct {
        const char *text;
        bool is_taken, is_deep;
    } rows[] = {
        {"tcp port 80", true, false},
        {"host 10.9.0.1 and icmp", true, false},
        {"ip6 and udp portrange 1-9", true, false},
        {"ether host 2:0:0:0:0:1", true, false},
        {"arp or stp", true, false},
        {"len > 1000", true, false},
        {"ether[600] = 1", true, true},
        {"tcp[tcp[12] >> 2] = 7", true, true},
        {"vlan 7 and tcp port 80", true, false},
        {"ip6 protochain 6", false, false},
    };
    static struct capture_ask ask;
    char problem[CONTROL_PROBLEM_CAP];
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct command_line line = {.arguments = {"a", rows[i].text}, .n_arguments = 2, .direction = "in", .snaplen = "100"};
        ask = (struct capture_ask){0};
        if (!capture_ask_make(&ask, &line, problem))
            fail_msg("%s: %s", rows[i].text, problem);
        assert_memory_equal(ask.request, "capture ", 8);
        const char *refusal = parse(ask.request + 8);
        if (rows[i].is_taken ? refusal != NULL : refusal == NULL)
            fail_msg("%s: %s", rows[i].text, refusal ? refusal : "was taken");
        if (rows[i].is_taken && (filter.is_deep != rows[i].is_deep || filter.choice != CAPTURE_ONLY_IN || filter.snaplen != 100))
            fail_msg("%s: is deep: %d", rows[i].text, filter.is_deep);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),  cmocka_unit_test(test_jumps),  cmocka_unit_test(test_codes),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_length), cmocka_unit_test(test_as_the_command_asks),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
