#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# sizes.sh: what the sizes cost. One TCP flow through ethercord with hosts at an MTU of 1400, 1500 and 9000 over an underlay of 1500, and at
# 1500 over one of 1280; in turns, so that what else the machine does meets all of them alike. Prints the median of each, its spread, CPU
# time of all cores per GB, and its share of the throughput at 1400. The path MTU is found, as by default.
#
# ROUNDS (7), SECONDS_EACH (3), MODES ("offload wire bare"), CIPHER (auto) and CONGESTION (cubic) come from the environment.
set -u
# shellcheck source-path=SCRIPTDIR source=../netns/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"

ROUNDS=${ROUNDS:-7}
SECONDS_EACH=${SECONDS_EACH:-3}
MODES=${MODES:-offload wire bare}
CIPHER=${CIPHER:-auto}
CONGESTION=${CONGESTION:-cubic}
CASES="1400/1500 1500/1500 9000/1500 1500/1280" # MTU of the hosts / of the underlay

# busy: jiffies of all cores so far, without idle ones.
busy() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat; }

# measure MODE HOSTS UNDERLAY: one line "Mb/s CPU-s/GB path-MTU".
measure() {
    local mode=$1 hosts=$2 underlay=$3 site before after rate path
    net_up mtu="$hosts" || exit 1
    underlay_mode "$mode"
    for site in A B; do
        in_ns "ns$site" ip link set wan0 mtu "$underlay"
        in_ns "h$site" sysctl -qw net.ipv4.tcp_no_metrics_save=1
    done
    cord_up Node.Cipher="$CIPHER" >/dev/null || exit 1
    sleep 1
    in_ns hB iperf3 -s -1 -D >/dev/null
    sleep 0.3
    before=$(busy)
    rate=$(in_ns hA iperf3 -c 10.9.0.2 -C "$CONGESTION" -t "$SECONDS_EACH" -J |
        "$PYTHON" -c 'import json, sys; print("%.0f" % (json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e6))')
    after=$(busy)
    path=$(status_get A '.peers[0].path_mtu')
    awk -v rate="$rate" -v cpu=$((after - before)) -v hz="$(getconf CLK_TCK)" -v s="$SECONDS_EACH" -v path="$path" \
        'BEGIN { printf "%d %.2f %d\n", rate, cpu / hz / (rate * s / 8000), path }'
    net_down
}

# in_turn ROUND: the cases, each other time from behind: what comes first in a round is no better off.
in_turn() { if (($1 % 2)); then tr ' ' '\n' <<<"$CASES"; else tr ' ' '\n' <<<"$CASES" | tac; fi; }

report() {
    local mode=$1 case
    for case in $CASES; do
        sort -n "$WORK/$mode-${case/\//-}" | awk -v mode="$mode" -v hosts="${case%/*}" -v underlay="${case#*/}" -v base="$WORK/base" '
            { rate[NR] = $1; cpu[NR] = $2; path = $3 }
            END {
                n = int((NR + 1) / 2)
                if (hosts == 1400) print rate[n] >base; else getline first <base
                printf "%s: hosts %d, underlay %d: %d Mb/s (%d to %d), %.2f CPU-s/GB, path MTU %d", mode, hosts, underlay, rate[n], rate[1], rate[NR], cpu[n], path
                if (hosts != 1400) printf ", %.1f %% of that at 1400", 100 * rate[n] / first
                print ""
            }'
    done
}

for mode in $MODES; do
    for ((round = 1; round <= ROUNDS; round++)); do
        for case in $(in_turn "$round"); do
            measure "$mode" "${case%/*}" "${case#*/}" >>"$WORK/$mode-${case/\//-}"
        done
    done
    report "$mode"
done
