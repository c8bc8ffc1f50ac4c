"""Requests that are almost right: valid ones, with some of their words cut, doubled, moved, encoded again or replaced by what
parsers stumble over. What a valid one looks like is in ``words`` and ``specimens``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from random import Random

from unit import specimens, words
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
    b"%",
    b"%2",
    b"%2F",
    b"%252e%252e%252f",
    b"//",
    b"\r",
    b"\r\n\r\n",
    b"--b",
    b"--b--",
    b"--",
    b"filename*=utf-8''%ff",
    b'filename="\\"',
    b"bytes=-0",
    b"bytes=9-0, 0-",
    b"bytes */*",
    b"bytes 18446744073709551615-18446744073709551616/*",
    b"W/",
    b"*",
    b"<![CDATA[",
    b"<!DOCTYPE a [",
    b"</",
    b"&#0;",
    b"\xef\xbb\xbf",
    b"+",
    b"====",
    b"::1",
    b"[::1]:0",
    b"@",
    b":99999",
    b"\x1f",
]
_METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")
_BOUNDARY = re.compile(rb"boundary=([^;]+)")
_ENCODED = re.compile(rb"[A-Za-z0-9+/]{4,}={0,2}")
_MOST_GROWTH = 256 * 1024
"""How long mutations may make a request; beyond, the rows of ``words`` have their turn."""


def mutations(stage: Stage, seed: int, count: int) -> Iterator[Sent]:
    """Yield that many requests, made by the same choices for the same seed.

    After some hundreds the service has other limits, keys and uploads than it began with: a long trial begins with a new one.
    """
    random = Random(seed)
    base = _bases(stage)
    for _ in range(count):
        sent = random.choice(base)
        for _ in range(random.randint(1, 3)):
            sent = random.choice(_WAYS)(random, sent)
        yield sent


def _bases(stage: Stage) -> list[Sent]:
    """Return a request for every field that there is, with something short in it, and a whole one of each protocol and API."""
    sources = (words.rows_of_the_schema, words.rows_of_headers, words.rows_of_bodies)
    fields = [row.fill("1") for source in sources for row in source(stage)]
    # The whole ones are fewer and hold more: each of the two kinds is mutated about as often.
    whole = specimens.requests(stage)
    return fields + whole * (len(fields) // len(whole))


def _with_another_address(random: Random, sent: Sent) -> Sent:
    # A server takes only what has no blanks and is ASCII for an address.
    return sent._replace(target=_address(b"/" + _changed(random, sent.target[1:])))


def _with_an_encoded_address(random: Random, sent: Sent) -> Sent:
    """Encode one byte of the address that needs it or not, in either spelling, or a percent sign again."""
    place = random.randrange(1, len(sent.target)) if len(sent.target) > 1 else 0
    byte = sent.target[place]
    encoded = random.choice((b"%%%02x", b"%%%02X", b"%%25%02X", b"%%%02X%%00")) % byte
    return sent._replace(target=sent.target[:place] + encoded + sent.target[place + 1 :])


def _with_another_parameter(random: Random, sent: Sent) -> Sent:
    """Double, drop or move a query parameter, or change its value."""
    path, _, query = sent.target.partition(b"?")
    parameters = query.split(b"&") if query else []
    if not parameters:
        return sent._replace(target=path + b"?" + _address(random.choice(_TOKENS)))
    place = random.randrange(len(parameters))
    name, _, value = parameters[place].partition(b"=")
    changed = name + b"=" + _address(_changed(random, value)).replace(b"&", b"%26")
    instead = random.choice(([], [parameters[place]] * 2, [parameters[place], changed], [changed], [name]))
    parameters[place : place + 1] = instead
    return sent._replace(target=path + b"?" + b"&".join(parameters))


def _with_one_header_more(random: Random, sent: Sent) -> Sent:
    name = random.choice(specimens.HEADERS).encode()
    value = random.choice((*_TOKENS, *specimens.VALUES))
    return sent._replace(headers=(*sent.headers, (name, _field(_changed(random, value)))))


def _with_another_header(random: Random, sent: Sent) -> Sent:
    """Change, drop or double a header that the request has; of a doubled one the two may differ."""
    if not sent.headers:
        return _with_one_header_more(random, sent)
    place = random.randrange(len(sent.headers))
    name, value = sent.headers[place]
    changed = (name, _field(_changed(random, value)))
    instead = random.choice((((name, value), changed), (changed, (name, value)), (changed,), (changed,), ()))
    return sent._replace(headers=(*sent.headers[:place], *instead, *sent.headers[place + 1 :]))


def _with_another_body(random: Random, sent: Sent) -> Sent:
    return sent._replace(body=_changed(random, sent.body))


def _with_another_boundary(random: Random, sent: Sent) -> Sent:
    """Change the boundary of a form, in its header and its body alike, so that what is within is read."""
    for name, value in sent.headers:
        found = _BOUNDARY.search(value) if name.lower() == b"content-type" else None
        if found is not None:
            boundary = _field(_changed(random, found[1]))
            headers = tuple((each, text.replace(found[1], boundary)) for each, text in sent.headers)
            return sent._replace(headers=headers, body=sent.body.replace(found[1], boundary)[:_MOST_GROWTH])
    return _with_another_body(random, sent)


def _with_other_base64(random: Random, sent: Sent) -> Sent:
    """Change what base64 stands for, in a header or the body, so that it still decodes: metadata, digests, block ids."""
    headers = list(sent.headers)
    random.shuffle(headers)
    for name, value in headers:
        if _ENCODED.search(value):
            changed = (name, _recoded(random, value))
            return sent._replace(headers=tuple(changed if each == (name, value) else each for each in sent.headers))
    return sent._replace(body=_recoded(random, sent.body))


def _with_another_method(random: Random, sent: Sent) -> Sent:
    return sent._replace(method=random.choice(_METHODS))


_WAYS: list[Callable[[Random, Sent], Sent]] = [
    _with_another_address,
    _with_another_parameter,
    _with_an_encoded_address,
    _with_one_header_more,
    _with_one_header_more,
    _with_another_header,
    _with_another_header,
    _with_another_body,
    _with_another_body,
    _with_another_body,
    _with_another_boundary,
    _with_other_base64,
    _with_another_method,
]


def _recoded(random: Random, text: bytes) -> bytes:
    found = random.choice(list(_ENCODED.finditer(text)) or [None])
    if found is None:
        return _changed(random, text)
    try:
        decoded = base64.b64decode(found[0])
    except binascii.Error:
        return _changed(random, text)
    return text[: found.start()] + base64.b64encode(_changed(random, decoded)) + text[found.end() :]


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
    """Return what a server can get as the value of a header: no ends of lines in it, nor blanks around it."""
    return value.replace(b"\r", b"").replace(b"\n", b"").strip(b" \t")
