/* SPDX-License-Identifier: MIT
 *
 * udpload: sends numbered UDP datagrams of one size at a given rate, or counts those that arrive. For tests/bench; prints JSON.
 *
 *   udpload send ADDRESS PORT PAYLOAD-BYTES RATE SECONDS     RATE in datagrams/s; 0 = as fast as it goes
 *   udpload sink PORT                                        prints "ready", counts until SIGTERM
 *
 * The payload begins with a 64-bit number that counts up, by which the sink knows duplicates and those that come late. Neither end uses
 * segmentation offloads: one datagram is one frame. The sink's socket buffer is large, and what it loses all the same is told apart.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_CAP = 64,
    PAYLOAD_MIN_BYTES = sizeof(uint64_t),
    PAYLOAD_CAP_BYTES = 9000,
    SOCKET_BUFFER_BYTES = 32 << 20,
    NUMBER_CAP = 1 << 27, /* a sender that gets there stops: 2 million a second for a minute */
};

/* The sender wakes at this interval. It must not be a divisor of the kernel's tick: whatever is sampled at ticks would then see the
 * sender always at the same point of its cycle. */
static const int64_t WAKE_NS = 97 * 1000;
/* A sender that could not keep up gives up its debt beyond this, instead of sending a burst. */
static const int64_t DEBT_CAP_NS = 5 * 1000 * 1000;
static const int64_t SECOND_NS = 1000 * 1000 * 1000;

struct batch {
    uint8_t payload[BATCH_CAP][PAYLOAD_CAP_BYTES];
    struct iovec vectors[BATCH_CAP];
    struct mmsghdr messages[BATCH_CAP];
};

struct sink_count {
    uint64_t received, duplicates, late, foreign;
    uint64_t highest;
    int64_t first_ns, last_ns;
};

static struct batch batch;
static uint8_t seen[NUMBER_CAP / 8];
static volatile sig_atomic_t is_over;

static void end(int signal_number)
{
    (void)signal_number;
    is_over = 1;
}

static void die(const char *what)
{
    fprintf(stderr, "udpload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void sleep_until(int64_t deadline_ns)
{
    struct timespec t = {.tv_sec = deadline_ns / SECOND_NS, .tv_nsec = deadline_ns % SECOND_NS};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void batch_init(size_t len)
{
    for (int i = 0; i < BATCH_CAP; i++) {
        batch.vectors[i] = (struct iovec){.iov_base = batch.payload[i], .iov_len = len};
        batch.messages[i].msg_hdr = (struct msghdr){.msg_iov = &batch.vectors[i], .msg_iovlen = 1};
    }
}

/* Sends the next `count` numbers. Returns how many the kernel took; the others are gone, as they would be from any program. */
static uint64_t send_batch(int fd, uint64_t number, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t n = number + i;
        memcpy(batch.payload[i], &n, sizeof n);
    }
    int sent = sendmmsg(fd, batch.messages, count, 0);
    if (sent >= 0) {
        return (uint64_t)sent;
    }
    if (errno != ENOBUFS && errno != ECONNREFUSED && errno != EAGAIN && errno != EINTR) {
        die("sendmmsg");
    }
    return 0;
}

/* How many datagrams are due at `now_ns`, at most a batch; moves the start when the debt has become too large. */
static unsigned due(double rate, int64_t now, int64_t *start_ns, uint64_t number)
{
    if (rate <= 0) {
        return BATCH_CAP;
    }
    int64_t debt_ns = now - *start_ns - (int64_t)((double)number / rate * 1e9);
    if (debt_ns > DEBT_CAP_NS) {
        *start_ns += debt_ns - DEBT_CAP_NS;
        debt_ns = DEBT_CAP_NS;
    }
    double count = (double)debt_ns * rate / 1e9;
    return count < 1 ? 0 : count > BATCH_CAP ? BATCH_CAP : (unsigned)count;
}

static int run_send(char **args)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(args[1]))};
    size_t len = (size_t)atoi(args[2]);
    double rate = atof(args[3]);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (inet_pton(AF_INET, args[0], &to.sin_addr) != 1 || len < PAYLOAD_MIN_BYTES || len > PAYLOAD_CAP_BYTES) {
        fprintf(stderr, "udpload: bad address or size\n");
        return 2;
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        die("socket");
    }
    prctl(PR_SET_TIMERSLACK, 1UL);
    batch_init(len);

    int64_t began_ns = now_ns(), start_ns = began_ns, now = began_ns;
    int64_t end_ns = began_ns + (int64_t)(atof(args[4]) * 1e9);
    uint64_t number = 0, taken = 0;
    while (now < end_ns && number < NUMBER_CAP - BATCH_CAP && !is_over) {
        unsigned count = due(rate, now, &start_ns, number);
        if (count == 0) {
            sleep_until(now + WAKE_NS);
        } else {
            taken += send_batch(fd, number, count);
            number += count;
        }
        now = now_ns();
    }
    printf("{\"offered\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"seconds\": %.6f}\n", number, taken, (double)(now - began_ns) / 1e9);
    return 0;
}

static void count_one(struct sink_count *count, unsigned i)
{
    uint64_t number;
    if (batch.messages[i].msg_len < sizeof number) {
        count->foreign++;
        return;
    }
    memcpy(&number, batch.payload[i], sizeof number);
    if (number >= NUMBER_CAP) {
        count->foreign++;
        return;
    }
    bool is_duplicate = seen[number / 8] >> (number % 8) & 1;
    seen[number / 8] |= (uint8_t)(1U << (number % 8));
    count->duplicates += is_duplicate;
    count->received += !is_duplicate;
    count->late += number < count->highest && !is_duplicate;
    count->highest = number > count->highest ? number : count->highest;
}

static uint32_t socket_drops(int fd)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof info;
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0 ? info[SK_MEMINFO_DROPS] : 0;
}

static int sink_open(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_usec = 50 * 1000};
    int size = SOCKET_BUFFER_BYTES, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
        die("socket");
    }
    return fd;
}

static int run_sink(char **args)
{
    struct sink_count count = {0};
    int fd = sink_open((uint16_t)atoi(args[0]));

    batch_init(PAYLOAD_CAP_BYTES);
    puts("ready");
    fflush(stdout);
    while (!is_over) {
        int got = recvmmsg(fd, batch.messages, BATCH_CAP, MSG_WAITFORONE, NULL);
        if (got <= 0) {
            continue;
        }
        count.last_ns = now_ns();
        count.first_ns = count.first_ns ? count.first_ns : count.last_ns;
        for (int i = 0; i < got; i++) {
            count_one(&count, (unsigned)i);
        }
    }
    printf("{\"received\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"late\": %" PRIu64 ", \"foreign\": %" PRIu64
           ", \"socket_drops\": %" PRIu32 ", \"seconds\": %.6f}\n",
           count.received, count.duplicates, count.late, count.foreign, socket_drops(fd), (double)(count.last_ns - count.first_ns) / 1e9);
    return 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = end};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    if (argc == 7 && strcmp(argv[1], "send") == 0) {
        return run_send(argv + 2);
    }
    if (argc == 3 && strcmp(argv[1], "sink") == 0) {
        return run_sink(argv + 2);
    }
    fprintf(stderr, "usage: udpload send ADDRESS PORT PAYLOAD-BYTES RATE SECONDS | udpload sink PORT\n");
    return 2;
}
