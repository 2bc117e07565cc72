#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bench.sh: ethercord and its peers, measured in turns on this machine: for each underlay mode, for each round, for each peer, all measures.
# Every peer gets fresh namespaces (../netns/lib.sh draws them): hosts behind two bridges, inner MTU 1500 over an underlay of 1500.
#
# What it does can be chosen by the environment (or `make bench NAME=…`):
#   MODES         how the underlay handles UDP trains: "offload wire bare"
#                 offload  veth as it comes: trains pass whole, like a card with UDP segmentation at both ends
#                 wire     segmented in software by the sender, joined by GRO at the receiver: an ordinary card
#                 bare     every datagram alone
#   PEERS         names of peers.sh, all by default; a family ("openvpn") means all of it
#   ROUNDS        3
#   SECONDS_EACH  3, of each TCP flow
#   MEASURES      names of measures.py, all by default
#   PIN=sites     all of site A on the first half of the cores, all of site B on the second; without it the kernel places
#   CONGESTION    cubic: of the hosts' TCP; it is Debian's default, which is not that of every kernel
#   OUT           build/bench/bench.json; measurements that are there already are not made again
#   REDO=1        makes those again during which other programs took more than a little of the machine
#   FRESH=1       puts an OUT that is there aside and begins again
#   DRY_RUN=1     only says what it would do and how long it would take
#
# A peer that doesn't start, or a measure that fails, is a record too, and is tried again when the same command is given again.
set -u
# shellcheck source-path=SCRIPTDIR source=../netns/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"
BENCH_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=peers.sh
. "$BENCH_DIR/peers.sh"

MODES=${MODES:-offload wire bare}
PEERS=${PEERS:-${PEERS_ALL[*]}}
ROUNDS=${ROUNDS:-3}
SECONDS_EACH=${SECONDS_EACH:-3}
MEASURES=${MEASURES:-rest ping tcp1 tcp1-reverse tcp1-both tcp8 tcp8-reverse tcp8-both udp64 udp1400 udp1514 overload ping-load memory}
BUILD=${BUILD:-$BENCH_DIR/../../build}
REDO=${REDO:-}
OUT=${OUT:-$BUILD/bench/bench.json}
TOOLS=${TOOLS:-$BUILD/tests/bench} # udpload and rtt
PIN=${PIN:-none}
CONGESTION=${CONGESTION:-cubic}
export ETHERCORD REDO
START_COST=3 # seconds for a peer to come up, settle and go away

die() {
    echo "bench: $*" >&2
    exit 1
}

python() { "$PYTHON" "$BENCH_DIR/$1.py" "${@:2}"; }

# all_of LIST WORD: names in LIST that are WORD or of the family WORD.
all_of() {
    local name
    for name in $1; do
        if [[ $name == "$2" || $name == "$2"-* ]]; then echo "$name"; fi
    done
}

read_peers() {
    local word names chosen=()
    for word in $PEERS; do
        names=$(all_of "${PEERS_ALL[*]}" "$word")
        [[ -n $names ]] || die "unknown peer '$word'; there are: ${PEERS_ALL[*]}"
        mapfile -t -O ${#chosen[@]} chosen <<<"$names"
    done
    PEERS=${chosen[*]}
    [[ -n $PEERS ]] || die "no PEERS"
}

read_settings() {
    local mode
    read_peers
    for mode in $MODES; do
        [[ " offload wire bare " == *" $mode "* ]] || die "unknown mode '$mode'; there are: offload wire bare"
    done
    # shellcheck disable=SC2086 # words
    python measures cost "$SECONDS_EACH" $MEASURES >"$WORK/cost" || exit 1
    [[ $PIN == none || $PIN == sites ]] || die "PIN is sites or none"
    [[ $ROUNDS =~ ^[1-9][0-9]*$ ]] || die "ROUNDS is a number"
}

say_estimate() {
    local n_modes n_peers sessions minutes
    n_modes=$(wc -w <<<"$MODES") n_peers=$(wc -w <<<"$PEERS")
    sessions=$((n_modes * ROUNDS * n_peers))
    minutes=$(awk -v n=$sessions -v s="$(<"$WORK/cost")" -v c=$START_COST 'BEGIN { printf "%.0f", n * (s + c) / 60 + 0.5 }')
    echo "bench: $n_modes modes x $ROUNDS rounds x $n_peers peers = $sessions sessions, about $minutes minutes if nothing else runs here"
}

# ---- the underlay -----------------------------------------------------------------------------------------------------------------

# mode_options MODE: for ethtool -K.
mode_options() {
    case $1 in
        offload) ;;
        wire) echo "tso off tx-udp-segmentation off gro on" ;; # veth runs GRO only when the sending end has no TSO left
        bare) echo "tso off tx-udp-segmentation off gro off" ;;
    esac
}

set_mode() {
    local site options
    read -ra options <<<"$(mode_options "$1")"
    [[ ${#options[@]} != 0 ]] || return 0
    for site in A B; do
        in_ns "ns$site" ethtool -K wan0 "${options[@]}" >/dev/null || return 1
    done
}

network_up() {
    local site
    net_up || return 1
    set_mode "$1" || return 1
    for site in A B; do
        # What one flow has learnt about the path would be the next one's start.
        in_ns "h$site" sysctl -qw net.ipv4.tcp_no_metrics_save=1
    done
}

# check_mode MODE: true when the underlay does what the mode says, which is looked at before any figure is believed, and put on record.
check_mode() {
    local found rc options
    if network_up "$1"; then
        found=$(python trains "$1" "$(ns nsA)" "$(ns nsB)" "$(underlay_address B)" wan0)
        rc=$?
    else
        found='' rc=1
    fi
    net_down
    options=$(mode_options "$1")
    python results mode "$OUT" "$1" "${options:+ethtool -K wan0 $options}" "${found:-null}"
    [[ $rc == 0 ]] || echo "bench: the underlay is not $1 here, so this mode is left out: ${found:-no answer}" >&2
    return $rc
}

# cores_of SITE: as taskset wants them.
cores_of() {
    local n half
    n=$(nproc)
    half=$(((n + 1) / 2))
    if [[ $1 == A ]]; then echo "0-$((half - 1))"; else echo "$((n > 1 ? half : 0))-$((n - 1))"; fi
}

pin_daemons() {
    local site pid
    for site in A B; do
        for pid in $(ip netns pids "$(ns "ns$site")"); do
            taskset --all-tasks --cpu-list --pid "$(cores_of "$site")" "$pid" >/dev/null
        done
    done
}

# ---- one peer ---------------------------------------------------------------------------------------------------------------------

hosts_reach() { in_ns hA ping -n -c 1 -W 1 10.9.0.2 >/dev/null && in_ns hB ping -n -c 1 -W 1 10.9.0.1 >/dev/null; }

# bring_up PEER: leaves a reason in ERROR when it fails.
bring_up() {
    ERROR=
    peer_start "$1" || ERROR="did not start: $(peer_error)"
    [[ -n $ERROR ]] || wait_until 15 hosts_reach || ERROR="started, but no ping came through within 15 s: $(peer_error)"
    [[ -n $ERROR ]] || sleep "$(peer_settle "$1")" || ERROR="interrupted"
    [[ -z $ERROR ]]
}

# describe PEER [FILE]: puts on record what the peer is and, from FILE, its commands.
describe() {
    python results peer "$OUT" "$1" "$(peer_title "$1")" "$(peer_package "$1")" "$(peer_setup "$1")" <"${2:-/dev/null}"
}

session() {
    local mode=$1 round=$2 peer=$3 todo options=()
    # shellcheck disable=SC2086 # words
    todo=$(python results todo "$OUT" "$mode" "$round" "$peer" $MEASURES)
    [[ -n $todo ]] || return 0
    echo "$(date +%H:%M:%S) $mode, round $round of $ROUNDS: $peer"
    if ! network_up "$mode"; then
        ERROR="the namespaces could not be made"
    elif bring_up "$peer"; then
        if [[ $PIN == sites ]]; then
            pin_daemons
            options+=(--cores "$(cores_of A)" "$(cores_of B)")
        fi
        [[ $peer != ethercord-* ]] || options+=(--run-dir "$WORK/run")
        # shellcheck disable=SC2086 # words
        interruptibly "$PYTHON" "$BENCH_DIR/measures.py" run --prefix "$NS_PREFIX" --out "$OUT" --tools "$TOOLS" --mode "$mode" \
            --round "$round" --peer "$peer" --seconds "$SECONDS_EACH" --congestion "$CONGESTION" "${options[@]}" \
            $todo || ERROR="the measuring itself failed"
    fi
    [[ -z $ERROR ]] || echo "    FAILED: $ERROR"
    python results put "$OUT" "$mode" "$round" "$peer" start "$ERROR"
    peer_commands >"$WORK/commands.tidy"
    describe "$peer" "$WORK/commands.tidy"
    peer_stop "$peer"
    net_down
}

main() {
    local mode round peer
    read_settings
    say_estimate
    [[ -z ${DRY_RUN:-} ]] || exit 0
    [[ -x $TOOLS/udpload && -x $TOOLS/rtt ]] || die "udpload and rtt are not in TOOLS; make bench builds them"
    mkdir -p "$(dirname "$OUT")"
    exec 9>"$OUT.lock"
    flock -n 9 || die "another run is at this file"
    [[ -z ${FRESH:-} ]] || python results aside "$OUT"
    python results open "$OUT" "$SECONDS_EACH" "$PIN" "$CONGESTION" || exit 1
    for peer in "${PEERS_ALL[@]}"; do
        describe "$peer" # in the order of the report
    done
    for mode in $MODES; do
        check_mode "$mode" || continue
        for ((round = 1; round <= ROUNDS; round++)); do
            for peer in $PEERS; do
                session "$mode" "$round" "$peer"
            done
        done
    done
    python report "$OUT" --plots "$(dirname "$OUT")"
}

{ main; exit; } # the file may be edited meanwhile
