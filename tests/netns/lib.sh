# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# lib: two bridged sites in network namespaces of their own, for the tests and the demo.
#
#     hA           nsA                              nsB           hB
#   +------+     +---------------------+          +---------------------+     +------+
#   | eth0 +-----+ port0               |          |               port0 +-----+ eth0 |
#   +------+     |   br0 -- cord0      |          |      cord0 -- br0   |     +------+
#                |            |        | underlay |        |            |
#                |        ethercord  wan0 ====== wan0  ethercord        |
#                +---------------------+          +---------------------+
#
#   hosts      hA 10.9.0.1/24 fd00:9::1/64        hB 10.9.0.2/24 fd00:9::2/64
#   shortcuts  A  10.9.0.251  fd00:9::251         B  10.9.0.252  fd00:9::252
#   underlay   A  192.0.2.1 or 2001:db8::1        B  192.0.2.2 or 2001:db8::2      (MTU 1500)
#
# With router=yes there is a namespace nsR between the two, which forwards at a path MTU that path_mtu sets.
#
# A script sources this file, calls net_up, node_start A and node_start B, checks, and ends with plan. Output is TAP (Test Anything
# Protocol). Names of namespaces carry the process id, so scripts may run side by side. Whatever a script leaves behind goes away with
# it, also when it is interrupted: only processes inside its own namespaces are ended.

if [[ $(id -u) != 0 ]]; then
    echo "1..0 # SKIP needs root (network namespaces, TAP devices)"
    exit 0
fi

NETNS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ETHERCORD=$(realpath -- "${ETHERCORD:-$NETNS_DIR/../../build/ethercord}")
if [[ ! -x $ETHERCORD ]]; then
    echo "Bail out! no binary at $ETHERCORD: run make first, or set ETHERCORD"
    exit 1
fi
# Debian's own interpreter: it is the one that has scapy, and whatever else stands first on PATH is not wanted here.
PYTHON=${PYTHON:-/usr/bin/python3}
export PYTHONDONTWRITEBYTECODE=1
# shellcheck source-path=SCRIPTDIR source=sanitizer.sh
. "$NETNS_DIR/sanitizer.sh"
WORK= # a folder of our own for files; made when it is sure to be removed again
NS_PREFIX="ec-$$-"
declare -A NODE_PID=() # A and B: process id of the daemon in the foreground
declare -a NS_MADE=()
FOREGROUND_PID=
UNDERLAY=4   # IP version of the underlay
ROUTER=no    # nsR lies between the two
BRIDGED=yes  # cord0 is a port of br0
INNER6=no    # hosts have IPv6
INNER_MTU=1500
SLACK=0 # what the MTU of hosts and bridge ports is larger than that of the TAPs: a bridge passes 4 to 8 bytes more than the MTU says

# ---- namespaces -------------------------------------------------------------------------------------------------------------------

# ns NAME: the real name of namespace hA, nsA, nsB or hB.
ns() { printf '%s%s' "$NS_PREFIX" "$1"; }

# in_ns NAME COMMAND…: runs it there.
in_ns() {
    local name=$1
    shift
    ip netns exec "$NS_PREFIX$name" "$@"
}

# ns_add NAME…: fresh namespaces that say nothing of their own: no IPv6, no netfilter on bridges.
ns_add() {
    local name
    for name in "$@"; do
        ip netns add "$NS_PREFIX$name" || return 1
        NS_MADE+=("$name")
        in_ns "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        # shellcheck disable=SC2016 # expands inside
        in_ns "$name" sh -c 'for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e "$f" ] || echo 0 >"$f"; done'
        in_ns "$name" ip link set lo up
    done
}

# enable_ipv6 NAME DEVICE
enable_ipv6() {
    local conf=net.ipv6.conf.$2
    in_ns "$1" sysctl -qw "$conf.accept_dad=0" "$conf.accept_ra=0" "$conf.router_solicitations=0" "$conf.disable_ipv6=0"
}

underlay_address() {
    case $UNDERLAY$1 in
        4A) echo 192.0.2.1 ;;
        4B) echo 192.0.2.2 ;;
        6A) echo 2001:db8::1 ;;
        6B) echo 2001:db8::2 ;;
    esac
}

# host_port ADDRESS PORT: as an Endpoint is written.
host_port() {
    if [[ $1 == *:* ]]; then echo "[$1]:$2"; else echo "$1:$2"; fi
}

# The two ends of the underlay know each other, so that nothing but the tunnel's own datagrams is on it.
underlay_neighbours() {
    in_ns nsA ip neighbour replace "$(underlay_address B)" lladdr "$(mac_of nsB wan0)" dev wan0 nud permanent
    in_ns nsB ip neighbour replace "$(underlay_address A)" lladdr "$(mac_of nsA wan0)" dev wan0 nud permanent
}

site_up() {
    local site=$1 number=$2
    if [[ $BRIDGED == yes ]]; then
        in_ns "ns$site" ip link add br0 type bridge mcast_snooping 0 forward_delay 0
        in_ns "ns$site" ip link set port0 mtu $((INNER_MTU + SLACK)) master br0 up
        in_ns "ns$site" ip link set br0 up
    else
        in_ns "ns$site" ip link set port0 mtu "$INNER_MTU" up
    fi
    in_ns "h$site" ip link set eth0 mtu $((INNER_MTU + SLACK)) up
    in_ns "h$site" ip address add "10.9.0.$number/24" dev eth0
    if [[ $INNER6 == yes ]]; then
        enable_ipv6 "h$site" eth0
        in_ns "h$site" ip address add "fd00:9::$number/64" dev eth0 nodad
    fi
    [[ $ROUTER == no ]] || return 0 # router_up saw to it
    in_ns "ns$site" ip link set wan0 up
    if [[ $UNDERLAY == 6 ]]; then
        enable_ipv6 "ns$site" wan0
        in_ns "ns$site" ip address add "$(underlay_address "$site")/64" dev wan0 nodad
    else
        in_ns "ns$site" ip address add "$(underlay_address "$site")/24" dev wan0
    fi
}

# router_join: the two ends and nsR know each other by addresses of UNDERLAY's version. With the other version in UNDERLAY for a moment
# there are both: UNDERLAY=6 router_join.
router_join() {
    local site device address gateway=192.0.2.254 len=32 own
    [[ $UNDERLAY == 4 ]] || gateway=2001:db8::fe len=128
    for site in A B; do
        device=${site,,}0 address=$(underlay_address "$site") own=$(underlay_address "$(other "$site")")
        [[ $UNDERLAY == 4 ]] || enable_ipv6 nsR "$device"
        in_ns nsR ip address add "$gateway/$len" dev "$device"
        [[ $UNDERLAY == 4 ]] || enable_ipv6 "ns$site" wan0
        in_ns "ns$site" ip address add "$address/$len" dev wan0
        in_ns "ns$site" ip route add "$gateway/$len" dev wan0
        in_ns "ns$site" ip route add "$own/$len" via "$gateway"
        in_ns nsR ip route replace "$address/$len" dev "$device"
    done
}

# router_up: nsR, with a0 towards A and b0 towards B, forwards between the two.
router_up() {
    local site device
    in_ns nsR sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
    for site in A B; do
        device=${site,,}0
        ip link add wan0 netns "$(ns "ns$site")" type veth peer name "$device" netns "$(ns nsR)"
        in_ns nsR ip link set "$device" up
        in_ns "ns$site" ip link set wan0 up
    done
    router_join
    path_mtu 1500
}

# path_mtu N [yes|no]: what nsR forwards from now on, and whether it says so by ICMP when a packet is too large (yes).
path_mtu() {
    local mtu=$1 icmp=${2:-yes} len=32
    [[ $UNDERLAY == 4 ]] || len=128
    in_ns nsR nft "flush ruleset; add table inet silence; add chain inet silence output { type filter hook output priority 0; }"
    if [[ $icmp == no ]]; then
        in_ns nsR nft "add rule inet silence output icmp type destination-unreachable drop; add rule inet silence output icmpv6 type packet-too-big drop"
    fi
    in_ns nsR ip route replace "$(underlay_address A)/$len" dev a0 mtu "$mtu"
    in_ns nsR ip route replace "$(underlay_address B)/$len" dev b0 mtu "$mtu"
}

# nat_with FIRST-PORT: from now on nsR is a NAT to B, which takes one of a thousand ports for a flow, and has forgotten all flows. IPv4.
nat_with() {
    in_ns nsR nft -f - <<RULES
table ip nat_to_b
delete table ip nat_to_b
table ip nat_to_b {
    chain postrouting {
        type nat hook postrouting priority srcnat
        ip saddr 192.0.2.2 oifname a0 meta l4proto udp snat to 192.0.2.254:$1-$(($1 + 999)) random
    }
}
RULES
    nat_forget
}

nat_forget() { tool forget "$(ns nsR)"; }

# site_file A|B NAME LINE…: a file that the site's node finds in its /etc.
site_file() {
    local dir file=$2
    dir=/etc/netns/$(ns "ns$1")
    shift 2
    mkdir -p "$dir"
    printf '%s\n' "$@" >"$dir/$file"
}

# underlay_mode offload|wire|bare: how the underlay handles trains of datagrams. offload: veth as it comes, like a card that cuts and joins
# them; wire: software does (GSO and GRO), like an ordinary card; bare: every datagram alone. veth runs GRO only when the other end has no
# TSO feature left.
underlay_mode() {
    local site segmentation=on gro=on
    [[ $1 == offload ]] || segmentation=off
    [[ $1 != bare ]] || gro=off
    for site in A B; do
        in_ns "ns$site" ethtool -K wan0 tso "$segmentation" tx-udp-segmentation "$segmentation" gro "$gro" >/dev/null
        [[ $ROUTER == no ]] || in_ns nsR ethtool -K "${site,,}0" tso "$segmentation" tx-udp-segmentation "$segmentation" gro "$gro" >/dev/null
    done
}

# net_up [underlay=4|6] [router=yes|no] [bridge=yes|no] [inner6=yes|no] [mtu=N] [slack=N]: builds the picture above, with fresh keys for both nodes.
net_up() {
    local option site
    UNDERLAY=4 ROUTER=no BRIDGED=yes INNER6=no INNER_MTU=1500 SLACK=0
    for option in "$@"; do
        case $option in
            underlay=*) UNDERLAY=${option#*=} ;;
            router=*) ROUTER=${option#*=} ;;
            bridge=*) BRIDGED=${option#*=} ;;
            inner6=*) INNER6=${option#*=} ;;
            mtu=*) INNER_MTU=${option#*=} ;;
            slack=*) SLACK=${option#*=} ;;
            *) echo "Bail out! net_up: unknown option $option" && exit 1 ;;
        esac
    done
    ns_add hA nsA nsB hB || exit 1
    if [[ $ROUTER == yes ]]; then
        ns_add nsR || exit 1
        router_up
    else
        ip link add wan0 netns "$(ns nsA)" type veth peer name wan0 netns "$(ns nsB)"
    fi
    ip link add eth0 netns "$(ns hA)" type veth peer name port0 netns "$(ns nsA)"
    ip link add eth0 netns "$(ns hB)" type veth peer name port0 netns "$(ns nsB)"
    site_up A 1
    site_up B 2
    [[ $ROUTER == yes ]] || underlay_neighbours
    (umask 077 && "$ETHERCORD" genpsk >"$WORK/psk")
    for site in A B; do
        (umask 077 && "$ETHERCORD" genkey >"$WORK/$site.key")
        "$ETHERCORD" pubkey <"$WORK/$site.key" >"$WORK/$site.pub"
    done
}

# net_down: the daemons, then everything else inside the namespaces, then the namespaces.
net_down() {
    local name
    node_stop A
    node_stop B
    {
        for name in "${NS_MADE[@]}"; do
            # Whatever runs in a namespace of ours was started by us.
            # shellcheck disable=SC2046
            kill -KILL $(ip netns pids "$NS_PREFIX$name")
            ip netns delete "$NS_PREFIX$name"
            rm -rf "/etc/netns/$NS_PREFIX$name" # files that are to be found in its /etc
        done
        wait
    } 2>/dev/null
    NS_MADE=()
}

cleanup() {
    trap - EXIT INT TERM HUP
    [[ -z $FOREGROUND_PID ]] || kill "$FOREGROUND_PID" 2>/dev/null
    net_down
    rm -rf -- ${WORK:+"$WORK"} ${REPORTS:+"$REPORTS"}
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ethercord-test.XXXXXX")
sanitizer_prepare

# ---- nodes ------------------------------------------------------------------------------------------------------------------------

other() { if [[ $1 == A ]]; then echo B; else echo A; fi; }

# config_defaults SITE: one "Section.Key=Value" a line.
config_defaults() {
    local site=$1 far number=251
    far=$(other "$site")
    [[ $site == A ]] || number=252
    echo "Node.PrivateKeyFile=$site.key"
    echo "Node.ListenPort=36160"
    echo "Tap.Name=cord0"
    echo "Tap.MTU=$INNER_MTU"
    [[ $BRIDGED == no ]] || echo "Tap.Bridge=br0"
    if [[ $INNER6 == yes ]]; then
        echo "Shortcut.Address=10.9.0.$number/24, fd00:9::$number/64"
    else
        echo "Shortcut.Address=10.9.0.$number/24"
    fi
    echo "Peer.PublicKey=$(<"$WORK/$far.pub")"
    echo "Peer.PresharedKeyFile=psk"
    echo "Peer.Endpoint=$(host_port "$(underlay_address "$far")" 36160)"
}

# config_format PEER-NAME: "Section.Key=Value" lines on stdin become a file; of two values for a key the later one counts, and an empty
# one leaves the key out.
config_format() {
    awk -v peer="$1" '
        { eq = index($0, "="); name = substr($0, 1, eq - 1); value[name] = substr($0, eq + 1)
          if (!(name in seen)) { order[++n] = name; seen[name] = 1 } }
        function section(title, prefix,   i, is_open) {
            for (i = 1; i <= n; i++) {
                if (index(order[i], prefix ".") != 1 || value[order[i]] == "") continue
                if (!is_open++) print "[" title "]"
                print substr(order[i], length(prefix) + 2) " = " value[order[i]]
            }
            if (is_open) print ""
        }
        END { section("Node", "Node"); section("Tap", "Tap"); section("Shortcut", "Shortcut"); section("Metrics", "Metrics"); section("Peer " peer, "Peer") }'
}

# node_config A|B [Section.Key=Value…]: writes $WORK/A.conf.
node_config() {
    local site=$1
    shift
    { config_defaults "$site"; [[ $# == 0 ]] || printf '%s\n' "$@"; } | config_format "site-$(other "$site")" >"$WORK/$site.conf"
}

# node_run A|B: starts the daemon on the configuration that is there; the log goes to $WORK/A.log (appended).
node_run() {
    local site=$1
    mkdir -p "$WORK/run-$site"
    ip netns exec "$(ns "ns$site")" "$ETHERCORD" run --run-dir "$WORK/run-$site" "$WORK/$site.conf" \
        </dev/null >>"$WORK/$site.log" 2>&1 &
    NODE_PID[$site]=$!
}

node_is_ready() { node_status "$1" >/dev/null 2>&1 || ! kill -0 "${NODE_PID[$1]}" 2>/dev/null; }

# node_start A|B [Section.Key=Value…]: configures, starts, and waits until `status` answers.
node_start() {
    local site=$1
    node_config "$@"
    node_run "$site"
    wait_until 5 node_is_ready "$site"
    node_status "$site" >/dev/null && return 0
    sed 's/^/# log: /' "$WORK/$site.log"
    return 1
}

# node_stop A|B [SIGNAL]: ends the daemon and leaves its exit code in NODE_EXIT. SIGKILL follows when it doesn't listen for 5 s.
node_stop() {
    local site=$1 signal=${2:-TERM} pid=${NODE_PID[$1]:-}
    NODE_EXIT=
    [[ -n $pid ]] || return 0
    # The shell would tell of each child that a signal has ended.
    {
        kill -s "$signal" "$pid"
        wait_until 5 node_is_gone "$pid" || kill -KILL "$pid"
        wait "$pid"
        # shellcheck disable=SC2034 # for the scripts
        NODE_EXIT=$?
    } 2>/dev/null
    unset "NODE_PID[$site]"
}

# node_kill A|B: SIGKILL to all its processes at the same moment, so that none can say goodbye.
node_kill() {
    {
        # shellcheck disable=SC2046
        kill -KILL $(ip netns pids "$(ns "ns$1")" | sort -rn) # the worker first: its monitor would have it say goodbye
        wait "${NODE_PID[$1]}"
    } 2>/dev/null
    unset "NODE_PID[$1]"
    wait_until 5 nothing_runs "ns$1" # the worker takes its TAP with it, which is not done in a moment
    wait_until 5 nobody_answers "$1" # nor do all its threads end at once, and the last one closes the control socket
}

nobody_answers() { ! node_status "$1" >/dev/null 2>&1; }

nothing_runs() { [[ -z $(ip netns pids "$(ns "$1")") ]]; }

# A zombie is gone too: only this shell can reap it, and it is waiting here.
node_is_gone() { [[ ! -e /proc/$1/stat || $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) == Z ]]; }

# node_status A|B: the JSON document.
node_status() { "$ETHERCORD" status "$1" --run-dir "$WORK/run-$1" --json; }

# status_get A|B PATH…: values out of the JSON document, one a line; paths like .peers[0].state or .drops.auth_failed. What is not there
# reads as null.
status_get() {
    local site=$1
    shift
    node_status "$site" 2>/dev/null | "$PYTHON" -c '
import json, re, sys
try:
    document = json.load(sys.stdin)
except ValueError:
    sys.exit(1)
for path in sys.argv[1:]:
    value = document
    for key, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        try:
            value = value[key] if key else value[int(index)]
        except (KeyError, IndexError, TypeError):
            value = None
            break
    print(value if isinstance(value, str) else json.dumps(value))' "$@"
}

node_is_up() { [[ $(status_get "$1" ".peers[0].state") == up ]]; }
both_are_up() { node_is_up A && node_is_up B; }

# cord_up [Section.Key=Value…]: both nodes with these settings, and a session between them.
cord_up() {
    node_start A "$@" && node_start B "$@" && wait_until 10 both_are_up && return 0
    sed 's/^/# log A: /' "$WORK/A.log"
    sed 's/^/# log B: /' "$WORK/B.log"
    return 1
}

# ---- rows of parameters -----------------------------------------------------------------------------------------------------------

# Pairs of values, or with ETHERCORD_FULL=1 the whole product. ETHERCORD_PART=K/N takes only each N-th row, from row K (1 to N) on.
ALL=() # what pairs gets when everything is wanted
[[ ${ETHERCORD_FULL:-0} == 0 ]] || ALL=(--all)
PART=${ETHERCORD_PART:-1/1}

# rows NAME=VALUE,…: one "NAME=VALUE NAME=VALUE" a line, of the part that is wanted.
rows() { tool pairs "${ALL[@]}" "$@" | awk -v k="${PART%/*}" -v n="${PART#*/}" '(NR - k) % n == 0'; }

# set_row "NAME=VALUE …": into ROW.
# shellcheck disable=SC2034 # for the scripts
declare -A ROW
set_row() {
    local pair
    ROW=()
    # shellcheck disable=SC2034
    for pair in $1; do ROW[${pair%%=*}]=${pair#*=}; done
}

# underlay_narrow MTU: both ends of an underlay without a router get it, so that each node's own kernel refuses what is longer.
underlay_narrow() {
    local site
    for site in A B; do in_ns "ns$site" ip link set wan0 mtu "$1"; done
}

# path_is SITE SIZE: the node has found its path MTU, and it is that.
path_is() { [[ $(status_get "$1" '.peers[0].path_mtu_state' '.peers[0].path_mtu' | paste -sd' ') == "found $2" ]]; }

# ---- helpers ----------------------------------------------------------------------------------------------------------------------

# wait_until SECONDS COMMAND…: true as soon as the command is; false when the time is over.
wait_until() {
    local end
    end=$(($(date +%s%N) + SLOWER * $(awk -v s="$1" 'BEGIN { printf "%.0f", s * 1e9 }')))
    shift
    until "$@"; do
        (($(date +%s%N) < end)) || return 1
        sleep 0.05
    done
}

# interruptibly COMMAND…: bash runs traps only between commands, and at once while it waits.
interruptibly() {
    "$@" &
    FOREGROUND_PID=$!
    wait "$FOREGROUND_PID"
}

# mac_of NAMESPACE DEVICE
mac_of() { in_ns "$1" cat "/sys/class/net/$2/address"; }

# frag_creates NAMESPACE: outer IP fragments made so far, IPv4 and IPv6.
frag_creates() {
    # shellcheck disable=SC2016 # awk's own
    in_ns "$1" awk '/^Ip:/ { if (!n) { for (i = 1; i <= NF; i++) if ($i == "FragCreates") n = i } else sum += $n }
                    FILENAME ~ /snmp6/ && $1 == "Ip6FragCreates" { sum += $2 } END { print sum + 0 }' /proc/net/snmp /proc/net/snmp6
}

# capture_start NAMESPACE DEVICE FILE [FILTER…]: leaves the process id in CAPTURE_PID.
capture_start() {
    local name=$1 device=$2 file=$3
    shift 3
    : >"$file.err" # here and not only by tcpdump's own shell: an earlier capture of that name would look like this one
    ip netns exec "$(ns "$name")" tcpdump -i "$device" -w "$file" -U --immediate-mode -B 16384 -Z root "$@" 2>"$file.err" &
    CAPTURE_PID=$!
    wait_until 5 grep -q "listening on" "$file.err"
}

capture_stop() {
    sleep 0.2
    kill -INT "$CAPTURE_PID" 2>/dev/null
    wait "$CAPTURE_PID" 2>/dev/null
}

# capture_count FILE FILTER…: how many packets of a capture match.
capture_count() {
    local file=$1
    shift
    tcpdump -nr "$file" "$@" 2>/dev/null | wc -l
}

# tool NAME ARGUMENT…: one of the helpers in Python; it enters namespaces by itself.
tool() {
    local name=$1
    shift
    "$PYTHON" "$NETNS_DIR/$name.py" "$@"
}

# ---- Test Anything Protocol -------------------------------------------------------------------------------------------------------

TEST_COUNT=0
TEST_FAILED=0

ok() {
    TEST_COUNT=$((TEST_COUNT + 1))
    echo "ok $TEST_COUNT - $1"
}

# not_ok NAME [DIAGNOSIS]
not_ok() {
    TEST_COUNT=$((TEST_COUNT + 1))
    TEST_FAILED=$((TEST_FAILED + 1))
    echo "not ok $TEST_COUNT - $1"
    [[ -z ${2:-} ]] || head -n 20 <<<"$2" | sed 's/^/#   /'
}

skip() {
    TEST_COUNT=$((TEST_COUNT + 1))
    echo "ok $TEST_COUNT - $1 # SKIP $2"
}

# check NAME COMMAND…: ok when it succeeds; its output is shown only when it doesn't.
check() {
    local name=$1
    shift
    # No subshell: the command may start a node.
    if "$@" >"$WORK/check.out" 2>&1; then ok "$name"; else not_ok "$name" "$(<"$WORK/check.out")"; fi
}

# check_not NAME COMMAND…: ok when it fails.
check_not() {
    local name=$1
    shift
    if "$@" >"$WORK/check.out" 2>&1; then not_ok "$name" "succeeded: $(<"$WORK/check.out")"; else ok "$name"; fi
}

# is NAME GOT WANTED
is() {
    if [[ $2 == "$3" ]]; then ok "$1"; else not_ok "$1" "got '$2', wanted '$3'"; fi
}

# matches NAME GOT REGEX
matches() {
    if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1" "got '$2', wanted /$3/"; fi
}

# plan: the end of a script.
plan() {
    sanitizer_verdict
    echo "1..$TEST_COUNT"
    ((TEST_FAILED == 0))
    exit
}
