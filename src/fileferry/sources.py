"""Where settings stand, by their names: environment variables and a file of TOML. What they mean is for ``settings``."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Set
from pathlib import Path

from fileferry.values import PREFIX, SettingsError

CLIENT_NAMES = frozenset({"URL", "KEY", "KEY_FILE", "PROFILE", "END_USER"})
"""What the client reads of the same environment."""
# Kubernetes tells every container of a service that is called fileferry, as FILEFERRY_PORT_8080_TCP_ADDR.
_OF_KUBERNETES = re.compile(r"SERVICE_(HOST|PORT)(_.+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_.+)?)?")
_ELSEWHERE = {
    "s3_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "s3_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "s3_session_token": ("AWS_SESSION_TOKEN",),
    "s3_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "azure_account": ("AZURE_STORAGE_ACCOUNT",),
    "azure_key": ("AZURE_STORAGE_KEY",),
    "azure_sas_token": ("AZURE_STORAGE_SAS_TOKEN",),
    "azure_connection_string": ("AZURE_STORAGE_CONNECTION_STRING",),
    "gcs_credentials": ("GOOGLE_APPLICATION_CREDENTIALS",),
}
"""Variables that many programs read, for settings whose own is not there."""
_PLACES = ("s3_region", "azure_account")
_OWN_KEYS = {"s3_": ("S3_ACCESS_KEY_ID",), "azure_": ("AZURE_KEY", "AZURE_SAS_TOKEN", "AZURE_CONNECTION_STRING")}
"""With which of our own variables none of the others are read, as they are of another key: by what the settings begin with."""


def variable_of(name: str, environ: Mapping[str, str]) -> str:
    """Return which variable a setting is to be read from: its own, or one that many programs read where its own is not there."""
    variable = PREFIX + name.upper()
    own = next((keys for prefix, keys in _OWN_KEYS.items() if name.startswith(prefix)), ())
    if variable in environ or (name not in _PLACES and any(PREFIX + key in environ for key in own)):
        return variable
    return next((other for other in _ELSEWHERE.get(name, ()) if other in environ), variable)


def refuse_unknown(environ: Mapping[str, str], names: Set[str]) -> None:
    """Raise SettingsError for a variable of ours that is no setting among ``names`` and none of the client's."""
    known = {name.upper() for name in names}
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX)
        if name == variable or name in known or name in CLIENT_NAMES or _OF_KUBERNETES.fullmatch(name):
            continue
        raise SettingsError(f"{variable}: there is no such setting{_nearest(name, known, PREFIX)}")


def from_file(named: str, known: Set[str]) -> dict[str, tuple[str, str]]:
    """Return for each setting that the file has where it stands, and its value as a variable would have it.

    Raises SettingsError for a file that cannot be read, and a name that is none of ``known``.
    """
    if not named:
        return {}
    path = Path(named)
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"{PREFIX}SETTINGS: {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # TOML's errors and those of its encoding
        raise SettingsError(f"{path} is not TOML: {error}.") from error
    values = {}
    for name, value in found.items():
        if name not in known:
            raise SettingsError(f"{name} in {path}: there is no such setting{_nearest(name, known)}")
        values[name] = (f"{name} in {path}", _as_variable(value))
    return values


def _as_variable(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)


def _nearest(name: str, known: Set[str], prefix: str = "") -> str:
    found = difflib.get_close_matches(name, sorted(known), 1)
    return f"; did you mean {prefix}{found[0]}?" if found else "."
