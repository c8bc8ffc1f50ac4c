"""Every method of the client has an example in its docstring, as `help` shows it, and each of them works."""

from __future__ import annotations

import doctest
import inspect
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import fileferry
from fileferry import Client
from support.live_server import LiveServer

FACES = [
    Client,
    fileferry.WorkspaceFiles,
    fileferry.Webhooks,
    fileferry.Tickets,
    fileferry.Shares,
    fileferry.FileRequests,
]


def methods_of(face: type) -> Iterator[str]:
    return (name for name, _value in inspect.getmembers(face) if not name.startswith("_"))


EXAMPLES = [pytest.param(face, name, id=f"{face.__name__}.{name}") for face in FACES for name in methods_of(face)]


@pytest.fixture
def told(quiet: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the examples speak of, in an organization of their own."""
    monkeypatch.chdir(tmp_path)
    Path("report.pdf").write_bytes(b"%PDF-1.4 a report")
    with Client(quiet.url, quiet.root_key) as root:
        organization = root.create_organization(f"o{uuid.uuid4().hex[:12]}")
        scopes = ["upload", "read", "delete", "admin"]
        secret = root.create_key("backend", scopes=scopes, organization=organization).secret
        monkeypatch.setenv("FILEFERRY_URL", quiet.url)
        monkeypatch.setenv("FILEFERRY_KEY", str(secret))
        with Client() as client:
            yield {"client": client, "httpx": httpx, "root": root}


def prepared(told: dict[str, Any], face: type, name: str) -> dict[str, Any]:
    """The names that an example uses, made as it needs them."""
    client = told["client"]
    if "organization" in name or name == "server":
        return {"client": told["root"]}
    ready = {"client": client, "httpx": httpx, "urlsplit": urlsplit, "file": client.upload(b"Hello", name="hello.txt")}
    if face is fileferry.Tickets:
        ready["ticket"] = client.tickets.create(name="photo.jpg", max_size=5_000_000)
    if face is fileferry.Shares:
        ready["shares"] = client.shares()
        if name != "create":
            ready["share"] = ready["shares"].create(ready["file"])
    if face is fileferry.FileRequests:
        ready["requests"] = client.requests()
        if name != "create":
            ready["request"] = ready["requests"].create("Photos of the site")
    if "key" in name:
        ready["key"] = client.create_key("clerk", scopes=["upload", "read"])
    if "user" in name or name == "set_password":
        ready["user"] = (
            None if name == "create_user" else client.create_user("ada", "a password of hers", scopes=["read"])
        )
    if "folder" in name:
        ready["folder"] = client.create_folder("invoices")
    for content in (b"first", b"second"):
        ready["latest"] = client.upload(content, path="reports/latest.pdf")
    if face is fileferry.WorkspaceFiles or "workspace" in name:
        client.create_workspace("reports")
        ready["reports"] = client.workspace("reports")
        for content in (b"first", b"second"):
            ready["reports"].upload("2026/november.pdf", content)
    if face is fileferry.Webhooks or name == "webhooks":  # last, as it would be told of the files
        ready["hooks"] = client.webhooks()
        if name != "create":
            ready["hook"] = ready["hooks"].create("https://receiver.example/hook")
    return ready


@pytest.mark.parametrize(("face", "name"), EXAMPLES)
def test_the_example_of_a_method_works(face: type, name: str, told: dict[str, Any]) -> None:
    run_example(getattr(face, name).__doc__, f"{face.__name__}.{name}", prepared(told, face, name))


def test_the_example_of_the_client_works(told: dict[str, Any]) -> None:
    run_example(Client.__doc__, "Client", {})


@pytest.mark.parametrize(
    "face", [*FACES, fileferry.AsyncClient, fileferry.AsyncTickets], ids=lambda face: face.__name__
)
def test_help_is_made_of_sentences(face: type) -> None:
    for described in (face, *(getattr(face, name) for name in methods_of(face))):
        first = (inspect.getdoc(described) or "").partition("\n\n")[0]
        assert re.fullmatch(r"[A-Z].+[.:]", first, re.DOTALL), described


def run_example(text: str | None, name: str, names: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(text or "", names, name, None, None)
    assert example.examples, f"{name} has no example"
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not said, "".join(said)
