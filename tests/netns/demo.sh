#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# demo: ethercord's main job on this machine alone. Two sites, each with a bridge and a daemon, and a host behind each, in namespaces;
# between the sites nothing but a cable that carries IPv4. Says what it saw, one line per fact, and leaves nothing behind.
# Exit code 0 = all of it was seen.
set -u

if [[ $(id -u) != 0 ]]; then
    echo "demo: needs root for network namespaces and TAP devices: sudo make demo" >&2
    exit 1
fi
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ -t 1 ]]; then
    GOOD=$'\e[32m✓\e[0m' BAD=$'\e[31m✗\e[0m' BOLD=$'\e[1m' PLAIN=$'\e[0m'
else
    GOOD=✓ BAD=✗ BOLD='' PLAIN=''
fi
MISSING=0

# fact IS-TRUE NAME VALUE
fact() {
    local mark=$GOOD
    if [[ $1 != 0 ]]; then
        mark=$BAD
        MISSING=$((MISSING + 1))
    fi
    printf ' %s %-34s %s\n' "$mark" "$2" "$3"
}

title() { printf '\n%s%s%s\n' "$BOLD" "$1" "$PLAIN"; }

# quietly COMMAND…: output goes to $WORK/out; returns the command's exit code. A signal ends the demo at once.
quietly() { interruptibly "$@" >"$WORK/out" 2>&1; }

build() {
    title "Two sites, four network namespaces"
    cat <<'PICTURE'

   host A ── br0 ── cord0 ═ ethercord ─── underlay ─── ethercord ═ cord0 ── br0 ── host B
  10.9.0.1   └──── site A ────────┘ 192.0.2.1  192.0.2.2 └──────── site B ────┘   10.9.0.2
             endpoint 10.9.0.251                             endpoint 10.9.0.252
PICTURE
    net_up underlay=4
    title "The cord"
    capture_start nsA wan0 "$WORK/wan.pcap" -s 200
    CAPTURE_WAN=$CAPTURE_PID
    # A waits, B calls: nobody knocks at a closed door, which would be answered by ICMP.
    if ! node_start A Peer.Endpoint= || ! node_start B; then
        fact 1 "both daemons start" "see the log above"
        return 1
    fi
    wait_until 10 both_are_up
    fact $? "session" "$(status_get A '.peers[0].state' '.peers[0].cipher' | paste -sd' '), fresh keys at both ends"
}

show_arp() {
    local real found
    real=$(mac_of hB eth0)
    quietly in_ns hA arping -c 2 -w 3 -I eth0 10.9.0.2
    found=$(grep -io -m1 '[0-9a-f:]\{17\}' "$WORK/out" | tr '[:upper:]' '[:lower:]')
    [[ $found == "$real" ]]
    fact $? "ARP: who has 10.9.0.2?" "${found:-nobody} (host B's own: $real)"
}

show_ping() {
    local loss rtt
    quietly in_ns hA ping -q -c 20 -i 0.05 -W 1 10.9.0.2
    loss=$(grep -o '[0-9.]*% packet loss' "$WORK/out")
    rtt=$(sed -n 's/^rtt [^=]*= \([0-9.]*\)\/\([0-9.]*\)\/.*/round trip \2 ms, best \1 ms/p' "$WORK/out")
    [[ $loss == "0% packet loss" ]]
    fact $? "ping across, 20 times" "${loss:-no reply}${rtt:+, $rtt}"
}

# show_endpoint NAME ADDRESS
show_endpoint() {
    quietly in_ns hA ping -q -c 5 -i 0.05 -W 1 "$2"
    fact $? "ping the $1 tunnel endpoint" "$2: $(grep -o '[0-9]* received' "$WORK/out")$(sed -n 's/^rtt [^=]*= [0-9.]*\/\([0-9.]*\)\/.*/, round trip \1 ms/p' "$WORK/out")"
}

show_tcp() {
    ip netns exec "$(ns hB)" iperf3 -s -1 >"$WORK/iperf.server" 2>&1 &
    wait_until 3 listens hB 5201
    quietly in_ns hA iperf3 -c 10.9.0.2 -t 3 -J --connect-timeout 3000
    "$PYTHON" -c '
import json, sys
end = json.load(open(sys.argv[1]))["end"]
got = end["sum_received"]
print("%.2f Gb/s, %.0f MB in 3 s, %d retransmits" % (got["bits_per_second"] / 1e9, got["bytes"] / 1e6, end["sum_sent"]["retransmits"]))
sys.exit(got["bytes"] == 0)' "$WORK/out" >"$WORK/tcp" 2>/dev/null
    fact $? "TCP across, one stream" "$(<"$WORK/tcp")"
}

listens() { in_ns "$1" ss -Hltn "sport = :$2" | grep -q .; }

show_ipx() {
    quietly tool frames --tx "$(ns hA)/eth0" --rx "$(ns hB)/eth0" --ipx
    fact $? "IPX frame (802.3, no IP at all)" "$(sed -n 's/^1 frames, \([0-9]*\) to.*/\1 bytes sent, the same \1 arrived/p' "$WORK/out")"
}

show_underlay() {
    local all others
    CAPTURE_PID=$CAPTURE_WAN
    capture_stop
    all=$(capture_count "$WORK/wan.pcap")
    others=$(capture_count "$WORK/wan.pcap" 'not (udp and port 36160)')
    ((all > 0 && others == 0))
    fact $? "on the underlay" "$all packets, $((all - others)) of them the tunnel's UDP, $others other"
    [[ $(frag_creates nsA) == 0 && $(frag_creates nsB) == 0 ]]
    fact $? "IP fragments made on it" "$(($(frag_creates nsA) + $(frag_creates nsB)))"
}

show_end() {
    node_stop A
    local exit_a=$NODE_EXIT
    node_stop B
    [[ $exit_a == 0 && $NODE_EXIT == 0 ]]
    fact $? "both daemons end when told" "exit codes $exit_a and $NODE_EXIT"
}

if build; then
    title "What crosses it"
    show_arp
    show_ping
    show_tcp
    show_ipx
    title "The tunnel endpoints themselves"
    show_endpoint near 10.9.0.251
    show_endpoint far 10.9.0.252
    title "What the outside sees"
    show_underlay
    show_end
fi
if ((MISSING == 0)); then
    printf '\nAll of it works here.\n'
else
    printf '\n%d of these facts did not hold. Daemon logs:\n' "$MISSING"
    tail -n 20 "$WORK/A.log" "$WORK/B.log"
fi
((MISSING == 0))
