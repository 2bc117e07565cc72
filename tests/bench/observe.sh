#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# observe.sh: what it costs a cord to be looked at. One TCP flow through two bridged sites, unobserved and observed in turns, in one session:
# each pair is made in the same half minute, and what counts is the median of their quotients: of throughput, and of the CPU time that the
# cord's two nodes took per byte, which other programs on the machine disturb less. Who looks takes CPU time besides.
#
#   nothing   a capture runs whose filter matches nothing
#   watched   the same, the status is watched, and the metrics are scraped every second where there are any
#   all       a capture of everything, to /dev/null: says too how much of it was lost to the capture, and that the cord has dropped nothing
#
# By the environment: HOW="nothing watched all", PAIRS=7, SECONDS_EACH=2, MODE=offload (or wire, bare: see bench.sh), and
# BASE=another ethercord: then that one, unobserved, is measured in turns with this one, unobserved, in namespaces of its own ("base").
# Prints a table; it is no test, for a machine that does something else meanwhile decides about it.
set -u
# shellcheck source-path=SCRIPTDIR source=../netns/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"

HOW=${HOW:-nothing watched all}
PAIRS=${PAIRS:-7}
SECONDS_EACH=${SECONDS_EACH:-2}
MODE=${MODE:-offload}
BASE=${BASE:-}
NOBODY="host 203.0.113.99 and tcp port 4711"
METRICS_PORT=9036
WATCHERS=()

die() {
    echo "observe: $*" >&2
    exit 1
}

# ---- who looks --------------------------------------------------------------------------------------------------------------------

capture_a() { "$ETHERCORD" capture --run-dir "$WORK/run-A" A "$@" >/dev/null 2>"$WORK/capture.err" </dev/null & WATCHERS+=($!); }

watch_status() {
    "$ETHERCORD" status --watch --run-dir "$WORK/run-A" A >/dev/null 2>&1 </dev/null &
    WATCHERS+=($!)
}

has_metrics() { grep -q '^\[Metrics\]' "$WORK/A.conf"; }

scrape() {
    ip netns exec "$(ns nsA)" "$PYTHON" -c "
import time, urllib.request
while True:
    urllib.request.urlopen('http://127.0.0.1:$METRICS_PORT/metrics', timeout=5).read()
    time.sleep(1)" >/dev/null 2>"$WORK/scrape.err" &
    WATCHERS+=($!)
}

begin_looking() {
    WATCHERS=()
    case $1 in
        nothing) capture_a -w - "$NOBODY" ;;
        watched)
            capture_a -w - "$NOBODY"
            watch_status
            ! has_metrics || scrape
            ;;
        all) capture_a -w - ;;
        *) die "unknown way to look '$1'; there are: nothing watched all" ;;
    esac
    sleep 0.2
}

end_looking() {
    local pid
    for pid in "${WATCHERS[@]}"; do
        kill -INT "$pid" 2>/dev/null
        kill -TERM "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
}

# ---- measures ---------------------------------------------------------------------------------------------------------------------

# cpu_ns: of all threads of both nodes, so far.
cpu_ns() {
    local site
    for site in A B; do cat "/proc/$(status_get "$site" .pid)/task/"*/schedstat; done | awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# throughput: Gb/s of one flow from hA to hB, and the nodes' CPU seconds per GB.
throughput() {
    local before
    before=$(cpu_ns)
    in_ns hA iperf3 -c 10.9.0.2 -t "$SECONDS_EACH" -J >"$WORK/iperf" 2>/dev/null
    "$PYTHON" -c '
import json, sys
sums = json.load(open(sys.argv[1]))["end"]["sum_received"]
print("%.3f %.4f" % (sums["bits_per_second"] / 1e9, int(sys.argv[2]) / sums["bytes"]))' "$WORK/iperf" $(($(cpu_ns) - before))
}

dropped() { echo "$(status_get A .drops)$(status_get B .drops)"; }

# lost_of_capture: what the capture said at its end.
lost_of_capture() { sed -n 's/.*: \([0-9]* frames captured.*\)/\1/p' "$WORK/capture.err" | tail -1; }

pairs_of() {
    local how=$1 i plain observed
    for ((i = 0; i < PAIRS; i++)); do
        plain=$(throughput)
        begin_looking "$how"
        observed=$(throughput)
        end_looking
        echo "$how $plain $observed"
        [[ $how != all ]] || echo "# all: $(lost_of_capture)" >&2
    done
}

summary() {
    "$PYTHON" -c '
import statistics, sys
rows = {}
for line in sys.stdin:
    how, *figures = line.split()
    rows.setdefault(how, []).append([float(figure) for figure in figures])
for how, pairs in rows.items():
    for name, at in (("Gb/s", 0), ("CPU s/GB", 1)):
        quotients = [pair[at + 2] / pair[at] for pair in pairs]
        print("%-8s %d pairs: %5.2f %s before, %5.2f then; quotient %.3f (%.3f to %.3f)" % (how, len(pairs),
            statistics.median(pair[at] for pair in pairs), name, statistics.median(pair[at + 2] for pair in pairs),
            statistics.median(quotients), min(quotients), max(quotients)))'
}

# ---- the cord ---------------------------------------------------------------------------------------------------------------------

add_metrics() {
    cp "$WORK/A.conf" "$WORK/plain.conf"
    printf '\n[Metrics]\nListen = 127.0.0.1:%s\n' "$METRICS_PORT" >>"$WORK/A.conf"
    "$ETHERCORD" check "$WORK/A.conf" >/dev/null 2>&1 && return
    cp "$WORK/plain.conf" "$WORK/A.conf"
    echo "# this ethercord has no metrics: they are left out"
}

cord() {
    net_up || die "no network"
    underlay_mode "$MODE"
    in_ns hB iperf3 -s -D >/dev/null
    node_config A
    node_config B
    add_metrics
    node_run A
    node_run B
    wait_until 10 both_are_up || die "no session: $(tail -3 "$WORK/A.log")"
    throughput >/dev/null # the first one finds the path MTU
}

# Two programs in turns: a cord each time.
base() {
    local i own=$ETHERCORD plain
    for ((i = 0; i < PAIRS; i++)); do
        ETHERCORD=$BASE
        cord >&2
        plain=$(throughput)
        net_down
        ETHERCORD=$own
        cord >&2
        echo "base $plain $(throughput)"
        net_down
    done
}

if [[ -n $BASE ]]; then
    base | summary
    exit
fi
cord
before=$(dropped)
for how in $HOW; do pairs_of "$how"; done | summary
if [[ $(dropped) == "$before" ]]; then echo "the cord has dropped nothing"; else echo "drops before: $before; and then: $(dropped)"; fi
