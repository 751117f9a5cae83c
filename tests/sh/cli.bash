# tests/sh/cli.bash - what the tests of the command share; to be sourced.
#
# ok TEXT / not_ok TEXT WHY      a line of the report
# is TEXT GOT WANTED             equal?
# has TEXT GOT PART              is PART in it?
# lacks TEXT GOT PART            is it not?
# matches TEXT GOT PATTERN       a whole match of a bash regular expression
# gone TEXT PID...               do these processes end soon?
# open_shell ARGUMENT...         starts a shell as a coprocess; ask sends a line and reads one
#
# Everything a test makes lies below $tmp, which is removed at the end with every process started.

nearkv=${NEARKV:-$PWD/build/release/nearkv}
export PATH="$PWD/deps/bin:$PATH"
unset NEARKV_PASSWORD NEARKV_REDIS_SERVER NEARKV_HISTORY

tmp=$(mktemp -d) || exit 2
export TMPDIR=$tmp HOME=$tmp
started=()

finish() {
    local pid
    for pid in "${started[@]}"; do
        kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    rm -rf "$tmp"
}
trap finish EXIT

ok() {
    printf 'ok - %s\n' "$1"
}

not_ok() {
    printf 'not ok - %s\n' "$1"
    shift
    printf '    %s\n' "$@"
}

is() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted: $3" "got:    $2"; fi
}

has() {
    if [[ $2 == *"$3"* ]]; then ok "$1"; else not_ok "$1" "wanted with: $3" "got: $2"; fi
}

lacks() {
    if [[ $2 != *"$3"* ]]; then ok "$1"; else not_ok "$1" "wanted without: $3" "got: $2"; fi
}

matches() {
    if [[ $2 =~ ^($3)$ ]]; then ok "$1"; else not_ok "$1" "wanted: $3" "got:    $2"; fi
}

# until COMMAND...: repeats it until it holds, for ten seconds at most.
soon() {
    local i
    for ((i = 0; i < 1000; i++)); do
        "$@" && return 0
        sleep 0.01
    done
    return 1
}

# alive PID: is there such a process, and is it no zombie?
alive() {
    [[ -r /proc/$1/stat ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

none_alive() {
    local pid
    for pid in "$@"; do
        alive "$pid" && return 1
    done
    return 0
}

gone() {
    local text=$1
    shift
    if [ $# -gt 0 ] && soon none_alive "$@"; then
        ok "$text"
    else
        not_ok "$text" "still there: $*"
    fi
}

no_directory() {
    ! compgen -G "$tmp/nearkv-*" >/dev/null
}

# children PID: the processes below it, one level.
children() {
    cat /proc/"$1"/task/*/children 2>/dev/null
}

# servers: the kinds of server on this machine.
servers() {
    local name path
    for name in redis-server valkey-server; do
        path=$(command -v "$name") && printf '%s\n' "$path"
    done
}

# start_server PASSWORD: a server with a password; $server_url_host is host:port, $server_cli talks to it.
start_server() {
    local i
    for ((i = 0; i < 50; i++)); do
        server_port=$((20000 + RANDOM))
        redis-server --port "$server_port" --bind 127.0.0.1 --save '' --dir "$tmp" \
            --requirepass "$1" --loglevel warning >"$tmp/server.log" 2>&1 &
        server_pid=$!
        server_cli=(redis-cli --no-auth-warning -p "$server_port" -a "$1")
        if soon_up; then
            started+=("$server_pid")
            return 0
        fi
        kill -KILL "$server_pid" 2>/dev/null
    done
    return 1
}

soon_up() {
    local i
    for ((i = 0; i < 500; i++)); do
        [ "$("${server_cli[@]}" PING 2>/dev/null)" = PONG ] && alive "$server_pid" && return 0
        alive "$server_pid" || return 1
        sleep 0.01
    done
    return 1
}

# open_shell ARGUMENT...: $shell_pid; ask LINE prints the answer's line.
open_shell() {
    coproc shell_proc { exec "$nearkv" shell "$@" 2>"$tmp/shell.err"; }
    shell_pid=$shell_proc_PID
    started+=("$shell_pid")
    exec {shell_in}>&"${shell_proc[1]}" {shell_out}<&"${shell_proc[0]}"
}

ask() {
    local line=
    printf '%s\n' "$1" >&"$shell_in"
    IFS= read -r -t 10 line <&"$shell_out" || line="(no answer to $1)"
    printf '%s\n' "$line"
}

# close_shell: ends its input; $shell_status is what it ended with.
close_shell() {
    exec {shell_in}>&-
    eval "exec ${shell_proc[1]}>&-" 2>/dev/null
    wait "$shell_pid"
    shell_status=$?
    exec {shell_out}<&-
}

# path_of HEALTH: the address in the answer of :health.
path_of() {
    sed -n 's/.*"addr":"\([^"]*\)".*/\1/p' <<<"$1"
}
