"""Settings: each is documented and used, a good value is taken, and a bad one is told by its variable's name."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

import fileferry
from fileferry import settings
from fileferry.app import check
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
        check(Settings(root_key=key))
    check(Settings(root_key=new_secret()))
