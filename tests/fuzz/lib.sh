# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# lib: where the targets are and how one is run. Sourced.

FUZZ_SOURCES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FUZZ_BUILD=${FUZZ_BUILD:-${BUILD:-$FUZZ_SOURCES/../../build}/fuzz}

# Their names: fuzz_rx.c is rx.
fuzz_targets() {
    local source name names=()

    for source in "$FUZZ_SOURCES"/fuzz_*.c; do
        name=$(basename "$source" .c)
        names+=("${name#fuzz_}")
    done
    echo "${names[*]}"
}

# Address-space randomisation of new kernels leaves no room for the sanitizers' shadow memory.
fuzz_command() { echo "setarch -R $FUZZ_BUILD/tests/fuzz/fuzz_$1"; }

# fuzz_execute NAME ARGUMENT…: in a folder of its own.
fuzz_execute() {
    local name=$1 scratch rc=0
    shift

    scratch=$(mktemp -d) || return
    (cd "$scratch" && TMPDIR=$scratch exec setarch -R "$FUZZ_BUILD/tests/fuzz/fuzz_$name" "$@" </dev/null) || rc=$?
    rm -rf "$scratch"
    return "$rc"
}
