"""What is said of a file by what was seen of its URL and what a service wants of it. Pure: asks nobody.

What is not known is unknown, never passed. What users wrote is in ``found`` and in no sentence.
"""

from __future__ import annotations

import enum
import mimetypes
from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from fileferry.engine.events.egress import is_permitted
from fileferry.engine.preflight.rules import Accepted, Consumer
from fileferry.engine.preflight.visits import Visit, literal_address

_NOT_ASKED = "The server does not know its own address, and has asked nobody."
_SET_ADDRESS = "Have FILEFERRY_BASE_URL set to the address by which others reach this server."
_RANGE_NOT_SATISFIABLE = 416


class Outcome(enum.StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: what it came to, what is to be said of it, what to do, and what was found there."""

    check: str
    outcome: Outcome
    said: str
    advice: str | None = None
    found: str | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The file: its URL, what it is, and how long and how often it can still be fetched. ``media_type`` is that of its version."""

    url: str
    name: str
    media_type: str
    size: int
    ends_at: datetime | None
    fetches_left: int | None


def examine(
    subject: Subject, consumer: Consumer, visit: Visit | None, now: datetime, job: timedelta | None
) -> list[Check]:
    """Return every check, in one order; ``visit`` is None where nothing was asked, ``job`` how long the caller says it takes."""
    media_type = _served_type(subject, visit)
    sorts = [sort for sort in consumer.accepted if sort.takes(media_type)]
    return [
        _reachable(visit),
        _type(media_type, consumer, sorts),
        _extension(subject, media_type, consumer, sorts),
        _size(subject, consumer, sorts),
        _range(subject, consumer, visit),
        _head(consumer, visit),
        _redirects(consumer, visit),
        _certificate(subject, consumer, visit),
        _address(subject, consumer, visit),
        _life(subject, consumer, now, job),
        _fetches(subject, consumer),
    ]


def _passed(check: str, said: str, found: str | None = None) -> Check:
    return Check(check, Outcome.PASSED, said, None, found)


def _failed(check: str, said: str, advice: str, found: str | None = None) -> Check:
    return Check(check, Outcome.FAILED, said, advice, found)


def _unknown(check: str, said: str, advice: str | None = None, found: str | None = None) -> Check:
    return Check(check, Outcome.UNKNOWN, said, advice, found)


def _wanted(check: str, is_wanted: bool | None, said: str, advice: str) -> Check:
    """Return what it comes to that a thing is not there."""
    if is_wanted is None:
        return _unknown(check, f"{said} Whether that is needed is not known.", advice)
    if is_wanted:
        return _failed(check, said, advice)
    return _passed(check, f"{said} It is not needed.")


def _is_redirect(visit: Visit) -> bool:
    return any(page is not None and 300 <= page.status < 400 for page in (visit.head, visit.ranged))


def _reachable(visit: Visit | None) -> Check:
    if visit is None:
        return _unknown("reachable", _NOT_ASKED, _SET_ADDRESS)
    if visit.error is not None or visit.ranged is None:
        return _failed(
            "reachable",
            "The URL does not answer, asked from this server.",
            "See that the server's own address leads to it, through any proxy in front.",
            visit.error,
        )
    if _is_redirect(visit):
        return _unknown("reachable", "The URL leads on to another address, which was not asked.")
    status = visit.ranged.status
    if status in (200, 206, _RANGE_NOT_SATISFIABLE):
        return _passed("reachable", "The URL answers without a key, asked from this server.", str(status))
    return _failed(
        "reachable",
        f"The URL answers {status}.",
        "See that the file is ready and has not ended, and that a proxy in front asks for no password.",
        str(status),
    )


def _served_type(subject: Subject, visit: Visit | None) -> str:
    served = None
    if visit is not None and visit.ranged is not None and visit.ranged.status in (200, 206):
        served = visit.ranged.headers.get("content-type")
    return (served or subject.media_type).partition(";")[0].strip().lower()


def _type(media_type: str, consumer: Consumer, sorts: Sequence[Accepted]) -> Check:
    if not any(sort.types for sort in consumer.accepted):
        return _unknown("media_type", "Which media types are taken is not known.", None, media_type)
    if sorts:
        return _passed("media_type", "Its media type is taken.", media_type)
    return _failed(
        "media_type",
        "Its media type is none of those that are taken.",
        "Convert the file, or upload it again with its right Content-Type.",
        media_type,
    )


def _extension(subject: Subject, media_type: str, consumer: Consumer, sorts: Sequence[Accepted]) -> Check:
    extension = subject.name.rpartition(".")[2].lower() if "." in subject.name else ""
    taken = {each for sort in (sorts or consumer.accepted) for each in sort.extensions}
    advice = "Give the file a name with an extension that fits: PATCH /api/files/{id} with a name."
    if taken:
        if extension in taken:
            return _passed("extension", "The extension of its name is taken.", extension)
        return _failed("extension", "The extension of its name is none of those that are taken.", advice, extension)
    if consumer.needs_fitting_extension is None:
        return _unknown("extension", "Whether the extension counts is not known.", None, extension)
    if not consumer.needs_fitting_extension:
        return _passed("extension", "The extension does not count.", extension)
    guessed = mimetypes.guess_type(f"x.{extension}", strict=False)[0]
    if guessed is None:
        return _unknown("extension", "What the extension of its name stands for is not known.", advice, extension)
    if guessed == media_type:
        return _passed("extension", "The extension of its name fits its media type.", extension)
    return _failed("extension", "The extension of its name stands for another media type.", advice, extension)


def _size(subject: Subject, consumer: Consumer, sorts: Sequence[Accepted]) -> Check:
    most = max((sort.max_size for sort in sorts if sort.max_size is not None), default=consumer.max_size)
    found = f"{subject.size} bytes"
    if most is None:
        return _unknown("size", "How large a file may be is not known.", None, found)
    if subject.size > most:
        return _failed("size", f"It is larger than the {most} bytes that are taken.", "Make the file smaller.", found)
    return _passed("size", f"It is no larger than the {most} bytes that are taken.", found)


def _range(subject: Subject, consumer: Consumer, visit: Visit | None) -> Check:
    if visit is None or visit.ranged is None:
        return _unknown("range", "No part of the file was asked for.", _SET_ADDRESS if visit is None else None)
    if _is_redirect(visit):
        return _unknown("range", "The address that the URL leads on to was not asked.")
    answer = visit.ranged
    if answer.status == 206 and answer.headers.get("content-range") == f"bytes 0-0/{subject.size}":
        return _passed("range", "A part of the file can be fetched.")
    if answer.status == _RANGE_NOT_SATISFIABLE and not subject.size:
        return _passed("range", "The file is empty: it has no parts.")
    if answer.status not in (200, 206):
        return _unknown("range", "The URL gave no part of the file.")
    said = "Asked for a part of the file, the URL does not answer with it."
    return _wanted("range", consumer.needs_range, said, "Let a proxy in front pass the header Range on.")


def _head(consumer: Consumer, visit: Visit | None) -> Check:
    if visit is None or visit.head is None:
        return _unknown("head", "HEAD was not asked.", _SET_ADDRESS if visit is None else None)
    if _is_redirect(visit):
        return _unknown("head", "The address that the URL leads on to was not asked.")
    if visit.head.status == 200 and "content-length" in visit.head.headers:
        return _passed("head", "HEAD is answered, with the size of the file.")
    said = "HEAD is not answered with the size of the file."
    return _wanted("head", consumer.needs_head, said, "Let a proxy in front pass HEAD on.")


def _redirects(consumer: Consumer, visit: Visit | None) -> Check:
    if visit is None or visit.ranged is None:
        return _unknown("redirects", "The URL was not asked.", _SET_ADDRESS if visit is None else None)
    if not _is_redirect(visit):
        return _passed("redirects", "The URL answers by itself.")
    is_refused = None if consumer.follows_redirects is None else not consumer.follows_redirects
    if is_refused is False:
        return _passed("redirects", "The URL leads on to another address, and redirects are followed.")
    said, advice = (
        "The URL leads on to another address.",
        "Add ?redirect=0 to the URL: then the server gives the bytes.",
    )
    if is_refused is None:
        return _unknown("redirects", f"{said} Whether redirects are followed is not known.", advice)
    return _failed("redirects", f"{said} Redirects are not followed.", advice)


def _certificate(subject: Subject, consumer: Consumer, visit: Visit | None) -> Check:
    if urlsplit(subject.url).scheme != "https":
        said, advice = "The URL is http, without a certificate.", "Serve fileferry by https: see the page on proxies."
        return _wanted("certificate", consumer.needs_https, said, advice)
    if visit is None:
        return _unknown("certificate", _NOT_ASKED, _SET_ADDRESS)
    if visit.is_certificate_refused:
        return _failed(
            "certificate",
            "This server does not trust its certificate.",
            "Use a certificate of a public authority, for this host, with the whole chain.",
        )
    if visit.ranged is None:
        return _unknown("certificate", "No certificate was seen.")
    return _passed("certificate", "This server trusts its certificate.")


def _address(subject: Subject, consumer: Consumer, visit: Visit | None) -> Check:
    addresses = literal_address(subject.url) if visit is None else visit.addresses
    if addresses is None:
        return _unknown("address", "Which address its host has was not looked up.", _SET_ADDRESS)
    if not addresses:
        return _failed("address", "Its host has no address.", "See to the name's entry in the DNS.")
    private = [address for address in addresses if not is_permitted(address.partition("%")[0], ())]
    if not private:
        return _passed("address", "Its host is on the public Internet.", addresses[0])
    said = "Its host has a private address, seen from this server."
    advice = "Give others an address that they can reach: a public host name in FILEFERRY_BASE_URL."
    return msgspec.structs.replace(_wanted("address", consumer.needs_public_address, said, advice), found=private[0])


def _life(subject: Subject, consumer: Consumer, now: datetime, job: timedelta | None) -> Check:
    if subject.ends_at is None:
        return _passed("life", "The file does not end by itself.")
    needed = job or (None if consumer.job is None else timedelta(seconds=consumer.job))
    left = max(0, int((subject.ends_at - now).total_seconds()))
    found = f"{left} seconds left"
    advice = "Let it end later: PATCH /api/files/{id} with expires_in."
    if needed is None:
        return _unknown(
            "life", "How long the job may take is not known.", 'Say it: "job": "30m".' if left else advice, found
        )
    if left < needed.total_seconds():
        said = f"The file ends before the {int(needed.total_seconds())} seconds that the job may take."
        return _failed("life", said, advice, found)
    return _passed("life", f"The file lives longer than the {int(needed.total_seconds())} seconds of the job.", found)


def _fetches(subject: Subject, consumer: Consumer) -> Check:
    if subject.fetches_left is None:
        return _passed("fetches", "The file can be fetched any number of times.")
    found = f"{subject.fetches_left} left"
    if consumer.fetches_once and subject.fetches_left:
        return _passed("fetches", "It can still be fetched, and is fetched once.", found)
    return _unknown(
        "fetches",
        "The file ends after so many fetches, and how often it will be fetched is not known.",
        "Upload it without such a bound where it is tried again after an error.",
        found,
    )
