// SPDX-License-Identifier: MIT
/*
 * sandbox_calls: see sandbox_calls.h. What is most frequent comes first.
 *
 * One row per call and allowed argument. Where a row is there only for a library, a machine or a case that is rare, its reason says so:
 * tests/netns/sandbox.test compares the table with what a cord really does, and lists what it never did with these reasons.
 */
#include "ethercord/sandbox_calls.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 // linux/prctl.h of Linux 5.17
#endif

enum {
    S = 1 << SANDBOX_START,
    M = 1 << SANDBOX_MAIN,
    T = 1 << SANDBOX_TX,
    R = 1 << SANDBOX_RX,
    MON = 1 << SANDBOX_MONITOR,
    W = 1 << SANDBOX_WEB,
    ALL = M | T | R,
    SIGNAL_OF_THREADS = 33, // glibc's SIGSETXID, which is in no header
    NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP
};

// The rest of a row: any arguments; or one that must be a value; the same, and the process that it is done to is the caller's own; or some
// bits of one. Never "not a value": the kernel looks at the lower half of most arguments, a filter at both halves, so that there is always
// another way to write the value.
#define ANY                                                                                                                                \
    ANSWER_ALLOW, 0,                                                                                                                       \
    {                                                                                                                                      \
        0                                                                                                                                  \
    }
#define IF(argument, value)                                                                                                                \
    ANSWER_ALLOW, 1,                                                                                                                       \
    {                                                                                                                                      \
        (argument), SCMP_CMP_EQ, (scmp_datum_t)(value), 0                                                                                  \
    }
#define IF_OWN(argument, value)                                                                                                            \
    ANSWER_ALLOW, 2,                                                                                                                       \
    {                                                                                                                                      \
        (argument), SCMP_CMP_EQ, (scmp_datum_t)(value), 0                                                                                  \
    }
#define IF_BITS(argument, mask, value)                                                                                                     \
    ANSWER_ALLOW, 1,                                                                                                                       \
    {                                                                                                                                      \
        (argument), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value)                                                        \
    }
#define NO_FILE                                                                                                                            \
    ANSWER_NO_FILE, 0,                                                                                                                     \
    {                                                                                                                                      \
        0                                                                                                                                  \
    }
#define NO_CALL                                                                                                                            \
    ANSWER_NO_CALL, 0,                                                                                                                     \
    {                                                                                                                                      \
        0                                                                                                                                  \
    }

const struct sandbox_call sandbox_calls[] = {
    // The datapath and its loops.
    {"epoll_wait", ALL | MON | W, ANY, "libuv and libmicrohttpd: wait"},
    {"epoll_pwait", ALL | MON | W, ANY, "libuv: wait, where the machine or the version has no epoll_wait"},
    {"readv", T, ANY, "frames from the TAP"},
    {"writev", ALL | MON, ANY, "frames to the TAP; libuv: answers on the control socket"},
    {"sendmmsg", T | M | MON, ANY, "datagrams; DNS questions of the monitor"},
    {"recvmmsg", R, ANY, "datagrams"},
    {"recvmmsg_time64", R, ANY, "the same on 32-bit machines"},
    {"read", ALL | MON, ANY, "libuv: wake-ups, the control socket; the monitor also files that name modules read"},
    {"write", ALL | MON | W, ANY, "libuv: wake-ups; the log"},
    {"sendmsg", T | M | MON, ANY, "probes of the path MTU; libuv; name modules"},
    {"recvmsg", R | M | MON, ANY, "error queues of the UDP sockets; answers of rtnetlink"},
    {"sendto", M | MON, ANY, "messages between monitor and worker; questions to rtnetlink"},
    {"recvfrom", M | MON, ANY, "messages between monitor and worker"},
    {"getsockopt", ALL | MON, ANY, "SO_ERROR, SO_MEMINFO"},
    {"futex", ALL | MON | W, ANY, "locks of malloc, end of threads"},
    {"futex_time64", ALL | MON | W, ANY, "the same on 32-bit machines"},
    {"epoll_ctl", ALL | MON | W, ANY, "libuv and libmicrohttpd: what to wait for"},
    {"clock_gettime", ALL | MON | W, ANY, "the time, where the machine can't tell it without a call"},
    {"clock_gettime64", ALL | MON | W, ANY, "the same on 32-bit machines"},
    {"clock_getres", ALL | MON, ANY, "libuv: which clock is good enough, where the machine can't tell without a call"},
    {"clock_getres_time64", ALL | MON, ANY, "the same on 32-bit machines"},
    {"gettimeofday", ALL | MON | W, ANY, "the time, where the machine can't tell it without a call"},
    {"getrandom", ALL | MON, ANY, "ephemeral keys, indices, tokens"},

    // Memory. Never both writable and executable, and in the worker never executable.
    {"brk", ALL | MON | W, ANY, "malloc"},
    {"mmap", ALL | W, IF_BITS(2, PROT_EXEC, 0), "malloc, stacks of threads"},
    {"mmap2", ALL | W, IF_BITS(2, PROT_EXEC, 0), "the same on 32-bit machines"},
    {"mmap", MON, IF_BITS(2, PROT_EXEC | PROT_WRITE, 0), "malloc; name modules and their files"},
    {"mmap", MON, IF_BITS(2, PROT_EXEC | PROT_WRITE, PROT_WRITE), "malloc; name modules"},
    {"mmap", MON, IF_BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), "code of name modules"},
    {"mmap2", MON, IF_BITS(2, PROT_EXEC | PROT_WRITE, 0), "the same on 32-bit machines"},
    {"mmap2", MON, IF_BITS(2, PROT_EXEC | PROT_WRITE, PROT_WRITE), "the same on 32-bit machines"},
    {"mmap2", MON, IF_BITS(2, PROT_EXEC | PROT_WRITE, PROT_EXEC), "the same on 32-bit machines"},
    {"mprotect", ALL | MON | W, IF_BITS(2, PROT_EXEC, 0), "malloc in threads, guard pages of keys, stacks of threads"},
    {"munmap", ALL | MON | W, ANY, "free"},
    {"mremap", ALL | MON | W, ANY, "realloc of what is large: a long status"},
    {"madvise", ALL | MON, ANY, "pages of keys out of core dumps; stacks of threads that have ended"},
    {"mlock", S | MON, ANY, "pages of keys"},
    {"munlock", M | MON, ANY, "pages of keys, when they are wiped"},

    // Threads, signals and the end.
    {"rt_sigprocmask", ALL | MON | W, ANY, "libuv, start and end of threads, abort()"},
    {"rt_sigreturn", ALL | MON | W, ANY, "end of a signal handler"},
    {"sigreturn", ALL | MON | W, ANY, "the same on 32-bit machines"},
    {"rt_sigaction", ALL, IF(0, SIGTERM), "libuv"},
    {"rt_sigaction", ALL | W, IF(0, SIGABRT), "abort()"},
    {"rt_sigaction", ALL, IF(0, SIGNAL_OF_THREADS), "the 33rd, which the C library keeps for itself: start of the first thread"},
    {"rt_sigaction", MON, ANY, "libuv: its signals; start of threads"},
    {"restart_syscall", ALL | MON | W, ANY, "a wait that SIGSTOP and SIGCONT broke off"},
    {"sched_yield", ALL | MON, ANY, "libuv: while another thread wakes us"},
    {"sched_getaffinity", ALL | MON, ANY, "malloc: how many processors there are"},
    {"nanosleep", T, ANY, "between the last datagrams, where there is no clock_nanosleep"},
    {"clock_nanosleep", T, ANY, "between the last datagrams, when the underlay is blocked"},
    {"clock_nanosleep_time64", T, ANY, "the same on 32-bit machines"},
    {"exit", ALL | MON, ANY, "end of a thread"},
    {"exit_group", ALL | MON | W, ANY, "end of the process"},
    {"getpid", ALL | MON | W, ANY, "abort(), status, name modules"},
    {"gettid", ALL | MON | W, ANY, "abort(), report of a refused call"},
    {"tgkill", ALL | MON | W, IF_OWN(2, SIGABRT), "abort()"},
    {"tgkill", ALL | W, IF_OWN(2, SIGSYS), "the end after a refused call"},
    {"prctl", ALL | MON | W, IF(0, PR_SET_VMA), "malloc of newer C libraries: names for its memory"},
    {"prctl", ALL | MON, IF(0, PR_SET_NAME), "newer libuv: names for its threads"},
    {"clone", S | MON, IF_BITS(0, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD), "a thread; never a process"},
    {"clone3", S | MON, NO_CALL, "a thread, but its arguments can't be checked: the C library then takes clone"},
    {"set_robust_list", S | MON, ANY, "start of a thread"},
    {"rseq", S | MON, ANY, "start of a thread"},
    {"prlimit64", S | MON, IF(2, 0), "libuv: size of a thread's stack; sets nothing"},
    {"getrlimit", S | MON, ANY, "the same on other machines"},
    {"ugetrlimit", S | MON, ANY, "the same on 32-bit machines"},
    {"seccomp", S, IF(0, SECCOMP_SET_MODE_FILTER), "the threads' own filters"},
    {"prctl", S, IF(0, PR_SET_SECCOMP), "the same where a filter around us does not let seccomp through"},

    // Descriptors.
    {"close", ALL | MON | W, ANY, "each loop its own"},
    {"accept4", M, ANY, "control socket"},
    {"listen", S, ANY, "control socket"},
    {"ioctl", M | MON, IF(1, FIONBIO), "libuv: non-blocking"},
    {"ioctl", M | MON, IF(1, FIOCLEX), "libuv: close-on-exec, where a call can't set it itself"},
    {"ioctl", M, IF(1, TUNSETCARRIER), "[Tap] Carrier = peer-up"},
    {"ioctl", M, IF(1, SIOCGIFHWADDR), "whether the TAP is still there"},
    {"fcntl", M | MON | W, IF(1, F_GETFL), "libuv: how the control socket was opened"},
    {"fcntl", M | MON | W, IF(1, F_SETFL), "libuv: non-blocking, where there is no FIONBIO"},
    {"fcntl", M | MON | W, IF(1, F_SETFD), "libuv: close-on-exec, where a call can't set it itself"},
    {"fcntl64", M | MON | W, IF(1, F_GETFL), "the same on 32-bit machines"},
    {"fcntl64", M | MON | W, IF(1, F_SETFL), "the same on 32-bit machines"},
    {"fcntl64", M | MON | W, IF(1, F_SETFD), "the same on 32-bit machines"},
    {"epoll_create1", S | MON, ANY, "libuv: a loop"},
    {"eventfd2", S | MON, ANY, "libuv: wake-ups"},
    {"pipe2", S | MON, ANY, "libuv: signals"},
    {"io_uring_setup", S, NO_CALL, "newer libuv tries it: it would go around every filter"},
    {"socket", S, IF(0, AF_NETLINK), "state of the TAP and of its bridge"},
    {"bind", S | MON, ANY, "rtnetlink"},
    {"getsockname", S | MON, ANY, "rtnetlink; the port listened on"},
    {"setsockopt", S | MON, ANY, "rtnetlink: size of the queue; name modules"},

    // Files. The worker has none: what a library looks for on the way is not there.
    {"open", ALL | W, NO_FILE, "libraries of other systems: what is asked for is not there"},
    {"openat", ALL | W, NO_FILE, "libuv: /dev/null, kept for when descriptors run out"},
    {"newfstatat", ALL | W, NO_FILE, "libraries of other systems"},
    {"fstatat64", ALL | W, NO_FILE, "the same on 32-bit machines"},
    {"statx", ALL | W, NO_FILE, "libraries of other systems"},
    {"readlink", ALL | W, NO_FILE, "libraries of other systems"},
    {"readlinkat", ALL | W, NO_FILE, "libraries of other systems"},

    // Only the process that serves [Metrics]: visitors, and the worker whom it asks.
    {"poll", W, ANY, "wait"},
    {"ppoll", W, ANY, "the same on machines without poll"},
    {"ppoll_time64", W, ANY, "the same on 32-bit machines"},
    {"accept4", W, ANY, "a visitor comes"},
    {"shutdown", W, ANY, "a visitor goes, or is sent away"},
    {"recvfrom", W, ANY, "requests of visitors; answers of the worker"},
    {"sendto", W, ANY, "answers to visitors; questions to the worker"},
    {"sendmsg", W, ANY, "answers to visitors: headers and the rest at once"},
    {"fcntl", W, IF(1, F_GETFD), "libmicrohttpd: whether a socket is close-on-exec"},
    {"fcntl64", W, IF(1, F_GETFD), "the same on 32-bit machines"},
    {"setsockopt", W, IF(1, IPPROTO_TCP), "libmicrohttpd: when what is written leaves"},

    // Only the monitor: its child, the end, and names (whatever modules nsswitch.conf names).
    {"wait4", MON, ANY, "the worker"},
    {"kill", MON, IF(1, SIGTERM), "the worker"},
    {"kill", MON, IF(1, SIGKILL), "a worker that does not end"},
    {"unlink", MON, ANY, "the control socket, at the end"},
    {"unlinkat", MON, ANY, "the same on machines without unlink"},
    {"socket", MON, IF(0, AF_INET), "names: DNS; which source address fits"},
    {"socket", MON, IF(0, AF_INET6), "names: DNS; which source address fits"},
    {"socket", MON, IF(0, AF_UNIX), "names: a local service (nscd, systemd-resolved, sssd)"},
    {"socket", MON, IF(0, AF_NETLINK), "names: which address families there are"},
    {"connect", MON, ANY, "names"},
    {"getpeername", MON, ANY, "names"},
    {"poll", MON, ANY, "names: wait for an answer"},
    {"ppoll", MON, ANY, "the same on machines without poll"},
    {"ppoll_time64", MON, ANY, "the same on 32-bit machines"},
    {"ioctl", MON, IF(1, FIONREAD), "names: length of an answer"},
    {"open", MON, IF_BITS(1, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY), "names, and the configuration at a reload: files, never to write"},
    {"openat", MON, IF_BITS(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY), "names, and the configuration at a reload: files, never to write"},
    {"stat", MON, ANY, "names: whether files have changed"},
    {"stat64", MON, ANY, "the same on 32-bit machines"},
    {"fstat", MON, ANY, "names: files"},
    {"fstat64", MON, ANY, "the same on 32-bit machines"},
    {"newfstatat", MON, ANY, "names: whether files have changed"},
    {"fstatat64", MON, ANY, "the same on 32-bit machines"},
    {"statx", MON, ANY, "the same on 32-bit machines"},
    {"access", MON, ANY, "names: whether there is a file"},
    {"faccessat", MON, ANY, "the same on machines without access"},
    {"readlink", MON, ANY, "names: files"},
    {"readlinkat", MON, ANY, "the same on machines without readlink"},
    {"lseek", MON, ANY, "names: files"},
    {"_llseek", MON, ANY, "the same on 32-bit machines"},
    {"pread64", MON, ANY, "code of name modules"},
    {"fstatfs", MON, ANY, "names: libraries that modules bring along"},
    {"uname", MON, ANY, "names: the domain of this machine"},
    {"sysinfo", MON, ANY, "names: sorting of addresses"},
    {"getuid", MON, ANY, "names: modules that ask who we are"},
    {"geteuid", MON, ANY, "names: modules that ask who we are"},
    {"getgid", MON, ANY, "names: modules that ask who we are"},
    {"getegid", MON, ANY, "names: modules that ask who we are"},
    {"clock_nanosleep", MON, ANY, "names: between two questions"},
};
const size_t sandbox_n_calls = sizeof sandbox_calls / sizeof sandbox_calls[0];
