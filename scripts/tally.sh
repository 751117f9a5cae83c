# tally.sh - adds up the closing lines of several runs; read by other scripts.
#
#   tally NAME COMMAND...     runs it and adds its last "N passed, N failed[, N skipped]"; one that
#                             fails without a failure in that line, or has none, is one failure
#   quietly NAME COMMAND...   runs it, shows its output only if it fails; counts as nothing or as one
#                             failure
#   finish                    prints what failed and the sum as the last line, and exits
# shellcheck shell=bash

set -uo pipefail
sum_passed=0 sum_failed=0 sum_skipped=0
sum_broken=()
tally_log=$(mktemp) || exit 2
trap 'rm -f "$tally_log"' EXIT

tally() {
    local name=$1 status line passed=0 failed=0 skipped=0 began=$SECONDS
    shift
    echo "######## $name"
    "$@" 2>&1 | tee "$tally_log"
    status=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$tally_log" | tail -n 1)
    read -r passed failed skipped <<<"$(echo "${line:-0 0 0}" | tr -cd '0-9 ' | tr -s ' ')"
    if [ -z "$line" ] || { [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; }; then
        echo "FAILED $name: exit status $status, ${line:-no closing line}"
        failed=$((failed + 1))
    fi
    sum_passed=$((sum_passed + passed)) sum_failed=$((sum_failed + failed))
    sum_skipped=$((sum_skipped + ${skipped:-0}))
    [ "$failed" -eq 0 ] || sum_broken+=("$name")
    echo "# $name: $((SECONDS - began)) s"
}

quietly() {
    local name=$1
    shift
    if ! "$@" >"$tally_log" 2>&1; then
        cat "$tally_log"
        echo "FAILED $name"
        sum_failed=$((sum_failed + 1))
        sum_broken+=("$name")
        return 1
    fi
}

finish() {
    if [ ${#sum_broken[@]} -gt 0 ]; then
        printf 'failed: %s\n' "${sum_broken[@]}"
    fi
    if [ "$sum_skipped" -gt 0 ]; then
        echo "$sum_passed passed, $sum_failed failed, $sum_skipped skipped"
    else
        echo "$sum_passed passed, $sum_failed failed"
    fi
    [ "$sum_failed" -eq 0 ] && [ "$sum_passed" -gt 0 ]
    exit $?
}
