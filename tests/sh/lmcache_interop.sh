#!/usr/bin/env bash
# lmcache_interop.sh - nearkv and an independent client read each other's chunks: LMCache's
# behaviour 21, in all layouts, with one, two and three KV groups and both paddings.
#
# The other client is tests/python/lmcache_interop.py: struct and sockets, nothing else.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

peer=${NEARKV_BUILD:-build/release}/helpers/lmcache_peer
PATH=$PWD/deps/bin:$PATH

failed=0
if ! command -v python3 >/dev/null; then
    echo "not ok - chunks of another client: python3 is missing; scripts/setup installs it"
    exit 1
fi
for server in redis-server valkey-server; do
    if ! program=$(command -v "$server"); then
        echo "not ok - $server is missing; scripts/setup installs it"
        failed=1
        continue
    fi
    timeout 120 python3 tests/python/lmcache_interop.py "$program" "$peer" |
        sed "s/^\(\(not \)\?ok - \)/\1$server: /"
    [ "${PIPESTATUS[0]}" = 0 ] || failed=1
done
exit "$failed"
