"""A workspace of a test's own, and the calls of the workspaces flow in it; bytes go to signed URLs without the key."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

import httpx

from contract.edge import fetch
from wire.asking import send

Ticket = dict[str, Any]


class Place:
    """One workspace, as whoever ``http`` is sees it."""

    def __init__(self, http: httpx.Client, organization: str, workspace: str) -> None:
        self.http = http
        self.organization = organization
        self.workspace = workspace
        self.files = f"/file/v2/orgs/{organization}/workspaces/{workspace}/files"

    @classmethod
    def new(cls, http: httpx.Client, organization: str | None = None) -> Place:
        """Make a workspace, in the default organization unless one is named."""
        query = {"organization": organization} if organization else {}
        made = http.post("/api/workspaces", json={"name": f"tests {uuid.uuid4()}"}, params=query)
        assert made.status_code == 201, made.text
        return cls(http, made.json()["organization_id"], made.json()["id"])

    def seen_by(self, http: httpx.Client) -> Place:
        """Return the same workspace as seen by someone else."""
        return Place(http, self.organization, self.workspace)

    def at(self, path: str) -> str:
        """Return the address of the file at a path."""
        return f"{self.files}/path/{quote(path)}"

    def by_id(self, file_id: str) -> str:
        """Return the address of a file."""
        return f"{self.files}/{file_id}"

    def ask(self, path: str, **query: Any) -> Ticket:
        """Return a ticket for the next version of the file at a path."""
        return _answered(self.http.put(self.at(path), params=query))

    def ask_by_id(self, file_id: str, **query: Any) -> Ticket:
        """Return a ticket for the next version of a file."""
        return _answered(self.http.put(self.by_id(file_id), params=query))

    def put(self, path: str, content: bytes = b"content") -> Ticket:
        """Upload a version of the file at a path; return its ticket."""
        ticket = self.ask(path)
        deliver(ticket, content)
        return ticket

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Return what is said of the file at a path."""
        return _answered(self.http.get(self.at(path), params=query))

    def get_by_id(self, file_id: str, **query: Any) -> dict[str, Any]:
        """Return what is said of a file."""
        return _answered(self.http.get(self.by_id(file_id), params=query))

    def list(self, **query: Any) -> dict[str, Any]:
        """Return a listing."""
        return _answered(self.http.get(self.files, params=query))

    def names(self, **query: Any) -> list[str]:
        """Return the names of the files in a listing."""
        return [file["name"] for file in self.list(**query)["files"]]

    def content(self, path: str, **query: Any) -> bytes:
        """Return what is downloaded of the file at a path."""
        return fetch(self.get(path, **query)["download"]).content


def deliver(ticket: Ticket, content: bytes) -> None:
    """Send a version's bytes in one piece."""
    answer = send(ticket["upload"], content)
    assert answer.is_success, answer.text


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, whose envelope must be a problem that repeats its status."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:fileferry:error:{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    return answer.status_code, problem["code"]


def _answered(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body
