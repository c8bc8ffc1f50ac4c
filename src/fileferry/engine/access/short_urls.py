"""Short URLs: what a signed URL says is kept in a row here, and the URL is a path with a token and nothing else.

They are for whoever cannot carry a long one unharmed, as language models cannot. A token has a check in it, so that one that was
harmed is told apart from one that was guessed or has ended. Like signed URLs they grant nothing by themselves.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

import msgspec

from fileferry.db import short_urls
from fileferry.db.database import Database
from fileferry.engine.access.links import Right
from fileferry.engine.access.rates import Rates
from fileferry.errors import LinkRefused, MangledURL
from fileferry.model import Clock

# Without i, l, o and u, which are read as others or make words (Crockford's Base32). 26 of them are 130 bits.
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_SECRET_LENGTH = 26
_CHECK_LENGTH = 4  # one harmed token in a million passes, and is then refused as one that was guessed


class Kind(enum.StrEnum):
    """What a short URL is for."""

    UPLOAD = "upload"
    VERSION = "version"
    BATCH = "batch"


class Target(msgspec.Struct, frozen=True):
    """What a short URL is for, until when, and by what right it was asked for."""

    kind: Kind
    id: str
    right: Right
    ends_at: datetime


class ShortUrls:
    """The short URLs of all organizations."""

    def __init__(self, database: Database, rates: Rates, clock: Clock) -> None:
        self._database = database
        self._rates = rates
        self._clock = clock

    async def make(self, targets: Sequence[Target], *, has_room: bool = False) -> list[str]:
        """Return a new token for each target, in their order; nothing keeps the token itself. Those made before stay good.

        Raises InsufficientStorage on a full disk, unless whoever asks had room before for what these finish.
        """
        tokens = [new_token() for _ in targets]
        rows = [
            {
                "digest": _digest(token),
                "kind": target.kind.value,
                "target_id": target.id,
                "key_id": target.right.key_id,
                "secret": target.right.secret,
                "expires_at": target.ends_at,
            }
            for token, target in zip(tokens, targets, strict=True)
        ]
        if rows:
            await (self._database.write if has_room else self._database.grow)(short_urls.insert_many, rows)
        return tokens

    async def find(self, token: str, client: str) -> Target:
        """Return what a token is for; whether its right still holds is for those to say who keep the target.

        ``client`` is the address that asks. Raises MangledURL for one that was harmed, LinkRefused for one that has ended or
        never was, and RateLimited for an address that has named too many of those.
        """
        check(token)
        await self._rates.refuse_guesser(client)
        row = await self._database.lookup(short_urls.find, _digest(token))
        if row is None:
            await self._rates.count_guess(client)
            raise LinkRefused()
        kind, target_id, key_id, secret, ends_at = row
        if ends_at <= self._clock():
            raise LinkRefused()
        return Target(Kind(kind), target_id, Right(key_id, secret), ends_at)


def new_token() -> str:
    """Return a token that nobody can guess, with its check."""
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
    return secret + _check_of(secret)


def check(token: str) -> None:
    """Return if a token is as one was given; raises MangledURL."""
    secret, said = token[:_SECRET_LENGTH], token[_SECRET_LENGTH:]
    # Compared as it is: one in capitals was changed, and other changes may have come with that.
    if not token.isascii() or said != _check_of(secret):
        raise MangledURL()


def _check_of(secret: str) -> str:
    number = int.from_bytes(hashlib.sha256(secret.encode()).digest()[:4])
    return "".join(_LETTERS[number >> 5 * place & 31] for place in range(_CHECK_LENGTH))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
