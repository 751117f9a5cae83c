#!/usr/bin/env bash
# tests/sh/cli_usage.sh - help, version, exit statuses, and what is said about a wrong option or URL.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

# run ARGUMENT...: $out, $err and $status of the command.
run() {
    out=$(timeout 30 "$nearkv" "$@" 2>"$tmp/err" </dev/null)
    status=$?
    err=$(cat "$tmp/err")
}

# wrong TEXT PART ARGUMENT...: a usage error of one line that has PART in it.
wrong() {
    local text=$1 part=$2
    shift 2
    run "$@"
    is "$text: exit status 2" "$status" 2
    has "$text: the line says so" "$err" "$part"
    is "$text: it is one line" "$(wc -l <"$tmp/err")" 1
    is "$text: nothing on standard output" "$out" ""
}

version=$(awk '/NKV_VERSION_(MAJOR|MINOR|PATCH)/ { v = v s $3; s = "." } END { print v }' \
    include/nearkv/version.h)
run --version
is "--version" "$out" "nearkv $version"
is "--version is fine" "$status" 0

for arguments in --help help -h; do
    run $arguments
    is "$arguments is fine" "$status" 0
    has "$arguments tells of the shell" "$out" "nearkv shell"
    has "$arguments tells the exit statuses" "$out" "exit status"
done
for command in shell replay; do
    run help "$command"
    is "help $command is fine" "$status" 0
    has "help $command has options" "$out" "--max-keys N"
    first=$out
    run "$command" --help
    is "$command --help is the same" "$out" "$first"
done

wrong "no command" "commands: shell, replay"
wrong "an unknown command" "no such command: frob" frob
wrong "an unknown topic" "topics: shell, replay" help frob
wrong "an unknown option" "--frob: no such option" shell --frob
wrong "a value that is no number" "--max-keys takes a whole number" shell --max-keys many
wrong "a value out of range" "from 0 to 100, not \"200\"" shell --confidence 200
wrong "a missing value" "--timeout needs a time" shell --timeout
wrong "a wrong choice" "one of eventual|drain|barrier" shell --level strong
wrong "an unknown scheme" "redis" shell --url gopher://localhost
wrong "a port out of range" "" shell --url redis://localhost:99999
wrong "a database that is no number" "" shell --url redis://localhost/abc
wrong "replay of nothing" "--trace FILE or --synthetic" replay
wrong "--embedded with --url" "leave --url out" shell --embedded --url redis://localhost

run shell --url "unix://$tmp/nothing.sock"
is "a server that is not there: exit status 1" "$status" 1
has "a server that is not there is named" "$err" "$tmp/nothing.sock"
is "a server that is not there: one line" "$(wc -l <"$tmp/err")" 1

run shell --password-file "$tmp/nothing"
is "a password file that is not there: exit status 1" "$status" 1
has "a password file that is not there is named" "$err" "$tmp/nothing: No such file"

run replay --embedded --trace "$tmp/nothing"
is "a trace that is not there: exit status 1" "$status" 1
has "a trace that is not there is named" "$err" "$tmp/nothing: cannot be opened"

NEARKV_REDIS_SERVER=$tmp/nothing run shell --embedded
is "a server program that is not there: exit status 1" "$status" 1
has "a server program that is not there is named" "$err" "NEARKV_REDIS_SERVER: $tmp/nothing"

printf '#!/bin/sh\necho "*** FATAL: cannot do that"\nexit 3\n' >"$tmp/broken"
chmod +x "$tmp/broken"
NEARKV_REDIS_SERVER=$tmp/broken run shell --embedded
is "a server that does not start: exit status 1" "$status" 1
has "a server that does not start: its own words are shown" "$err" "cannot do that"
if no_directory; then ok "nothing is left of it"; else not_ok "nothing is left of it"; fi

run shell --embedded -- ECHO hello
is "one command: its answer" "${out%% (*}" '"hello"'
is "one command: fine" "$status" 0
run shell --embedded --json -- HGET
has "one command that fails: its error" "$out" '{"cmd":"HGET","error":"'
is "one command that fails: exit status 1" "$status" 1

# A server that accepts and then says nothing.
redis-server --port 0 --unixsocket "$tmp/silent.sock" --save '' --dir "$tmp" >/dev/null 2>&1 &
started+=($!)
soon test -S "$tmp/silent.sock"
kill -STOP $!
run shell --url "unix://$tmp/silent.sock" --connect-timeout 200ms
kill -KILL $!
is "a server that is silent: exit status 1" "$status" 1
has "a server that is silent is named" "$err" "nearkv: $tmp/silent.sock: "
has "a server that is silent: how long was waited" "$err" "200 ms"

out=$("$nearkv" shell --embedded --json <<<'PING' 2>"$tmp/err" >/dev/full)
is "output that cannot be written: exit status 1" $? 1
has "output that cannot be written is told" "$(cat "$tmp/err")" "standard output: No space left"
