#!/usr/bin/env bash
# tests/sh/run_tests.sh - does scripts/run_tests count what happened, and not what it was told?
#
# Puts small scripts where test programs stand, each with one way of going wrong, and looks at the
# closing line and the exit status of the runner. Prints ok and not ok lines.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

fake=build/self-test/$$
trap 'rm -rf "$fake"' EXIT

# program PATH TEXT: a script in the place of a test program.
program() {
    mkdir -p "$fake/$(dirname "$1")"
    printf '#!/bin/bash\n%s\n' "$2" >"$fake/$1"
    chmod +x "$fake/$1"
}

# criterion PASSING FAILING STATUS [TAP]: one that ends as Criterion does.
criterion() {
    program tests/unit "for a; do case \$a in --tap=*) printf '%b' '${4:-}' >\${a#--tap=} ;; esac; done
echo '[====] Synthesis: Tested: 9 | Passing: $1 | Failing: $2 | Crashing: 0 ' >&2
exit $3"
}

# expect TEXT STATUS LINE [VARIABLE=VALUE...] KIND...: runs the runner on what was put there.
expect() {
    local text=$1 status=$2 line=$3 out got
    shift 3
    out=$(env -u CI -u SKIPS_AS_FAILS BUILD="$fake" PROFILE=release "${@:1:$#-1}" \
        scripts/run_tests "${@: -1}" 2>&1)
    got=$?
    if [ "$got" = "$status" ] && [ "$(tail -n 1 <<<"$out")" = "$line" ]; then
        echo "ok - $text"
    else
        echo "not ok - $text: wanted status $status and \"$line\", got status $got and:"
        echo "    ${out//$'\n'/$'\n'    }"
    fi
    rm -rf "$fake"
}

criterion 9 0 0
expect "passing tests are counted" 0 "9 passed, 0 failed" unit

criterion 7 2 1
expect "failing tests are counted" 1 "7 passed, 2 failed" unit

criterion 9 0 1
expect "a failing status without a failing test is a failure" 1 "9 passed, 1 failed" unit

program tests/unit 'kill -SEGV $$'
expect "a program that dies is a failure" 1 "0 passed, 1 failed" unit

criterion 9 0 0 'ok - a::b  # SKIP no server\nok - a::c  (0.00s)\n'
expect "a skip is let through by hand" 0 "9 passed, 0 failed, 1 skipped" unit

criterion 9 0 0 'ok - a::b  # SKIP no server\n'
expect "a skip is a failure in CI" 1 "9 passed, 1 failed" CI=true unit

# shellcheck disable=SC2016 # the program shall expand it
program tests/unit 'log=${ASAN_OPTIONS#log_path=}; echo "leaked" >"${log%%:*}.77"
echo "[====] Synthesis: Tested: 1 | Passing: 1 | Failing: 0 | Crashing: 0 "'
expect "a sanitizer's report is a failure though the test passed" 1 "1 passed, 1 failed" unit

program stress/a 'echo "5 passed, 0 failed"'
program stress/b 'echo "5 passed, 1 failed"; exit 1'
expect "plain programs are added up" 1 "10 passed, 1 failed" stress

program stress/a 'echo "5 passed, 0 failed"; kill -ABRT $$'
expect "a death after the closing line is a failure" 1 "5 passed, 1 failed" stress

program stress/a 'echo done'
expect "a program without a closing line is a failure" 1 "0 passed, 1 failed" stress

program stress/a 'echo "3 passed, 1 failed"'
expect "status 0 does not hide a failure" 1 "3 passed, 2 failed" stress

program stress/a 'sleep 20; echo "5 passed, 0 failed"'
expect "a program that hangs is stopped and is a failure" 1 "0 passed, 1 failed" TEST_TIMEOUT=1 stress

expect "nothing at all is a failure" 1 "0 passed, 1 failed" stress
