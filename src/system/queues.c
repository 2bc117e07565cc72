// SPDX-License-Identifier: MIT
/*
 * queues: see queues.h.
 */
#include "ethercord/queues.h"

void queues_open(struct queues *queues, const char *tap_name)
{
    struct rtnl_link link;
    struct rtnl_stats stats;

    *queues = (struct queues){0};
    if (rtnl_open(&queues->rtnl) < 0 || rtnl_get_link(&queues->rtnl, tap_name, &link) < 0)
        return;
    if (rtnl_get_stats(&queues->rtnl, link.index, &stats) < 0)
        return;
    queues->tap_index = link.index;
    queues->tap_dropped = stats.tx_dropped;
}

void queues_close(struct queues *queues)
{
    rtnl_close(&queues->rtnl);
}

void queues_count(struct queues *queues, const struct udp *udp, struct counters *counters)
{
    struct rtnl_stats stats;

    if (queues->tap_index > 0 && rtnl_get_stats(&queues->rtnl, queues->tap_index, &stats) == 0)
        count_add(&counters->drops[DROP_TAP_QUEUE_FULL], stats.tx_dropped - queues->tap_dropped);
    for (int i = 0; i < 2; i++) {
        if (udp[i].family == AF_UNSPEC)
            continue;
        count_add(&counters->drops[DROP_RECEIVE_QUEUE_FULL], udp_n_dropped(&udp[i]));
        count_traffic(counters, COUNT_SEND_OFFLOAD_REFUSED, atomic_load_explicit(&udp[i].segmentation.n_refused, memory_order_relaxed));
    }
}
