"""Passwords of people: kept as Argon2id, and compared in the same time whether somebody of that name is there or not.

Sources: RFC 9106; the least parameters of the OWASP Password Storage Cheat Sheet; RFC 8265 for what is the same password.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import unicodedata
from typing import TYPE_CHECKING

from fileferry.errors import InvalidParameter

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 10
"""How many characters a password has at least."""
LONGEST = 256

_ROUNDS, _MEMORY_KIB, _LANES = 2, 19 * 1024, 1
_AT_ONCE = 2  # so that those who try many take 38 MiB of memory, and no more


class Passwords:
    """Makes and compares what is stored of passwords, a few at a time and beside the loop."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def digest(self, password: str, name: str) -> str:
        """Return what is stored; raises InvalidParameter for one that is too short, too long, or the name itself."""
        if not SHORTEST <= len(password) <= LONGEST:
            raise InvalidParameter(f"A password has {SHORTEST} to {LONGEST} characters.", parameter="password")
        if len(set(password)) < 4 or name.casefold() == password.casefold():
            raise InvalidParameter("This password can be guessed: take another one.", parameter="password")
        async with self._turns:
            return await asyncio.to_thread(_hash, _same(password))

    async def is_right(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one that ``kept`` was made of; None takes as long, and is nobody's."""
        async with self._turns:
            shown = _same(password[: LONGEST + 1])
            return await asyncio.to_thread(_verify, kept or _nobodys(), shown) and kept is not None


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_ROUNDS, memory_cost=_MEMORY_KIB, parallelism=_LANES)


def _hash(word: bytes) -> str:
    return _hasher().hash(word)


def _verify(kept: str, word: bytes) -> bool:
    from argon2.exceptions import VerifyMismatchError

    try:
        return _hasher().verify(kept, word)
    except VerifyMismatchError:
        return False


@functools.cache
def _nobodys() -> str:
    """Return the digest of a password that nobody knows."""
    return _hash(secrets.token_bytes(16))


def _same(password: str) -> bytes:
    """Return the bytes of a password: the same letters may be typed in several ways."""
    return unicodedata.normalize("NFC", password).encode(errors="surrogatepass")
