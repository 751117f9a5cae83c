#!/usr/bin/env bash
# tests/sh/cli_json.sh - the shell with --json on real servers, line by line.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

# value TEXT LINE WANTED: the answer to LINE has this value, whatever its source and time.
value() {
    local got
    got=$(ask "$2")
    matches "$1" "$got" '\{"cmd":"[A-Z]+","from":("[a-z]+"|\[[a-z",]*\]),"value":.*,"us":[0-9]+\.[0-9]+\}'
    got=${got#*,\"value\":}
    is "$1: value" "${got%,\"us\":*}" "$3"
}

# from TEXT LINE WANTED: the answer to LINE came from there.
from() {
    local got
    got=$(ask "$2")
    got=${got#*\"from\":}
    is "$1" "${got%,\"value\":*}" "$3"
}

error() {
    local got
    got=$(ask "$2")
    matches "$1" "$got" "$3"
}

new_value() {
    local got
    got=$(ask 'GET shared')
    [[ $got == *'"value":"theirs"'* ]]
}

values() {
    value "a status" 'SET a "x y"' '"OK"'
    value "a string" 'get a' '"x y"'
    value "nil" 'GET nothing' null
    value "an integer" 'INCRBY n -7' -7
    value "an empty string" 'SETRANGE empty 0 ""' 0
    value "bytes that are no UTF-8" 'ECHO "\xff\x00a"' '{"b64":"/wBh"}'
    value "UTF-8" 'ECHO "\xc3\xa4\n\"\\"' '"ä\n\"\\"'
    value "an array" 'LPUSH l 1 2' 2
    value "an array's elements" 'LRANGE l 0 -1' '["2","1"]'
    value "an empty array" 'LRANGE l 5 6' '[]'
    value "a map" 'HSET h f 1' 1
    value "a map is an object" 'HGETALL h' '{"f":"1"}'
    value "a set" 'SADD s m' 1
    value "a set is an array" 'SMEMBERS s' '["m"]'
    value "a double" 'ZADD z 1.5 m' 1
    value "a double is a number" 'ZSCORE z m' 1.5
    value "an infinite double is a string" 'ZADD z inf i' 1
    value "an infinite double" 'ZSCORE z i' '"inf"'
    value "nested arrays" 'EVAL "return {1,{2,false,\"x\"}}" 0' '[1,[2,null,"x"]]'
    error "an error reply" 'LPUSH a 1' '\{"cmd":"LPUSH","error":"WRONGTYPE .*"\}'
    error "an unknown command" 'FROB x' '\{"cmd":"FROB","error":".*FROB.*"\}'
}

lines() {
    error "unbalanced quotes" 'GET "a' '\{"error":"unbalanced quotes.*"\}'
    error "a quote in the middle" '"a"b' '\{"error":".*"\}'
    ask 'GET a' >/dev/null
    from "the session goes on, from the cache" 'GET a' '"cache"'
    error "an own command that is unknown" ':frob' '\{"cmd":":frob","error":".*:help.*"\}'
    error "an own command with too much" ':stats now' '\{"cmd":":stats","error":"usage: :stats"\}'
}

caching() {
    ask 'SET k v' >/dev/null
    from "a first read" 'GET k' '"server"'
    from "a second read" 'GET k' '"cache"'
    from "another command" 'STRLEN k' '"server"'
    from "another command again" 'STRLEN k' '"cache"'
    from "a missing key" 'GET none' '"server"'
    from "a missing key again" 'GET none' '"cache"'
    ask 'SET k w' >/dev/null
    value "read your writes" 'GET k' '"w"'
    is "forgetting a key" "$(ask ':invalidate k')" '{"invalidated":1}'
    from "a forgotten key" 'GET k' '"server"'
    is "forgetting all" "$(ask ':reset')" '{"reset":true}'
    from "a key after forgetting all" 'GET k' '"server"'
}

several_keys() {
    ask 'SET m1 1' >/dev/null
    ask 'GET m1' >/dev/null
    from "MGET tells each source" 'MGET m1 m2 m1' '["cache","server","cache"]'
    value "MGET has null for what is missing" 'MGET m1 m2 m1' '["1",null,"1"]'
    value "MGET has null for another type" 'MGET m1 l' '["1",null]'
    from "EXISTS tells each source" 'EXISTS e1 e2' '["server","server"]'
    from "EXISTS tells each source again" 'EXISTS e1 e2' '["cache","cache"]'
    value "EXISTS counts what exists, as often as it is named" 'EXISTS m1 m2 m1' 2
    matches "one key has one source" "$(ask 'MGET m1')" '\{"cmd":"MGET","from":"[a-z]+","value":\["1"\],.*'
    is "prefix" "$(ask ':prefix m1 m1 m2 m1')" '{"prefix":2,"from_cache":3}'
    is "prefix of nothing" "$(ask ':prefix none1 m1')" '{"prefix":0,"from_cache":0}'
    is "prefix of nothing again" "$(ask ':prefix none1 m1')" '{"prefix":0,"from_cache":1}'
}

# Another client changes what is cached here.
invalidation() {
    local path=$1
    ask 'SET shared ours' >/dev/null
    ask 'GET shared' >/dev/null
    from "before another writes" 'GET shared' '"cache"'
    redis-cli -s "$path" SET shared theirs >/dev/null
    is "barrier" "$(ask ':level barrier')" '{"level":"barrier"}'
    value "behind a barrier the other's write is seen" 'GET shared' '"theirs"'
    is "eventual" "$(ask ':level eventual')" '{"level":"eventual"}'
    ask 'SET shared ours' >/dev/null
    ask 'GET shared' >/dev/null
    redis-cli -s "$path" SET shared theirs >/dev/null
    if soon new_value; then ok "without a barrier, soon"; else not_ok "without a barrier, soon"; fi
    redis-cli -s "$path" FLUSHALL >/dev/null
    ask ':level drain' >/dev/null
    ask ':sleep 50' >/dev/null
    value "a flush is seen" 'GET shared' null
    ask ':level eventual' >/dev/null
}

transactions() {
    value "MULTI" 'MULTI' '"OK"'
    from "a queued command is answered here" 'SET t 1' '"local"'
    error "MULTI within MULTI" 'MULTI' '\{"cmd":"MULTI","error":"ERR MULTI calls can not be nested"\}'
    value "another one" 'INCR t' '"QUEUED"'
    value "EXEC" 'EXEC' '["OK",2]'
    error "EXEC alone" 'EXEC' '\{"cmd":"EXEC","error":"ERR EXEC without MULTI"\}'
    ask 'MULTI' >/dev/null
    ask 'SET t 9' >/dev/null
    value "DISCARD" 'DISCARD' '"OK"'
    value "what was discarded did not happen" 'GET t' '"2"'
    error "DISCARD alone" 'DISCARD' '\{"cmd":"DISCARD","error":"ERR DISCARD without MULTI"\}'
    error "a command that changes the connection" 'SELECT 1' '\{"cmd":"SELECT","error":".+"\}'
    error "a command that subscribes" 'SUBSCRIBE x' '\{"cmd":"SUBSCRIBE","error":".+"\}'
}

numbers() {
    local got name
    got=$(ask ':stats')
    for name in hits validations misses invalidations dirty evictions coalesced keys bytes; do
        matches "stats: $name is a number" "$got" ".*\"$name\":[0-9]+[,}].*"
    done
    matches "stats: bypass by reason" "$got" '\{"stats":\{.*"bypass":\{("[a-z_]+":[0-9]+,?)+\}.*\}\}'
    got=$(ask ':health')
    matches "health" "$got" '\{"healthy":true,"confidence":100,"nodes":\[\{"addr":"[^"]+","state":"armed","generation":[0-9]+,"tracking":true,"idle_ms":[0-9]+,"client_id":[1-9][0-9]*\}\]\}'
    matches "sleep" "$(ask ':sleep 1.5')" '\{"slept_ms":1.5\}'
    matches "help" "$(ask ':help')" '\{"help":\[\{"usage":":stats","text":".*\}\]\}'
}

session() {
    local path
    export NEARKV_REDIS_SERVER=$1
    open_shell --embedded --json
    path=$(path_of "$(ask ':health')")
    values
    lines
    caching
    several_keys
    invalidation "$path"
    transactions
    numbers
    close_shell
    is "the end of input: exit status 0" "$shell_status" 0
    is "nothing on standard error" "$(cat "$tmp/shell.err")" ""
    unset NEARKV_REDIS_SERVER
}

count=0
while read -r server; do
    echo "# $server"
    session "$server"
    count=$((count + 1))
done < <(servers)
[ "$count" -gt 0 ] || not_ok "there is a server"

out=$(printf 'SET a 1\n\nGET a' | "$nearkv" shell --embedded --json --no-cache)
is "an empty line has no answer, the last line needs no end" "$(wc -l <<<"$out")" 2
out=$(printf 'SET a 1\nGET a\nGET a\n:stats\n' | "$nearkv" shell --embedded --json --no-cache)
lacks "--no-cache: nothing from the cache" "$out" '"from":"cache"'
out=$(printf 'SET p:a 1\nSET q:a 1\nGET p:a\nGET p:a\nGET q:a\nGET q:a\n' |
    "$nearkv" shell --embedded --json --prefix p: | sed -n 's/.*"from":"\([a-z]*\)".*/\1/p' | tr '\n' ' ')
is "--prefix: only such keys are cached" "$out" "server server server cache server server "
out=$(printf 'SET a 1\nquit\nGET a\n' | "$nearkv" shell --embedded --json | tail -n 1)
has "quit ends the session" "$out" '"cmd":"QUIT"'
out=$(printf 'MULTI\nSET a\nSET b 1\nEXEC\nGET b\n' | "$nearkv" shell --embedded --json | tail -n 2)
has "a transaction that fails tells the first error" "$out" '"cmd":"EXEC","error":"ERR wrong number of arguments'
has "a transaction that fails does nothing" "$out" '"value":null'
