"""Every field that a client can fill, as rows: which request carries it, and how. Read from the service's own schema, and for
what a schema cannot tell (headers, XML, forms, protocols on signed URLs) written here: a new one is one more row.
"""

from __future__ import annotations

import base64
import functools
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from unit.service import Answer, Service

MOST_SECONDS = 0.25
"""How much computing one request may take, on a machine that has other things to do."""
LARGE = 1024 * 1024
"""How many bytes a field may be filled with where such a size can arrive."""
LARGE_HEADER = 64 * 1024
LARGE_TARGET = 60 * 1024
"""How long a field of an address may be before the address is refused for its length."""

MOST_TOLD = 5

MARKS = "\u0301\u0323"
"""Two combining marks in the wrong order: a long run of them is what Unicode normalization takes longest for."""
LETTERS = ("a", "T", "9", " ", ",", ";", "=", '"', '\\"', "%", "[", "/", MARKS)
_LETTERS_OF_WORDS = ("T", "9", " ", MARKS)

_XML = "application/xml"
_FORM = b"multipart/form-data; boundary=b"
_TUS = (b"Tus-Resumable", b"1.0.0")
_STREAM = (b"Content-Type", b"application/offset+octet-stream")
_AZURE = (b"x-ms-version", b"2026-04-06")

# What stands in the other fields of a request: a plausible value by the field's name, or by its type.
_EXAMPLES: dict[str, Any] = {
    "name": "n",
    "slug": "s",
    "path": "p",
    "filename": "a.txt",
    "file_size": 1,
    "mime_type": "text/plain",
    "gcs_path": "files/o/f/a.txt",
    "scopes": ["read"],
    "url": "https://example.com/hook",
    "since": "2030-01-01T00:00:00Z",
    "user": {"name": "n"},
    "partNumbers": [1],
    "part_number": 1,
    "partNumber": 1,
    "etag": "e",
    "eTag": "e",
    "size": 1,
}


class Sent(NamedTuple):
    """A request as it goes over the wire."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


class Row(NamedTuple):
    """One field: ``fill`` makes a request of what stands in it. ``size`` is how many bytes of each of ``letters`` that may be.

    What stands in an address counts as it is sent, percent-encoded.
    """

    name: str
    fill: Callable[[str], Sent]
    size: int = LARGE
    letters: tuple[str, ...] = LETTERS
    is_quoted: bool = False

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield each letter, and as many of it as the field may hold."""
        for letter in self.letters:
            yield letter, letter * (self.size // len(quote(letter, safe="") if self.is_quoted else letter.encode()))


class Stage:
    """A service with one of everything, so that a request gets as far as its words are read."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.slowest: list[tuple[float, str]] = []
        self.file = service.upload(b"<svg/>", "folder/a.svg")
        self.folder = _made(service, "POST", "/v1/folders", {"name": "f"})["id"]
        self.webhook = _made(service, "POST", "/api/webhooks", {"url": "https://example.com/hook"})["id"]
        self.key = _made(service, "POST", "/api/keys", {"name": "k", "scopes": ["read"]})["id"]
        self.batch = _made(service, "POST", "/api/batches", {"files": [{"name": "b"}]})["id"]
        self.share = _made(service, "POST", "/api/shares", {"file_ids": [self.file["id"]]})["id"]
        self.request = _made(service, "POST", "/api/requests", {"title": "t"})["id"]
        user = {"name": str(uuid.uuid4()), "password": "a long password", "scopes": ["read"]}
        self.user = _made(service, "POST", "/api/users", user)["id"]
        self.session = service.sign_in()
        self.ticket = self.new_ticket()
        self.tus = self.new_ticket()
        answer = self.ask(Sent("POST", self.tus, (_TUS, (b"Upload-Length", b"9"))))
        assert answer.status == 201, answer

    def new_ticket(self) -> bytes:
        """Return the signed URL of another upload."""
        ticket = _made(self.service, "POST", "/api/uploads", {"name": "u"})
        split = urlsplit(ticket["url"])
        return f"{split.path}?{split.query}".encode()

    def new_tus(self, *, partial: bool = False) -> bytes:
        """Return the URL of an upload of three bytes that tus has begun."""
        concat = ((b"Upload-Concat", b"partial"),) if partial else ()
        answer = self.ask(Sent("POST", b"/tus", (_TUS, (b"Upload-Length", b"3"), *concat)))
        location = urlsplit(dict(answer.headers)[b"location"])
        return location.path + b"?" + location.query

    def ask(self, sent: Sent) -> Answer:
        """Send one request."""
        return self.service.ask_raw(sent.method, sent.target, sent.headers, sent.body)

    def failures(self, sent: Iterable[Sent]) -> list[str]:
        """Send requests; return those that took too much computing, or failed here."""
        found = []
        for each in sent:
            seconds, answer = self.seconds_of(each)
            if seconds > MOST_SECONDS or answer.status >= 500:
                found.append(f"{seconds:.3f} s, {answer.status}: {each!r:.2000}")
        return found

    def seconds_of(self, sent: Sent) -> tuple[float, Answer]:
        """Return the computing that a request takes (seconds), the better of two where the first was long, and its answer."""
        seconds, answer = self._measured(sent)
        if seconds > MOST_SECONDS:
            again, answer = self._measured(sent)
            seconds = min(seconds, again)
        self._keep_slowest(seconds, sent)
        return seconds, answer

    def _keep_slowest(self, seconds: float, sent: Sent) -> None:
        """Remember the few requests that took most, as far as a line can tell of them."""
        if len(self.slowest) < MOST_TOLD or seconds > self.slowest[-1][0]:
            told = f"{seconds * 1000:.0f} ms: {sent!r:.300} (body: {len(sent.body)} bytes)"
            self.slowest = sorted([*self.slowest, (seconds, told)], reverse=True)[:MOST_TOLD]

    def _measured(self, sent: Sent) -> tuple[float, Answer]:
        began = time.process_time()
        answer = self.ask(sent)
        return time.process_time() - began, answer

    def path_values(self) -> dict[str, str]:
        """Return what stands in an address where its field is not the one to be filled."""
        upload_id = self.ticket.split(b"/")[2].decode()
        return {
            "file_id": self.file["id"],
            "id": self.file["id"],
            "folder_id": self.folder,
            "batch_id": self.batch,
            "share_id": self.share,
            "request_id": self.request,
            "session_id": self.session,
            "grant_id": self.session,
            "upload_id": upload_id,
            "organization_id": self.file["organization_id"],
            "id_or_slug": "default",
            "workspace_id": "default",
            "id_or_name": "default",
            "file_path": "folder/a.svg",
            "path": "folder/a.svg",
            "name": "n",
            "key_id": self.key,
            "user_id": self.user,
            "webhook_id": self.webhook,
            "delivery_id": "1",
            "version_id": self.file["version_id"],
            "token": urlsplit(self.file["url"]).path.split("/")[2],
        }


def rows_of_the_schema(stage: Stage) -> Iterator[Row]:
    """Yield a row for every part of an address, query parameter and JSON member that the OpenAPI schema tells of."""
    schema = stage.service.request("GET", "/docs/openapi.json").json()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            user = tuple((b"user-id", b"u") for each in parameters if each["name"] == "user-id" and each["required"])
            for parameter in parameters:
                if parameter["in"] != "header":
                    yield _parameter_row(stage, method.upper(), path, parameter, user)
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                shape = _resolved(schema, content["schema"])
                yield from _member_rows(stage, schema, method.upper(), _address(stage, path), shape, user)


def rows_of_headers(stage: Stage) -> Iterator[Row]:
    """Yield a row for every header that is read, on a request where it is."""
    upload, listing = b"/api/upload/h", b"/api/files"
    public = urlsplit(stage.file["url"]).path.encode()
    wire, tus, creation = stage.ticket, stage.tus, b"/tus"
    parts, blocks = wire + b"&partNumber=1&uploadId=x", wire + b"&comp=block&blockid=YQ=="
    by_request: dict[tuple[str, bytes], tuple[str, ...]] = {
        ("GET", listing): ("prefer", "x-api-key", "authorization", "user-id", "x-request-id", "host", "cookie"),
        ("GET", b"/api/files/" + stage.file["id"].encode()): ("prefer",),
        ("GET", b"/api/events"): ("prefer", "last-event-id", "accept"),
        ("GET", public): _READ,
        ("PUT", upload): _WRITTEN,
        ("POST", b"/v1/files"): ("content-type", "idempotency-key", "content-digest", "content-encoding"),
        ("PUT", wire): _WRITTEN_BY_URL,
        ("PUT", parts): ("content-digest", "x-amz-checksum-sha256"),
        ("PUT", blocks): ("x-ms-content-crc64", "x-ms-version", "x-ms-client-request-id", "x-ms-copy-source"),
        ("POST", wire): ("x-upload-content-length", "x-upload-content-type", "x-http-method-override", "content-type"),
        ("HEAD", tus): ("tus-resumable",),
    }
    for (method, target), names in by_request.items():
        for name in names:
            yield _header_row(method, target, name)
    for name in ("upload-length", "upload-metadata", "upload-concat", "upload-checksum", "upload-defer-length"):
        yield _header_row("POST", creation, name, _TUS)
    for name in ("upload-offset", "upload-length", "upload-checksum", "content-type"):
        yield _header_row("PATCH", tus, name, _TUS, _STREAM)
    for name in ("upload-complete", "upload-offset", "upload-length", "repr-digest", "want-repr-digest"):
        yield _header_row("PUT", wire, name, (b"Upload-Draft-Interop-Version", b"6"))
    for name in ("x-ms-range", "if-none-match", "x-ms-range-get-content-md5"):
        yield _header_row("GET", public, name, _AZURE)
    for key in ("filename", "path", "filetype", "expires_in", "other"):
        yield Row(f"POST /tus Upload-Metadata {key}", _tus_metadata(key), LARGE_HEADER)
    yield Row("POST /tus Upload-Concat urls", _tus_concat, LARGE_HEADER)


_READ = (
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "x-ms-range",
    "x-ms-version",
)
_WRITTEN = (
    "content-type",
    "content-length",
    "content-encoding",
    "content-digest",
    "repr-digest",
    "content-md5",
    "want-repr-digest",
    "if-match",
    "if-none-match",
    "idempotency-key",
    "accept",
    "prefer",
)
_WRITTEN_BY_URL = (
    "content-type",
    "content-range",
    "content-digest",
    "repr-digest",
    "x-goog-hash",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-sha256",
    "x-amz-content-sha256",
    "x-ms-blob-type",
    "x-ms-blob-content-md5",
    "upload-draft-interop-version",
    "amz-sdk-invocation-id",
)


def rows_of_bodies(stage: Stage) -> Iterator[Row]:
    """Yield a row for every part of XML and of forms that is read."""
    blocks, parts = stage.ticket + b"&comp=blocklist", stage.ticket + b"&uploadId=" + _upload_id(stage)
    for name, template in _XML_LISTS.items():
        is_block_list = "BlockList" in template or name.startswith("block")
        target, method = (blocks, "PUT") if is_block_list else (parts, "POST")
        yield Row(f"XML: {name}", _templated(method, target, template, _XML))
    for field in ("any", "flowChunkNumber", "dzuuid", "qqtotalparts", "chunks", "success_action_status"):
        yield Row(f"form {stage.ticket.decode()} {field}", _form_field(stage.ticket, field), 60 * 1024)
    organization = f"/v1/organizations/{stage.file['organization_id']}/files/upload".encode()
    for target, fields in ((b"/v1/files", _FORM_FIELDS), (organization, ("purpose",))):
        for field in fields:
            yield Row(f"form {target.decode()} {field}", _form_field(target, field), 60 * 1024)
        for part in (
            'name="{}"',
            'name="file"; filename="{}"',
            "name=\"file\"; filename*=utf-8''{}",
            'name="file"; {}',
        ):
            yield Row(f"form {target.decode()} {part}", _form_part(target, part), 4096)
        yield Row(f"form {target.decode()} body", lambda text, target=target: _form(target, text.encode()))
        yield Row(f"form {target.decode()} boundary", _form_boundary(target), LARGE_HEADER)
    yield Row("PUT form on a signed URL", lambda text: _form(stage.ticket, text.encode(), method="PUT"))
    json = '{"filename": "a", "base64": "%s"}'
    yield Row("base64 of JSON", _templated("POST", b"/v1/files", json, "application/json"), 4 * LARGE)
    for name, start in _BEGINNINGS.items():
        yield Row(
            f"first bytes: {name}", lambda text, start=start: Sent("PUT", b"/api/upload/s", (), (start + text).encode())
        )


_FORM_FIELDS = (
    "filename",
    "content_type",
    "expires_in",
    "expires_at",
    "expires_after_fetches",
    "delete_after_first_complete_fetch",
    "metadata",
)
_XML_LISTS = {
    "block list": "%s",
    "block id": "<BlockList><Latest>%s</Latest></BlockList>",
    "block attribute": '<BlockList><Latest a="%s">YQ==</Latest></BlockList>',
    "block element": "<BlockList><%s></%s></BlockList>",
    "block encoding": '<?xml version="1.0" encoding="%s"?><BlockList/>',
    "block text": "<BlockList>%s</BlockList>",
    "part list": "%s",
    "part number": "<CompleteMultipartUpload><Part><PartNumber>%s</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
    "part etag": "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>",
    "part attribute": '<CompleteMultipartUpload a="%s"/>',
    "part encoding": '<?xml version="1.0" encoding="%s"?><CompleteMultipartUpload/>',
}
_BEGINNINGS = {
    "any": "",
    "XML": "<?xml ",
    "comment": "<!--",
    "doctype": "<!doctype ",
    "doctype with entities": "<!doctype a [",
}
"""What a body may begin with whose type is told from its first bytes."""


def _made(service: Service, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = service.request(method, path, json=body)
    assert answer.is_success, answer.text
    made: dict[str, Any] = answer.json()
    return made


def _upload_id(stage: Stage) -> bytes:
    return stage.ticket.split(b"/")[2]


def _resolved(schema: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in shape:
        return shape
    found: dict[str, Any] = schema["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
    return found


@functools.lru_cache(maxsize=64)
def _escaped(text: str, safe: str) -> str:
    """Percent-encode, once for all the rows that are filled with the same."""
    return quote(text, safe=safe)


def _address(stage: Stage, path: str, filled: str | None = None, text: str = "") -> bytes:
    for name, value in stage.path_values().items():
        path = path.replace("{" + name + "}", _escaped(text if name == filled else value, "/"))
    assert "{" not in path, path
    return path.encode()


def _parameter_row(
    stage: Stage, method: str, path: str, parameter: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...]
) -> Row:
    name = parameter["name"]

    def fill(text: str) -> Sent:
        if parameter["in"] == "path":
            return Sent(method, _address(stage, path, name, text), headers)
        return Sent(method, _address(stage, path) + f"?{name}={_escaped(text, '')}".encode(), headers)

    return Row(f"{method} {path} {parameter['in']} {name}", fill, LARGE_TARGET, _LETTERS_OF_WORDS, is_quoted=True)


def _member_rows(
    stage: Stage,
    schema: dict[str, Any],
    method: str,
    target: bytes,
    shape: dict[str, Any],
    headers: tuple[tuple[bytes, bytes], ...],
) -> Iterator[Row]:
    headers = (*headers, (b"Content-Type", b"application/json"))
    name = f"{method} {target.decode()[:60]} JSON"
    for path, template, kinds in _templates(schema, shape):
        for kind, (letters, make) in ((kind, _MEMBERS[kind]) for kind in kinds):

            def fill(text: str, template: str = template, make: Callable[[str], str] = make) -> Sent:
                return Sent(method, target, headers, template.replace(_HOLE, make(text)).encode())

            yield Row(f"{name} {path} as {kind}", fill, letters=letters)
    yield Row(name, lambda text: Sent(method, target, headers, text.encode()), letters=("[", "9"))


def _templates(schema: dict[str, Any], shape: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the path of each member, within objects and lists too, the JSON that has a hole in its place, and what to put there."""
    members = shape.get("properties", {})
    others = {name: _example(schema, name, members[name]) for name in shape.get("required", ())}
    for name, of_member in members.items():
        rest = "".join(f"{_quoted(other)}:{_quoted(value)}," for other, value in others.items() if other != name)
        choices = of_member.get("anyOf", [of_member])
        types = {_resolved(schema, choice).get("type") for choice in choices}
        kinds = [kind for type, kinds in _KINDS.items() if type in types for kind in kinds]
        yield name, "{" + rest + f"{_quoted(name)}:{_HOLE}" + "}", kinds or ["text"]
        for choice in choices:
            is_list = choice.get("type") == "array"
            for path, template, kinds in _templates(schema, _resolved(schema, choice["items"] if is_list else choice)):
                within = f"[{template}]" if is_list else template
                yield f"{name}.{path}", "{" + rest + f"{_quoted(name)}:{within}" + "}", kinds


_KINDS = {
    "string": ["text"],
    "integer": ["number"],
    "array": ["list", "many"],
    "object": ["nested", "name of a member"],
}
_HOLE = "\0"


def _quoted(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_MEMBERS: dict[str, tuple[tuple[str, ...], Callable[[str], str]]] = {
    "text": (("T", MARKS), _quoted),
    "list": ((MARKS,), lambda text: f"[{_quoted(text)}]"),
    "many": (("1,",), lambda text: f"[{text}1]"),
    "name of a member": (("T",), lambda text: "{" + _quoted(text) + ":1}"),
    "number": (("9",), lambda text: text),
    "nested": (('{"a":',), lambda text: text),
}


def _example(schema: dict[str, Any], name: str, shape: dict[str, Any]) -> Any:
    shape = _resolved(schema, shape)
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    if shape.get("type") == "array":
        return [_example(schema, "", shape["items"])]
    if shape.get("type") == "object":
        return {each: _example(schema, each, shape["properties"][each]) for each in shape.get("required", ())}
    return 1 if shape.get("type") == "integer" else "x"


def _header_row(method: str, target: bytes, name: str, *others: tuple[bytes, bytes]) -> Row:
    def fill(text: str) -> Sent:
        return Sent(method, target, (*others, (name.encode(), text.encode())))

    return Row(f"{method} {target.decode()[:40]} header {name}", fill, LARGE_HEADER)


def _tus_metadata(key: str) -> Callable[[str], Sent]:
    def fill(text: str) -> Sent:
        # In base64 it takes a third more; what does not fit in is cut off.
        value = base64.b64encode(text.encode()[: LARGE_HEADER * 3 // 4 - 100])
        return Sent(
            "POST", b"/tus", (_TUS, (b"Upload-Length", b"1"), (b"Upload-Metadata", key.encode() + b" " + value))
        )

    return fill


def _tus_concat(text: str) -> Sent:
    return Sent("POST", b"/tus", (_TUS, (b"Upload-Concat", b"final;/u/" + text.encode() + b"/n")))


def _templated(method: str, target: bytes, template: str, media_type: str) -> Callable[[str], Sent]:
    def fill(text: str) -> Sent:
        return Sent(method, target, ((b"Content-Type", media_type.encode()),), template.replace("%s", text).encode())

    return fill


def _form_field(target: bytes, field: str) -> Callable[[str], Sent]:
    def fill(text: str) -> Sent:
        part = f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'.encode() + text.encode() + b"\r\n"
        return _form(target, part + _FILE + b"--b--\r\n")

    return fill


def _form_part(target: bytes, disposition: str) -> Callable[[str], Sent]:
    def fill(text: str) -> Sent:
        head = f"--b\r\nContent-Disposition: form-data; {disposition.replace('{}', text)}\r\n\r\n".encode()
        return _form(target, head + b"x\r\n--b--\r\n")

    return fill


def _form_boundary(target: bytes) -> Callable[[str], Sent]:
    return lambda text: Sent(
        "POST", target, ((b"Content-Type", b"multipart/form-data; boundary=" + text.encode()),), b"x"
    )


_FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n'


def _form(target: bytes, body: bytes, *, method: str = "POST") -> Sent:
    return Sent(method, target, ((b"Content-Type", _FORM),), body)
