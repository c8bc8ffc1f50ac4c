"""What a bucket of Google does and enforces, tried with small objects below ``probe/`` that are removed again.

Each check is one observation. What follows for clients, that are to be sent to the store or not, is ``judged`` of them.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from fileferry.blobs.direct import Observation, Report
from fileferry.blobs.google.client import Client
from fileferry.blobs.google.direct import signed_part
from fileferry.blobs.google.objects import NEW, UPLOAD, Objects, crc32c_of, described, part_of
from fileferry.blobs.objects.probing import compare_clocks, is_refusal, judged, no_answer, seen_of, told
from fileferry.blobs.objects.requests import BROKEN, Answer
from fileferry.blobs.objects.trial import LIFE, OTHER, TEXT, Trial
from fileferry.errors import FerryError

_SESSIONS_HERE = "the sessions of the organizations API go through the server"
_KEY_ONLY = "URLs can be signed with a service account's key only"
_FOR_UPLOADS = {
    "signs": _KEY_ONLY,
    "size": "it does not hold a body to its signed length",
    "copy": "it takes what a URL was not signed for",
    "resend": "it takes no part a second time",
    "sealed": "what was sent could be changed afterwards",
    "cors_upload": "pages of other origins may not send to it, or read the ETag: set CORS rules",
}
_FOR_DOWNLOADS = {
    "signs": _KEY_ONLY,
    "range": "it does not give ranges as asked",
    "overrides": "it does not say the type and disposition that a URL was signed with",
    "cors_download": "pages of other origins may not read from it: set CORS rules",
}


class _Condition(msgspec.Struct, frozen=True, rename="camel"):
    matches_prefix: list[str] = []
    is_live: bool | None = None
    num_newer_versions: int | None = None
    days_since_noncurrent_time: int | None = None
    noncurrent_time_before: str | None = None

    @property
    def is_of_old_versions(self) -> bool:
        """Whether objects that are there now are left alone."""
        old = (self.num_newer_versions, self.days_since_noncurrent_time, self.noncurrent_time_before)
        return self.is_live is False or any(one is not None for one in old)


class _Action(msgspec.Struct, frozen=True):
    type: str = ""


class _Rule(msgspec.Struct, frozen=True):
    action: _Action = _Action()
    condition: _Condition = _Condition()


class _Lifecycle(msgspec.Struct, frozen=True):
    rule: list[_Rule] = []


class _SoftDelete(msgspec.Struct, frozen=True, rename="camel"):
    retention_duration_seconds: str = "0"


class _Versioning(msgspec.Struct, frozen=True):
    enabled: bool = False


class _Bucket(msgspec.Struct, frozen=True, rename="camel"):
    """What a bucket is set to, as far as it concerns files."""

    lifecycle: _Lifecycle = _Lifecycle()
    soft_delete_policy: _SoftDelete = _SoftDelete()
    versioning: _Versioning = _Versioning()


class Probe(Trial[Client]):
    """One look at a bucket."""

    def __init__(self, client: Client, objects: Objects) -> None:
        super().__init__(client)
        self._objects = objects
        self._names = f"probe/{uuid.uuid4()}"
        self._object = f"{self._names}/object"
        self._sealed = f"{self._names}/sealed"

    async def run(self) -> Report:
        """Try everything; what cannot be tried for lack of what comes before it is left out."""
        seen = [observation async for observation in self._observations()]
        store = f"{self._client.location.origin}, bucket {self._client.location.bucket}"
        return judged(store, seen, _FOR_UPLOADS, _FOR_DOWNLOADS)

    async def _observations(self) -> AsyncGenerator[Observation]:
        reached = await self.ask("GET", None, [("maxResults", "1"), ("fields", "items(name)")])
        yield seen_of("reachable", "list one name", reached, reached.status == 200)
        if reached.status == 0:
            return
        yield compare_clocks(reached, self._client.clock(), "RequestTimeTooSkewed")
        if reached.status != 200:
            return
        async for observation in self._permissions():
            yield observation
        yield await self._digest()
        yield await self._create_only()
        yield await self.range_of(self._object)
        yield await self.in_two_parts(self._objects, f"{self._names}/parts", "put two parts and compose them")
        async for observation in self._settings():
            yield observation
        can_sign = self._client.can_sign
        yield Observation("signs", "sign a URL", "can be done" if can_sign else "there is no key", "", can_sign)
        if can_sign:
            async for observation in self._of_clients():
                yield observation
        yield await self._by_public_address()
        removed = await self.ask("DELETE", self._object)
        for rest in ("digest", "parts", "sealed"):
            await self.ask("DELETE", f"{self._names}/{rest}")
        gone = await self.ask("GET", self._object)
        yield seen_of("delete", "remove an object", removed, removed.is_success and gone.status == 404)

    async def _permissions(self) -> AsyncGenerator[Observation]:
        written = await self._put(self._object)
        yield seen_of("write", "put an object", written, written.is_success)
        read = await self.ask("GET", self._object)
        yield seen_of("read", "get it", read, read.body == TEXT)
        prefix = f"{self._client.location.prefix}{self._names}/"
        listed = await self.ask("GET", None, [("prefix", prefix), ("fields", "items(name)")])
        yield seen_of("list", "list it", listed, f"{prefix}object".encode() in listed.body)

    async def _digest(self) -> Observation:
        """Say a wrong digest: a store that takes it must tell the right one, which is compared with each answer."""
        came = await self._put(f"{self._names}/digest", crc32c=crc32c_of(OTHER))
        tells = came.is_success and crc32c_of(TEXT).encode() in came.body
        is_fine = came.status == 400 or tells
        follows = "what it says it has is compared" if tells else ""
        if not is_fine:
            follows = "bytes that are changed on their way would be taken"
        return seen_of("digest", "put other bytes than the CRC32C says", came, is_fine, follows)

    async def _create_only(self) -> Observation:
        came = await self._put(self._object, NEW)
        is_fine = came.status == 412
        follows = "" if is_fine else "two first starts at the same moment are not told apart"
        return seen_of("create_only", "put an object that is there, with ifGenerationMatch=0", came, is_fine, follows)

    async def _settings(self) -> AsyncGenerator[Observation]:
        """Ask what the bucket is set to; who may write objects may not always see it."""
        try:
            came = await self._client.about("lifecycle,softDeletePolicy,versioning")
        except BROKEN as error:
            came = no_answer(error)
        found: _Bucket | None = None
        if came.status == 200:
            with suppress(msgspec.DecodeError):
                found = msgspec.json.decode(came.body, type=_Bucket)
        if found is None:
            follows = "see to it that no rule deletes objects under the prefix, and that soft delete is off"
            yield Observation("lifecycle", "read the lifecycle rules", told(came), follows, True)
            return
        eats = any(_eats(rule, self._client.location.prefix) for rule in found.lifecycle.rule)
        follows = "files would lose their bytes: remove the rule, or keep it from this prefix" if eats else ""
        came_to = "one deletes objects here" if eats else "none deletes objects here"
        yield Observation("lifecycle", "read the lifecycle rules", came_to, follows, not eats)
        days = int(found.soft_delete_policy.retention_duration_seconds) // 86400
        follows = "what is deleted, each part of a file too, is paid for so long" if days else ""
        came_to = f"for {days} days" if days else "no"
        yield Observation("soft_delete", "ask whether deleted objects are kept", came_to, follows, not days)
        is_on = found.versioning.enabled
        follows = "what is deleted stays: let a rule remove old versions" if is_on else ""
        yield Observation("versioning", "ask whether versions are kept", "yes" if is_on else "no", follows, not is_on)

    async def _of_clients(self) -> AsyncGenerator[Observation]:
        query = [
            ("response-content-disposition", 'attachment; filename="a"'),
            ("response-content-type", "text/x-probe"),
        ]
        came = await self.follow("GET", self._client.presigned("GET", self._object, query, {}, LIFE, from_here=True))
        said = (came.headers.get("content-disposition", ""), came.headers.get("content-type", ""))
        is_fine = came.status == 200 and said == tuple(value for _name, value in query)
        yield seen_of("overrides", "get it by a signed URL, with type and disposition", came, is_fine)
        here = self._client.presigned("GET", self._object, (), {}, LIFE, from_here=True)
        yield await self.cors("download", "GET", here)
        name = await self._objects.begin_parts(self._sealed)
        url = signed_part(self._client, self._sealed, name, 1, len(TEXT), LIFE, from_here=True)
        wrong = [await self.follow("PUT", url, body=body) for body in (TEXT[:-1], TEXT + b"!")]
        yield _of_all("size", "send less and more than a URL is signed for", wrong, all(map(is_refusal, wrong)))
        where = self._client.location
        source = {"x-goog-copy-source": f"/{where.bucket}/{where.prefix}{self._object}"}
        copied = await self.follow("PUT", url, source, TEXT)
        yield seen_of("copy", "send an x-goog-copy-source that is not signed", copied, is_refusal(copied))
        yield await self.cors("upload", "PUT", url, OTHER, exposed="etag")
        again = [await self.follow("PUT", url, body=body) for body in (OTHER, TEXT)]
        yield _of_all("resend", "send a part by a signed URL, and again", again, all(one.is_success for one in again))
        is_named = again[1].headers.get("etag", "").strip('"') == hashlib.md5(TEXT, usedforsecurity=False).hexdigest()
        follows = "" if is_named else "parts that a client has to list go through the server"
        came_to = "its MD5" if is_named else "none, or another"
        yield Observation("etag", "read the ETag of the part", came_to, follows, is_named)
        yield await self._seal(name, url)
        yield await self._session()

    async def _seal(self, name: str, url: str) -> Observation:
        """Let the store compose what was sent, send other bytes by the URL, and by it to what was composed; and compose anew."""
        tried = "compose it, and send other bytes by the same URL"
        parts = [part_of(self._sealed, name, 1)]
        late = no_answer(OSError("not sent"))
        try:
            await self._objects.join(self._sealed, name, parts, len(TEXT), must_be_new=True)
            await self.follow("PUT", url, body=OTHER)
            late = await self.follow("PUT", url.replace(f"/{parts[0]}?", f"/{self._sealed}?"), body=OTHER)
            await self._objects.join(self._sealed, name, parts, len(TEXT), must_be_new=True)
            kept = await self._objects.get(self._sealed)
        except FerryError as error:
            return Observation("sealed", tried, error.detail, "", False)
        finally:
            with suppress(FerryError):
                await self._objects.abort_parts(self._sealed, name)
        return seen_of("sealed", tried, late, is_refusal(late) and kept == TEXT)

    async def _session(self) -> Observation:
        """Send more to a session than was said, ask another how far it is, send it all, and then other bytes."""
        tried = "send more to a session than was said; send what was, and other bytes"
        key = f"{self._names}/session"
        put = partial(self.follow, "PUT")
        try:
            larger, whole = [await self._objects.begin_session(key, name, len(TEXT), None) for name in ("1", "2")]
            more = await put(larger, body=TEXT + b"!")
            asked = await put(whole, {"content-range": f"bytes */{len(TEXT)}"})
            sent = await put(whole, body=TEXT)
            await put(whole, body=OTHER)
            came = [await self._objects.get(part_of(key, name, 1)) for name in ("1", "2")]
        except FerryError as error:
            return Observation("session", tried, error.detail, _SESSIONS_HERE, False)
        finally:
            for name in ("1", "2"):
                with suppress(FerryError):
                    await self._objects.abort_parts(key, name)
        is_fine = is_refusal(more) and asked.status == 308 and sent.is_success and came == [None, TEXT]
        answers = " and ".join(map(told, (more, sent)))
        return Observation("session", tried, answers, "" if is_fine else _SESSIONS_HERE, is_fine)

    async def _by_public_address(self) -> Observation:
        if self._client.location.public is None:
            return await self.public(None, TEXT)
        if not self._client.can_sign:
            return Observation("public", "get an object by the address of clients", "not tried without a key", "", True)
        return await self.public(self._client.presigned("GET", self._object, (), {}, LIFE), TEXT)

    async def _put(self, key: str, further: Sequence[tuple[str, str]] = (), crc32c: str | None = None) -> Answer:
        name = f"{self._client.location.prefix}{key}"
        headers, content = described(name, TEXT, crc32c or crc32c_of(TEXT))
        return await self.ask("POST", key, [*UPLOAD, *further], headers, content)


def _of_all(name: str, tried: str, answers: Sequence[Answer], is_fine: bool) -> Observation:
    return Observation(name, tried, " and ".join(map(told, answers)), "", is_fine)


def _eats(rule: _Rule, prefix: str) -> bool:
    if rule.action.type != "Delete" or rule.condition.is_of_old_versions:
        return False
    prefixes = rule.condition.matches_prefix or [""]
    return any(prefix.startswith(one) or one.startswith(prefix) for one in prefixes)
