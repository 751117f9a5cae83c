# local_servers.sh - servers of one's own on loopback; read by scripts/cluster and scripts/sentinel.
#
#   use_kind KIND             sets $server_bin and $cli: redis, redis8, valkey or valkey81
#   use_folder NAME DIR       sets $dir to DIR, or to the user's own default folder for NAME
#   free_ports FIRST N GAP    prints N ports from FIRST on on which nobody listens, nor on port + GAP
#   start_node PORT ARG...    a server on 127.0.0.1:PORT with its files in $dir/PORT
#   ask PORT WORD...          what the server there answers; fails if it does not, or with an error
#   node_pid PORT             the process that start_node started, if it is alive
#   stop_node PORT [SIGNAL]   ends it and waits until it is gone
#   start_data_node PORT ARG...   the same for one that keeps data, in memory alone
#   answers PORT; role_is PORT master|slave; follows PORT      for until_so
#   end_all PORT...           ends them and removes $dir
#   until_so SECONDS WHAT COMMAND...   waits until the command succeeds; dies with WHAT if it does not
#
# Servers listen on 127.0.0.1 alone, store nothing but their own state, and are ended by process id.
# shellcheck shell=bash

me=${0##*/}

die() {
    echo "$me: $*" >&2
    exit 1
}

misuse() {
    echo "$me: $*; see scripts/$me --help" >&2
    exit 2
}

# number OPTION VALUE LEAST MOST
number() {
    if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
        misuse "$1 is '$2'; allowed is $3 to $4"
    fi
}

use_kind() {
    case $1 in
    redis | redis8 | valkey | valkey81) ;;
    *) misuse "--server is '$1'; allowed are redis, redis8, valkey and valkey81" ;;
    esac
    server_bin=$1-server cli=$1-cli
    PATH=$PWD/deps/bin:$PATH
    if ! command -v "$server_bin" >/dev/null || ! command -v "$cli" >/dev/null; then
        die "$server_bin is not here: scripts/setup installs redis and valkey, scripts/setup --newer the others"
    fi
}

use_folder() {
    dir=${2:-${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}/nearkv-$1-$(id -u)}
}

# make_folder: $dir, ours alone; dies if there is one.
make_folder() {
    mkdir -p "$(dirname "$dir")"
    mkdir -m 700 "$dir" 2>/dev/null ||
        die "$dir is there already: scripts/$me down ends what is in it"
    dir=$(cd "$dir" && pwd)
}

# listens PORT: whether somebody does.
listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

free_ports() {
    local port=$1 n=$2 gap=$3
    while [ "$n" -gt 0 ]; do
        [ $((port + gap)) -le 65535 ] || return 1
        if ! listens "$port" && { [ "$gap" = 0 ] || ! listens $((port + gap)); }; then
            echo "$port"
            n=$((n - 1))
        fi
        port=$((port + 1))
    done
}

start_node() {
    local port=$1
    shift
    mkdir -p "$dir/$port"
    setsid "$server_bin" "$@" --port "$port" --bind 127.0.0.1 --dir "$dir/$port" \
        --logfile "$dir/$port/log" --daemonize no </dev/null >/dev/null 2>&1 &
    echo $! >"$dir/$port/pid"
    disown
}

# An error is an answer of one line that begins with its code in capitals; the status is 0.
ask() {
    local port=$1 answer
    shift
    answer=$(timeout 10 "$cli" -h 127.0.0.1 -p "$port" "$@" 2>/dev/null) || return 1
    printf '%s\n' "$answer"
    ! [[ $answer =~ ^[A-Z]{3,}\ .*[a-z] ]]
}

# A number may belong to another process by now: ours names its port or its folder.
node_pid() {
    local pid line
    pid=$(cat "$dir/$1/pid" 2>/dev/null) || return 1
    line=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
    [[ $line == *"127.0.0.1:$1 "* || $line == *"$dir/$1 "* ]] || return 1
    echo "$pid"
}

stop_node() {
    local pid i
    pid=$(node_pid "$1") || return 0
    kill "-${2:-TERM}" "$pid"
    for ((i = 0; i < 100; i++)); do
        node_pid "$1" >/dev/null || return 0
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || :
    sleep 0.2
}

until_so() {
    local seconds=$1 what=$2 end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "$what, even after $seconds seconds"
        sleep 0.1
    done
}

answers() {
    [ "$(ask "$1" PING)" = PONG ]
}

# role_is PORT master|slave
role_is() {
    [ "$(ask "$1" ROLE | sed -n 1p)" = "$2" ]
}

# follows PORT: whether the replica there has its primary's data.
follows() {
    ask "$1" INFO replication | tr -d '\r' | grep -x 'master_link_status:up' >/dev/null
}

# A server that keeps its data in memory and hands it to replicas at once.
start_data_node() {
    local port=$1
    shift
    start_node "$port" "$@" --save '' --appendonly no \
        --repl-diskless-sync yes --repl-diskless-sync-delay 0
}

# end_all PORT...: at once, since they have nothing to store; and the folder.
end_all() {
    local node
    for node; do
        stop_node "$node" KILL
    done
    rm -rf "$dir"
}
