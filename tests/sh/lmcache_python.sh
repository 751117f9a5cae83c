#!/usr/bin/env bash
# lmcache_python.sh - the Python plug of examples/lmcache against a real server: tests/python.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
build=${BUILD:-build/release}
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    echo "not ok - python3 of 3.8 or later is missing; scripts/setup installs it"
    echo "0 passed, 1 failed"
    exit 1
fi

# The program itself: what is called python3 may be a script, and must not be preloaded into.
python=$("$python" -c 'import sys; print(sys.executable)')
NEARKV_LIBRARY=$(realpath "$build/libnearkv.so")
export NEARKV_LIBRARY PATH=$PWD/deps/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# An instrumented library finds its runtime only if that was loaded before everything else. What
# the interpreter itself leaves behind at its end is not ours to report.
case $build in
*/asan)
    runtime=$("${CC:-gcc}" -print-file-name=libasan.so)
    preload=("LD_PRELOAD=$runtime" "ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0")
    ;;
*/tsan) preload=("LD_PRELOAD=$("${CC:-gcc}" -print-file-name=libtsan.so)") ;;
*) preload=() ;;
esac

# By a file, not a pipe: a server that a dead interpreter leaves behind would hold a pipe open.
said=$(mktemp) || exit 2
trap 'rm -f "$said"' EXIT

passed=0
failed=0
for file in tests/python/*_test.py; do
    env "${preload[@]}" "$python" -W error "$file" >"$said" 2>&1 </dev/null
    status=$?
    output=$(<"$said")
    last=$(tail -n 1 <<<"$output")
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        [ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || failed=$((failed + 1))
    else
        failed=$((failed + 1))
    fi
    printf '%s\n' "$output" | sed 's/^/# /'
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
