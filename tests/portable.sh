#!/bin/bash
# SPDX-License-Identifier: MIT
#
# portable: builds layers 0 to 2 and their unit tests for other machines and runs them: i386 (32 bits; natively) and s390x (64 bits,
# big-endian; by qemu-user). Usage: tests/portable.sh i386|s390x…, as `make portable` does.
#
# Debian's cross compilers come as packages of this machine (tests/deps.sh portable). libsodium, cmocka and jansson of the other machine don't:
# they are unpacked below the build directory, from a package list of our own, so that dpkg here never hears of a foreign architecture.
set -euo pipefail
cd "$(dirname "$0")/.."

BUILD=$(realpath -m "${BUILD:-build}")/portable
LAYERS="base proto ether peer"
LIBRARIES="libsodium23 libsodium-dev libcmocka0 libcmocka-dev libjansson4 libjansson-dev"

# What distinguishes the machines: prefix of the compiler, and the loader or emulator.
describe() {
    case $1 in
        i386) prefix=i686-linux-gnu loader=lib/ld-linux.so.2 emulator= ;;
        s390x) prefix=s390x-linux-gnu loader=lib/ld64.so.1 emulator="qemu-s390x -L /usr/s390x-linux-gnu" ;;
        *) echo "portable: unknown machine '$1' (there are: i386 s390x)" >&2 && exit 2 ;;
    esac
}

# fetch_libraries MACHINE: into $BUILD/root-MACHINE, once.
fetch_libraries() {
    local apt=$BUILD/apt root=$BUILD/root-$1 package
    [[ ! -e $root/complete ]] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "portable: this is not a Debian system; please unpack $LIBRARIES of $1 into $root and make a file 'complete' there" >&2
        exit 1
    fi
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$root"
    : >"$apt/state/status"
    cat >"$apt/apt.conf" <<END
Dir::State "$apt/state"; Dir::State::status "$apt/state/status"; Dir::Cache "$apt/cache"; APT::Sandbox::User "root";
APT::Architecture "$(dpkg --print-architecture)"; APT::Architectures {"$1";};
END
    echo "portable: fetching $LIBRARIES of $1 into $root"
    APT_CONFIG=$apt/apt.conf apt-get update -qq || true # a broken list that nobody needs; what is needed and missing is told below
    # shellcheck disable=SC2086 # several packages
    (cd "$apt/debs" && APT_CONFIG=$apt/apt.conf apt-get download -qq ${LIBRARIES// /:$1 }:$1)
    for package in "$apt"/debs/*_"$1".deb; do dpkg -x "$package" "$root"; done
    touch "$root/complete"
}

# core_tests: unit tests that need no header of a higher layer.
core_tests() {
    local higher='' folder source
    for folder in device path app; do
        for source in src/"$folder"/*.c; do higher+="|ethercord/$(basename "$source" .c)"; done
    done
    for source in tests/unit/test_*.c; do
        gcc -std=c11 -D_GNU_SOURCE -Iinclude -MM "$source" | grep -qE "(${higher#|})\.h|src/(device|path|app)/" || echo "${source%.c}"
    done
}

run_machine() {
    local machine=$1 prefix loader emulator root tests sources folder
    describe "$machine"
    fetch_libraries "$machine"
    root=$BUILD/root-$machine
    tests=$(core_tests)
    sources=$(for folder in $LAYERS; do echo src/"$folder"/*.c; done | paste -sd' ')
    # The other machine's own folders come first, for the loader as well: none of this machine's libraries is of any use to it.
    TEST_WRAPPER=$emulator TEST_TIMEOUT=${TEST_TIMEOUT:-1800} make --no-print-directory BUILD="$BUILD/$machine" CC="$prefix-gcc" WERROR=1 -j2 CPPFLAGS=-Wno-psabi \
        SOURCES="$sources" UNIT_SOURCES="$(for test in $tests; do echo "$test.c"; done | paste -sd' ')" SIM_SOURCES= SIM_HELPERS= SIM_TESTS= \
        PKG_CFLAGS="-isystem $root/usr/include" PKG_LIBS="-L$root/usr/lib/$machine-linux-gnu -lsodium -ljansson" \
        LDFLAGS="-Wl,--dynamic-linker=/usr/$prefix/$loader -Wl,-rpath,/usr/$prefix/lib:$root/usr/lib/$machine-linux-gnu" \
        check-unit-built
}

tests/deps.sh build test portable
for machine in "$@"; do
    echo "portable: $machine"
    run_machine "$machine"
done
