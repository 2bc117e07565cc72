// SPDX-License-Identifier: MIT
/*
 * test_confine: each case in a child of its own, which writes what it finds into shared memory; the assertions are the parent's. Needs
 * root; says so and skips otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cap-ng.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ethercord/confine.h"

enum { TEXT_CAP = 256, STATUS_CAP = 8192, NOBODY = 65534, PREPARATION_REFUSED = 77, DEATH_WAIT_S = 5, SMALL_LIMIT = 65536 };

struct findings {
    int result;
    char text[TEXT_CAP];
    struct confinement confinement;
    uint64_t kept;
    uid_t uids[3];
    gid_t gids[3];
    int n_groups;
    char status[STATUS_CAP]; // of /proc/self/status
    int tun_errno;
    int packet_errno;
    int become_root_errno;
    int dumpable;
    int no_new_privs;
    int death_signal;
    struct rlimit core;
    struct rlimit memlock;
    bool can_lock_4_mib;
};

static struct findings *found;

static int set_up(void **state)
{
    (void)state;
    found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return found == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(found, sizeof *found);
}

// False in a user namespace that maps root alone.
static bool is_nobody_mapped(void)
{
    unsigned inside = 0, outside = 0, n = 0;
    FILE *file = fopen("/proc/self/uid_map", "re");
    if (!file)
        return false;
    int n_read = fscanf(file, "%u %u %u", &inside, &outside, &n);
    (void)fclose(file);
    return n_read == 3 && inside == 0 && n > NOBODY;
}

static void require_root(void)
{
    if (geteuid() == 0 && is_nobody_mapped())
        return;
    print_message("skipped: needs root to have something to drop\n");
    skip();
}

static void read_status(void)
{
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, found->status, sizeof found->status - 1);
    found->status[n > 0 ? n : 0] = '\0';
    (void)close(fd);
}

static int try_open_tun(void)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    (void)close(fd);
    return 0;
}

static int try_raw_socket(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    (void)close(fd);
    return 0;
}

static bool can_lock(size_t len)
{
    void *pages = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages != MAP_FAILED && mlock(pages, len) == 0;
}

static void look(void)
{
    (void)getresuid(&found->uids[0], &found->uids[1], &found->uids[2]);
    (void)getresgid(&found->gids[0], &found->gids[1], &found->gids[2]);
    found->n_groups = getgroups(0, NULL);
    found->dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    found->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    (void)prctl(PR_GET_PDEATHSIG, &found->death_signal, 0, 0, 0);
    (void)getrlimit(RLIMIT_CORE, &found->core);
    (void)getrlimit(RLIMIT_MEMLOCK, &found->memlock);
    read_status();
    found->tun_errno = try_open_tun();
    found->packet_errno = try_raw_socket();
    found->can_lock_4_mib = can_lock(4 * 1024 * 1024);
    found->become_root_errno = setresuid(0, 0, 0) < 0 ? errno : 0;
}

static int confine_as(const char *user)
{
    return confine_worker(&(struct confine_order){.user = user}, &found->confinement, found->text, sizeof found->text);
}

// In a child: prepare (if any; false = this machine does not allow it), confine, look.
static void confine_child(bool (*prepare)(void), const char *user)
{
    memset(found, 0, sizeof *found);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prepare && !prepare())
            _exit(PREPARATION_REFUSED);
        found->result = confine_as(user);
        look();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != PREPARATION_REFUSED)
        return;
    print_message("skipped: this machine does not allow the preparation\n");
    skip();
}

// The text after "Key:\t" in /proc/self/status, as a number.
static uint64_t status_value(const char *key)
{
    const char *line = strstr(found->status, key);
    assert_non_null(line);
    return strtoull(line + strlen(key), NULL, 16);
}

static void assert_ids(uid_t uid, gid_t gid)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(found->uids[i], uid);
        assert_int_equal(found->gids[i], gid);
    }
}

static void assert_confined(void)
{
    assert_int_equal(found->result, 0);
    assert_int_equal(status_value("CapInh:\t"), 0);
    assert_int_equal(status_value("CapPrm:\t"), 0);
    assert_int_equal(status_value("CapEff:\t"), 0);
    assert_int_equal(status_value("CapAmb:\t"), 0);
    assert_int_equal(status_value("NoNewPrivs:\t"), 1);
    assert_int_equal(found->no_new_privs, 1);
    assert_int_equal(found->dumpable, 0);
    assert_int_equal(found->death_signal, SIGTERM);
    assert_int_equal(found->core.rlim_cur, 0);
    assert_int_equal(found->core.rlim_max, 0);
    assert_int_equal(found->packet_errno, EPERM);
}

static bool prepare_groups_and_small_limits(void)
{
    const gid_t groups[] = {0, 4, 6};
    struct rlimit memlock, core;
    if (getrlimit(RLIMIT_MEMLOCK, &memlock) < 0 || getrlimit(RLIMIT_CORE, &core) < 0)
        return false;
    memlock.rlim_cur = SMALL_LIMIT;
    core.rlim_cur = core.rlim_max;
    return setgroups(3, groups) == 0 && setrlimit(RLIMIT_MEMLOCK, &memlock) == 0 && setrlimit(RLIMIT_CORE, &core) == 0;
}

static void root_becomes_nobody(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_groups_and_small_limits, "nobody");
    assert_string_equal(found->text, "");
    assert_confined();
    assert_ids(NOBODY, NOBODY);
    assert_int_equal(found->n_groups, 0);
    assert_int_equal(status_value("CapBnd:\t"), 0);
    assert_int_equal(found->tun_errno, EACCES);
    assert_int_equal(found->become_root_errno, EPERM);
    assert_int_equal(found->memlock.rlim_cur, CONFINE_MEMLOCK_BYTES);
    assert_true(found->can_lock_4_mib);
}

static bool prepare_small_hard_limit(void)
{
    struct rlimit small = {SMALL_LIMIT, SMALL_LIMIT};
    capng_get_caps_process();
    return capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_RESOURCE) && setrlimit(RLIMIT_MEMLOCK, &small) == 0;
}

static void a_small_hard_limit_is_raised(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_small_hard_limit, "nobody");
    assert_confined();
    assert_int_equal(found->memlock.rlim_cur, CONFINE_MEMLOCK_BYTES);
    assert_int_equal(found->memlock.rlim_max, CONFINE_MEMLOCK_BYTES);
}

static bool prepare_large_memlock(void)
{
    struct rlimit large = {RLIM_INFINITY, RLIM_INFINITY};
    return setrlimit(RLIMIT_MEMLOCK, &large) == 0;
}

static void a_larger_limit_is_kept(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_large_memlock, "nobody");
    assert_confined();
    assert_int_equal(found->memlock.rlim_cur, RLIM_INFINITY);
}

// Securebits that make capabilities survive setresuid(), an ambient and an inheritable set: all must go all the same.
static bool prepare_clinging_capabilities(void)
{
    capng_get_caps_process();
    capng_update(CAPNG_ADD, CAPNG_INHERITABLE, CAP_NET_ADMIN);
    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE, CAP_SETPCAP); // securebits want it; an ordinary user has it in the permitted set only
    if (capng_apply(CAPNG_SELECT_CAPS) < 0)
        return false;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0) == 0 &&
           prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0;
}

static void capabilities_that_cling(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_clinging_capabilities, "nobody");
    assert_confined();
    assert_ids(NOBODY, NOBODY);
    assert_int_equal(status_value("CapBnd:\t"), 0);
}

static void users_that_are_refused(void **state)
{
    static const struct {
        const char *user;
        int result;
        const char *text;
    } rows[] = {
        {"root", -EINVAL, "user 'root' is root: name one without privileges"},
        {"no-such-user", -ENOENT, "user 'no-such-user' does not exist: create it (useradd --system no-such-user) or name another"},
        {"", -ENOENT, "user '' does not exist"},
    };
    (void)state;
    require_root();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        confine_child(NULL, rows[i].user);
        assert_int_equal(found->result, rows[i].result);
        assert_memory_equal(found->text, rows[i].text, strlen(rows[i].text));
    }
}

static bool prepare_ordinary_user(void)
{
    return setgroups(0, NULL) == 0 && setresgid(1234, 1234, 1234) == 0 && setresuid(1234, 1234, 1234) == 0;
}

static void an_ordinary_user_stays_who_it_is(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_ordinary_user, "no-such-user");
    assert_string_equal(found->text, "");
    assert_confined();
    assert_ids(1234, 1234);
    assert_int_equal(found->become_root_errno, EPERM);
}

// Started as a user with CAP_NET_ADMIN, as a service manager does with ambient capabilities.
static bool prepare_user_with_capability(void)
{
    return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && prepare_ordinary_user() && prepare_clinging_capabilities();
}

static void a_user_with_capabilities_loses_them(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_user_with_capability, "nobody");
    assert_confined();
    assert_ids(1234, 1234);
}

static bool drop(unsigned first, unsigned second)
{
    capng_get_caps_process();
    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, first);
    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE | CAPNG_PERMITTED, second);
    return capng_apply(CAPNG_SELECT_CAPS) == 0;
}

static bool prepare_container_without_setpcap(void)
{
    struct rlimit small = {SMALL_LIMIT / 2, SMALL_LIMIT};
    return setrlimit(RLIMIT_MEMLOCK, &small) == 0 && drop(CAP_SETPCAP, CAP_SYS_RESOURCE);
}

// The bounding set stays, the limit too; neither keeps the worker from ending without capabilities.
static void a_container_that_keeps_the_bounding_set(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_container_without_setpcap, "nobody");
    assert_confined();
    assert_ids(NOBODY, NOBODY);
    assert_int_not_equal(status_value("CapBnd:\t"), 0);
    assert_int_equal(found->memlock.rlim_cur, SMALL_LIMIT); // as far as it goes
}

static bool prepare_without_setuid(void)
{
    return setgroups(0, NULL) == 0 && drop(CAP_SETUID, CAP_SETGID);
}

static bool prepare_without_setgid(void)
{
    const gid_t groups[] = {0, 4};
    return setgroups(2, groups) == 0 && drop(CAP_SETGID, CAP_SETGID);
}

// A container with CAP_NET_ADMIN alone.
static void root_that_cannot_change_stays_without_capabilities(void **state)
{
    bool (*const preparations[])(void) = {prepare_without_setuid, prepare_without_setgid};
    (void)state;
    require_root();
    for (size_t i = 0; i < sizeof preparations / sizeof preparations[0]; i++) {
        confine_child(preparations[i], "nobody");
        assert_confined();
        assert_ids(0, 0);
        assert_non_null(strstr(found->text, "without CAP_SETUID and CAP_SETGID the worker keeps user id 0"));
    }
}

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    (void)close(fd);
    return is_written;
}

// What `unshare -r` gives to an ordinary user with two groups: a namespace with no user but root, in which groups are frozen.
static bool prepare_user_namespace(void)
{
    const gid_t groups[] = {1234, 1235};
    if (setgroups(2, groups) < 0 || setresgid(1234, 1234, 1234) < 0 || setresuid(1234, 1234, 1234) < 0)
        return false;
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // else /proc/self belongs to root
    return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/uid_map", "0 1234 1") && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/gid_map", "0 1234 1");
}

static void a_user_namespace_with_root_alone(void **state)
{
    (void)state;
    require_root();
    confine_child(prepare_user_namespace, "nobody");
    assert_confined();
    assert_ids(0, 0);
    assert_int_equal(status_value("CapBnd:\t"), 0);
    assert_int_equal(found->tun_errno, EACCES); // it is user 1234 outside
    assert_string_equal(found->text, "this user namespace has no user 'nobody': the worker keeps user id 0, without capabilities");
}

/* ---- the file system ---- */

// Files and sockets, tried from inside.
static int try_files(void)
{
    struct stat st;
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 || (errno != ENOENT && errno != EACCES))
        return 1;
    if (mkdir("/new", 0700) == 0 || mkdir("new", 0700) == 0 || mkdir("../new", 0700) == 0)
        return 2;
    fd = open("/proc/self/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (found->confinement.view.is_root_empty && (fd >= 0 || stat("/proc", &st) == 0 || stat("/../../proc", &st) == 0))
        return 3;
    return found->confinement.view.landlock > 0 && open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ? 4 : 0;
}

static bool is_folder_empty(const char *path)
{
    return rmdir(path) == 0;
}

// As confine_child(), with a folder to hide below, and files tried afterwards.
static void hide_child(bool (*prepare)(void), const char *user)
{
    char folder[] = "/tmp/test-confine-XXXXXX";
    int status;

    memset(found, 0, sizeof *found);
    assert_non_null(mkdtemp(folder));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (prepare && !prepare())
            _exit(PREPARATION_REFUSED);
        struct confine_order order = {.user = user, .hide_below = folder};
        found->result = confine_worker(&order, &found->confinement, found->text, sizeof found->text);
        _exit(found->result == 0 ? try_files() : 100);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(is_folder_empty(folder)); // nothing is left behind
    assert_int_equal(status, 0);
}

static bool has_landlock(void)
{
    bool is_there = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, 1) > 0;
    if (!is_there)
        print_message("this kernel has no Landlock: only the empty root is tested\n");
    return is_there;
}

static void root_gets_an_empty_root(void **state)
{
    (void)state;
    require_root();
    hide_child(NULL, "nobody");
    assert_true(found->confinement.view.is_root_empty);
    assert_int_equal(found->confinement.uid, NOBODY);
    assert_int_equal(found->confinement.view.landlock > 0, has_landlock());
}

static bool prepare_without_chroot(void)
{
    return drop(CAP_SYS_CHROOT, CAP_SYS_ADMIN);
}

static void without_privileges_there_is_landlock(void **state)
{
    bool (*const preparations[])(void) = {prepare_without_chroot, prepare_ordinary_user};
    (void)state;
    require_root();
    for (size_t i = 0; i < sizeof preparations / sizeof preparations[0] && has_landlock(); i++) {
        hide_child(preparations[i], "nobody");
        assert_false(found->confinement.view.is_root_empty);
        assert_true(found->confinement.view.landlock > 0);
    }
}

// monitor -> worker: the worker must not outlive it.
static void the_worker_dies_with_the_monitor(void **state)
{
    int worker_says[2], alive[2];
    (void)state;
    require_root();
    assert_int_equal(pipe(worker_says), 0);
    assert_int_equal(pipe(alive), 0);
    pid_t monitor = fork();
    assert_true(monitor >= 0);
    if (monitor == 0) {
        if (fork() == 0) {
            (void)close(worker_says[0]);
            (void)close(alive[0]);
            char result = (char)(confine_as("nobody") == 0);
            (void)!write(worker_says[1], &result, 1);
            (void)sleep(4 * DEATH_WAIT_S);
            _exit(0);
        }
        char result = 0;
        (void)!read(worker_says[0], &result, 1);
        _exit(result);
    }
    (void)close(worker_says[1]);
    (void)close(alive[1]);
    int status;
    assert_int_equal(waitpid(monitor, &status, 0), monitor);
    assert_int_equal(WEXITSTATUS(status), 1);
    // Only the worker still holds the writing end: end-of-file says that it is gone.
    char byte;
    (void)alarm(DEATH_WAIT_S);
    assert_int_equal(read(alive[0], &byte, 1), 0);
    (void)alarm(0);
    (void)close(worker_says[0]);
    (void)close(alive[0]);
}

static void the_monitor_keeps_two_capabilities(void **state)
{
    (void)state;
    memset(found, 0, sizeof *found);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit large = {RLIM_INFINITY, RLIM_INFINITY};
        (void)setrlimit(RLIMIT_CORE, &large);
        found->result = confine_dumps();
        if (found->result == 0)
            found->result = confine_monitor(&found->kept);
        look();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(found->result, 0);
    assert_int_equal(found->core.rlim_cur, 0);
    assert_int_equal(found->core.rlim_max, 0);
    assert_int_equal(found->dumpable, 0);
    assert_int_equal(found->uids[1], geteuid());
    assert_int_equal(status_value("CapEff:\t"), found->kept);
    assert_int_equal(status_value("CapPrm:\t"), found->kept);
    if (geteuid() == 0 && is_nobody_mapped())
        assert_int_equal(found->kept, UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_KILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_becomes_nobody),
        cmocka_unit_test(a_small_hard_limit_is_raised),
        cmocka_unit_test(a_larger_limit_is_kept),
        cmocka_unit_test(capabilities_that_cling),
        cmocka_unit_test(users_that_are_refused),
        cmocka_unit_test(an_ordinary_user_stays_who_it_is),
        cmocka_unit_test(a_user_with_capabilities_loses_them),
        cmocka_unit_test(a_container_that_keeps_the_bounding_set),
        cmocka_unit_test(root_that_cannot_change_stays_without_capabilities),
        cmocka_unit_test(a_user_namespace_with_root_alone),
        cmocka_unit_test(root_gets_an_empty_root),
        cmocka_unit_test(without_privileges_there_is_landlock),
        cmocka_unit_test(the_worker_dies_with_the_monitor),
        cmocka_unit_test(the_monitor_keeps_two_capabilities),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
