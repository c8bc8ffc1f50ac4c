"""What a bucket does and enforces, tried with small objects below ``probe/`` that are removed again.

Each check is one observation. What follows for clients, that are to be sent to the store or not, is ``judged`` of them.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from fileferry.blobs.direct import Observation, Pinned, Report
from fileferry.blobs.objects.probing import compare_clocks, is_refusal, judged, seen_of, told
from fileferry.blobs.objects.requests import Answer, parsed, text_of
from fileferry.blobs.objects.trial import LIFE, OTHER, TEXT, Trial
from fileferry.blobs.s3.client import Client
from fileferry.blobs.s3.direct import pin
from fileferry.blobs.s3.objects import Objects
from fileferry.errors import FerryError

_CRC32C_OF_TEXT = bytes.fromhex("3bdd450d")
_FOR_UPLOADS = {
    "size": "it does not hold a body to its signed length",
    "copy": "it takes what a URL was not signed for",
    "resend": "it takes no part a second time",
    "sealed": "parts can be changed after completion",
    "cors_upload": "pages of other origins may not send to it, or read the ETag: set CORS rules",
}
_FOR_DOWNLOADS = {
    "range": "it does not give ranges as asked",
    "overrides": "it does not say the type and disposition that a URL was signed with",
    "cors_download": "pages of other origins may not read from it: set CORS rules",
}


class Probe(Trial[Client]):
    """One look at a bucket."""

    def __init__(self, client: Client, objects: Objects) -> None:
        super().__init__(client)
        self._objects = objects
        self._names = f"probe/{uuid.uuid4()}"
        self._object = f"{self._names}/object"
        self._in_parts = f"{self._names}/parts"

    async def run(self) -> Report:
        """Try everything; what cannot be tried for lack of what comes before it is left out."""
        seen = [observation async for observation in self._observations()]
        store = f"{self._client.location.origin}, bucket {self._client.location.bucket}"
        return judged(store, seen, _FOR_UPLOADS, _FOR_DOWNLOADS)

    async def _observations(self) -> AsyncGenerator[Observation]:
        reached = await self.ask("GET", None, [("list-type", "2"), ("max-keys", "1")])
        yield seen_of("reachable", "list one key", reached, reached.status == 200)
        if reached.status == 0:
            return
        yield self._clock(reached)
        if reached.status != 200:
            return
        async for observation in self._permissions():
            yield observation
        yield await self._digest()
        yield await self._sha256()
        yield await self._checksums()
        yield await self._create_only()
        async for observation in self._ranges():
            yield observation
        yield await self._overrides()
        async for observation in self._parts():
            yield observation
        yield await self._lifecycle()
        yield await self._versioning()
        here = self._client.presigned("GET", self._object, (), {}, LIFE, from_here=True)
        yield await self.cors("download", "GET", here)
        is_public = self._client.location.public is not None
        there = self._client.presigned("GET", self._object, (), {}, LIFE) if is_public else None
        yield await self.public(there, TEXT)
        removed = await self.ask("DELETE", self._object)
        for rest in ("checksum", "digest", "parts", "sha256", "small"):
            await self.ask("DELETE", f"{self._names}/{rest}")
        gone = await self.ask("GET", self._object)
        yield seen_of("delete", "remove an object", removed, removed.is_success and gone.status == 404)

    async def _permissions(self) -> AsyncGenerator[Observation]:
        written = await self.ask("PUT", self._object, body=TEXT)
        yield seen_of("write", "put an object", written, written.is_success)
        read = await self.ask("GET", self._object)
        yield seen_of("read", "get it", read, read.body == TEXT)
        query = [("list-type", "2"), ("prefix", f"{self._client.location.prefix}{self._names}/")]
        listed = await self.ask("GET", None, query)
        yield seen_of("list", "list it", listed, b"/object</Key>" in listed.body)

    def _clock(self, reached: Answer) -> Observation:
        return compare_clocks(reached, self._client.clock(), "RequestTimeTooSkewed")

    async def _digest(self) -> Observation:
        md5 = base64.b64encode(hashlib.md5(OTHER, usedforsecurity=False).digest()).decode()
        came = await self.ask("PUT", f"{self._names}/digest", headers={"content-md5": md5}, body=TEXT)
        follows = "" if came.status == 400 else "bytes that are changed on their way would be taken"
        return seen_of("digest", "put other bytes than the MD5 says", came, came.status == 400, follows)

    async def _sha256(self) -> Observation:
        said = {"x-amz-content-sha256": hashlib.sha256(OTHER).hexdigest()}
        url = self._client.presigned("PUT", f"{self._names}/sha256", (), said, LIFE, from_here=True)
        came = await self.follow("PUT", url, said, TEXT)
        refused = came.status in (400, 403)
        follows = "" if refused else "digests are compared by fileferry, as always, and not by the store as well"
        return seen_of("sha256", "put other bytes than a URL's signed SHA-256 says", came, refused, follows)

    async def _checksums(self) -> Observation:
        name = f"{self._names}/checksum"
        sha256 = _sha256_of(TEXT)
        await self.ask("PUT", name, headers={"x-amz-checksum-sha256": sha256}, body=TEXT)
        kept = await self.ask("HEAD", name, headers={"x-amz-checksum-mode": "ENABLED"})
        is_told = kept.headers.get("x-amz-checksum-sha256") == sha256
        wrong = await self.ask("PUT", name, headers={"x-amz-checksum-sha256": _sha256_of(OTHER)}, body=TEXT)
        came = f"{'told' if is_told else 'not told'}, and a wrong one {told(wrong)}"
        is_fine = is_told and wrong.status == 400
        follows = "" if is_fine else "what has come is read to know its digest, as always"
        return Observation("checksums", "put an object with its SHA-256, and ask for it", came, follows, is_fine)

    async def _create_only(self) -> Observation:
        came = await self.ask("PUT", self._object, headers={"if-none-match": "*"}, body=TEXT)
        follows = "" if came.status == 412 else "two first starts at the same moment are not told apart"
        return seen_of(
            "create_only", "put an object that is there, with If-None-Match", came, came.status == 412, follows
        )

    async def _ranges(self) -> AsyncGenerator[Observation]:
        yield await self.range_of(self._object)
        came = await self.ask("GET", self._object, headers={"range": "bytes=2-4", "if-range": '"another"'})
        follows = "" if came.status == 200 else "no harm: a blob's bytes never change"
        yield seen_of("if_range", "get them with If-Range of another entity", came, came.status == 200, follows)

    async def _overrides(self) -> Observation:
        query = [
            ("response-content-type", "text/x-probe"),
            ("response-content-disposition", 'attachment; filename="a"'),
        ]
        url = self._client.presigned("GET", self._object, query, {}, LIFE, from_here=True)
        came = await self.follow("GET", url)
        said = (came.headers.get("content-type", ""), came.headers.get("content-disposition", ""))
        is_fine = came.status == 200 and said == ("text/x-probe", 'attachment; filename="a"')
        return seen_of("overrides", "get it by a presigned URL, with type and disposition", came, is_fine)

    async def _parts(self) -> AsyncGenerator[Observation]:
        name = self._in_parts
        try:
            upload_id = await self._objects.begin_parts(name)
        except FerryError as error:
            yield Observation("parts", "begin a multipart upload", error.detail, "nothing large can be kept", False)
            return
        url, body = self._part_url(upload_id), TEXT
        wrong = [await self.follow("PUT", url, body=body[:-1]), await self.follow("PUT", url, body=body + b"!")]
        came = " and ".join(map(told, wrong))
        yield Observation("size", "send less and more than a URL is signed for", came, "", all(map(is_refusal, wrong)))
        location = self._client.location
        source = {"x-amz-copy-source": f"/{location.bucket}/{location.prefix}{self._object}"}
        # Without a body too: some stores copy then, and not otherwise.
        copies = [await self.follow("PUT", self._part_url(upload_id, len(sent)), source, sent) for sent in (body, b"")]
        came = " and ".join(map(told, copies))
        yield Observation(
            "copy", "send an x-amz-copy-source that is not signed", came, "", all(map(is_refusal, copies))
        )
        yield await self.cors("upload", "PUT", url, body, exposed="etag")
        again = [await self.follow("PUT", url, body=OTHER), await self.follow("PUT", url, body=body)]
        are_taken = all(answer.is_success for answer in again)
        yield Observation("resend", "send the part again", " and ".join(map(told, again)), "", are_taken)
        yield await self._pinned(upload_id)
        yield await self._complete(upload_id, again[-1])
        late = await self.follow("PUT", url, body=OTHER)
        kept = await self.ask("GET", name)
        yield seen_of("sealed", "send the part after completion", late, is_refusal(late) and kept.body == body)
        yield await self._small_parts()

    async def _pinned(self, upload_id: str) -> Observation:
        """Send a part by URLs whose queries have a digest, with other bytes and with those."""
        answers = []
        for pinned in (("sha-256", hashlib.sha256(TEXT).digest()), ("crc32c", _CRC32C_OF_TEXT)):
            url = self._part_url(upload_id, pinned=pinned)
            answers += [await self.follow("PUT", url, body=body) for body in (OTHER, TEXT)]
        is_fine = all(map(is_refusal, answers[::2])) and all(answer.is_success for answer in answers[1::2])
        follows = "" if is_fine else "what has come is read to know its digest, as always"
        came = " and ".join(map(told, answers))
        return Observation("pinned", "put other bytes than a digest in a URL says, and those", came, follows, is_fine)

    async def _complete(self, upload_id: str, sent: Answer) -> Observation:
        tried = "complete the multipart upload"
        try:
            await self._objects.complete_parts(self._in_parts, upload_id, [sent.headers.get("etag", "")], len(TEXT))
        except FerryError as error:
            with suppress(FerryError):
                await self._objects.abort_parts(self._in_parts, upload_id)
            return Observation("parts", tried, error.detail, "", False)
        return Observation("parts", tried, "done", "", True)

    async def _small_parts(self) -> Observation:
        """Put two parts together that are less than S3 wants, or give them up."""
        name = f"{self._names}/small"
        tried = "complete two parts of 9 bytes, or give them up"
        try:
            upload_id = await self._objects.begin_parts(name)
            tags = [await self._objects.put_part(name, upload_id, number, TEXT) for number in (1, 2)]
        except FerryError as error:
            return Observation("small_parts", tried, error.detail, "", False)
        try:
            await self._objects.complete_parts(name, upload_id, tags, 2 * len(TEXT))
            came = "completed"
        except FerryError:
            came = "refused"
        with suppress(FerryError):
            await self._objects.abort_parts(name, upload_id)
        left = await self.ask("GET", name, [("uploadId", upload_id)])
        is_gone = left.status != 200
        follows = "" if is_gone else "parts that were given up stay: let a rule of the bucket remove them"
        return Observation("small_parts", tried, f"{came}, {'gone' if is_gone else 'not gone'}", follows, is_gone)

    async def _lifecycle(self) -> Observation:
        came = await self.ask("GET", None, [("lifecycle", "")])
        root = parsed(came.body) if came.status == 200 else None
        prefix = self._client.location.prefix
        eaters = [
            text_of(rule, "ID") or "without an ID"
            for rule in (() if root is None else root.findall("{*}Rule"))
            if text_of(rule, "Status") == "Enabled"
            and (rule.find("{*}Expiration/{*}Days") is not None or rule.find("{*}Expiration/{*}Date") is not None)
            and _overlaps(prefix, _prefix_of(rule))
        ]
        if eaters:
            follows = "files would lose their bytes: remove the rule, or keep it from this prefix"
            return Observation("lifecycle", "read the lifecycle rules", f"rule {', '.join(eaters)}", follows, False)
        is_known = came.status in (200, 404)
        follows = "" if is_known else "see to it that no rule expires objects under the prefix"
        came_to = "none expires objects here" if is_known else told(came)
        return Observation("lifecycle", "read the lifecycle rules", came_to, follows, True)

    async def _versioning(self) -> Observation:
        came = await self.ask("GET", None, [("versioning", "")])
        is_on = text_of(parsed(came.body), "Status") == "Enabled"
        follows = "what is deleted stays: let a rule remove old versions" if is_on else ""
        return Observation("versioning", "ask whether versions are kept", "yes" if is_on else "no", follows, not is_on)

    def _part_url(self, upload_id: str, size: int = len(TEXT), pinned: Pinned | None = None) -> str:
        query = [("partNumber", "1"), ("uploadId", upload_id), *pin(pinned)]
        signed = {"content-length": str(size)}
        return self._client.presigned("PUT", self._in_parts, query, signed, LIFE, from_here=True)


def _sha256_of(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def _prefix_of(rule: Any) -> str:
    for path in ("{*}Prefix", "{*}Filter/{*}Prefix", "{*}Filter/{*}And/{*}Prefix"):
        found = rule.find(path)
        if found is not None:
            return found.text or ""
    return ""


def _overlaps(prefix: str, of_rule: str) -> bool:
    return prefix.startswith(of_rule) or of_rule.startswith(prefix)
