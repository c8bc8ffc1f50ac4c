"""The kinds of values that settings have, and how each is written. Which settings there are is said by ``settings``."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from fileferry.errors import InvalidExpiry
from fileferry.units import parse_duration, parse_size

PREFIX = "FILEFERRY_"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting that cannot be used; the message names the variable and says what it takes."""


class Bytes(int):
    """A size in bytes; written as ``64MiB``, ``5GB`` or a plain number."""


class Duration(timedelta):
    """A length of time; written as ``30s``, ``15m``, ``24h``, ``7d`` or plain seconds."""


class Names(tuple[str, ...]):
    """Several words; written with commas between them."""

    __slots__ = ()


AtLeastOne = Annotated[int, msgspec.Meta(ge=1)]
NoneOrMore = Annotated[int, msgspec.Meta(ge=0)]


def networks(name: str, named: Names) -> tuple[Network, ...]:
    """Return the networks that the setting ``name`` names; raise SettingsError for what is none."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in named)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{name.upper()}: {error}.") from error


def convert(variable: str, value: str, kind: Any) -> Any:
    """Return the value of a setting of this kind; raise SettingsError, which names the ``variable``, for what is none."""
    try:
        return msgspec.convert(value, kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{variable}: {error}{_hint(kind)}") from error


def _hint(kind: Any) -> str:
    """Return what a setting may be, where it is one of a few words, or how its unit is written."""
    words = ("true", "false") if kind is bool else get_args(kind) if get_origin(kind) is Literal else ()
    return f": use {' or '.join(words)}" if words else ""


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Bytes:
        return Bytes(parse_size(value))
    if kind is Duration:
        return _decode_duration(value)
    if kind is Names:
        return Names(name.strip() for name in value.split(",") if name.strip())
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)


def _decode_duration(value: str) -> Duration:
    try:
        return Duration(seconds=parse_duration(value).total_seconds())
    except InvalidExpiry as error:
        raise ValueError(str(error)) from error
