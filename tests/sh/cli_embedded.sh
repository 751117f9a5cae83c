#!/usr/bin/env bash
# tests/sh/cli_embedded.sh - the private server ends with the command, however that ends.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

# begin: a shell with its server; $keeper and $server are the processes below it.
begin() {
    open_shell --embedded --json
    has "$1: the server answers" "$(ask 'PING')" '"PONG"'
    read -r keeper _ <<<"$(children "$shell_pid")"
    read -r server _ <<<"$(children "$keeper")"
    directory=$(dirname "$(path_of "$(ask ':health')")")
    is "$1: only the owner may enter the directory" "$(stat -c %a "$directory")" 700
}

# end TEXT: is all of it gone?
end() {
    gone "$1: the server is gone" "$server" "$keeper"
    if soon no_directory; then
        ok "$1: the directory is gone"
    else
        not_ok "$1: the directory is gone" "$(ls -d "$tmp"/nearkv-*)"
    fi
    exec {shell_in}>&- {shell_out}<&-
}

begin "end of input"
exec {shell_in}>&-
eval "exec ${shell_proc[1]}>&-"
wait "$shell_pid" 2>/dev/null
is "end of input: exit status 0" $? 0
if alive "$server"; then
    not_ok "end of input: the server was gone first"
else
    ok "end of input: the server was gone first"
fi
exec {shell_in}>/dev/null
end "end of input"

for signal in INT TERM HUP QUIT; do
    begin "SIG$signal"
    kill -"$signal" "$shell_pid"
    wait "$shell_pid" 2>/dev/null
    is "SIG$signal: ended by it" $? $((128 + $(kill -l "$signal")))
    if alive "$server"; then
        not_ok "SIG$signal: the server was gone first"
    else
        ok "SIG$signal: the server was gone first"
    fi
    end "SIG$signal"
done

begin "SIGKILL"
kill -KILL "$shell_pid"
wait "$shell_pid" 2>/dev/null
end "SIGKILL"

begin "keeper killed"
kill -KILL "$keeper"
gone "keeper killed: the server is gone" "$server"
exec {shell_in}>&-
eval "exec ${shell_proc[1]}>&-"
wait "$shell_pid" 2>/dev/null
is "keeper killed: the shell ends well" $? 0
exec {shell_out}<&-
if no_directory; then
    ok "keeper killed: the directory is gone"
else
    not_ok "keeper killed: the directory is gone" "$(ls -d "$tmp"/nearkv-*)"
fi

begin "keeper told to end"
kill -TERM "$keeper"
gone "keeper told to end: the server is gone" "$server"
ask PING >/dev/null
exec {shell_in}>&-
eval "exec ${shell_proc[1]}>&-"
wait "$shell_pid" 2>/dev/null
exec {shell_in}>/dev/null
end "keeper told to end"

begin "server killed"
kill -KILL "$server"
gone "server killed: it is gone" "$server"
has "server killed: commands fail" "$(ask 'SET a 1')" '"error"'
exec {shell_in}>&-
eval "exec ${shell_proc[1]}>&-"
wait "$shell_pid" 2>/dev/null
is "server killed: the end of input is fine" $? 0
exec {shell_in}>/dev/null
end "server killed"

# A reader of our output sees its end when we end, not when the server does.
out=$(timeout 20 bash -c "echo 'PING' | '$nearkv' shell --embedded --json | cat")
has "output through a pipe" "$out" '"PONG"'
is "output through a pipe ends" "$?" 0

# The standard streams may be closed.
"$nearkv" shell --embedded --json -- PING <&- >"$tmp/out" 2>/dev/null
is "standard input closed" $? 0
has "standard input closed: the answer" "$(cat "$tmp/out")" '"PONG"'
"$nearkv" shell --embedded --json -- PING <&- >&- 2>&-
matches "all streams closed: no crash" $? '[01]'
if soon no_directory; then ok "nothing is left"; else not_ok "nothing is left"; fi

# Interrupted while it starts: whatever moment it is, nothing is left.
for delay in 0.000 0.002 0.005 0.010 0.020 0.040; do
    "$nearkv" shell --embedded --json </dev/zero >/dev/null 2>&1 &
    pid=$!
    sleep "$delay"
    kill -TERM "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
done
if soon no_directory; then ok "interrupted at its start, nothing is left"; else
    not_ok "interrupted at its start, nothing is left" "$(ls -d "$tmp"/nearkv-*)"
fi

# A directory with a long name would not fit into the address of a socket.
long=$tmp/$(printf 'x%.0s' {1..100})
mkdir "$long"
TMPDIR=$long "$nearkv" shell --embedded --json -- PING >"$tmp/out" 2>&1
has "a long TMPDIR" "$(cat "$tmp/out")" '"PONG"'
