// SPDX-License-Identifier: MIT
/*
 * control_open: the control socket as a file: its folder, its mode and group, and what an instance that died has left there.
 */
#include "control.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static bool is_served(const struct sockaddr_un *sun)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // EAGAIN: somebody listens, but is too busy to take us; a blocking call would wait for that.
    bool is_there = fd >= 0 && (connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno == EAGAIN);

    if (fd >= 0)
        close(fd);
    return is_there;
}

// Whatever is no socket is not ours to remove.
static int remove_stale(const struct sockaddr_un *sun)
{
    struct stat st;

    if (lstat(sun->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    return unlink(sun->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int listen_at(const struct sockaddr_un *sun)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error;

    if (fd < 0)
        return -errno;
    mode_t mask = umask(0117); // never open to others, not even for a moment
    error = bind(fd, (const struct sockaddr *)sun, sizeof *sun) < 0 ? -errno : 0;
    umask(mask);
    if (!error && listen(fd, BACKLOG) < 0)
        error = -errno;
    if (!error)
        return fd;
    close(fd);
    return error;
}

// Who else than its owner may ask. A group that nobody named need not be there, nor be ours to give to.
static int give_to_group(const struct control_place *place, const struct sockaddr_un *sun, char *text, size_t cap)
{
    const char *name = place->group[0] ? place->group : CONTROL_GROUP_DEFAULT;
    const struct group *found = getgrnam(name);

    if (!found && !place->group[0])
        return 0;
    if (!found) {
        snprintf(text, cap, "there is no group '%s'; make it (groupadd --system %s), or change [Node] ControlGroup", name, name);
        return -ENOENT;
    }
    if (chown(sun->sun_path, (uid_t)-1, found->gr_gid) == 0 || !place->group[0])
        return 0;
    int error = -errno;
    snprintf(text, cap, "can't give the control socket %s to the group '%s': %s; start ethercord as root, or as a member", sun->sun_path,
             name, strerror(-error));
    return error;
}

static int listen_there(const struct control_place *place, const struct sockaddr_un *sun, char *text, size_t cap)
{
    int fd = listen_at(sun);

    if (fd < 0) {
        snprintf(text, cap, "can't listen at %s: %s", sun->sun_path, strerror(-fd));
        return fd;
    }
    int error = give_to_group(place, sun, text, cap);
    if (!error)
        return fd;
    close(fd);
    unlink(sun->sun_path);
    return error;
}

int control_open(const struct control_place *place, char path[static CONTROL_PATH_CAP], char *text, size_t cap)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int len = snprintf(sun.sun_path, sizeof sun.sun_path, "%s/%s.sock", place->run_dir, place->name);
    int error;

    if (len < 0 || (size_t)len >= sizeof sun.sun_path) {
        snprintf(text, cap, "the path of the control socket is too long: choose a shorter --run-dir");
        return -ENAMETOOLONG;
    }
    if (mkdir(place->run_dir, 0755) < 0 && errno != EEXIST) {
        error = -errno;
        snprintf(text, cap, "can't make the folder %s for the control socket: %s; make it, or name another one with --run-dir",
                 place->run_dir, strerror(-error));
        return error;
    }
    if (is_served(&sun)) {
        snprintf(text, cap, "instance '%s' is running already (%s); stop that one first", place->name, sun.sun_path);
        return -EADDRINUSE;
    }
    error = remove_stale(&sun);
    if (error) {
        snprintf(text, cap, "can't put the control socket at %s: %s; move away what is there", sun.sun_path, strerror(-error));
        return error;
    }
    memcpy(path, sun.sun_path, CONTROL_PATH_CAP);
    return listen_there(place, &sun, text, cap);
}
