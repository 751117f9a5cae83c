# tally.sh - adds up the closing lines of several runs; read by other scripts.
#
#   tally NAME COMMAND...     runs it and adds its last "N passed, N failed[, N skipped]"; one that
#                             fails without a failure in that line, or has none, is one failure
#   quietly NAME COMMAND...   runs it, shows its output only if it fails; counts as nothing or as one
#                             failure
#   finish                    prints what failed (digest.sh) and the sum as the last line, and exits
# shellcheck shell=bash

set -uo pipefail
. scripts/digest.sh
sum_passed=0 sum_failed=0 sum_skipped=0
tally_folder=$(mktemp -d) || exit 2
tally_log=$tally_folder/log
tally_broken=0
trap 'rm -rf "$tally_folder"' EXIT

# tally_tell NAME WHY: notes what failed in the run whose output is in the log; what it has not said
# itself is looked for.
tally_tell() {
    local told=$tally_folder/told.$((++tally_broken))
    digest_of "$tally_log" >"$told"
    [ -s "$told" ] || digest_lines "$1" "$tally_log" >"$told"
    {
        echo "---- $1 ----"
        [ -z "$2" ] || echo "$2"
        cat "$told"
    } >"$told.whole"
}

tally() {
    local name=$1 status line passed=0 failed=0 skipped=0 began=$SECONDS why=
    shift
    echo "######## $name"
    "$@" 2>&1 | tee "$tally_log"
    status=${PIPESTATUS[0]}
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$tally_log" | tail -n 1)
    read -r passed failed skipped <<<"$(echo "${line:-0 0 0}" | tr -cd '0-9 ' | tr -s ' ')"
    if [ -z "$line" ] || { [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; }; then
        why="FAILED $name: exit status $status, ${line:-no closing line}"
        echo "$why"
        failed=$((failed + 1))
    fi
    sum_passed=$((sum_passed + passed)) sum_failed=$((sum_failed + failed))
    sum_skipped=$((sum_skipped + ${skipped:-0}))
    [ "$failed" -eq 0 ] || tally_tell "$name" "$why"
    echo "# $name: $((SECONDS - began)) s"
}

quietly() {
    local name=$1
    shift
    if ! "$@" >"$tally_log" 2>&1; then
        cat "$tally_log"
        echo "FAILED $name"
        sum_failed=$((sum_failed + 1))
        tally_tell "$name" "FAILED $name"
        return 1
    fi
}

finish() {
    local i told=$tally_folder/told
    : >"$told"
    for ((i = 1; i <= tally_broken; i++)); do # each gets its share of what there is room for
        digest_cut "$((digest_max / tally_broken > 5 ? digest_max / tally_broken : 5))" \
            "$told.$i.whole" >>"$told"
    done
    what_failed "$told"
    if [ "$sum_skipped" -gt 0 ]; then
        echo "$sum_passed passed, $sum_failed failed, $sum_skipped skipped"
    else
        echo "$sum_passed passed, $sum_failed failed"
    fi
    [ "$sum_failed" -eq 0 ] && [ "$sum_passed" -gt 0 ]
    exit $?
}
