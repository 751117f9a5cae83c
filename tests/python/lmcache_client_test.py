"""lmcache_client_test - Client of examples/lmcache, as LMCache's native plug-in point uses it."""
from __future__ import annotations

import array
import ctypes
import ctypes.util
import mmap
import os
import select
import signal
import subprocess
import sys
import threading
import time
import unittest
from typing import Any, Dict, List, Set

from lmcache_kit import (NAMES, PATIENCE, ROOT, Server, ServerCase, drain, main, meta_bytes,
                         nearkv)


class StructTest(unittest.TestCase):
    """The structs of the module are those of the headers."""

    def test_sizes_and_offsets(self) -> None:
        structs = [kind for kind in vars(nearkv).values()
                   if isinstance(kind, type) and hasattr(kind, "_c_name_")]
        self.assertGreater(len(structs), 8)
        lines = ["#include <stddef.h>", "#include <nearkv/nearkv.h>"]
        for kind in structs:
            lines.append(f"_Static_assert(sizeof({kind._c_name_}) == {ctypes.sizeof(kind)}, "
                         f"\"{kind._c_name_}\");")
            for name, field in kind._fields_:
                at = getattr(kind, name)
                lines.append(f"_Static_assert(offsetof({kind._c_name_}, {name}) == {at.offset}"
                             f" && sizeof((({kind._c_name_} *)0)->{name}) == {at.size}, "
                             f"\"{kind._c_name_}.{name}\");")
        environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        compiler = subprocess.run(
            [os.environ.get("CC", "cc"), "-std=c11", f"-I{ROOT / 'include'}", "-x", "c",
             "-fsyntax-only", "-"], input="\n".join(lines), encoding="utf-8", env=environment,
            stderr=subprocess.PIPE, check=False)
        self.assertEqual(compiler.stderr, "")
        self.assertEqual(compiler.returncode, 0)

    def test_another_library_is_refused(self) -> None:
        code = "import nearkv_lmcache"
        for library, text in (("/nowhere/libnearkv.so", "NEARKV_LIBRARY can name the file"),
                              (ctypes.util.find_library("c") or "", "another version")):
            with self.subTest(library=library):
                environment = dict(os.environ, NEARKV_LIBRARY=library, PYTHONPATH=os.pathsep.join(
                    [str(ROOT / "examples" / "lmcache")]))
                python = subprocess.run([sys.executable, "-c", code], env=environment,
                                        stderr=subprocess.PIPE, encoding="utf-8", check=False)
                self.assertIn("ImportError", python.stderr)
                self.assertIn(text, python.stderr)

    def test_sizes_by_name(self) -> None:
        size = nearkv._lib.nkv_struct_size
        self.assertEqual(size(b"nkv_str"), ctypes.sizeof(ctypes.c_void_p) * 2)
        self.assertEqual(size(b"nkv_no_such"), 0)
        self.assertEqual(size(b""), 0)


class RoundTripTest(ServerCase):
    """Set, exists, get and delete, in every layout."""

    def test_every_layout(self) -> None:
        for layout, names in NAMES.items():
            with self.subTest(layout=layout):
                self.wire("FLUSHALL")
                client = self.client(layout)
                keys = ["m@1@0@ff@half", b"m@1@0@fe@half"]
                values = [b"abcdefgh", b"ijklmnop"]
                self.put(client, keys, values)
                stored = {}
                for key, value in zip((b"m@1@0@ff@half", b"m@1@0@fe@half"), values):
                    meta, payload = names(key)
                    stored[payload] = value
                    if meta is not None:
                        stored[meta] = meta_bytes(8, 5, (0, 8, 0, 0, 0))
                self.assertEqual({key: self.wire("GET", key) for key in self.wire("KEYS", "*")},
                                 stored)
                self.assertEqual(self.get(client, keys, [8, 8]), ([True, True], values))
                self.assertEqual(self.done(client, client.submit_batch_exists([*keys, "no"])),
                                 (True, "", [True, True, False]))
                self.assertEqual(self.done(client, client.submit_batch_delete(["no", keys[0]])),
                                 (True, "", [False, True]))
                self.assertEqual(self.done(client, client.submit_batch_exists(keys)),
                                 (True, "", [False, True]))
                self.assertEqual(sorted(self.wire("KEYS", "*")),
                                 sorted(name for name in names(b"m@1@0@fe@half") if name))

    def test_written_by_others(self) -> None:
        for layout, names in NAMES.items():
            with self.subTest(layout=layout):
                self.wire("FLUSHALL")
                meta, payload = names(b"m@1@0@ff@half")
                self.wire("SET", payload, bytes(range(32)))
                if meta is not None:
                    self.wire("SET", meta, meta_bytes(32, 1, (3, 2, 2, 2, 2)))
                client = self.client(layout)
                self.assertEqual(self.get(client, ["m@1@0@ff@half"], [32]),
                                 ([True], [bytes(range(32))]))

    def test_ids_count_from_one(self) -> None:
        client = self.client()
        self.assertEqual([client.submit_batch_exists(["a"]) for _ in range(5)], [1, 2, 3, 4, 5])
        self.assertEqual(sorted(drain(client, 5)), [1, 2, 3, 4, 5])
        self.assertEqual(client.drain_completions(), [])

    def test_keys_are_any_bytes(self) -> None:
        client = self.client()
        keys: List[Any] = [b"a b", b"\r\n", b"\x00\xff", "Schl\u00fcssel", b"*" * 3000]
        values = [b"%04d" % i for i in range(len(keys))]
        self.put(client, keys, values)
        self.assertEqual(self.wire("GET", b"\x00\xff"), b"0002")
        self.assertEqual(self.wire("GET", "Schl\u00fcssel"), b"0003")
        self.assertEqual(self.get(client, keys, [4] * 5), ([True] * 5, values))
        self.assertEqual(sorted(client.list()),
                         sorted(key.encode() if isinstance(key, str) else key for key in keys))
        self.assertEqual(client.list(b"\r"), [b"\r\n"])
        self.assertEqual(client.list("Schl"), ["Schl\u00fcssel".encode()])

    def test_duplicates_keep_their_places(self) -> None:
        client = self.client()
        self.put(client, ["a", "b"], [b"1111", b"2222"])
        self.assertEqual(self.get(client, ["a", "b", "a", "x", "a"], [4] * 5),
                         ([True, True, True, False, True],
                          [b"1111", b"2222", b"1111", bytes(4), b"1111"]))

    def test_large_values_and_large_batches(self) -> None:
        client = self.client(bulk_connections=3)
        large = [os.urandom(4 << 20) for _ in range(4)]
        self.put(client, [f"l{i}" for i in range(4)], large)
        self.assertEqual(self.get(client, [f"l{i}" for i in range(4)], [4 << 20] * 4),
                         ([True] * 4, large))
        small = [b"%08d" % i for i in range(1024)]
        self.put(client, [f"s{i}" for i in range(1024)], small)
        self.assertEqual(self.get(client, [f"s{i}" for i in range(1024)], [8] * 1024),
                         ([True] * 1024, small))

    def test_expiry_of_both_keys(self) -> None:
        client = self.client("plain_suffix", ttl=60)
        self.put(client, ["k"], [b"abcd"])
        for name in (b"kmetadata", b"kkv_bytes"):
            self.assertTrue(0 < self.wire("TTL", name) <= 60, name)
        self.put(self.client("plain_suffix"), ["k"], [b"abcd"])
        for name in (b"kmetadata", b"kkv_bytes"):
            self.assertEqual(self.wire("TTL", name), -1)


class BufferTest(ServerCase):
    """Whose memory may be used, and for how long it is held."""

    def test_every_kind_of_memory(self) -> None:
        client = self.client()
        value = bytes(range(64))
        mapped = mmap.mmap(-1, 4096)
        whole = bytearray(256)
        kinds: Dict[str, Any] = {
            "bytearray": bytearray(64),
            "memoryview": memoryview(bytearray(64)),
            "a part": memoryview(whole)[64:128],
            "array of doubles": array.array("d", [0.0] * 8),
            "ctypes": (ctypes.c_ubyte * 64)(),
            "two dimensions": memoryview(bytearray(64)).cast("B", (8, 8)),
            "mmap": memoryview(mapped)[:64],
        }
        for name, memory in kinds.items():
            with self.subTest(memory=name):
                memoryview(memory).cast("B")[:] = value
                self.put(client, [name], [memory])
                self.assertEqual(self.wire("GET", name), value)
                memoryview(memory).cast("B")[:] = bytes(64)
                self.assertEqual(self.done(client, client.submit_batch_get([name], [memory])),
                                 (True, "", [True]))
                self.assertEqual(bytes(memoryview(memory).cast("B")), value)
        self.assertEqual(bytes(whole), bytes(64) + value + bytes(128))
        kinds.clear()
        memory = None
        mapped.close()  # fails while anybody looks into it

    def test_a_miss_leaves_its_buffer_alone(self) -> None:
        client = self.client()
        self.put(client, ["a", "c"], [b"aaaa", b"cccc"])
        buffers = [bytearray(b"....") for _ in range(3)]
        self.assertEqual(self.done(client, client.submit_batch_get(["a", "b", "c"], buffers)),
                         (True, "", [True, False, True]))
        self.assertEqual(buffers, [b"aaaa", b"....", b"cccc"])
        self.assertEqual(self.get(client, ["a", "c"], [4, 4]), ([True] * 2, [b"aaaa", b"cccc"]))

    def test_other_sizes_are_misses(self) -> None:
        for layout in NAMES:
            with self.subTest(layout=layout):
                self.wire("FLUSHALL")
                client = self.client(layout, mixed_sizes=True)
                self.put(client, ["short", "long", "right"], [b"abc", b"abcdefghi", b"abcdefgh"])
                whole = bytearray(b"." * 40)
                parts = [memoryview(whole)[8 * i + 4: 8 * i + 12] for i in range(3)]
                ok, _, found = self.done(
                    client, client.submit_batch_get(["short", "long", "right"], parts))
                self.assertEqual((ok, found), (True, [False, False, True]))
                self.assertEqual(bytes(whole[:4]), b"....")
                self.assertEqual(bytes(whole[20:28]), b"abcdefgh")
                self.assertEqual(bytes(whole[28:]), b"." * 12)
                self.assertEqual(self.get(client, ["short"], [3]), ([True], [b"abc"]))

    def test_an_empty_value(self) -> None:
        client = self.client()
        self.put(client, ["e"], [b""])
        self.assertEqual(self.wire("GET", "e"), b"")
        self.assertEqual(self.get(client, ["e"], [4]), ([False], [bytes(4)]))
        self.assertEqual(self.get(client, ["e"], [0]), ([True], [b""]))
        self.assertEqual(self.get(client, ["n"], [0]), ([False], [b""]))

    def test_chunk_bytes(self) -> None:
        client = self.client(chunk_bytes=8)
        self.put(client, ["a"], [b"abcdefgh"])
        self.wire("SET", "b", "abc")
        self.assertEqual(self.get(client, ["a", "b"], [8, 8])[0], [True, False])
        for views in ([bytearray(4)], [bytearray(9)]):
            with self.assertRaisesRegex(ValueError, "8 bytes of a chunk"):
                client.submit_batch_get(["a"], views)
            with self.assertRaisesRegex(ValueError, "8 bytes of a chunk"):
                client.submit_batch_set(["a"], views)

    def test_wrong_arguments(self) -> None:
        client = self.client()
        for submit in (client.submit_batch_get, client.submit_batch_set):
            with self.assertRaisesRegex(ValueError, "empty"):
                submit([], [])
            with self.assertRaisesRegex(ValueError, "1 keys, but 2 buffers"):
                submit(["a"], [bytearray(4), bytearray(4)])
            with self.assertRaisesRegex(ValueError, "different sizes"):
                submit(["a", "b"], [bytearray(4), bytearray(5)])
            with self.assertRaises(TypeError):
                submit(["a"], [None])
            with self.assertRaises(TypeError):
                submit("a", [bytearray(4)])
            with self.assertRaises(TypeError):
                submit([7], [bytearray(4)])
            with self.assertRaisesRegex(ValueError, "a key is empty"):
                submit([""], [bytearray(4)])
            with self.assertRaises(BufferError):
                submit(["a"], [memoryview(bytearray(8))[::2]])
        with self.assertRaises(BufferError):
            client.submit_batch_get(["a"], [b"read-only"])
        for submit_keys in (client.submit_batch_exists, client.submit_batch_delete):
            with self.assertRaisesRegex(ValueError, "empty"):
                submit_keys([])
            with self.assertRaises(TypeError):
                submit_keys("abc")
        # None of these left a hold on a buffer, or an id that nobody completes.
        kept = bytearray(4)
        with self.assertRaises(TypeError):
            client.submit_batch_get(["a", "b"], [kept, None])
        kept.append(0)
        self.assertEqual(client.submit_batch_exists(["a"]), 1)
        self.assertEqual(list(drain(client, 1)), [1])

    def test_a_buffer_is_held_until_it_is_drained(self) -> None:
        client = self.client()
        for submit in (client.submit_batch_set, client.submit_batch_get):
            buffer = bytearray(b"abcd")
            batch_id = submit(["a"], [buffer])
            select.select([client.event_fd()], [], [], PATIENCE)
            with self.assertRaises(BufferError):
                buffer.append(0)
            self.assertEqual(self.done(client, batch_id)[0], True)
            buffer.append(0)

    def test_buffers_that_nobody_else_knows(self) -> None:
        client = self.client()
        ids = [client.submit_batch_set([f"k{i}"], [memoryview(bytes([i]) * 100000)])
               for i in range(50)]
        self.assertEqual(sorted(drain(client, 50)), ids)
        for i in range(50):
            self.assertEqual(self.wire("GET", f"k{i}"), bytes([i]) * 100000)


class OptionTest(ServerCase):
    """What a client may be told."""

    def test_wrong_options(self) -> None:
        for options, text in (
            ({"layout": "no"}, "layout: one of plain_suffix"),
            ({"ttl": 0}, "ttl"),
            ({"ttl": -1}, "ttl"),
            ({"ttl": True}, "ttl"),
            ({"chunk_bytes": -1}, "chunk_bytes"),
            ({"padding": "no"}, "padding"),
            ({"timeout": 0}, "timeout"),
            ({"bulk_connections": 0}, "bulk_connections"),
            ({"password": "a", "password_env": "b"}, "one of them"),
            ({"password_env": "NEARKV_NO_SUCH"}, "NEARKV_NO_SUCH is not set"),
            ({"options": {"no_such": 1}}, "no number or text no_such"),
            ({"options": {"struct_size": 1}}, "struct_size"),
            ({"options": {"cache": 1}}, "no number or text cache"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(ValueError, text):
                nearkv.Client(self.server.url, **options)
        for url, options in (("gopher://x", {}), (self.server.url, {"bulk_connections": 151}),
                             (self.server.url, {"options": {"timeout_ms": -1}})):
            with self.subTest(url=url, options=options), self.assertRaises(nearkv.Error) as caught:
                nearkv.Client(url, **options)
            self.assertEqual(caught.exception.status, nearkv.EINVAL)

    def test_other_options(self) -> None:
        client = self.client(options={"client_name": "plug", "cache_options.keys_max": 7})
        client.wait_ready()
        client.ping()
        self.assertIn(b"name=plug", self.wire("CLIENT", "LIST"))

    def test_passwords_in_and_out_of_sight(self) -> None:
        secret = "hunter2secret"
        self.wire("ACL", "SETUSER", "ann", "on", ">" + secret, "~*", "&*", "+@all")
        self.addCleanup(self.wire, "ACL", "DELUSER", "ann")
        os.environ["NEARKV_TEST_SECRET"] = secret
        self.addCleanup(os.environ.pop, "NEARKV_TEST_SECRET")
        file = os.path.join(self.server.folder, "password")
        with open(file, "w", encoding="utf-8") as lines:
            lines.write(secret + "\nsecond line\n")
        for source in ({"password": secret}, {"password_env": "NEARKV_TEST_SECRET"},
                       {"password_file": file}):
            with self.subTest(source=source):
                client = self.client(username="ann", **source)
                self.put(client, ["a"], [b"abcd"])
                self.assertIn(b"user=ann", self.wire("CLIENT", "LIST"))
                self.assertNotIn(secret, repr(client) + repr(vars(client)))
                client.close()
        wrong = self.client(username="ann", password="wrong" + secret, timeout=2)
        ok, error, found = self.done(wrong, wrong.submit_batch_exists(["a"]))
        self.assertEqual((ok, found), (False, [False]))
        self.assertNotIn(secret, error)
        with self.assertRaises(nearkv.Error) as caught:
            wrong.ping()
        self.assertNotIn(secret, str(caught.exception))
        with self.assertRaises(nearkv.Error) as caught:
            nearkv.Client(f"gopher://:{secret}@{self.server.path}")
        self.assertNotIn(secret, str(caught.exception))


class FailureTest(ServerCase):
    """Errors of the server, and servers that go away."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.server.signal, signal.SIGCONT)

    def test_an_error_of_one_key(self) -> None:
        client = self.client()
        self.put(client, ["a", "c"], [b"aaaa", b"cccc"])
        self.wire("LPUSH", "list", "x")
        self.assertEqual(self.get(client, ["a", "list", "c"], [4] * 3),
                         ([True, False, True], [b"aaaa", bytes(4), b"cccc"]))

    def test_a_server_without_memory(self) -> None:
        client = self.client("plain_suffix")
        client.ping()
        self.wire("CONFIG", "SET", "maxmemory", 1)
        self.addCleanup(self.wire, "CONFIG", "SET", "maxmemory", 0)
        ok, error, found = self.done(client, client.submit_batch_set(["a"], [b"abcd"]))
        self.assertEqual((ok, found), (False, None))
        self.assertIn("OOM", error)
        self.wire("CONFIG", "SET", "maxmemory", 0)
        self.assertEqual(self.wire("KEYS", "*"), [])
        self.put(client, ["a"], [b"abcd"])

    def test_a_killed_server_completes_everything(self) -> None:
        server = Server()
        self.addCleanup(server.close)
        client = nearkv.Client(server.url, timeout=20)
        self.addCleanup(client.close)
        self.put(client, ["a"], [b"abcd"])
        for again in range(2):
            server.signal(signal.SIGSTOP)
            buffers = [bytearray(4) for _ in range(20)]
            ids = [client.submit_batch_get([f"x{again}", "a"], buffers[i: i + 2])
                   for i in range(0, 10, 2)]
            ids += [client.submit_batch_set(["b"], [bytearray(1 << 20)]) for _ in range(5)]
            ids += [client.submit_batch_exists([f"y{again}", f"z{again}"]) for _ in range(5)]
            ids += [client.submit_batch_delete([f"d{again}"]) for _ in range(5)]
            server.kill()
            got = drain(client, len(ids))
            self.assertEqual(sorted(got), ids)
            self.assertEqual([got[i][0] for i in ids], [False] * 20)
            self.assertTrue(all(got[i][1] for i in ids))
            self.assertTrue(all(not any(got[i][2] or [False]) for i in ids))
            buffers.append(bytearray(1))
            server.start()
            until = time.monotonic() + PATIENCE
            while not self.done(client, client.submit_batch_set(["a"], [b"abcd"]))[0]:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.05)
            self.assertEqual(self.get(client, ["a"], [4]), ([True], [b"abcd"]))

    def test_no_server_at_all(self) -> None:
        client = nearkv.Client("unix:///nowhere/s", timeout=0.3)
        self.addCleanup(client.close)
        ids = [client.submit_batch_get(["a"], [bytearray(4)]), client.submit_batch_exists(["a"]),
               client.submit_batch_set(["a"], [b"abcd"]), client.submit_batch_delete(["a"])]
        got = drain(client, 4)
        self.assertEqual([got[i][0] for i in ids], [False] * 4)
        with self.assertRaises(nearkv.Error):
            client.contains(["a"])
        with self.assertRaises(nearkv.Error):
            client.ping()

    def test_a_server_that_hangs(self) -> None:
        client = self.client(timeout=0.3)
        client.ping()
        self.server.signal(signal.SIGSTOP)
        begin = time.monotonic()
        ok, error, found = self.done(client, client.submit_batch_get(["a"], [bytearray(4)]))
        self.assertEqual((ok, found), (False, [False]))
        self.assertTrue(error)
        self.assertLess(time.monotonic() - begin, 5)

    def test_cancel(self) -> None:
        client = self.client(timeout=60)
        client.ping()
        self.server.signal(signal.SIGSTOP)
        batch_id = client.submit_batch_get(["a"], [bytearray(4)])
        other = client.submit_batch_exists(["a"])
        self.assertTrue(client.cancel(batch_id))
        ok, error, found = self.done(client, batch_id)
        self.assertEqual((ok, bool(error), found), (False, True, [False]))
        self.assertFalse(client.cancel(batch_id))
        self.server.signal(signal.SIGCONT)
        self.assertEqual(self.done(client, other), (True, "", [False]))

    def test_connections_that_are_killed(self) -> None:
        client = self.client()
        self.put(client, ["a"], [b"abcd"])
        for _ in range(3):
            self.wire("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            until = time.monotonic() + PATIENCE
            while True:
                ok, _, found = self.done(client, client.submit_batch_get(["a"], [bytearray(4)]))
                if ok:
                    break
                self.assertLess(time.monotonic(), until)
            self.assertEqual(found, [True])


class CloseTest(ServerCase):
    """The end of a client."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.server.signal, signal.SIGCONT)

    def test_close_completes_what_is_under_way(self) -> None:
        client = self.client(timeout=60)
        self.put(client, ["a"], [b"abcd"])
        self.server.signal(signal.SIGSTOP)
        buffers = [bytearray(4), bytearray(1 << 20)]
        ids = [client.submit_batch_get(["a"], [buffers[0]]),
               client.submit_batch_set(["b"], [buffers[1]]),
               client.submit_batch_exists(["b", "c"]), client.submit_batch_delete(["b"])]
        begin = time.monotonic()
        client.close()
        self.assertLess(time.monotonic() - begin, 5)
        fd = client.event_fd()
        self.assertEqual(select.select([fd], [], [], 0)[0], [fd])
        got = {batch[0]: batch[1:] for batch in client.drain_completions()}
        self.assertEqual(sorted(got), ids)
        self.assertEqual([got[i][0] for i in ids], [False] * 4)
        self.assertTrue(all(got[i][1] for i in ids))
        self.assertEqual([got[i][2] for i in ids], [[False], None, [False, False], [False]])
        for buffer in buffers:
            buffer.append(0)
        self.assertEqual(client.drain_completions(), [])
        self.assertEqual(client.event_fd(), -1)

    def test_close_keeps_what_was_not_drained(self) -> None:
        client = self.client()
        batch_id = client.submit_batch_set(["a"], [b"abcd"])
        select.select([client.event_fd()], [], [], PATIENCE)
        client.close()
        self.assertEqual(client.drain_completions(), [(batch_id, True, "", None)])

    def test_after_close(self) -> None:
        client = self.client()
        client.close()
        client.close()
        self.assertIn("closed", repr(client))
        for call in (lambda: client.submit_batch_get(["a"], [bytearray(4)]),
                     lambda: client.submit_batch_set(["a"], [b"abcd"]),
                     lambda: client.submit_batch_exists(["a"]),
                     lambda: client.submit_batch_delete(["a"]),
                     lambda: client.cancel(1), lambda: client.contains(["a"]), client.list,
                     client.ping, client.wait_ready):
            with self.assertRaisesRegex(nearkv.Error, "closed"):
                call()
        self.assertEqual(client.drain_completions(), [])

    def test_nothing_is_left(self) -> None:
        def held() -> int:
            return len(os.listdir("/proc/self/fd")) + len(os.listdir("/proc/self/task"))

        def once() -> None:
            with nearkv.Client(self.server.url) as client:
                client.submit_batch_set(["a"], [b"abcd"])
            client = nearkv.Client(self.server.url)
            client.submit_batch_exists(["a"])  # and the client is forgotten

        def least() -> int:
            # A thread that was joined may be seen in /proc for a moment longer.
            counts = []
            for _ in range(20):
                counts.append(held())
                time.sleep(0.01)
            return min(counts)

        once()
        before = least()
        for _ in range(20):
            once()
        self.assertEqual(least(), before)

    def test_close_wakes_and_ends_those_who_wait(self) -> None:
        client = self.client(timeout=2)
        client.ping()
        self.server.signal(signal.SIGSTOP)
        seen: List[Any] = []
        raised: List[Exception] = []

        def wait() -> None:
            while client.event_fd() >= 0:
                select.select([client.event_fd()], [], [], PATIENCE)
                seen.extend(client.drain_completions())

        def ask() -> None:
            try:
                client.contains(["unknown"])
            except nearkv.Error as error:
                raised.append(error)

        threads = [threading.Thread(target=wait), threading.Thread(target=ask)]
        for thread in threads:
            thread.start()
        batch_id = client.submit_batch_get(["a"], [bytearray(4)])
        closers = [threading.Thread(target=client.close) for _ in range(3)]
        for thread in closers:
            thread.start()
        for thread in closers + threads:
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive())
        self.assertEqual([batch[0] for batch in seen], [batch_id])
        self.assertEqual(len(raised), 1)

    def test_a_program_that_forgets_to_close(self) -> None:
        code = ("import nearkv_lmcache, os, signal, sys\n"
                "client = nearkv_lmcache.Client(sys.argv[1], timeout=60)\n"
                "client.ping()\n"
                "os.kill(int(sys.argv[2]), signal.SIGSTOP)\n"
                "ids = [client.submit_batch_get(['a'], [bytearray(1 << 20)]) for _ in range(9)]\n"
                "print(len(ids))\n")
        assert self.server._process is not None
        environment = dict(os.environ, PYTHONPATH=str(ROOT / "examples" / "lmcache"))
        python = subprocess.run(
            [sys.executable, "-c", code, self.server.url, str(self.server._process.pid)],
            env=environment, stdout=subprocess.PIPE, timeout=PATIENCE, check=False)
        self.assertEqual((python.returncode, python.stdout), (0, b"9\n"))

    def test_a_child_of_fork(self) -> None:
        client = self.client()
        self.put(client, ["a"], [b"abcd"])
        child = os.fork()
        if child == 0:
            try:
                client.close()
                client.drain_completions()
                try:
                    client.submit_batch_exists(["a"])
                except nearkv.Error as error:
                    os._exit(0 if "fork" in str(error) else 2)
            finally:
                os._exit(3)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(self.get(client, ["a"], [4]), ([True], [b"abcd"]))


class LoadTest(ServerCase):
    """Many batches, many threads."""

    def test_memory_does_not_grow_with_lengths(self) -> None:
        client = self.client(mixed_sizes=True)
        page = os.sysconf("SC_PAGESIZE")

        def resident() -> int:
            with open("/proc/self/statm", encoding="ascii") as numbers:
                return int(numbers.read().split()[1]) * page

        def run(first: int, last: int) -> None:
            source, target = memoryview(bytearray(3 * last)), memoryview(bytearray(3 * last))
            for n in range(first, last):
                keys = [f"k{i}" for i in range(n % 97 + 1)]
                client.submit_batch_set(["a", "b"], [source[:n], source[n: 2 * n + 1]])
                client.submit_batch_get(["a", "b"], [target[:n], target[n: 2 * n + 1]])
                client.submit_batch_exists(keys)
                drain(client, 3)

        run(1, 500)
        types = len(ctypes.Array.__subclasses__()) + len(ctypes._Pointer.__subclasses__())
        before = resident()
        run(500, 3000)
        self.assertEqual(
            len(ctypes.Array.__subclasses__()) + len(ctypes._Pointer.__subclasses__()), types)
        self.assertEqual(client._pending, {})
        if os.environ.get("NEARKV_PROFILE", "release") in ("release", "debug"):
            self.assertLess(resident() - before, 3 << 20)

    def test_one_drains_while_others_submit(self) -> None:
        client = self.client()
        seen: List[Any] = []
        sent: List[Set[int]] = [set() for _ in range(4)]
        total = 4 * 150

        def wait() -> None:
            poll = select.poll()
            poll.register(client.event_fd(), select.POLLIN)
            until = time.monotonic() + PATIENCE
            while len(seen) < total and time.monotonic() < until:
                if poll.poll(500):
                    seen.extend(client.drain_completions())

        def submit(number: int) -> None:
            value = bytes([number]) * 1000
            for i in range(50):
                keys = [f"{number}.{i}.{j}" for j in range(8)]
                sent[number].add(client.submit_batch_set(keys, [value] * 8))
                sent[number].add(client.submit_batch_exists(keys))
                buffers = [bytearray(1000) for _ in keys]
                sent[number].add(client.submit_batch_get(keys, buffers))

        threads = [threading.Thread(target=wait)]
        threads += [threading.Thread(target=submit, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(sorted(batch[0] for batch in seen), list(range(1, total + 1)))
        self.assertEqual(set().union(*sent), set(range(1, total + 1)))
        self.assertEqual([batch for batch in seen if not batch[1]], [])

    def test_a_lookup_overtakes_large_writes(self) -> None:
        client = self.client(options={"bulk_connections": 1}, timeout=60)
        client.wait_ready()
        value = bytes(1 << 20)
        writes = [client.submit_batch_set([f"w{i}"], [value]) for i in range(100)]
        lookup = client.submit_batch_exists(["unknown"])
        order = []
        until = time.monotonic() + PATIENCE
        while len(order) < 101 and time.monotonic() < until:
            select.select([client.event_fd()], [], [], 1)
            order += [batch[0] for batch in client.drain_completions()]
        self.assertEqual(sorted(order), writes + [lookup])
        self.assertLess(order.index(lookup), 50)


if __name__ == "__main__":
    main()
