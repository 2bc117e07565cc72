// SPDX-License-Identifier: MIT
/*
 * pmtu against paths of every size, with and without ICMP, with loss, black holes and lies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "ethercord/log.h"
#include "ethercord/pmtu.h"

#define START_NS (1000 * NS_PER_S)

#ifndef STORM_EVENTS
#define STORM_EVENTS 1000000
#endif

// A path and the node at its beginning, on a virtual clock.
struct path {
    struct pmtu pmtu;
    uint64_t now_ns;
    uint64_t echoed_ns;
    uint64_t rtt_ns;
    uint32_t carries;      // larger packets vanish …
    uint32_t device;       // … and those larger than this are refused by our kernel; 0 = none are
    bool has_icmp;         // whether the first says so
    bool is_down;          // nothing passes at all
    bool is_loaded;        // large datagrams go out all the time
    unsigned loss_percent; // of probes, and of the echoes that go with them
    uint32_t largest_sent;
    uint64_t report_ns; // the peer's next one
    uint64_t answer_ns; // of the probe that is on its way; 0 = none
    uint8_t token[WIRE_TOKEN_LEN];
    uint64_t dice;
    unsigned n_probes, n_found, n_black_holes;
    uint64_t stalled_ns; // how long, of late, packets were sent that the path does not carry
};

static uint32_t roll(struct path *path, uint32_t limit)
{
    path->dice = path->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(path->dice >> 33) % limit;
}

static void fill_random(void *ctx, void *out, size_t len)
{
    uint8_t *bytes = out;

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)roll(ctx, 256);
}

static void path_open(struct path *path, uint16_t family, uint32_t carries)
{
    memset(path, 0, sizeof *path);
    path->now_ns = START_NS;
    path->carries = carries;
    path->rtt_ns = 10 * NS_PER_MS;
    path->dice = carries + family;
    pmtu_init(&path->pmtu, 0);
    pmtu_restart(&path->pmtu, family);
}

static bool is_lost(struct path *path)
{
    return path->is_down || roll(path, 100) < path->loss_percent;
}

static void send_probe(struct path *path, uint16_t size)
{
    path->n_probes++;
    if (!is_lost(path)) // the echo beside it
        path->echoed_ns = path->now_ns + path->rtt_ns;
    if (path->device && size > path->device) {
        (void)pmtu_refused(&path->pmtu, size);
        pmtu_hinted(&path->pmtu, path->device, path->now_ns);
    } else if (size > path->carries) {
        if (path->has_icmp)
            pmtu_hinted(&path->pmtu, path->carries, path->now_ns);
    } else if (!is_lost(path)) {
        path->answer_ns = path->now_ns + path->rtt_ns;
        memcpy(path->token, path->pmtu.token, sizeof path->token);
    }
}

// What lies on the path behaves as it does, up to that moment.
static void pass_time(struct path *path, uint64_t until_ns)
{
    uint64_t passed_ns = until_ns - path->now_ns;

    path->now_ns = until_ns;
    if (path->answer_ns && path->now_ns >= path->answer_ns) {
        path->answer_ns = 0;
        if (pmtu_probe_answered(&path->pmtu, path->token))
            path->largest_sent = 0;
    }
    if (!path->is_loaded)
        return;
    path->largest_sent = path->pmtu.size;
    if (path->pmtu.size > path->carries) {
        path->stalled_ns += passed_ns;
    } else if (path->now_ns >= path->report_ns && !path->is_down) {
        path->report_ns = path->now_ns + 200 * NS_PER_MS;
        if (pmtu_reported(&path->pmtu, path->pmtu.size, path->largest_sent))
            path->largest_sent = 0;
    }
}

static void take_news(struct path *path)
{
    enum pmtu_news news = pmtu_take_news(&path->pmtu);

    path->n_found += news == PMTU_NEWS_FOUND;
    path->n_black_holes += news == PMTU_NEWS_BLACK_HOLE;
}

static void turn(struct path *path)
{
    const struct random_source random = {.ctx = path, .fill = fill_random};
    const struct pmtu_view view = {.now_ns = path->now_ns,
                                   .echoed_ns = path->echoed_ns <= path->now_ns ? path->echoed_ns : 0,
                                   .rtt_ns = path->rtt_ns,
                                   .largest_sent = path->largest_sent,
                                   .random = &random};
    struct pmtu_result result = pmtu_tick(&path->pmtu, &view);

    take_news(path);
    assert_true(result.deadline_ns > path->now_ns); // it never spins
    if (result.probe) {
        assert_in_range(result.probe, PATH_MTU_MIN, PATH_MTU_MAX);
        send_probe(path, result.probe);
    }
}

static void run(struct path *path, uint64_t duration_ns)
{
    uint64_t end_ns = path->now_ns + duration_ns;

    while (path->now_ns < end_ns) {
        turn(path);
        pass_time(path, path->now_ns + NS_PER_MS);
    }
}

// Until the search ends; the time it took.
static uint64_t run_until_found(struct path *path, uint64_t limit_ns)
{
    uint64_t from_ns = path->now_ns;

    while (path->pmtu.state != PMTU_FOUND && path->now_ns - from_ns < limit_ns)
        run(path, NS_PER_MS);
    assert_int_equal(path->pmtu.state, PMTU_FOUND);
    return path->now_ns - from_ns;
}

static void test_every_size_is_found(void **state)
{
    (void)state;
    for (uint32_t size = PATH_MTU_MIN; size <= PATH_MTU_MAX; size += size < 1600 ? 1 : 37) {
        struct path path;
        path_open(&path, AF_INET, size);
        run_until_found(&path, 30 * NS_PER_S);
        assert_int_equal(path.pmtu.size, size);
        assert_int_equal(path.n_found, 1);
        assert_int_equal(path.n_black_holes, 0);
    }
}

static void test_sizes_of_ipv6(void **state)
{
    (void)state;
    for (uint32_t size = 1280; size <= 1600; size++) {
        struct path path;
        path_open(&path, AF_INET6, size);
        run_until_found(&path, 30 * NS_PER_S);
        assert_int_equal(path.pmtu.size, size);
    }
}

static void test_a_path_of_ethernet_takes_three_round_trips(void **state)
{
    (void)state;
    struct path path;
    path_open(&path, AF_INET, 1500);
    path.device = 1500;
    uint64_t took_ns = run_until_found(&path, NS_PER_S);
    assert_int_equal(path.pmtu.size, 1500);
    assert_in_range(took_ns, 0, 30 * NS_PER_MS);
    assert_in_range(path.n_probes, 1, 4); // base, the largest, 1500, 1501
}

static void test_icmp_is_a_short_cut(void **state)
{
    (void)state;
    for (uint32_t size = 1281; size < 1500; size += 3) {
        struct path path;
        path_open(&path, AF_INET, size);
        path.device = 1500;
        path.has_icmp = true;
        uint64_t took_ns = run_until_found(&path, 5 * NS_PER_S);
        assert_int_equal(path.pmtu.size, size);
        assert_in_range(took_ns, 0, 1500 * NS_PER_MS); // most of it: that 1500, and one byte more than was said, do not pass
    }
}

static void test_only_the_base_is_used_until_more_is_known(void **state)
{
    (void)state;
    struct path path;
    path_open(&path, AF_INET, 1500);
    path.is_down = true;
    run(&path, 20 * NS_PER_S);
    assert_int_equal(path.pmtu.size, PMTU_BASE);
    assert_int_equal(path.pmtu.state, PMTU_SEARCHING);
    assert_int_equal(path.n_black_holes, 0);
    assert_in_range(path.n_probes, 5, 30); // less and less often
    path.is_down = false;
    run_until_found(&path, 20 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1500);
}

static void test_loss_does_not_shrink_it(void **state)
{
    unsigned n_wrong = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct path path;
        path_open(&path, AF_INET, 1500);
        path.dice = i;
        path.device = 1500;
        path.loss_percent = 5;
        run_until_found(&path, 30 * NS_PER_S);
        n_wrong += path.pmtu.size != 1500;
        run(&path, 120 * NS_PER_S); // whatever was missed is found at the next raise
        assert_int_equal(path.pmtu.size, 1500);
    }
    assert_in_range(n_wrong, 0, 4);
}

static void find_1500_under_load(struct path *path, uint16_t family)
{
    path_open(path, family, 1500);
    path->device = 1500;
    path->is_loaded = true;
    run_until_found(path, 5 * NS_PER_S);
    run(path, 5 * NS_PER_S);
    assert_int_equal(path->pmtu.size, 1500);
    assert_int_equal(path->n_black_holes, 0);
    assert_in_range(path->n_probes, 1, 8); // reports make checks needless
}

static void test_a_black_hole_is_found_under_traffic(void **state)
{
    (void)state;
    for (uint32_t size = PATH_MTU_MIN; size < 1500; size += 13) {
        struct path path;
        find_1500_under_load(&path, AF_INET);
        path.carries = size;
        run(&path, 5 * NS_PER_S);
        assert_in_range(path.pmtu.size, PATH_MTU_MIN, size);
        assert_in_range(path.stalled_ns, 1, (size < PMTU_BASE ? 1500 : 500) * NS_PER_MS);
        assert_in_range(path.n_black_holes, 1, 2);
        run(&path, 10 * NS_PER_S);
        assert_int_equal(path.pmtu.size, size);
    }
}

static void test_a_black_hole_of_ipv6(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET6);
    path.carries = 1300;
    run(&path, 10 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1300);
    assert_in_range(path.stalled_ns, 1, 500 * NS_PER_MS);
}

static void test_a_black_hole_without_traffic_is_found_with_the_first(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    path.is_loaded = false;
    path.largest_sent = 0; // the last report was about all of it
    path.carries = 1300;
    run(&path, 60 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1500); // nobody has asked
    path.is_loaded = true;
    run(&path, 5 * NS_PER_S);
    assert_in_range(path.pmtu.size, PMTU_BASE, 1300);
}

static void test_icmp_about_a_smaller_path_is_checked_at_once(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    path.carries = 1400;
    pmtu_hinted(&path.pmtu, 1400, path.now_ns);
    run(&path, 2 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1400);
    assert_int_equal(path.stalled_ns, 0); // what ICMP says is used at once
    assert_int_equal(path.pmtu.vanished, 1500);
}

// What the peer says next is about what came before the path was smaller.
static void test_a_late_report_ends_no_check(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    path.carries = 1400;
    pmtu_hinted(&path.pmtu, 1400, path.now_ns);
    run(&path, 50 * NS_PER_MS);
    assert_true(path.pmtu.is_check);
    (void)pmtu_reported(&path.pmtu, 1500, path.largest_sent);
    run(&path, 2 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1400);
    assert_int_equal(path.stalled_ns, 0);
}

static void test_forged_icmp_shrinks_nothing(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    unsigned n_before = path.n_probes, n_smaller = 0;
    for (int i = 0; i < 10000; i++) {
        pmtu_hinted(&path.pmtu, roll(&path, 10000), path.now_ns);
        run(&path, NS_PER_MS);
        n_smaller += path.pmtu.size != 1500;
        assert_true(path.pmtu.size >= PMTU_BASE);
    }
    assert_int_equal(path.n_black_holes, 0);
    assert_in_range(path.n_probes - n_before, 0, 15); // 10 s
    assert_in_range(n_smaller, 1, 200);               // ms, of 10 s: a round trip now and then
}

static void test_forged_icmp_does_not_keep_the_search_from_its_end(void **state)
{
    static const unsigned rtts_ms[] = {10, 100, 300, 600};

    (void)state;
    for (size_t i = 0; i < sizeof rtts_ms / sizeof *rtts_ms; i++)
        for (uint32_t device = 0; device <= 1500; device += 1500) { // without its help the search takes longer
            struct path path;
            path_open(&path, AF_INET, 1500);
            path.rtt_ns = rtts_ms[i] * NS_PER_MS;
            path.device = device;
            for (int ms = 0; ms < 200000 && path.pmtu.state != PMTU_FOUND; ms++) {
                pmtu_hinted(&path.pmtu, roll(&path, 10000), path.now_ns);
                run(&path, NS_PER_MS);
            }
            assert_int_equal(path.pmtu.state, PMTU_FOUND);
            assert_int_equal(path.pmtu.size, 1500);
        }
}

static void test_what_is_out_of_bounds_is_no_hint(void **state)
{
    static const uint32_t absurd[] = {0, 1, 68, 575, 9216, 65535, UINT32_MAX};

    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++)
        pmtu_hinted(&path.pmtu, absurd[i], path.now_ns);
    assert_false(path.pmtu.wants_check);
    assert_int_equal(path.pmtu.hint, 0);
}

static void test_a_wider_path_is_noticed(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    path.carries = 1300;
    run(&path, 20 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1300);
    path.carries = 1500;
    run(&path, 40 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1500);
}

static void test_raising_gets_rare(void **state)
{
    (void)state;
    struct path path;
    path_open(&path, AF_INET, 1500);
    path.device = 0; // silence only
    run_until_found(&path, 30 * NS_PER_S);
    path.n_probes = 0;
    run(&path, 3600 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1500);
    assert_in_range(path.n_probes, 3 * 6, 3 * 12); // 30, 60, … 480, then each 600 s; three of 1501 bytes each
    assert_int_equal(path.n_found, 1);
}

static void test_our_own_interface_says_no(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    path.device = path.carries = 1350;
    assert_true(pmtu_refused(&path.pmtu, 1500));
    assert_int_equal(path.pmtu.size, PMTU_BASE); // at once
    (void)pmtu_refused(&path.pmtu, 1500);        // the others of the same train
    (void)pmtu_refused(&path.pmtu, 1499);
    run(&path, NS_PER_S);
    assert_int_equal(path.pmtu.size, 1350);
    assert_int_equal(path.n_black_holes, 0);
}

static void test_our_own_interface_is_smaller_than_the_base(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    path.device = path.carries = 1000;
    (void)pmtu_refused(&path.pmtu, 1500);
    run(&path, 10 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1000);
}

static void test_another_endpoint_begins_anew(void **state)
{
    (void)state;
    struct path path;
    find_1500_under_load(&path, AF_INET);
    pmtu_restart(&path.pmtu, AF_INET6);
    assert_int_equal(path.pmtu.size, PMTU_BASE);
    assert_int_equal(path.pmtu.state, PMTU_SEARCHING);
    path.carries = path.device = 1492;
    run(&path, 10 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1492);
    assert_int_equal(path.n_black_holes, 0);
}

static void test_a_late_answer_counts_for_its_size_only(void **state)
{
    uint8_t token[WIRE_TOKEN_LEN];

    (void)state;
    struct path path;
    path_open(&path, AF_INET, 1500);
    turn(&path);
    memcpy(token, path.pmtu.token, sizeof token);
    assert_int_equal(path.pmtu.probe, PMTU_BASE);
    path.carries = 0; // nothing comes back by itself
    (void)pmtu_probe_answered(&path.pmtu, token);
    turn(&path);
    assert_true(path.pmtu.probe > PMTU_BASE);
    uint16_t size = path.pmtu.probe;
    (void)pmtu_probe_answered(&path.pmtu, token); // once more, for something else
    assert_int_equal(path.pmtu.probe, size);
    assert_int_equal(path.pmtu.size, PMTU_BASE);
}

static void test_a_fixed_size_is_left_alone(void **state)
{
    (void)state;
    struct path path;
    path_open(&path, AF_INET, 1300);
    pmtu_init(&path.pmtu, 1420);
    pmtu_restart(&path.pmtu, AF_INET);
    path.is_loaded = true;
    assert_false(pmtu_refused(&path.pmtu, 1420));
    pmtu_hinted(&path.pmtu, 1300, path.now_ns);
    run(&path, 10 * NS_PER_S);
    assert_int_equal(path.pmtu.size, 1420);
    assert_int_equal(path.n_probes, 0);
    assert_string_equal(pmtu_state_name(path.pmtu.state), "fixed");
}

// A peer of long ago sends no reports: the checks do without.
static void test_without_reports_the_size_holds(void **state)
{
    (void)state;
    struct path path;
    path_open(&path, AF_INET, 1500);
    path.device = 1500;
    path.is_loaded = true;
    path.report_ns = UINT64_MAX;
    run_until_found(&path, 5 * NS_PER_S);
    path.n_probes = 0;
    run(&path, 20 * NS_PER_S);
    assert_int_equal(path.pmtu.is_check ? path.pmtu.probe : path.pmtu.size, 1500);
    assert_int_equal(path.n_black_holes, 0);
    assert_in_range(path.n_probes, 10, 100);
    path.carries = 1300;
    run(&path, 5 * NS_PER_S);
    assert_in_range(path.pmtu.size, PMTU_BASE, 1300);
}

/* ---- anything at any time ---- */

static struct pmtu_result storm_tick(struct path *path)
{
    const struct random_source random = {.ctx = path, .fill = fill_random};
    const struct pmtu_view view = {.now_ns = path->now_ns,
                                   .echoed_ns = path->echoed_ns,
                                   .rtt_ns = path->rtt_ns,
                                   .largest_sent = path->largest_sent,
                                   .random = &random};
    struct pmtu_result result = pmtu_tick(&path->pmtu, &view);

    take_news(path);
    assert_true(result.deadline_ns > path->now_ns);
    if (result.probe) {
        assert_int_equal(result.probe, path->pmtu.probe);
        assert_in_range(result.probe, path->pmtu.floor, PATH_MTU_MAX);
    }
    return result;
}

static uint32_t storm_size(struct path *path)
{
    const struct pmtu *pmtu = &path->pmtu;
    const uint32_t near[] = {pmtu->size, pmtu->probe, pmtu->low, pmtu->high, pmtu->hint, pmtu->floor, PMTU_BASE, PATH_MTU_MAX};
    uint32_t pick = roll(path, 12);

    if (pick < 8)
        return near[pick] + roll(path, 3) - 1; // UINT32_MAX, too
    return pick < 11 ? roll(path, 10000) : roll(path, UINT32_MAX);
}

// Something large was sent before the path was this one, and nobody will ever say that it has come.
static void test_an_idle_path_is_not_looked_at(void **state)
{
    static const uint16_t families[] = {AF_INET, AF_INET6};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct path path;
        path_open(&path, families[i], families[i] == AF_INET6 ? PMTU_BASE : PATH_MTU_MIN);
        run_until_found(&path, 60 * NS_PER_S);
        path.largest_sent = 1500;
        run(&path, 5 * NS_PER_S);
        assert_int_equal(path.pmtu.size, path.pmtu.floor);
        uint64_t deadline_ns = storm_tick(&path).deadline_ns;
        assert_true(deadline_ns > path.now_ns + NS_PER_S);
    }
}

// Whatever comes in whatever order. Returns whether the path is another one.
static bool storm_event(struct path *path)
{
    static const uint64_t steps_ns[] = {0, 1, NS_PER_MS, 50 * NS_PER_MS, 300 * NS_PER_MS, NS_PER_S, 700 * NS_PER_S};
    uint8_t token[WIRE_TOKEN_LEN] = {0};

    switch (roll(path, 16)) {
    case 0:
    case 1:
        if (pmtu_probe_answered(&path->pmtu, path->pmtu.token))
            path->largest_sent = 0;
        break;
    case 2:
        assert_false(pmtu_probe_answered(&path->pmtu, token));
        break;
    case 3:
        if (pmtu_reported(&path->pmtu, storm_size(path), path->largest_sent))
            path->largest_sent = 0;
        break;
    case 4:
        if (pmtu_refused(&path->pmtu, storm_size(path) | 32)) // no packet has fewer bytes
            path->largest_sent = 0;
        break;
    case 5:
        pmtu_hinted(&path->pmtu, storm_size(path), path->now_ns);
        break;
    case 6:
        path->largest_sent = storm_size(path);
        break;
    case 7:
        path->rtt_ns = roll(path, 3) * (uint64_t)roll(path, 2000000000);
        break;
    case 8:
        if (roll(path, 20) == 0)
            pmtu_resume(&path->pmtu);
        break;
    case 9:
        if (roll(path, 50) == 0) {
            pmtu_restart(&path->pmtu, roll(path, 2) ? AF_INET6 : AF_INET);
            return true;
        }
        break;
    case 10:
        path->echoed_ns = path->now_ns;
        break;
    default:
        path->now_ns += steps_ns[roll(path, 7)];
        (void)storm_tick(path);
    }
    return false;
}

// From here on the path is as it should be: what it carries is found.
static void calm_down(struct path *path)
{
    uint32_t carries = path->pmtu.floor + roll(path, (uint32_t)(PATH_MTU_MAX - path->pmtu.floor) + 1);
    uint64_t end_ns = path->now_ns + 4000 * NS_PER_S; // the rarest raise, and what may have to be found out before
    bool is_loaded = roll(path, 2);

    path->rtt_ns = 20 * NS_PER_MS;
    while (path->now_ns < end_ns) {
        struct pmtu_result result = storm_tick(path);
        path->now_ns += path->rtt_ns;
        path->echoed_ns = path->now_ns;
        path->largest_sent = is_loaded ? path->pmtu.size : 0;
        if (result.probe && result.probe <= carries)
            (void)pmtu_probe_answered(&path->pmtu, path->pmtu.token);
        if (is_loaded && path->pmtu.size <= carries && pmtu_reported(&path->pmtu, path->pmtu.size, path->largest_sent))
            path->largest_sent = 0;
        else if (result.deadline_ns > path->now_ns)
            path->now_ns = result.deadline_ns;
    }
    if (path->pmtu.size != carries && (is_loaded || path->pmtu.size < carries))
        fail_msg("%u is in use where %u pass", path->pmtu.size, carries);
}

static void test_whatever_comes(void **state)
{
    struct path path;
    uint32_t largest = PMTU_BASE; // that can have passed

    (void)state;
    path_open(&path, AF_INET, 0);
    for (int i = 1; i <= STORM_EVENTS; i++) {
        uint16_t probe = path.pmtu.probe;
        if (storm_event(&path))
            largest = PMTU_BASE;
        largest = probe > largest ? probe : largest;
        assert_in_range(path.pmtu.size, path.pmtu.floor, largest);
        assert_true(path.pmtu.low <= PATH_MTU_MAX && path.pmtu.high <= PATH_MTU_MAX && path.pmtu.hint <= PATH_MTU_MAX);
        assert_true(!path.pmtu.is_check || (path.pmtu.probe > 0 && path.pmtu.size < path.pmtu.probe));
        if (i % 5000 == 0) {
            calm_down(&path);
            largest = path.pmtu.is_check ? path.pmtu.probe : path.pmtu.size;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_is_found),
        cmocka_unit_test(test_sizes_of_ipv6),
        cmocka_unit_test(test_a_path_of_ethernet_takes_three_round_trips),
        cmocka_unit_test(test_icmp_is_a_short_cut),
        cmocka_unit_test(test_only_the_base_is_used_until_more_is_known),
        cmocka_unit_test(test_loss_does_not_shrink_it),
        cmocka_unit_test(test_a_black_hole_is_found_under_traffic),
        cmocka_unit_test(test_a_black_hole_of_ipv6),
        cmocka_unit_test(test_a_black_hole_without_traffic_is_found_with_the_first),
        cmocka_unit_test(test_icmp_about_a_smaller_path_is_checked_at_once),
        cmocka_unit_test(test_a_late_report_ends_no_check),
        cmocka_unit_test(test_forged_icmp_shrinks_nothing),
        cmocka_unit_test(test_forged_icmp_does_not_keep_the_search_from_its_end),
        cmocka_unit_test(test_what_is_out_of_bounds_is_no_hint),
        cmocka_unit_test(test_a_wider_path_is_noticed),
        cmocka_unit_test(test_raising_gets_rare),
        cmocka_unit_test(test_our_own_interface_says_no),
        cmocka_unit_test(test_our_own_interface_is_smaller_than_the_base),
        cmocka_unit_test(test_another_endpoint_begins_anew),
        cmocka_unit_test(test_a_late_answer_counts_for_its_size_only),
        cmocka_unit_test(test_a_fixed_size_is_left_alone),
        cmocka_unit_test(test_without_reports_the_size_holds),
        cmocka_unit_test(test_an_idle_path_is_not_looked_at),
        cmocka_unit_test(test_whatever_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
