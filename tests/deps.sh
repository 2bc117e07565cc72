#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Installs the Debian packages that are missing: `tests/deps.sh build` for what the program needs to be built, `tests/deps.sh test` for
# what its tests use, `tests/deps.sh bench` and `portable` for `make bench` and `make portable`. Says what it does; says nothing and is done in
# a moment when all is there.
set -euo pipefail

# The library headers by their pkg-config names, for systems that don't have dpkg.
pkg_config_names="libsodium libuv jansson libcap-ng libmnl libseccomp libmicrohttpd libpcap libsystemd"

packages_of() {
    case $1 in
    build)
        echo gcc libc6-dev make pkg-config
        echo libsodium-dev libuv1-dev libjansson-dev libcap-ng-dev libmnl-dev libseccomp-dev libmicrohttpd-dev libpcap-dev libsystemd-dev scdoc
        ;;
    test)
        echo binutils git libcmocka-dev                                    # unit tests
        echo iproute2 iputils-arping iputils-ping ndisc6 procps strace util-linux # tests/netns: the namespaces and who asks in them
        echo ethtool iperf3 lua5.2 nftables python3 python3-jsonschema python3-scapy tcpdump tshark
        echo curl prometheus chromium fonts-dejavu-core imagemagick mandoc systemd bash-completion zsh fish # metrics, the page, manual pages, the unit, completion
        echo clang clang-format clang-tidy cppcheck libclang-rt-dev llvm shellcheck valgrind # tests/lint, make asan, make fuzz and so on
        ;;
    bench)
        echo fastd n2n openvpn tinc                                        # what ethercord is compared with
        echo ethtool iperf3 iproute2 iputils-ping openssl procps util-linux
        echo gnuplot-nox python3
        ;;
    portable)
        echo gcc-i686-linux-gnu libc6-dev-i386-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user # tests/portable.sh
        ;;
    *)
        echo "deps.sh: unknown set '$1' (there are: build test bench portable)" >&2
        return 2
        ;;
    esac
}

# Prints those of the packages in "$@" that are not installed.
missing_of() {
    local installed package

    # Exit 1 only says that some are unknown, which is an answer.
    installed=" $(dpkg-query -W -f '${db:Status-Status}:${Package} ' "$@" 2>/dev/null || true)"
    for package in "$@"; do
        [[ $installed == *" installed:$package "* ]] || echo "$package"
    done
}

# Without dpkg nothing can be installed here, only looked for.
check_without_dpkg() {
    local name missing=()

    for name in $pkg_config_names; do
        pkg-config --exists "$name" 2>/dev/null || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "deps: this is not a Debian system; please install what pkg-config does not find here: ${missing[*]}" >&2
    return 1
}

install_packages() {
    local become=()

    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "deps: missing: $*" >&2
            echo "deps: neither root nor sudo here; please run as root: apt-get install --no-install-recommends $*" >&2
            return 1
        fi
        become=(sudo)
    fi
    echo "deps: missing: $*"
    echo "deps: apt-get update"
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q
    echo "deps: apt-get install --no-install-recommends $*"
    "${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

main() {
    local set names packages wanted=() missing=()

    for set in "$@"; do
        names=$(packages_of "$set")
        read -r -d '' -a packages <<<"$names" || true # ends at the end of the text, which read calls a failure
        wanted+=("${packages[@]}")
    done
    if ! command -v dpkg-query >/dev/null; then
        check_without_dpkg
        return
    fi
    mapfile -t missing < <(missing_of "${wanted[@]}")
    if [ ${#missing[@]} -gt 0 ]; then
        install_packages "${missing[@]}"
    fi
}

main "$@"
