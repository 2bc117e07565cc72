# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# peers: what is measured. Each peer joins the bridges br0 of namespaces nsA and nsB, over the underlay wan0 between them, and carries an
# inner MTU of 1500 over its 1500 bytes. For whoever sources ../netns/lib.sh and this file:
#
#   peer_start NAME     starts it at both sites and makes its Ethernet device a port of br0; false when it doesn't come up
#   peer_settle NAME    prints how many seconds it takes from then until it is what it stays
#   peer_error          why, in one line
#   peer_commands       the exact commands and configuration files of the peer started last, without keys and paths of this run
#   peer_title NAME, peer_setup NAME, peer_package NAME      for the report
#   peer_stop NAME      ends everything of it
#
# Each peer is a family (the part of its name up to the first dash) with functions <family>_start and, where there is more to undo than
# to end processes, <family>_stop. Settings are each program's defaults and what helps it in this job; peer_setup says what and why.
# OPENVPN_OPTIONS takes the place of --fast-io, to try others.

# shellcheck disable=SC2034 # for bench.sh
PEERS_ALL=(veth vxlan ethercord-aes256gcm ethercord-chacha20 openvpn-aes256gcm openvpn-chacha20 fastd-aes128gcm fastd-salsa2012umac
    tinc n2n)

declare -a PEER_PIDS=()

peer_exists() { [[ " ${PEERS_ALL[*]} " == *" $1 "* ]]; }

peer_start() {
    : >"$WORK/commands"
    : >"$WORK/peer-A.log"
    : >"$WORK/peer-B.log"
    "${1%%-*}_start" "$1"
}

# tinc carries everything over its TCP connection until it knows the path MTU, which took 6 s.
peer_settle() { if [[ $1 == tinc ]]; then echo 8; else echo 0.5; fi; }

peer_stop() {
    if [[ $(type -t "${1%%-*}_stop") == function ]]; then
        "${1%%-*}_stop"
    fi
    {
        kill "${PEER_PIDS[@]}"
        wait_until 3 nothing_runs nsA && wait_until 3 nothing_runs nsB
    } 2>/dev/null
    PEER_PIDS=()
}

# Key material and names of this run are of no use to anybody later.
tidy() {
    local expressions=(-e "s|$WORK/||g" -e "s|$ETHERCORD|ethercord|g" -e "s|$NS_PREFIX||g") site file
    for site in A B; do
        for file in "$WORK/$site.pub" "$WORK/$site.fp" "$WORK/fastd-$site.pub"; do
            [[ ! -s $file ]] || expressions+=(-e "s|$(<"$file")|PUBLIC-KEY-OF-$site|g")
        done
    done
    sed "${expressions[@]}" -e 's/[^[:print:]\t]//g'
}

peer_commands() { tidy <"$WORK/commands"; }

peer_error() {
    local site
    for site in A B; do
        grep -v '^ *$' "$WORK/peer-$site.log" "$WORK/$site.log" 2>/dev/null | cut -d: -f2- | tail -n 2 | sed "s/^/$site: /"
    done | tidy | paste -sd';' | cut -c 1-400
}

# Shell words as a person would write them.
words() {
    local word
    for word in "$@"; do
        if [[ $word =~ [^A-Za-z0-9_./:,=@%+-] ]]; then printf "'%s' " "$word"; else printf '%s ' "$word"; fi
    done
}

# site_does SITE COMMAND…: runs it in the site's namespace and notes it.
site_does() {
    local site=$1
    shift
    echo "$site\$ $(words "$@")" | sed 's/ $//' >>"$WORK/commands"
    in_ns "ns$site" "$@" >>"$WORK/peer-$site.log" 2>&1
}

# site_runs SITE COMMAND…: the same in the background.
site_runs() {
    local site=$1
    shift
    echo "$site\$ $(words "$@")&" >>"$WORK/commands"
    ip netns exec "$(ns "ns$site")" "$@" </dev/null >>"$WORK/peer-$site.log" 2>&1 &
    PEER_PIDS+=($!)
}

# note_file SITE FILE
note_file() {
    { echo "$1: ${2##*/}:" && sed 's/^/    /' "$2"; } >>"$WORK/commands"
}

device_is_there() { in_ns "ns$1" test -e "/sys/class/net/$2"; }
log_says() { grep -q "$2" "$WORK/peer-$1.log"; }

# both_join DEVICE: waits for the device and makes it a port.
both_join() {
    local site
    for site in A B; do
        wait_until 10 device_is_there "$site" "$1" || return 1
        site_does "$site" ip link set "$1" mtu 1500 master br0 up || return 1
    done
}

# ---- ceilings ---------------------------------------------------------------------------------------------------------------------

# The underlay itself as a port, without any tunnel.
veth_start() {
    local site
    for site in A B; do
        site_does "$site" ip address flush dev wan0
    done
    both_join wan0
}

veth_stop() {
    local site
    for site in A B; do
        in_ns "ns$site" ip link set wan0 nomaster
        in_ns "ns$site" ip address add "$(underlay_address "$site")/24" dev wan0
    done
    underlay_neighbours
}

# VXLAN doesn't cut: its 50 bytes more have to fit the underlay.
vxlan_start() {
    local site
    for site in A B; do
        site_does "$site" ip link set wan0 mtu 1550
        site_does "$site" ip link add vxlan0 type vxlan id 1 dev wan0 local "$(underlay_address "$site")" \
            remote "$(underlay_address "$(other "$site")")" dstport 4789 || return 1
    done
    both_join vxlan0
}

vxlan_stop() {
    local site
    for site in A B; do
        in_ns "ns$site" ip link delete vxlan0
        in_ns "ns$site" ip link set wan0 mtu 1500
    done 2>/dev/null
}

# ---- ethercord --------------------------------------------------------------------------------------------------------------------

ethercord_start() {
    local cipher=aes-256-gcm site
    [[ $1 != *chacha20 ]] || cipher=chacha20-poly1305
    for site in A B; do
        : >"$WORK/$site.log"
        node_start "$site" Node.Cipher=$cipher || return 1
        note_file "$site" "$WORK/$site.conf"
        echo "$site\$ ethercord run $site.conf &" >>"$WORK/commands"
    done
    wait_until 10 both_are_up
}

ethercord_stop() {
    node_stop A
    node_stop B
}

# ---- OpenVPN ----------------------------------------------------------------------------------------------------------------------

# Self-signed certificates that know each other by fingerprint; made once.
openvpn_certificates() {
    local site
    for site in A B; do
        [[ ! -s $WORK/$site.fp ]] || continue
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$site" \
            -keyout "$WORK/$site.pem" -out "$WORK/$site.crt" 2>/dev/null
        openssl x509 -in "$WORK/$site.crt" -noout -fingerprint -sha256 | cut -d= -f2 >"$WORK/$site.fp"
    done
}

openvpn_start() {
    local cipher=AES-256-GCM site far role
    [[ $1 != *chacha20 ]] || cipher=CHACHA20-POLY1305
    openvpn_certificates
    for site in A B; do
        far=$(other "$site")
        role=--tls-server
        [[ $site == A ]] || role=--tls-client
        # shellcheck disable=SC2086 # words
        site_runs "$site" openvpn --dev tap0 --dev-type tap --proto udp --port 1194 --remote "$(underlay_address "$far")" 1194 "$role" \
            --dh none --cert "$WORK/$site.crt" --key "$WORK/$site.pem" --peer-fingerprint "$(<"$WORK/$far.fp")" \
            --data-ciphers $cipher --tun-mtu 1500 ${OPENVPN_OPTIONS---fast-io}
    done
    for site in A B; do
        wait_until 20 log_says "$site" "Initialization Sequence Completed" || return 1
    done
    both_join tap0
}

# ---- fastd ------------------------------------------------------------------------------------------------------------------------

# fastd_config SITE METHOD: the far end is called by A alone; when both call at once, fastd 22 may end up with keys that don't match.
fastd_config() {
    local far
    far=$(other "$1")
    printf '%s\n' 'mode tap;' 'interface "tap0";' "method \"$2\";" 'mtu 1500;' "bind $(underlay_address "$1"):10000;" \
        "include \"$WORK/fastd-$1.secret\";" "peer \"site-$far\" {" "    key \"$(<"$WORK/fastd-$far.pub")\";"
    [[ $1 == B ]] || echo "    remote $(underlay_address "$far"):10000;"
    echo '}'
}

fastd_start() {
    local method=aes128-gcm site
    [[ $1 != *salsa2012umac ]] || method=salsa2012+umac
    for site in A B; do
        fastd --generate-key --machine-readable >"$WORK/key" 2>>"$WORK/peer-$site.log" || return 1
        echo "secret \"$(<"$WORK/key")\";" >"$WORK/fastd-$site.secret"
        fastd --config "$WORK/fastd-$site.secret" --show-key --machine-readable >"$WORK/fastd-$site.pub" 2>>"$WORK/peer-$site.log"
    done
    for site in B A; do
        fastd_config "$site" "$method" >"$WORK/fastd-$site.conf"
        note_file "$site" "$WORK/fastd-$site.conf"
        site_runs "$site" fastd --config "$WORK/fastd-$site.conf"
        wait_until 5 device_is_there "$site" tap0 || return 1 # who calls before the other listens waits 20 s for the next time
    done
    for site in A B; do
        wait_until 20 log_says "$site" "connection with .* established" || return 1
    done
    both_join tap0
}

# ---- tinc -------------------------------------------------------------------------------------------------------------------------

tinc_config() {
    local folder=$WORK/tinc-$1
    mkdir -p "$folder/hosts"
    printf '%s\n' "Name = $1" 'Mode = switch' 'DeviceType = tap' 'Interface = tap0' 'AddressFamily = ipv4' >"$folder/tinc.conf"
    [[ $1 == B ]] || echo "ConnectTo = B" >>"$folder/tinc.conf"
    note_file "$1" "$folder/tinc.conf"
    echo "Address = $(underlay_address "$1")" >"$folder/hosts/$1"
    note_file "$1" "$folder/hosts/$1"
    [[ -s $folder/rsa_key.priv ]] || tincd --config="$folder" --generate-keys=2048 </dev/null >>"$WORK/peer-$1.log" 2>&1
}

tinc_start() {
    local site
    rm -rf "$WORK"/tinc-[AB]
    for site in A B; do
        tinc_config "$site" || return 1
    done
    cp "$WORK/tinc-A/hosts/A" "$WORK/tinc-B/hosts/"
    cp "$WORK/tinc-B/hosts/B" "$WORK/tinc-A/hosts/"
    for site in B A; do
        site_runs "$site" tincd --config="$WORK/tinc-$site" --no-detach --pidfile="$WORK/tinc-$site.pid"
    done
    both_join tap0
}

# ---- n2n --------------------------------------------------------------------------------------------------------------------------

n2n_start() {
    local site number
    site_runs A supernode -l 7654
    for site in A B; do
        number=$([[ $site == A ]] && echo 1 || echo 2)
        site_runs "$site" edge -d tap0 -a "10.255.0.$number" -c bench -k a-shared-secret -l "$(underlay_address A):7654" -M 1500 -r
    done
    both_join tap0
}

# ---- for the report ---------------------------------------------------------------------------------------------------------------

# peer_title NAME
peer_title() {
    case $1 in
        veth) echo "plain veth (no tunnel)" ;;
        vxlan) echo "VXLAN (kernel, not encrypted)" ;;
        ethercord-aes256gcm) echo "ethercord, AES-256-GCM" ;;
        ethercord-chacha20) echo "ethercord, ChaCha20-Poly1305" ;;
        openvpn-aes256gcm) echo "OpenVPN tap, AES-256-GCM" ;;
        openvpn-chacha20) echo "OpenVPN tap, ChaCha20-Poly1305" ;;
        fastd-aes128gcm) echo "fastd, aes128-gcm" ;;
        fastd-salsa2012umac) echo "fastd, salsa2012+umac" ;;
        tinc) echo "tinc 1.0, switch" ;;
        n2n) echo "n2n 1.3" ;;
    esac
}

# peer_package NAME: the Debian package, if it is one.
peer_package() {
    case $1 in
        openvpn-*) echo openvpn ;;
        fastd-*) echo fastd ;;
        tinc | n2n) echo "$1" ;;
    esac
}

# peer_setup NAME: what was set and why, and how it gets 1500 bytes over 1500 bytes.
peer_setup() {
    case $1 in
        veth) echo "The underlay itself is a port of both bridges: what hosts, bridges and load generators can do at most in that mode." ;;
        vxlan) echo "One remote, default settings. It never cuts a packet, so the underlay's MTU is 1550 for this one alone." ;;
        ethercord-*) echo "All defaults; the path MTU is found to be 1500. What fits no datagram is cut inside the encryption." ;;
        openvpn-*) echo "\`--fast-io\`, all else by default. That lowers TCP's MSS (\`mssfix\`, to 1356 here) so that it fits one" \
            "datagram; what is larger all the same becomes outer IP fragments." ;;
        fastd-*) echo "\`mtu 1500\`; larger datagrams than the underlay's MTU become outer IP fragments. \`remote\` at one end only:" \
            "when both call at once, fastd 22 may say \"established\" with keys that don't match." ;;
        tinc) echo "\`Mode = switch\`, default cipher (AES-256-CBC with SHA-256). It finds the path MTU, clamps TCP's MSS to it and sends" \
            "ICMP \"fragmentation needed\" for larger packets: hosts see that the wire is narrower than 1500." ;;
        n2n) echo "\`-M 1500 -r\` (bridging needs \`-r\`); Twofish, which is its only cipher. Larger datagrams become outer IP fragments." \
            "An edge knows the MAC addresses of other edges only, not of hosts behind a bridge: every frame goes by the supernode, which" \
            "runs at site A." ;;
    esac
}
