"""Limits on a command line: the options that set them, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fileferry.client.nouns import Usage

LIFTED = "none"

MaxSize = Annotated[str | None, typer.Option(metavar="10MiB", help="Largest file; 'none' lifts the limit.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="TYPE", help="A media type that files may have; may be repeated; 'none': any."),
]
MaxRetention = Annotated[
    str | None, typer.Option(metavar="30d", help="Longest life of a file; 'none' lifts the limit.")
]
MaxBytes = Annotated[str | None, typer.Option(metavar="5GB", help="What may be kept together; 'none': any number.")]
MaxFiles = Annotated[str | None, typer.Option(metavar="N", help="How many versions may be kept; 'none': any number.")]
Requests = Annotated[str | None, typer.Option(metavar="100/minute", help="Requests in a time; 'none': any number.")]
ByteRate = Annotated[str | None, typer.Option("--bytes", metavar="1000000000/hour", help="Bytes uploaded in a time.")]
Tickets = Annotated[str | None, typer.Option(metavar="100/minute", help="Upload tickets in a time.")]
RefuseEmpty = Annotated[
    bool | None, typer.Option("--refuse-empty/--accept-empty", help="Whether files without bytes are rejected.")
]
ServeUnscanned = Annotated[
    bool | None,
    typer.Option(
        "--serve-unscanned/--no-serve-unscanned", help="Whether files are served that the scanner cannot look into."
    ),
]


def limits_of(
    *,
    max_size: str | None,
    types: list[str] | None,
    max_retention: str | None,
    max_bytes: str | None,
    max_files: str | None,
    refuse_empty: bool | None,
    serve_unscanned: bool | None,
    requests: str | None = None,
    byte_rate: str | None = None,
    tickets: str | None = None,
) -> dict[str, object]:
    """Return the limits that options set or lift, by the names of the native API; those not given are left out."""
    said: dict[str, object] = {
        "max_size": max_size,
        "max_retention": max_retention,
        "max_bytes": max_bytes,
        "max_files": max_files,
        "refuse_empty": refuse_empty,
        "serve_unscanned": serve_unscanned,
        "requests": requests,
        "bytes": byte_rate,
        "tickets": tickets,
        "types": LIFTED if types == [LIFTED] else types or None,
    }
    given = {name: value for name, value in said.items() if value is not None}
    limits = {name: None if value == LIFTED else value for name, value in given.items()}
    if isinstance(limits.get("max_files"), str):
        limits["max_files"] = _number(str(limits["max_files"]))
    return limits


def print_limits(limits: Mapping[str, Any], usage: Usage | None = None) -> None:
    """Print one limit per line, and what is kept where that is limited."""
    for name, value in limits.items():
        print(f"{name}\t{_text(value)}")
    if usage is not None:
        print(f"kept\t{usage.bytes} bytes, {usage.files} files")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, list) else str(value)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise typer.BadParameter(f"{text!r} is not a number", param_hint="--max-files")
    return int(text)
