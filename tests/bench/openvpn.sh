#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# openvpn.sh [MODE [ROUNDS [SECONDS]]]: one TCP flow through ethercord and through OpenVPN's tap, both with AES-256-GCM and an inner MTU of
# 1400, bridged in the same four namespaces, in turns. Prints each round, then the medians, the spread and the ratio.
#
# MODE is how the underlay handles UDP trains: offload (veth as it comes), wire (software GSO and GRO, as an ordinary card), bare (every
# datagram alone). No pass or fail: an absolute figure is not a test.
set -u
# shellcheck source-path=SCRIPTDIR source=../netns/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../netns/lib.sh"

MODE=${1:-offload}
ROUNDS=${2:-5}
SECONDS_EACH=${3:-5}
declare -a VPN_PIDS=()

set_mode() {
    local site
    [[ $MODE != offload ]] || return 0
    for site in A B; do
        in_ns "ns$site" ethtool -K wan0 tso off gso on tx-udp-segmentation off >/dev/null
        in_ns "ns$site" ethtool -K wan0 gro "$([[ $MODE == wire ]] && echo on || echo off)" >/dev/null
    done
}

# Self-signed certificates that know each other by fingerprint.
make_certificates() {
    local site
    for site in A B; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj "/CN=$site" \
            -keyout "$WORK/$site.pem" -out "$WORK/$site.crt" 2>/dev/null
        openssl x509 -in "$WORK/$site.crt" -noout -fingerprint -sha256 | cut -d= -f2 >"$WORK/$site.fp"
    done
}

openvpn_start() {
    local site far role
    for site in A B; do
        far=$(other "$site")
        role=--tls-server
        [[ $site == A ]] || role=--tls-client
        ip netns exec "$(ns "ns$site")" openvpn --dev tap0 --dev-type tap --proto udp --port 1194 --remote "$(underlay_address "$far")" 1194 \
            "$role" --dh none --cert "$WORK/$site.crt" --key "$WORK/$site.pem" --peer-fingerprint "$(<"$WORK/$far.fp")" \
            --data-ciphers AES-256-GCM --tun-mtu 1400 --mssfix 0 --verb 3 >"$WORK/openvpn-$site.log" 2>&1 &
        VPN_PIDS+=($!)
    done
    wait_until 20 grep -q "Initialization Sequence Completed" "$WORK/openvpn-A.log" || return 1
    wait_until 20 grep -q "Initialization Sequence Completed" "$WORK/openvpn-B.log" || return 1
    for site in A B; do
        in_ns "ns$site" ip link set tap0 mtu 1400 master br0 up
    done
}

openvpn_stop() {
    kill "${VPN_PIDS[@]}" 2>/dev/null
    wait "${VPN_PIDS[@]}" 2>/dev/null
    VPN_PIDS=()
}

cpu_ticks() { awk '/^cpu /{ print $2 + $3 + $4 + $6 + $7 + $8 }' /proc/stat; }

# One flow: prints "Mb/s CPU-seconds-per-GB", all cores.
one_flow() {
    local before after
    wait_until 10 in_ns hA ping -c 1 -W 1 10.9.0.2 >/dev/null || { echo "0 0" && return; }
    in_ns hB iperf3 -s -1 -D >/dev/null
    sleep 0.3
    before=$(cpu_ticks)
    in_ns hA iperf3 -c 10.9.0.2 -t "$SECONDS_EACH" -J >"$WORK/flow.json"
    after=$(cpu_ticks)
    "$PYTHON" -c '
import json, os, sys
end = json.load(open(sys.argv[1]))["end"]["sum_received"]
cpu = (int(sys.argv[3]) - int(sys.argv[2])) / os.sysconf("SC_CLK_TCK")
print("%.0f %.1f" % (end["bits_per_second"] / 1e6, cpu / (end["bytes"] / 1e9)))' "$WORK/flow.json" "$before" "$after"
}

net_up mtu=1400 || exit 1
set_mode
make_certificates
for ((round = 1; round <= ROUNDS; round++)); do
    cord_up Peer.PathMTU=1500 Node.Cipher=aes-256-gcm >/dev/null || exit 1
    ours=$(one_flow)
    node_stop A
    node_stop B
    openvpn_start || { echo "OpenVPN did not start:" && tail -n 3 "$WORK"/openvpn-*.log && exit 1; }
    theirs=$(one_flow)
    openvpn_stop
    echo "$MODE round $round: ethercord $ours, OpenVPN $theirs (Mb/s, CPU-s/GB)"
    echo "$ours $theirs" >>"$WORK/rounds"
done
"$PYTHON" -c '
import statistics, sys
rows = [list(map(float, line.split())) for line in open(sys.argv[1])]
ours, our_cpu, theirs, their_cpu = zip(*rows)
show = lambda v: "%.0f Mb/s (%.0f to %.0f)" % (statistics.median(v), min(v), max(v))
print("%s: ethercord %s at %.1f CPU-s/GB, OpenVPN %s at %.1f CPU-s/GB, ratio %.2f" % (sys.argv[2], show(ours), statistics.median(our_cpu),
      show(theirs), statistics.median(their_cpu), statistics.median(ours) / statistics.median(theirs)))' "$WORK/rounds" "$MODE"
