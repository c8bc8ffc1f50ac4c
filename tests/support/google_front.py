"""What Google does and its emulator does not, before the emulator: signatures and what they cover, digests, and what must be new.

It is held to Google's documents and to its SDK's canonical forms; Google itself was not asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tempfile
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlsplit

import google_crc32c
import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.cloud.storage._signing import _url_encode, get_canonical_headers  # type: ignore[import-untyped]

from support.google import ACCOUNT, FakeGoogle, service_account

PASSED_ON = ("content-type", "content-range", "etag", "date", "last-modified", "cache-control")
NEW = ("ifGenerationMatch", "0")


class Google(FakeGoogle):
    """The emulator behind what verifies; ``with Google() as store``. It knows one account, whose key is in ``key_file``."""

    name = "google"

    def __enter__(self) -> Self:
        """Start both."""
        super().__enter__()
        self._keys = tempfile.TemporaryDirectory(prefix="google-")
        self.key_file = Path(self._keys.name) / "key.json"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        front = f"http://127.0.0.1:{self._server.server_address[1]}"
        service_account(self.key_file, f"{front}/token")
        self._server.RequestHandlerClass = _handler_of(self.endpoint, self.key_file)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.endpoint = front
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._keys.cleanup()
        super().__exit__()

    def settings(self, prefix: str | None = None, *, is_public: bool = False) -> dict[str, str]:
        """Return the settings of a server that keeps its blobs there, with the key."""
        return {**super().settings(prefix, is_public=is_public), "gcs_credentials": str(self.key_file)}

    def open(self, location: str, *, secret: str | None = None, **options: Any) -> Any:
        """Return the store at a location, opened by the key, and the objects that it is made of."""
        return super().open(location, secret=secret or str(self.key_file), **options)


class _Session:
    """A resumable session as the documents have it: its bytes come once, in order, and are as many as was said."""

    def __init__(self, client: httpx.Client, name: str, size: int) -> None:
        self._client, self._name, self._size = client, name, size
        self._came, self._answer = b"", b""
        self._is_cancelled = False

    def answer(self, method: str, headers: Message, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Take some of the bytes, or tell how many there are."""
        self._is_cancelled |= method == "DELETE"
        if self._is_cancelled:
            return 499, {}, b""
        if self._answer:
            return 200, {"content-type": "application/json"}, self._answer
        told = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("content-range", "bytes 0-0/*"))
        assert told
        if "content-range" in headers and told[2] not in ("*", str(self._size)):
            return 400, {}, b""
        if told[1] is not None:
            start = int(told[1])
            came = self._came[:start] + body
            if start > len(self._came) or len(came) > self._size:
                return 400, {}, b""
            self._came = max(self._came, came, key=len)
        if len(self._came) < self._size:
            return 308, {"range": f"bytes=0-{len(self._came) - 1}"} if self._came else {}, b""
        place = f"/upload/storage/v1/b/{FakeGoogle.BUCKET}/o"
        made = self._client.post(place, params={"uploadType": "media", "name": self._name}, content=self._came)
        self._answer = made.raise_for_status().content
        return 200, {"content-type": "application/json"}, self._answer


def _handler_of(behind: str, key_file: Path) -> type[BaseHTTPRequestHandler]:
    key = load_pem_private_key(json.loads(key_file.read_text())["private_key"].encode(), None)
    assert isinstance(key, RSAPrivateKey)
    public_key = key.public_key()
    lock = Lock()
    sessions: dict[str, _Session] = {}
    client = httpx.Client(trust_env=False, timeout=30, base_url=behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            """Read a request, and answer it."""
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, content = self._answer(body)
            if self.headers.get("origin"):
                headers = {**headers, "access-control-allow-origin": "*", "access-control-expose-headers": "ETag"}
            self.send_response_only(status)
            for name, value in {
                "date": self.date_time_string(),
                **headers,
                "content-length": str(len(content)),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()

        def _answer(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
            url = urlsplit(self.path)
            query = parse_qsl(url.query, keep_blank_values=True)
            if "upload_id" in dict(query):
                with lock:
                    return sessions[dict(query)["upload_id"]].answer(self.command, self.headers, body)
            if url.path == "/token":
                return 200, {"content-type": "application/json"}, b'{"access_token": "a-token", "expires_in": 3600}'
            if url.path.startswith(("/storage/", "/upload/")):
                if self.headers.get("authorization") != "Bearer a-token":
                    return 401, {}, b'{"error": {"code": 401, "errors": [{"reason": "authError"}]}}'
                with lock:
                    return self._answer_json(url.path, query, body)
            if self.command == "OPTIONS":
                return 200, {}, b""
            refused = self._refusal(url.path, query)
            if refused is not None:
                return 403, {}, f"<Error><Code>{refused}</Code></Error>".encode()
            return self._answer_signed(url.path, dict(query), body)

        def _answer_json(
            self, path: str, query: list[tuple[str, str]], body: bytes
        ) -> tuple[int, Mapping[str, str], bytes]:
            if (
                path.endswith("/compose")
                and NEW in query
                and client.get(path.removesuffix("/compose")).status_code < 300
            ):
                return 412, {}, b'{"error": {"code": 412, "errors": [{"reason": "conditionNotMet"}]}}'
            if ("uploadType", "resumable") in query:
                id = uuid.uuid4().hex
                sessions[id] = _Session(client, dict(query)["name"], int(self.headers["x-upload-content-length"]))
                return (
                    200,
                    {"location": f"http://{self.headers['host']}{path}?uploadType=resumable&upload_id={id}"},
                    b"",
                )
            boundary = re.search(r"boundary=(\w+)", self.headers.get("content-type", ""))
            if boundary:
                _before, description, content, _after = body.split(f"--{boundary[1]}".encode(), 3)
                said = re.search(rb'"crc32c":"([^"]+)"', description)
                came = content.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
                if said and base64.b64decode(said[1]) != google_crc32c.value(came).to_bytes(4, "big"):
                    return 400, {}, b'{"error": {"code": 400, "errors": [{"reason": "invalid"}]}}'
            return _told(client.request(self.command, self.path, content=body, headers=self._passed_on()))

        def _answer_signed(
            self, path: str, query: Mapping[str, str], body: bytes
        ) -> tuple[int, Mapping[str, str], bytes]:
            if self.command == "PUT":
                client.put(path, params={"X-Goog-Algorithm": "passed"}, content=body).raise_for_status()
                return 200, {"etag": f'"{hashlib.md5(body).hexdigest()}"'}, b""
            bucket, _, name = path.removeprefix("/").partition("/")
            place = f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
            status, headers, content = _told(client.get(place, headers=self._passed_on()))
            said = {
                name.removeprefix("response-"): value for name, value in query.items() if name.startswith("response-")
            }
            return status, {**headers, "cache-control": "private, max-age=0", **said}, content

        def _passed_on(self) -> dict[str, str]:
            names = ("content-type", "range", "x-goog-hash")
            return {name: self.headers[name] for name in names if name in self.headers}

        def _refusal(self, path: str, query: list[tuple[str, str]]) -> str | None:
            """Return why a request is not one that the key has signed; None where it is."""
            told = dict(query)
            signature = told.pop("X-Goog-Signature", "")
            try:
                begins = datetime.strptime(told["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                ends = begins + timedelta(seconds=int(told["X-Goog-Expires"]))
                names = told["X-Goog-SignedHeaders"].split(";")
            except (KeyError, ValueError):
                return "AccessDenied"
            if datetime.now(UTC) > ends or ends - begins > timedelta(days=7):
                return "ExpiredToken"
            given = {name.lower(): value for name, value in self.headers.items()}
            if any(name.startswith("x-goog-") and name not in names for name in given) or "host" not in names:
                return "AccessDenied"
            scope = f"{told['X-Goog-Date'][:8]}/auto/storage/goog4_request"
            lines, _ordered = get_canonical_headers({name: given.get(name, "") for name in names})
            request = [
                self.command,
                path,
                _url_encode(told),
                "\n".join(lines) + "\n",
                ";".join(names),
                "UNSIGNED-PAYLOAD",
            ]
            digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
            text = "\n".join(["GOOG4-RSA-SHA256", told["X-Goog-Date"], scope, digest]).encode()
            try:
                assert told["X-Goog-Credential"] == f"{ACCOUNT}/{scope}"
                public_key.verify(bytes.fromhex(signature), text, PKCS1v15(), SHA256())
            except (AssertionError, ValueError, InvalidSignature):
                return "SignatureDoesNotMatch"
            return None

    return Handler


def _told(answer: httpx.Response) -> tuple[int, Mapping[str, str], bytes]:
    headers = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
    return answer.status_code, headers, answer.content
