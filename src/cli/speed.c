// SPDX-License-Identifier: MIT
/*
 * speed: see speed.h. Measures first, then tells, as a document or as text.
 *
 *   slice   One cipher, one size, some milliseconds: seals a batch of payloads into messages that lie side by side, as in a train, opens
 *           the same messages again, and so on. The two are timed apart.
 *   round   One slice for each cipher and size. What slows the machine down for a while hits all of them alike.
 *   result  The median of all rounds.
 *
 * The clock is the thread's CPU time: on a machine that others use too it leaves out the time that they had. What a hypervisor takes away
 * it does not see; that is what the medians are for.
 */
#include "speed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "ethercord/clock.h"
#include "ethercord/log.h"
#include "ethercord/program.h"
#include "ethercord/replay.h"
#include "ethercord/wire.h"

enum {
    FULL_PATH_MTU = 1500,
    IPV4_UDP_LEN = 20 + 8,
    FRAME_LEN_MAX = 9018,
    BATCH_BYTES = 64 * 1024, // of messages: about what one super-frame makes
    ROUNDS = 11,             // odd: the median is one of them
    CLOCK_TRIES = 32,
    CLEARLY_PERCENT = 5 // less than this is noise, and no reason to change a configuration
};
_Static_assert(SPEED_FULL_FRAME == FULL_PATH_MTU - IPV4_UDP_LEN - WIRE_DATA_OVERHEAD - WIRE_RECORD_OVERHEAD, "a full datagram");

enum { FULL_ROW = 6 };
static const uint16_t frame_lens[SPEED_SIZES] = {64, 128, 256, 512, 1024, 1280, [FULL_ROW] = SPEED_FULL_FRAME, 1518, FRAME_LEN_MAX};
static const char no_aes[] = "this CPU has no AES instructions that libsodium can use";

// Best first, as cipher_choose() has it.
static const enum cipher order[] = {CIPHER_AES_256_GCM, CIPHER_CHACHA20_POLY1305};
enum { N_CIPHERS = sizeof(order) / sizeof(order[0]) };
_Static_assert(N_CIPHERS == CIPHER_COUNT - 1, "every cipher but CIPHER_NONE");

struct samples {
    double seal_ns[ROUNDS]; // per frame
    double open_ns[ROUNDS];
};

struct bench {
    _Alignas(64) struct aead_key key;
    struct replay replay;
    uint64_t counter; // the next to be used under `key`
    uint64_t read_ns; // what it takes to read the clock
    struct samples samples[CIPHER_COUNT][SPEED_SIZES];
    _Alignas(64) uint8_t payloads[BATCH_BYTES];
    uint8_t messages[BATCH_BYTES];
};

/* ---- measuring ---- */

static uint64_t now_cpu_ns(void)
{
    struct timespec t;
    ensure(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

// This clock is a system call, which takes as long as sealing a few frames. The least of some tries, so that too little is subtracted
// rather than too much.
static uint64_t measure_clock(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < CLOCK_TRIES; i++) {
        uint64_t begin = now_cpu_ns();
        uint64_t took = now_cpu_ns() - begin;
        least = took < least ? took : least;
    }
    return least;
}

static void take_new_key(struct bench *bench, enum cipher cipher)
{
    uint8_t secret[AEAD_KEY_LEN];
    randombytes_buf(secret, sizeof(secret));
    aead_key_init(&bench->key, cipher, secret);
    sodium_memzero(secret, sizeof(secret));
    memset(&bench->replay, 0, sizeof(bench->replay));
    bench->counter = 0;
}

static void seal_batch(struct bench *bench, size_t n, size_t payload_len)
{
    const uint8_t *payload = bench->payloads;
    uint8_t *message = bench->messages;
    for (size_t i = 0; i < n; i++) {
        struct data_header header = {.receiver_index = 1, .counter = bench->counter++};
        data_header_encode(&header, message);
        aead_seal(&bench->key, header.counter, message, payload, payload_len, message + WIRE_DATA_HEADER_LEN);
        payload += payload_len;
        message += payload_len + WIRE_DATA_OVERHEAD;
    }
}

static void open_batch(struct bench *bench, size_t n, size_t payload_len)
{
    const uint8_t *message = bench->messages;
    uint8_t *payload = bench->payloads;
    for (size_t i = 0; i < n; i++) {
        struct data_header header;
        data_header_decode(message, &header);
        ensure(aead_open(&bench->key, header.counter, message, message + WIRE_DATA_HEADER_LEN, payload_len + AEAD_TAG_LEN, payload));
        ensure(replay_accept(&bench->replay, header.counter));
        payload += payload_len;
        message += payload_len + WIRE_DATA_OVERHEAD;
    }
}

// From begin to end without the reading of the clock, and never 0: it will be divided by.
static uint64_t took_ns(const struct bench *bench, uint64_t begin_ns, uint64_t end_ns)
{
    uint64_t ns = end_ns - begin_ns;
    return ns > bench->read_ns ? ns - bench->read_ns : 1;
}

static void run_slice(struct bench *bench, enum cipher cipher, size_t size, size_t round, uint64_t budget_ns)
{
    size_t payload_len = frame_lens[size] + (size_t)WIRE_RECORD_OVERHEAD;
    size_t n_batch = BATCH_BYTES / (payload_len + WIRE_DATA_OVERHEAD);
    uint64_t end_ns = now_cpu_ns() + budget_ns, seal_ns = 0, open_ns = 0;
    size_t n = 0;

    take_new_key(bench, cipher);
    seal_batch(bench, n_batch, payload_len); // not timed: fills the caches, wakes the wide registers
    open_batch(bench, n_batch, payload_len);
    uint64_t opened_ns = now_cpu_ns();
    do {
        uint64_t begin_ns = opened_ns;
        seal_batch(bench, n_batch, payload_len);
        uint64_t sealed_ns = now_cpu_ns();
        open_batch(bench, n_batch, payload_len);
        opened_ns = now_cpu_ns();
        seal_ns += took_ns(bench, begin_ns, sealed_ns);
        open_ns += took_ns(bench, sealed_ns, opened_ns);
        n += n_batch;
    } while (opened_ns < end_ns);
    aead_key_deinit(&bench->key);

    bench->samples[cipher][size].seal_ns[round] = (double)seal_ns / (double)n;
    bench->samples[cipher][size].open_ns[round] = (double)open_ns / (double)n;
}

static bool has_cipher(const struct speed *speed, enum cipher cipher)
{
    return speed->ciphers >> cipher & 1;
}

static void run_round(struct bench *bench, const struct speed *speed, size_t round, uint64_t budget_ns)
{
    for (size_t size = 0; size < SPEED_SIZES; size++) {
        for (size_t i = 0; i < N_CIPHERS; i++) {
            if (has_cipher(speed, order[i]))
                run_slice(bench, order[i], size, round, budget_ns);
        }
    }
}

static void take_medians(struct speed *speed, struct bench *bench)
{
    for (size_t i = 0; i < N_CIPHERS; i++) {
        for (size_t size = 0; size < SPEED_SIZES && has_cipher(speed, order[i]); size++) {
            struct samples *samples = &bench->samples[order[i]][size];
            speed->rows[order[i]][size] = (struct speed_row){
                .frame_len = frame_lens[size],
                .seal_ns = speed_median(samples->seal_ns, ROUNDS),
                .open_ns = speed_median(samples->open_ns, ROUNDS),
            };
        }
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double speed_median(double *values, size_t n)
{
    qsort(values, n, sizeof(values[0]), compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

bool speed_measure(struct speed *speed, uint64_t budget_ns)
{
    uint64_t n_ciphers = 0;
    struct bench *bench = aligned_alloc(64, sizeof(*bench));
    if (!bench)
        return false;
    memset(bench, 0, sizeof(*bench));
    *speed = (struct speed){.ciphers = ciphers_available()};
    for (size_t i = 0; i < N_CIPHERS; i++)
        n_ciphers += has_cipher(speed, order[i]);
    randombytes_buf(bench->payloads, sizeof(bench->payloads));
    bench->read_ns = measure_clock();
    for (size_t round = 0; round < ROUNDS; round++)
        run_round(bench, speed, round, budget_ns / ((uint64_t)ROUNDS * SPEED_SIZES * n_ciphers));
    take_medians(speed, bench);
    free(bench); // each slice has wiped its key
    return true;
}

/* ---- telling ---- */

bool speed_parse_seconds(const char *text, unsigned *seconds)
{
    *seconds = SPEED_SECONDS_DEFAULT;
    if (!text)
        return true;
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 4 || text[len] != '\0')
        return false;
    *seconds = (unsigned)strtoul(text, NULL, 10);
    return *seconds >= 1 && *seconds <= SPEED_SECONDS_MAX;
}

// ns per byte is s per GB (10^9 bytes, of frames).
static double seconds_per_gb(const struct speed_row *row, double ns)
{
    return ns / row->frame_len;
}

static double cost_of(const struct speed *speed, enum cipher cipher)
{
    const struct speed_row *row = &speed->rows[cipher][FULL_ROW];
    return seconds_per_gb(row, row->seal_ns + row->open_ns);
}

enum cipher speed_fastest(const struct speed *speed)
{
    enum cipher best = cipher_choose(speed->ciphers);
    for (size_t i = 0; i < N_CIPHERS; i++) {
        if (has_cipher(speed, order[i]) && cost_of(speed, order[i]) * (100 + CLEARLY_PERCENT) < cost_of(speed, best) * 100)
            best = order[i];
    }
    return best;
}

static json_int_t frames_per_s(double ns)
{
    return (json_int_t)(1e9 / ns + 0.5);
}

static double gb_per_s(const struct speed_row *row, double ns)
{
    return row->frame_len * 8 / ns;
}

// To `scale` parts of one.
static double rounded(double value, double scale)
{
    return (double)(int64_t)(value * scale + 0.5) / scale;
}

static json_t *direction_object(const struct speed_row *row, double ns)
{
    json_int_t bits_per_s = (json_int_t)(gb_per_s(row, ns) * 1e9 + 0.5);
    return json_pack("{s:f, s:I, s:I}", "ns_per_frame", rounded(ns, 10), "frames_per_s", frames_per_s(ns), "bits_per_s", bits_per_s);
}

static json_t *cipher_object(const struct speed *speed, enum cipher cipher)
{
    const struct speed_row *rows = speed->rows[cipher];
    json_t *frames = json_array();
    if (!has_cipher(speed, cipher))
        return json_pack("{s:s, s:b, s:s, s:n, s:o}", "cipher", cipher_name(cipher), "available", 0, "reason", no_aes, "cpu_s_per_gb",
                         "frames", frames);
    for (size_t i = 0; i < SPEED_SIZES; i++)
        json_array_append_new(frames,
                              json_pack("{s:i, s:o, s:o}", "bytes", (int)rows[i].frame_len, "seal",
                                        direction_object(&rows[i], rows[i].seal_ns), "open", direction_object(&rows[i], rows[i].open_ns)));
    return json_pack("{s:s, s:b, s:n, s:f, s:o}", "cipher", cipher_name(cipher), "available", 1, "reason", "cpu_s_per_gb",
                     rounded(cost_of(speed, cipher), 1000), "frames", frames);
}

json_t *speed_document(const struct speed *speed)
{
    json_t *ciphers = json_array();
    for (size_t i = 0; i < N_CIPHERS; i++)
        json_array_append_new(ciphers, cipher_object(speed, order[i]));
    return json_pack("{s:i, s:s, s:s, s:i, s:i, s:s, s:s, s:o}", "schema", SPEED_SCHEMA, "version", ETHERCORD_VERSION, "clock",
                     "thread-cpu-time", "rounds", ROUNDS, "full_frame_bytes", SPEED_FULL_FRAME, "auto",
                     cipher_name(cipher_choose(speed->ciphers)), "fastest", cipher_name(speed_fastest(speed)), "ciphers", ciphers);
}

static void print_direction(const struct speed_row *row, double ns, FILE *out)
{
    fprintf(out, "  %10.1f %10lld %7.2f", ns, (long long)frames_per_s(ns), gb_per_s(row, ns));
}

static void print_cipher(const struct speed *speed, enum cipher cipher, FILE *out)
{
    if (!has_cipher(speed, cipher)) {
        fprintf(out, "\n%s: not available, %s\n", cipher_name(cipher), no_aes);
        return;
    }
    fprintf(out, "\n%-19s seal                          open\n", cipher_name(cipher));
    fprintf(out, "%6s  %10s %10s %7s  %10s %10s %7s\n", "bytes", "ns/frame", "frames/s", "Gb/s", "ns/frame", "frames/s", "Gb/s");
    for (size_t i = 0; i < SPEED_SIZES; i++) {
        const struct speed_row *row = &speed->rows[cipher][i];
        fprintf(out, "%6u", (unsigned)row->frame_len);
        print_direction(row, row->seal_ns, out);
        print_direction(row, row->open_ns, out);
        fputs(i == FULL_ROW ? "  full datagram\n" : "\n", out);
    }
}

static void print_choice(const struct speed *speed, FILE *out)
{
    enum cipher chosen = cipher_choose(speed->ciphers), fastest = speed_fastest(speed);
    const struct speed_row *row = &speed->rows[chosen][FULL_ROW];
    fprintf(out, "\n'Cipher = auto' takes %s here", cipher_name(chosen));
    if (chosen != fastest)
        fprintf(out,
                ", but on this CPU %s is %.1f times as fast.\nIf the other end's CPU agrees, set 'Cipher = %s' in [Node]; at one end is "
                "enough.\n",
                cipher_name(fastest), cost_of(speed, chosen) / cost_of(speed, fastest), cipher_name(fastest));
    else
        fputs(chosen == order[0] ? ", if the other end can do it too; none is clearly faster on this CPU.\n" : ".\n", out);
    fprintf(out, "%s costs %.2f CPU seconds per GB in full datagrams: %.2f to seal it, %.2f to open it.\n", cipher_name(chosen),
            cost_of(speed, chosen), seconds_per_gb(row, row->seal_ns), seconds_per_gb(row, row->open_ns));
}

void speed_print(const struct speed *speed, FILE *out)
{
    fprintf(out, "One core, in CPU time; medians of %d rounds. Bytes are those of the frame; a full datagram is one of %d on the path.\n",
            ROUNDS, FULL_PATH_MTU);
    for (size_t i = 0; i < N_CIPHERS; i++)
        print_cipher(speed, order[i], out);
    print_choice(speed, out);
}

int command_speed(const struct command_line *line)
{
    struct speed speed;
    unsigned seconds;
    if (!speed_parse_seconds(line->seconds, &seconds)) {
        command_problem("speed", "option --seconds: expected a number, 1 to 60");
        return CODE_USAGE;
    }
    if (!speed_measure(&speed, seconds * NS_PER_S))
        return command_fail("speed", "can't measure", ENOMEM);
    if (!line->wants_json) {
        speed_print(&speed, stdout);
        return CODE_DONE;
    }
    json_t *document = speed_document(&speed);
    if (!document)
        return command_fail("speed", "can't make the document", ENOMEM);
    (void)json_dumpf(document, stdout, SPEED_JSON_FLAGS);
    printf("\n");
    json_decref(document);
    return CODE_DONE;
}
