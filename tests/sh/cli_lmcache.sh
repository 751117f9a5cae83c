#!/usr/bin/env bash
# tests/sh/cli_lmcache.sh - chunks of LMCache from the command line, beside what redis-cli reads and writes.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

# run ARGUMENT...: $out, $err and $status of nearkv lmcache; standard input is the caller's.
run() {
    out=$(timeout 60 "$nearkv" lmcache "$@" 2>"$tmp/err")
    status=$?
    err=$(cat "$tmp/err")
}

# fine TEXT ARGUMENT...: it says nothing and is fine.
fine() {
    local text=$1
    shift
    run "$@"
    is "$text: exit status 0" "$status" 0
    is "$text: nothing is said" "$out$err" ""
}

# wrong TEXT PART ARGUMENT...: a usage error of one line that has PART in it, also as JSON.
wrong() {
    local text=$1 part=$2 command=$3
    shift 3
    run "$command" "$@"
    is "$text: exit status 2" "$status" 2
    has "$text: the line says so" "$err" "$part"
    is "$text: it is one line" "$(wc -l <"$tmp/err")" 1
    is "$text: nothing on standard output" "$out" ""
    run "$command" --json "$@"
    is "$text: exit status 2 with --json" "$status" 2
    matches "$text: as JSON" "$out" '\{("key":"[^"]*",)?("file":"[^"]*",)?"error":".+"\}'
    is "$text: nothing on standard error with --json" "$err" ""
}

# hex FILE: its bytes as hexadecimal digits.
hex() {
    od -An -v -tx1 "$1" | tr -d ' \n'
}

# from_hex DIGITS: the bytes.
from_hex() {
    local digits=$1 i
    for ((i = 0; i < ${#digits}; i += 2)); do
        printf '%b' "\\x${digits:i:2}"
    done
}

# fetch KEY FILE: what redis-cli reads; it puts an end of line behind the bytes.
fetch() {
    redis-cli -s "$socket" --raw GET "$1" | head -c -1 >"$2"
}

# holds TEXT KEY FILE: the server has just these bytes there.
holds() {
    fetch "$2" "$tmp/held"
    if cmp -s "$tmp/held" "$3"; then ok "$1"; else not_ok "$1" "$2: $(wc -c <"$tmp/held") bytes"; fi
}

# holds_hex TEXT KEY DIGITS
holds_hex() {
    fetch "$2" "$tmp/held"
    is "$1" "$(hex "$tmp/held")" "$3"
}

same() {
    if cmp -s "$2" "$3"; then ok "$1"; else not_ok "$1" "$2 and $3 differ"; fi
}

# keys: all names on the server, in order.
keys() {
    redis-cli -s "$socket" --raw --scan | sort | tr '\n' ' '
}

flush() {
    redis-cli -s "$socket" FLUSHALL >/dev/null
}

# The key names and bytes of every layout, ours and redis-cli's, both ways. 1000 bytes are e8030000.
plain_meta=e80300000500000000000000e8030000000000000000000000000000
layout() {
    local layout=$1 meta=$2 payload=$3
    local args=(--url "$url" --layout "$layout")
    flush
    fine "$layout: put" put "${args[@]}" 'm/x@1@0@ff@half' "$tmp/a"
    holds "$layout: the payload" "$payload" "$tmp/a"
    if [ -n "$meta" ]; then holds_hex "$layout: the metadata" "$meta" "$plain_meta"; fi
    is "$layout: and nothing else" "$(keys)" \
        "$(printf '%s\n' "$payload" ${meta:+"$meta"} | sort | tr '\n' ' ')"
    flush
    redis-cli -s "$socket" -x SET "$payload" <"$tmp/a" >/dev/null
    if [ -n "$meta" ]; then
        from_hex "$plain_meta" | redis-cli -s "$socket" -x SET "$meta" >/dev/null
    fi
    fine "$layout: get what redis-cli has written" get "${args[@]}" 'm/x@1@0@ff@half' "$tmp/got"
    same "$layout: the bytes" "$tmp/got" "$tmp/a"
    run ls "${args[@]}"
    is "$layout: ls" "$out" 'm/x@1@0@ff@half'
    run contains "${args[@]}" 'm/x@1@0@ff@half'
    is "$layout: contains: exit status 0" "$status" 0
    has "$layout: contains: the prefix" "$out" "prefix: 1, found: 1, keys: 1"
    fine "$layout: rm" rm "${args[@]}" 'm/x@1@0@ff@half'
    is "$layout: nothing is left" "$(keys)" ""
    run rm "${args[@]}" 'm/x@1@0@ff@half'
    is "$layout: rm of nothing: exit status 1" "$status" 1
    is "$layout: rm of nothing" "$err" "nearkv lmcache rm: m/x@1@0@ff@half: not there"
}

# metadata TEXT META FILE DIGITS [ARGUMENT...]: is written as these bytes, and read as that text again.
metadata() {
    local text=$1 meta=$2 file=$3 digits=$4
    shift 4
    fine "$text: put" put --url "$url" --meta "$meta" "$@" k "$file"
    holds_hex "$text: the bytes" kmetadata "$digits"
    fine "$text: get" get --url "$url" --meta-file "$tmp/meta" k "$tmp/got"
    same "$text: the payload" "$tmp/got" "$file"
}

all_metadata() {
    flush
    metadata "a tensor" fmt=KV_2LTD,dtype=half,shape=2x1x1x1 "$tmp/four" \
        04000000010000000200000002000000010000000100000001000000
    is "a tensor: the text again" "$(cat "$tmp/meta")" fmt=KV_2LTD,dtype=half,shape=2x1x1x1
    metadata "padded with zeros" fmt=KV_2TD,dtype=uint8,shape=2x1x2 "$tmp/four" \
        04000000030000000600000002000000010000000200000000000000
    is "padded with zeros: the text again" "$(cat "$tmp/meta")" fmt=KV_2TD,dtype=uint8,shape=2x1x2
    metadata "padded with ones" fmt=KV_2TD,dtype=uint8,shape=2x1x2 "$tmp/four" \
        04000000030000000600000001000000020000000100000002000000 --padding ones
    metadata "two groups" 'fmt=KV_2LTD,dtype=half,shape=1x1x1x1;dtype=fp8_e5m2,shape=2x1x1x1' \
        "$tmp/four" \
        040000000100000002000000010000000100000001000000010000000800000002000000010000000100000001000000
    is "two groups: the text again" "$(cat "$tmp/meta")" \
        'fmt=KV_2LTD,dtype=half,shape=1x1x1x1;dtype=fp8_e5m2,shape=2x1x1x1'
    metadata "compressed" fmt=BINARY "$tmp/four" \
        04000000040000000000000004000000000000000000000000000000
    metadata "a format of a fork" fmt=77,dtype=uint8,shape=9x9 "$tmp/four" \
        040000004d0000000600000009000000090000000000000000000000
    is "a format of a fork: the text again" "$(cat "$tmp/meta")" fmt=77,dtype=uint8,shape=9x9x0x0

    from_hex 0400000001000000020000000200000001000000 | redis-cli -s "$socket" -x SET kmetadata >/dev/null
    run contains --url "$url" k
    is "metadata that is too short: exit status 1" "$status" 1
    is "metadata that is too short: not there" "${out%%$'\n'*}" "k: not there"
}

# What was put, got and asked for with --json, line by line.
json() {
    local meta='{"format":"KV_2LTD","groups":[{"dtype":"half","shape":[2,1,1,1]}]}'
    flush
    run put --url "$url" --json --meta fmt=KV_2LTD,dtype=half,shape=2x1x1x1 k1 "$tmp/four" \
        "k\"2" - < <(printf 'abcd')
    is "json: put" "$out" "{\"key\":\"k1\",\"file\":\"$tmp/four\",\"stored\":true,\"bytes\":4,\"meta\":$meta}
{\"key\":\"k\\\"2\",\"file\":\"-\",\"stored\":true,\"bytes\":4,\"meta\":$meta}"
    run get --url "$url" --json k1 "$tmp/got" none "$tmp/none"
    is "json: get: exit status 1" "$status" 1
    is "json: get" "$out" "{\"key\":\"k1\",\"file\":\"$tmp/got\",\"found\":true,\"bytes\":4,\"meta\":$meta}
{\"key\":\"none\",\"file\":\"$tmp/none\",\"found\":false}"
    run contains --url "$url" --json k1 none 'k"2'
    is "json: contains: exit status 1" "$status" 1
    is "json: contains" "$out" "{\"key\":\"k1\",\"found\":true,\"bytes\":4,\"meta\":$meta}
{\"key\":\"none\",\"found\":false}
{\"key\":\"k\\\"2\",\"found\":true,\"bytes\":4,\"meta\":$meta}
{\"prefix\":1,\"found\":2,\"keys\":3}"
    run ls --url "$url" --json k1
    is "json: ls" "$out" '{"key":"k1"}'
    run rm --url "$url" --json k1 k1
    is "json: rm: exit status 1" "$status" 1
    is "json: rm" "$out" '{"key":"k1","found":true}
{"key":"k1","found":false}'
    run put --url "$url" --json --layout single k1 "$tmp/four"
    is "json: put with layout single" "$out" \
        "{\"key\":\"k1\",\"file\":\"$tmp/four\",\"stored\":true,\"bytes\":4}"
    run contains --url "$url" --json --layout single k1
    is "json: contains with layout single" "$out" '{"key":"k1","found":true}
{"prefix":1,"found":1,"keys":1}'
    redis-cli -s "$socket" LPUSH k3metadata x >/dev/null
    run contains --url "$url" --json k3
    is "json: an error reply: exit status 1" "$status" 1
    matches "json: an error reply" "${out%%$'\n'*}" '\{"key":"k3","error":"WRONGTYPE .*"\}'
    run get --url "$url" --json k3 "$tmp/none"
    matches "json: an error reply of get" "$out" \
        "\\{\"key\":\"k3\",\"file\":\"$tmp/none\",\"error\":\"WRONGTYPE .*\"\\}"
    run put --url "$url" --json $'\xff' "$tmp/four"
    has "json: a key that is no UTF-8" "$out" '{"key":{"b64":"/w=="},'
    run ls --url "$url" $'\xff'
    is "a key that is no UTF-8, for people" "$out" '"\xff"'
    run put --url "$url" $'two\nlines' "$tmp/four"
    run ls --url "$url" two
    is "a key of two lines is one line" "$out" '"two\nlines"'
}

# Files: standard streams, links, devices, what is there before, what cannot be.
files() {
    flush
    fine "put from standard input" put --url "$url" k - <"$tmp/a"
    timeout 60 "$nearkv" lmcache get --url "$url" k - >"$tmp/got"
    same "get to standard output" "$tmp/got" "$tmp/a"
    fine "put from a pipe" put --url "$url" k <(cat "$tmp/a" "$tmp/a")
    fine "get into a device" get --url "$url" k /dev/null
    if [ -c /dev/null ]; then ok "the device is still one"; else not_ok "the device is still one"; fi
    fine "several" put --url "$url" k1 "$tmp/a" k2 "$tmp/four"
    run get --url "$url" --meta-file - k1 "$tmp/one" none "$tmp/none" k2 "$tmp/two"
    is "one of several is missing: exit status 1" "$status" 1
    is "one of several is missing: it is named" "$err" "nearkv lmcache get: none: not there"
    is "one of several is missing: metadata" "$out" "fmt=BINARY_BUFFER,dtype=none,shape=1000x0x0x0

fmt=BINARY_BUFFER,dtype=none,shape=4x0x0x0"
    same "one of several is missing: the first" "$tmp/one" "$tmp/a"
    same "one of several is missing: the last" "$tmp/two" "$tmp/four"
    if [ -e "$tmp/none" ]; then not_ok "no file for it"; else ok "no file for it"; fi

    mkdir "$tmp/folder"
    cp "$tmp/a" "$tmp/folder/old"
    run get --url "$url" none "$tmp/folder/old"
    same "a file stays as it is where there is no chunk" "$tmp/folder/old" "$tmp/a"
    chmod 640 "$tmp/folder/old"
    fine "a file is replaced" get --url "$url" k2 "$tmp/folder/old"
    same "a file is replaced by the chunk" "$tmp/folder/old" "$tmp/four"
    is "a file that is replaced keeps its mode" "$(stat -c %a "$tmp/folder/old")" 640
    is "no other file is left" "$(ls -A "$tmp/folder")" old
    run get --url "$url" k1 "$tmp/folder"
    is "a folder: exit status 1" "$status" 1
    is "a folder: it says so" "$err" "nearkv lmcache get: k1: $tmp/folder: cannot be written: Is a directory"
    run get --url "$url" k1 "$tmp/nowhere/x"
    is "no such folder" "$err" \
        "nearkv lmcache get: k1: $tmp/nowhere/x: cannot be written: No such file or directory"
    timeout 60 "$nearkv" lmcache get --url "$url" k1 - 2>"$tmp/err" >/dev/full
    is "standard output is full: exit status 1" $? 1
    has "standard output is full: it says so" "$(cat "$tmp/err")" "standard output: cannot be written: No space"
    timeout 60 "$nearkv" lmcache ls --url "$url" 2>"$tmp/err" >/dev/full
    is "a listing that cannot be written: exit status 1" $? 1
    has "a listing that cannot be written: it says so" "$(cat "$tmp/err")" "standard output: No space"
    run put --url "$url" k "$tmp/nothing"
    is "no such file: exit status 1" "$status" 1
    is "no such file: it says so" "$err" \
        "nearkv lmcache put: k: $tmp/nothing: cannot be read: No such file or directory"
    flush
    run put --url "$url" k1 "$tmp/a" k2 "$tmp/nothing"
    is "nothing is sent where a file is missing" "$(keys)" ""

    head -c 33554432 /dev/urandom >"$tmp/large"
    fine "32 MiB: put" put --url "$url" --meta fmt=KV_2LTD,dtype=bfloat16,shape=2x32x256x1024 k "$tmp/large"
    holds_hex "32 MiB: the metadata" kmetadata 00000002010000000300000002000000200000000001000000040000
    fine "32 MiB: get" get --url "$url" k "$tmp/got"
    same "32 MiB: the bytes" "$tmp/got" "$tmp/large"
    holds "32 MiB: redis-cli reads them" kkv_bytes "$tmp/large"
    rm -f "$tmp/large" "$tmp/got" "$tmp/held"
}

# Answers other than yes.
answers() {
    flush
    fine "with an expiry" put --url "$url" --ttl 2m k "$tmp/a"
    matches "the metadata expires" "$(redis-cli -s "$socket" TTL kmetadata)" '1[12][0-9]'
    matches "the payload expires" "$(redis-cli -s "$socket" TTL kkv_bytes)" '1[12][0-9]'
    redis-cli -s "$socket" DEL kkv_bytes >/dev/null
    run contains --url "$url" k
    is "a payload that is gone is promised by the metadata" "$status" 0
    run contains --url "$url" --verify-payload k
    is "a payload that is gone is not promised if it is looked at" "$status" 1
    run get --url "$url" k "$tmp/none"
    is "a payload that is gone is not there: exit status 1" "$status" 1
    is "a payload that is gone is not there" "$err" "nearkv lmcache get: k: not there"
    is "its metadata is deleted" "$(keys)" ""

    local size=(--url "$url" --layout single --chunk-bytes 4)
    fine "chunks of one size" put "${size[@]}" k "$tmp/four"
    fine "get of that size" get "${size[@]}" k "$tmp/got"
    wrong "a chunk of another size" "--chunk-bytes says 4" put "${size[@]}" k2 "$tmp/a"
    redis-cli -s "$socket" SET k2 hello >/dev/null
    run get "${size[@]}" k2 "$tmp/none"
    is "get of another size" "$err" "nearkv lmcache get: k2: not there"
    run contains "${size[@]}" --verify-payload k k2
    has "contains of another size" "$out" "prefix: 1, found: 1, keys: 2"

    run ls --url "$url" 'no[*]such?'
    is "ls of nothing: exit status 0" "$status" 0
    is "ls of nothing" "$out" ""
    fine "a key with a pattern in it" put --url "$url" 'a*b' "$tmp/four" axb "$tmp/four"
    run ls --url "$url" 'a*'
    is "ls takes no patterns" "$out" 'a*b'
    fine "a key that looks like an option" put --url "$url" -- --k "$tmp/four"
    run contains --url "$url" -- --k
    is "a key that looks like an option is there" "$status" 0

    redis-cli -s "$socket" CONFIG SET maxmemory-policy noeviction >/dev/null
    redis-cli -s "$socket" CONFIG SET maxmemory 1 >/dev/null
    run put --url "$url" full "$tmp/four"
    is "a server without room: exit status 1" "$status" 1
    has "a server without room says so" "$err" "nearkv lmcache put: full: OOM "
    redis-cli -s "$socket" CONFIG SET maxmemory 0 >/dev/null
    is "a server without room has nothing of it" "$(redis-cli -s "$socket" EXISTS fullmetadata fullkv_bytes)" 0
}

usage() {
    wrong "no KEY" "takes KEY FILE" put --url "$url"
    wrong "a KEY without FILE" "k: this KEY has no FILE" get --url "$url" k
    wrong "an empty KEY" "a KEY is empty" put --url "$url" '' "$tmp/a"
    wrong "an empty KEY to look for" "a KEY is empty" contains --url "$url" k ''
    wrong "no KEY to remove" "takes KEY" rm --url "$url"
    wrong "two prefixes" "one PREFIX at most" ls --url "$url" a b
    wrong "standard input twice" "for one KEY only" put --url "$url" a - b -
    wrong "an unknown option" "--frob: no such option" put --url "$url" --frob k "$tmp/a"
    wrong "an option of another command" "--ttl: no such option" get --url "$url" --ttl 5 k f
    wrong "a stray option" "options begin with --" rm --url "$url" -f k
    wrong "an unknown layout" "one of plain|colon|hash-tag|single" ls --url "$url" --layout braces
    wrong "half a second" "whole seconds" put --url "$url" --ttl 500ms k "$tmp/a"
    wrong "an unknown scheme" "redis" ls --url gopher://localhost
    wrong "metadata for layout single" "leave --meta out" put --url "$url" --layout single \
        --meta fmt=BINARY k "$tmp/a"
    wrong "an unknown format" "one of UNDEFINED KV_2LTD" put --url "$url" --meta fmt=KV k "$tmp/a"
    wrong "an unknown dtype" "one of half bfloat16" put --url "$url" \
        --meta fmt=KV_2LTD,dtype=f16,shape=1 k "$tmp/a"
    wrong "a dtype that metadata has not" "is not for LMCache" put --url "$url" \
        --meta fmt=KV_2LTD,dtype=int8,shape=1000 k "$tmp/a"
    wrong "a shape of another size" "1000 bytes, but --meta fmt=KV_2LTD,dtype=half,shape=2x1x1x1 has 4" \
        put --url "$url" --meta fmt=KV_2LTD,dtype=half,shape=2x1x1x1 k "$tmp/a"
    wrong "an empty file" "0 bytes; a chunk with metadata has 1 to" put --url "$url" k /dev/null
    wrong "a shape without padding" "4 dimensions" put --url "$url" --padding none \
        --meta fmt=KV_2TD,dtype=uint8,shape=1000 k "$tmp/a"
    run get --url "$url" --json k -
    is "JSON and the payload on standard output: exit status 2" "$status" 2
    has "JSON and the payload on standard output" "$out" 'name a FILE instead of -'
    run get --url "$url" --meta-file - k -
    is "metadata and the payload on standard output: exit status 2" "$status" 2
    flush
    is "nothing was sent" "$(keys)" ""

    run
    is "no command: exit status 2" "$status" 2
    has "no command" "$err" "commands: put, get, contains, ls, rm"
    run frob
    has "an unknown command" "$err" "no such command: frob"
    run put --help
    is "help of a command: exit status 0" "$status" 0
    has "help of a command" "$out" "nearkv lmcache put [option ...] KEY FILE"
    is "help in three ways" "$("$nearkv" lmcache --help)" "$("$nearkv" help lmcache)"
}

# No server, one that goes away, one that is silent: no half file, and no half answer.
failures() {
    run get --url "unix://$tmp/nothing.sock" k "$tmp/none"
    is "no server: exit status 1" "$status" 1
    is "no server: one line" "$(wc -l <"$tmp/err")" 1
    run contains --json --url "unix://$tmp/nothing.sock" k
    is "no server, with --json: exit status 1" "$status" 1
    matches "no server, with --json" "$out" '\{"error":".*cannot connect.*"\}'

    fine "a chunk to be waited for" put --url "$url" k "$tmp/a"
    kill -STOP "$server_pid"
    run get --url "$url" --connect-timeout 200ms k "$tmp/folder/old"
    kill -CONT "$server_pid"
    is "a server that is silent: exit status 1" "$status" 1
    same "a server that is silent: the file is as before" "$tmp/folder/old" "$tmp/four"
    is "a server that is silent: no other file" "$(ls -A "$tmp/folder")" old
}

# start_at PROGRAM: a server at $url, on $socket.
start_at() {
    socket=$tmp/server.sock
    url=unix://$socket
    rm -f "$socket"
    "$1" --port 0 --unixsocket "$socket" --save '' --dir "$tmp" --loglevel warning >"$tmp/server.log" 2>&1 &
    server_pid=$!
    started+=("$server_pid")
    soon test -S "$socket"
}

head -c 1000 /dev/urandom >"$tmp/a"
printf 'abcd' >"$tmp/four"
count=0
while read -r server; do
    echo "# $server"
    start_at "$server" || { not_ok "a server starts"; exit 1; }
    layout plain m/x@1@0@ff@halfmetadata m/x@1@0@ff@halfkv_bytes
    layout colon m/x@1@0@ff@half:metadata m/x@1@0@ff@half:kv_bytes
    layout hash-tag '{m/x@1@0@ff@half}:metadata' '{m/x@1@0@ff@half}:kv_bytes'
    layout single '' m/x@1@0@ff@half
    if [ "$count" = 0 ]; then
        all_metadata
        json
        files
        answers
        usage
        failures
    fi
    kill -KILL "$server_pid"
    wait "$server_pid" 2>/dev/null
    count=$((count + 1))
done < <(servers)
[ "$count" -gt 0 ] || not_ok "there is a server"

# Passwords: none stays in sight.
secret=hunter2secret
start_server "$secret" || { not_ok "a server starts"; exit 1; }
mkfifo "$tmp/fifo"
for way in "--url redis://:$secret@127.0.0.1:$server_port" \
    "--url redis://127.0.0.1:$server_port --password $secret"; do
    # shellcheck disable=SC2086
    "$nearkv" lmcache put $way --json k "$tmp/fifo" >"$tmp/out" 2>"$tmp/err" &
    pid=$!
    exec {fifo}>"$tmp/fifo"
    seen=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    has "${way%% *}: this is the command" "$seen" "lmcache put"
    lacks "${way%% *}: not in the process list" "$seen" "$secret"
    printf 'abcd' >&"$fifo"
    exec {fifo}>&-
    wait "$pid"
    is "${way%% *}: it works" $? 0
done
NEARKV_PASSWORD=$secret run contains --url "redis://127.0.0.1:$server_port" k
is "the environment" "$status" 0
printf '%s\n' "$secret" >"$tmp/password"
run contains --url "redis://127.0.0.1:$server_port" --password-file "$tmp/password" k
is "a file" "$status" 0

# kept_secret TEXT STATUS ARGUMENT...: it fails so, and the password is in neither text.
kept_secret() {
    local text=$1 wanted=$2
    shift 2
    run "$@"
    is "$text: exit status $wanted" "$status" "$wanted"
    lacks "$text: no password in what is said" "$out$err" "$secret"
}
for json in '' --json; do
    # shellcheck disable=SC2086
    {
        kept_secret "a wrong password $json" 1 ls $json --url "redis://:x$secret@127.0.0.1:$server_port"
        kept_secret "nobody there $json" 1 ls $json --url "redis://:$secret@127.0.0.1:1"
        kept_secret "a wrong scheme $json" 2 ls $json --url "gopher://:$secret@127.0.0.1"
        kept_secret "a URL as a word $json" 2 ls $json "redis://:$secret@127.0.0.1"
        kept_secret "an option that is none $json" 2 ls $json "--pasword=$secret"
        kept_secret "a URL where the command should be $json" 2 "redis://:$secret@h" $json
    }
done
