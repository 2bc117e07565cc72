// SPDX-License-Identifier: MIT
/*
 * confine: see confine.h.
 *
 * The order in confine_worker() is forced:
 *   1 look up the user               reads files that the user itself may not be allowed to read
 *   2 RLIMIT_MEMLOCK                 raising a hard limit needs CAP_SYS_RESOURCE
 *   3 bounding set                   needs CAP_SETPCAP, which step 5 takes away
 *   4 groups                         looks into /proc where they can't be dropped
 *   5 empty root                     from here on there are no files; needs a capability that step 6 takes away
 *   6 group, then user               the same
 *   7 all capabilities               what securebits, or an ambient set, carried over step 6
 *   8 no_new_privs                   after the last credential change that is wanted
 *   9 dumpable, death signal         the kernel resets both whenever credentials change
 *  10 Landlock                       needs no_new_privs
 *  11 look                           each of the above has failed silently in somebody's container
 */
#include "ethercord/confine.h"

#include "ethercord/line.h"
#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PASSWD_CAP = 1024, // one line of the user database
    CAPABILITIES_MAX = 64
};

struct identity {
    uid_t uid;
    gid_t gid;
    bool is_change; // false: stay who we are
};

static bool is_root(void)
{
    uid_t real, effective, saved;
    return getresuid(&real, &effective, &saved) < 0 || real == 0 || effective == 0 || saved == 0;
}

// A container with CAP_NET_ADMIN alone has neither.
static bool may_become_another(void)
{
    return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETUID) &&
           capng_have_capability(CAPNG_EFFECTIVE, CAP_SETGID);
}

static int find_identity(const char *user, struct identity *identity, const struct line *line)
{
    *identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (!is_root())
        return 0;
    if (!may_become_another())
        return line_fail(line, 0,
                         "without CAP_SETUID and CAP_SETGID the worker keeps user id %u, but no capability; to have it another one "
                         "anyway, start ethercord as that user",
                         (unsigned)identity->uid);
    struct passwd entry, *found = NULL;
    char strings[PASSWD_CAP];
    int result = getpwnam_r(user, &entry, strings, sizeof strings, &found);
    if (result != 0 && result != ENOENT)
        return line_fail(line, -result, "cannot look up user '%s': %s", user, strerror(result));
    if (!found)
        return line_fail(line, -ENOENT, "user '%s' does not exist: create it (useradd --system %s) or name another", user, user);
    if (entry.pw_uid == 0)
        return line_fail(line, -EINVAL, "user '%s' is root: name one without privileges", user);
    *identity = (struct identity){.uid = entry.pw_uid, .gid = entry.pw_gid, .is_change = true};
    return 0;
}

// Best effort: where the limit can't be raised, libsodium goes on with pages that could be swapped out, and the caller sees it there.
static void raise_memlock(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur >= CONFINE_MEMLOCK_BYTES)
        return;
    struct rlimit wanted = {.rlim_cur = CONFINE_MEMLOCK_BYTES, .rlim_max = limit.rlim_max};
    if (wanted.rlim_max < CONFINE_MEMLOCK_BYTES)
        wanted.rlim_max = CONFINE_MEMLOCK_BYTES;
    if (setrlimit(RLIMIT_MEMLOCK, &wanted) == 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_MEMLOCK, &limit);
}

static int deny_core(void)
{
    struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) < 0 ? -errno : 0;
}

// Without CAP_SETPCAP it can't be done, and libcap-ng would complain into the log. That is tolerable: the bounding set only limits what an
// exec could gain, and no_new_privs lets it gain nothing.
static void drop_bounding_set(void)
{
    bool may_drop = capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

    capng_clear(CAPNG_SELECT_ALL);
    if (may_drop)
        (void)capng_apply(CAPNG_SELECT_BOUNDS);
}

// True in a user namespace that an unprivileged user made: its groups are that user's own and can't be dropped there.
static bool are_groups_frozen(void)
{
    char word[8] = "";
    FILE *file = fopen("/proc/self/setgroups", "re");
    if (!file)
        return false;
    bool is_frozen = fgets(word, sizeof word, file) && strncmp(word, "deny", 4) == 0;
    (void)fclose(file);
    return is_frozen;
}

static int drop_groups(const struct line *line)
{
    if (getgroups(0, NULL) == 0 || setgroups(0, NULL) == 0)
        return 0;
    int result = -errno;
    if (result == -EPERM && are_groups_frozen())
        return line_fail(line, 0, "this user namespace does not allow to drop supplementary groups: they are kept");
    return line_fail(line, result, "cannot drop supplementary groups: %s", strerror(-result));
}

// EINVAL comes from user namespaces only: the id has no meaning there. In one that maps nobody but its root (unshare -r), that root is an
// ordinary user outside, and staying it, without capabilities, is all that can be done.
static int become(struct identity *identity, const char *user, const struct line *line)
{
    if (!identity->is_change)
        return 0;
    if (setresgid(identity->gid, identity->gid, identity->gid) == 0 && setresuid(identity->uid, identity->uid, identity->uid) == 0)
        return 0;
    int result = -errno;
    if (result != -EINVAL)
        return line_fail(line, result, "cannot become user '%s': %s", user, strerror(-result));
    identity->uid = geteuid();
    identity->gid = getegid();
    identity->is_change = false;
    return line_fail(line, 0, "this user namespace has no user '%s': the worker keeps user id %u, without capabilities", user,
                     (unsigned)identity->uid);
}

static int drop_capabilities(const struct line *line)
{
    capng_clear(CAPNG_SELECT_ALL);
    if (capng_apply(CAPNG_SELECT_CAPS) < 0 || capng_apply(CAPNG_SELECT_AMBIENT) < 0)
        return line_fail(line, -EPERM, "cannot drop capabilities");
    return 0;
}

static int seal_process(const struct line *line)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0) {
        int result = -errno;
        return line_fail(line, result, "cannot confine the worker: %s", strerror(-result));
    }
    return 0;
}

static bool holds_capabilities(void)
{
    static const capng_type_t sets[] = {CAPNG_EFFECTIVE, CAPNG_PERMITTED, CAPNG_INHERITABLE, CAPNG_AMBIENT};

    if (capng_get_caps_process() < 0)
        return true;
    // capng_have_capabilities() looks at the effective set only.
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        for (unsigned capability = 0; capability < CAPABILITIES_MAX; capability++)
            if (capng_have_capability(sets[i], capability))
                return true;
    return capng_have_capabilities(CAPNG_SELECT_CAPS) != CAPNG_NONE;
}

static int verify(const struct identity *identity, const struct fsview *view, const struct line *line)
{
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return line_fail(line, -EPERM, "cannot see which user the worker is");
    for (int i = 0; i < 3; i++)
        if (uids[i] != identity->uid || gids[i] != identity->gid)
            return line_fail(line, -EPERM, "the worker still has another user or group than it should");
    if (holds_capabilities())
        return line_fail(line, -EPERM, "the worker still has capabilities");
    if (identity->is_change && (setuid(0) == 0 || setgid(0) == 0))
        return line_fail(line, -EPERM, "the worker can become root again");
    if (view->is_root_empty && access("/proc", F_OK) == 0)
        return line_fail(line, -EPERM, "the worker still sees the file system");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return line_fail(line, -EPERM, "the worker is not confined");
    return 0;
}

static int give_up(struct identity *identity, const struct confine_order *order, struct confinement *confinement, const struct line *line)
{
    int result = identity->is_change ? drop_groups(line) : 0;
    if (result < 0)
        return result;
    if (order->hide_below)
        (void)fsview_empty_root(&confinement->view, order->hide_below); // without the capability, or the room: Landlock follows
    result = become(identity, order->user, line);
    if (result < 0)
        return result;
    result = drop_capabilities(line);
    if (result < 0)
        return result;
    result = seal_process(line);
    if (result == 0 && order->hide_below)
        (void)fsview_landlock(&confinement->view); // where the kernel has it
    return result;
}

int confine_worker(const struct confine_order *order, struct confinement *confinement, char *text, size_t cap)
{
    struct line line = {text, cap};
    struct identity identity;
    *confinement = (struct confinement){0};
    (void)line_fail(&line, 0, "%s", "");
    int result = find_identity(order->user, &identity, &line);
    if (result < 0)
        return result;
    raise_memlock();
    result = deny_core();
    if (result < 0)
        return line_fail(&line, result, "cannot switch core dumps off: %s", strerror(-result));
    drop_bounding_set();
    result = give_up(&identity, order, confinement, &line);
    if (result < 0)
        return result;
    confinement->uid = identity.uid;
    confinement->gid = identity.gid;
    return verify(&identity, &confinement->view, &line);
}

int confine_dumps(void)
{
    int result = deny_core();
    if (result < 0)
        return result;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int confine_monitor(uint64_t *kept)
{
    static const unsigned needed[] = {CAP_NET_ADMIN, CAP_KILL};

    *kept = 0;
    if (capng_get_caps_process() < 0)
        return -EPERM;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (capng_have_capability(CAPNG_PERMITTED, needed[i]))
            *kept |= UINT64_C(1) << needed[i];
    drop_bounding_set();
    for (unsigned capability = 0; capability < CAPABILITIES_MAX; capability++)
        if (*kept >> capability & 1)
            (void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, capability);
    if (capng_apply(CAPNG_SELECT_CAPS) < 0 || capng_apply(CAPNG_SELECT_AMBIENT) < 0)
        return -EPERM;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}
