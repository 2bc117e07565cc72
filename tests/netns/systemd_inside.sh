#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# systemd_inside: the checks of systemd.test, on the machine that systemd.sh makes: two instances, a cord between them, no other network.
#
# shellcheck disable=SC2317 # functions are called by check
set -u
OUT=$WORK/out
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DIR=/etc/ethercord

# instance NAME PEER PORT PEER-PORT
instance() {
    printf '%s\n' "[Node]" "PrivateKeyFile = $1.key" "ListenPort = $3" "[Tap]" "Name = cord-$1" "[Peer $2]" \
        "PublicKey = $("$ETHERCORD" pubkey <"$DIR/$2.key")" "Endpoint = 127.0.0.1:$4" >"$DIR/$1.conf"
}

show() { systemctl show --value -p "$2" "ethercord@$1"; }
shows() { [[ $(show "$1" "$2") =~ $3 ]]; }
status_of() { "$ETHERCORD" status "$@"; }
member() { status_of "$1" --json | "$PYTHON" -c "import json, sys; print(json.dumps(json.load(sys.stdin)$2))"; }
journal() { journalctl --no-pager -q -o cat "$@"; }
override() { mkdir -p "/etc/systemd/system/$1.d" && cat >"/etc/systemd/system/$1.d/$2.conf" && systemctl daemon-reload; }

prepare() {
    systemd-sysusers && ip link set lo up || return 1
    install -d -o ethercord -g ethercord -m 750 "$DIR"
    (umask 077 && "$ETHERCORD" genkey "$DIR/a.key" && "$ETHERCORD" genkey "$DIR/b.key") || return 1
    instance a b 36160 36161
    instance b a 36161 36160
    chown ethercord: "$DIR"/*
    systemctl daemon-reload
}

starts() {
    check "systemctl start returns when both run" systemctl start ethercord@a ethercord@b
    check "systemctl status says how the peer is" wait_until 10 shows a StatusText '^peer b up since .* at 127\.0\.0\.1:36161, '
    is "both processes are of the unit's user" "$(member a '["sandbox"]["worker"]["uid"]') $(member a '["sandbox"]["monitor"]["uid"]')" \
        "$(id -u ethercord) $(id -u ethercord)"
    is "what the sandbox is, under the unit's own restrictions" \
        "$(member a '["sandbox"]["worker"]' | "$PYTHON" -c 'import json, sys
w = json.load(sys.stdin); print(w["capabilities"], w["filters"], w["empty_root"], w["landlock"] > 0, w["keys_locked"])')" \
        "[] {'main': 2, 'tx': 2, 'rx': 2} True $([[ $(member a '["sandbox"]["worker"]["landlock"]') -gt 0 ]] && echo True || echo False) True"
    is "the monitor's capabilities" "$(member a '["sandbox"]["monitor"]["capabilities"]')" '["net_admin"]'
    is "the control socket is the group's" "$(stat -c '%U %G %a' /run/ethercord/a.sock)" "ethercord ethercord 660"
}

journals() {
    is "the journal has fields" "$(journalctl --no-pager -q -o json ETHERCORD_EVENT=peer-up _SYSTEMD_UNIT=ethercord@a.service |
        "$PYTHON" -c 'import json, sys
e = json.loads(sys.stdin.readline()); print(e["PRIORITY"], e["SYSLOG_IDENTIFIER"], e["ETHERCORD_INSTANCE"], e["ETHERCORD_PEER"], len(e["MESSAGE_ID"]))')" \
        "6 ethercord a b 32"
    is "nobody complains" "$(journal -t ethercord -p warning)" ""
}

# The order that comes with the unit, and another one for one instance alone.
orders() {
    matches "a cord starts after the network" "$(show a After)" 'network\.target'
    override ethercord@a.service order <"$NETNS_DIR/../../examples/systemd/before-bridge.conf"
    matches "with before-bridge.conf before it" "$(show a Before)" 'network-pre\.target'
    is "and after it no more" "$(show a After | tr ' ' '\n' | grep -c '^network\.target$')" 0
    matches "another instance as before" "$(show b After)" 'network\.target'
    is "no order contradicts itself" "$(systemd-analyze verify ethercord@a.service ethercord@b.service 2>&1 | grep -v 'Command .man ')" ""
}

reloads() {
    check "systemctl reload" systemctl reload ethercord@a
    check "it is active again" wait_until 5 shows a ActiveState '^active$'
}

ends() {
    check "systemctl stop" systemctl stop ethercord@b
    is "the result" "$(show b Result) $(show b ExecMainStatus)" "success 0"
    check "the peer's status says so" wait_until 5 shows a StatusText '^peer b down since .*: the peer said goodbye'
    check "the other instance's socket is still there" status_of a
    is "and this one's is not" "$(ls /run/ethercord)" a.sock
}

# ended AFTER-PID: it runs again as another process.
restarted() { [[ $(show a MainPID) != "$1" && $(show a ActiveState) == active ]]; }

# The instance is halted as a whole; the service manager misses its signs of life, and starts another one.
watchdog() {
    local pid
    override ethercord@a.service watchdog <<<$'[Service]\nWatchdogSec=1\nRestartSec=100ms'
    systemctl restart ethercord@a
    pid=$(show a MainPID)
    sleep 1.5
    is "signs of life keep it running" "$(show a MainPID) $(show a NRestarts)" "$pid 0"
    kill -STOP "$(pgrep -P "$pid")" # the worker, with all its threads
    check "a worker that does not turn is ended, and another one started" wait_until 15 restarted "$pid"
    matches "the log says which thread it was" "$(journal ETHERCORD_EVENT=worker-stuck)" '^a: thread main of the worker has not turned'
    matches "and the TAP was put back by the monitor" "$(journal ETHERCORD_EVENT=worker-ended)" 'a: the worker does not end: killing it'
}

wrong() {
    echo junk >"$DIR/c.conf"
    check_not "a wrong file: systemctl start fails" systemctl start ethercord@c
    sleep 0.5
    is "a wrong file: it is not tried again" "$(show c ActiveState) $(show c ExecMainStatus) $(show c NRestarts)" "failed 2 0"
    matches "a wrong file: errors are errors in the journal" "$(journal -p err -u ethercord@c)" '/etc/ethercord/c\.conf:1: expected'
}

# As a root that keeps all that hooks may need; its own two processes keep no more of it than elsewhere.
for_hooks() {
    systemctl start ethercord@b
    override ethercord@b.service hooks <"$NETNS_DIR/../../examples/systemd/hooks.conf"
    check "with hooks.conf it starts, too" systemctl restart ethercord@b
    is "with hooks.conf: whose the processes are" "$(member b '["sandbox"]["worker"]["uid"]') $(member b '["sandbox"]["monitor"]["uid"]')" "65534 0"
    is "with hooks.conf: capabilities" "$(member b '["sandbox"]["worker"]["capabilities"]') $(member b '["sandbox"]["monitor"]["capabilities"]')" \
        '[] ["kill", "net_admin"]'
    check "with hooks.conf: the peer comes up" wait_until 10 shows b StatusText '^peer a up since'
}

check "user, keys, files" prepare
starts
journals
reloads
ends
watchdog
orders
wrong
for_hooks
if grep -q '^not ok' "$OUT/inside"; then journalctl --no-pager -q -t ethercord | sed 's/^/# /'; fi
plan
