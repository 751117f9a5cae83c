#!/usr/bin/env bash
# tests/sh/cli_text.sh - the shell for people: answers as in redis-cli, a tag, a terminal with history.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

out=$("$nearkv" shell --embedded 2>"$tmp/err" <<'LINES'
SET a "b\n"
GET a
GET a
GET none
MGET a none
RPUSH l x
LRANGE l 0 -1
INCR a
GET "a
:prefix a none
:frob
LINES
)
is "a session of text ends well" $? 0
has "where the server is" "$(cat "$tmp/err")" "unix://$tmp/nearkv-"
mapfile -t line <<<"$out"
time='[0-9.]+ (µs|ms|s)'
matches "a status" "${line[0]}" "OK \(server, $time\)"
matches "a string" "${line[1]}" "\"b\\\\n\" \(server, $time\)"
matches "a string from the cache" "${line[2]}" "\"b\\\\n\" \(cache, $time\)"
matches "nil" "${line[3]}" "\(nil\) \(server, $time\)"
is "the first of several" "${line[4]}" '1) "b\n"'
matches "the last of several" "${line[5]}" "2\) \(nil\) \(cache, $time\)"
matches "an integer" "${line[6]}" "\(integer\) 1 \(server, $time\)"
matches "an array" "${line[7]}" "1\) \"x\" \(server, $time\)"
matches "an error" "${line[8]}" '\(error\) (ERR|WRONGTYPE) .*'
matches "a malformed line" "${line[9]}" '\(error\) unbalanced quotes.*'
matches "a prefix" "${line[10]}" "1 leading keys exist \([0-9] from the cache, $time\)"
matches "an unknown command of our own" "${line[11]}" '\(error\) :frob: .*'

if ! command -v script >/dev/null; then
    echo "ok - a terminal # SKIP there is no script(1)"
    exit 0
fi

# On a terminal; what is typed comes from standard input. The lines come slowly, as from a person, so
# that the editor has the terminal before the next one is there.
terminal() {
    local text
    for text in "$@"; do
        sleep 0.3
        printf '%s\r' "$text"
    done | TERM=xterm timeout 30 script -qec "'$nearkv' shell --embedded" /dev/null 2>&1
}

umask 022
history=$tmp/.nearkv_history
out=$(terminal 'SET a 1' 'GET a' 'AUTH ann secret1' 'CONFIG SET requirepass secret2' 'GET "secret3' quit)
has "a prompt" "$out" "redis.sock> "
has "an answer on the terminal" "$out" '"1"'
has "the tag is dim" "$out" $'\033[2m('
is "the history is its owner's only" "$(stat -c %a "$history")" 600
has "the history has what was typed" "$(cat "$history")" 'GET'
lacks "the history has no AUTH" "$(cat "$history")" secret1
lacks "the history has no requirepass" "$(cat "$history")" secret2
lacks "the history has no line that could not be split" "$(cat "$history")" secret3

chmod 644 "$history"
terminal 'GET again' quit >/dev/null
is "a history that others could read is closed" "$(stat -c %a "$history")" 600
has "the history has the old lines" "$(cat "$history")" 'SET'
has "the history has the new lines" "$(cat "$history")" 'again'

rm "$history"
NEARKV_HISTORY='' terminal 'GET a' quit >/dev/null
if [ -e "$history" ]; then not_ok "no history if none is wanted"; else ok "no history if none is wanted"; fi
NEARKV_HISTORY=$tmp/elsewhere terminal 'GET a' quit >/dev/null
has "a history elsewhere" "$(cat "$tmp/elsewhere")" 'GET'
out=$(NO_COLOR=1 terminal 'GET a' quit)
lacks "no colour if none is wanted" "$out" $'\033[2m('
