"""What the client raises beyond the catalogue: no answer, an answer nobody expected, a client set up wrongly.

Errors that the server answers are the classes of ``fileferry.errors``; this module also rebuilds those from an answer.
"""

from __future__ import annotations

import email.utils
import html
import re
import time
from datetime import UTC
from typing import Any

import httpx

from fileferry.errors import CATALOGUE, FerryError, Retry

PASSING = {408, 423, 429, 500, 502, 503, 504}
"""Statuses that may be different the next time, where the answer does not say so itself."""

S3_CODES = {
    "AccessDenied": "link_refused",
    "BadDigest": "digest_mismatch",
    "EntityTooLarge": "file_too_large",
    "InvalidArgument": "invalid_parameter",
    "IncompleteBody": "truncated_body",
    "InternalError": "internal_error",
    "InvalidDigest": "invalid_digest",
    "InvalidPart": "invalid_part",
    "InvalidPartOrder": "invalid_part",
    "MalformedXML": "bad_request",
    "MethodNotAllowed": "method_not_allowed",
    "NoSuchUpload": "gone",
    "RequestTimeout": "request_timeout",
    "ServiceUnavailable": "unavailable",
    "SlowDown": "rate_limited",
}
"""What the codes of S3's errors, which a part's address answers with, mean in the catalogue."""

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "message", "code", "retry", "retry_after", "request_id"}


class NotConfigured(FerryError):
    """The client cannot begin: no usable server address, an unusable key, or a server that proves no identity."""

    code, status, retry = "not_configured", 0, Retry.NEVER
    title = "No server is known: give url=, or --url, set FILEFERRY_URL, or use 'fileferry login'."


class ConnectionFailed(FerryError):
    """No answer arrived. ``sent`` says whether the server may have acted on the request; ``status`` is 0."""

    code, status, retry = "connection_failed", 0, Retry.NOW
    title = "The connection to the server failed."

    def __init__(self, detail: str | None = None, *, sent: bool = True) -> None:
        super().__init__(detail)
        self.sent = sent


class TimedOut(ConnectionFailed):
    """Nothing moved for longer than the client's ``timeout``."""

    code = "timed_out"
    title = "The server did not answer in time."


class SourceChanged(FerryError):
    """What is uploaded changed while it was sent; nothing of it became a file. Upload it again once it is still."""

    code, status, retry = "source_changed", 0, Retry.AFTER
    title = "The file changed while it was sent; nothing was stored."


class UnexpectedAnswer(FerryError):
    """An answer outside the catalogue: a proxy's, a newer server's, or none of fileferry's.

    ``code``, ``status`` and ``retry`` are the answer's own where it has them.
    """

    code, status, retry = "unexpected_answer", 0, Retry.NEVER
    title = "The answer is not one of fileferry's: is the server's address right?"

    def __init__(self, detail: str, *, code: str, status: int, retry: Retry, **known: Any) -> None:
        super().__init__(detail, **known)
        # The catalogue fixes these per class; here, and only here, they belong to one answer.
        vars(self).update(code=code, status=status, retry=retry)


def error_from(response: httpx.Response) -> FerryError:
    """Return the error that a read ``response`` carries: problem+json, an ``error`` envelope, or S3's XML."""
    said = _problem(response)
    known: dict[str, Any] = {
        "retry_after": retry_after(response, said),
        "request_id": said.get("request_id") or response.headers.get("X-Request-Id"),
    }
    detail = said.get("detail") or said.get("message")
    code = str(said.get("code") or UnexpectedAnswer.code)
    kind = CATALOGUE.get(code)
    error: FerryError
    if kind is not None:
        error = kind(**known)
        if detail:
            # What the server said, whatever the class makes of its own arguments.
            error.detail = str(detail)
            error.args = (error.detail,)
    else:
        error = UnexpectedAnswer(
            str(detail or f"The server answered {response.status_code} {response.reason_phrase}".strip() + "."),
            code=code,
            status=response.status_code,
            retry=_retry_class(response.status_code, said.get("retry")),
            **known,
        )
    error.fields = {name: value for name, value in said.items() if name not in PROBLEM_MEMBERS}
    return error


def unreadable(response: httpx.Response, wanted: str) -> UnexpectedAnswer:
    """Return the error for a good status whose body is not the ``wanted`` thing."""
    return UnexpectedAnswer(
        f"The answer is not {wanted}: is the server's address right?",
        code=UnexpectedAnswer.code,
        status=response.status_code,
        retry=Retry.NEVER,
        request_id=response.headers.get("X-Request-Id"),
    )


def failure_from(error: httpx.RequestError | httpx.InvalidURL, url: str) -> FerryError:
    """Return the typed error for a request to ``url`` that got no answer; its text holds no header and no query."""
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        # Their texts may quote headers, so they are not repeated.
        return NotConfigured("The request cannot be sent: the server's address or the key cannot be used.")
    host = httpx.URL(url).netloc.decode("ascii").rpartition("@")[2]
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return NotConfigured(f"The certificate of {host} cannot be verified.")
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return TimedOut(f"No connection to {host} in time.", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{host} stopped answering.")
    if isinstance(error, httpx.ConnectError):
        return ConnectionFailed(f"Cannot connect to {host}: {error}.", sent=False)
    return ConnectionFailed(f"The connection to {host} broke: {error or type(error).__name__}.")


def retry_after(response: httpx.Response, said: dict[str, Any]) -> float | None:
    """Return the seconds to wait that ``Retry-After`` (seconds or an HTTP date) or the problem names; None without."""
    header = response.headers.get("Retry-After", "").strip()
    if header.isdecimal():
        return float(header)
    if header:
        try:
            moment = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return None
        return max(0.0, moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - time.time())
    seconds = said.get("retry_after")
    return float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        said = response.json()
    except ValueError:
        return _s3_error(response)
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        said = said["error"]
    return said if isinstance(said, dict) else {}


def _s3_error(response: httpx.Response) -> dict[str, Any]:
    members = dict(re.findall(r"<(Code|Message|RequestId)>([^<]*)</", response.text))
    if "Code" not in members:
        return {}
    code = S3_CODES.get(members["Code"], members["Code"])
    # S3 has fewer words than the catalogue; the status tells these two.
    if response.status_code == httpx.codes.INSUFFICIENT_STORAGE:
        code = "insufficient_storage"
    if response.status_code == httpx.codes.CONFLICT:
        code = "already_uploaded"
    detail = html.unescape(members.get("Message", ""))
    return {"code": code, "detail": detail, "request_id": members.get("RequestId")}


def _retry_class(status: int, said: object) -> Retry:
    if said in ("never", "now", "after"):
        return Retry(str(said))
    return Retry.AFTER if status in PASSING else Retry.NEVER
