"""Digests that can be put aside and taken up again: MD5 and SHA-256 whose state fits in a database row.

Python's hashlib keeps the state to itself, but the OpenSSL library beneath it has functions (MD5_Init, SHA256_Init and so on)
whose state is a plain structure of 92 or 112 bytes. They are found and tried out when this module is loaded. Where that fails
``begin`` returns an ordinary hashlib object, ``state_of`` None, and a digest that was interrupted costs reading the bytes again.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from typing import Any, Protocol

_STRUCTURES = {"md5": ("MD5", 92, 16), "sha256": ("SHA256", 112, 32)}
_TRIED = (b"of a test", b"half")


class Hash(Protocol):
    """What hashlib and this module have in common."""

    def update(self, chunk: bytes, /) -> None:
        """Take the next bytes."""

    def digest(self) -> bytes:
        """Return the digest of the bytes so far."""


class Suspendable:
    """A digest under way; ``state`` puts it aside."""

    def __init__(self, functions: _Functions, state: bytes | None = None) -> None:
        self._functions = functions
        # Room to spare, should a library's structure be larger than it has been for twenty years.
        self._context = ctypes.create_string_buffer(512)
        if state is None:
            functions.init(self._context)
        else:
            ctypes.memmove(self._context, state, len(state))

    def update(self, chunk: bytes) -> None:
        """Take the next bytes; the interpreter's lock is released meanwhile."""
        self._functions.update(self._context, chunk, len(chunk))

    def digest(self) -> bytes:
        """Return the digest of the bytes so far."""
        copy = ctypes.create_string_buffer(self._context.raw, 512)
        result = ctypes.create_string_buffer(self._functions.digest_size)
        self._functions.final(result, copy)
        return result.raw

    def state(self) -> bytes:
        """Return what ``resume`` goes on from."""
        return self._context.raw[: self._functions.state_size]


class _Functions:
    """The three functions of one algorithm in the library."""

    def __init__(self, library: ctypes.CDLL, name: str, state_size: int, digest_size: int) -> None:
        self.state_size = state_size
        self.digest_size = digest_size
        self.init = _function(library, f"{name}_Init", ctypes.c_void_p)
        self.update = _function(library, f"{name}_Update", ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t)
        self.final = _function(library, f"{name}_Final", ctypes.c_void_p, ctypes.c_void_p)


def begin(algorithm: str) -> Hash:
    """Return a digest of nothing yet; ``algorithm`` is "md5" or "sha256"."""
    functions = _FOUND.get(algorithm)
    if functions is None:
        return _hashlib(algorithm)
    return Suspendable(functions)


def resume(algorithm: str, state: bytes) -> Hash | None:
    """Return the digest that was put aside; None where this machine cannot take it up."""
    functions = _FOUND.get(algorithm)
    if functions is None or len(state) != functions.state_size:
        return None
    return Suspendable(functions, state)


def state_of(digest: Hash) -> bytes | None:
    """Return the state to put aside; None where this machine has no access to it."""
    return digest.state() if isinstance(digest, Suspendable) else None


def _function(library: ctypes.CDLL, name: str, *arguments: Any) -> Callable[..., int]:
    function = getattr(library, name)
    function.argtypes = list(arguments)
    function.restype = ctypes.c_int
    found: Callable[..., int] = function
    return found


def _hashlib(algorithm: str) -> Hash:
    digest: Hash = hashlib.new(algorithm, usedforsecurity=False)
    return digest


def _find() -> dict[str, _Functions]:
    """Return the algorithms that the library on this machine computes as hashlib does, also when taken up half-way."""
    try:
        library = ctypes.CDLL("libcrypto.so.3")
        found = {name: _Functions(library, *structure) for name, structure in _STRUCTURES.items()}
    except (OSError, AttributeError):
        return {}
    return {name: functions for name, functions in found.items() if _is_right(name, functions)}


def _is_right(algorithm: str, functions: _Functions) -> bool:
    first = Suspendable(functions)
    for piece in _TRIED:
        first.update(piece * 50)
    second = Suspendable(functions, first.state())
    second.update(_TRIED[0])
    whole = b"".join(piece * 50 for piece in _TRIED) + _TRIED[0]
    return second.digest() == _digest(algorithm, whole)


def _digest(algorithm: str, content: bytes) -> bytes:
    digest = _hashlib(algorithm)
    digest.update(content)
    return bytes(digest.digest())


_FOUND = _find()
