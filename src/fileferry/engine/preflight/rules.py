"""What services that fetch files by URL want of them: read from the files beside this one, which say where it is written."""

from __future__ import annotations

import datetime
import functools
import tomllib
from importlib import resources

import msgspec

_FOLDER = "consumers"
_SUFFIX = ".toml"


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a service says what it wants, and when that was read."""

    url: str
    date: datetime.date


class Accepted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files of one sort that a service takes: media types (``image/*`` is any image), extensions without a dot, bytes at most."""

    types: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    max_size: int | None = None

    def takes(self, media_type: str) -> bool:
        """Whether a media type, in lower case and without parameters, is one of these."""
        kind = media_type.partition("/")[0]
        return media_type in self.types or f"{kind}/*" in self.types


class Consumer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service that fetches files by URL. What it does not say is None, and is not known.

    ``needs_head`` and ``needs_range`` say whether it asks so and fails where it gets no such answer, ``job`` how many seconds
    after it was told the URL it may still fetch it.
    """

    title: str
    sources: tuple[Source, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    max_size: int | None = None
    needs_https: bool | None = None
    needs_public_address: bool | None = None
    needs_head: bool | None = None
    needs_range: bool | None = None
    needs_fitting_extension: bool | None = None
    follows_redirects: bool | None = None
    fetches_once: bool | None = None
    job: int | None = None


@functools.cache
def consumers() -> dict[str, Consumer]:
    """Return every service that is known, by the name that requests call it by."""
    folder = resources.files(__package__) / _FOLDER
    files = sorted((file for file in folder.iterdir() if file.name.endswith(_SUFFIX)), key=lambda file: file.name)
    return {
        file.name.removesuffix(_SUFFIX): msgspec.convert(tomllib.loads(file.read_text()), Consumer) for file in files
    }
