# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# gso: what tests of super-frames share, besides lib.sh.

# bare_end NAMESPACE DEVICE: it leaves nothing undone in what it sends.
bare_end() { in_ns "$1" ethtool -K "$2" tso off gso off tx-udp-segmentation off tx off sg off >/dev/null; }

# The pair of interfaces in which the kernel cuts what the tunnel is compared with.
reference_up() {
    ns_add ref
    ip link add ref0 mtu 9100 netns "$(ns ref)" type veth peer name ref1 mtu 9100 netns "$(ns ref)"
    bare_end ref ref0
    in_ns ref ethtool -K ref1 gro off
    in_ns ref ip link set ref0 up
    in_ns ref ip link set ref1 up
}

# What leaves the far side's port0 has been cut there, if not before, and has its checksums; and nothing joins it again.
far_side_is_bare() {
    bare_end nsB port0
    in_ns hB ethtool -K eth0 gro off
}

# superframe MODE OPTION…: from hA to hB.
superframe() {
    local mode=$1
    shift
    tool superframe "$mode" --tx "$(ns hA)/eth0" --rx "$(ns hB)/eth0" "$@"
}

counter_of() { status_get "$1" ".counters.$2"; }
is_more() { [[ $1 != null && $1 -gt $2 ]]; }

# drops_of SITE: drop reasons that are not zero. What may come before there is a session does not count.
drops_of() {
    node_status "$1" | "$PYTHON" -c '
import json, sys
before = ("no_session", "no_endpoint", "tap_down")
print({k: v for k, v in json.load(sys.stdin)["drops"].items() if v and k not in before})'
}
