# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# sanitizer: for nodes that were built with AddressSanitizer and UBSan, or with ThreadSanitizer (make asan-netns, make tsan-netns). What a
# sanitizer finds, leaks at the end of each process included, goes to a file; plan ends the nodes and then looks there.
#
# What a sanitizer costs is allowed for here: limits of time are SLOWER times as long, a process may grow by GROWTH_KIB more (freed memory
# stays in a quarantine, and shadow memory counts too), and the few tests that overload a node divide their rates by SLOWER.

SANITIZER=$(nm -D "$ETHERCORD" 2>/dev/null | grep -oE -m 1 '__(asan|tsan|ubsan)_' | tr -d _)
SLOWER=1
# shellcheck disable=SC2034 # for the scripts
GROWTH_KIB=0

# Address-space randomisation of new kernels leaves no room for the shadow memory: bit ADDR_NO_RANDOMIZE of the personality.
if [[ -n $SANITIZER ]] && ! ((16#$(<"/proc/$$/personality") & 16#40000)); then
    exec setarch -R "$0" "$@"
fi

REPORTS=

sanitizer_prepare() {
    local options
    [[ -n $SANITIZER ]] || return 0
    # shellcheck disable=SC2034 # for lib and the scripts
    SLOWER=5 GROWTH_KIB=$((64 * 1024))
    REPORTS=$(mktemp -d "${TMPDIR:-/tmp}/ethercord-reports.XXXXXX")
    chmod 1777 "$REPORTS" # the worker is another user
    options=log_path=$REPORTS/of:exitcode=66
    export ASAN_OPTIONS="$options:quarantine_size_mb=16:detect_leaks=1:verify_asan_link_order=0" UBSAN_OPTIONS="$options:print_stacktrace=1" TSAN_OPTIONS="$options"
}

# sanitizer_reports: whatever was found so far.
sanitizer_reports() { [[ -z $SANITIZER ]] || cat "$REPORTS"/* 2>/dev/null; }

# sanitizer_verdict: a check more, in builds with a sanitizer.
sanitizer_verdict() {
    [[ -n $SANITIZER ]] || return 0
    node_stop A
    node_stop B
    is "$SANITIZER has found nothing" "$(sanitizer_reports | head -n 60)" ""
}
