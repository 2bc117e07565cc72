# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# lib: for the checks of the source: each finding is told, and a check with findings has failed.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CHECKS=0
if ! git ls-files --error-unmatch README.md >/dev/null 2>&1; then
    echo "1..0 # SKIP not a git checkout: which files are the project's?"
    exit 0
fi

# sources PATTERN…: tracked files, and those that will be.
sources() { git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r file; do [[ ! -f $file ]] || echo "$file"; done; }

# compiler_flags: those of the build, one a line. The version's quotes do not survive the way here.
compiler_flags() {
    local flags
    read -ra flags <<<"${ETHERCORD_CFLAGS:--std=c11 -D_GNU_SOURCE -DETHERCORD_VERSION=\"0\" -Iinclude -Wall -Wextra -Wconversion -Wshadow -Werror}"
    printf '%s\n' "${flags[@]}" | sed 's/^-DETHERCORD_VERSION=.*/-DETHERCORD_VERSION="lint"/'
}

# verdict NAME FINDINGS: ok when there are none.
verdict() {
    CHECKS=$((CHECKS + 1))
    if [[ -z $2 ]]; then
        echo "ok $CHECKS - $1"
    else
        echo "not ok $CHECKS - $1"
        sed 's/^/#   /' <<<"$2"
    fi
}

plan() { echo "1..$CHECKS"; }
