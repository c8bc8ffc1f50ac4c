"""Profiles: servers and keys that ``fileferry login`` writes down, and which of them a command uses.

A key goes to no other server than the one it was given for.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import stat
import tempfile
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from fileferry.errors import FerryError

DEFAULT = "default"
"""The profile of who names none."""

chosen: ContextVar[str | None] = ContextVar("profile", default=None)
"""What ``--profile`` names."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A server and the key for it, or the file that the key is in."""

    url: str
    key: str | None = None
    key_file: str | None = None

    def secret(self) -> str | None:
        """Return the key; raise NotConfigured where its file cannot be read."""
        return self.key if self.key_file is None else read_key(self.key_file)


def config_path() -> Path:
    """Return where profiles are kept: ``fileferry/config.ini`` in XDG_CONFIG_HOME, by default ``~/.config``."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".config") / "fileferry" / "config.ini"


def connection(url: str | None, key: str | None) -> tuple[str | None, str | None]:
    """Return server and key of a command that was given these; what is None is left to the environment.

    What the command line says wins over ``--profile``, that over the environment, and the environment over FILEFERRY_PROFILE and
    the default profile. Raises NotConfigured for a profile that is not there, or a file that others may read.
    """
    key = read_key(key[1:]) if key is not None and key.startswith("@") else key
    named = chosen.get()
    given_url = url if named is not None else url or os.environ.get("FILEFERRY_URL") or None
    has_key = key is not None or (
        named is None and bool(os.environ.get("FILEFERRY_KEY") or os.environ.get("FILEFERRY_KEY_FILE"))
    )
    if given_url is not None and has_key:
        return url, key
    profile = find(named or os.environ.get("FILEFERRY_PROFILE") or DEFAULT)
    if profile is None and (named or os.environ.get("FILEFERRY_PROFILE")):
        name = named or os.environ["FILEFERRY_PROFILE"]
        raise _not_configured(f"There is no profile {name!r}: 'fileferry login --profile {name}' makes one.")
    if profile is None:
        return url, key
    if given_url is not None and given_url.rstrip("/") != profile.url.rstrip("/"):
        return url, key
    return given_url or profile.url, key if has_key else profile.secret()


def find(name: str) -> Profile | None:
    """Return a profile; None where there is none of this name. Raises NotConfigured for a file that cannot be used."""
    written = _read()
    if not written.has_section(name):
        return None
    section = written[name]
    if "url" not in section:
        raise _not_configured(f"The profile {name!r} in {config_path()} names no url.")
    return Profile(section["url"], section.get("key"), section.get("key_file"))


def save(name: str, profile: Profile) -> None:
    """Write a profile down, for its owner alone."""
    written = _read()
    if written.has_section(name):
        written.remove_section(name)
    written.add_section(name)
    for option in ("url", "key", "key_file"):
        if (value := getattr(profile, option)) is not None:
            written.set(name, option, value)
    _write(written)


def remove(name: str) -> bool:
    """Forget a profile; return whether it was there."""
    written = _read()
    if not written.remove_section(name):
        return False
    _write(written)
    return True


def read_key(path: str) -> str:
    """Return the key that a file holds; raise NotConfigured where it cannot be read."""
    try:
        return Path(path).expanduser().read_text().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _not_configured(f"The key cannot be read from {path}: {reason}.") from None


def _not_configured(sentence: str) -> FerryError:
    # Loaded where something is wrong: options are read before it is known whether a command needs the client.
    from fileferry.client.failures import NotConfigured

    return NotConfigured(sentence)


def _read() -> configparser.ConfigParser:
    written = configparser.ConfigParser(interpolation=None, default_section="")
    path = config_path()
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _not_configured(f"{path} holds keys, and others may read it: chmod 600 {path}")
            written.read_file(file)
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise _not_configured(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    return written


def _write(written: configparser.ConfigParser) -> None:
    path = config_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Whole or not at all, and never readable for others: mkstemp makes files of mode 0600.
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".config")
    try:
        with os.fdopen(handle, "w") as file:
            written.write(file)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
