// SPDX-License-Identifier: MIT
/*
 * sim_seeds: a scenario under many seeds, and what is said when one fails.
 *
 * Many seeds are shared out among processes, one per CPU. Each says in shared memory which seed it has in hand, so that a crash, or a seed
 * that never ends, can be repeated as well. In a process like that a failure is told and ends it; the other ones are stopped then.
 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ethercord/log.h"
#include "sim.h"

enum { FULL_FACTOR = 10, PROCESSES_MAX = 16, SHARED_OUT_FROM = 500, MMAP_FROM = 256 * 1024, SEED_S_MAX = 120 };
#if defined(POOL_POISON) || !defined(__OPTIMIZE__)
enum { SLOWNESS = 20 }; // instrumented
#else
enum { SLOWNESS = 1 };
#endif

// What a process has done; in shared memory.
struct progress {
    uint64_t seed, n_seeds, n_datagrams, n_damaged, n_frames, simulated_ns;
};
struct shares {
    const char *scenario_name;
    sim_scenario scenario;
    uint64_t n_seeds;
    unsigned n_processes;
    struct progress *progress;
    pid_t pids[PROCESSES_MAX];
};

static bool is_one_of_many; // this process

static void print_keypair(const char *epoch, const struct keypair *keypair)
{
    if (keypair->is_used)
        fprintf(stderr, "  %s: %08x -> %08x, %s, born at %.6f s\n", epoch, keypair->local_index, keypair->remote_index,
                keypair->is_initiator ? "initiator" : "responder", (double)keypair->born_ns / 1e9);
}

static void print_node(const struct sim_node *node)
{
    if (!node->node || !node->config.has_peer)
        return;
    const struct peer *peer = node_peer(node->node);
    fprintf(stderr, "node %d: state %d, %s key, up %u down %u times, its clock says %.6f s\n", node->id, peer_state(peer),
            peer->is_greater ? "greater" : "lesser", node->n_up, node->n_down, (double)sim_boot_clock(node) / 1e9);
    print_keypair("previous", &peer->previous);
    print_keypair("current", &peer->current);
    print_keypair("next", &peer->next);
    print_keypair("arriving", &peer->arriving);
}

static void print_command(const char *scenario, uint64_t seed)
{
    fprintf(stderr, "repeat: SIM_SEED=%llu SIM_ONLY=%s %s\n", (unsigned long long)seed, scenario, program_invocation_name);
}

void sim_fail(const struct sim *sim, const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s (at %.6f s)\n", file, line, what, (double)sim->now_ns / 1e9);
    for (size_t id = 0; id < sim->n_nodes; id++)
        print_node(&sim->nodes[id]);
    print_command(sim->scenario, sim->seed);
    fflush(NULL);
    if (is_one_of_many)
        _exit(1);
    _fail(file, line);
    abort(); // cmocka has left by now
}

void sim_begin(void)
{
    const char *only = getenv("SIM_ONLY");

    if (only)
        cmocka_set_test_filter(only);
    if (sodium_init() < 0)
        abort();
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM); // what nodes ask for zeroed and hardly use stays cheap
    log_set_level(getenv("SIM_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
}

static void run_seed(const char *name, uint64_t seed, sim_scenario scenario, struct progress *progress)
{
    static struct sim sim; // too large for a stack

    progress->seed = seed;
    sim_open(&sim, name, seed);
    uint64_t began_ns = sim.now_ns;
    scenario(&sim);
    progress->n_seeds++;
    progress->simulated_ns += sim.now_ns - began_ns;
    progress->n_datagrams += sim.n_taken;
    progress->n_damaged += sim.n_damaged;
    for (size_t id = 0; id < sim.n_nodes; id++)
        progress->n_frames += sim_n_sent(&sim, (int)id);
    sim_close(&sim);
}

/* ---- shared out ---- */

static _Noreturn void work(const struct shares *shares, unsigned share)
{
    is_one_of_many = true;
    for (uint64_t seed = 1 + share; seed <= shares->n_seeds; seed += shares->n_processes) {
        alarm(SEED_S_MAX); // one that never ends is told, too
        run_seed(shares->scenario_name, seed, shares->scenario, &shares->progress[share]);
    }
    exit(0); // whoever looks for leaks at the exit finds them
}

static unsigned share_of(const struct shares *shares, pid_t pid)
{
    unsigned share = 0;

    while (share + 1 < shares->n_processes && shares->pids[share] != pid)
        share++;
    return share;
}

// Whether all went well. The first failure ends the others.
static bool wait_for_all(struct shares *shares)
{
    bool is_well = true;
    int status;

    for (unsigned n = 0; n < shares->n_processes; n++) {
        pid_t pid = wait(&status);
        unsigned share = share_of(shares, pid);
        shares->pids[share] = 0;
        if (!is_well || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
            continue;
        is_well = false;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 1) { // it had no time to tell
            fprintf(stderr, "%s: seed %llu ended with status 0x%x\n", shares->scenario_name,
                    (unsigned long long)shares->progress[share].seed, (unsigned)status);
            print_command(shares->scenario_name, shares->progress[share].seed);
        }
        for (unsigned i = 0; i < shares->n_processes; i++)
            if (shares->pids[i] > 0)
                kill(shares->pids[i], SIGKILL);
    }
    return is_well;
}

static void print_sums(const struct shares *shares)
{
    struct progress sum = {0};

    for (unsigned i = 0; i < shares->n_processes; i++) {
        sum.n_seeds += shares->progress[i].n_seeds;
        sum.n_datagrams += shares->progress[i].n_datagrams;
        sum.n_damaged += shares->progress[i].n_damaged;
        sum.n_frames += shares->progress[i].n_frames;
        sum.simulated_ns += shares->progress[i].simulated_ns;
    }
    printf("# %s: %llu seeds, %.0f s of simulated time, %llu datagrams, %llu of them damaged, %llu frames; %u processes\n",
           shares->scenario_name, (unsigned long long)sum.n_seeds, (double)sum.simulated_ns / 1e9, (unsigned long long)sum.n_datagrams,
           (unsigned long long)sum.n_damaged, (unsigned long long)sum.n_frames, shares->n_processes);
    fflush(stdout);
    assert_true(sum.n_seeds == shares->n_seeds);
}

static void share_out(struct shares *shares)
{
    const size_t len = PROCESSES_MAX * sizeof *shares->progress;
    long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

    shares->n_processes = n_cpus < 1 ? 1 : n_cpus > PROCESSES_MAX ? PROCESSES_MAX : (unsigned)n_cpus;
    shares->progress = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shares->progress != MAP_FAILED);
    fflush(NULL);
    for (unsigned i = 0; i < shares->n_processes; i++) {
        shares->pids[i] = fork();
        if (shares->pids[i] == 0)
            work(shares, i);
        assert_true(shares->pids[i] > 0);
    }
    bool is_well = wait_for_all(shares);
    if (is_well)
        print_sums(shares);
    munmap(shares->progress, len);
    assert_true(is_well);
}

void sim_each_seed(const char *name, unsigned n, sim_scenario scenario)
{
    const char *only = getenv("SIM_SEED");
    struct progress progress = {0};

    if (only) {
        run_seed(name, strtoull(only, NULL, 10), scenario, &progress);
        return;
    }
    if (getenv("ETHERCORD_FULL"))
        n *= FULL_FACTOR;
    if (n >= SHARED_OUT_FROM) {
        share_out(&(struct shares){.scenario_name = name, .scenario = scenario, .n_seeds = (n + SLOWNESS - 1) / SLOWNESS});
        return;
    }
    for (uint64_t seed = 1; seed <= n; seed++)
        run_seed(name, seed, scenario, &progress);
}
