# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# lib: for the checks of the source: each finding is told, and a check with findings has failed.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CHECKS=0

# sources PATTERN…: tracked files, and those that will be.
sources() { git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r file; do [[ ! -f $file ]] || echo "$file"; done; }

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
