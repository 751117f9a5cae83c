#!/usr/bin/env bash
# tests/sh/hit_syscalls.sh - a hit makes no system call, seen from outside: the acceptance case 31.
#
# stress_client_hits marks in each reading thread where the hits begin and end by a getpgid(0);
# strace writes down what lies between the two. Prints ok and not ok lines.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

program=${NEARKV_BUILD:-build/release}/stress/stress_client_hits
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT

case ${NEARKV_PROFILE:-release} in
release | debug) ;;
*)
    echo "ok - case 31 under strace: a sanitizer makes calls of its own, so nothing is to be seen"
    exit 0
    ;;
esac
if ! command -v strace >/dev/null; then
    echo "ok - case 31 under strace # SKIP strace is not installed: scripts/setup"
    exit 0
fi
if ! strace -f -o "$log" true 2>/dev/null; then
    echo "ok - case 31 under strace # SKIP this kernel lets nobody trace"
    exit 0
fi

if strace -f -o "$log" "$program" 1000 >/dev/null; then
    echo "ok - the program under strace is content"
else
    echo "not ok - the program fails under strace"
fi

# Lines of strace -f begin with the thread's number. A mark is cut in two where the other thread's
# falls into it: the second half is none.
summary=$(awk '
    $2 == "<..." && $3 == "getpgid" { next }
    $2 ~ /^getpgid\(/ { inside[$1] = !inside[$1]; marks++; next }
    inside[$1] { between++; if (between <= 5) print "    " $0 > "/dev/stderr" }
    END { printf "%d %d %d", marks, between, NR }' "$log")
read -r marks between lines <<<"$summary"
echo "$lines system calls in all, $between of them between $marks marks of reading threads"
if [ "$marks" -eq 4 ] && [ "$lines" -gt 50 ]; then
    echo "ok - two threads read, and strace saw them"
else
    echo "not ok - $marks marks instead of 4"
fi
if [ "$between" -eq 0 ]; then
    echo "ok - case 31: no system call between the marks"
else
    echo "not ok - case 31: $between system calls between the marks"
fi
