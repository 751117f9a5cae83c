#!/usr/bin/env bash
# tests/sh/what_failed.sh - do the last lines of a run say what failed?
#
# Puts small scripts where test programs stand, each with one way of failing, and looks at what is
# said between "==== what failed ====" and the closing line by run_tests, run_fuzz and tally.sh.
# Prints ok and not ok lines.

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

# says TEXT OUTPUT WORDS...: the end of the output is short and has all these words; those that
# begin with ! it has not.
says() {
    local text=$1 out=$2 end words wrong=
    shift 2
    end=$(tac <<<"$out" | sed '/^==== what failed ====$/,$d' | tac)
    grep -qE '^[0-9]+ passed, [0-9]+ failed$' <<<"$(tail -n 1 <<<"$end")" || wrong="no closing line"
    [ "$(wc -l <<<"$end")" -le 60 ] || wrong="more than 60 lines"
    for words in "$@"; do
        case $words in
        !*) ! grep -qF -- "${words#!}" <<<"$end" || wrong="there is: ${words#!}" ;;
        *) grep -qF -- "$words" <<<"$end" || wrong="there is no: $words" ;;
        esac
    done
    if [ -z "$wrong" ]; then
        echo "ok - $text"
    else
        echo "not ok - $text: $wrong in"
        echo "    ${end//$'\n'/$'\n'    }"
    fi
    rm -rf "$fake"
}

# run KIND: what the runner prints.
run() {
    env -u CI -u SKIPS_AS_FAILS BUILD="$fake" PROFILE=release scripts/run_tests "$1" 2>&1
}

# criterion TEXT [REPORT]: a program that prints the text and leaves the report of a sanitizer.
criterion() {
    program tests/unit "echo '$1' >&2
log=\${ASAN_OPTIONS#log_path=}
[ -z '${2:-}' ] || echo '${2:-}' >\"\${log%%:*}.4711\"
echo '[====] Synthesis: Tested: 9 | Passing: 8 | Failing: $(grep -c '^\[FAIL\]' <<<"$1") | Crashing: 0 ' >&2
exit 1"
}

assertion=$(printf '%s\n' 'ok - of another' 'NEARKV_SEED=1' \
    'wanted "v" from cache, got "w" from server' '[----] tests/unit/a.c:12: Assertion Failed' \
    '[----]   ' '[----]   The expression x == 1 is false.' '[----]   ' '[FAIL] a::b: (0.01s)')

criterion "$assertion"
says "a failed test with its place, its message and its own words" "$(run unit)" \
    'unit a::b (0.01s)' 'tests/unit/a.c:12: The expression x == 1 is false.' \
    'wanted "v" from cache' '!SEED' '!of another'

criterion 'tests/support/a.c:7: waited in vain
[----] tests/unit/a.c:9: Unexpected signal caught below this line!
[FAIL] a::c: CRASH!
[FAIL] a::d: Timed out. (1.00s)'
says "crashes and time limits" "$(run unit)" 'unit a::c CRASH!' \
    'tests/support/a.c:7: waited in vain' 'tests/unit/a.c:9: Unexpected signal' \
    'unit a::d Timed out.'

criterion "$(for i in $(seq 30); do echo "[FAIL] a::t$i: (0.00s)"; done)"
says "of many failed tests the first, and the names of others" "$(run unit)" \
    'unit a::t10 (0.00s)' 'and 20 more: a::t11 (0.00s), a::t12'

criterion "$assertion
${assertion/0.01/0.22}
${assertion/x == 1/x == 2}"
says "what failed in the same way more than once" "$(run unit)" \
    'unit a::b (0.01s) [2 times]' 'x == 1' 'x == 2' '!0.22'

leak='==4711==ERROR: LeakSanitizer: detected memory leaks
Direct leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x7f84 in __interceptor_calloc ../libsanitizer/asan_malloc_linux.cpp:77
    #1 0x55ca in nkvi_alloc src/base/mem.c:33
    #2 0x55ca in a_b_impl tests/unit/a.c:12
    #3 0x7f84 in criterion_internal_test_main (/lib/libcriterion.so.3+0xe614)
SUMMARY: AddressSanitizer: 8 byte(s) leaked in 1 allocation(s).
in the test a::b (pid 4711)'

criterion "" "$leak"
says "a report: what, of which test, our frames, the summary" "$(run unit)" \
    'unit ERROR: LeakSanitizer: detected memory leaks' 'in the test a::b (pid 4711)' \
    'nkvi_alloc src/base/mem.c:33' 'a_b_impl tests/unit/a.c:12' 'SUMMARY: AddressSanitizer: 8' \
    '!__interceptor' '!libcriterion' '8 passed, 1 failed'

criterion "$assertion" "$leak"
says "what a failed test leaves behind is no failure of its own" "$(run unit)" \
    'unit a::b (0.01s)' '!LeakSanitizer' '8 passed, 1 failed'

criterion "${assertion/a::b/a::other}" "$leak"
says "a leak of a test that passed is one" "$(run unit)" \
    'unit a::other' 'in the test a::b' '8 passed, 2 failed'

criterion "$assertion" "${leak/LeakSanitizer: detected memory leaks/AddressSanitizer: heap-use-after-free}"
says "any other report of a failed test is one" "$(run unit)" \
    'unit a::b (0.01s)' 'AddressSanitizer: heap-use-after-free' '8 passed, 2 failed'

program stress/a 'echo "ok - one"; echo "not ok - two: 3 stale"; echo "    of 10"; echo "ok - three"; exit 1'
says "lines that are not ok, and what belongs to them" "$(run stress)" \
    'stress_a not ok - two: 3 stale' 'of 10' '!one' '!three'

# shellcheck disable=SC2016 # the program shall expand it
program stress/a 'echo "half done"; kill -ABRT $$'
says "the last words of a program that says nothing of failures" "$(run stress)" \
    'half done' 'exit status 134 without a failure reported'

program fuzz/a 'echo "# README.md"; echo "# tests/sh/what_failed.sh"
echo "a: tests/fuzz/fuzz_a.c:9: check: Assertion \`left == right'"'"' failed."; exit 134'
says "a fuzz target's replay: the assertion and the input" "$(run fuzz)" \
    'tests/fuzz/fuzz_a.c:9: check: Assertion `left == right' 'tests/sh/what_failed.sh, ' '!base64'

# shellcheck disable=SC2016 # the program shall expand it
program fuzz/a 'for a; do case $a in -artifact_prefix=*) at=${a#*=}crash-1 ;; esac; done
printf "a\0b" >$at; echo "==7== ERROR: libFuzzer: deadly signal"; echo "Test unit written to $at"; exit 77'
says "a fuzz target: the input in base64" "$(BUILD="$fake" scripts/run_fuzz 1 a 2>&1)" \
    'fuzz a, exit status 77' 'libFuzzer: deadly signal' 'found/a-crash-1, 3 bytes' 'base64: YQBi'

# tally of two runs inside of one, as .ci/run has it.
mkdir -p "$fake"
cat >"$fake/inner" <<'END'
. scripts/tally.sh
tally "first" bash -c 'echo "==== what failed ===="; echo "unit a::b (0.01s)"; echo "8 passed, 1 failed"; exit 1'
quietly "second" bash -c 'echo "a.c:1:2: error: no such thing"; for i in {1..20}; do echo $i; done; exit 1'
tally "third" bash -c 'for i in {1..200}; do echo "not ok - t$i"; done; echo "0 passed, 200 failed"; exit 1'
tally "fourth" bash -c 'echo "9 passed, 0 failed"'
finish
END
cat >"$fake/outer" <<END
. scripts/tally.sh
tally "all" bash "$fake/inner"
tally "more" bash -c 'echo "src/a.c:1: too long"; echo "not ok - lint"; echo "0 passed, 1 failed"; exit 1'
finish
END
says "runs within runs" "$(bash "$fake/outer" 2>&1)" '---- first ----' 'unit a::b (0.01s)' \
    'second a.c:1:2: error: no such thing' 'third not ok - t8' 'third and 192 more' \
    'more not ok - lint' 'src/a.c:1: too long' '!fourth' '17 passed, 203 failed'
