// SPDX-License-Identifier: MIT
/*
 * flood: what an attacker sends to a node, as much of it as is wanted. It knows nothing but the node's public key and address.
 *
 *   flood spoofed DEVICE FROM-MAC TO-MAC ADDRESS PORT PUBLIC-KEY RATE SECONDS
 *       initiations and responses with a valid mac1, each from another address and port (10.0.0.0/8, or fd10::/16), as raw frames
 *   flood caller SOURCE ADDRESS PORT PUBLIC-KEY RATE SECONDS
 *       one address of this machine: initiations with a valid mac1 and, as soon as a cookie has come for it, a valid mac2
 *   flood garbage ADDRESS PORT COUNT LONGEST single|train
 *       random datagrams of all lengths from 0 to LONGEST, mixed; train: up to 63 in one call (UDP_SEGMENT)
 *
 * Prints one line of NAME=VALUE at the end. A rate is a wish: the line says what became of it. What the authenticators are made of is
 * written here a second time, from docs/protocol.md alone.
 *
 *     cc -D_GNU_SOURCE -O2 -o flood flood.c -lsodium
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    INITIATION_LEN = 156,
    RESPONSE_LEN = 100,
    COOKIE_REPLY_LEN = 64,
    MAC_LEN = 16,
    KEY_LEN = 32,
    PREPARED = 1 << 14, // messages that are sent again and again, each time from elsewhere
    BATCH = 64,
    FRAME_CAP = ETH_HLEN + 40 + 8 + INITIATION_LEN,
    LONGEST = 65507,
    TRAIN_MAX = 63,
    TRAIN_BYTES_MAX = 65000,
    STRIDE = 7919,          // a prime: all lengths come
    PAUSE_NS = 3000 * 1000, // of garbage, after
    PAUSE_BYTES = 2 << 20,
    OVERHEAD = 1000 // bytes of a socket's buffer that a datagram takes besides
};
static const int64_t SECOND_NS = 1000 * 1000 * 1000;

static uint64_t random_state;

static void quit(const char *what)
{
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void sleep_until(int64_t when)
{
    struct timespec t = {.tv_sec = when / SECOND_NS, .tv_nsec = when % SECOND_NS};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* ---- messages ---- */

struct victim {
    uint8_t mac1_key[KEY_LEN], cookie_key[KEY_LEN];
    struct sockaddr_storage at;
    socklen_t at_len;
    bool is_ipv6;
};

static void derive_key(uint8_t *key, const char *label, const uint8_t *public_key)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, KEY_LEN);
    crypto_generichash_update(&state, (const uint8_t *)label, strlen(label));
    crypto_generichash_update(&state, public_key, KEY_LEN);
    crypto_generichash_final(&state, key, KEY_LEN);
}

static void victim_at(struct victim *victim, const char *address, const char *port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&victim->at;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&victim->at;
    uint16_t number = htons((uint16_t)atoi(port));

    memset(victim, 0, sizeof *victim);
    victim->is_ipv6 = strchr(address, ':') != NULL;
    victim->at_len = victim->is_ipv6 ? sizeof *in6 : sizeof *in;
    victim->at.ss_family = victim->is_ipv6 ? AF_INET6 : AF_INET;
    if (victim->is_ipv6)
        in6->sin6_port = number;
    else
        in->sin_port = number;
    if (inet_pton(victim->at.ss_family, address, victim->is_ipv6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) != 1)
        quit(address);
}

static void victim_key(struct victim *victim, const char *base64)
{
    uint8_t public_key[KEY_LEN];

    errno = EINVAL;
    if (sodium_base642bin(public_key, KEY_LEN, base64, strlen(base64), NULL, NULL, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        quit("public key");
    derive_key(victim->mac1_key, "ethercord 1 mac1", public_key);
    derive_key(victim->cookie_key, "ethercord 1 cookie", public_key);
}

// Looks right from outside: only who computes Diffie-Hellman sees that it is noise. mac2: of `cookie`, or zero.
static void make_message(const struct victim *victim, uint8_t *out, size_t len, const uint8_t *cookie)
{
    memset(out, 0, len);
    out[0] = len == INITIATION_LEN ? 1 : 2;
    for (size_t i = 4; i < len - 2 * MAC_LEN; i++)
        out[i] = (uint8_t)(next_random() >> 24);
    crypto_generichash(out + len - 2 * MAC_LEN, MAC_LEN, out, len - 2 * MAC_LEN, victim->mac1_key, KEY_LEN);
    if (cookie)
        crypto_generichash(out + len - MAC_LEN, MAC_LEN, out, len - MAC_LEN, cookie, MAC_LEN);
}

/* ---- spoofed ---- */

static uint32_t sum_of(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    return sum;
}

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static size_t put_ipv4(const struct victim *victim, uint8_t *at, size_t udp_len)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP, .tot_len = htons((uint16_t)(sizeof ip + udp_len))};

    ip.saddr = htonl(0x0a000000U | ((uint32_t)next_random() & 0xffffffU));
    ip.daddr = ((const struct sockaddr_in *)&victim->at)->sin_addr.s_addr;
    ip.check = folded(sum_of(0, (const uint8_t *)&ip, sizeof ip));
    memcpy(at, &ip, sizeof ip);
    return sizeof ip;
}

static size_t put_ipv6(const struct victim *victim, uint8_t *at, size_t udp_len)
{
    struct ip6_hdr ip = {.ip6_flow = htonl(6U << 28), .ip6_plen = htons((uint16_t)udp_len), .ip6_nxt = IPPROTO_UDP, .ip6_hlim = 60};
    uint64_t high = next_random(), low = next_random();

    memcpy(ip.ip6_src.s6_addr, &high, 8);
    memcpy(ip.ip6_src.s6_addr + 8, &low, 8);
    ip.ip6_src.s6_addr[0] = 0xfd;
    ip.ip6_src.s6_addr[1] = 0x10;
    ip.ip6_dst = ((const struct sockaddr_in6 *)&victim->at)->sin6_addr;
    memcpy(at, &ip, sizeof ip);
    return sizeof ip;
}

// The datagram lies behind the UDP header already. Returns the frame's length.
static size_t finish_frame(const struct victim *victim, uint8_t *frame, size_t len)
{
    size_t ip_len = victim->is_ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr), udp_len = sizeof(struct udphdr) + len;
    struct udphdr udp = {.source = htons((uint16_t)(1024 + next_random() % 60000)), .len = htons((uint16_t)udp_len)};
    uint8_t *at = frame + ETH_HLEN;

    udp.dest =
        victim->is_ipv6 ? ((const struct sockaddr_in6 *)&victim->at)->sin6_port : ((const struct sockaddr_in *)&victim->at)->sin_port;
    (void)(victim->is_ipv6 ? put_ipv6(victim, at, udp_len) : put_ipv4(victim, at, udp_len));
    memcpy(at + ip_len, &udp, sizeof udp);
    if (victim->is_ipv6) { // of IPv4, none is needed
        uint16_t check = folded(sum_of((uint32_t)(IPPROTO_UDP + udp_len), at + 8, 32 + udp_len));
        memcpy(at + ip_len + offsetof(struct udphdr, check), &check, sizeof check);
    }
    return ETH_HLEN + ip_len + udp_len;
}

static int open_raw(const char *device)
{
    struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = 0, .sll_ifindex = (int)if_nametoindex(device)};
    int one = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof ll) < 0)
        quit(device);
    (void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    return fd;
}

struct spoofed {
    uint8_t frames[BATCH][FRAME_CAP];
    struct iovec iovecs[BATCH];
    struct mmsghdr messages[BATCH];
};

// One in 16 is a response: their mac1 is as easily made.
static uint8_t (*prepare(const struct victim *victim))[INITIATION_LEN]
{
    uint8_t(*prepared)[INITIATION_LEN] = malloc((size_t)PREPARED * INITIATION_LEN);

    if (!prepared)
        quit("memory");
    for (size_t i = 0; i < PREPARED; i++)
        make_message(victim, prepared[i], i % 16 == 15 ? RESPONSE_LEN : INITIATION_LEN, NULL);
    return prepared;
}

static void spoofed(const struct victim *victim, char **args, double rate, double seconds)
{
    static struct spoofed s;
    uint8_t header[ETH_HLEN];
    uint8_t(*prepared)[INITIATION_LEN] = prepare(victim);
    int fd = open_raw(args[0]);
    size_t ip_len = victim->is_ipv6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr);
    uint64_t n_sent = 0, n_refused = 0;

    if (!ether_aton_r(args[2], (struct ether_addr *)header) || !ether_aton_r(args[1], (struct ether_addr *)(header + ETH_ALEN)))
        quit("MAC address");
    header[12] = victim->is_ipv6 ? 0x86 : 0x08;
    header[13] = victim->is_ipv6 ? 0xdd : 0;
    int64_t began = now(), due = began, end = began + (int64_t)(seconds * 1e9);
    for (uint64_t n = 0; now() < end; due += (int64_t)(BATCH * 1e9 / rate)) {
        for (size_t i = 0; i < BATCH; i++, n++) {
            size_t len = n % 16 == 15 ? RESPONSE_LEN : INITIATION_LEN;
            memcpy(s.frames[i], header, ETH_HLEN);
            memcpy(s.frames[i] + ETH_HLEN + ip_len + sizeof(struct udphdr), prepared[n % PREPARED], len);
            s.iovecs[i] = (struct iovec){s.frames[i], finish_frame(victim, s.frames[i], len)};
            s.messages[i].msg_hdr = (struct msghdr){.msg_iov = &s.iovecs[i], .msg_iovlen = 1};
        }
        int sent = sendmmsg(fd, s.messages, BATCH, 0);
        n_sent += sent > 0 ? (uint64_t)sent : 0;
        n_refused += BATCH - (sent > 0 ? (uint64_t)sent : 0);
        if (now() < due)
            sleep_until(due);
        else if (now() - due > SECOND_NS / 100)
            due = now(); // it can't be made good
    }
    printf("sent=%lu refused=%lu rate=%.0f\n", n_sent, n_refused, (double)n_sent * 1e9 / (double)(now() - began));
    free(prepared);
}

/* ---- caller ---- */

// source: NULL = the kernel's choice.
static int open_udp(const struct victim *victim, const char *source)
{
    int fd = socket(victim->at.ss_family, SOCK_DGRAM, 0), bytes = 8 << 20;

    if (source) {
        struct victim self;
        victim_at(&self, source, "0");
        if (bind(fd, (const struct sockaddr *)&self.at, self.at_len) < 0)
            quit(source);
    }
    if (fd < 0 || connect(fd, (const struct sockaddr *)&victim->at, victim->at_len) < 0)
        quit("socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    return fd;
}

static void caller(const struct victim *victim, const char *source, double rate, double seconds)
{
    uint8_t message[INITIATION_LEN], answer[2048], cookie[MAC_LEN], last_mac1[MAC_LEN] = {0};
    int fd = open_udp(victim, source);
    uint64_t n_sent = 0, n_with_cookie = 0, n_answers = 0;
    bool has_cookie = false;
    int64_t began = now(), due = began, end = began + (int64_t)(seconds * 1e9);

    while (now() < end) {
        make_message(victim, message, sizeof message, has_cookie ? cookie : NULL);
        if (!has_cookie)
            memcpy(last_mac1, message + sizeof message - 2 * MAC_LEN, MAC_LEN);
        if (send(fd, message, sizeof message, 0) == sizeof message)
            n_sent++, n_with_cookie += has_cookie;
        due += (int64_t)(1e9 / rate);
        if (now() < due)
            sleep_until(due);
        for (ssize_t got; (got = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) > 0; n_answers++)
            if (!has_cookie && got == COOKIE_REPLY_LEN)
                has_cookie = crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, answer + 32, 32, last_mac1, MAC_LEN, answer + 8,
                                                                        victim->cookie_key) == 0;
    }
    printf("sent=%lu with_cookie=%lu answers=%lu rate=%.0f\n", n_sent, n_with_cookie, n_answers,
           (double)n_sent * 1e9 / (double)(now() - began));
}

/* ---- garbage ---- */

static uint8_t noise[LONGEST + 4096];

// Half of them look like something at first sight.
static uint8_t *next_garbage(size_t len)
{
    uint8_t *bytes = noise + next_random() % 4096;

    if (len > 4 && next_random() % 2) {
        memset(bytes, 0, 4);
        bytes[0] = (uint8_t)(1 + next_random() % 5);
    } else if (len > 0) {
        bytes[next_random() % len] = (uint8_t)next_random();
    }
    return bytes;
}

static size_t send_train(int fd, size_t len, size_t n)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    uint16_t size = (uint16_t)len;
    struct iovec iovec = {next_garbage(len * n), len * n};
    struct msghdr header = {.msg_iov = &iovec, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};

    control.header = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
    memcpy(CMSG_DATA(&control.header), &size, sizeof size);
    if (n < 2)
        header.msg_control = NULL, header.msg_controllen = 0;
    return sendmsg(fd, &header, 0) >= 0 ? n : 0;
}

// In trains, as many of each length as fit. Pauses let a socket's buffer hold what is on its way.
static void garbage(const struct victim *victim, uint64_t count, size_t longest, bool has_trains)
{
    int fd = open_udp(victim, NULL);
    uint64_t n_sent = 0, n_refused = 0, n_bytes = 0, n_since = 0;
    int64_t began = now();

    for (size_t len = 0; n_sent + n_refused < count; len = (len + STRIDE) % (longest + 1)) {
        size_t fitting = len > 0 ? TRAIN_BYTES_MAX / len : 1;
        size_t n = !has_trains || len == 0 ? 1 : fitting < TRAIN_MAX ? fitting : TRAIN_MAX;
        size_t sent = send_train(fd, len, n);
        n_sent += sent;
        n_refused += n - sent;
        n_bytes += sent * len;
        n_since += sent * (len + OVERHEAD);
        if (n_since > PAUSE_BYTES) {
            sleep_until(now() + PAUSE_NS);
            n_since = 0;
        }
    }
    printf("sent=%lu refused=%lu bytes=%lu seconds=%.1f answers=%d\n", n_sent, n_refused, n_bytes, (double)(now() - began) / 1e9,
           recv(fd, noise, sizeof noise, MSG_DONTWAIT) >= 0);
}

int main(int argc, char **argv)
{
    struct victim victim;
    const char *mode = argc > 1 ? argv[1] : "";

    if (sodium_init() < 0)
        return 1;
    randombytes_buf(&random_state, sizeof random_state);
    random_state |= 1;
    randombytes_buf(noise, sizeof noise);
    if (strcmp(mode, "spoofed") == 0 && argc == 10) {
        victim_at(&victim, argv[5], argv[6]);
        victim_key(&victim, argv[7]);
        spoofed(&victim, argv + 2, atof(argv[8]), atof(argv[9]));
    } else if (strcmp(mode, "caller") == 0 && argc == 8) {
        victim_at(&victim, argv[3], argv[4]);
        victim_key(&victim, argv[5]);
        caller(&victim, argv[2], atof(argv[6]), atof(argv[7]));
    } else if (strcmp(mode, "garbage") == 0 && argc == 7 && atol(argv[5]) <= LONGEST) {
        victim_at(&victim, argv[2], argv[3]);
        garbage(&victim, strtoull(argv[4], NULL, 10), (size_t)atol(argv[5]), strcmp(argv[6], "train") == 0);
    } else {
        fprintf(stderr, "usage: see the top of flood.c\n");
        return 2;
    }
    return 0;
}
