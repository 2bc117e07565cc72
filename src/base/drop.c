// SPDX-License-Identifier: MIT
/*
 * drop: names and meanings of the counters, made from the same lists as the enums in drop.h, so that they can't drift apart.
 */
#include "ethercord/drop.h"

#include <stddef.h>

#include "ethercord/log.h"

#define DROP_NAME(name, text, meaning) [DROP_##name] = (text),
static const char *const DROP_NAMES[] = {DROP_REASONS(DROP_NAME)};
#undef DROP_NAME
_Static_assert(sizeof DROP_NAMES / sizeof DROP_NAMES[0] == DROP_COUNT, "each drop reason has a name");

#define DROP_MEANING(name, text, meaning) [DROP_##name] = (meaning),
static const char *const DROP_MEANINGS[] = {DROP_REASONS(DROP_MEANING)};
#undef DROP_MEANING
_Static_assert(sizeof DROP_MEANINGS / sizeof DROP_MEANINGS[0] == DROP_COUNT, "each drop reason has a meaning");

#define TRAFFIC_NAME(name, text) [COUNT_##name] = (text),
static const char *const TRAFFIC_NAMES[] = {TRAFFIC_COUNTERS(TRAFFIC_NAME)};
#undef TRAFFIC_NAME
_Static_assert(sizeof TRAFFIC_NAMES / sizeof TRAFFIC_NAMES[0] == COUNT_COUNT, "each traffic counter has a name");

static void add_all(_Atomic uint64_t *sum, const _Atomic uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        count_add(&sum[i], atomic_load_explicit(&from[i], memory_order_relaxed));
}

const char *drop_name(enum drop_reason reason)
{
    ensure((unsigned)reason < DROP_COUNT);
    return DROP_NAMES[reason];
}

const char *drop_meaning(enum drop_reason reason)
{
    ensure((unsigned)reason < DROP_COUNT);
    return DROP_MEANINGS[reason];
}

const char *traffic_name(enum traffic_counter counter)
{
    ensure((unsigned)counter < COUNT_COUNT);
    return TRAFFIC_NAMES[counter];
}

void counters_sum(struct counters *sum, const struct counters *from)
{
    add_all(sum->drops, from->drops, DROP_COUNT);
    add_all(sum->traffic, from->traffic, COUNT_COUNT);
}
