// SPDX-License-Identifier: MIT
/*
 * inject: makes system calls on the TAP and on UDP sockets fail. A library for LD_PRELOAD:
 *
 *     cc -D_GNU_SOURCE -shared -fPIC -O2 -o inject.so inject.c -ldl
 *     LD_PRELOAD=inject.so ETHERCORD_INJECT="sendmmsg:EIO:gso;write:EINVAL:super:every=3" ethercord run …
 *
 * ETHERCORD_INJECT has rules, CALL:ERRNO[:OPTION…], separated by `;`. The first rule that fires decides.
 *
 *   CALL    read, readv, write, writev (on a TAP), recvmsg, recvmmsg, sendmsg, sendmmsg (on a UDP socket), setsockopt.NAME (of those
 * below), ioctl.NAME; or the beginning of a name: `write` is write and writev, `send` sendmsg and sendmmsg ERRNO   by name, of those below
 *   OPTION  every=N   each N-th call (or message) that the rule is about; without any of these: each
 *           first=N   the first N of them
 *           at=N      the N-th alone                                      after=N   counts only from there on
 *           gso       only messages with UDP_SEGMENT                      single    only messages without
 *           super     only frames whose virtio-net header asks for segmentation (udp: of UDP; tcp: of TCP)
 *           partial   only frames whose virtio-net header asks for a checksum, and for no segmentation
 *           vnet      TUNSETIFF: only with IFF_VNET_HDR                    bits=N    TUNSETOFFLOAD: only with one of these bits
 *
 * A call that fails does nothing else. Of sendmmsg a rule looks at each message: those before the first that fails are sent, and it is the
 * first of the next call, where it fails for good: as the kernel would have it.
 *
 * With ETHERCORD_INJECT_COUNTS=FILE the numbers of failures are there, 64 bits of the machine's own order for each rule. A descriptor is
 * known by how it was made, by TUNSETIFF or socket(); so nothing is asked of the kernel that a confined process might not.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RULES_MAX = 16, FDS_MAX = 1024, GSO_UDP_L4 = 5 };
enum fd_kind { FD_OTHER, FD_TAP, FD_UDP };

struct named {
    const char *name;
    int value;
};
static const struct named errors[] = {
    {"EAGAIN", EAGAIN},
    {"EINTR", EINTR},
    {"EINVAL", EINVAL},
    {"EIO", EIO},
    {"EMSGSIZE", EMSGSIZE},
    {"ENOBUFS", ENOBUFS},
    {"ENOMEM", ENOMEM},
    {"EPERM", EPERM},
    {"EBADFD", EBADFD},
    {"ENETDOWN", ENETDOWN},
    {"ENETUNREACH", ENETUNREACH},
    {"ECONNREFUSED", ECONNREFUSED},
    {"EHOSTUNREACH", EHOSTUNREACH},
    {"ENOSYS", ENOSYS},
    {"EFAULT", EFAULT},
    {"EOPNOTSUPP", EOPNOTSUPP},
    {"ENOPROTOOPT", ENOPROTOOPT},
};
static const struct named udp_options[] = {{"setsockopt.UDP_SEGMENT", UDP_SEGMENT}, {"setsockopt.UDP_GRO", UDP_GRO}};
static const struct named tun_requests[] = {
    {"ioctl.TUNSETIFF", (int)TUNSETIFF},
    {"ioctl.TUNSETOFFLOAD", (int)TUNSETOFFLOAD},
    {"ioctl.TUNSETVNETHDRSZ", (int)TUNSETVNETHDRSZ},
};

struct rule {
    char call[40];
    int error;
    unsigned long every, first, at, after, bits;
    bool gso, single, super, udp, tcp, partial, vnet;
    _Atomic unsigned long n_seen;
    atomic_bool is_due; // a message that was behind others when it failed
    _Atomic uint64_t *n_failed;
};

static struct rule rules[RULES_MAX];
static size_t n_rules;
static _Atomic uint64_t own_counts[RULES_MAX];
static _Atomic unsigned char kinds[FDS_MAX];

// ---- rules

static void complain(const char *what, const char *about)
{
    dprintf(STDERR_FILENO, "inject: %s: %s\n", what, about);
    abort();
}

static int error_of(const char *name)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].value;
    complain("unknown errno", name);
    return 0;
}

static void take_option(struct rule *rule, const char *option)
{
    static const struct {
        const char *name;
        size_t offset;
    } numbers[] = {{"every=", offsetof(struct rule, every)},
                   {"first=", offsetof(struct rule, first)},
                   {"at=", offsetof(struct rule, at)},
                   {"after=", offsetof(struct rule, after)},
                   {"bits=", offsetof(struct rule, bits)}},
      flags[] = {{"gso", offsetof(struct rule, gso)},     {"single", offsetof(struct rule, single)},
                 {"super", offsetof(struct rule, super)}, {"udp", offsetof(struct rule, udp)},
                 {"tcp", offsetof(struct rule, tcp)},     {"partial", offsetof(struct rule, partial)},
                 {"vnet", offsetof(struct rule, vnet)}};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        size_t len = strlen(numbers[i].name);
        if (strncmp(option, numbers[i].name, len) == 0) {
            *(unsigned long *)(void *)((char *)rule + numbers[i].offset) = strtoul(option + len, NULL, 0);
            return;
        }
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcmp(option, flags[i].name) == 0) {
            *((bool *)rule + flags[i].offset) = true;
            return;
        }
    complain("unknown option", option);
}

static void take_rule(char *text)
{
    struct rule *rule = &rules[n_rules];
    char *rest = NULL, *call = strtok_r(text, ":", &rest), *error = strtok_r(NULL, ":", &rest), *option;

    if (!call || !error || n_rules == RULES_MAX || strlen(call) >= sizeof rule->call)
        complain("bad rule", text);
    strcpy(rule->call, call);
    rule->error = error_of(error);
    while ((option = strtok_r(NULL, ":", &rest)))
        take_option(rule, option);
    rule->n_failed = &own_counts[n_rules++];
}

// The counts are shared by all processes that come from this one.
static void share_counts(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *counts = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof own_counts) == 0)
        counts = mmap(NULL, sizeof own_counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counts == MAP_FAILED)
        complain("can't share counts", path);
    close(fd);
    for (size_t i = 0; i < n_rules; i++)
        rules[i].n_failed = (_Atomic uint64_t *)counts + i;
}

__attribute__((constructor)) static void read_rules(void)
{
    static char text[2000];
    const char *value = getenv("ETHERCORD_INJECT"), *path = getenv("ETHERCORD_INJECT_COUNTS");
    char *rest = NULL;

    if (!value || strlen(value) >= sizeof text)
        return;
    strcpy(text, value);
    for (char *rule = strtok_r(text, ";", &rest); rule; rule = strtok_r(NULL, ";", &rest))
        take_rule(rule);
    if (path)
        share_counts(path);
}

// ---- whether a call fails

// What a rule can look at.
struct call {
    const char *name;
    bool has_segment;    // a message with UDP_SEGMENT
    uint8_t flags, type; // of the virtio-net header of a frame
    unsigned long argument;
};

static bool is_about(const struct rule *rule, const struct call *call)
{
    uint8_t type = call->type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

    return strncmp(call->name, rule->call, strlen(rule->call)) == 0 && (!rule->gso || call->has_segment) &&
           (!rule->single || !call->has_segment) && (!rule->super || type != VIRTIO_NET_HDR_GSO_NONE) &&
           (!rule->udp || type == GSO_UDP_L4) && (!rule->tcp || type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6) &&
           (!rule->partial || (type == VIRTIO_NET_HDR_GSO_NONE && (call->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))) &&
           (!rule->vnet || (call->argument & IFF_VNET_HDR)) && (!rule->bits || (call->argument & rule->bits));
}

static bool fires(struct rule *rule)
{
    unsigned long n = ++rule->n_seen;

    if (n <= rule->after)
        return false;
    n -= rule->after;
    return (!rule->every || n % rule->every == 0) && (!rule->first || n <= rule->first) && (!rule->at || n == rule->at);
}

// Returns the errno, or 0. `is_first`: nothing of the same call was done before it.
static int failure(const struct call *call, bool is_first)
{
    for (size_t i = 0; i < n_rules; i++) {
        struct rule *rule = &rules[i];
        if (!is_about(rule, call) || !(atomic_exchange(&rule->is_due, false) || fires(rule)))
            continue;
        if (is_first)
            ++*rule->n_failed;
        else
            rule->is_due = true;
        return rule->error;
    }
    return 0;
}

static bool fails(const struct call *call)
{
    int error = failure(call, true);

    if (error)
        errno = error;
    return error != 0;
}

static enum fd_kind kind_of(int fd)
{
    return fd >= 0 && fd < FDS_MAX ? (enum fd_kind)kinds[fd] : FD_OTHER;
}

static void set_kind(int fd, enum fd_kind kind)
{
    if (fd >= 0 && fd < FDS_MAX)
        kinds[fd] = (unsigned char)kind;
}

// The function behind ours.
#define REAL(name) ((__typeof__(&name))next_of(#name))

static void *next_of(const char *name)
{
    void *next = dlsym(RTLD_NEXT, name);

    if (!next)
        complain("no such function", name);
    return next;
}

#define CACHED_REAL(name)                                                                                                                  \
    static __typeof__(&name) real;                                                                                                         \
    if (!real)                                                                                                                             \
    real = REAL(name)

// ---- making and unmaking of descriptors

int socket(int domain, int type, int protocol)
{
    CACHED_REAL(socket);
    int fd = real(domain, type, protocol);
    bool is_udp = (domain == AF_INET || domain == AF_INET6) && (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_DGRAM;

    set_kind(fd, is_udp ? FD_UDP : FD_OTHER);
    return fd;
}

int close(int fd)
{
    CACHED_REAL(close);
    set_kind(fd, FD_OTHER);
    return real(fd);
}

int ioctl(int fd, unsigned long request, ...)
{
    CACHED_REAL(ioctl);
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);

    for (size_t i = 0; i < sizeof tun_requests / sizeof tun_requests[0]; i++) {
        struct call call = {.name = tun_requests[i].name, .argument = (unsigned long)argument};
        if ((int)request != tun_requests[i].value)
            continue;
        if (request == TUNSETIFF)
            call.argument = (unsigned short)((const struct ifreq *)argument)->ifr_flags;
        if (fails(&call))
            return -1;
    }
    int result = real(fd, request, argument);
    if (result == 0 && request == TUNSETIFF)
        set_kind(fd, FD_TAP);
    return result;
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    CACHED_REAL(setsockopt);

    for (size_t i = 0; i < sizeof udp_options / sizeof udp_options[0]; i++)
        if (level == IPPROTO_UDP && option == udp_options[i].value && fails(&(struct call){.name = udp_options[i].name}))
            return -1;
    return real(fd, level, option, value, len);
}

// ---- the TAP

ssize_t read(int fd, void *bytes, size_t len)
{
    CACHED_REAL(read);
    return kind_of(fd) == FD_TAP && fails(&(struct call){.name = "read"}) ? -1 : real(fd, bytes, len);
}

ssize_t readv(int fd, const struct iovec *iovecs, int n)
{
    CACHED_REAL(readv);
    return kind_of(fd) == FD_TAP && fails(&(struct call){.name = "readv"}) ? -1 : real(fd, iovecs, n);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    CACHED_REAL(write);
    return kind_of(fd) == FD_TAP && fails(&(struct call){.name = "write"}) ? -1 : real(fd, bytes, len);
}

ssize_t writev(int fd, const struct iovec *iovecs, int n)
{
    CACHED_REAL(writev);
    struct call call = {.name = "writev"};

    // Who has a virtio-net header gives it in a piece of its own.
    if (n > 1 && iovecs[0].iov_len == sizeof(struct virtio_net_hdr)) {
        const struct virtio_net_hdr *header = iovecs[0].iov_base;
        call.flags = header->flags;
        call.type = header->gso_type;
    }
    return kind_of(fd) == FD_TAP && fails(&call) ? -1 : real(fd, iovecs, n);
}

// ---- UDP sockets

ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
    CACHED_REAL(recvmsg);
    return kind_of(fd) == FD_UDP && fails(&(struct call){.name = "recvmsg"}) ? -1 : real(fd, header, flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout)
{
    CACHED_REAL(recvmmsg);
    return kind_of(fd) == FD_UDP && fails(&(struct call){.name = "recvmmsg"}) ? -1 : real(fd, messages, n, flags, timeout);
}

static struct call call_of(const char *name, struct msghdr *header)
{
    struct call call = {.name = name};

    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg))
        if (cmsg->cmsg_level == IPPROTO_UDP && cmsg->cmsg_type == UDP_SEGMENT)
            call.has_segment = true;
    return call;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags)
{
    CACHED_REAL(sendmsg);
    struct msghdr copy = *header;
    struct call call = call_of("sendmsg", &copy);
    return kind_of(fd) == FD_UDP && fails(&call) ? -1 : real(fd, header, flags);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    CACHED_REAL(sendmmsg);

    for (unsigned i = 0; kind_of(fd) == FD_UDP && i < n; i++) {
        struct call call = call_of("sendmmsg", &messages[i].msg_hdr);
        int error = failure(&call, i == 0);
        if (error && i > 0)
            return real(fd, messages, i, flags);
        if (error) {
            errno = error;
            return -1;
        }
    }
    return real(fd, messages, n, flags);
}
