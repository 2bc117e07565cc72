// SPDX-License-Identifier: MIT
/*
 * sandbox: see sandbox.h.
 *
 * Filters add up: for a thread with two of them the kernel takes the stricter answer. So each of the worker's threads starts out under the
 * common filter, which is the sum of all four lists, and narrows it by its own. All filters are made before the common one is loaded; a
 * thread then only has to load its own, the last thing for which it needs the call seccomp.
 *
 * The default answer of the worker's filters is a trap: the kernel does not carry the call out, and the handler here writes into the shared
 * page which call it was and lets the process end. The handler can't be taken away: the list has no rt_sigaction for SIGSYS, and where the
 * signal is blocked the kernel ends the process all the same.
 */
#include "ethercord/sandbox.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ethercord/line.h"
#include "ethercord/log.h"
#include "ethercord/program.h"
#include "outer.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

enum { OPTIMIZE_AS_TREE = 2 };

static const char *const who_names[] = {
    [SANDBOX_START] = "start", [SANDBOX_MAIN] = "main",       [SANDBOX_TX] = "tx",
    [SANDBOX_RX] = "rx",       [SANDBOX_MONITOR] = "monitor", [SANDBOX_WEB] = "web",
};
_Static_assert(sizeof who_names / sizeof who_names[0] == SANDBOX_COUNT, "a name for each");

// For the signal handler, which gets nothing else.
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): a signal handler has no argument that one could choose
static struct sandbox_page *handler_page;

bool sandbox_is_possible(void)
{
    return !IS_SANITIZED;
}

const char *sandbox_who_name(enum sandbox_who who)
{
    return who_names[who];
}

struct sandbox_page *sandbox_new_page(void)
{
    void *page = mmap(NULL, sizeof(struct sandbox_page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

/* ---- filters ---- */

static void try_seccomp(void)
{
    (void)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 1, NULL);
}

// Version 1 of libseccomp's interface knows only prctl, which filters around us do let through.
static void choose_interface(void)
{
    if (!outer_survives(try_seccomp))
        (void)seccomp_api_set(1);
}

static unsigned list_of(enum sandbox_who who)
{
    unsigned list = 1U << who;
    if (who == SANDBOX_START)
        list |= 1U << SANDBOX_MAIN | 1U << SANDBOX_TX | 1U << SANDBOX_RX;
    return list;
}

static uint32_t default_action(enum sandbox_who who)
{
    return who == SANDBOX_MONITOR ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_TRAP;
}

static uint32_t action_of(enum sandbox_answer answer)
{
    switch (answer) {
    case ANSWER_ALLOW:
        return SCMP_ACT_ALLOW;
    case ANSWER_NO_FILE:
        return SCMP_ACT_ERRNO(ENOENT);
    case ANSWER_NO_CALL:
        return SCMP_ACT_ERRNO(ENOSYS);
    }
    return SCMP_ACT_TRAP;
}

// Calls that this libseccomp or this machine has never heard of are left out: nobody here can make them by name.
static int add_call(scmp_filter_ctx filter, const struct sandbox_call *call)
{
    int number = seccomp_syscall_resolve_name(call->name);
    struct scmp_arg_cmp checks[] = {call->check, {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0}};

    if (number == __NR_SCMP_ERROR)
        return 0;
    return seccomp_rule_add_array(filter, action_of(call->answer), number, call->n_checks, checks);
}

static int add_list(scmp_filter_ctx filter, unsigned list)
{
    for (size_t i = 0; i < sandbox_n_calls; i++) {
        if (!(sandbox_calls[i].who & list))
            continue;
        int error = add_call(filter, &sandbox_calls[i]);
        if (error)
            return error;
    }
    return 0;
}

// Kernels before 5.16 slow a process with a filter down, lest it spies on itself by speculative execution. Nothing runs in ours that could
// want to, and the datapath needs the speed. Older versions of libseccomp know neither attribute.
static int set_attributes(scmp_filter_ctx filter, enum sandbox_who who)
{
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_AS_TREE);
    int error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, default_action(who));
    return error ? error : seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, who == SANDBOX_MONITOR);
}

static int make_filter(scmp_filter_ctx *out, enum sandbox_who who)
{
    scmp_filter_ctx filter = seccomp_init(default_action(who));
    if (!filter)
        return -ENOMEM;
    int error = set_attributes(filter, who);
    if (!error)
        error = add_list(filter, list_of(who));
    if (error)
        seccomp_release(filter);
    else
        *out = filter;
    return error;
}

int sandbox_load(enum sandbox_who who)
{
    scmp_filter_ctx filter;
    int error = make_filter(&filter, who);
    if (error)
        return error;
    error = seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

/* ---- what happens to who does not keep to it ---- */

// Signal handler: nothing but calls that are allowed everywhere. SA_RESETHAND has put the default action back, which ends the process as
// soon as this returns.
static void on_refused(int number, siginfo_t *info, void *context)
{
    struct sandbox_page *page = handler_page;
    int32_t thread = (int32_t)gettid();

    (void)context;
    for (int who = 0; who < SANDBOX_COUNT; who++)
        if (atomic_load(&page->threads[who]) == thread)
            atomic_store(&page->refused_by, who);
    atomic_store(&page->refused_call, info->si_syscall + 1);
    raise(number);
}

static int set_handler(struct sandbox_page *page)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND};

    handler_page = page;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

void sandbox_explain(const struct sandbox_page *page, char *text, size_t cap)
{
    struct line line = {text, cap};
    int32_t refused = atomic_load(&page->refused_call), who = atomic_load(&page->refused_by);
    int number = refused > 0 ? refused - 1 : 0;
    char *name = refused > 0 ? seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number) : NULL;

    if (refused <= 0)
        (void)line_fail(&line, 0, "by a filter that is not ethercord's own: see SystemCallFilter in its unit, or the container's profile");
    else
        (void)line_fail(
            &line, 0,
            "by ethercord's own filter: thread %s made the call %s (%d), which is not on its list; please report this. Until it is "
            "mended: ethercord run --no-sandbox",
            who >= 0 && who < SANDBOX_COUNT ? who_names[who] : "?", name ? name : "?", number);
    free(name);
}

/* ---- loading ---- */

static void release(struct sandbox *sandbox)
{
    for (int who = 0; who < SANDBOX_COUNT; who++) {
        if (sandbox->filters[who])
            seccomp_release(sandbox->filters[who]);
        sandbox->filters[who] = NULL;
    }
}

static int load(struct sandbox *sandbox, enum sandbox_who who)
{
    atomic_store(&sandbox->page->threads[who], (int32_t)gettid());
    int error = seccomp_load(sandbox->filters[who]);
    seccomp_release(sandbox->filters[who]);
    sandbox->filters[who] = NULL;
    if (error)
        return error;
    unsigned n_below = who == SANDBOX_START ? 0 : atomic_load(&sandbox->n_filters[SANDBOX_START]);
    atomic_store(&sandbox->n_filters[who], n_below + 1);
    return 0;
}

static int fail_start(const struct line *line, int error)
{
    return line_fail(line, error, "cannot filter system calls: %s: does this kernel have seccomp? Without: ethercord run --no-sandbox",
                     strerror(-error));
}

int sandbox_start(struct sandbox *sandbox, struct sandbox_page *page, char *text, size_t cap)
{
    struct line line = {text, cap};

    choose_interface();
    int error = set_handler(page);
    sandbox->page = page;
    for (int who = SANDBOX_START; !error && who <= SANDBOX_RX; who++)
        error = make_filter(&sandbox->filters[who], (enum sandbox_who)who);
    if (!error)
        error = load(sandbox, SANDBOX_START);
    if (error) {
        release(sandbox);
        return fail_start(&line, error);
    }
    sandbox->is_on = true;
    return 0;
}

void sandbox_enter(struct sandbox *sandbox, enum sandbox_who who)
{
    if (!sandbox->is_on)
        return;
    int error = load(sandbox, who);
    if (!error)
        return;
    log_error("cannot filter the system calls of thread %s: %s", who_names[who], strerror(-error));
    _exit(CODE_FAILED);
}

int sandbox_start_monitor(struct sandbox_page *page)
{
    choose_interface();
    int error = sandbox_load(SANDBOX_MONITOR);
    atomic_store(&page->is_monitor_filtered, !error);
    return error;
}

int sandbox_start_web(struct sandbox_page *page, char *text, size_t cap)
{
    choose_interface();
    atomic_store(&page->threads[SANDBOX_WEB], (int32_t)gettid());
    int error = set_handler(page);
    if (!error)
        error = sandbox_load(SANDBOX_WEB);
    return error ? fail_start(&(struct line){text, cap}, error) : 0;
}
