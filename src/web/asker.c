// SPDX-License-Identifier: MIT
/*
 * asker: see asker.h. An answer that comes too late is still owed, and thrown away when it is there: the next one is to be fresh.
 */
#include "asker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ethercord/clock.h"

static const char question[] = "status\n";

int asker_init(struct asker *asker, int fd)
{
    *asker = (struct asker){.fd = fd, .bytes = malloc(ASKER_ANSWER_CAP)};
    return asker->bytes ? 0 : -ENOMEM;
}

void asker_deinit(struct asker *asker)
{
    json_decref(asker->status);
    free(asker->bytes);
    close(asker->fd);
}

// 1 = the line is whole, 0 = more is to come.
static int take(struct asker *asker)
{
    ssize_t n = recv(asker->fd, asker->bytes + asker->len, ASKER_ANSWER_CAP - asker->len, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -EPIPE;
    const char *end = memchr(asker->bytes + asker->len, '\n', (size_t)n);
    asker->len += (size_t)n;
    if (!end)
        return asker->len == ASKER_ANSWER_CAP ? -EBADMSG : 0;
    if (end != asker->bytes + asker->len - 1)
        return -EBADMSG;
    asker->is_owed = false;
    asker->len--;
    return 1;
}

int asker_listen(struct asker *asker)
{
    char byte;

    if (asker->error)
        return asker->error;
    if (asker->is_owed) {
        int got = take(asker);
        return got < 0 ? got : 0;
    }
    ssize_t n = recv(asker->fd, &byte, 1, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    return n == 0 ? -EPIPE : -EBADMSG;
}

static int wait_for_line(struct asker *asker)
{
    uint64_t end_ns = now_boot_ns() + ASKER_WAIT_MS * NS_PER_MS;
    struct pollfd poll_fd = {.fd = asker->fd, .events = POLLIN};
    int got = 0;

    while (got == 0) {
        uint64_t now_ns = now_boot_ns();
        if (now_ns >= end_ns)
            return -ETIMEDOUT;
        (void)poll(&poll_fd, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1);
        got = take(asker);
    }
    return got;
}

// What is no status, an {"error": …} for one, has no peers.
static json_t *read_status(const struct asker *asker)
{
    json_t *status = json_loadb(asker->bytes, asker->len, JSON_REJECT_DUPLICATES, NULL);

    if (json_is_array(json_object_get(status, "peers")))
        return status;
    json_decref(status);
    return NULL;
}

static json_t *ask(struct asker *asker)
{
    if (asker->error || (asker->is_owed && take(asker) <= 0))
        return NULL;
    asker->len = 0;
    if (send(asker->fd, question, sizeof question - 1, MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof question - 1)
        return NULL;
    asker->is_owed = true;
    int got = wait_for_line(asker);
    if (got < 0 && got != -ETIMEDOUT)
        asker->error = got;
    return got > 0 ? read_status(asker) : NULL;
}

bool asker_ask(struct asker *asker)
{
    if (asker->tried_ns == 0 || age_ns(now_boot_ns(), asker->tried_ns) >= ASKER_KEEP_MS * NS_PER_MS) {
        json_decref(asker->status);
        asker->status = ask(asker);
        asker->tried_ns = now_boot_ns();
        asker->n_tried++;
    }
    return asker->status;
}
