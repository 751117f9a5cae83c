#!/usr/bin/env python3
"""lmcache_interop.py - chunks laid down by struct and a socket are read by nearkv, and the reverse.

    lmcache_interop.py SERVER PEER

SERVER is a redis or valkey server, PEER the program of tests/helpers/lmcache_peer.c.  Nothing but
the standard library is used: commands are written and replies read here, metadata is packed and
unpacked here, as a description of LMCache's formats says, not as the library under test does it.
Prints ok and not ok lines.  Exit status 1 if one is not ok.
"""

import hashlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

NAMES = ("plain suffix", "colon suffix", "hash tag", "single key")
ZEROS, ONES = 0, 1
ITEMSIZE = {2: 2, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 1}
BINARY, BUFFER = 4, 5


class Redis:
    """One connection, RESP2."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        head = b"*%d\r\n" % len(words)
        self.socket.sendall(head + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.file.read(length + 2)[:-2]
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return rest


class Peer:
    """nearkv, by its helper program."""

    def __init__(self, program, path, layout, padding=ZEROS, groups=0, ttl=0):
        words = [program, "unix://" + path, layout, padding, groups, ttl]
        self.process = subprocess.Popen([str(w) for w in words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def __call__(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=30)


def start_server(program, folder):
    path = os.path.join(folder, "sock")
    server = subprocess.Popen([program, "--port", "0", "--unixsocket", path, "--dir", folder,
                               "--save", "", "--logfile", os.path.join(folder, "log")])
    for _ in range(500):
        try:
            return server, path, Redis(path)
        except OSError:
            time.sleep(0.02)
    server.kill()
    raise SystemExit("not ok - the server does not start")


# ---- The formats, by their description ----------------------------------------------------------


def name_of(layout, key, part):
    """The name in Redis of a part, "metadata" or "kv_bytes", of the chunk `key`."""
    part = part.encode()
    return (key + part, key + b":" + part, b"{" + key + b"}:" + part, key)[layout]


def shape_of(dims, fmt, padding):
    missing = 4 - len(dims)
    if padding == ONES and fmt not in (BINARY, BUFFER):
        return [1] * missing + dims
    return dims + [0] * missing


def pack(length, fmt, groups, padding):
    ints = [length, fmt]
    for dtype, dims in groups:
        ints += [dtype] + shape_of(dims, fmt, padding)
    return struct.pack("<%di" % len(ints), *ints)


def chunk_text(length, fmt, groups):
    """The chunk as the helper program writes it."""
    return "%d %d %s" % (length, fmt, ",".join(
        "%d:%s" % (dtype, "x".join(map(str, dims))) for dtype, dims in groups))


def as_read(fmt, groups, padding):
    """Groups as they are read back: ones in front stay, a dtype 1 becomes 2."""
    if fmt in (BINARY, BUFFER):
        return [(dtype, shape_of(dims, fmt, padding)) for dtype, dims in groups]
    if padding == ONES:
        groups = [(dtype, shape_of(dims, fmt, ONES)) for dtype, dims in groups]
    return [(2 if dtype == 1 else dtype, dims) for dtype, dims in groups]


def size_of(groups):
    total = 0
    for dtype, dims in groups:
        size = ITEMSIZE[2 if dtype == 1 else dtype]
        for dim in dims:
            size *= dim
        total += size
    return total


def payload_of(length, seed):
    """Bytes that a seed tells."""
    return hashlib.shake_128(seed.encode()).digest(length)


CHUNKS = [
    # what, format, groups; the length is that of the groups
    ("four dimensions", 1, [(3, [2, 3, 16, 8])]),
    ("fp16, written as 2", 1, [(2, [2, 2, 4, 8])]),
    ("fp32", 1, [(4, [1, 1, 1, 1])]),
    ("fp64", 1, [(5, [2, 1, 3, 5])]),
    ("uint8", 1, [(6, [2, 3, 5, 7])]),
    ("fp8_e4m3fn", 1, [(7, [2, 3, 5, 7])]),
    ("fp8_e5m2", 1, [(8, [2, 3, 5, 7])]),
    ("MLA", 6, [(3, [1, 3, 16, 72])]),
    ("layerwise 2TD, three dimensions", 3, [(3, [2, 16, 32])]),
    ("layerwise T2D, three dimensions", 2, [(3, [16, 2, 32])]),
    ("two dimensions", 7, [(4, [10, 20])]),
    ("one dimension", 8, [(2, [100])]),
    ("two groups, 48 bytes", 1, [(3, [2, 2, 16, 8]), (3, [1, 2, 16, 4])]),
    ("two groups of three dimensions", 3, [(3, [2, 16, 8]), (6, [1, 16, 4])]),
    ("three groups, 68 bytes", 1, [(3, [2, 2, 4, 8]), (6, [1, 1, 1, 9]), (5, [1, 2, 3, 4])]),
    ("a large chunk", 1, [(3, [2, 4, 64, 64])]),
]

KEYS = [
    b"meta-llama/Llama-3.1-8B-Instruct@1@0@2783dafec0011aa@bfloat16",
    b"vllm@meta-llama/Llama-3.1-8B-Instruct@1@0@2783dafec0011aa@bfloat16",
    b"vllm@m@1@0@177960011069133226",
    b"vllm@m@1@0@" + hashlib.sha256(b"chunk").hexdigest().encode(),
    b"m@8@3@-2783dafec0011aa@half@7@tenant%a@env%p%q",
    b"m@08030803@0@" + hashlib.sha256(b"chunk").hexdigest().encode() + b"@tenantA",
    "modèle/漢字 😀@1@0@ff@half".encode(),
    b"a\r\n\0 b",
    b"a{b}c@1@0@ff@half",
]


class Test:
    def __init__(self, program, redis, path):
        self.program, self.redis, self.path = program, redis, path
        self.failed = 0

    def check(self, good, what, detail=""):
        print(("ok - " if good else "not ok - ") + what, flush=True)
        if not good:
            self.failed += 1
            print("    %s" % (detail,), flush=True)

    def peer(self, layout, **options):
        return Peer(self.program, self.path, layout, **options)

    # ---- Theirs, read by us ----

    def lay(self, layout, key, metadata, payload):
        self.redis("SET", name_of(layout, key, "kv_bytes"), payload)
        if layout != 3:
            self.redis("SET", name_of(layout, key, "metadata"), metadata)

    def read_chunks(self, layout, padding):
        peer, wrong = self.peer(layout), []
        for number, (what, fmt, groups) in enumerate(CHUNKS):
            length = size_of(groups)
            payload = payload_of(length, "%d.%d.%d" % (layout, padding, number))
            key = KEYS[number % len(KEYS)] + b"#%d" % number
            self.lay(layout, key, pack(length, fmt, groups, padding), payload)
            chunk = "- - -" if layout == 3 else chunk_text(
                length, fmt, as_read(fmt, groups, padding))
            for order, want in (("contains", "OK " + chunk),
                                ("get", "OK %s %s" % (chunk, payload.hex()))):
                got = peer(order, key.hex())
                if got != want:
                    wrong.append((what, order, got[:200], want[:200]))
        peer.close()
        self.check(not wrong, "%s, padding %d: laid down by struct, read by nearkv"
                   % (NAMES[layout], padding), wrong)

    def read_special(self, layout):
        """Plain bytes, compressed ones, unknown formats, dtype 1, tails."""
        payload = payload_of(1000, "special")
        cases = [
            ("buffer", struct.pack("<7i", 1000, 5, 0, 1000, 0, 0, 0), "1000 5 0:1000x0x0x0", 0),
            ("binary", struct.pack("<7i", 1000, 4, 0, 1000, 0, 0, 0), "1000 4 0:1000x0x0x0", 0),
            ("unknown format", struct.pack("<7i", 1000, 99, 6, 3, 0, 7, 0), "1000 99 6:3x0x7x0",
             0),
            ("dtype 1", struct.pack("<7i", 1000, 1, 1, 5, 5, 5, 4), "1000 1 2:5x5x5x4", 0),
            ("a tail behind one group", struct.pack("<7i", 1000, 1, 2, 5, 5, 5, 4) + b"tail",
             "1000 1 2:5x5x5x4", 1),
            ("two groups where one is wanted", struct.pack("<12i", 1000, 1, 2, 5, 5, 5, 4, 9, 9,
                                                           9, 9, 9), "1000 1 2:5x5x5x4", 1),
        ]
        wrong = []
        for what, metadata, chunk, groups in cases:
            peer = self.peer(layout, groups=groups)
            self.lay(layout, what.encode(), metadata, payload)
            got = peer("get", what.encode().hex())
            if got != "OK %s %s" % (chunk, payload.hex()):
                wrong.append((what, got[:200]))
            peer.close()
        self.check(not wrong, "%s: formats and tails" % NAMES[layout], wrong)

    def read_broken(self, layout):
        """What a reader must not take for a chunk."""
        good = struct.pack("<7i", 1000, 1, 2, 5, 5, 5, 4)
        cases = [("27 bytes", good[:27]), ("nothing", b""),
                 ("unknown dtype", struct.pack("<7i", 1000, 1, 9, 5, 5, 5, 8)),
                 ("negative length", struct.pack("<7i", -1000, 1, 2, 5, 5, 5, 4)),
                 ("another product", struct.pack("<7i", 1000, 1, 2, 5, 5, 5, 5)),
                 ("another length", struct.pack("<7i", 998, 4, 0, 998, 0, 0, 0)),
                 ("big-endian", struct.pack(">7i", 1000, 1, 2, 5, 5, 5, 4))]
        peer, wrong = self.peer(layout), []
        for what, metadata in cases:
            self.lay(layout, what.encode(), metadata, payload_of(1000, what))
            got = peer("get", what.encode().hex())
            if got != "NOT_FOUND":
                wrong.append((what, got[:200]))
        peer.close()
        self.check(not wrong, "%s: broken metadata is a miss" % NAMES[layout], wrong)

    # ---- Ours, read by them ----

    def read_back(self, layout, key, fmt, groups, padding, payload):
        """What lies there, field by field, against what was put."""
        if self.redis("GET", name_of(layout, key, "kv_bytes")) != payload:
            return "payload"
        if layout == 3:
            return None
        metadata = self.redis("GET", name_of(layout, key, "metadata"))
        if metadata is None or len(metadata) != 8 + 20 * len(groups):
            return "metadata of %r bytes" % (metadata,)
        length, got_fmt = struct.unpack_from("<2i", metadata)
        if (length, got_fmt) != (len(payload), fmt):
            return "length %d, format %d" % (length, got_fmt)
        for number, (dtype, dims) in enumerate(groups):
            fields = struct.unpack_from("<5i", metadata, 8 + 20 * number)
            want = [dtype] + shape_of(dims, fmt, padding)
            if list(fields) != want:
                return "group %d: %r instead of %r" % (number, fields, want)
        return None

    def write_chunks(self, layout, padding):
        peer, wrong = self.peer(layout, padding=padding), []
        self.redis("FLUSHALL")
        for number, (what, fmt, groups) in enumerate(CHUNKS):
            length = size_of(groups)
            payload = payload_of(length, "put%d" % number)
            key = KEYS[number % len(KEYS)] + b"#%d" % number
            got = peer("put", key.hex(), chunk_text(length, fmt, groups), payload.hex())
            fault = self.read_back(layout, key, fmt, groups, padding, payload)
            if got != "OK" or fault is not None:
                wrong.append((what, got, fault))
        keys = self.redis("DBSIZE")
        peer.close()
        self.check(not wrong, "%s, padding %d: put by nearkv, read back by struct"
                   % (NAMES[layout], padding), wrong)
        self.check(keys == len(CHUNKS) * (1 if layout == 3 else 2),
                   "%s: no more keys than that" % NAMES[layout], keys)

    def write_plain(self, layout):
        """Without metadata: a buffer; with an expiry: on both keys."""
        peer = self.peer(layout, ttl=100)
        payload = payload_of(777, "plain")
        got = peer("put", b"plain".hex(), "-", payload.hex())
        fault = self.read_back(layout, b"plain", BUFFER, [(0, [777])], ZEROS, payload)
        parts = ["kv_bytes"] + ([] if layout == 3 else ["metadata"])
        ttls = [self.redis("TTL", name_of(layout, b"plain", part)) for part in parts]
        peer.close()
        self.check(got == "OK" and fault is None, "%s: plain bytes" % NAMES[layout], (got, fault))
        self.check(all(90 <= ttl <= 100 for ttl in ttls), "%s: expiry" % NAMES[layout], ttls)

    # ---- Lookups and removals of each other's chunks ----

    def look(self, layout):
        peer = self.peer(layout)
        self.redis("FLUSHALL")
        metadata = pack(8, BUFFER, [(0, [8])], ZEROS)
        keys = [b"chunk%d" % i for i in range(20)]
        for key in keys:
            self.lay(layout, key, metadata, key.ljust(8)[:8])
        hexes = [key.hex() for key in keys]
        first = peer("prefix", *hexes)
        self.redis("DEL", name_of(layout, keys[13], "metadata"))
        second = peer("prefix", *hexes)
        self.check((first, second) == ("OK 20", "OK 13"), "%s: prefixes" % NAMES[layout],
                   (first, second))
        listed = sorted(set(peer("list", b"chunk1".hex()).split()[1:]))
        want = sorted(key.hex() for key in keys if key.startswith(b"chunk1") and key != keys[13])
        self.check(listed == want, "%s: list" % NAMES[layout], listed)
        removed = [peer("remove", keys[0].hex()), peer("remove", keys[0].hex())]
        left = [self.redis("EXISTS", name_of(layout, keys[0], part))
                for part in ("metadata", "kv_bytes")]
        self.check(removed == ["OK", "NOT_FOUND"] and left == [0, 0],
                   "%s: remove" % NAMES[layout], (removed, left))
        self.redis("DEL", name_of(layout, keys[1], "kv_bytes"))
        got = peer("get", keys[1].hex())
        left = self.redis("EXISTS", name_of(layout, keys[1], "metadata"))
        self.check(got == "NOT_FOUND" and left == 0, "%s: a payload that is gone" % NAMES[layout],
                   (got, left))
        peer.close()


def main():
    folder = tempfile.mkdtemp()
    server = None
    try:
        server, path, redis = start_server(sys.argv[1], folder)
        test = Test(sys.argv[2], redis, path)
        for layout in range(4):
            for padding in (ZEROS, ONES):
                test.read_chunks(layout, padding)
                test.write_chunks(layout, padding)
            if layout != 3:
                test.read_special(layout)
                test.read_broken(layout)
            test.write_plain(layout)
            test.look(layout)
        return 1 if test.failed else 0
    finally:
        if server is not None:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
