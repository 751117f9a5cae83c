#!/usr/bin/env bash
# tests/sh/cli_secrets.sh - passwords: every way in, and none of them stays in sight.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash

secret=hunter2secret
start_server "$secret" || { not_ok "a server starts"; exit 1; }
url=redis://127.0.0.1:$server_port

# works TEXT ARGUMENT...: this way in is one.
works() {
    local text=$1 out
    shift
    out=$("$nearkv" shell --json "$@" -- PING 2>&1)
    has "$text" "$out" '"value":"PONG"'
}

# unseen TEXT ARGUMENT...: while such a shell runs, the process list does not show the password.
unseen() {
    local text=$1 seen
    shift
    open_shell --json "$@"
    has "$text: it works" "$(ask PING)" '"PONG"'
    seen=$(tr '\0' ' ' <"/proc/$shell_pid/cmdline")
    has "$text: this is the command" "$seen" "shell"
    lacks "$text: not in the process list" "$seen" "$secret"
    lacks "$text: not in the environment" "$(tr '\0' ' ' <"/proc/$shell_pid/environ")" "$secret"
    close_shell
}

printf '%s\nsecond line\n' "$secret" >"$tmp/password"
works "the URL" --url "redis://:$secret@127.0.0.1:$server_port"
works "the URL with a user" --url "redis://default:$secret@127.0.0.1:$server_port"
works "an option" --url "$url" --password "$secret"
works "an option with =" --url "$url" "--password=$secret"
works "a file" --url "$url" --password-file "$tmp/password"
works "a user and a file" --url "$url" --username default --password-file "$tmp/password"
NEARKV_PASSWORD=$secret works "the environment" --url "$url"
MINE=$secret works "another variable" --url "$url" --password-env MINE
NEARKV_PASSWORD=wrong works "an option wins over the environment" --url "$url" --password "$secret"
NEARKV_PASSWORD=wrong works "a URL wins over the environment" \
    --url "redis://:$secret@127.0.0.1:$server_port"
works "an option wins over the URL" --url "redis://:wrong@127.0.0.1:$server_port" \
    --password "$secret"

unseen "the URL" --url "redis://:$secret@127.0.0.1:$server_port"
unseen "the URL with =" "--url=redis://:$secret@127.0.0.1:$server_port"
unseen "an option" --url "$url" --password "$secret"
unseen "an option with =" --url "$url" "--password=$secret"
NEARKV_PASSWORD=$secret unseen "the environment" --url "$url"

out=$("$nearkv" shell --json --url "redis://:wrong$secret@127.0.0.1:$server_port" -- PING 2>&1)
is "a wrong password: exit status 1" $? 1
has "a wrong password is told" "$out" "WRONGPASS"
lacks "a wrong password is not shown" "$out" "$secret"
out=$("$nearkv" shell --json --url "redis://:$secret@127.0.0.1:1" -- PING 2>&1)
is "nobody there: exit status 1" $? 1
lacks "nobody there: no password in the line" "$out" "$secret"
out=$("$nearkv" shell --json --url "gopher://:$secret@127.0.0.1" -- PING 2>&1)
is "a wrong scheme: exit status 2" $? 2
lacks "a wrong scheme: no password in the line" "$out" "$secret"

# A user that needs no password, and one that is not there: neither becomes the default user.
"${server_cli[@]}" ACL SETUSER ann on nopass '~*' +@all >/dev/null
out=$("$nearkv" shell --json --url "$url" --username ann -- ACL WHOAMI 2>&1)
has "a user without a password" "$out" '"value":"ann"'
"${server_cli[@]}" ACL SETUSER default nopass >/dev/null
out=$("$nearkv" shell --json --url "$url" --username bob -- ACL WHOAMI 2>&1)
is "an unknown user without a password: exit status 1" $? 1
has "an unknown user without a password is told" "$out" "WRONGPASS"

# A variable that was asked for by name must be there.
out=$("$nearkv" shell --json --url "$url" --password-env NEARKV_NO_SUCH -- PING 2>&1)
is "a variable that is not set: exit status 1" $? 1
has "a variable that is not set is named" "$out" "--password-env NEARKV_NO_SUCH: it is not set"

# The private server does not inherit what the environment holds.
export NEARKV_PASSWORD=$secret
open_shell --embedded --json
has "--embedded does not use it" "$(ask PING)" '"PONG"'
read -r keeper _ <<<"$(children "$shell_pid")"
read -r server _ <<<"$(children "$keeper")"
lacks "the server's environment has no password" "$(tr '\0' ' ' <"/proc/$server/environ")" "$secret"
close_shell
