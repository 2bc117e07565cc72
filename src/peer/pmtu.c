// SPDX-License-Identifier: MIT
/*
 * pmtu: see the header. One search, in this order: is the base carried; then what a hint says; the largest there is; that of Ethernet; and
 * then halves of what is left. A search after a black hole, and the raise of a size that was found, are the same with other bounds.
 */
#include "ethercord/pmtu.h"

#include <string.h>
#include <sys/socket.h>

#include "ethercord/log.h"

enum { ETHERNET_MTU = 1500 }; // what most paths have

const char *pmtu_state_name(enum pmtu_state state)
{
    static const char *const names[] = {"fixed", "searching", "found"};

    _Static_assert(sizeof names / sizeof *names == PMTU_STATE_COUNT, "a name for each");
    ensure(state < PMTU_STATE_COUNT);
    return names[state];
}

enum pmtu_news pmtu_take_news(struct pmtu *pmtu)
{
    enum pmtu_news news = pmtu->news;

    pmtu->news = PMTU_NEWS_NONE;
    return news;
}

/* ---- the search ---- */

static void forget_probe(struct pmtu *pmtu)
{
    pmtu->probe = 0;
    pmtu->is_check = pmtu->wants_check = false;
    pmtu->suspect_ns = 0;
}

static void begin_search(struct pmtu *pmtu, uint16_t high)
{
    pmtu->state = PMTU_SEARCHING;
    pmtu->low = pmtu->floor == PMTU_BASE ? PMTU_BASE : 0; // that IPv6 carries its least needs no probe
    pmtu->high = high;
    pmtu->has_tried_top = false;
    pmtu->raise_wait_ns = PMTU_RAISE_FIRST_NS;
    pmtu->told = 0;
    pmtu->n_wrong = 0;
    forget_probe(pmtu);
}

void pmtu_init(struct pmtu *pmtu, uint16_t fixed)
{
    memset(pmtu, 0, sizeof *pmtu);
    pmtu->state = fixed ? PMTU_FIXED : PMTU_SEARCHING;
    pmtu->size = fixed ? fixed : PMTU_BASE;
    pmtu->floor = PMTU_BASE;
}

void pmtu_restart(struct pmtu *pmtu, uint16_t family)
{
    if (pmtu->state == PMTU_FIXED)
        return;
    pmtu->floor = family == AF_INET6 ? PMTU_BASE : PATH_MTU_MIN;
    pmtu->size = PMTU_BASE;
    pmtu->hint = 0;
    begin_search(pmtu, PATH_MTU_MAX);
}

void pmtu_resume(struct pmtu *pmtu)
{
    if (pmtu->is_check)
        pmtu->size = pmtu->probe;
    forget_probe(pmtu);
}

static void try_size(struct pmtu *pmtu, uint16_t size, const struct random_source *random)
{
    pmtu->probe = size;
    pmtu->n_probes = pmtu->n_silent = 0;
    pmtu->is_check = pmtu->is_hinted = false;
    random_fill(random, pmtu->token, sizeof pmtu->token); // late answers to an earlier size are none to this one
}

// The next size to try; 0 = there is none left.
static uint16_t next_size(struct pmtu *pmtu)
{
    uint16_t hint = pmtu->hint;

    if (pmtu->low == 0)
        return PMTU_BASE;
    if (pmtu->low >= pmtu->high)
        return 0;
    if (hint == pmtu->low) { // it passed; is it true that nothing more does?
        pmtu->hint = 0;
        return (uint16_t)(hint + 1);
    }
    if (hint > pmtu->low && hint <= pmtu->high)
        return hint;
    if (!pmtu->has_tried_top) {
        pmtu->has_tried_top = true;
        return pmtu->high;
    }
    if (pmtu->low < ETHERNET_MTU && ETHERNET_MTU < pmtu->high)
        return ETHERNET_MTU;
    return (uint16_t)(pmtu->low + (pmtu->high - pmtu->low + 1) / 2);
}

static void finish_search(struct pmtu *pmtu, uint64_t now_ns)
{
    pmtu->state = PMTU_FOUND;
    pmtu->hint = 0;
    pmtu->raise_ns = now_ns + pmtu->raise_wait_ns;
    pmtu->raise_wait_ns = 2 * pmtu->raise_wait_ns < PMTU_RAISE_MAX_NS ? 2 * pmtu->raise_wait_ns : PMTU_RAISE_MAX_NS;
    if (pmtu->told == pmtu->size)
        return;
    pmtu->told = pmtu->size;
    pmtu->news = PMTU_NEWS_FOUND;
}

static void search_on(struct pmtu *pmtu, const struct pmtu_view *view)
{
    uint16_t hint = pmtu->hint, next = next_size(pmtu);

    if (next == 0) {
        finish_search(pmtu, view->now_ns);
        return;
    }
    try_size(pmtu, next, view->random);
    pmtu->is_hinted = hint && (next == hint || next == hint + 1); // no other hint interrupts that
}

static void raise(struct pmtu *pmtu)
{
    pmtu->state = PMTU_SEARCHING;
    pmtu->high = PATH_MTU_MAX;
    pmtu->has_tried_top = false;
    pmtu->hint = pmtu->low;
}

// What to use instead of a size that may not pass.
static uint16_t size_below(const struct pmtu *pmtu, uint16_t size)
{
    return size > PMTU_BASE ? PMTU_BASE : pmtu->floor;
}

// The size that was in use does not pass any more.
static void fall(struct pmtu *pmtu, uint16_t fallen)
{
    if (fallen <= pmtu->floor)
        return;
    pmtu->size = size_below(pmtu, fallen);
    begin_search(pmtu, (uint16_t)(fallen - 1));
    pmtu->has_tried_top = true; // one byte less is no likely size
    if (fallen <= PMTU_BASE)
        pmtu->low = pmtu->floor;
}

// That size does not pass.
static void lower_high(struct pmtu *pmtu, uint32_t size)
{
    if (pmtu->high >= size)
        pmtu->high = (uint16_t)(size - 1);
}

// Returns whether what was sent is accounted for.
static bool passed(struct pmtu *pmtu)
{
    bool was_check = pmtu->is_check;

    if (pmtu->probe > pmtu->low)
        pmtu->low = pmtu->probe;
    if (pmtu->low > pmtu->size)
        pmtu->size = pmtu->low;
    if (was_check && pmtu->hint) { // it was wrong
        pmtu->hint = 0;
        pmtu->n_wrong++;
    }
    if (was_check && pmtu->n_needless < PMTU_NEEDLESS_MAX)
        pmtu->n_needless++;
    forget_probe(pmtu);
    return was_check;
}

static void failed(struct pmtu *pmtu)
{
    uint16_t size = pmtu->probe;

    pmtu->probe = 0;
    if (pmtu->is_check) {
        fall(pmtu, size);
        pmtu->vanished = size;
        pmtu->news = PMTU_NEWS_BLACK_HOLE;
        return;
    }
    if (pmtu->low == 0) // not even the base
        pmtu->size = pmtu->low = pmtu->floor;
    lower_high(pmtu, size);
}

/* ---- probes ---- */

static uint64_t wait_ns(const struct pmtu *pmtu, const struct pmtu_view *view)
{
    uint64_t wait = view->rtt_ns ? PMTU_WAIT_NS + 2 * view->rtt_ns : PMTU_WAIT_BLIND_NS;

    if (pmtu->n_silent > 0) // the path is down: no need for haste
        return wait << (pmtu->n_silent < 4 ? pmtu->n_silent : 4);
    return pmtu->n_probes < PMTU_PROBES_MAX ? wait : 2 * wait;
}

// Judges the try that is out, and says whether another one is due.
static bool is_try_due(struct pmtu *pmtu, const struct pmtu_view *view)
{
    if (pmtu->n_probes + pmtu->n_silent == 0)
        return true;
    if (view->now_ns < pmtu->probed_ns + wait_ns(pmtu, view))
        return false;
    if (view->echoed_ns <= pmtu->probed_ns) { // nothing gets there at all, or back
        pmtu->n_silent++;
        pmtu->n_probes--;
    } else {
        pmtu->n_silent = 0;
    }
    if (pmtu->n_probes < PMTU_PROBES_MAX)
        return true;
    failed(pmtu);
    return false;
}

static void begin_check(struct pmtu *pmtu, const struct random_source *random)
{
    bool has_hint = pmtu->hint >= PMTU_BASE && pmtu->hint < pmtu->size;

    try_size(pmtu, pmtu->size, random);
    pmtu->is_check = true;
    pmtu->wants_check = false;
    pmtu->size = has_hint ? pmtu->hint : size_below(pmtu, pmtu->size);
}

static uint64_t suspicion_ns(const struct pmtu *pmtu, const struct pmtu_view *view)
{
    return (PMTU_SUSPECT_NS + 2 * view->rtt_ns) << pmtu->n_needless;
}

static void suspect(struct pmtu *pmtu, const struct pmtu_view *view)
{
    bool is_large = view->largest_sent > pmtu->floor && pmtu->size > pmtu->floor; // at the floor there is nothing to suspect

    if (is_large)
        pmtu->busy_ns = view->now_ns;
    if (!is_large || pmtu->is_check) {
        pmtu->suspect_ns = 0;
        return;
    }
    if (pmtu->suspect_ns == 0)
        pmtu->suspect_ns = view->now_ns;
    else if (view->now_ns >= pmtu->suspect_ns + suspicion_ns(pmtu, view))
        pmtu->wants_check = true;
}

static uint64_t deadline_ns(const struct pmtu *pmtu, const struct pmtu_view *view)
{
    uint64_t deadline = pmtu->probe ? pmtu->probed_ns + wait_ns(pmtu, view) : pmtu->raise_ns;
    bool is_busy = pmtu->busy_ns && view->now_ns < pmtu->busy_ns + PMTU_BUSY_NS;

    return is_busy && view->now_ns + PMTU_LOOK_NS < deadline ? view->now_ns + PMTU_LOOK_NS : deadline;
}

struct pmtu_result pmtu_tick(struct pmtu *pmtu, const struct pmtu_view *view)
{
    struct pmtu_result result = {.deadline_ns = UINT64_MAX};

    if (pmtu->state == PMTU_FIXED)
        return result;
    suspect(pmtu, view);
    if (pmtu->wants_check && !pmtu->is_check)
        begin_check(pmtu, view->random);
    if (pmtu->state == PMTU_FOUND && pmtu->probe == 0 && view->now_ns >= pmtu->raise_ns)
        raise(pmtu);
    bool is_due = pmtu->probe && is_try_due(pmtu, view);
    if (pmtu->probe == 0 && pmtu->state == PMTU_SEARCHING) {
        search_on(pmtu, view);
        is_due = pmtu->probe != 0;
    }
    if (is_due) {
        pmtu->n_probes++;
        pmtu->probed_ns = view->now_ns;
        result.probe = pmtu->probe;
    }
    result.deadline_ns = deadline_ns(pmtu, view);
    return result;
}

/* ---- what is heard ---- */

bool pmtu_probe_answered(struct pmtu *pmtu, const uint8_t token[static WIRE_TOKEN_LEN])
{
    return pmtu->probe && memcmp(pmtu->token, token, WIRE_TOKEN_LEN) == 0 && passed(pmtu);
}

bool pmtu_reported(struct pmtu *pmtu, uint32_t largest, uint32_t largest_sent)
{
    bool is_about_before = pmtu->n_probes + pmtu->n_silent <= 1; // the check has just begun: what arrived may have been sent before

    pmtu->n_needless = 0;
    if (pmtu->is_check && largest >= pmtu->probe && !is_about_before)
        return passed(pmtu);
    if (largest < largest_sent)
        return false;
    pmtu->suspect_ns = 0;
    return true;
}

bool pmtu_refused(struct pmtu *pmtu, uint32_t size)
{
    if (pmtu->state == PMTU_FIXED || size == 0)
        return false;
    uint16_t in_use = pmtu->is_check ? pmtu->probe : pmtu->size;
    if (size > in_use) {
        if (size == pmtu->probe)
            failed(pmtu);
        return false;
    }
    fall(pmtu, in_use);
    lower_high(pmtu, size);
    return true;
}

// Whoever forges hints must not keep us busy with checks: each interrupts the search, which takes seconds where the round trip is long.
static uint64_t hint_every_ns(const struct pmtu *pmtu)
{
    return PMTU_HINT_EVERY_NS << (pmtu->n_wrong < PMTU_WRONG_MAX ? pmtu->n_wrong : PMTU_WRONG_MAX);
}

void pmtu_hinted(struct pmtu *pmtu, uint32_t size, uint64_t now_ns)
{
    if (pmtu->state == PMTU_FIXED || size < pmtu->floor || size >= PATH_MTU_MAX)
        return;
    if (size < pmtu->size) {
        if (pmtu->is_check || now_ns < pmtu->checked_ns + hint_every_ns(pmtu))
            return;
        pmtu->checked_ns = now_ns;
        pmtu->hint = (uint16_t)size;
        pmtu->wants_check = true;
        return;
    }
    bool is_trying_hint = pmtu->probe && (pmtu->is_check || pmtu->is_hinted);
    if (pmtu->state != PMTU_SEARCHING || is_trying_hint || size < pmtu->low || size > pmtu->high)
        return;
    pmtu->hint = (uint16_t)size;
    if (pmtu->low > 0 && size < pmtu->probe)
        pmtu->probe = 0; // that one will not come back
}
