#!/usr/bin/env bash
# tests/sh/local_clusters.sh - scripts/cluster and scripts/sentinel: what they start, change and leave
# behind, with every kind of server that is here.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
. tests/sh/cli.bash
unset XDG_RUNTIME_DIR

cluster_dir=$tmp/cluster sentinel_dir=$tmp/sentinel

# Whatever happens, nothing is left running.
finish_all() {
    scripts/cluster down --dir "$cluster_dir" >/dev/null 2>&1
    scripts/sentinel down --dir "$sentinel_dir" >/dev/null 2>&1
    finish
}
trap finish_all EXIT

# run SCRIPT ARGUMENT...: $out, $err and $status.
run() {
    local script=$1
    shift
    out=$(timeout 120 "scripts/$script" "$@" --dir "$tmp/$script" 2>"$tmp/err")
    status=$?
    err=$(cat "$tmp/err")
}

# fine TEXT SCRIPT ARGUMENT...
fine() {
    local text=$1
    shift
    run "$@"
    is "$text" "$status $err" "0 "
}

# wrong PART SCRIPT ARGUMENT...: a usage error of one line that says PART.
wrong() {
    local part=$1
    shift
    run "$@"
    is "$*: exit status" "$status" 2
    has "$*: the line" "$err" "$part"
    is "$*: one line" "$(wc -l <"$tmp/err")" 1
}

# port_of ROLE [N]: of the N-th node with it in the table of status.
port_of() {
    awk -v role="$1" -v n="${2:-1}" '$3 == role && ++seen == n { print $1 }' <<<"$table"
}

# look SCRIPT: $table.
look() {
    run "$1" status
    table=$out
}

# processes SCRIPT: of which a file is below its folder, or which were started for it.
processes() {
    pgrep -f -- "$tmp/$1/" || :
}

cluster_of() {
    local kind=$1 cli=$1-cli first second replica i lost=0
    fine "$kind: a cluster" cluster up --server "$kind" --port 7300
    matches "$kind: its URL" "$out" 'redis-cluster://127\.0\.0\.1:[0-9]+(,127\.0\.0\.1:[0-9]+){2}'
    look cluster
    is "$kind: three primaries" "$(grep -c ' primary ' <<<"$table")" 3
    is "$kind: three replicas" "$(grep -c ' replica ' <<<"$table")" 3
    first=$(port_of primary) second=$(port_of primary 2) replica=$(port_of replica)
    for ((i = 0; i < 100; i++)); do
        "$cli" -c -p "$first" SET "k$i" "v$i" >/dev/null
    done
    fine "$kind: slots move" cluster reshard 3000 "$first" "$second"
    is "$kind: and tell" "$out" "3000 slots of $first are $second's now"
    for ((i = 0; i < 100; i++)); do
        [ "$("$cli" -c -p "$second" GET "k$i")" = "v$i" ] || lost=$((lost + 1))
    done
    is "$kind: no key is lost" "$lost" 0
    fine "$kind: a replica takes over" cluster failover "$first"
    is "$kind: and tells" "$out" "$replica has taken over from $first"
    look cluster
    is "$kind: it is a primary" "$(awk -v p="$replica" '$1 == p { print $3 }' <<<"$table")" primary
    is "$kind: the other follows it" "$(awk -v p="$first" '$1 == p { print $4 }' <<<"$table")" "$replica"
    fine "$kind: a node is killed" cluster kill "$first"
    look cluster
    is "$kind: its process is gone" "$(awk -v p="$first" '$1 == p { print $2 }' <<<"$table")" none
    fine "$kind: and started" cluster start "$first"
    fine "$kind: the end" cluster down
    is "$kind: no process is left" "$(processes cluster)" ""
    is "$kind: no folder is left" "$(ls -d "$cluster_dir" 2>/dev/null)" ""
}

sentinels_of() {
    local kind=$1 first
    fine "$kind: sentinels" sentinel up --server "$kind" --port 7400 --service svc
    matches "$kind: their URL" "$out" 'redis-sentinel://127\.0\.0\.1:[0-9]+(,127\.0\.0\.1:[0-9]+){2}/svc'
    look sentinel
    is "$kind: two replicas" "$(grep -c ' replica$' <<<"$table")" 2
    is "$kind: three sentinels" "$(grep -c ' sentinel$' <<<"$table")" 3
    first=$(port_of primary)
    has "$kind: they name the primary" "$table" "127.0.0.1:$first as primary of svc"
    fine "$kind: another takes over" sentinel failover
    matches "$kind: and it is told" "$out" "[0-9]+ has taken over from $first"
    look sentinel
    is "$kind: the first is a replica" "$(awk -v p="$first" '$1 == p { print $3 }' <<<"$table")" replica
    fine "$kind: a server is killed" sentinel kill "$first"
    fine "$kind: and started" sentinel start "$first"
    fine "$kind: the end of them" sentinel down
    is "$kind: nothing runs any more" "$(processes sentinel)" ""
    is "$kind: nothing is left" "$(ls -d "$sentinel_dir" 2>/dev/null)" ""
}

for kind in ${NEARKV_SERVERS:-redis valkey}; do
    kind=${kind//,/}
    cluster_of "$kind"
    sentinels_of "$kind"
done

# ---- what is refused ------------------------------------------------------------------------------

wrong "'frob' is unknown" cluster frob
wrong "allowed are redis, redis8, valkey and valkey81" cluster up --server nosuch
wrong "--primaries is '0'; allowed is 1 to 50" cluster up --primaries 0
wrong "option '--nosuch' is unknown" cluster up --nosuch 1
wrong "'frob' is unknown" sentinel frob
wrong "--service is 'a b'" sentinel up --service 'a b'
wrong "'x' is too much" sentinel up x
run cluster status
is "no cluster: exit status" "$status" 1
has "no cluster: it says where" "$err" "$cluster_dir"
run sentinel down
is "no sentinels: exit status" "$status" 1
has "no sentinels: it says where" "$err" "$sentinel_dir"
fine "one primary alone" cluster up --primaries 1 --replicas 0 --port 7500
run cluster up
is "a second in the same folder: exit status" "$status" 1
has "a second in the same folder: it says how to end the first" "$err" "scripts/cluster down"
run cluster failover
has "no replica: it says so" "$err" "has no replica"
run cluster reshard 5
has "one primary: it says so" "$err" "only one primary"
wrong "allowed is 1 to 16384" cluster reshard 0
wrong "is no node of this cluster" cluster kill 1
fine "and its end" cluster down
