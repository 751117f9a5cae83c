"""lmcache_connector_test - RemoteConnector of examples/lmcache, as LMCache uses its connectors."""
from __future__ import annotations

import asyncio
import enum
import signal
import sys
import textwrap
import threading
import types
import unittest
from typing import Any, Awaitable, Callable, Dict, List, Optional
from unittest import mock

from lmcache_kit import NAMES, ServerCase, main, meta_bytes, nearkv

MODEL = b"meta-llama/Llama-3.1-8B-Instruct@1@0@2783dafec0011aa@bfloat16"


class Memory:
    """A chunk of an allocator, counted as LMCache counts its own."""

    def __init__(self, meta: nearkv.Metadata, data: bytes = b"") -> None:
        self.meta = meta
        self.references = 1
        self.memory = bytearray(data or meta.length)
        self.byte_array = memoryview(self.memory)

    def ref_count_up(self) -> None:
        self.references += 1

    def ref_count_down(self) -> None:
        self.references -= 1

    def get_shape(self) -> Any:
        return self.meta.shape

    def get_dtype(self) -> Any:
        return None if self.meta.dtype is None else f"torch.{self.meta.dtype}"

    def get_memory_format(self) -> int:
        return self.meta.format


class Pool:
    """An allocator that remembers what it gave, and that may be told to have no room."""

    def __init__(self) -> None:
        self.given: List[Memory] = []
        self.room = 1 << 30

    def __call__(self, meta: nearkv.Metadata) -> Optional[Memory]:
        if self.room == 0:
            return None
        self.room -= 1
        self.given.append(Memory(meta))
        return self.given[-1]

    def references(self) -> List[int]:
        return [memory.references for memory in self.given]


def chunk(data: bytes) -> nearkv.Chunk:
    """A chunk of bfloat16 [2, 1, 1, n]."""
    return nearkv.Chunk(data, nearkv.Metadata.of(len(data), [(2, 1, 1, len(data) // 4)],
                                                 ["bfloat16"]))


class ConnectorCase(ServerCase):
    """A test whose body is a coroutine with a connector."""

    def run_with(self, body: Callable[[nearkv.RemoteConnector], Awaitable[None]],
                 layout: str = "plain_suffix", **options: Any) -> None:
        async def whole() -> None:
            connector = nearkv.RemoteConnector(self.server.url, layout=layout, **options)
            try:
                await asyncio.wait_for(body(connector), 60)
            finally:
                self.server.signal(signal.SIGCONT)
                await connector.close()

        asyncio.run(whole())


class MetadataTest(unittest.TestCase):
    """Metadata from Python's side."""

    def test_of_and_back(self) -> None:
        meta = nearkv.Metadata.of(2162688, [(2, 2, 256, 1024), (1, 2, 256, 64)],
                                  ["bfloat16", "torch.bfloat16"], "KV_2LTD")
        self.assertEqual(meta.shapes, [(2, 2, 256, 1024), (1, 2, 256, 64)])
        self.assertEqual(meta.dtypes, ["bfloat16", "bfloat16"])
        self.assertEqual((meta.shape, meta.dtype, meta.format), ((2, 2, 256, 1024), "bfloat16", 1))
        plain = nearkv.Metadata.of_bytes(9)
        self.assertEqual((plain.shape, plain.dtype, plain.format), ((9, 0, 0, 0), None, 5))
        self.assertEqual(plain, nearkv.Metadata.of_bytes(9))
        self.assertNotEqual(plain, nearkv.Metadata.of_bytes(8))
        self.assertNotEqual(plain, 9)
        self.assertIn("length=9", repr(plain))

    def test_wrong(self) -> None:
        for shapes, dtypes in (([], []), ([(1,)], []), ([()], ["uint8"]), ([(1,) * 5], ["uint8"]),
                               ([(1,)], ["int8"]), ([(1,)] * 17, ["uint8"] * 17)):
            with self.subTest(shapes=shapes), self.assertRaises(ValueError):
                nearkv.Metadata.of(1, shapes, dtypes)


class EndToEndTest(ConnectorCase):
    """Every operation, in every layout."""

    def test_every_layout(self) -> None:
        async def body(connector: nearkv.RemoteConnector) -> None:
            key, data = "m@1@0@ff@half", bytes(range(16))
            self.assertFalse(await connector.exists(key))
            self.assertIsNone(await connector.get(key))
            await connector.put(key, chunk(data))
            self.assertTrue(await connector.exists(key))
            self.assertTrue(connector.exists_sync(key))
            got = await connector.get(key)
            assert got is not None
            self.assertEqual(bytes(got.byte_array), data)
            if connector._native.layout != "single_key":
                self.assertEqual(got.metadata, chunk(data).metadata)
            await connector.batched_put([b"n2", "n3"], [chunk(data), chunk(data[::-1])])
            self.assertEqual(sorted(await connector.list()), [key, "n2", "n3"])
            for prefix in ("n", b"n"):
                self.assertEqual(sorted(await connector.list(prefix)), ["n2", "n3"])
            self.assertEqual(await connector.ping(), 0)
            self.assertTrue(await connector.remove(key))
            self.assertFalse(await connector.remove(key))
            self.assertTrue(connector.remove_sync("n2"))
            self.assertFalse(connector.remove_sync("n2"))
            self.assertEqual(await connector.list(), ["n3"])
            connector.post_init()
            self.assertNotIn(self.server.path, repr(connector))
            for name in ("ping", "batched_get", "batched_put", "batched_contains",
                         "batched_async_contains", "batched_get_non_blocking"):
                self.assertTrue(getattr(connector, "support_" + name)())

        for layout in NAMES:
            with self.subTest(layout=layout):
                self.wire("FLUSHALL")
                self.run_with(body, layout, chunk_bytes=16 if layout == "single_key" else 0)

    def test_batches_keep_their_places(self) -> None:
        async def body(connector: nearkv.RemoteConnector) -> None:
            keys = ["a", "b", "c", "d", "e"]
            data = {key: key.encode() * 16 for key in keys}
            await connector.batched_put(["a", "c", "e"], [chunk(data[k]) for k in ("a", "c", "e")])
            got = await connector.batched_get(keys)
            self.assertEqual([one and bytes(one.byte_array) for one in got],
                             [data["a"], None, data["c"], None, data["e"]])
            prefix = await connector.batched_get_non_blocking("lookup", keys)
            self.assertEqual([bytes(one.byte_array) for one in prefix], [data["a"]])
            await connector.put("b", chunk(data["b"]))
            self.assertEqual(await connector.batched_async_contains("lookup", keys), 3)
            self.assertEqual(await connector.batched_async_contains("lookup", keys, True), 3)
            self.assertEqual(connector.batched_contains(keys), 3)
            self.assertEqual(connector.batched_contains(["a", "a", "d"]), 2)
            self.assertEqual(connector.batched_contains(["a", "b"]), 2)
            self.assertEqual(connector.batched_contains([]), 0)
            self.assertEqual(await connector.batched_async_contains("", []), 0)
            self.assertEqual(await connector.batched_get([]), [])
            self.assertEqual(await connector.batched_get_non_blocking("", []), [])
            self.assertEqual(await connector.batched_get_non_blocking("", ["d", "a"]), [])
            await connector.batched_put([], [])
            self.assertEqual(len(await connector.batched_get_non_blocking("", keys)), 3)

        self.run_with(body)

    def test_many_at_once(self) -> None:
        async def body(connector: nearkv.RemoteConnector) -> None:
            data = {f"k{i}": b"%08d" % i * 512 for i in range(200)}
            await asyncio.gather(*(connector.put(key, chunk(value))
                                   for key, value in data.items()))
            got = await asyncio.gather(*(connector.get(key) for key in data))
            self.assertEqual([bytes(one.byte_array) for one in got], list(data.values()))

        self.run_with(body)

    def test_a_repeated_lookup_is_local(self) -> None:
        async def body(connector: nearkv.RemoteConnector) -> None:
            connector._native.wait_ready()
            keys = [f"k{i}" for i in range(64)]
            await connector.batched_put(keys, [chunk(bytes(16))] * 64)
            self.assertEqual(await connector.batched_async_contains("", [*keys, "no"]), 64)

            def asked() -> int:
                stats = self.wire("INFO", "commandstats").decode()
                return sum(int(line.split("calls=")[1].split(",")[0])
                           for line in stats.splitlines()
                           if line.startswith(("cmdstat_get:", "cmdstat_exists:",
                                               "cmdstat_mget:", "cmdstat_pttl:")))

            before = asked()
            for _ in range(10):
                self.assertEqual(await connector.batched_async_contains("", [*keys, "no"]), 64)
                self.assertEqual(connector.batched_contains([*keys, "no"]), 64)
            self.assertEqual(asked(), before)
            self.assertTrue(all(await connector.batched_get(keys)))
            self.assertEqual(asked(), before + 64)  # the payloads

        self.run_with(body)


class InteropTest(ConnectorCase):
    """What others wrote is read, and what is written others read."""

    def test_written_with_struct(self) -> None:
        cases = {
            b"full": (meta_bytes(256, 1, (3, 2, 1, 16, 4)), [(2, 1, 16, 4)], ["bfloat16"], 1),
            b"half is 1 or 2": (meta_bytes(256, 1, (1, 2, 1, 16, 4)), [(2, 1, 16, 4)],
                                ["float16"], 1),
            b"zeros behind": (meta_bytes(256, 3, (3, 2, 16, 4, 0)), [(2, 16, 4)], ["bfloat16"], 3),
            b"ones in front": (meta_bytes(256, 3, (3, 1, 2, 16, 4)), [(1, 2, 16, 4)],
                               ["bfloat16"], 3),
            b"two groups": (meta_bytes(256, 1, (3, 2, 1, 8, 4), (6, 1, 2, 8, 8)),
                            [(2, 1, 8, 4), (1, 2, 8, 8)], ["bfloat16", "uint8"], 1),
            b"compressed": (meta_bytes(256, 4, (0, 256, 0, 0, 0)), [(256, 0, 0, 0)], [None], 4),
            b"bytes": (meta_bytes(256, 5, (0, 256, 0, 0, 0)), [(256, 0, 0, 0)], [None], 5),
            b"a fork's": (meta_bytes(256, 99, (3, 7, 0, 0, 0)), [(7, 0, 0, 0)], ["bfloat16"], 99),
        }
        data = bytes(range(256))
        for name, (meta, _, _, _) in cases.items():
            self.wire("SET", name + b"kv_bytes", data)
            self.wire("SET", name + b"metadata", meta)

        async def body(connector: nearkv.RemoteConnector) -> None:
            for name, (_, shapes, dtypes, fmt) in cases.items():
                with self.subTest(name=name):
                    got = await connector.get(name)
                    assert got is not None
                    self.assertEqual(bytes(got.byte_array), data)
                    self.assertEqual((got.metadata.shapes, got.metadata.dtypes,
                                      got.metadata.format), (shapes, dtypes, fmt))

        self.run_with(body)

    def test_read_with_struct(self) -> None:
        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.put(MODEL, nearkv.Chunk(bytes(33554432), nearkv.Metadata.of(
                33554432, [(2, 32, 256, 1024)], ["bfloat16"])))
            await connector.put("three", nearkv.Chunk(bytes(64), nearkv.Metadata.of(
                64, [(2, 4, 4)], ["bfloat16"], "KV_2TD")))
            await connector.put("groups", nearkv.Chunk(bytes(96), nearkv.Metadata.of(
                96, [(2, 1, 4, 4), (1, 1, 4, 8)], ["bfloat16", "uint8"])))
            await connector.put("plain", nearkv.Chunk(b"0123456789"))
            await connector.put("lmcache's", Memory(nearkv.Metadata.of(
                4, [(2, 1, 1, 1)], ["float16"]), b"abcd"))

        self.run_with(body)
        self.assertEqual(self.wire("GET", MODEL + b"metadata").hex(),
                         "00000002010000000300000002000000200000000001000000040000")
        self.assertEqual(self.wire("STRLEN", MODEL + b"kv_bytes"), 33554432)
        self.assertEqual(self.wire("GET", "threemetadata"), meta_bytes(64, 3, (3, 2, 4, 4, 0)))
        self.assertEqual(self.wire("GET", "groupsmetadata"),
                         meta_bytes(96, 1, (3, 2, 1, 4, 4), (6, 1, 1, 4, 8)))
        self.assertEqual(self.wire("GET", "plainmetadata"), meta_bytes(10, 5, (0, 10, 0, 0, 0)))
        self.assertEqual(self.wire("GET", "lmcache'smetadata").hex(),
                         "04000000010000000200000002000000010000000100000001000000")
        self.assertEqual(self.wire("GET", "lmcache'skv_bytes"), b"abcd")

    def test_padding_with_ones(self) -> None:
        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.put("three", nearkv.Chunk(bytes(64), nearkv.Metadata.of(
                64, [(2, 4, 4)], ["bfloat16"], "KV_2TD")))

        self.run_with(body, padding="ones")
        self.assertEqual(self.wire("GET", "threemetadata"), meta_bytes(64, 3, (3, 1, 2, 4, 4)))

    def test_what_does_not_fit_is_missing(self) -> None:
        good = meta_bytes(8, 5, (0, 8, 0, 0, 0))
        for name, meta, payload in (
            (b"no payload", good, None), (b"no metadata", None, bytes(8)),
            (b"short payload", good, bytes(7)), (b"long payload", good, bytes(9)),
            (b"short metadata", good[:27], bytes(8)), (b"wrong dtype", good[:8] + b"\xff" * 20,
                                                       bytes(8)),
            (b"no length", meta_bytes(0, 5, (0, 8, 0, 0, 0)), b""),
            (b"product", meta_bytes(8, 1, (3, 2, 2, 2, 2)), bytes(8)), (b"good", good, bytes(8)),
        ):
            if meta is not None:
                self.wire("SET", name + b"metadata", meta)
            if payload is not None:
                self.wire("SET", name + b"kv_bytes", payload)
        pool = Pool()

        async def body(connector: nearkv.RemoteConnector) -> None:
            for name in ("no payload", "no metadata", "short payload", "long payload",
                         "short metadata", "wrong dtype", "no length", "product"):
                with self.subTest(name=name):
                    got = await connector.batched_get(["good", name, "good"])
                    self.assertEqual([one is not None for one in got], [True, False, True])
                    self.assertEqual(len(await connector.batched_get_non_blocking(
                        "", ["good", name, "good"])), 1)
                    for one in got:
                        if one is not None:
                            one.ref_count_down()

        self.run_with(body, allocate=pool)
        self.assertEqual(self.wire("EXISTS", "no payloadmetadata"), 0)
        # One reference is left for each chunk of the eight prefixes, and to nothing else.
        self.assertEqual(sorted(pool.references()), [0] * (len(pool.given) - 8) + [1] * 8)


class MemoryTest(ConnectorCase):
    """Chunks of an allocator: who gives them back, and when."""

    def test_no_room(self) -> None:
        pool = Pool()

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.batched_put(["a", "b", "c"], [chunk(bytes(16))] * 3)
            pool.room = 2
            got = await connector.batched_get(["a", "b", "c"])
            self.assertEqual([one is not None for one in got], [True, True, False])
            pool.room = 1
            self.assertEqual(len(await connector.batched_get_non_blocking("", ["a", "b"])), 1)
            pool.room = 0
            self.assertIsNone(await connector.get("a"))
            self.assertEqual(await connector.batched_get_non_blocking("", ["a", "b"]), [])

        self.run_with(body, allocate=pool)
        self.assertEqual(pool.references(), [1, 1, 1])

    def test_an_allocator_that_raises(self) -> None:
        pool = Pool()

        def allocate(meta: nearkv.Metadata) -> Optional[Memory]:
            if len(pool.given) == 1:
                raise MemoryError("no more")
            return pool(meta)

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.batched_put(["a", "b"], [chunk(bytes(16))] * 2)
            with self.assertRaises(MemoryError):
                await connector.batched_get(["a", "b"])

        self.run_with(body, allocate=allocate)
        self.assertEqual(pool.references(), [0])

    def test_an_allocator_that_gives_too_little(self) -> None:
        given: List[Memory] = []

        def allocate(meta: nearkv.Metadata) -> Memory:
            given.append(Memory(meta, bytes(meta.length - 1)))
            return given[-1]

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.put("a", chunk(bytes(16)))
            self.assertIsNone(await connector.get("a"))

        self.run_with(body, allocate=allocate)
        self.assertEqual([memory.references for memory in given], [0])

    def test_an_allocator_that_gives_more(self) -> None:
        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.put("a", chunk(bytes(range(16))))
            got = await connector.get("a")
            assert got is not None
            self.assertEqual(bytes(got.byte_array), bytes(range(16)) + bytes(4))

        self.run_with(body, allocate=lambda meta: Memory(meta, bytes(meta.length + 4)))

    def test_a_put_holds_its_chunk(self) -> None:
        memory = Memory(chunk(bytes(16)).metadata)

        async def body(connector: nearkv.RemoteConnector) -> None:
            task = asyncio.ensure_future(connector.put("a", memory))
            await asyncio.sleep(0)
            self.assertEqual(memory.references, 2)
            await task
            self.assertEqual(memory.references, 1)

        self.run_with(body)

    def test_cancelled_transfers_give_back_late(self) -> None:
        pool = Pool()
        source = Memory(chunk(bytes(1 << 20)).metadata)

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.batched_put(["a", "b"], [chunk(bytes(16))] * 2)
            self.assertEqual(await connector.batched_async_contains("", ["a", "b"]), 2)
            connector._native.wait_ready()
            self.server.signal(signal.SIGSTOP)
            calls = [connector.batched_get(["a", "b"]), connector.put("c", source),
                     connector.batched_get_non_blocking("", ["a", "b"])]
            for call in calls:
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(call, 0.05)
            # Given back only when the library has let go, which it says on the loop.
            for memory in pool.given + [source]:
                self.assertIn(memory.references, (1, 2) if memory is source else (0, 1))
            while connector._native._pending:
                await asyncio.sleep(0.01)
            self.assertEqual(pool.references(), [0] * len(pool.given))
            self.assertEqual(source.references, 1)
            source.byte_array.release()
            source.memory.append(0)
            self.server.signal(signal.SIGCONT)
            self.assertIsNotNone(await connector.get("a"))

        self.run_with(body, allocate=pool, timeout=30)

    def test_answered_and_cancelled_at_once(self) -> None:
        pool = Pool()

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.put("a", chunk(bytes(16)))
            for turns in range(40):
                task = asyncio.ensure_future(connector.get("a"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                if turns % 2:
                    await asyncio.sleep(0.0005)
                task.cancel()
                got = (await asyncio.gather(task, return_exceptions=True))[0]
                if isinstance(got, Memory):
                    got.ref_count_down()
            while connector._native._pending:
                await asyncio.sleep(0.01)

        self.run_with(body, allocate=pool)
        self.assertEqual(pool.references(), [0] * len(pool.given))


class FailureTest(ConnectorCase):
    """Servers that fail, connectors that end."""

    def test_errors_are_raised_when_nothing_was_read(self) -> None:
        pool = Pool()

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.batched_put(["a", "b"], [chunk(bytes(16))] * 2)
            self.wire("DEL", "bkv_bytes")
            self.wire("LPUSH", "bkv_bytes", "x")
            got = await connector.batched_get(["a", "b"])
            self.assertEqual([one is not None for one in got], [True, False])
            self.assertEqual(len(await connector.batched_get_non_blocking("", ["a", "b"])), 1)
            with self.assertRaisesRegex(nearkv.Error, "WRONGTYPE"):
                await connector.get("b")
            self.wire("CONFIG", "SET", "maxmemory", 1)
            try:
                with self.assertRaisesRegex(nearkv.Error, "OOM"):
                    await connector.batched_put(["c", "d"], [chunk(bytes(16))] * 2)
            finally:
                self.wire("CONFIG", "SET", "maxmemory", 0)
            self.assertEqual(self.wire("EXISTS", "cmetadata", "dmetadata"), 0)

        self.run_with(body, allocate=pool)
        self.assertEqual(sorted(pool.references()), [0] * (len(pool.given) - 2) + [1] * 2)

    def test_no_server(self) -> None:
        async def body() -> None:
            connector = nearkv.RemoteConnector("unix:///nowhere/s", timeout=0.3)
            with self.assertRaises(nearkv.Error):
                await connector.get("a")
            with self.assertRaises(nearkv.Error):
                await connector.exists("a")
            with self.assertRaises(nearkv.Error):
                connector.exists_sync("a")
            with self.assertRaises(nearkv.Error):
                await connector.put("a", chunk(bytes(16)))
            with self.assertRaises(nearkv.Error):
                await connector.batched_get_non_blocking("", ["a"])
            self.assertGreater(await connector.ping(), 0)
            await connector.close()

        asyncio.run(body())

    def test_close_fails_what_is_under_way(self) -> None:
        pool = Pool()

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.put("a", chunk(bytes(16)))
            connector._native.wait_ready()
            self.assertTrue(await connector.exists("a"))
            self.server.signal(signal.SIGSTOP)
            tasks = [asyncio.ensure_future(call) for call in (
                connector.get("a"), connector.exists("new"), connector.put("c", chunk(bytes(16))),
                connector.remove("a"), connector.batched_get_non_blocking("", ["a"]))]
            await asyncio.sleep(0.05)
            await connector.close()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                self.assertIsInstance(result, nearkv.Error)
            with self.assertRaisesRegex(nearkv.Error, "closed"):
                await connector.get("a")
            with self.assertRaisesRegex(nearkv.Error, "closed"):
                connector.exists_sync("a")

        self.run_with(body, allocate=pool, timeout=30)
        self.assertEqual(pool.references(), [0] * len(pool.given))

    def test_one_loop(self) -> None:
        connector = nearkv.RemoteConnector(self.server.url)
        self.assertFalse(asyncio.run(connector.exists("a")))
        with self.assertRaisesRegex(RuntimeError, "one loop"):
            asyncio.run(connector.exists("a"))
        connector._native.close()

    def test_a_single_key_needs_its_size(self) -> None:
        with self.assertRaisesRegex(ValueError, "chunk_bytes or chunk_meta"):
            nearkv.RemoteConnector(self.server.url, layout="single_key")

        async def body(connector: nearkv.RemoteConnector) -> None:
            await connector.put("a", chunk(bytes(16)))
            self.wire("SET", "b", bytes(15))
            got = await connector.batched_get(["a", "b"])
            self.assertEqual(got[0].metadata, chunk(bytes(16)).metadata)
            self.assertIsNone(got[1])
            with self.assertRaisesRegex(ValueError, "16 bytes of a chunk"):
                await connector.put("c", chunk(bytes(12)))

        self.run_with(body, "single_key", chunk_meta=chunk(bytes(16)).metadata)


class PlugTest(ConnectorCase):
    """The lines at the top of the module do what they say, with stand-ins for LMCache and torch."""

    def modules(self) -> Dict[str, types.ModuleType]:
        class MemoryFormat(enum.Enum):
            KV_2LTD = 1

        class ConnectorAdapter:
            def __init__(self, schema: str = "") -> None:
                self.schema = schema

            def can_parse(self, url: str) -> bool:
                return url.startswith(self.schema)

        class RemoteConnector:
            def __init__(self, config: Any, metadata: Any) -> None:
                self.given = (config, metadata)

            def support_ping(self) -> bool:
                return False

        names = ["torch", "lmcache", "lmcache.v1", "lmcache.v1.memory_management",
                 "lmcache.v1.storage_backend", "lmcache.v1.storage_backend.connector",
                 "lmcache.v1.storage_backend.connector.base_connector"]
        made: Dict[str, Any] = {name: types.ModuleType(name) for name in names}
        made["torch"].Size, made["torch"].bfloat16 = tuple, "torch.bfloat16"
        made["lmcache.v1.memory_management"].MemoryFormat = MemoryFormat
        made[names[5]].ConnectorAdapter = ConnectorAdapter
        made[names[6]].RemoteConnector = RemoteConnector
        made[names[5]].base_connector = made[names[6]]
        return made

    def snippet(self) -> str:
        text = nearkv.__doc__ or ""
        begin = text.index("    # my_nearkv.py")
        return textwrap.dedent(text[begin: text.index("\nand LMCache's configuration")])

    def test_the_adapter(self) -> None:
        plugged: Dict[str, Any] = {}
        with mock.patch.dict(sys.modules, self.modules()):
            exec(self.snippet(), plugged)  # pylint: disable=exec-used
        adapter = plugged["Adapter"]()
        url = self.server.url.replace("unix://", "nearkv://")
        self.assertTrue(adapter.can_parse(url))
        asked: List[Any] = []

        class Backend:
            def allocate(self, shape: Any, dtype: Any, fmt: Any) -> Memory:
                asked.append((shape, dtype, fmt.value))
                return Memory(nearkv.Metadata.of(16, [shape], [dtype], fmt))

        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        # The scheme of the lines is redis://, our server's unix://.
        real = nearkv.Client
        with mock.patch.object(nearkv, "Client", lambda url, *rest, **more: real(
                url.replace("redis://", "unix://", 1), *rest, **more)):
            connector = adapter.create_connector(types.SimpleNamespace(
                url=url, loop=loop, local_cpu_backend=Backend(), config=1, metadata=2))

        def call(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

        try:
            self.assertEqual(connector.given, (1, 2))
            self.assertTrue(connector.support_ping())
            call(connector.put("k", chunk(bytes(range(16)))))
            got = call(connector.get("k"))
            self.assertEqual(bytes(got.byte_array), bytes(range(16)))
            self.assertEqual(asked, [((2, 1, 1, 4), "torch.bfloat16", 1)])
            call(connector.put("k2", got))
            self.assertEqual(self.wire("GET", "k2metadata"), self.wire("GET", "kmetadata"))
            self.assertTrue(connector.exists_sync("k2"))
            call(connector.close())
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def test_the_json_names_what_there_is(self) -> None:
        text = nearkv.__doc__ or ""
        self.assertIn('"module_path": "nearkv_lmcache"', text)
        self.assertIn('"class_name": "Client"', text)
        client = self.client(mixed_sizes=True)
        for method in ("event_fd", "submit_batch_get", "submit_batch_set", "submit_batch_exists",
                       "submit_batch_delete", "drain_completions", "close"):
            self.assertTrue(callable(getattr(client, method)))


if __name__ == "__main__":
    main()
