"""What README and docs say is what the code has: routes, settings, errors, commands, fields, links."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import httpx
import pytest
import typer
from pages import DOCS, ROOT, blocks, links, name_of, pages, prose, routes
from tables import TABLES, _every, _option_names, written

import fileferry
from fileferry.cli import app
from fileferry.client import (
    ApiKey,
    Delivery,
    Event,
    File,
    FileRequest,
    Folder,
    Identity,
    Link,
    Organization,
    Scan,
    SentFile,
    Share,
    Ticket,
    Version,
    Webhook,
    Workspace,
)
from fileferry.errors import FerryError
from fileferry.ui import application

NOT_IN_THE_SCHEMA = {("GET", "/docs"), ("GET", "/docs/openapi.json")}


def anonymous(route: tuple[str, str]) -> tuple[str, str]:
    return route[0], re.sub(r"{\w+}", "{}", route[1])


@pytest.fixture
def schema_routes(http: httpx.Client) -> set[tuple[str, str]]:
    paths = http.get("/docs/openapi.json").json()["paths"]
    return {anonymous((method.upper(), path)) for path, methods in paths.items() for method in methods}


def described_routes() -> set[tuple[str, str]]:
    return {anonymous(route) for page in pages() for route in routes(page)} - NOT_IN_THE_SCHEMA


def test_every_route_is_described(schema_routes: set[tuple[str, str]]) -> None:
    assert sorted(schema_routes - described_routes()) == []


def test_no_route_is_invented(schema_routes: set[tuple[str, str]]) -> None:
    assert sorted(described_routes() - schema_routes) == []


def told_without_a_mouse() -> list[list[str]]:
    """The rows of the dashboard's table: page, API, command, Python."""
    section = (DOCS / "dashboard.md").read_text().partition("## The same without a mouse")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_whatever_a_page_does_programs_are_told_how_to_do() -> None:
    by_hand = {"/", "/assets/{}/{}", "/sign-in", "/authorize", "/oidc", "/oidc/callback"}
    paths = {
        re.sub(r"{\w+:\w+}", "{}", path)
        for module in vars(application).values()
        for handler in getattr(module, "handlers", ())
        for path in handler.paths
    }
    told = {path for row in told_without_a_mouse() for path in re.findall(r"`(/[^`]*)`", row[0])}
    assert len(told) > 40
    assert told == paths - by_hand


def test_the_commands_and_methods_beside_a_page_are_there() -> None:
    commands = dict(_every(typer.main.get_command(app), "fileferry"))
    for _page, _route, command, python in told_without_a_mouse():
        named = re.findall(r"`(fileferry [^`]+)`", command)
        methods = re.findall(r"`client\.([\w.]+)\(\)`", python)
        assert named, command
        assert methods, python
        for words in named:
            verb, _, option = words.partition(" --")
            assert verb in commands, words
            assert not option or f"--{option}" in str(_option_names(commands[verb])), words
        for method in methods:
            noun, _, inner = method.partition(".")
            assert hasattr(fileferry.Client, noun), method
            assert not inner or (noun == "tickets" and hasattr(fileferry.Tickets, inner)), method


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_code_says(name: str) -> None:
    page, make = TABLES[name]
    assert written(page, name) == make(), "run `python tests/docs/tables.py`"


def test_every_field_of_the_api_is_described_on_a_page_of_it(http: httpx.Client) -> None:
    schemas = http.get("/docs/openapi.json").json()["components"]["schemas"]
    fields = {name: list(schema.get("properties", {})) for name, schema in schemas.items()}
    assert "FileObject" in fields
    flows = [
        DOCS / "native-api.md",
        DOCS / "errors.md",
        DOCS / "sharing.md",
        DOCS / "preflights.md",
        *(DOCS / "flows").glob("*.md"),
    ]
    assert [name for name, named in fields.items() if all(unnamed(named, page) for page in flows)] == []


@pytest.mark.parametrize("client", [fileferry.Client, fileferry.AsyncClient])
def test_every_method_of_the_client_is_described(client: type) -> None:
    methods = [name for name, _value in inspect.getmembers(client, callable) if not name.startswith("_")]
    assert not unnamed(methods, DOCS / "python-client.md")


@pytest.mark.parametrize(
    "noun",
    [
        *(
            ApiKey,
            Delivery,
            Event,
            File,
            FileRequest,
            Folder,
            Identity,
            Link,
            Organization,
            Scan,
            SentFile,
            Share,
            Ticket,
        ),
        *(Version, Webhook, Workspace),
    ],
)
def test_every_field_of_the_clients_nouns_is_described(noun: type) -> None:
    assert not unnamed(list(inspect.signature(noun).parameters), DOCS / "python-client.md")


def test_every_public_name_of_the_client_is_described() -> None:
    names = [name for name in fileferry.__all__ if not is_catalogued(getattr(fileferry, name))]
    assert not unnamed(names, DOCS / "python-client.md")


@pytest.mark.parametrize("plugin", ["AwsS3", "XHRUpload"])
def test_the_lines_that_a_page_of_uppy_takes_are_those_that_a_browser_runs(plugin: str) -> None:
    (shown,) = [block.text for block in blocks(DOCS / "clients.md") if f"use({plugin}" in block.text]
    run = (ROOT / "tests/browser/tus.html").read_text()
    assert [line for line in shown.splitlines() if line.strip() not in run] == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    assert not [target for target in targets if not target.exists()]


def test_every_page_can_be_reached_from_the_index() -> None:
    index = DOCS / "index.md"
    found = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert not {page for page in pages() if page.is_relative_to(DOCS)} - found - {index}


@pytest.mark.parametrize("decision", sorted((DOCS / "decisions").glob("*.md")), ids=name_of)
def test_a_decision_is_short_and_has_its_three_parts(decision: Path) -> None:
    lines = decision.read_text().splitlines()
    assert len(lines) <= 20
    assert re.fullmatch(rf"# {decision.name[:4]}: .+", lines[0])
    assert all(f"**{part}.**" in decision.read_text() for part in ("Context", "Options", "Choice"))


def test_the_changelog_has_the_version_of_the_package() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert re.search(rf"^## {re.escape(version[1])}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def is_catalogued(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, FerryError) and value.__module__ == "fileferry.errors"


def unnamed(names: list[str], page: Path) -> list[str]:
    """Return which of the names the page's prose never writes as code."""
    words = {word for code in re.findall(r"`([^`\n]+)`", prose(page)) for word in re.findall(r"\w+", code)}
    return [name for name in names if name not in words]
