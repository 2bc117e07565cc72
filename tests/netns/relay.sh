# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# relay: the process between the two sites that does to their datagrams what a bad network does (see relay.c), for scripts that have called
# net_up router=yes. It stands in nsR; each site's Endpoint is the relay's address.

declare -A RELAY_PORT=([A]=36161 [B]=36162) # each faces that site
RELAY_PID=

relay_address() { if [[ $UNDERLAY == 4 ]]; then echo 192.0.2.254; else echo 2001:db8::fe; fi; }

# relay_endpoint A|B: what that site's Endpoint is, for its datagrams to take the way through the relay.
relay_endpoint() { host_port "$(relay_address)" "${RELAY_PORT[$1]}"; }

# relay_build: once a script.
relay_build() {
    [[ -x $WORK/relay ]] || "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$WORK/relay" "$NETNS_DIR/relay.c"
}

# relay_start [COMMAND…]: FAR_PORT is the port that both sites listen on (36160).
relay_start() {
    local port=${FAR_PORT:-36160} site towards=()
    relay_build || return 1
    for site in A B; do towards+=("$(relay_endpoint "$site")" "$(host_port "$(underlay_address "$site")" "$port")"); done
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

# relay_cord_up [Section.Key=Value…]: as cord_up, through the relay.
relay_cord_up() {
    local site
    for site in A B; do node_start "$site" Peer.Endpoint="$(relay_endpoint "$site")" "$@" || return 1; done
    wait_until 15 both_are_up && return 0
    sed 's/^/# log A: /' "$WORK/A.log"
    sed 's/^/# log B: /' "$WORK/B.log"
    return 1
}
