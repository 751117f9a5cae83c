#!/usr/bin/env bash
# tests/sh/cli_replay.sh - replays on real servers: figures, verification, interruption, bad traces.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

# number NAME OBJECT: the first member of that name.
number() {
    sed -n "s/[^}]*\"$1\":\([0-9.]*\).*/\1/p" <<<"$2" | head -n 1
}

while read -r server; do
    echo "# $server"
    export NEARKV_REDIS_SERVER=$server
    out=$(timeout 120 "$nearkv" replay --embedded --synthetic --requests 300 --verify 2>"$tmp/err")
    is "synthetic, verified: exit status 0" $? 0
    is "nothing on standard error" "$(cat "$tmp/err")" ""
    for part in "with cache" "requests" "blocks" "prefix hits" "answered locally" "round trips" \
        "lookup + fetch p50" "lookup + fetch p95" "lookup + fetch p99" "speed-up" "0 mismatches"; do
        has "the table has: $part" "$out" "$part"
    done
    out=$(timeout 120 "$nearkv" replay --embedded --synthetic --requests 200 --verify --threads 3 --json)
    is "three threads: exit status 0" $? 0
    is "three threads: all requests" "$(number requests "$out")" 200
    has "three threads: no mismatch" "$out" '"mismatches":0}'
    for layout in plain colon hash-tag single; do
        out=$(timeout 120 "$nearkv" replay --embedded --synthetic --requests 60 --verify --json \
            --layout "$layout" --block-bytes 4k)
        is "layout $layout: exit status 0" $? 0
        has "layout $layout: no mismatch" "$out" '"mismatches":0}'
        matches "layout $layout: something is local" "$(number local "$out")" '[1-9][0-9]*'
        out=$(timeout 120 "$nearkv" replay --embedded --synthetic --requests 60 --verify --json \
            --layout "$layout" --block-bytes 5001 --cache-payloads --threads 3 --max-bytes 4m)
        is "layout $layout, payloads cached, three threads: exit status 0" $? 0
        has "layout $layout, payloads cached, three threads: no mismatch" "$out" '"mismatches":0}'
    done
    unset NEARKV_REDIS_SERVER
done < <(servers)

# A trace whose figures can be worked out by hand.
cat >"$tmp/trace" <<'LINES'
{"timestamp": 0, "input_length": 3, "output_length": 1, "hash_ids": [0, 1, 2]}
{"timestamp": 1, "input_length": 3, "output_length": 1, "hash_ids": [0, 1, 3]}

{"timestamp": 2, "input_length": 3, "output_length": 1, "hash_ids": [0, 1, 3]}
{"timestamp": 3, "input_length": 3, "output_length": 1, "hash_ids": [0, 1, 3, 4]}
{"hash_ids": []}
LINES
out=$(timeout 60 "$nearkv" replay --embedded --trace "$tmp/trace" --json --verify)
is "a trace: exit status 0" $? 0
is "a trace: requests" "$(number requests "$out")" 5
is "a trace: blocks" "$(number blocks "$out")" 13
is "a trace: distinct blocks" "$(number distinct "$out")" 5
is "a trace: prefix hits" "$(number prefix_hits "$out")" 8
has "a trace: stored once each" "$out" '"stored":5'
# Request 3 reads 0 and 1 for the second time, request 4 reads 0, 1 and 3.
matches "a trace: repeated reads are local" "$(number local "$out")" '[1-9][0-9]*'
has "a trace: without a cache nothing is local" "$out" '"fetches_local":0,"stored":5'
out=$(timeout 60 "$nearkv" replay --embedded --trace - --json --requests 2 <"$tmp/trace")
is "a trace from standard input, limited" "$(number requests "$out")" 2
out=$(timeout 60 "$nearkv" replay --embedded --trace "$tmp/trace" --json --chunk 1 --value-bytes 1)
is "one key at a time: the same prefix hits" "$(number prefix_hits "$out")" 8

out=$(timeout 60 "$nearkv" replay --embedded --trace "$tmp/trace" --json --chunk 1 --block-bytes 1)
is "a block has two names for its size" "$(number prefix_hits "$out")" 8

# The same figures with chunks of LMCache.
chunks() {
    timeout 60 "$nearkv" replay --embedded --trace "$tmp/trace" --json --verify --layout plain \
        --block-bytes 64K "$@"
}
out=$(chunks)
is "chunks: exit status 0" $? 0
is "chunks: prefix hits" "$(number prefix_hits "$out")" 8
has "chunks: stored once each" "$out" '"stored":5,"fetched_bytes":524288,"stored_bytes":327680,'
matches "chunks: the rate of what was fetched" "$out" '.*"fetched_bytes_per_s":[1-9][0-9]*,.*'
has "chunks: without a cache nothing is local" "${out#*uncached}" '"local":0,"lookups"'
metadata_local=$(number local "$out")
out=$(chunks --cache-payloads)
is "chunks, payloads cached: exit status 0" $? 0
# Of 8 payloads 0 and 1 come three times and 3 twice: the first of each is the server's.
is "chunks, payloads cached: more is local" "$(number local "$out")" $((metadata_local + 5))
has "chunks, payloads cached: no mismatch" "$out" '"mismatches":0}'
out=$(chunks --chunk 1)
is "chunks, one key at a time: the same prefix hits" "$(number prefix_hits "$out")" 8
out=$(chunks --cached-only)
is "the cached side alone: exit status 0" $? 0
has "the cached side alone: JSON" "$out" ',"uncached":null,"speedup":null,'
out=$(timeout 60 "$nearkv" replay --embedded --trace "$tmp/trace" --cached-only)
lacks "the cached side alone: one column" "$out" "without"

printf '{"hash_ids":[1]}\n{"hash_ids":[1,-1]}\n' >"$tmp/bad"
out=$(timeout 60 "$nearkv" replay --embedded --trace "$tmp/bad" --json 2>"$tmp/err")
is "a bad line: exit status 1" $? 1
has "a bad line is named" "$(cat "$tmp/err")" "$tmp/bad:2: element 2 of hash_ids"
is "a bad line: the figures so far" "$(number requests "$out")" 1

# What cannot be replayed at all: the reason, and no table of zeros.
nothing() { # nothing TEXT REASON FILE
    timeout 60 "$nearkv" replay --embedded --trace "$3" >"$tmp/out" 2>"$tmp/err"
    is "$1: exit status 1" $? 1
    is "$1: the reason" "$(cat "$tmp/err")" "nearkv: $2"
    is "$1: no table" "$(cat "$tmp/out")" ""
}
printf '\n \n' >"$tmp/blank"
printf '{"hash_ids":[18446744073709551615]}\n' >"$tmp/huge"
nothing "a trace without requests" "$tmp/blank: there is no request in it" "$tmp/blank"
nothing "a directory" "$tmp: cannot be read: Is a directory" "$tmp"
nothing "a number that is too big" \
    "$tmp/huge:1: a number is too big: 9223372036854775807 at most" "$tmp/huge"
nothing "no such file" "--trace $tmp/none: cannot be opened: No such file or directory" "$tmp/none"
out=$(timeout 60 "$nearkv" replay --embedded --json --trace "$tmp/blank" 2>/dev/null)
has "a trace without requests: JSON" "$out" '"speedup":null,'

same() {
    timeout 60 "$nearkv" replay --embedded --synthetic --requests 50 --json --seed "$1" |
        sed 's/,"cached".*//'
}
first=$(same 3)
is "the same seed, the same figures" "$(same 3 | sed 's/,"local".*//')" "${first%%,\"local\"*}"
if [ "$(same 4 | sed 's/,"local".*//')" = "${first%%,\"local\"*}" ]; then
    not_ok "another seed, other figures"
else
    ok "another seed, other figures"
fi

# SIGINT: the table so far, and a status that tells of it.
timeout 60 "$nearkv" replay --embedded --synthetic --requests 100000000 >"$tmp/out" 2>"$tmp/err" &
timeout_pid=$!
soon test -n "$(children "$timeout_pid")"
read -r pid _ <<<"$(children "$timeout_pid")"
sleep 1
kill -INT "$pid"
wait "$timeout_pid"
is "SIGINT: exit status 130" $? 130
has "SIGINT: the table so far" "$(cat "$tmp/out")" "round trips"
has "SIGINT: it says so" "$(cat "$tmp/out")" "interrupted"
if soon no_directory; then ok "SIGINT: nothing is left"; else not_ok "SIGINT: nothing is left"; fi

# On somebody else's server: only our keys, and none is left.
start_server pw || { not_ok "a server starts"; exit 1; }
url=redis://:pw@127.0.0.1:$server_port
"${server_cli[@]}" SET mine 1 >/dev/null
timeout 60 "$nearkv" replay --url "$url" --synthetic --requests 50 --json >/dev/null
is "on a shared server: exit status 0" $? 0
is "on a shared server: nothing of ours is left, all else is" "$("${server_cli[@]}" KEYS '*')" mine
timeout 60 "$nearkv" replay --url "$url" --synthetic --requests 20 --json --keep \
    --key-prefix "test:" >/dev/null
kept=$("${server_cli[@]}" KEYS 'test:*' | wc -l)
if [ "$kept" -gt 20 ]; then ok "--keep"; else not_ok "--keep" "$kept keys"; fi
key=$("${server_cli[@]}" KEYS 'test:*' | head -n 1)
matches "what is kept expires" "$("${server_cli[@]}" TTL "$key")" '8[0-9]{4}'
is "what is kept has the size of a block" "$("${server_cli[@]}" STRLEN "$key")" 2048

timeout 60 "$nearkv" replay --url "$url" --synthetic --requests 20 --json --layout hash-tag >/dev/null
is "chunks on a shared server: exit status 0" $? 0
is "chunks on a shared server: nothing of ours is left" "$("${server_cli[@]}" KEYS '*near*')" ""
timeout 60 "$nearkv" replay --url "$url" --trace "$tmp/trace" --json --keep --layout hash-tag \
    --block-bytes 64k --key-prefix "chunk:" >/dev/null
is "chunks that are kept: metadata and payload" "$("${server_cli[@]}" KEYS '{chunk:*:c:4}:*' | sort |
    sed 's/{chunk:[0-9a-f]*/{/' | tr '\n' ' ')" "{:c:4}:kv_bytes {:c:4}:metadata "
key=$("${server_cli[@]}" KEYS '{chunk:*:c:4}:kv_bytes')
matches "chunks that are kept expire" "$("${server_cli[@]}" TTL "$key")" '8[0-9]{4}'
is "chunks that are kept have their size" "$("${server_cli[@]}" STRLEN "$key")" 65536
key=${key#\{}
out=$(NEARKV_PASSWORD=pw "$nearkv" lmcache contains --url "redis://127.0.0.1:$server_port" \
    --layout hash-tag "${key%\}*}")
has "chunks that are kept are LMCache's" "$out" "65536 bytes, fmt=KV_2LTD,dtype=bfloat16,shape=2x1x1x16384"

# stored PATTERN: is there such a key?
stored() {
    [ -n "$("${server_cli[@]}" --scan --pattern "$1")" ]
}

# A connection that is lost while the keys are deleted: they are deleted all the same.
all_stored() {
    [ "$("${server_cli[@]}" DBSIZE)" = 6 ]
}
deleting() {
    [[ $("${server_cli[@]}" CLIENT LIST) == *cmd=del* ]]
}
"${server_cli[@]}" FLUSHALL >/dev/null
mkfifo "$tmp/fifo"
timeout 60 "$nearkv" replay --url "$url" --trace "$tmp/fifo" --json >"$tmp/out" 2>"$tmp/err" &
replay_pid=$!
exec {fifo}>"$tmp/fifo"
echo '{"hash_ids":[1,2,3]}' >&"$fifo"
if soon all_stored; then ok "the blocks are stored"; else not_ok "the blocks are stored"; fi
"${server_cli[@]}" CLIENT PAUSE 1500 WRITE >/dev/null
exec {fifo}>&-
if soon deleting; then ok "the deletion is held back"; else not_ok "the deletion is held back"; fi
"${server_cli[@]}" CLIENT KILL TYPE normal >/dev/null
wait "$replay_pid"
is "a connection lost at the end: exit status 0" $? 0
is "a connection lost at the end: nothing is said" "$(cat "$tmp/err")" ""
is "a connection lost at the end: no key is left" "$("${server_cli[@]}" DBSIZE)" 0

# --verify finds what is wrong: somebody changes blocks behind a server that does not tell.
"${server_cli[@]}" DEL mine >/dev/null
timeout 60 "$nearkv" replay --url "$url" --trace - --json --verify >"$tmp/out" 2>"$tmp/err" < <(
    echo '{"hash_ids":[1]}'
    soon stored 'nearkv:replay:*:c:1'
    sleep 0.5
    "${server_cli[@]}" SET "$("${server_cli[@]}" --scan --pattern 'nearkv:replay:*:c:1')" other >/dev/null
    echo '{"hash_ids":[1]}'
)
is "a block that somebody changed: exit status 1" $? 1
has "a block that somebody changed is counted" "$(cat "$tmp/out")" '"mismatches":1}'

# The same with a chunk whose payload is kept in the cache: its metadata has not changed.
timeout 60 "$nearkv" replay --url "$url" --trace - --json --verify --layout plain --cache-payloads \
    >"$tmp/out" 2>"$tmp/err" < <(
    echo '{"hash_ids":[1]}'
    echo '{"hash_ids":[1]}'
    soon stored 'nearkv:replay:*:c:1kv_bytes'
    sleep 0.5
    "${server_cli[@]}" SET "$("${server_cli[@]}" --scan --pattern 'nearkv:replay:*:c:1kv_bytes')" \
        "$(printf 'x%.0s' {1..2048})" >/dev/null
    echo '{"hash_ids":[1]}'
)
is "a payload that somebody changed: exit status 1" $? 1
has "a payload that somebody changed is counted" "$(cat "$tmp/out")" '"mismatches":1}'

# A server that evicts: what is gone there is no mismatch, once the cached client knows.
"${server_cli[@]}" CONFIG SET maxmemory-policy allkeys-lru >/dev/null
"${server_cli[@]}" CONFIG SET maxmemory 10mb >/dev/null
for arguments in '' '--layout plain --cache-payloads' '--layout single --verify-payload --threads 2'; do
    # shellcheck disable=SC2086
    out=$(timeout 120 "$nearkv" replay --url "$url" --synthetic --requests 200 --json --verify \
        --block-bytes 8k $arguments)
    is "a server that evicts, $arguments: exit status 0" $? 0
    has "a server that evicts, $arguments: no mismatch" "$out" '"mismatches":0}'
done
matches "it did evict" "$("${server_cli[@]}" INFO stats | tr -d '\r')" '.*evicted_keys:[1-9].*'
"${server_cli[@]}" FLUSHALL >/dev/null

# A server that has no room: the replay ends, and says why.
"${server_cli[@]}" CONFIG SET maxmemory-policy noeviction >/dev/null
"${server_cli[@]}" CONFIG SET maxmemory 1 >/dev/null
timeout 60 "$nearkv" replay --url "$url" --synthetic --requests 50 --json >"$tmp/out" 2>"$tmp/err"
is "a server without room: exit status 1" $? 1
has "a server without room is told" "$(cat "$tmp/err")" "OOM"
timeout 60 "$nearkv" replay --url "$url" --synthetic --requests 50 --json --layout plain \
    >"$tmp/out" 2>"$tmp/err"
is "a server without room for chunks: exit status 1" $? 1
has "a server without room for chunks is told" "$(cat "$tmp/err")" "storing a block: OOM"
