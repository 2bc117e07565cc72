# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# shellcheck disable=SC2034 # variables for the scripts
#
# relay: the process between the two sites that does to their datagrams what a bad network does (see relay.c), for scripts that have called
# net_up router=yes. It stands in nsR; each site's Endpoint is the relay's address.

declare -A RELAY_PORT=([A]=36161 [B]=36162)  # each faces that site
declare -A RELAY_TO=([A]=36160 [B]=36160)    # the ports that the sites listen on
RELAY_PID=

relay_address() { if [[ $UNDERLAY == 4 ]]; then echo 192.0.2.254; else echo 2001:db8::fe; fi; }

# relay_endpoint A|B: what that site's Endpoint is, for its datagrams to take the way through the relay.
relay_endpoint() { host_port "$(relay_address)" "${RELAY_PORT[$1]}"; }

# relay_build: once a script.
relay_build() {
    [[ -x $WORK/relay ]] || "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$WORK/relay" "$NETNS_DIR/relay.c"
}

# relay_start [COMMAND…]
relay_start() {
    local site towards=()
    relay_build || return 1
    for site in A B; do towards+=("$(relay_endpoint "$site")" "$(host_port "$(underlay_address "$site")" "${RELAY_TO[$site]}")"); done
    rm -f "$WORK/relay.control" "$WORK/relay.counts"
    mkfifo "$WORK/relay.control"
    ip netns exec "$(ns nsR)" "$WORK/relay" "$WORK/relay.control" "$WORK/relay.counts" "${towards[@]}" "$@" </dev/null 2>"$WORK/relay.err" &
    RELAY_PID=$!
    wait_until 5 relay_is_ready && return 0
    cat "$WORK/relay.err"
    return 1
}
relay_is_ready() { [[ -e $WORK/relay.counts ]]; }

# relay_stop: its last counts stay readable.
relay_stop() {
    { kill "$RELAY_PID" && wait "$RELAY_PID"; } 2>/dev/null
    RELAY_PID=
}

# relay_do COMMAND…: as relay.c has them; they are carried out when this returns. Not from two places at once.
relay_do() {
    local before
    before=$(relay_n_commands)
    printf '%s\n' "$@" >"$WORK/relay.control"
    wait_until 5 relay_has_done $((before + $#)) && relay_lives && return 0
    cat "$WORK/relay.err"
    return 1
}
relay_n_commands() { sed -n 's/^commands=//p' "$WORK/relay.counts"; }
relay_has_done() { [[ $(relay_n_commands) -ge $1 ]] || ! relay_lives; }
relay_lives() { kill -0 "$RELAY_PID" 2>/dev/null; }

# relay_count NAME…: their sum. A NAME may be a pattern of sed's (`ab.flipped_.*`); one that matches nothing is said to.
relay_count() {
    local name
    [[ -z $RELAY_PID ]] || relay_do counts || return 1
    for name in "$@"; do
        sed -n "s/^$name=//p" "$WORK/relay.counts" | grep . || echo "relay_count: no '$name'" >&2
    done | awk '{ sum += $1 } END { printf "%d\n", sum }'
}

# relay_cord_up [Section.Key=Value…]: as cord_up, through the relay. B is there first and says nothing, so that no datagram comes to a
# closed door.
relay_cord_up() {
    relay_nodes_start "$@" && wait_until 15 both_are_up && return 0
    sed 's/^/# log A: /' "$WORK/A.log"
    sed 's/^/# log B: /' "$WORK/B.log"
    return 1
}
relay_nodes_start() { node_start B "$@" Peer.Endpoint= && node_start A "$@" Peer.Endpoint="$(relay_endpoint A)"; }

# relay_settled: all that the nodes have sent has come to the relay, and all that it passed on has come to them. True only of nodes that
# were started after it.
relay_settled() {
    local sent_a sent_b got_a got_b missed_a missed_b
    { read -r sent_a && read -r got_a && read -r missed_a; } < <(what_went A) || return 1
    { read -r sent_b && read -r got_b && read -r missed_b; } < <(what_went B) || return 1
    [[ $(relay_count ab.received) == "$sent_a" && $(relay_count ab.forwarded ab.replayed) == $((got_b + missed_b)) &&
        $(relay_count ba.received) == "$sent_b" && $(relay_count ba.forwarded ba.replayed) == $((got_a + missed_a)) ]]
}
what_went() { status_get "$1" .counters.tx_datagrams .counters.rx_datagrams .drops.receive_queue_full; }

# numbered OPTION…: frames from hA to hB; leaves its line in NUMBERED, and SENT, RECEIVED, DUPLICATES and CORRUPTED.
numbered() {
    NUMBERED=$(tool numbered --tx "$(ns hA)/eth0" --rx "$(ns hB)/eth0" "$@") || return 1
    read -r SENT RECEIVED DUPLICATES CORRUPTED <<<"${NUMBERED//[a-z=]/}"
}

# transfer ADDRESS OPTION…: TCP from hA to hB.
transfer() { tool transfer "$(ns hA)" "$(ns hB)" --timeout 100 "$@"; }

missed() { status_get "$1" .drops.receive_queue_full; }
# agrees WHAT SITE GOT WANTED: exactly, but for what the node's socket had no room for, should this machine have been busy elsewhere.
agrees() {
    local missed
    missed=$(missed "$2")
    if [[ $missed == 0 ]]; then
        is "$1" "$3" "$4"
    else
        check "$1, but for $missed that $2's socket had no room for" test "$3" -le "$4" -a $(($3 + missed)) -ge "$4"
    fi
}

# ---- rows -------------------------------------------------------------------------------------------------------------------------

# A seed has its cipher, underlay and mode; with ETHERCORD_FULL=1 there are 20, and each has all.
relay_rows() {
    if [[ ${ETHERCORD_FULL:-0} != 0 ]]; then
        rows "$@" seed="$(seq -s, 20)" cipher=aes-256-gcm,chacha20-poly1305 underlay=4,6 mode=offload,wire,bare
    else
        rows "$@" seed=1,2 | sed 's/seed=1/& cipher=aes-256-gcm underlay=4 mode=offload/; s/seed=2/& cipher=chacha20-poly1305 underlay=6 mode=wire/'
    fi
}
RELAY_BEGIN=() # commands that are there before the first datagram

# relay_net_up: the network of ROW, and a relay.
relay_net_up() {
    net_up router=yes underlay="${ROW[underlay]}" && underlay_mode "${ROW[mode]}" && relay_start seed="${ROW[seed]}" "${RELAY_BEGIN[@]}"
}
# row_up [Section.Key=Value…]: a session too. The TAP's queue holds what numbered is ahead.
# shellcheck disable=SC2120 # a script may do without
row_up() { relay_net_up && relay_cord_up Node.Cipher="${ROW[cipher]}" Shortcut.Address= Tap.QueueLength=2000 "$@"; }
row_down() {
    relay_stop
    net_down
}
row_is_found() { row_up && wait_until 15 path_is A 1500 && wait_until 15 path_is B 1500; }

# each_row FUNCTION NAME=VALUE,…: for each of the rows over these and the seeds, with a session; each_net: without. ROW_TEXT is to be told
# with the results.
each_row() { each_after row_is_found "$@"; }
each_net() { each_after relay_net_up "$@"; }
each_after() {
    local before=$1 function=$2 row
    shift 2
    while read -r row; do
        set_row "$row"
        ROW_TEXT=$row
        if "$before" >"$WORK/up.out" 2>&1; then
            "$function"
        else
            not_ok "$function: $before ($row)" "$(tail -n 20 "$WORK/up.out")"
        fi
        row_down
    done < <(relay_rows "$@")
}
