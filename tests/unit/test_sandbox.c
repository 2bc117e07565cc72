// SPDX-License-Identifier: MIT
/*
 * test_sandbox: what each filter lets through and what it does not, each call in a child of its own; who is told what when a call is
 * refused; and filters under a filter of somebody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ethercord/fsview.h"
#include "ethercord/sandbox.h"

enum {
    S = 1 << SANDBOX_START,
    M = 1 << SANDBOX_MAIN,
    T = 1 << SANDBOX_TX,
    R = 1 << SANDBOX_RX,
    MON = 1 << SANDBOX_MONITOR,
    W = 1 << SANDBOX_WEB,
    WORKER = S | M | T | R,
    NOT_LOADED = 250
};

// What a call came to: an errno, 0 = done.
static int result_of(long result)
{
    return result < 0 ? errno : 0;
}

/* ---- calls; where there is a descriptor it is -1, so that EBADF says that the call got through ---- */

static int call_readv(void)
{
    return result_of(syscall(SYS_readv, -1, NULL, 0));
}

static int call_writev(void)
{
    return result_of(syscall(SYS_writev, -1, NULL, 0));
}

static int call_recvmmsg(void)
{
    return result_of(syscall(SYS_recvmmsg, -1, NULL, 0, 0, NULL));
}

static int call_sendmmsg(void)
{
    return result_of(syscall(SYS_sendmmsg, -1, NULL, 0, 0));
}

static int call_accept(void)
{
    return result_of(syscall(SYS_accept4, -1, NULL, NULL, 0));
}

static int call_listen(void)
{
    return result_of(syscall(SYS_listen, -1, 1));
}

static int call_close(void)
{
    return result_of(close(-1));
}

static int call_memory(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? errno : result_of(mprotect(page, 4096, PROT_READ));
}

static int call_map_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int call_map_writable_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int call_make_executable(void)
{
    return result_of(syscall(SYS_mprotect, 4096, 4096, PROT_READ | PROT_EXEC));
}

static int call_ioctl_carrier(void)
{
    return result_of(ioctl(-1, TUNSETCARRIER, NULL));
}

static int call_ioctl_interface(void)
{
    return result_of(ioctl(-1, TUNSETIFF, NULL));
}

static int call_ioctl_terminal(void)
{
    return result_of(ioctl(-1, TIOCSTI, "x"));
}

static int call_socket_netlink(void)
{
    return result_of(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int call_socket_ip(void)
{
    return result_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int call_socket_packet(void)
{
    return result_of(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)); // EPERM without a filter, too, for who is not root
}

static int call_open(void)
{
    return result_of(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static int call_open_to_write(void)
{
    return result_of(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static int call_stat(void)
{
    struct stat st;
    return result_of(syscall(SYS_newfstatat, AT_FDCWD, "/", &st, 0));
}

static int call_unlink(void)
{
    return result_of(syscall(SYS_unlinkat, AT_FDCWD, "/no/such/file", 0));
}

static int call_mkdir(void)
{
    return result_of(syscall(SYS_mkdirat, AT_FDCWD, "/no/such/folder", 0700));
}

static int call_chroot(void)
{
    return result_of(chroot("/no/such/folder"));
}

static int call_mount(void)
{
    return result_of(syscall(SYS_mount, NULL, "/no/such/folder", NULL, 0, NULL));
}

static int call_execve(void)
{
    return result_of(syscall(SYS_execve, "/no/such/program", NULL, NULL));
}

static int call_fork(void)
{
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return result_of(child);
}

static int call_clone_into_namespace(void)
{
    return result_of(syscall(SYS_clone, CLONE_THREAD | CLONE_NEWUSER, 0, 0, 0, 0));
}

static int call_clone3(void)
{
    return result_of(syscall(SYS_clone3, NULL, 0));
}

static int call_unshare(void)
{
    return result_of(unshare(CLONE_FS));
}

static int call_ptrace(void)
{
    return result_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int call_peek(void)
{
    return result_of(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int call_bpf(void)
{
    return result_of(syscall(SYS_bpf, 0, NULL, 0));
}

static int call_io_uring(void)
{
    return result_of(syscall(SYS_io_uring_setup, 1, NULL));
}

static int call_kill(void)
{
    return result_of(syscall(SYS_kill, 0x7ffffff0, SIGUSR1));
}

static int call_kill_worker(void)
{
    return result_of(syscall(SYS_kill, 0x7ffffff0, SIGKILL));
}

static int call_setuid(void)
{
    return result_of(syscall(SYS_setuid, 0));
}

static int call_dumpable(void)
{
    return result_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int call_seccomp(void)
{
    return result_of(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
}

static int call_replace_handler(void)
{
    return signal(SIGSYS, SIG_IGN) == SIG_ERR ? errno : 0;
}

// The kernel takes the lower half of the argument, a filter compares the whole.
static int call_replace_handler_disguised(void)
{
    return result_of(syscall(SYS_rt_sigaction, (UINT64_C(1) << 32) | SIGSYS, NULL, NULL, 8));
}

static int call_handle_term(void)
{
    return signal(SIGTERM, SIG_IGN) == SIG_ERR ? errno : 0;
}

static int call_abort_another(void)
{
    return result_of(syscall(SYS_tgkill, 0x7ffffff0, 0x7ffffff0, SIGABRT));
}

static int call_abort_own_thread(void)
{
    return result_of(syscall(SYS_tgkill, getpid(), 0x7ffffff0, SIGABRT));
}

static int call_set_limit(void)
{
    uint64_t limit[2] = {0, 0};
    return result_of(syscall(SYS_prlimit64, 0, 4, limit, NULL));
}

#ifdef __x86_64__
// The same numbers mean something else to the kernel's x32 interface.
static int call_x32(void)
{
    return result_of(syscall(0x40000000 | SYS_getpid));
}
#endif

struct probe {
    const char *name;
    int (*call)(void);
    unsigned allowed;  // by whom
    int result;        // to whom it is allowed
    int worker_result; // to the worker's others; 0 = it is ended
};

static const struct probe probes[] = {
    {"readv", call_readv, S | T, EBADF, 0},
    {"writev", call_writev, WORKER | MON, EBADF, 0},
    {"recvmmsg", call_recvmmsg, S | R, EBADF, 0},
    {"sendmmsg", call_sendmmsg, S | M | T | MON, EBADF, 0},
    {"accept4", call_accept, S | M | W, EBADF, 0},
    {"listen", call_listen, S, EBADF, 0},
    {"close", call_close, WORKER | MON | W, EBADF, 0},
    {"mmap, mprotect", call_memory, WORKER | MON | W, 0, 0},
    {"mmap PROT_EXEC", call_map_executable, MON, 0, 0},
    {"mmap PROT_WRITE | PROT_EXEC", call_map_writable_executable, 0, 0, 0},
    {"mprotect PROT_EXEC", call_make_executable, 0, 0, 0},
    {"ioctl TUNSETCARRIER", call_ioctl_carrier, S | M, EBADF, 0},
    {"ioctl TUNSETIFF", call_ioctl_interface, 0, 0, 0},
    {"ioctl TIOCSTI", call_ioctl_terminal, 0, 0, 0},
    {"socket AF_NETLINK", call_socket_netlink, S | MON, 0, 0},
    {"socket AF_INET", call_socket_ip, MON, 0, 0},
    {"socket AF_PACKET", call_socket_packet, 0, 0, 0},
    {"openat", call_open, MON, 0, ENOENT},
    {"openat O_WRONLY", call_open_to_write, 0, 0, ENOENT},
    {"newfstatat", call_stat, MON, 0, ENOENT},
    {"unlinkat", call_unlink, MON, ENOENT, 0},
    {"mkdirat", call_mkdir, 0, 0, 0},
    {"chroot", call_chroot, 0, 0, 0},
    {"mount", call_mount, 0, 0, 0},
    {"execve", call_execve, 0, 0, 0},
    {"clone of a process", call_fork, 0, 0, 0},
    {"clone CLONE_NEWUSER", call_clone_into_namespace, 0, 0, 0},
    {"clone3", call_clone3, S | MON, ENOSYS, 0},
    {"unshare", call_unshare, 0, 0, 0},
    {"ptrace", call_ptrace, 0, 0, 0},
    {"process_vm_readv", call_peek, 0, 0, 0},
    {"bpf", call_bpf, 0, 0, 0},
    {"io_uring_setup", call_io_uring, S, ENOSYS, 0},
    {"kill SIGUSR1", call_kill, 0, 0, 0},
    {"kill SIGKILL", call_kill_worker, MON, ESRCH, 0},
    {"setuid", call_setuid, 0, 0, 0},
    {"prctl PR_SET_DUMPABLE", call_dumpable, 0, 0, 0},
    {"seccomp", call_seccomp, S, EFAULT, 0},
    {"rt_sigaction SIGSYS", call_replace_handler, MON, 0, 0},
    {"rt_sigaction SIGSYS, disguised", call_replace_handler_disguised, MON, 0, 0},
    {"rt_sigaction SIGTERM", call_handle_term, WORKER | MON, 0, 0},
    {"tgkill of another process", call_abort_another, 0, 0, 0},
    {"tgkill of an own thread", call_abort_own_thread, WORKER | MON | W, ESRCH, 0},
    {"prlimit64 to set", call_set_limit, 0, 0, 0},
#ifdef __x86_64__
    {"getpid by x32", call_x32, 0, 0, 0},
#endif
};

static void need_filters(void)
{
    if (sandbox_is_possible() && !getenv("TEST_WRAPPER"))
        return;
    print_message("skipped: a sanitizer and valgrind make calls of their own\n");
    skip();
}

// In a child. Returns waitpid's status.
static int in_child(int (*work)(const void *arg), const void *arg)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSYS, SIG_DFL); // else it is cmocka's
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        _exit(work(arg));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

struct attempt {
    const struct probe *probe;
    enum sandbox_who who;
};

static int attempt(const void *arg)
{
    const struct attempt *attempt = arg;
    return sandbox_load(attempt->who) ? NOT_LOADED : attempt->probe->call();
}

static void check_probe(const struct probe *probe, enum sandbox_who who)
{
    int status = in_child(attempt, &(struct attempt){probe, who});
    bool is_allowed = probe->allowed & 1u << who;
    int wanted = is_allowed ? probe->result : who == SANDBOX_MONITOR ? EPERM : probe->worker_result;

    if (!is_allowed && wanted == 0) {
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s by %s: not ended by SIGSYS, but %#x", probe->name, sandbox_who_name(who), (unsigned)status);
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted) {
        fail_msg("%s by %s: wanted errno %d, got %#x", probe->name, sandbox_who_name(who), wanted, (unsigned)status);
    }
}

static void each_filter_keeps_to_its_list(void **state)
{
    (void)state;
    need_filters();
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++)
        for (int who = 0; who < SANDBOX_COUNT; who++)
            check_probe(&probes[i], (enum sandbox_who)who);
}

// A name that nobody knows would be left out without a word.
static void each_name_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sandbox_n_calls; i++)
        if (seccomp_syscall_resolve_name(sandbox_calls[i].name) == __NR_SCMP_ERROR)
            fail_msg("libseccomp does not know %s", sandbox_calls[i].name);
}

// The list can be put into a filter for other machines as well.
static void the_list_holds_on_other_machines(void **state)
{
    static const uint32_t machines[] = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM, SCMP_ARCH_X86, SCMP_ARCH_RISCV64, SCMP_ARCH_PPC64LE};

    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
        assert_non_null(filter);
        int error = seccomp_arch_add(filter, machines[i]);
        assert_true(error == 0 || error == -EEXIST);
        for (size_t j = 0; j < sandbox_n_calls; j++) {
            const struct sandbox_call *call = &sandbox_calls[j];
            int number = seccomp_syscall_resolve_name(call->name);
            struct scmp_arg_cmp checks[] = {call->check, {0, SCMP_CMP_EQ, 1, 0}};
            error = call->answer != ANSWER_ALLOW ? 0 : seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, call->n_checks, checks);
            if (error)
                fail_msg("%s on machine %#x: %s", call->name, (unsigned)machines[i], strerror(-error));
        }
        seccomp_release(filter);
    }
}

/* ---- a worker with its threads ---- */

static struct sandbox_page *page;

static int set_up(void **state)
{
    (void)state;
    page = sandbox_new_page();
    return page ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(page, sizeof *page);
}

static bool start(struct sandbox *sandbox)
{
    char text[300];
    *sandbox = (struct sandbox){0};
    return sandbox_start(sandbox, page, text, sizeof text) == 0;
}

// arg: the thread that makes a call it must not.
static int refused_in_thread(const void *arg)
{
    struct sandbox sandbox;
    enum sandbox_who who = *(const enum sandbox_who *)arg;

    if (!start(&sandbox))
        return NOT_LOADED;
    if (who != SANDBOX_START)
        sandbox_enter(&sandbox, who);
    return call_execve();
}

static void a_refused_call_is_told(void **state)
{
    static const enum sandbox_who threads[] = {SANDBOX_START, SANDBOX_MAIN, SANDBOX_TX, SANDBOX_RX};
    char text[300], wanted[100];

    (void)state;
    need_filters();
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        int status = in_child(refused_in_thread, &threads[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
        sandbox_explain(page, text, sizeof text);
        snprintf(wanted, sizeof wanted, "thread %s made the call execve (%d)", sandbox_who_name(threads[i]), SYS_execve);
        assert_non_null(strstr(text, wanted));
        assert_non_null(strstr(text, "--no-sandbox"));
        memset(page, 0, sizeof *page);
    }
    sandbox_explain(page, text, sizeof text);
    assert_non_null(strstr(text, "not ethercord's own"));
}

// The worker can write anything into the page.
static void a_page_full_of_garbage_is_survived(void **state)
{
    static const int32_t values[] = {INT32_MIN, -1, 0, 1, 0x3fffffff, INT32_MAX};
    char text[300];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        atomic_store(&page->refused_call, values[i]);
        atomic_store(&page->refused_by, values[i]);
        sandbox_explain(page, text, sizeof text);
        assert_true(strlen(text) > 0);
    }
}

static int refused_while_blocked(const void *arg)
{
    struct sandbox sandbox;
    sigset_t all;

    (void)arg;
    if (!start(&sandbox))
        return NOT_LOADED;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return call_execve();
}

static void a_blocked_signal_does_not_help(void **state)
{
    (void)state;
    need_filters();
    int status = in_child(refused_while_blocked, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void *rx_thread(void *arg)
{
    struct sandbox *sandbox = arg;

    sandbox_enter(sandbox, SANDBOX_RX);
    return (void *)(intptr_t)call_recvmmsg();
}

// Threads start under the common filter, get along with what the C library does then, and narrow only themselves.
static int three_threads(const void *arg)
{
    struct sandbox sandbox;
    pthread_t thread;
    void *result;

    (void)arg;
    if (!start(&sandbox) || pthread_create(&thread, NULL, rx_thread, &sandbox) != 0 || pthread_join(thread, &result) != 0)
        return 1;
    if ((intptr_t)result != EBADF || call_recvmmsg() != EBADF || call_readv() != EBADF)
        return 2;
    sandbox_enter(&sandbox, SANDBOX_MAIN);
    if (atomic_load(&sandbox.n_filters[SANDBOX_RX]) != 2 || atomic_load(&sandbox.n_filters[SANDBOX_MAIN]) != 2 ||
        atomic_load(&sandbox.n_filters[SANDBOX_TX]) != 0)
        return 3;
    return call_accept() == EBADF ? 0 : 4;
}

static void threads_narrow_themselves_alone(void **state)
{
    (void)state;
    need_filters();
    assert_int_equal(in_child(three_threads, NULL), 0);
}

static int abort_in_tx(const void *arg)
{
    struct sandbox sandbox;

    (void)arg;
    if (!start(&sandbox))
        return NOT_LOADED;
    sandbox_enter(&sandbox, SANDBOX_TX);
    abort();
}

// A failed ensure() must show as what it is.
static void abort_is_still_abort(void **state)
{
    (void)state;
    need_filters();
    int status = in_child(abort_in_tx, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- under somebody else's filter ---- */

// One that ends whoever confines himself further by a call that came after Linux 3.17, as the units of older systemd do.
static bool load_outer_filter(void)
{
    static const char *const calls[] = {"seccomp", "landlock_create_ruleset", "landlock_restrict_self", "chroot"};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    bool is_loaded = filter != NULL;

    for (size_t i = 0; is_loaded && i < sizeof calls / sizeof calls[0]; i++)
        is_loaded = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, seccomp_syscall_resolve_name(calls[i]), 0) == 0;
    return is_loaded && seccomp_load(filter) == 0;
}

static int start_under_filter(const void *arg)
{
    struct fsview view = {0};
    struct sandbox sandbox;

    (void)arg;
    if (!load_outer_filter())
        return 1;
    (void)fsview_empty_root(&view, "/tmp");
    (void)fsview_landlock(&view);
    if (view.is_root_empty || view.landlock || !start(&sandbox))
        return 2;
    sandbox_enter(&sandbox, SANDBOX_MAIN);
    if (call_accept() != EBADF)
        return 3;
    return call_execve();
}

static void a_filter_around_us_is_no_obstacle(void **state)
{
    (void)state;
    need_filters();
    int status = in_child(start_under_filter, NULL);
    assert_false(WIFEXITED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
    assert_int_equal(atomic_load(&page->refused_call), SYS_execve + 1); // ours, not the other one
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filter_keeps_to_its_list),
        cmocka_unit_test(each_name_is_one),
        cmocka_unit_test(the_list_holds_on_other_machines),
        cmocka_unit_test_setup_teardown(a_refused_call_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_page_full_of_garbage_is_survived, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blocked_signal_does_not_help, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_narrow_themselves_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(abort_is_still_abort, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filter_around_us_is_no_obstacle, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
