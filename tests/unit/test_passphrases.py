"""How passphrases are kept: as digests that are slow to derive, each with a salt of its own."""

from __future__ import annotations

import asyncio
import base64
import hashlib

from fileferry.engine.access.links import Links
from fileferry.engine.access.passphrases import Passphrases
from fileferry.engine.access.rates import Rates
from fileferry.model import utc_now


def test_a_digest_is_that_of_scrypt_with_a_salt_of_its_own() -> None:
    rates: Rates = None  # type: ignore[assignment]
    made = Passphrases(Links({1: b"secret"}), rates, utc_now)
    first, second = (asyncio.run(made.digest("blue ferry 7")) for _ in range(2))
    assert first != second
    scheme, salt, key = first.split("$")
    expected = hashlib.scrypt(b"blue ferry 7", salt=base64.b64decode(salt), n=2**14, r=8, p=5, maxmem=2**26, dklen=32)
    assert (scheme, base64.b64decode(key)) == ("scrypt", expected)
