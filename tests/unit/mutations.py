"""Requests that are almost right: valid ones, with some of their words cut, doubled or replaced by what parsers stumble over."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from unit import words
from unit.words import Sent, Stage

_TOKENS = [
    b"\xff",
    b"%ff",
    b"%00",
    b"%ed%a0%80",
    b"%C2%B2",
    b"\xc2\xb2",
    b"\\ud800",
    b"\\u0000",
    b"\xef\xbc\x91",
    b"9" * 20,
    b"9" * 5000,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"{}",
    b"[[]]",
    b'"',
    b"\\",
    b"<",
    b"&x;",
    b'<?xml version="1.0" encoding="utf-7"?>',
    b" ",
    b"\t",
    b"\xa0",
    b",",
    b";",
    b"=",
    b"=:",
    b"bytes=0-",
    b"bytes 0-0/1",
    b"final;",
    b"/u/x/n",
    b"2030-01-01T00:00:00Z",
    b"0001-01-01T00:00:00+23:59",
    b"9999-12-31T23:59:59-23:59",
    b"Sun, 06 Nov 1994 08:49:37 -9999",
    b"sha-256=:YQ==:",
    b"../",
    words.MARKS.encode() * 50,
]
_HEADERS = sorted({name for rows in (words._READ, words._WRITTEN, words._WRITTEN_BY_URL) for name in rows})


def bases(stage: Stage) -> list[Sent]:
    """Return a request for every field that there is, with something short in it."""
    sources = (words.rows_of_the_schema, words.rows_of_headers, words.rows_of_bodies)
    return [row.fill("1") for source in sources for row in source(stage)]


def mutations(base: list[Sent], seed: int, count: int) -> Iterator[Sent]:
    """Yield that many requests, the same ones for the same seed."""
    random = Random(seed)
    for _ in range(count):
        sent = random.choice(base)
        for _ in range(random.randint(1, 3)):
            sent = _mutated(random, sent)
        yield sent


def _mutated(random: Random, sent: Sent) -> Sent:
    choice = random.randrange(5)
    if choice == 0:
        # A server takes only what has no blanks and is ASCII for an address.
        return sent._replace(target=_address(b"/" + _changed(random, sent.target[1:])))
    if choice == 1 or (choice == 2 and not sent.headers):
        name = random.choice(_HEADERS).encode()
        return sent._replace(headers=(*sent.headers, (name, _field(_changed(random, random.choice(_TOKENS))))))
    if choice == 2:
        place = random.randrange(len(sent.headers))
        name, value = sent.headers[place]
        changed = (name, _field(_changed(random, value)))
        return sent._replace(headers=(*sent.headers[:place], changed, *sent.headers[place + 1 :]))
    return sent._replace(body=_changed(random, sent.body))


def _changed(random: Random, text: bytes) -> bytes:
    first, last = sorted((random.randint(0, len(text)), random.randint(0, len(text))))
    last = min(last, first + 20)
    kind = random.randrange(4)
    if kind == 0:
        return text[:first] + random.choice(_TOKENS) + text[first:]
    if kind == 1:
        return text[:first] + random.choice(_TOKENS) + text[last:]
    if kind == 2:
        return text[:first] + text[last:]
    return text[:first] + text[first:last] * random.randint(2, 50) + text[last:]


def _address(target: bytes) -> bytes:
    return b"".join(b"%%%02X" % byte if byte <= 0x20 or byte >= 0x7F else bytes([byte]) for byte in target)


def _field(value: bytes) -> bytes:
    return value.strip(b" \t")
