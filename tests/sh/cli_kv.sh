#!/usr/bin/env bash
# tests/sh/cli_kv.sh - nearkv kv from the command line, beside what redis-cli reads and writes.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

# run COMMAND ARGUMENT...: $out, $err and $status of nearkv kv.
run() {
    out=$(timeout 60 "$nearkv" kv "$@" 2>"$tmp/err")
    status=$?
    err=$(cat "$tmp/err")
}

# says TEXT STATUS OUTPUT COMMAND ARGUMENT...: that is what it prints, and nothing on standard error.
says() {
    local text=$1 want_status=$2 want=$3 command=$4
    shift 4
    run "$command" --url "$url" --prefix p: "$@"
    is "$text: exit status" "$status" "$want_status"
    is "$text" "$out$err" "$want"
}

# wrong TEXT PART ARGUMENT...: a usage error of one line, also as JSON.
wrong() {
    local text=$1 part=$2 command=$3
    shift 3
    run "$command" "$@"
    is "$text: exit status 2" "$status" 2
    has "$text: the line says so" "$err" "$part"
    is "$text: it is one line" "$(wc -l <"$tmp/err")" 1
    run "$command" --json "$@"
    is "$text: exit status 2 with --json" "$status" 2
    matches "$text: as JSON" "$out" '\{"error":".+"\}'
    is "$text: nothing on standard error with --json" "$err" ""
}

seen() {
    "${server_cli[@]}" --raw "$@"
}

start_server secret || { echo "not ok - no server"; exit 1; }
url=redis://127.0.0.1:$server_port
export NEARKV_PASSWORD=secret

says "set" 0 "" set k 'a value'
is "redis-cli reads it" "$(seen GET p:k)" "a value"
says "get" 0 "a value" get k
seen SET p:j "by redis-cli" >/dev/null
says "get of two" 0 $'by redis-cli\na value' get j k
says "get as JSON" 0 '{"key":"k","found":true,"value":"a value"}' get --json k
says "get of nothing" 1 "nearkv kv get: no: not there" get no
says "get of nothing as JSON" 1 '{"key":"no","found":false}' get --json no
printf 'a\0b\n' >"$tmp/bytes"
says "set from a file" 0 "" set --input "$tmp/bytes" b
says "get into a file" 0 "" get --output "$tmp/got" b
if cmp -s "$tmp/bytes" "$tmp/got"; then ok "any bytes"; else not_ok "any bytes" "they differ"; fi
says "bytes that are no line" 0 '"a\x00b\n"' get b
run get --url "$url" --prefix p: --output - k
is "to standard output" "$out" "a value"
says "exists" 1 $'k: there\nno: not there' exists k no
says "exists as JSON" 0 '{"key":"k","found":true}' exists --json k
says "ttl of none" 0 "k: does not expire" ttl k
says "ttl as JSON" 0 '{"key":"k","found":true,"ttl_ms":null}' ttl --json k
says "set with a TTL" 0 "" set --ttl 100 k v
matches "redis-cli sees it" "$(seen TTL p:k)" '100|99'
says "keep it" 0 "" set --keep-ttl k w
matches "redis-cli sees it still" "$(seen TTL p:k)" '100|99|98'
says "take it away" 0 "k: does not expire" ttl --ttl -1 k
run ttl --url "$url" --prefix p: --ttl 1m k
matches "another" "$out" 'k: (60000|59[0-9]{3}) ms'
says "if absent" 1 "nearkv kv set: k: it is there already" set --if-absent k x
says "if present" 1 "nearkv kv set: no: not there" set --if-present no x
says "stored as JSON" 0 '{"key":"k","stored":true}' set --json --if-present k x
says "a pickle" 0 "" set --codec pickle pk hi
is "redis-cli sees a pickle" "$("${server_cli[@]}" --raw GET p:pk | od -An -v -tx1 | tr -d ' \n')" \
    800495060000000000000043026869942e0a
says "a pickle is read" 0 "hi" get --codec pickle pk
says "what is no pickle" 1 "nearkv kv get: k: unsupported pickle: it is of no protocol from 2 to 5" \
    get --codec pickle k
head -c 5000 /dev/zero >"$tmp/zeros"
says "compressed" 0 "" set --compress-above 100 --input "$tmp/zeros" z
matches "it is small" "$(seen STRLEN p:z)" '[0-9]{2}'
says "unpacked" 0 "" get --compress-above 100 --output "$tmp/got" z
if cmp -s "$tmp/zeros" "$tmp/got"; then ok "the same"; else not_ok "the same" "they differ"; fi
says "tagged" 0 "" set --tag red --tag 'a b' t1 v
says "tagged too" 0 "" set --tag red t2 v
run tags --url "$url" --prefix p:
is "tags" "$(sort <<<"$out")" $'a b: 1\nred: 2'
says "invalidate" 0 "removed: 2" tags --invalidate red
says "they are gone" 1 $'t1: not there\nt2: not there' exists t1 t2
says "del" 1 "nearkv kv del: no: not there" del k no
seen SET other v >/dev/null
says "count" 0 "keys: 4" clear --count
says "clear" 0 "removed: 4" clear
says "clear again, as JSON" 0 '{"removed":0}' clear --json
is "others stay" "$(seen GET other)" v
run clear --url "$url" --flush
is "flush" "$status $out" "0 all removed"
is "nothing stays" "$(seen DBSIZE)" 0

wrong "no command" "commands: get, set, del" frob
wrong "no key" "takes KEY" get --url "$url"
wrong "no value" "takes KEY VALUE" set --url "$url" k
wrong "a value too many" "the value is --input's" set --url "$url" --input x k v
wrong "no prefix" "give --flush too" clear --url "$url"
wrong "flush and prefix" "--flush is for no --prefix" clear --url "$url" --flush --prefix p:
wrong "words for clear" "takes no words" clear --url "$url" --prefix p: x
wrong "a TTL of 0" "above 0" set --url "$url" --ttl 0 k v
wrong "a negative TTL" "above 0" set --url "$url" --ttl -1.5 k v
wrong "two conditions" "not both" set --url "$url" --if-absent --if-present k v
wrong "TTL and keep" "not both" set --url "$url" --ttl 5 --keep-ttl k v
wrong "tags without a tag" "takes TAG" tags --url "$url" --invalidate
wrong "a page of 0" "--page takes" clear --url "$url" --prefix p: --page 0
wrong "an option of another command" "no such option" get --url "$url" --ttl 5 k
run get --url "redis://:hunter2@127.0.0.1:1" --connect-timeout 0.2 --timeout 0.2 k
is "nobody there: exit status" "$status" 1
lacks "nobody there: no password" "$err" hunter2
run --help
is "help" "$status" 0
has "help tells of clear" "$out" "nearkv kv clear"
