#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# shaped.sh [RATE…]: TCP and ping over an underlay that a token bucket makes slow at both ends (100mbit 200mbit 1gbit by default), with more
# room than the socket's buffer has, so that the queue is ours to bound. Beside the tunnel, plain TCP through the same buckets. Prints a
# line per rate and number of flows: goodput, its share of the rate and of plain TCP's, ping percentiles, and what was dropped where.
# FLOWS ("1 8") and SECONDS_EACH (15) come from the environment.
set -u
# shellcheck source-path=SCRIPTDIR source=../netns/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"

SECONDS_EACH=${SECONDS_EACH:-15}
FLOWS=${FLOWS:-1 8}
[[ $# -gt 0 ]] || set -- 100mbit 200mbit 1gbit

shape() {
    local site
    for site in A B; do
        in_ns "ns$site" tc qdisc replace dev wan0 root tbf rate "$1" burst 128kb limit 8mb
    done
}

# goodput NAMESPACE FAR ADDRESS FLOWS: Mb/s.
goodput() {
    in_ns "$2" iperf3 -s -1 -D >/dev/null
    sleep 0.3
    in_ns "$1" iperf3 -c "$3" -t "$SECONDS_EACH" -P "$4" -J |
        "$PYTHON" -c 'import json, sys; print("%.1f" % (json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e6))'
}

percentiles() {
    grep -o 'time=[0-9.]*' "$1" | cut -d= -f2 | sort -n |
        awk '{ a[NR] = $1 }
             function p(q,   i) { i = int(NR * q); return a[i < 1 ? 1 : i] }
             END { printf "p50 %.1f p99 %.1f max %.1f ms", p(0.5), p(0.99), a[NR] }'
}

loaded() {
    local rate=$1 flows=$2 plain ours
    plain=$(goodput nsA nsB "$(underlay_address B)" "$flows")
    ip netns exec "$(ns hA)" ping -i 0.01 -c $(((SECONDS_EACH - 2) * 90)) 10.9.0.2 >"$WORK/ping" &
    ours=$(goodput hA hB 10.9.0.2 "$flows")
    wait $!
    awk -v rate="${rate%%[a-z]*}" -v unit="${rate##*[0-9]}" -v ours="$ours" -v plain="$plain" -v flows="$flows" -v ping="$(percentiles "$WORK/ping")" \
        -v lost="$(grep -o '[0-9.]*% packet loss' "$WORK/ping")" -v qdisc="$(in_ns nsA tc -s qdisc show dev wan0 | grep -o 'dropped [0-9]*')" \
        -v tap="$(status_get A .drops.tap_queue_full)" -v blocked="$(status_get A .counters.send_blocked)" 'BEGIN {
            if (unit == "gbit") rate *= 1000
            printf "%d Mb/s, %d flows: TCP %.1f Mb/s, %.1f %% of the rate, %.1f %% of plain TCP (%.1f); ping %s, %s; ", rate, flows, ours,
                   100 * ours / rate, 100 * ours / plain, plain, ping, lost
            printf "qdisc %s, TAP queue dropped %d, waited %d times\n", qdisc, tap, blocked }'
}

net_up mtu=1500 || exit 1
for rate in "$@"; do
    shape "$rate"
    for flows in $FLOWS; do
        cord_up Peer.PathMTU=1500 >/dev/null || exit 1
        wait_until 10 in_ns hA ping -c 1 -W 1 10.9.0.2 >/dev/null
        loaded "$rate" "$flows"
        node_stop A
        node_stop B
    done
done
