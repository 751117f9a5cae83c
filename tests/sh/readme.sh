#!/usr/bin/env bash
# readme.sh - the program of the README compiles as it stands, and does what is said of it.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
build=${BUILD:-build/release}
folder=$(mktemp -d)
server=
passed=0
failed=0

stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    fi
    rm -rf "$folder"
}
trap stop EXIT

check() { # check WHAT COMMAND...
    local what=$1
    shift
    if "$@" >"$folder/out" 2>&1; then
        echo "ok - $what"
        passed=$((passed + 1))
    else
        echo "not ok - $what"
        sed 's/^/# /' "$folder/out"
        failed=$((failed + 1))
    fi
}

awk '/^```c$/ {on = 1; next} /^```$/ {if (on) exit} on' README.md >"$folder/program.c"
check "README has a program" test -s "$folder/program.c"
check "it has about fifteen lines in main" awk 'END {exit NR > 25}' "$folder/program.c"

# As with pkg-config: the shared library alone; what it needs it says itself.
libs=("-L$build" -lnearkv "-Wl,-rpath,$(realpath "$build")")
flags=()
case $build in
*/asan) flags=("-fsanitize=address,undefined") ;;
*/ubsan) flags=(-fsanitize=undefined) ;;
*/tsan) flags=(-fsanitize=thread) ;;
*/coverage) flags=(--coverage) ;;
esac
check "it compiles without a warning" "${CC:-cc}" -std=c11 -Wall -Wextra -Werror "${flags[@]}" -Iinclude \
    "$folder/program.c" "${libs[@]}" -o "$folder/program"

PATH=$PWD/deps/bin:$PATH
redis-server --port 0 --unixsocket "$folder/sock" --dir "$folder" --save '' --logfile "$folder/log" &
server=$!
for _ in $(seq 200); do
    redis-cli -s "$folder/sock" ping >/dev/null 2>&1 && break
    sleep 0.02
done
redis-cli -s "$folder/sock" set greeting hello >/dev/null
check "it runs" timeout 20 "$folder/program" "unix://$folder/sock"
cp "$folder/out" "$folder/lines"
check "it prints the value three times" test "$(grep -c '^hello$' "$folder/lines")" = 3
calls=$(redis-cli -s "$folder/sock" info commandstats | sed -n 's/^cmdstat_get:calls=\([0-9]*\).*/\1/p')
check "the server was asked once" test "$calls" = 1

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
