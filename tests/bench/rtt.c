/* SPDX-License-Identifier: MIT
 *
 * rtt: pings an IPv4 address at an exact interval and prints each round trip in microseconds, as JSON. For tests/bench: ping of iputils
 * keeps a core busy at short intervals, and waits in steps of the kernel's tick at longer ones.
 *
 *   rtt ADDRESS COUNT INTERVAL-SECONDS
 *
 * An answer counts until one second after the last request.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
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
    COUNT_CAP = 60000, /* the sequence number has 16 bits */
    PAYLOAD_BYTES = 56,
};

static const int64_t SECOND_NS = 1000 * 1000 * 1000;

struct request {
    int64_t sent_ns, answered_ns;
};

static struct request requests[COUNT_CAP];
static unsigned n_sent, n_answered, n_duplicates;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static uint16_t checksum(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < len; i += 2) {
        uint16_t word;
        memcpy(&word, bytes + i, sizeof word);
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

static void send_request(int fd, uint16_t id)
{
    struct {
        struct icmphdr header;
        uint8_t payload[PAYLOAD_BYTES];
    } message = {.header = {.type = ICMP_ECHO, .un.echo = {.id = id, .sequence = htons((uint16_t)n_sent)}}};

    message.header.checksum = checksum(&message, sizeof message);
    requests[n_sent].sent_ns = now_ns();
    n_sent++;
    if (send(fd, &message, sizeof message, 0) < 0 && errno != ENOBUFS && errno != EHOSTUNREACH) {
        perror("rtt: send");
    }
}

/* A raw socket gets all ICMP of the namespace, with IP headers. */
static void receive(int fd, uint16_t id)
{
    uint8_t data[2048];
    struct iphdr ip;
    struct icmphdr icmp;
    ssize_t len = recv(fd, data, sizeof data, MSG_DONTWAIT);
    int64_t at_ns = now_ns();

    if (len < (ssize_t)sizeof ip) {
        return;
    }
    memcpy(&ip, data, sizeof ip);
    if (len < (ssize_t)(ip.ihl * 4U + sizeof icmp)) {
        return;
    }
    memcpy(&icmp, data + ip.ihl * 4U, sizeof icmp);
    unsigned sequence = ntohs(icmp.un.echo.sequence);
    if (icmp.type != ICMP_ECHOREPLY || icmp.un.echo.id != id || sequence >= n_sent) {
        return;
    }
    if (requests[sequence].answered_ns != 0) {
        n_duplicates++;
        return;
    }
    requests[sequence].answered_ns = at_ns;
    n_answered++;
}

static void receive_until(int fd, uint16_t id, int64_t deadline_ns, unsigned n_enough)
{
    struct pollfd poll = {.fd = fd, .events = POLLIN};
    for (int64_t now = now_ns(); now < deadline_ns && n_answered < n_enough; now = now_ns()) {
        struct timespec left = {.tv_sec = (deadline_ns - now) / SECOND_NS, .tv_nsec = (deadline_ns - now) % SECOND_NS};
        if (ppoll(&poll, 1, &left, NULL) > 0) {
            receive(fd, id);
        }
    }
}

static void print(void)
{
    const char *separator = "";
    printf("{\"sent\": %u, \"received\": %u, \"duplicates\": %u, \"rtt_us\": [", n_sent, n_answered, n_duplicates);
    for (unsigned i = 0; i < n_sent; i++) {
        if (requests[i].answered_ns != 0) {
            printf("%s%.1f", separator, (double)(requests[i].answered_ns - requests[i].sent_ns) / 1e3);
            separator = ", ";
        }
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int count = argc == 4 ? atoi(argv[2]) : 0;

    if (count < 1 || count > COUNT_CAP || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
        fprintf(stderr, "usage: rtt ADDRESS COUNT INTERVAL-SECONDS\n");
        return 2;
    }
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("rtt: socket");
        return 1;
    }
    prctl(PR_SET_TIMERSLACK, 1UL);
    uint16_t id = (uint16_t)getpid();
    int64_t interval_ns = (int64_t)(atof(argv[3]) * 1e9), next_ns = now_ns();
    for (int i = 0; i < count; i++) {
        send_request(fd, id);
        next_ns += interval_ns;
        receive_until(fd, id, next_ns, COUNT_CAP + 1U);
    }
    receive_until(fd, id, next_ns + SECOND_NS, n_sent);
    print();
    return 0;
}
