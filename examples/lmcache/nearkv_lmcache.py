"""LMCache's chunks through libnearkv: two classes over its C functions, nothing to compile.

    Client           what LMCache's MP mode takes as a native plug-in: submit_batch_*, one
                     descriptor, drain_completions
    RemoteConnector  the asyncio connector of its other mode, over a Client

Needs CPython 3.8 or later and nothing else.  The library is the file that NEARKV_LIBRARY names,
else the one built in the checkout around this file, else the system's libnearkv.so.0.

MP mode.  With this file's folder in PYTHONPATH:

    --l2-adapter '{"type": "native_plugin", "module_path": "nearkv_lmcache",
                   "class_name": "Client", "max_capacity_gb": 0,
                   "adapter_params": {"url": "redis://localhost:6379",
                                      "password_env": "REDIS_PASSWORD"}}'

LMCache prints adapter_params to its log and the command line is in every list of processes: name a
variable (password_env) or a file (password_file) there, never the password.  Objects of several
sizes in one task (models with more than one KV group): add "mixed_sizes": true.

The other mode.  A connector must be of LMCache's class, so a module of yours joins the two:

    # my_nearkv.py
    import nearkv_lmcache
    import torch
    from lmcache.v1.memory_management import MemoryFormat
    from lmcache.v1.storage_backend.connector import ConnectorAdapter
    from lmcache.v1.storage_backend.connector import base_connector

    class Connector(nearkv_lmcache.RemoteConnector, base_connector.RemoteConnector):
        def __init__(self, context):
            base_connector.RemoteConnector.__init__(self, context.config, context.metadata)
            backend = context.local_cpu_backend

            def allocate(meta):
                return backend.allocate(torch.Size(meta.shape), getattr(torch, meta.dtype),
                                        MemoryFormat(meta.format))

            url = context.url.replace("nearkv://", "redis://", 1)
            nearkv_lmcache.RemoteConnector.__init__(self, url, context.loop, allocate)

    class Adapter(ConnectorAdapter):
        def __init__(self):
            super().__init__("nearkv://")

        def create_connector(self, context):
            return Connector(context)

and LMCache's configuration names it:

    remote_url: "nearkv://localhost:6379"
    remote_storage_plugins: ["nearkv"]
    extra_config:
      remote_storage_plugin.nearkv.module_path: my_nearkv
      remote_storage_plugin.nearkv.class_name: Adapter

What is stored is what LMCache's own connectors store, and the reverse: `layout` says whose.

    plain_suffix   RedisConnector, its Sentinel and Cluster kin   Kmetadata, Kkv_bytes
    colon_suffix   Valkey before its single key, "enhanced"       K:metadata, K:kv_bytes
    hash_tag       the cluster modes of those two                 {K}:metadata, {K}:kv_bytes
    single_key     RESP, the MP mode's adapters, Valkey           K

Buffers  are read and written where they are, without a copy, by threads of the library.  They are
         held until their batch has been drained, and nobody touches them after that.
Threads  Client: any, all methods.  RemoteConnector: coroutines on one loop, the rest from any.
fork()   A child cannot use what its parent made; it makes its own.
"""
from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import itertools
import os
import struct
import threading
import weakref
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

__all__ = ["Chunk", "Client", "Error", "LAYOUTS", "Metadata", "RemoteConnector"]

Key = Union[str, bytes]
Completion = Tuple[int, bool, str, Optional[List[bool]]]

LAYOUTS = {"plain_suffix": 0, "colon_suffix": 1, "hash_tag": 2, "single_key": 3}
PADDINGS = {"zeros": 0, "ones": 1, "none": 2}

OK, NOT_FOUND = 0, 1
EINVAL, ETIMEDOUT, ECONN, EREPLY, ECLOSED, ECANCELED, ESIZE = -1, -3, -4, -5, -7, -12, -13

# What is wrong with one key alone: the others of a batch are not worse for it.
_OF_ONE_KEY = frozenset((OK, NOT_FOUND, EREPLY, ESIZE))

# ---- The structs of the C headers ---------------------------------------------------------------

_PREFETCH = 2  # NKV_PRIORITY_PREFETCH


class _Str(ctypes.Structure):
    _c_name_ = "nkv_str"
    _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class _Error(ctypes.Structure):
    _c_name_ = "nkv_error"
    _fields_ = [
        ("status", ctypes.c_int),
        ("sys_errno", ctypes.c_int),
        ("text", ctypes.c_char * 244),
    ]


class _CacheOptions(ctypes.Structure):
    _c_name_ = "nkv_cache_options"
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("keys_max", ctypes.c_int64),
        ("bytes_max", ctypes.c_int64),
        ("entry_bytes_max", ctypes.c_int64),
        ("policy", ctypes.c_int),
        ("strict", ctypes.c_int),
        ("index", ctypes.c_int),
        ("confidence", ctypes.c_double),
        ("dynamic_confidence", ctypes.c_int),
        ("key_counters", ctypes.c_size_t),
        ("reserved", ctypes.c_uint64 * 8),
    ]


class _Options(ctypes.Structure):
    _c_name_ = "nkv_options"
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("url", ctypes.c_char_p),
        ("username", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("client_name", ctypes.c_char_p),
        ("db", ctypes.c_int),
        ("timeout_ms", ctypes.c_int64),
        ("connect_timeout_ms", ctypes.c_int64),
        ("max_idle_ms", ctypes.c_int64),
        ("max_ttl_ms", ctypes.c_int64),
        ("negative_ttl_ms", ctypes.c_int64),
        ("backoff_min_ms", ctypes.c_int64),
        ("backoff_max_ms", ctypes.c_int64),
        ("audit_ms", ctypes.c_int64),
        ("level", ctypes.c_int),
        ("inflight_max", ctypes.c_int64),
        ("inflight_bytes_max", ctypes.c_int64),
        ("reply_bytes_max", ctypes.c_int64),
        ("no_cache", ctypes.c_int),
        ("cache_scripts", ctypes.c_int),
        ("cache", ctypes.c_void_p),
        ("cache_options", _CacheOptions),
        ("prefixes", ctypes.c_void_p),
        ("prefixes_len", ctypes.c_size_t),
        ("cacheable", ctypes.c_void_p),
        ("cacheable_ud", ctypes.c_void_p),
        ("on_event", ctypes.c_void_p),
        ("on_event_ud", ctypes.c_void_p),
        ("loop", ctypes.c_void_p),
        ("bulk_connections", ctypes.c_int64),
        ("chunk_size", ctypes.c_int64),
        ("bulk_window_bytes", ctypes.c_int64),
        ("bulk_at_once", ctypes.c_int64),
        ("service_name", ctypes.c_char_p),
        ("sentinel_username", ctypes.c_char_p),
        ("sentinel_password", ctypes.c_char_p),
        ("sentinel_timeout_ms", ctypes.c_int64),
        ("topology_max_age_ms", ctypes.c_int64),
        ("address_map", ctypes.c_char_p),
        ("read_from", ctypes.c_int),
        ("replica_max_ttl_ms", ctypes.c_int64),
        ("resend_writes", ctypes.c_int),
    ]


class _Call(ctypes.Structure):
    _c_name_ = "nkv_call"
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("level", ctypes.c_int),
        ("timeout_ms", ctypes.c_int64),
        ("ttl_ms", ctypes.c_int64),
        ("no_cache", ctypes.c_int),
        ("static_ttl", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("from", ctypes.c_int),
        ("error", _Error),
    ]


class _Item(ctypes.Structure):
    _c_name_ = "nkv_item"
    _fields_ = [
        ("key", _Str),
        ("value", _Str),
        ("buf", ctypes.c_void_p),
        ("cap", ctypes.c_size_t),
        ("alloc", ctypes.c_void_p),
        ("meta", ctypes.c_void_p),
        ("ud", ctypes.c_void_p),
        ("held", ctypes.c_void_p),
        ("len", ctypes.c_size_t),
        ("status", ctypes.c_int),
        ("from", ctypes.c_int),
        ("reserved", ctypes.c_void_p * 2),
    ]


class _Completion(ctypes.Structure):
    _c_name_ = "nkv_completion"
    _fields_ = [
        ("id", ctypes.c_uint64),
        ("status", ctypes.c_int),
        ("prefix", ctypes.c_size_t),
        ("found", ctypes.c_size_t),
        ("ud", ctypes.c_void_p),
        ("error", _Error),
    ]


class _Ticket(ctypes.Structure):
    _c_name_ = "nkv_ticket"
    _fields_ = [
        ("queue", ctypes.c_void_p),
        ("call", ctypes.c_void_p),
        ("ud", ctypes.c_void_p),
        ("id", ctypes.c_uint64),
    ]


class _StoreOptions(ctypes.Structure):
    _c_name_ = "nkv_lmcache_options"
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("layout", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("groups", ctypes.c_uint32),
        ("ttl_s", ctypes.c_int64),
        ("timeout_ms", ctypes.c_int64),
        ("verify_payload", ctypes.c_int),
        ("chunk_bytes", ctypes.c_int64),
        ("cache_payloads", ctypes.c_int),
        ("one_by_one", ctypes.c_int),
        ("reserved", ctypes.c_void_p * 6),
    ]


class _Group(ctypes.Structure):
    _c_name_ = "nkv_lmcache_group"
    _fields_ = [("dtype", ctypes.c_int), ("dims", ctypes.c_uint32), ("shape", ctypes.c_int32 * 4)]


class Metadata(ctypes.Structure):
    """What a chunk's metadata says of its payload (nkv_lmcache_meta)."""

    _c_name_ = "nkv_lmcache_meta"
    _fields_ = [
        ("length", ctypes.c_int64),
        ("format", ctypes.c_int32),
        ("groups_len", ctypes.c_uint32),
        ("groups", _Group * 16),
    ]

    FORMATS = {
        "UNDEFINED": 0, "KV_2LTD": 1, "KV_T2D": 2, "KV_2TD": 3, "BINARY": 4, "BINARY_BUFFER": 5,
        "KV_MLA_FMT": 6, "EC_TD": 7, "HS_TD": 8,
    }
    DTYPES = {
        "float16": 2, "bfloat16": 3, "float32": 4, "float64": 5, "uint8": 6, "float8_e4m3fn": 7,
        "float8_e5m2": 8,
    }

    @classmethod
    def of(cls, length: int, shapes: Sequence[Sequence[int]], dtypes: Sequence[Any],
           fmt: Union[int, str] = "KV_2LTD") -> Metadata:
        """Metadata of one tensor or several: a shape and a dtype each.

        dtypes are torch's, or their names ("bfloat16", "torch.bfloat16"), or None for bytes; fmt
        is a name, a number or LMCache's MemoryFormat.
        """
        if not 1 <= len(shapes) <= 16 or len(shapes) != len(dtypes):
            raise ValueError("metadata: 1 to 16 shapes, and as many dtypes")
        meta = cls(length=length, groups_len=len(shapes))
        fmt = getattr(fmt, "value", fmt)
        meta.format = _choice("format", fmt, cls.FORMATS) if isinstance(fmt, str) else int(fmt)
        for group, shape, dtype in zip(meta.groups, shapes, dtypes):
            if not 1 <= len(shape) <= 4:
                raise ValueError("metadata: a shape has 1 to 4 sizes")
            name = None if dtype is None else str(dtype).rpartition(".")[2]
            if name is not None and name not in cls.DTYPES:
                raise ValueError(f"metadata: dtype {name} is none of {', '.join(cls.DTYPES)}")
            group.dtype = 0 if name is None else cls.DTYPES[name]
            group.dims = len(shape)
            for i, size in enumerate(shape):
                group.shape[i] = size
        return meta

    @classmethod
    def of_bytes(cls, length: int) -> Metadata:
        """Metadata of plain bytes (BINARY_BUFFER)."""
        return cls.of(length, [(length, 0, 0, 0)], [None], "BINARY_BUFFER")

    @property
    def shapes(self) -> List[Tuple[int, ...]]:
        """The shape of each tensor."""
        return [tuple(group.shape[: group.dims]) for group in self.groups[: self.groups_len]]

    @property
    def dtypes(self) -> List[Optional[str]]:
        """torch's name for the dtype of each tensor; None: bytes."""
        names = {number: name for name, number in self.DTYPES.items()}
        return [names.get(group.dtype) for group in self.groups[: self.groups_len]]

    @property
    def shape(self) -> Tuple[int, ...]:
        """The shape of the first tensor, with most models the only one."""
        return self.shapes[0]

    @property
    def dtype(self) -> Optional[str]:
        """torch's name for the dtype of the first tensor."""
        return self.dtypes[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metadata) and bytes(self) == bytes(other)

    __hash__ = None  # type: ignore[assignment] # it can be changed

    def __repr__(self) -> str:
        return (f"Metadata(length={self.length}, shapes={self.shapes}, dtypes={self.dtypes}, "
                f"fmt={self.format})")


class _PyBuffer(ctypes.Structure):
    """Py_buffer of Python's own C interface."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


# Items are written and read as a whole, which is several times faster than field by field.
_ITEM = struct.Struct("@PNPNPNPPPPNii2P")
_CAP, _LEN, _STATUS = 5, 10, 11
_COMPLETIONS = _Completion * 32  # the only array type: ctypes keeps every type it makes for ever
_EACH = ctypes.CFUNCTYPE(ctypes.c_int, _Str, ctypes.c_void_p)

# ---- The library --------------------------------------------------------------------------------


def _load() -> ctypes.CDLL:
    named = os.environ.get("NEARKV_LIBRARY")
    built = Path(__file__).resolve().parents[2] / "build" / "release" / "libnearkv.so"
    path = named or (str(built) if built.exists() else "libnearkv.so.0")
    try:
        lib = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"nearkv: {error}; NEARKV_LIBRARY can name the file") from None
    _declare(lib)
    # A library of another version than this file was written for would read other memory than it
    # was given, so nothing is called before the structs are known to be the same.
    for here in (_Str, _Error, _CacheOptions, _Options, _Call, _Item, _Completion, _Ticket,
                 _StoreOptions, _Group, Metadata):
        there = lib.nkv_struct_size(here._c_name_.encode())
        if there != ctypes.sizeof(here):
            raise ImportError(f"nearkv: {path} has {here._c_name_} of {there} bytes, this module "
                              f"{ctypes.sizeof(here)}: they are of different versions")
    if _ITEM.size != ctypes.sizeof(_Item):
        raise ImportError("nearkv: this machine lays out nkv_item in another way")
    return lib


def _declare(lib: ctypes.CDLL) -> None:
    status, pointer, size = ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t
    submit = [pointer, pointer, size, pointer]
    many = [pointer, pointer, size, pointer]
    for name, result, arguments in (
        ("nkv_struct_size", size, [ctypes.c_char_p]),
        ("nkv_status_text", ctypes.c_char_p, [status]),
        ("nkv_options_init_sized", None, [pointer, size]),
        ("nkv_call_init_sized", None, [pointer, size]),
        ("nkv_lmcache_options_init_sized", None, [pointer, size]),
        ("nkv_client_create", status, [pointer, pointer, pointer]),
        ("nkv_client_destroy", None, [pointer]),
        ("nkv_client_wait_ready", status, [pointer, ctypes.c_int64, pointer]),
        ("nkv_queue_create", status, [pointer, pointer]),
        ("nkv_queue_fd", ctypes.c_int, [pointer]),
        ("nkv_queue_drain", size, [pointer, pointer, size]),
        ("nkv_queue_wait", status, [pointer, ctypes.c_int64]),
        ("nkv_queue_cancel", status, [pointer, ctypes.c_uint64]),
        ("nkv_queue_close", None, [pointer]),
        ("nkv_queue_destroy", None, [pointer]),
        ("nkv_lmcache_create", status, [pointer, pointer, pointer, pointer]),
        ("nkv_lmcache_destroy", None, [pointer]),
        ("nkv_lmcache_submit_get", status, submit),
        ("nkv_lmcache_submit_get_prefix", status, submit),
        ("nkv_lmcache_submit_put", status, submit),
        ("nkv_lmcache_submit_contains", status, submit),
        ("nkv_lmcache_submit_remove", status, submit),
        ("nkv_lmcache_contains", status, many),
        ("nkv_lmcache_remove", status, many),
        ("nkv_lmcache_list", status, [pointer, _Str, _EACH, pointer, pointer]),
        ("nkv_lmcache_ping", status, [pointer, pointer]),
    ):
        try:
            function = getattr(lib, name)
        except AttributeError:
            raise ImportError(f"nearkv: the library has no {name}: another version") from None
        function.restype, function.argtypes = result, arguments


_lib = _load()
_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_PyBuffer)]
_release_buffer.restype = None


class Error(RuntimeError):
    """A failure of the library, or of the server: `status` is one of nearkv/status.h.

    The text never holds a password.
    """

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or _status_text(status))
        self.status = status


def _status_text(status: int) -> str:
    return _lib.nkv_status_text(status).decode()


def _text(error: _Error) -> str:
    return error.text.decode("utf-8", "replace")


def _check(status: int, error: Optional[_Error] = None) -> int:
    if status < 0:
        raise Error(status, "" if error is None else _text(error))
    return status


# ---- Batches ------------------------------------------------------------------------------------


class _Buffer:
    """The memory of a bytes-like object; the object cannot be resized until release()."""

    __slots__ = ("_raw", "address", "size")

    def __init__(self, owner: Any, writable: bool) -> None:
        self._raw: Optional[_PyBuffer] = None
        raw = _PyBuffer()
        _get_buffer(owner, ctypes.byref(raw), 1 if writable else 0)
        self._raw = raw
        self.address: int = raw.buf or 0
        self.size: int = raw.len

    def release(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            _release_buffer(ctypes.byref(raw))

    __del__ = release


def _key_bytes(key: Any) -> bytes:
    """A key as it is in Redis; LMCache's key objects know their text."""
    if hasattr(key, "to_string"):
        key = key.to_string()
    if isinstance(key, str):
        # surrogateescape: what list() made of a key that is no UTF-8 becomes the same key again.
        key = key.encode("utf-8", "surrogateescape")
    if not isinstance(key, (bytes, bytearray)):
        raise TypeError(f"a key is str or bytes, not {type(key).__name__}")
    if not key:
        raise ValueError("a key is empty")
    return bytes(key)


def _key_list(keys: Sequence[Any]) -> List[bytes]:
    if isinstance(keys, (str, bytes, bytearray)):
        raise TypeError("keys: a list of keys, not one")
    return [_key_bytes(key) for key in keys]


class _Batch:
    """The memory of a batch, and what became of it.

    One block holds the array of nkv_item, their metadata if there is any, and the keys: it must
    stay where it is until the completion has been drained.
    """

    __slots__ = ("op", "n", "arena", "_anchor", "address", "_metas_at", "_buffers", "id", "status",
                 "error", "prefix", "rows", "future", "owned")

    def __init__(self, op: str, keys: Sequence[bytes], buffers: Optional[List[_Buffer]] = None,
                 metas: Optional[Sequence[Metadata]] = None, want_metas: bool = False) -> None:
        self.op = op
        self.n = len(keys)
        self.id = 0
        self.status = OK
        self.error = ""
        self.prefix = 0
        self.rows: List[Tuple[int, ...]] = []
        self.future: Optional[asyncio.Future] = None
        self.owned: List[Any] = []
        self._buffers = buffers
        self._metas_at = self.n * _ITEM.size
        each = ctypes.sizeof(Metadata) if want_metas or metas is not None else 0
        head = bytes(self.n * each) if metas is None else b"".join(map(bytes, metas))
        self.arena = bytearray(self._metas_at) + head + b"".join(keys)
        # As long as this looks into it, the block cannot move.
        self._anchor = ctypes.c_char.from_buffer(self.arena)
        self.address = ctypes.addressof(self._anchor)
        at = self.address + self._metas_at + len(head)
        for i, key in enumerate(keys):
            value = buf = value_size = cap = 0
            if buffers is not None and op == "put":
                value, value_size = buffers[i].address, buffers[i].size
            elif buffers is not None:
                # Without a buffer the library would hand out memory of its own.
                buf, cap = buffers[i].address or self.address, buffers[i].size
            meta = self.address + self._metas_at + i * each if each else 0
            # The status is the library's to set; what it did not touch must not look well.
            _ITEM.pack_into(self.arena, i * _ITEM.size, at, len(key), value, value_size, buf, cap,
                            0, meta, 0, 0, 0, ECANCELED, 0, 0, 0)
            at += len(key)

    def finish(self, status: int, error: str, prefix: int = 0) -> None:
        """Takes the results: from here on nobody but us knows the memory."""
        self.status, self.error, self.prefix = status, error, prefix
        with memoryview(self.arena) as whole:
            self.rows = list(_ITEM.iter_unpack(whole[: self._metas_at]))
        self.release()

    def release(self) -> None:
        """Lets go of the callers' buffers."""
        for buffer in self._buffers or ():
            buffer.release()

    def metadata(self, i: int) -> Metadata:
        """A copy of what was read for key i."""
        return Metadata.from_buffer_copy(self.arena, self._metas_at + i * ctypes.sizeof(Metadata))

    def found(self) -> List[bool]:
        """For each key: is it there, and with a get: is its buffer full?"""
        if self.op.startswith("get"):
            return [row[_STATUS] == OK and row[_LEN] == row[_CAP] for row in self.rows]
        return [row[_STATUS] == OK for row in self.rows]

    def completion(self) -> Completion:
        """As drain_completions() hands it out."""
        ok = self.status >= 0
        if not ok and self.op in ("get", "get_prefix", "remove"):
            ok = all(row[_STATUS] in _OF_ONE_KEY for row in self.rows)
        error = "" if ok else self.error or _status_text(self.status)
        return self.id, ok, error, None if self.op == "put" else self.found()


# ---- The native plug-in -------------------------------------------------------------------------

_SUBMIT = {
    "get": _lib.nkv_lmcache_submit_get,
    "get_prefix": _lib.nkv_lmcache_submit_get_prefix,
    "put": _lib.nkv_lmcache_submit_put,
    "contains": _lib.nkv_lmcache_submit_contains,
    "remove": _lib.nkv_lmcache_submit_remove,
}

_open_clients: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # Threads of the library would go on writing into buffers that Python is giving back.
    for client in list(_open_clients):
        client.close()


def _secret(password: Optional[str], env: Optional[str], file: Optional[str]) -> Optional[str]:
    if sum(source is not None for source in (password, env, file)) > 1:
        raise ValueError("password, password_env and password_file: one of them")
    if env is not None:
        if env not in os.environ:
            raise ValueError(f"password_env: {env} is not set")
        return os.environ[env]
    if file is not None:
        with open(file, encoding="utf-8") as lines:
            return lines.readline().rstrip("\n")
    return password


def _positive(name: str, number: Any, least: int = 1) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise ValueError(f"{name}: an integer of at least {least}")
    return number


def _choice(name: str, word: str, words: Dict[str, int]) -> int:
    if word not in words:
        raise ValueError(f"{name}: one of {', '.join(words)}")
    return words[word]


class Client:
    """Batches of chunks that do not wait, as LMCache's native plug-in point takes them.

    url               redis://[[user][:password]@]host[:port][/db], unix://[…@]/path[?db=N]
    layout            where chunks are kept, see the top of this file
    ttl               seconds until what is written expires; None: never
    bulk_connections  for payloads, per server; None: the library's default
    chunk_bytes       single_key: the size of every chunk, any other is a miss; 0: any
    mixed_sizes       single_key: buffers of one batch may have different sizes
    username          wins over the URL's; so does the password, from one of three sources:
    password          itself, the name of an environment variable, the first line of a file
    timeout           seconds for a batch
    verify_payload    lookups look at the payload as well, which may have been evicted
    cache_payloads    payloads that were read stay in the client's cache, within its limits
    padding, groups   of metadata: see nearkv/lmcache_store.h
    options           any other number or text of docs/OPTIONS.md by its name, as
                      {"cache_options.keys_max": 100000}

    It does not wait for the server, and connects again whenever the connection was lost.
    A value counts as read only if it is exactly as long as its buffer.
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379",
        layout: str = "single_key",
        *,
        ttl: Optional[int] = None,
        bulk_connections: Optional[int] = None,
        chunk_bytes: int = 0,
        mixed_sizes: bool = False,
        username: Optional[str] = None,
        password: Optional[str] = None,
        password_env: Optional[str] = None,
        password_file: Optional[str] = None,
        timeout: float = 10.0,
        verify_payload: bool = False,
        cache_payloads: bool = False,
        padding: str = "zeros",
        groups: int = 0,
        options: Optional[Dict[str, Any]] = None,
    ) -> None:
        self._pid = os.getpid()
        self._lock = threading.Condition()
        self._closing = False
        self._closed = True  # until everything is there
        self._users = 0
        self._fd = -1
        self._tokens = itertools.count(1)
        self._pending: Dict[int, _Batch] = {}
        self._left: List[_Batch] = []
        self._client, self._store, self._queue = (ctypes.c_void_p() for _ in range(3))
        self._equal = layout == "single_key" and not mixed_sizes
        self._chunk_bytes = _positive("chunk_bytes", chunk_bytes, 0)
        self.layout = layout

        store = _StoreOptions()
        _lib.nkv_lmcache_options_init_sized(ctypes.byref(store), ctypes.sizeof(store))
        store.layout = _choice("layout", layout, LAYOUTS)
        store.padding = _choice("padding", padding, PADDINGS)
        store.groups = _positive("groups", groups, 0)
        store.ttl_s = 0 if ttl is None else _positive("ttl", ttl)
        store.timeout_ms = _positive("timeout", int(timeout * 1000))
        store.verify_payload = bool(verify_payload)
        store.cache_payloads = bool(cache_payloads)
        store.chunk_bytes = chunk_bytes
        settings = _Options()
        _lib.nkv_options_init_sized(ctypes.byref(settings), ctypes.sizeof(settings))
        for name, setting in (options or {}).items():
            _set_option(settings, name, setting)
        settings.url = url.encode()
        if bulk_connections is not None:
            settings.bulk_connections = _positive("bulk_connections", bulk_connections)
        settings.username = None if username is None else username.encode()
        secret = _secret(password, password_env, password_file)
        settings.password = None if secret is None else secret.encode()
        self._open(settings, store)

    def _open(self, settings: _Options, store: _StoreOptions) -> None:
        error = _Error()
        try:
            _check(_lib.nkv_client_create(ctypes.byref(settings), ctypes.byref(self._client),
                                          ctypes.byref(error)), error)
            _check(_lib.nkv_lmcache_create(self._client, ctypes.byref(store),
                                           ctypes.byref(self._store), ctypes.byref(error)), error)
            _check(_lib.nkv_queue_create(ctypes.byref(self._queue), ctypes.byref(error)), error)
            # The same eventfd under a number of our own, which outlives the queue: what close()
            # completes can still be waited for.
            self._fd = os.dup(_lib.nkv_queue_fd(self._queue))
        except BaseException:
            self._destroy()
            raise
        self._closed = False
        _open_clients.add(self)

    # -- batches --

    def submit_batch_get(self, keys: Sequence[Key], memoryviews: Sequence[Any]) -> int:
        """Reads each key into the buffer of the same position; returns the batch's id."""
        return self._submit(self._batch("get", keys, memoryviews)).id

    def submit_batch_set(self, keys: Sequence[Key], memoryviews: Sequence[Any]) -> int:
        """Writes each buffer under the key of the same position; returns the batch's id."""
        return self._submit(self._batch("put", keys, memoryviews)).id

    def submit_batch_exists(self, keys: Sequence[Key]) -> int:
        """Asks which keys are there; returns the batch's id."""
        return self._submit(self._batch("contains", keys)).id

    def submit_batch_delete(self, keys: Sequence[Key]) -> int:
        """Removes keys; returns the batch's id."""
        return self._submit(self._batch("remove", keys)).id

    def event_fd(self) -> int:
        """A descriptor that is readable while there are completions; for poll() and loops only.

        Stays the same until the client is closed and drained; -1 after that.
        """
        return self._fd

    def drain_completions(self) -> List[Completion]:
        """Takes all completions there are, without waiting: [(id, ok, error, found)].

        Every batch has exactly one, also after close() or with a server that has gone.  found has
        a bool for each key (set: None).  ok: a get or delete stays ok when single keys fail.
        """
        return [batch.completion() for batch in self._drain()]

    def cancel(self, batch_id: int) -> bool:
        """Ends a batch early; its completion comes soon.  False: it has ended already."""
        with self._using():
            return _lib.nkv_queue_cancel(self._queue, batch_id) == OK

    # -- calls that wait --

    def contains(self, keys: Sequence[Key]) -> List[bool]:
        """Which keys are there.  Answered from memory where the library knows."""
        return self._now("contains", _lib.nkv_lmcache_contains, keys)

    def remove(self, keys: Sequence[Key]) -> List[bool]:
        """Removes keys; which of them were there."""
        return self._now("remove", _lib.nkv_lmcache_remove, keys)

    def list(self, prefix: Key = b"") -> List[bytes]:
        """The chunks whose key begins with prefix.  Goes through all keys of the server."""
        found: Dict[bytes, None] = {}

        def each(key: _Str, _ud: Any) -> int:
            found[ctypes.string_at(key.data, key.len)] = None
            return 0

        start = _Buffer(_key_bytes(prefix) if prefix else b"", False)
        with self._using():
            call = self._call()
            _check(_lib.nkv_lmcache_list(self._store, _Str(start.address, start.size), _EACH(each),
                                         None, ctypes.byref(call)), call.error)
        return [*found]

    def ping(self) -> None:
        """Returns if the server answers, else raises Error."""
        with self._using():
            call = self._call()
            _check(_lib.nkv_lmcache_ping(self._store, ctypes.byref(call)), call.error)

    def wait_ready(self, timeout: float = 5.0) -> None:
        """Waits until lookups can be answered from memory; raises Error if they cannot be."""
        error = _Error()
        with self._using():
            _check(_lib.nkv_client_wait_ready(self._client, int(timeout * 1000),
                                              ctypes.byref(error)), error)

    # -- life --

    def close(self) -> None:
        """Ends what is under way, with a completion each, and all connections and threads.

        When it returns nobody touches a buffer any more.  Calling it again does nothing.
        """
        if self._pid != os.getpid():  # the threads that would answer are the parent's
            return
        with self._lock:
            if self._closing or self._closed:
                self._lock.wait_for(lambda: self._closed)
                return
            self._closing = True
        _lib.nkv_queue_close(self._queue)
        with self._lock:
            self._lock.wait_for(lambda: self._users == 0)
        left = self._take()
        while _lib.nkv_queue_wait(self._queue, 1000) != NOT_FOUND:
            left += self._take()
        self._destroy()
        # There are none, or the library has broken its word; ours holds.
        for batch in self._pending.values():
            batch.finish(ECLOSED, "")
            left.append(batch)
        self._pending.clear()
        with self._lock:
            self._left += left
            # Readable also when nothing is left, so that whoever waits there looks once more.
            os.write(self._fd, struct.pack("@Q", 1))
            self._closed = True
            self._lock.notify_all()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()
            self._forget_fd()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<nearkv_lmcache.Client {self.layout}, {state}>"

    # -- within --

    @contextlib.contextmanager
    def _using(self) -> Iterator[None]:
        """Around every call of the library: close() waits until none is under way."""
        if self._pid != os.getpid():
            raise Error(ECLOSED, "a client does not survive fork(): make one in the child")
        with self._lock:
            if self._closing or self._closed:
                raise Error(ECLOSED, "the client is closed")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._closing and self._users == 0:
                    self._lock.notify_all()

    @staticmethod
    def _call(priority: int = 0) -> _Call:
        call = _Call()
        _lib.nkv_call_init_sized(ctypes.byref(call), ctypes.sizeof(call))
        call.priority = priority
        return call

    def _batch(self, op: str, keys: Sequence[Any], views: Optional[Sequence[Any]] = None,
               metas: Optional[Sequence[Metadata]] = None, want_metas: bool = False) -> _Batch:
        names = _key_list(keys)
        if not names:
            raise ValueError("the list of keys is empty")
        if views is None:
            return _Batch(op, names, None, metas, want_metas)
        if len(views) != len(names):
            raise ValueError(f"{len(names)} keys, but {len(views)} buffers")
        buffers: List[_Buffer] = []
        try:
            for view in views:
                buffers.append(_Buffer(view, op != "put"))
            sizes = {buffer.size for buffer in buffers}
            if self._equal and len(sizes) > 1:
                raise ValueError("the buffers of a batch have different sizes (see mixed_sizes)")
            if self._chunk_bytes and self._equal and sizes != {self._chunk_bytes}:
                raise ValueError(f"a buffer has not the {self._chunk_bytes} bytes of a chunk")
            return _Batch(op, names, buffers, metas, want_metas)
        except BaseException:
            for buffer in buffers:
                buffer.release()
            raise

    def _submit(self, batch: _Batch, priority: int = 0) -> _Batch:
        token = next(self._tokens)
        call = self._call(priority) if priority else None
        at = ctypes.addressof(call) if call is not None else None
        ticket = _Ticket(self._queue, at, token, 0)
        try:
            with self._using():
                # Before the call: another thread may drain the completion before it returns.
                self._pending[token] = batch
                status = _SUBMIT[batch.op](self._store, batch.address, batch.n,
                                           ctypes.byref(ticket))
                if status < 0:
                    del self._pending[token]
                    raise Error(status)
                batch.id = ticket.id
        except BaseException:
            batch.release()
            raise
        return batch

    def _now(self, op: str, function: Callable[..., int], keys: Sequence[Any]) -> List[bool]:
        if not keys:
            return []
        batch = self._batch(op, keys)
        with self._using():
            call = self._call()
            status = function(self._store, batch.address, batch.n, ctypes.byref(call))
            batch.finish(status, _text(call.error))
        _check(status, call.error)
        return batch.found()

    def _drain(self) -> List[_Batch]:
        with self._lock:
            if self._closing or self._closed or self._pid != os.getpid():
                taken, self._left = self._left, []
                if self._closed:
                    self._forget_fd()
                return taken
        try:
            with self._using():
                return self._take()
        except Error:  # closed meanwhile
            return self._drain()

    def _take(self) -> List[_Batch]:
        taken = []
        completions = _COMPLETIONS()
        room = len(completions)
        n = room
        while n == room:
            n = _lib.nkv_queue_drain(self._queue, ctypes.byref(completions), room)
            for completion in completions[:n]:
                batch = self._pending.pop(completion.ud)
                batch.id = completion.id
                batch.finish(completion.status, _text(completion.error), completion.prefix)
                taken.append(batch)
        return taken

    def _destroy(self) -> None:
        _lib.nkv_lmcache_destroy(self._store)
        _lib.nkv_client_destroy(self._client)
        _lib.nkv_queue_destroy(self._queue)
        self._store = self._client = self._queue = ctypes.c_void_p()

    def _forget_fd(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0 and self._pid == os.getpid():
            os.close(fd)


def _set_option(settings: _Options, name: str, setting: Any) -> None:
    """Sets a field by its name in docs/OPTIONS.md."""
    target: Any = settings
    *path, last = name.split(".")
    for part in path:
        target = getattr(target, part, None)
    kinds = dict(getattr(target, "_fields_", ()))
    kind = kinds.get(last)
    numbers = (ctypes.c_int, ctypes.c_int64, ctypes.c_size_t, ctypes.c_double)
    if last == "struct_size" or kind not in (*numbers, ctypes.c_char_p):
        raise ValueError(f"options: there is no number or text {name}")
    setattr(target, last, setting.encode() if isinstance(setting, str) else setting)


# ---- The connector ------------------------------------------------------------------------------


class Chunk:
    """A chunk in memory of Python's: what RemoteConnector reads into without an allocator."""

    __slots__ = ("byte_array", "metadata")

    def __init__(self, data: Any, metadata: Optional[Metadata] = None) -> None:
        self.byte_array = memoryview(data).cast("B")
        self.metadata = metadata or Metadata.of_bytes(len(self.byte_array))

    @classmethod
    def allocate(cls, meta: Metadata) -> Chunk:
        """Room for a chunk."""
        return cls(bytearray(meta.length), meta)


def _describe(chunk: Any, length: int) -> Metadata:
    """The metadata of a Chunk, or of LMCache's MemoryObj."""
    if isinstance(getattr(chunk, "metadata", None), Metadata):
        return chunk.metadata
    if hasattr(chunk, "get_shapes") and hasattr(chunk, "get_dtypes"):
        shapes, dtypes = chunk.get_shapes(), chunk.get_dtypes()
    else:
        shapes, dtypes = [chunk.get_shape()], [chunk.get_dtype()]
    return Metadata.of(length, shapes, dtypes, chunk.get_memory_format())


class RemoteConnector:
    """LMCache's remote connector, without LMCache.

    url, options   as for Client; here chunks are laid out as LMCache's RedisConnector does it
    loop           may be given as LMCache gives it, but the one that runs the coroutines counts
    allocate       called on the loop with a chunk's Metadata for memory of metadata.length bytes,
                   in whose byte_array the chunk is put; None: no room, the chunk counts as
                   missing.  An object with ref_count_down() gets it when it is not handed out
                   after all, but never while the library may still write to it.
    chunk_meta     single_key: the Metadata that `allocate` is called with

    Keys are LMCache's objects (with to_string()), or str, or bytes.  A failed call raises Error,
    which LMCache takes as a miss; what single keys of a batch could not do does not fail the rest.
    """

    def __init__(
        self,
        url: str,
        loop: Optional[asyncio.AbstractEventLoop] = None,
        allocate: Optional[Callable[[Metadata], Any]] = None,
        *,
        layout: str = "plain_suffix",
        chunk_meta: Optional[Metadata] = None,
        chunk_bytes: int = 0,
        **options: Any,
    ) -> None:
        if layout == "single_key":
            if chunk_meta is None and chunk_bytes < 1:
                raise ValueError("single_key: chunk_bytes or chunk_meta must say how large "
                                 "chunks are, nothing in Redis does")
            chunk_meta = chunk_meta or Metadata.of_bytes(chunk_bytes)
            chunk_bytes = chunk_meta.length
        self.loop = loop
        self._chunk_meta = chunk_meta if layout == "single_key" else None
        self._allocate = allocate or Chunk.allocate
        self._attached: Optional[asyncio.AbstractEventLoop] = None
        self._fd = -1
        self._native = Client(url, layout, chunk_bytes=chunk_bytes, **options)

    # -- lookups --

    async def exists(self, key: Any) -> bool:
        """Is the chunk there?"""
        return await self.batched_async_contains("", [key]) == 1

    def exists_sync(self, key: Any) -> bool:
        """The same, waiting; may be called anywhere, on the loop's thread too."""
        return self._native.contains([key])[0]

    async def batched_async_contains(self, lookup_id: str, keys: Sequence[Any],
                                     pin: bool = False) -> int:
        """How many leading chunks are there.  Nothing can be pinned in Redis."""
        if not keys:
            return 0
        batch = await self._run(self._native._batch("contains", keys))
        self._raise_if_nothing(batch, batch.prefix)
        return batch.prefix

    def batched_contains(self, keys: Sequence[Any]) -> int:
        """The same, waiting."""
        there = self._native.contains(keys)
        return there.index(False) if False in there else len(there)

    # -- chunks --

    async def get(self, key: Any) -> Optional[Any]:
        """The chunk, or None."""
        return (await self.batched_get([key]))[0]

    async def batched_get(self, keys: Sequence[Any]) -> List[Optional[Any]]:
        """The chunk of each key, None where there is none."""
        return await self._fetch(keys, "get")

    async def batched_get_non_blocking(self, lookup_id: str, keys: Sequence[Any]) -> List[Any]:
        """The chunks up to the first that is not there."""
        return await self._fetch(keys, "get_prefix")

    async def put(self, key: Any, memory_obj: Any) -> None:
        """Writes a chunk."""
        await self.batched_put([key], [memory_obj])

    async def batched_put(self, keys: Sequence[Any], memory_objs: Sequence[Any]) -> None:
        """Writes chunks; raises the first error after all were tried."""
        if not keys:
            return
        metas = None
        if self._chunk_meta is None:
            metas = []
            for chunk in memory_objs:
                with memoryview(chunk.byte_array) as view:
                    metas.append(_describe(chunk, view.nbytes))
        views = [chunk.byte_array for chunk in memory_objs]
        batch = self._native._batch("put", keys, views, metas)
        # Whoever stops waiting may give its references back at once: these are ours.
        for chunk in memory_objs:
            if hasattr(chunk, "ref_count_up"):
                chunk.ref_count_up()
                batch.owned.append(chunk)
        batch = await self._run(batch)
        self._release(batch.owned)
        _raise(batch)

    async def remove(self, key: Any) -> bool:
        """Removes a chunk; was it there?"""
        batch = await self._run(self._native._batch("remove", [key]))
        _raise(batch)
        return batch.found()[0]

    def remove_sync(self, key: Any) -> bool:
        """The same, waiting."""
        return self._native.remove([key])[0]

    # -- everything else --

    async def list(self, prefix: Key = "") -> List[str]:
        """The keys of all chunks, or of those whose key begins with prefix."""
        loop = asyncio.get_running_loop()
        keys = await loop.run_in_executor(None, self._native.list, prefix)
        return [key.decode("utf-8", "surrogateescape") for key in keys]

    async def ping(self) -> int:
        """0 if the server answers, else the number of an error."""
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._native.ping)
        except Error as error:
            return -error.status
        return 0

    async def close(self) -> None:
        """Ends what is under way, which then fails, and all connections and threads."""
        if self._attached is not None:
            self._attached.remove_reader(self._fd)
            self._attached = None
        await asyncio.get_running_loop().run_in_executor(None, self._native.close)
        self._on_ready()

    def support_ping(self) -> bool:
        """There is ping()."""
        return True

    def support_batched_get(self) -> bool:
        """There is batched_get()."""
        return True

    def support_batched_put(self) -> bool:
        """There is batched_put()."""
        return True

    def support_batched_contains(self) -> bool:
        """There is batched_contains()."""
        return True

    def support_batched_async_contains(self) -> bool:
        """There is batched_async_contains()."""
        return True

    def support_batched_get_non_blocking(self) -> bool:
        """There is batched_get_non_blocking()."""
        return True

    def post_init(self) -> None:
        """Everything is done already."""

    def __repr__(self) -> str:
        return f"<nearkv {self._native.layout}>"

    # -- within --

    async def _run(self, batch: _Batch, priority: int = 0) -> _Batch:
        """Submits a batch and waits for its completion.

        What batch.owned holds is the caller's again when this returns.  If it is cancelled, that
        is given back here, but not before the library is done with it.
        """
        try:
            loop = asyncio.get_running_loop()
            self._attach(loop)
            batch.future = future = loop.create_future()
            self._native._submit(batch, priority)
        except BaseException:
            self._release(batch.owned)
            raise
        try:
            await future
        except asyncio.CancelledError:
            if future.cancelled():
                with contextlib.suppress(Error):
                    self._native.cancel(batch.id)
            else:  # answered and cancelled in the same turn of the loop
                self._release(batch.owned)
            raise
        finally:
            batch.future = None  # it holds the batch
        return batch

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        # Here and not in __init__, which LMCache calls from another thread than the loop's.
        if self._attached is loop:
            return
        if self._attached is not None:
            raise RuntimeError("a connector belongs to one loop")
        fd = self._native.event_fd()
        if fd >= 0:
            loop.add_reader(fd, self._on_ready)
            self._attached, self._fd = loop, fd

    def _on_ready(self) -> None:
        for batch in self._native._drain():
            future = batch.future
            if future is not None and not future.done():  # else whoever waited was cancelled
                future.set_result(batch)
            else:
                self._release(batch.owned)

    async def _lookup(self, keys: Sequence[Any], op: str) -> List[Optional[Metadata]]:
        """The metadata of each chunk, None where there is none (a prefix: and behind)."""
        batch = await self._run(self._native._batch("contains", keys,
                                                    want_metas=self._chunk_meta is None))
        there = batch.found()
        if op == "get_prefix":
            there[batch.prefix:] = [False] * (len(there) - batch.prefix)
        self._raise_if_nothing(batch, any(there))
        return [(self._chunk_meta or batch.metadata(i)) if found else None
                for i, found in enumerate(there)]

    async def _fetch(self, keys: Sequence[Any], op: str) -> List[Any]:
        # The lookup costs no round trip more: the library would ask for the metadata anyway, and
        # has it in its cache for the second step.  Between the two we allocate, in our own thread.
        if not keys:
            return []
        metas = await self._lookup(keys, op)
        chunks: List[Any] = [None] * len(keys)
        views: List[memoryview] = []
        wanted: List[int] = []
        try:
            for i, meta in enumerate(metas):
                if meta is not None:
                    chunks[i] = self._allocate(meta)
                if chunks[i] is not None:
                    views.append(memoryview(chunks[i].byte_array).cast("B")[: meta.length])
                    wanted.append(i)
                elif op == "get_prefix":
                    break
        except BaseException:
            self._release(chunks)
            raise
        if wanted:
            await self._fill(keys, op, metas, chunks, wanted, views)
        return chunks[: chunks.index(None)] if op == "get_prefix" and None in chunks else chunks

    async def _fill(self, keys: Sequence[Any], op: str, metas: List[Optional[Metadata]],
                    chunks: List[Any], wanted: List[int], views: List[memoryview]) -> None:
        """Reads the wanted chunks; what could not be read is released and becomes None."""
        try:
            batch = self._native._batch(op, [keys[i] for i in wanted], views,
                                        want_metas=self._chunk_meta is None)
        except BaseException:
            self._release(chunks)
            raise
        batch.owned = [chunks[i] for i in wanted]
        batch = await self._run(batch, _PREFETCH if op == "get_prefix" else 0)
        full = batch.found()
        for at, i in enumerate(wanted):
            # Another shape than a moment ago is not what room was made for.
            same = self._chunk_meta is not None or full[at] and batch.metadata(at) == metas[i]
            if not full[at] or not same:
                self._release([chunks[i]])
                chunks[i] = None
        if op == "get_prefix" and None in chunks:
            first = chunks.index(None)
            self._release(chunks[first:])
            chunks[first:] = [None] * (len(chunks) - first)
        if batch.status != ESIZE:  # that is a chunk which has grown since we looked: a miss
            self._raise_if_nothing(batch, any(chunk is not None for chunk in chunks))

    @staticmethod
    def _raise_if_nothing(batch: _Batch, something: Any) -> None:
        if not something:
            _raise(batch)

    @staticmethod
    def _release(chunks: Sequence[Any]) -> None:
        for chunk in chunks:
            if hasattr(chunk, "ref_count_down"):
                chunk.ref_count_down()


def _raise(batch: _Batch) -> None:
    if batch.status < 0:
        raise Error(batch.status, batch.error)
