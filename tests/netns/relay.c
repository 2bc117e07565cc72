// SPDX-License-Identifier: MIT
/*
 * relay: stands between two nodes and passes their datagrams on, not all of them, not all in order, not all unharmed; and counts what it
 * does, so that nodes' counters can be compared with it.
 *
 *     relay CONTROL COUNTS ADDRESS-A A ADDRESS-B B [COMMAND…]          (addresses as 192.0.2.1:36160 or [2001:db8::1]:36160)
 *
 * What comes in at ADDRESS-A leaves from ADDRESS-B for B (direction ab), and the other way round (ba). CONTROL is a FIFO that it reads
 * further commands from, one a line; after each, and at SIGTERM, COUNTS has a line NAME=VALUE for each number, `commands` (how many were
 * carried out) among them. A command:
 *
 *   [ab.|ba.]SETTING=VALUE   of one direction, or of both
 *     loss, duplicate, flip, truncate, reorder   probabilities. One of the first four befalls a datagram, or none
 *     span=N                 flips only in the first N bytes (0: anywhere). One bit of a datagram is flipped
 *     hold=K                 what is reordered leaves right behind the K-th datagram that came after it, which is not held itself
 *     delay=MS  rate=MBITS   of outer packets; a queue longer than QUEUE_NS drops (0: at once, any rate)
 *     mtu=N                  outer IP packets longer than that vanish (0: none)
 *   seed=N                   of all that is random (1)
 *   forget                   what is held is lost
 *   record=FILE              what comes in, as it was, from now on; an empty name ends it
 *   replay=FILE              datagrams of a record, to where they went; REPLAY_EACH a millisecond
 *   replay_from=ADDRESS      … from that address from now on; an empty one: from where they came
 *   counts                   nothing, but COUNTS is fresh
 *
 * Datagrams are single: no UDP_GRO here, so the kernel cuts trains. TOS and ECN are not passed on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WAYS = 2, BATCH = 64, ROUNDS = 16, DATAGRAM_MAX = 65535, QUEUE_MAX = 200000, BUFFER_BYTES = 64 << 20, REPLAY_EACH = 16 };
#define NS_PER_MS UINT64_C(1000000)
#define QUEUE_NS (50 * NS_PER_MS)

// Of ethercord's messages (docs/protocol.md#messages), as far as it matters where a flipped bit lies.
enum { INITIATION = 1, RESPONSE = 2, COOKIE_REPLY = 3, DATA = 4, TYPE_LEN = 4, INDEX_END = 8, MAC_LEN = 16, DATA_MIN = 32 };

enum count {
    RECEIVED,
    RECEIVED_BYTES,
    FORWARDED,
    SEND_FAILED,
    LOST,
    OVERSIZE,
    OVERFLOWED,
    DUPLICATED_DATA, // by the message that came
    DUPLICATED_INITIATION,
    DUPLICATED_OTHER,
    FLIPPED_TYPE,      // in the first four bytes of any message
    FLIPPED_INDEX,     // of a data message
    FLIPPED_SEALED,    // data message: the counter, or what is sealed
    FLIPPED_HANDSHAKE, // initiation or response: what mac1 covers, or mac1
    FLIPPED_MAC2,
    FLIPPED_COOKIE, // anywhere in a cookie reply
    FLIPPED_OTHER,
    TRUNCATED_SHORT,  // shorter than any message of its type, or than all
    TRUNCATED_SEALED, // still as long as a data message
    REORDERED,        // left behind the K-th that came after it
    REPLAYED,
    COUNTS
};
static const char *const count_names[] = {
    "received",     "received_bytes",  "forwarded",        "send_failed",  "lost",           "oversize",     "overflowed",
    "duplicated",   "duplicated_init", "duplicated_other", "flipped_type", "flipped_index",  "flipped_data", "flipped_handshake",
    "flipped_mac2", "flipped_cookie",  "flipped_other",    "truncated",    "truncated_data", "reordered",    "replayed",
};
_Static_assert(sizeof count_names / sizeof count_names[0] == COUNTS, "a name for each");

struct settings {
    double loss, duplicate, flip, truncate, reorder, span, hold, delay, rate, mtu;
};
static const struct {
    const char *name;
    size_t offset;
} setting_names[] = {
    {"loss", offsetof(struct settings, loss)},       {"duplicate", offsetof(struct settings, duplicate)},
    {"flip", offsetof(struct settings, flip)},       {"truncate", offsetof(struct settings, truncate)},
    {"reorder", offsetof(struct settings, reorder)}, {"span", offsetof(struct settings, span)},
    {"hold", offsetof(struct settings, hold)},       {"delay", offsetof(struct settings, delay)},
    {"rate", offsetof(struct settings, rate)},       {"mtu", offsetof(struct settings, mtu)},
};

struct item {
    struct item *next;
    uint64_t due; // ns; while it is held: the number of the datagram that it leaves behind
    size_t len;
    uint8_t bytes[];
};

struct queue {
    struct item *first, **end;
    size_t n;
};

// One direction.
struct way {
    int in, out;
    struct sockaddr_storage to;
    socklen_t to_len;
    struct settings settings;
    uint64_t random;
    uint64_t counts[COUNTS];
    struct queue queue, held;
    uint64_t free_ns; // when the last one that was queued has left, at the rate
};

static struct way ways[WAYS]; // ab, ba
static const char *const way_names[WAYS] = {"ab", "ba"};
static const char *counts_path;
static unsigned long n_commands;
static FILE *record, *replay;
static int replay_socket = -1;
static unsigned long n_answered, answered_bytes; // what came back to it
static volatile sig_atomic_t is_over;

static _Noreturn void die(const char *what, const char *about)
{
    fprintf(stderr, "relay: %s: %s: %s\n", what, about, errno ? strerror(errno) : "no such thing");
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- chance ---- */

// splitmix64: every seed is a good one.
static uint64_t draw(struct way *way)
{
    uint64_t z = way->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool chance(struct way *way, double probability)
{
    return probability > 0 && (double)(draw(way) >> 11) * 0x1p-53 < probability;
}

static size_t below(struct way *way, size_t n)
{
    return (size_t)(draw(way) % n);
}

static void set_seed(uint64_t seed)
{
    for (int i = 0; i < WAYS; i++)
        ways[i].random = seed * WAYS + (uint64_t)i;
}

/* ---- queues ---- */

static void put(struct queue *queue, struct item *item)
{
    item->next = NULL;
    *queue->end = item;
    queue->end = &item->next;
    queue->n++;
}

static struct item *get(struct queue *queue)
{
    struct item *item = queue->first;

    queue->first = item->next;
    if (!queue->first)
        queue->end = &queue->first;
    queue->n--;
    return item;
}

static size_t outer_len(const struct way *way, size_t len)
{
    return len + (way->to.ss_family == AF_INET6 ? 48 : 28);
}

static void enqueue(struct way *way, struct item *item, uint64_t now)
{
    const struct settings *settings = &way->settings;
    uint64_t free_ns = way->free_ns > now ? way->free_ns : now;

    if (way->queue.n >= QUEUE_MAX || (settings->rate > 0 && free_ns - now > QUEUE_NS)) {
        way->counts[OVERFLOWED]++;
        free(item);
        return;
    }
    if (settings->rate > 0)
        free_ns += (uint64_t)((double)outer_len(way, item->len) * 8000 / settings->rate);
    way->free_ns = free_ns;
    item->due = free_ns + (uint64_t)(settings->delay * (double)NS_PER_MS);
    put(&way->queue, item);
}

// Those that wait for this datagram.
static void release(struct way *way, uint64_t number, uint64_t now)
{
    struct queue held = way->held;

    way->held = (struct queue){.end = &way->held.first};
    while (held.first) {
        struct item *item = get(&held);
        if (item->due != number) {
            put(&way->held, item);
            continue;
        }
        way->counts[REORDERED]++;
        enqueue(way, item, now);
    }
}

static void forget(struct way *way)
{
    while (way->held.first) {
        free(get(&way->held));
        way->counts[LOST]++;
    }
}

static bool is_awaited(const struct way *way, uint64_t number)
{
    for (const struct item *item = way->held.first; item; item = item->next)
        if (item->due == number)
            return true;
    return false;
}

/* ---- what befalls a datagram ---- */

static enum count flip_kind(const struct item *item, size_t at)
{
    uint8_t type = item->bytes[0];

    if (type < INITIATION || type > DATA)
        return FLIPPED_OTHER;
    if (at < TYPE_LEN)
        return FLIPPED_TYPE;
    if (type == DATA)
        return at < INDEX_END ? FLIPPED_INDEX : FLIPPED_SEALED;
    if (type == COOKIE_REPLY)
        return FLIPPED_COOKIE;
    return at >= item->len - MAC_LEN ? FLIPPED_MAC2 : FLIPPED_HANDSHAKE;
}

static void flip(struct way *way, struct item *item)
{
    size_t span = (size_t)way->settings.span;
    size_t bit = below(way, 8 * (span > 0 && span < item->len ? span : item->len));

    way->counts[flip_kind(item, bit / 8)]++;
    item->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void truncate_item(struct way *way, struct item *item)
{
    item->len = below(way, item->len);
    way->counts[item->len >= DATA_MIN && item->bytes[0] == DATA ? TRUNCATED_SEALED : TRUNCATED_SHORT]++;
}

static struct item *item_new(const uint8_t *bytes, size_t len)
{
    struct item *item = malloc(sizeof *item + len + 1);

    if (!item)
        die("no memory", "for a datagram");
    item->len = len;
    memcpy(item->bytes, bytes, len);
    return item;
}

static void duplicate(struct way *way, const struct item *item, uint64_t now)
{
    uint8_t type = item->bytes[0];

    way->counts[type == DATA ? DUPLICATED_DATA : type == INITIATION ? DUPLICATED_INITIATION : DUPLICATED_OTHER]++;
    enqueue(way, item_new(item->bytes, item->len), now);
}

static void write_record(const struct way *way, const uint8_t *bytes, size_t len)
{
    uint32_t header[2] = {way == &ways[1], (uint32_t)len};

    if (record && (fwrite(header, sizeof header, 1, record) != 1 || fwrite(bytes, 1, len, record) != len))
        die("can't write", "record");
}

static void take(struct way *way, const uint8_t *bytes, size_t len, uint64_t now)
{
    const struct settings *settings = &way->settings;
    uint64_t number = ++way->counts[RECEIVED];

    way->counts[RECEIVED_BYTES] += len;
    write_record(way, bytes, len);
    if (settings->mtu > 0 && (double)outer_len(way, len) > settings->mtu) {
        way->counts[OVERSIZE]++;
    } else if (chance(way, settings->loss)) {
        way->counts[LOST]++;
    } else {
        struct item *item = item_new(bytes, len);
        if (len > 0 && chance(way, settings->flip))
            flip(way, item);
        else if (len > 0 && chance(way, settings->truncate))
            truncate_item(way, item);
        else if (len > 0 && chance(way, settings->duplicate))
            duplicate(way, item, now);
        if (chance(way, settings->reorder) && !is_awaited(way, number)) {
            item->due = number + (uint64_t)settings->hold;
            put(&way->held, item);
        } else {
            enqueue(way, item, now);
        }
    }
    release(way, number, now);
}

/* ---- sockets ---- */

// Returns whether there may be more.
static bool receive(struct way *way)
{
    static uint8_t bytes[BATCH][DATAGRAM_MAX];
    struct iovec iovecs[BATCH];
    struct mmsghdr messages[BATCH] = {0};

    for (int i = 0; i < BATCH; i++) {
        iovecs[i] = (struct iovec){bytes[i], DATAGRAM_MAX};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iovecs[i], .msg_iovlen = 1};
    }
    int n = recvmmsg(way->in, messages, BATCH, MSG_DONTWAIT, NULL);
    uint64_t now = now_ns();
    for (int i = 0; i < n; i++)
        take(way, bytes[i], messages[i].msg_len, now);
    return n == BATCH;
}

// What is due. Returns whether the socket's buffer is full.
static bool send_due(struct way *way, uint64_t now)
{
    while (way->queue.first && way->queue.first->due <= now) {
        struct iovec iovecs[BATCH];
        struct mmsghdr messages[BATCH] = {0};
        unsigned n = 0;

        for (struct item *item = way->queue.first; item && item->due <= now && n < BATCH; item = item->next, n++) {
            iovecs[n] = (struct iovec){item->bytes, item->len};
            messages[n].msg_hdr = (struct msghdr){.msg_name = &way->to, .msg_namelen = way->to_len, .msg_iov = &iovecs[n], .msg_iovlen = 1};
        }
        int sent = sendmmsg(way->out, messages, n, MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return true;
        way->counts[sent < 0 ? SEND_FAILED : FORWARDED] += (uint64_t)(sent < 0 ? 1 : sent);
        for (int i = 0; i < (sent < 0 ? 1 : sent); i++)
            free(get(&way->queue));
    }
    return false;
}

static void parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len)
{
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
    char host[100];
    const char *port = strrchr(text, ':');

    errno = 0;
    if (!port || (size_t)(port - text) >= sizeof host)
        die("no address with a port", text);
    snprintf(host, sizeof host, "%.*s", (int)(port - text), text);
    char *name = host + (host[0] == '[');
    name[strcspn(name, "]")] = '\0';
    if (getaddrinfo(name, port + 1, &hints, &found) != 0)
        die("no address", text);
    memcpy(address, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
}

static int open_socket(const char *text)
{
    struct sockaddr_storage address;
    socklen_t len;
    int bytes = BUFFER_BYTES, v4 = IP_PMTUDISC_PROBE, v6 = IPV6_PMTUDISC_PROBE;

    parse_address(text, &address, &len);
    int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0)
        die("can't listen", text);
    // No outer IP fragments from here either.
    if (address.ss_family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof v6)
                                      : setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof v4))
        die("can't set the path MTU's discovery", text);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        die("can't have large buffers", text);
    return fd;
}

/* ---- replay ---- */

static void replay_one(void)
{
    static uint8_t bytes[DATAGRAM_MAX];
    uint32_t header[2];

    if (fread(header, sizeof header, 1, replay) != 1) {
        fclose(replay);
        replay = NULL;
        return;
    }
    errno = 0;
    if (header[0] >= WAYS || header[1] > DATAGRAM_MAX || fread(bytes, 1, header[1], replay) != header[1])
        die("not a record", "replay");
    struct way *way = &ways[header[0]];
    int fd = replay_socket >= 0 ? replay_socket : way->out;
    bool is_sent = sendto(fd, bytes, header[1], 0, (struct sockaddr *)&way->to, way->to_len) >= 0;
    way->counts[is_sent ? REPLAYED : SEND_FAILED]++;
}

static void count_answers(void)
{
    static uint8_t bytes[DATAGRAM_MAX];
    ssize_t len;

    while (replay_socket >= 0 && (len = recv(replay_socket, bytes, sizeof bytes, 0)) >= 0) {
        n_answered++;
        answered_bytes += (unsigned long)len;
    }
}

/* ---- commands ---- */

// What the kernel dropped because the socket was full.
static uint32_t n_missed(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof info;

    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
        die("can't ask", "SO_MEMINFO");
    return info[SK_MEMINFO_DROPS];
}

static void write_counts(void)
{
    char path[4096];

    count_answers();
    snprintf(path, sizeof path, "%s.new", counts_path);
    FILE *file = fopen(path, "w");
    if (!file)
        die("can't write", path);
    fprintf(file, "commands=%lu\nis_replaying=%d\nanswered=%lu\nanswered_bytes=%lu\n", n_commands, replay != NULL, n_answered,
            answered_bytes);
    for (int i = 0; i < WAYS; i++) {
        for (int j = 0; j < COUNTS; j++)
            fprintf(file, "%s.%s=%llu\n", way_names[i], count_names[j], (unsigned long long)ways[i].counts[j]);
        fprintf(file, "%s.missed=%u\n%s.waiting=%zu\n%s.held=%zu\n", way_names[i], n_missed(ways[i].in), way_names[i], ways[i].queue.n,
                way_names[i], ways[i].held.n);
    }
    if (fclose(file) != 0 || rename(path, counts_path) != 0)
        die("can't write", counts_path);
}

static void reopen(FILE **file, const char *path, const char *mode)
{
    if (*file && fclose(*file) != 0)
        die("can't close", path);
    *file = NULL;
    if (path[0] && !(*file = fopen(path, mode)))
        die("can't open", path);
}

static void set(struct settings *settings, const char *name, const char *value)
{
    char *end;
    double number = strtod(value, &end);

    errno = 0;
    if (end == value || *end || !(number >= 0))
        die("not a number", value);
    for (size_t i = 0; i < sizeof setting_names / sizeof setting_names[0]; i++)
        if (strcmp(name, setting_names[i].name) == 0) {
            *(double *)(void *)((char *)settings + setting_names[i].offset) = number;
            return;
        }
    die("no such setting", name);
}

static void set_of_ways(const char *name, const char *value)
{
    for (int i = 0; i < WAYS; i++)
        if (strncmp(name, way_names[i], 2) == 0 && name[2] == '.') {
            set(&ways[i].settings, name + 3, value);
            return;
        }
    for (int i = 0; i < WAYS; i++)
        set(&ways[i].settings, name, value);
}

static void set_replay_from(const char *address)
{
    if (replay_socket >= 0)
        close(replay_socket);
    replay_socket = address[0] ? open_socket(address) : -1;
}

static void command(char *line)
{
    char *value = strchr(line, '=');

    if (value)
        *value++ = '\0';
    if (strcmp(line, "forget") == 0)
        for (int i = 0; i < WAYS; i++)
            forget(&ways[i]);
    else if (strcmp(line, "counts") == 0)
        ;
    else if (!value)
        die("unknown command", line);
    else if (strcmp(line, "seed") == 0)
        set_seed(strtoull(value, NULL, 0));
    else if (strcmp(line, "record") == 0)
        reopen(&record, value, "w");
    else if (strcmp(line, "replay") == 0)
        reopen(&replay, value, "r");
    else if (strcmp(line, "replay_from") == 0)
        set_replay_from(value);
    else
        set_of_ways(line, value);
}

static void read_commands(int control)
{
    static char text[4096];
    static size_t len;
    ssize_t n = read(control, text + len, sizeof text - 1 - len);
    char *line = text, *end;

    if (n <= 0)
        return;
    len += (size_t)n;
    text[len] = '\0';
    for (; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        command(line);
        n_commands++;
        write_counts();
    }
    len = strlen(line);
    memmove(text, line, len + 1);
}

/* ---- the loop ---- */

static void on_signal(int number)
{
    (void)number;
    is_over = 1;
}

// How long until something is to be done that no descriptor tells of.
static struct timespec next_timeout(uint64_t now)
{
    uint64_t left = replay ? NS_PER_MS : 1000 * NS_PER_MS;

    for (int i = 0; i < WAYS; i++) {
        uint64_t due = ways[i].queue.first ? ways[i].queue.first->due : UINT64_MAX;
        if (due < now + left)
            left = due > now ? due - now : 0;
    }
    return (struct timespec){.tv_sec = (time_t)(left / (1000 * NS_PER_MS)), .tv_nsec = (long)(left % (1000 * NS_PER_MS))};
}

static void run(int control)
{
    uint64_t replayed_ns = 0;

    while (!is_over) {
        uint64_t now = now_ns();
        bool is_full[WAYS];

        for (int i = 0; i < WAYS; i++)
            is_full[i] = send_due(&ways[i], now);
        if (replay && now - replayed_ns >= NS_PER_MS) {
            replayed_ns = now;
            for (int i = 0; i < REPLAY_EACH && replay; i++)
                replay_one();
        }
        struct pollfd fds[WAYS + 1] = {{.fd = control, .events = POLLIN}};
        for (int i = 0; i < WAYS; i++) // ways[i].out is the other one's in
            fds[1 + i] = (struct pollfd){.fd = ways[i].in, .events = (short)(POLLIN | (is_full[!i] ? POLLOUT : 0))};
        struct timespec timeout = next_timeout(now);
        if (ppoll(fds, WAYS + 1, is_full[0] || is_full[1] ? NULL : &timeout, NULL) < 0)
            continue;
        for (int i = 0; i < WAYS; i++)
            for (int round = 0; (fds[1 + i].revents & POLLIN) && round < ROUNDS && receive(&ways[i]); round++)
                send_due(&ways[i], now_ns());
        if (fds[0].revents & POLLIN)
            read_commands(control);
    }
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};

    if (argc < 7) {
        fprintf(stderr, "usage: relay CONTROL COUNTS ADDRESS-A A ADDRESS-B B [COMMAND…]\n");
        return 2;
    }
    counts_path = argv[2];
    for (int i = 0; i < WAYS; i++) {
        ways[i].in = ways[!i].out = open_socket(argv[3 + 2 * i]);
        parse_address(argv[4 + 2 * i], &ways[!i].to, &ways[!i].to_len);
        ways[i].queue.end = &ways[i].queue.first;
        ways[i].held.end = &ways[i].held.first;
    }
    set_seed(1);
    for (int i = 7; i < argc; i++)
        command(argv[i]);
    // Read and write: so it never ends, whoever closes the other end.
    int control = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (control < 0)
        die("can't open", argv[1]);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    write_counts();
    run(control);
    reopen(&record, "", "w");
    write_counts();
    return 0;
}
