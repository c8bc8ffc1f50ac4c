"""Requests of "Resumable Uploads for HTTP" in each of its interop versions, and connections that break in the middle of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from wire.asking import send
from wire.slow import SlowRequest

PARTIAL = "application/partial-upload"
PROBLEM = "https://iana.org/assignments/http-problem-types#"


@dataclass(frozen=True)
class Draft:
    """Someone who speaks one interop version; None is the coming RFC, which has none."""

    version: int | None

    @property
    def field(self) -> str:
        """The header that tells completeness."""
        return "Upload-Incomplete" if self.version == 3 else "Upload-Complete"

    def headers(
        self, *, complete: bool | None = None, offset: int | None = None, length: int | None = None
    ) -> dict[str, str]:
        """Return the headers of a request."""
        found = {} if self.version is None else {"Upload-Draft-Interop-Version": str(self.version)}
        if complete is not None:
            found[self.field] = "?1" if complete != (self.version == 3) else "?0"
        if offset is not None:
            found["Upload-Offset"] = str(offset)
            if self.version is None or self.version >= 6:
                found["Content-Type"] = PARTIAL
        if length is not None:
            found["Upload-Length"] = str(length)
        return found

    def create(
        self, url: str, content: Any = b"", *, complete: bool = False, length: int | None = None, **headers: str
    ) -> httpx.Response:
        """Create the upload; further ``headers`` are named with underscores."""
        return send(url, content, "POST", headers={**self.headers(complete=complete, length=length), **dashed(headers)})

    def append(
        self,
        url: str,
        offset: int,
        content: Any = b"",
        *,
        complete: bool | None = False,
        length: int | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Append; ``complete`` None leaves out whether this is all."""
        said = self.headers(complete=complete, offset=offset, length=length)
        return send(url, content, "PATCH", headers={**said, **dashed(headers)})

    def ask(self, url: str, method: str = "HEAD", **headers: str) -> httpx.Response:
        """Ask for the offset, or cancel."""
        return send(url, None, method, headers={**self.headers(), **dashed(headers)})

    def offset(self, url: str) -> int:
        """Return the offset of an upload that is not complete."""
        answer = self.ask(url)
        assert answer.status_code == 204, answer.text
        assert self.says(answer) is False
        return int(answer.headers["upload-offset"])

    def says(self, answer: httpx.Response) -> bool | None:
        """Return whether an answer says that the upload is complete; None where it does not say."""
        value = {"?0": False, "?1": True, None: None}[answer.headers.get(self.field)]
        return value if value is None or self.version != 3 else not value

    def cut(self, url: str, method: str, content: bytes, announced: int, **said: Any) -> None:
        """Send a request that announces more than it brings, and break the connection."""
        with self.begin(url, method, announced, **said) as request:
            request.send(content)

    def begin(self, url: str, method: str, announced: int | None, **said: Any) -> SlowRequest:
        """Begin a request whose body is still to come; without ``announced`` it comes in chunks."""
        return SlowRequest(url, announced, method, self.headers(**said))


def dashed(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with the names that they have on the wire."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
