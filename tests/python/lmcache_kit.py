"""lmcache_kit - what the tests of examples/lmcache share: a private server, a plain RESP client.

The client knows nothing of the library: what it writes with `struct` and reads back is what any
other program would write and read.
"""
from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "lmcache"))

import nearkv_lmcache as nearkv  # noqa: E402 # the path above says where

PATIENCE = 30.0  # seconds until a test that waits gives up

# K's two names, or its one, for each layout: metadata, payload.
NAMES: Dict[str, Callable[[bytes], Tuple[Optional[bytes], bytes]]] = {
    "plain_suffix": lambda key: (key + b"metadata", key + b"kv_bytes"),
    "colon_suffix": lambda key: (key + b":metadata", key + b":kv_bytes"),
    "hash_tag": lambda key: (b"{" + key + b"}:metadata", b"{" + key + b"}:kv_bytes"),
    "single_key": lambda key: (None, key),
}


class Wire:
    """Redis's protocol over a unix socket, in thirty lines."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def __call__(self, *words: Any) -> Any:
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        text = [b"*%d\r\n" % len(parts)]
        text += [b"$%d\r\n%s\r\n" % (len(part), part) for part in parts]
        self._socket.sendall(b"".join(text))
        return self._reply()

    def _reply(self) -> Any:
        line = self._lines.readline()
        if not line:
            raise ConnectionError("the server has gone")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return None if rest == b"-1" else self._lines.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return int(rest) if kind == b":" else rest

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Server:
    """A redis-server of our own on a unix socket."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.path = os.path.join(self.folder, "s")
        self.url = "unix://" + self.path
        self._process: Optional[subprocess.Popen] = None
        self.start()

    def start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        self._process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.folder,
             "--save", "", "--logfile", os.path.join(self.folder, "log")], env=environment)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                wire = Wire(self.path)
                wire("PING")
                wire.close()
                return
            except (OSError, RuntimeError):
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.01)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def drain(client: nearkv.Client, count: int) -> Dict[int, Tuple[bool, str, Optional[List[bool]]]]:
    """Waits for `count` completions: {id: (ok, error, found)}."""
    got: Dict[int, Tuple[bool, str, Optional[List[bool]]]] = {}
    until = time.monotonic() + PATIENCE
    while len(got) < count:
        left = until - time.monotonic()
        if left <= 0:
            raise AssertionError(f"{len(got)} of {count} completions within {PATIENCE} s")
        if select.select([client.event_fd()], [], [], left)[0]:
            for batch_id, ok, error, found in client.drain_completions():
                assert batch_id not in got, f"two completions for {batch_id}"
                got[batch_id] = (ok, error, found)
    return got


def meta_bytes(length: int, fmt: int, *groups: Tuple[int, int, int, int, int]) -> bytes:
    """Metadata as LMCache writes it: length, format, then dtype and four sizes for each group."""
    return struct.pack("<ii", length, fmt) + b"".join(struct.pack("<5i", *g) for g in groups)


class ServerCase(unittest.TestCase):
    """A test with a server that all tests of its class share, emptied before each."""

    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self) -> None:
        self.wire = Wire(self.server.path)
        self.addCleanup(self.wire.close)
        self.wire("FLUSHALL")

    def client(self, layout: str = "single_key", **options: Any) -> nearkv.Client:
        client = nearkv.Client(self.server.url, layout, **options)
        self.addCleanup(client.close)
        return client

    def done(self, client: nearkv.Client, batch_id: int) -> Tuple[bool, str, Optional[List[bool]]]:
        got = drain(client, 1)
        self.assertEqual(list(got), [batch_id])
        return got[batch_id]

    def put(self, client: nearkv.Client, keys: List[Any], values: List[Any]) -> None:
        self.assertEqual(self.done(client, client.submit_batch_set(keys, values)),
                         (True, "", None))

    def get(self, client: nearkv.Client, keys: List[Any], sizes: List[int]
            ) -> Tuple[List[bool], List[bytes]]:
        buffers = [bytearray(size) for size in sizes]
        ok, error, found = self.done(client, client.submit_batch_get(keys, buffers))
        self.assertEqual((ok, error), (True, ""))
        assert found is not None
        return found, [bytes(buffer) for buffer in buffers]


def main() -> None:
    """Runs the tests of the calling file, and says in one line how it went."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    failed += len(result.skipped)  # nothing here may be left out
    passed = max(result.testsRun - failed, 0)
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed")
    sys.exit(0 if failed == 0 and passed > 0 else 1)
