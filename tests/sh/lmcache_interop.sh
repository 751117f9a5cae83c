#!/usr/bin/env bash
# lmcache_interop.sh - nearkv and an independent client read each other's chunks: LMCache's
# behaviour 21, in all layouts, with one, two and three KV groups and both paddings.
#
# The other client is tests/python/lmcache_interop.py: struct and sockets, nothing else.

set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

peer=${NEARKV_BUILD:-build/release}/helpers/lmcache_peer
PATH=$PWD/deps/bin:$PATH

if ! command -v python3 >/dev/null; then
    echo "ok - chunks of another client # SKIP python3 is not installed: scripts/setup"
    exit 0
fi
failed=0
found=0
for server in redis-server valkey-server; do
    program=$(command -v "$server") || continue
    found=1
    timeout 120 python3 tests/python/lmcache_interop.py "$program" "$peer" |
        sed "s/^\(\(not \)\?ok - \)/\1$server: /"
    [ "${PIPESTATUS[0]}" = 0 ] || failed=1
done
if [ "$found" = 0 ]; then
    echo "ok - chunks of another client # SKIP neither redis-server nor valkey-server is installed"
fi
exit "$failed"
