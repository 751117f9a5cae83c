#!/usr/bin/env bash
# examples.sh - every example runs against a real server and says what its comment promises.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
examples=${BUILD:-build/release}/examples
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

expect() { # expect NAME 'LINES' COMMAND...: exit status 0 and exactly these lines
    local name=$1 want=$2 got
    shift 2
    if got=$(timeout 60 "$@" 2>"$folder/err") && [ "$got" = "$want" ]; then
        echo "ok - $name"
        passed=$((passed + 1))
    else
        echo "not ok - $name"
        printf 'wanted:\n%s\ngot:\n%s\n' "$want" "$got" | cat - "$folder/err" | sed 's/^/# /'
        failed=$((failed + 1))
    fi
}

refuses() { # refuses NAME COMMAND...: exit status 2 and a usage line
    local name=$1
    shift
    timeout 20 "$@" >"$folder/out" 2>&1
    if [ $? = 2 ] && grep -q '^usage: ' "$folder/out"; then
        echo "ok - $name"
        passed=$((passed + 1))
    else
        echo "not ok - $name"
        failed=$((failed + 1))
    fi
}

PATH=$PWD/deps/bin:$PATH
redis-server --port 0 --unixsocket "$folder/sock" --dir "$folder" --save '' --logfile "$folder/log" &
server=$!
for _ in $(seq 200); do
    redis-cli -s "$folder/sock" ping >/dev/null 2>&1 && break
    sleep 0.02
done
url=unix://$folder/sock
redis-cli -s "$folder/sock" set k v >/dev/null

expect "chunks: asked, stored, and known from then on" \
    $'0 of 3 chunks (asked the server)\n2 of 3 chunks (from the cache)\ngot 2, the first of 1048576 bytes, 4 layers' \
    "$examples/chunks" "$url"
expect "kv_cache: computed once, until the tag is invalidated" \
    $'"hello" has 5 letters, computed 1 times so far\n"hello" has 5 letters, computed 1 times so far\n1 answers about letters removed\n"hello" has 5 letters, computed 2 times so far\n1 keys cleared' \
    "$examples/kv_cache" "$url"
refuses "chunks: without a URL" "$examples/chunks"
expect "get: the first from the server, the others from the cache" \
    $'v  (from the server)\nv  (from the cache)\nv  (from the cache)' "$examples/get" "$url" k
expect "get: a key that does not exist is cached, too" \
    $'(nil)  (from the server)\n(nil)  (from the cache)\n(nil)  (from the cache)' \
    "$examples/get" "$url" nothing
expect "share: two clients, one cache, and a write that both see" \
    $'first reads hello from the server\nsecond reads hello from the cache\nfirst reads good evening from the server' \
    "$examples/share" "$url"
expect "own_loop: on a loop of one's own" \
    $'read 1: from my own loop from the server\nread 2: from my own loop from the cache\nread 3: from my own loop from the cache' \
    "$examples/own_loop" "$url"
redis-cli -s "$folder/sock" set custom_cache:key v >/dev/null
expect "custom_cache: a table of one's own" \
    $'read 1: done, from the server\nread 2: done, from the custom cache' \
    "$examples/custom_cache" "$url"
expect "dir_connector: a directory of files behind the same client" \
    $'first read: hello, from the file\nsecond read: hello, from the cache\nafter an outside write: good evening, from the file\nagain: good evening, from the cache\nbefore the lookups: good evening, from the cache\nprefix: 3 of 5, 0 keys answered by the cache\nprefix: 3 of 5, 4 keys answered by the cache' \
    env TMPDIR="$folder" "$examples/dir_connector"
if [ -z "$(find "$folder" -name 'dir_connector.*')" ]; then
    echo "ok - dir_connector: leaves nothing behind"
    passed=$((passed + 1))
else
    echo "not ok - dir_connector: leaves nothing behind"
    failed=$((failed + 1))
fi
for name in get share own_loop custom_cache kv_cache; do
    refuses "$name: says how it is used" "$examples/$name"
done
refuses "dir_connector: says how it is used" "$examples/dir_connector" one two

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
