// SPDX-License-Identifier: MIT
/*
 * fuzz_sim: for the targets that have whole nodes, of the simulator. What it asserts in every run is a crash here, so that libFuzzer keeps
 * the input.
 */
#ifndef ETHERCORD_TESTS_FUZZ_SIM_H
#define ETHERCORD_TESTS_FUZZ_SIM_H

#include "../sim/sim.h"

#include "fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    sim_begin();
    return 0;
}

#endif
