"""Passphrases of links that people are sent: kept as digests that are slow to guess, and tried a bounded number of times.

Source: RFC 7914 (scrypt). Its parameters are those of the OWASP Password Storage Cheat Sheet for the least memory.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import unicodedata
from datetime import timedelta

from fileferry.engine.access.links import Links
from fileferry.engine.access.rates import Rates
from fileferry.errors import InvalidParameter, PassphraseRequired
from fileferry.model import Clock

SHORTEST = 6
"""How many characters a passphrase has at least."""
LONGEST = 256
UNLOCKED_FOR = timedelta(hours=12)
"""How long a browser need not send the passphrase again."""

_COST, _BLOCK, _LANES = 2**14, 8, 5  # 16 MiB of memory, and some hundred milliseconds
_MEMORY = 64 * 1024 * 1024
_SALT_BYTES, _KEY_BYTES = 16, 32
_AT_ONCE = 2


class Passphrases:
    """Makes digests, and judges what is shown of a passphrase."""

    def __init__(self, links: Links, rates: Rates, clock: Clock) -> None:
        self._links = links
        self._rates = rates
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def digest(self, passphrase: str) -> str:
        """Return what is kept of a passphrase; raises InvalidParameter for one that is too short or too long."""
        if not SHORTEST <= len(passphrase) <= LONGEST:
            raise InvalidParameter(f"A passphrase has {SHORTEST} to {LONGEST} characters.", parameter="passphrase")
        salt = secrets.token_bytes(_SALT_BYTES)
        return f"scrypt${_text(salt)}${_text(await self._derive(passphrase, salt))}"

    async def unlock(self, link_id: str, kept: str, passphrase: str, address: str) -> str:
        """Return what shows from now on that the passphrase of a link was known; see ``UNLOCKED_FOR``.

        ``kept`` is its digest. Raises PassphraseRequired for another one, and RateLimited for too many.
        """
        await self._rates.spend_guess(link_id, address)  # first: what is tried at the same time counts too
        _scheme, salt, key = kept.split("$")
        is_right = len(passphrase) <= LONGEST and hmac.compare_digest(
            await self._derive(passphrase, base64.b64decode(salt)), base64.b64decode(key)
        )
        if not is_right:
            raise PassphraseRequired("This is not the passphrase of the link.")
        await self._rates.forgive_guess(link_id, address)
        return self._links.unlocked(link_id, kept, self._clock() + UNLOCKED_FOR)

    def is_unlocked(self, link_id: str, kept: str | None, shown: str | None) -> bool:
        """Whether a link has no passphrase, or ``shown`` is what ``unlock`` returned for the one that it has now."""
        if kept is None:
            return True
        return shown is not None and self._links.is_unlocked(shown, link_id, kept, self._clock())

    async def _derive(self, passphrase: str, salt: bytes) -> bytes:
        # The same letters may be typed in several ways.
        word = unicodedata.normalize("NFC", passphrase).encode()
        async with self._turns:
            return await asyncio.to_thread(
                hashlib.scrypt, word, salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=_KEY_BYTES
            )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
