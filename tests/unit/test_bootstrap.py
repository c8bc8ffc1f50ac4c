"""A file says which organizations, keys and webhooks there shall be: each start makes it so, once, and tells what is wrong."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from fileferry import bootstrap
from fileferry.db.writer import Writer
from fileferry.engine.access.keys import new_secret
from fileferry.settings import SettingsError
from unit.service import Service

SECRET = new_secret()
SIGNING = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
SHOWN = re.search(r"```toml\n(\[\[organizations\]\]\n.+?)```", PAGE.read_text(), re.DOTALL)
assert SHOWN is not None
WANTED = SHOWN[1]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "data", bootstrap=str(tmp_path / "bootstrap.toml"))
    (tmp_path / "backend-key").write_text(f"{SECRET}\n")
    (tmp_path / "hook-secret").write_text(SIGNING)
    yield made
    made.close()


def start(service: Service, text: str = WANTED) -> None:
    """Do what a start does with a file of this text."""
    assert service.settings.bootstrap is not None
    folder = service.settings.bootstrap.parent
    service.settings.bootstrap.write_text(text.replace("/etc/fileferry/", f"{folder}/"))
    wanted = bootstrap.read(service.settings)
    assert wanted is not None
    service._run(bootstrap.apply(service._engine, wanted))


def seen(service: Service) -> dict[str, Any]:
    """Everything that the file may name, as the API tells it."""
    named = {"X-Organization": "acme"}
    return {
        "organization": service.request("GET", "/api/organizations/acme").json(),
        "keys": service.request("GET", "/api/keys", params={"organization": "acme"}, headers=named).json()["keys"],
        "webhooks": service.request("GET", "/api/webhooks", params={"organization": "acme"}).json()["webhooks"],
    }


def test_what_the_file_says_is_there_after_a_start_and_once_only(service: Service) -> None:
    start(service)
    assert service.request("PUT", "/api/upload/in/box/a.txt", key=SECRET, content=b"words").status_code == 201
    first = seen(service)
    assert first["organization"]["limits"]["max_size"] == 1024**3
    (key,) = first["keys"]
    assert (key["name"], key["scopes"], key["path_prefix"]) == ("backend", ["read", "upload"], "in/box")
    assert key["limits"]["requests"] == "100/minute"
    (webhook,) = first["webhooks"]
    assert (webhook["url"], webhook["types"]) == ("https://hooks.example.com/files", ["file.ready"])
    with mock.patch.object(Writer, "submit", side_effect=AssertionError("a start must work on a full disk too")):
        start(service)
    assert seen(service) == first


def test_what_was_changed_by_hand_is_what_the_file_says_after_the_next_start(service: Service) -> None:
    start(service)
    changed = WANTED.replace('"read"', '"delete"')
    start(service, changed)
    (key,) = seen(service)["keys"]
    assert key["scopes"] == ["delete", "upload"]
    other = new_secret()
    assert service.settings.bootstrap is not None
    (service.settings.bootstrap.parent / "backend-key").write_text(other)
    start(service, changed)
    assert service.request("GET", "/api/files", key=SECRET).status_code == 401
    assert service.request("PUT", "/api/upload/in/box/b.txt", key=other, content=b"words").status_code == 201


def test_what_the_file_does_not_name_is_left_alone(service: Service) -> None:
    start(service)
    service.request("POST", "/api/keys", json={"name": "by hand", "scopes": ["read"]}, params={"organization": "acme"})
    start(service)
    assert {key["name"] for key in seen(service)["keys"]} == {"backend", "by hand"}


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('slug = "acme"', 'slug = "Acme Corp"', "Acme Corp: A slug is 1 to 64 lower-case"),
        ('name = "Acme"', 'nmae = "Acme"', "unknown field `nmae`"),
        ('"upload", ', '"write", ', "Invalid enum value 'write'"),
        ('"100/minute"', '"many"', "acme, key backend: 'many' is no rate"),
        ("https://hooks", "ftp://hooks", "acme, webhook ftp://hooks.example.com/files: url must be an absolute"),
        ("backend-key", "no-such-key", "no-such-key cannot be read: No such file"),
        ('secret_file = "/etc/fileferry/hook-secret"', 'secret = "whsec_short"', "The secret must be whsec_"),
        ('secret_file = "/etc/fileferry/hook-secret"', "", "give either secret or secret_file"),
        (
            'secret_file = "/etc/fileferry/backend-key"',
            'secret = "ff_guess"',
            "acme, key backend: The secret is none that",
        ),
        (
            "[[organizations.webhooks]]",
            '[[organizations]]\nslug = "acme"\n[[organizations.webhooks]]',
            "'acme' is there twice",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(service: Service, before: str, after: str, sentence: str) -> None:
    assert before in WANTED
    with pytest.raises(SettingsError) as caught:
        start(service, WANTED.replace(before, after))
    assert str(caught.value).startswith("FILEFERRY_BOOTSTRAP: ")
    assert sentence in str(caught.value)
