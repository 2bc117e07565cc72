#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# scraped.sh: what it costs to be looked at. One TCP flow through one cord, in turns with nobody looking and with metrics scraped once a
# second at both ends; prints the medians, their share, and the CPU time that the sending node's worker and its web process spend for a
# scrape while there is no traffic.
#
# ROUNDS (7) and SECONDS_EACH (4) come from the environment.
set -u
# shellcheck source-path=SCRIPTDIR source=../netns/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"

ROUNDS=${ROUNDS:-7}
SECONDS_EACH=${SECONDS_EACH:-4}
SCRAPES=40
URL=http://127.0.0.1:9036/metrics

# scrape SITE TIMES SECONDS: so many, each so long after the one before.
scrape() {
    # shellcheck disable=SC2016 # for the shell that reads it
    ip netns exec "$(ns "ns$1")" bash -c 'for ((i = 0; i < $1; i++)); do sleep "$2"; curl -sS -o /dev/null "$3"; done' _ "$2" "$3" "$URL"
}

# flow: Mb/s.
flow() {
    in_ns hA iperf3 -c 10.9.0.2 -t "$SECONDS_EACH" -J |
        "$PYTHON" -c 'import json, sys; print("%.0f" % (json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e6))'
}

looked_at() {
    local scrapers=() site
    for site in A B; do
        scrape "$site" "$SECONDS_EACH" 1 &
        scrapers+=($!)
    done
    flow
    wait "${scrapers[@]}"
}

# cpu_us PID: of all its threads so far.
cpu_us() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%d", sum / 1000 }'; }

per_scrape() {
    local worker web before_worker before_web idle_worker
    worker=$(pgrep -P "${NODE_PID[A]}" -x ethercord)
    web=$(pgrep -P "${NODE_PID[A]}" -x ethercord-web)
    before_worker=$(cpu_us "$worker")
    sleep 12
    idle_worker=$(($(cpu_us "$worker") - before_worker))
    before_worker=$(cpu_us "$worker") before_web=$(cpu_us "$web")
    scrape A "$SCRAPES" 0.27 # 12 s or so, and never from what is kept
    echo "a scrape: $((($(cpu_us "$worker") - before_worker - idle_worker) / SCRAPES)) us of the worker, \
$((($(cpu_us "$web") - before_web) / SCRAPES)) us of the web process"
}

median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

net_up underlay=4
cord_up Metrics.Listen=127.0.0.1:9036 || exit 1
sleep 1
per_scrape
ip netns exec "$(ns hB)" iperf3 -s >/dev/null &
SERVER=$!
sleep 0.5
for ((round = 1; round <= ROUNDS; round++)); do
    if ((round % 2)); then
        flow >>"$WORK/alone" && looked_at >>"$WORK/scraped"
    else
        looked_at >>"$WORK/scraped" && flow >>"$WORK/alone"
    fi
done
kill "$SERVER"
echo "alone: $(paste -sd' ' "$WORK/alone") Mb/s; scraped: $(paste -sd' ' "$WORK/scraped") Mb/s"
awk -v a="$(median "$WORK/alone")" -v s="$(median "$WORK/scraped")" \
    'BEGIN { printf "medians: %d and %d Mb/s: %.1f %%\n", a, s, 100 * s / a }'
