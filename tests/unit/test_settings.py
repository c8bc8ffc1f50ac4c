"""Settings: each is documented and used, a good value is taken, and a bad one is told by its variable's name."""

from __future__ import annotations

import ast
import inspect
import os
import re
import socket
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

import fileferry
from fileferry import running, settings
from fileferry.cli.server import serve
from fileferry.engine.access.keys import new_secret
from fileferry.settings import Settings, SettingsError, load

SOURCE = Path(fileferry.__file__).parent
FIELDS = [field.name for field in msgspec.structs.fields(Settings)]


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_is_used_outside_the_settings(name: str) -> None:
    users = [path for path in SOURCE.rglob("*.py") if path.name != "settings.py"]
    used = any(re.search(rf"settings\.{name}\b", path.read_text()) for path in users)
    resolved = re.search(rf"self\.{name}\b", inspect.getsource(settings))
    assert used or resolved


def test_every_setting_is_documented() -> None:
    (definition,) = [
        node
        for node in ast.parse(inspect.getsource(settings)).body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    ]
    body = definition.body
    documented = {
        node.target.id
        for node, after in pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    assert documented == set(FIELDS)


def test_values_are_read_with_their_units() -> None:
    read = load(
        {
            "FILEFERRY_MAX_FILE_SIZE": "64MiB",
            "FILEFERRY_MAX_JSON_UPLOAD": "5MB",
            "FILEFERRY_MAX_RETENTION": "7d",
            "FILEFERRY_SWEEP_INTERVAL": "90",
            "FILEFERRY_DATA": "/srv/files",
            "FILEFERRY_BASE_URL": "https://files.example",
            "UNRELATED": "x",
        }
    )
    assert (read.max_file_size, read.max_json_upload) == (64 * 1024**2, 5_000_000)
    assert (read.max_retention, read.sweep_interval) == (timedelta(days=7), timedelta(seconds=90))
    assert read.resolved_database_url() == "sqlite:////srv/files/fileferry.db"
    assert read.resolved_store_folder() == Path("/srv/files")
    assert load({}) == Settings()


BAD = {
    "MAX_FILE_SIZE": "big",
    "MAX_METADATA": "-1",
    "MAX_RETENTION": "forever",
    "SWEEP_INTERVAL": "0",
    "PUBLIC_CACHE": "1 minute",
    "DATABASE_URL": "mysql://x",
    "STORE": "ftp://x",
}


@pytest.mark.parametrize(("name", "value"), BAD.items())
def test_a_value_that_cannot_be_used_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({f"FILEFERRY_{name}": value})
    assert name.lower() in str(caught.value).lower()


def test_a_value_that_cannot_be_used_is_told_by_its_variable() -> None:
    with pytest.raises(SettingsError, match="FILEFERRY_MAX_FILE_SIZE"):
        load({"FILEFERRY_MAX_FILE_SIZE": "big"})


@pytest.mark.parametrize("name", ["LOG_LEVEL", "LOG_FORMAT"])
def test_a_word_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load({f"FILEFERRY_{name}": "loud"})


@pytest.mark.parametrize(
    ("name", "words"),
    [("PROCESSING", "server or worker"), ("LOG_FORMAT", "json or console"), ("SERVE_UNSCANNED", "true or false")],
)
def test_a_setting_of_a_few_words_tells_them(name: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load({f"FILEFERRY_{name}": "sometimes"})


@pytest.mark.parametrize("key", ["abc", "ff_" + 40 * "a", "correct horse battery"])
def test_a_root_key_that_can_be_guessed_is_refused_with_a_way_to_make_one(key: str) -> None:
    with pytest.raises(SettingsError, match="openssl rand"):
        load({"FILEFERRY_ROOT_KEY": key})
    load({"FILEFERRY_ROOT_KEY": new_secret()})


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "BASE_URL",
            "files.example.com",
            "BASE_URL: 'files.example.com' is no address; write for example https://files",
        ),
        ("BASE_URL", "ftp://files.example.com", "is no address"),
        ("BASE_URL", "https://", "is no address"),
        ("BASE_URL", "https://files.example.com:99999", "is no address"),
        ("BASE_URL", "https://files.example.com/?a=b", "no user, query or fragment"),
        ("BASE_URL", "https://me:secret@files.example.com", "no user, query or fragment"),
        ("ALLOWED_TYPES", "pdf", "ALLOWED_TYPES: 'pdf' is no media type; write for example application/pdf,text/plain"),
        ("ALLOWED_TYPES", "application/pdf; a=b", "is no media type"),
        ("END_USER_TYPES", "text/plain,.csv", "END_USER_TYPES: '.csv' is no media type"),
        ("PROCESSING_CONCURRENCY", "0", "PROCESSING_CONCURRENCY: .*>= 1"),
        ("FETCH_EVENTS", "-1", "FETCH_EVENTS: .*>= 0"),
        ("ROOT_KEY", "x", "ROOT_KEY can be guessed"),
        ("DATA", "", "FILEFERRY_DATA: is empty"),
    ],
)
def test_a_value_that_cannot_be_meant_is_told_in_a_sentence(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load({f"FILEFERRY_{name}": value})


@pytest.mark.parametrize("url", ["https://files.example.com", "http://[::1]:8080", "https://example.com/hand/off/"])
def test_an_address_may_have_a_port_and_a_path(url: str) -> None:
    assert load({"FILEFERRY_BASE_URL": url}).base_url == url


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    empty = {
        f"FILEFERRY_{field.name.upper()}": "" for field in msgspec.structs.fields(Settings) if field.default is None
    }
    assert {"FILEFERRY_BASE_URL", "FILEFERRY_ALLOWED_TYPES", "FILEFERRY_CLAMD"} <= empty.keys()
    assert load(empty) == Settings()


def test_an_unknown_variable_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"FILEFERRY_MAX_FILESIZE": "1"})
    sentence = "FILEFERRY_MAX_FILESIZE: there is no such setting; did you mean FILEFERRY_MAX_FILE_SIZE?"
    assert str(caught.value) == sentence
    with pytest.raises(SettingsError, match=r"FILEFERRY_QQQQ: there is no such setting\.$"):
        load({"FILEFERRY_QQQQ": "1"})


def test_what_the_client_and_kubernetes_set_is_no_mistake() -> None:
    client = {path.name: path.read_text() for folder in ("client", "cli") for path in (SOURCE / folder).rglob("*.py")}
    read = {name for text in client.values() for name in re.findall(r"environ[^\n]*\"FILEFERRY_([A-Z_]+)\"", text)}
    read -= {name.upper() for name in FIELDS}
    assert read == settings.CLIENT_NAMES
    kubernetes = ("PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP")
    assert load({f"FILEFERRY_{name}": "tcp://10.0.0.1:8080" for name in (*kubernetes, *read)}) == Settings()


def test_a_file_has_settings_and_variables_win_over_it(tmp_path: Path) -> None:
    file = tmp_path / "fileferry.toml"
    file.write_text(
        'base_url = "https://files.example.com"\nmax_file_size = "5GiB"\nfetch_events = 3\nrefuse_empty = true\n'
        'allowed_types = ["application/pdf", "text/plain"]\nsweep_interval = 90\n'
    )
    read = load({"FILEFERRY_SETTINGS": str(file), "FILEFERRY_FETCH_EVENTS": "4"})
    assert (read.base_url, read.max_file_size, read.fetch_events) == ("https://files.example.com", 5 * 1024**3, 4)
    assert (read.refuse_empty, read.allowed_types) == (True, ("application/pdf", "text/plain"))
    assert read.sweep_interval == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('max_filesize = "1"', "max_filesize in .*: there is no such setting; did you mean max_file_size?"),
        ('max_file_size = "big"', "max_file_size in .*toml: 'big' is not a size"),
        ("[server]\nport = 1", "server in .*: there is no such setting"),
        ("max_file_size", "is not TOML"),
        ("", "cannot be read: No such file"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "fileferry.toml"
    if text:
        file.write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        load({"FILEFERRY_SETTINGS": str(file)})


@pytest.mark.parametrize(("host", "is_warned"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("::1", False)])
def test_an_address_for_others_without_a_base_url_says_what_urls_will_look_like(
    host: str, is_warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(running, "serve", lambda *_given: None)
    monkeypatch.setattr(running, "bound", lambda *_address: socket.socket())
    monkeypatch.delenv("FILEFERRY_BASE_URL", raising=False)
    monkeypatch.setenv("FILEFERRY_DATA", str(tmp_path))
    before = os.umask(0o077)
    serve(host=host, port=8123, data=None, file=None, workers=1)
    os.umask(before)
    assert (f"http://{host}:8123/f/" in capsys.readouterr().err) == is_warned
