#!/usr/bin/env bash
# check_layers.sh - includes point only downwards, and what has no I/O and no clock stays so.
#
#   base 0 <- core 1 <- tracking 2 <- io 3 <- conn 4 <- client 5 <- lmcache, kv, semantic 6 <- cli 7
#
# A room includes itself and rooms of a lower number, never one of its own height (docs/DESIGN.md
# tells why). A public header ROOM.h or ROOM_....h belongs to that room, any other to the lowest one
# that has a .c of its name.
# Prints each finding with its reason; exit status 1 if there is one.

set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

declare -A level=([base]=0 [core]=1 [tracking]=2 [io]=3 [conn]=4 [client]=5
    [lmcache]=6 [kv]=6 [semantic]=6 [cli]=7)
findings=0

finding() {
    printf '%s: %s\n' "$1" "$2"
    findings=$((findings + 1))
}

stripped=$(mktemp -d) || exit 2
trap 'rm -rf "$stripped"' EXIT
mapfile -t files < <(find src include -name '*.[ch]' 2>/dev/null | sort)
if [ ${#files[@]} -eq 0 ]; then
    echo "check_layers: no sources yet"
    exit 0
fi
while read -r folder; do mkdir -p "$stripped/$folder"; done < <(dirname "${files[@]}" | sort -u)
awk -v out="$stripped" -f scripts/strip_c.awk "${files[@]}" || exit 2

# ---- Who includes whom ----------------------------------------------------------------------------

# The height of public header NAME.h: that of the room which the name begins with, else of the lowest
# room with a NAME.c, 0 if there is neither.
declare -A public_level
for header in include/nearkv/*.h; do
    name=$(basename "$header" .h)
    public_level[$name]=0
    lowest=
    for source in src/*/"$name".c; do
        [ -f "$source" ] || continue
        room=${source#src/}
        height=${level[${room%%/*}]:-9}
        if [ -z "$lowest" ] || [ "$height" -lt "$lowest" ]; then lowest=$height; fi
    done
    [ -d "src/${name%%_*}" ] && lowest=${level[${name%%_*}]:-9}
    public_level[$name]=${lowest:-0}
done

check_include() {
    local where=$1 room=$2 target=$3 own=${level[$2]}
    case $target in
    '<hiredis/'* | '<ev.h>' | '<ev++.h>')
        [ "$room" = io ] || finding "$where" "only src/io may include $target: hiredis and libev \
stay behind one seam, so that they can be replaced and everything else can be tested without them"
        ;;
    '<jansson.h>' | '<histedit.h>' | '<editline/'*)
        [ "$room" = cli ] || finding "$where" "only src/cli may include $target: the library must \
not make its users link it"
        ;;
    '<nearkv/'*)
        local name=${target#<nearkv/}
        name=${name%.h>}
        if [ "${public_level[$name]:-0}" -gt "$own" ]; then
            finding "$where" "$target belongs to a room above $room (level ${public_level[$name]} \
over $own): includes point only downwards"
        fi
        ;;
    '"'*)
        local path=${target//\"/}
        local other=${path%%/*}
        [ "$other" = "$path" ] && return
        if [ -z "${level[$other]:-}" ]; then
            finding "$where" "\"$path\": write \"room/file.h\" with a room of check_layers.sh"
        elif [ "$room" = cli ] && [ "$other" != cli ]; then
            finding "$where" "\"$path\": the command uses public headers only, as any user of the \
library must be able to"
        elif [ "$other" != "$room" ] && [ "${level[$other]}" -ge "$own" ]; then
            finding "$where" "\"$path\": $room (level $own) includes $other (level \
${level[$other]}); includes point only downwards, never sideways"
        fi
        ;;
    esac
}

while IFS=: read -r file line text; do
    room=${file#src/}
    room=${room%%/*}
    [[ $text =~ [\<\"][^\>\"]*[\>\"] ]] || continue
    target=${BASH_REMATCH[0]}
    if [ -z "${level[$room]:-}" ]; then
        finding "$file" "src/$room is not in the table of check_layers.sh: give it a level"
        level[$room]=9
    fi
    check_include "$file:$line" "$room" "$target"
done < <(cd "$stripped" && grep -rnE '^[ \t]*#[ \t]*include' src 2>/dev/null)

while IFS=: read -r file line text; do
    finding "$file:$line" "$text: a public header includes only standard headers and <nearkv/...>"
done < <(cd "$stripped" && grep -rnE '^[ \t]*#[ \t]*include' include |
    grep -vE '<(nearkv/[a-z_0-9]+|std[a-z]+|string|limits|inttypes|sys/types|sys/uio|stdarg)\.h>')

# ---- Core and tracking: bytes and events in, actions out --------------------------------------------

io_headers='<(sys/(socket|epoll|eventfd|time|select|un|timerfd|file)|poll|netdb|netinet/.*|arpa/.*|fcntl|time|signal)\.h>'
io_calls='clock_gettime|gettimeofday|time|nanosleep|clock_nanosleep|usleep|sleep|poll|select|epoll_[a-z]+|eventfd|timerfd_[a-z]+|socket|connect|accept|send|sendto|sendmsg|recv|recvfrom|recvmsg|read|write|readv|writev|open|openat|close|pipe|fopen|fread|fwrite|fputs|fputc|printf|fprintf|puts|perror|getenv|getaddrinfo|getrandom|rand|random|srand|nkvi_(time|clock)_now[a-z_]*'

for room in src/core src/tracking; do
    [ -d "$room" ] || continue
    while IFS=: read -r file line text; do
        finding "$file:$line" "$text: ${room#src/} has no I/O and no clock; the time is an argument \
\`now\`, the rest an action for the caller, so that races are tests without sleeping"
    done < <(cd "$stripped" && {
        grep -rnE "#[ \t]*include[ \t]*$io_headers" "$room"
        grep -rnE "(^|[^A-Za-z0-9_.>])($io_calls)[ \t]*\(" "$room"
    } | sort -u)
done

[ "$findings" -eq 0 ] && echo "check_layers: ${#files[@]} files, every include points downwards"
[ "$findings" -eq 0 ]
