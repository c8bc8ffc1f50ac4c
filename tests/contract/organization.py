"""An organization of a test's own, and the calls of the organizations flow in it; bytes go to signed URLs without the key."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import httpx

from support.live_server import LiveServer
from wire.asking import send

Answer = dict[str, Any]
PDF = b"%PDF-1.7\n"


class Tenant:
    """One organization, as whoever ``http`` is sees it."""

    def __init__(self, http: httpx.Client, id: str, slug: str) -> None:
        self.http = http
        self.id = id
        self.slug = slug
        self.files = f"/v1/organizations/{slug}/files"

    @classmethod
    def new(cls, http: httpx.Client) -> Tenant:
        """Make an organization; ``http`` must carry the root key."""
        made = http.post("/api/organizations", json={"slug": f"org_{uuid.uuid4().hex}"})
        assert made.status_code == 201, made.text
        return cls(http, made.json()["id"], made.json()["slug"])

    def seen_by(self, http: httpx.Client) -> Tenant:
        """Return the same organization as seen by someone else."""
        return Tenant(http, self.id, self.slug)

    def client(self, server: LiveServer, *scopes: str) -> httpx.Client:
        """Return a client with a key of this organization; the caller closes it."""
        asked = {"name": "tests", "scopes": scopes}
        made = self.http.post("/api/keys", json=asked, params={"organization": self.slug})
        assert made.status_code == 201, made.text
        return server.client(made.json()["key"])

    def asks(self, **said: Any) -> httpx.Response:
        """Ask for an upload URL."""
        return self.http.post(f"{self.files}/upload-url", json=upload_of(PDF) | said)

    def ask(self, content: bytes = PDF, **said: Any) -> Answer:
        """Return the upload session for ``content``."""
        return answered(self.asks(**upload_of(content) | said), 200)

    def registers(self, session: Answer, content: bytes = PDF, **said: Any) -> httpx.Response:
        """Register what an upload session was for."""
        return self.http.post(self.files, json=upload_of(content) | {"gcs_path": session["gcs_path"]} | said)

    def put(self, content: bytes = PDF, **said: Any) -> Answer:
        """Ask for a URL, send the bytes and register them; return the file."""
        session = self.ask(content, **said)
        deliver(session, content)
        return answered(self.registers(session, content, **said), 201)

    def uploads(self, content: bytes = PDF, name: str = "a.pdf", **fields: str) -> httpx.Response:
        """Upload a file directly."""
        return self.http.post(f"{self.files}/upload", files={"file": (name, content, "application/pdf")}, data=fields)

    def upload(self, content: bytes = PDF, name: str = "a.pdf", **fields: str) -> Answer:
        """Upload a file directly; return it."""
        return answered(self.uploads(content, name, **fields), 201)

    def gets(self, file_id: str) -> httpx.Response:
        """Ask for a file."""
        return self.http.get(f"{self.files}/{file_id}")

    def deletes(self, file_id: str) -> httpx.Response:
        """Delete a file."""
        return self.http.delete(f"{self.files}/{file_id}")

    def list(self, **query: Any) -> Answer:
        """Return a page of files."""
        return answered(self.http.get(self.files, params=query), 200)


def upload_of(content: bytes) -> Answer:
    """Return what is said of a PDF when a URL for it is asked for."""
    return {"filename": "a.pdf", "file_size": len(content), "mime_type": "application/pdf"}


def deliver(session: Answer, content: bytes) -> None:
    """Send the bytes in one piece."""
    answer = send(session["upload_url"], content)
    assert answer.is_success, answer.text


def answered(answer: httpx.Response, status: int) -> Answer:
    """Return the body of an answer that must have this status."""
    assert answer.status_code == status, answer.text
    body: Answer = answer.json()
    return body


def refusal(answer: httpx.Response) -> tuple[int, str, Answer]:
    """Return status, code and details of a refusal, whose envelope must be that of the flow and agree with its headers."""
    body = answer.json()
    assert body.keys() == {"success", "error"}, answer.text
    assert body["success"] is False
    error = body["error"]
    assert error.keys() == {"code", "message", "type", "status", "details", "trace_id", "timestamp"}
    assert error["status"] == answer.status_code
    assert error["type"] == ("client_error" if answer.status_code < 500 else "server_error")
    assert error["trace_id"] == answer.headers["x-request-id"]
    assert error["message"]
    assert datetime.fromisoformat(error["timestamp"]).tzinfo is not None
    return answer.status_code, error["code"], error["details"]
