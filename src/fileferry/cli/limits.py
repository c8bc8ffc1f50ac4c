"""Limits on a command line: the options that set them, and how they are shown."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fileferry.cli.session import note

if TYPE_CHECKING:
    from fileferry.client.nouns.limits import Usage

LIFTED = "none"

Changes = dict[str, object]
"""Limits by the names of the native API; None lifts one."""

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
RefuseEmpty = Annotated[
    bool | None, typer.Option("--refuse-empty/--accept-empty", help="Whether files without bytes are rejected.")
]
ServeUnscanned = Annotated[
    bool | None,
    typer.Option(
        "--serve-unscanned/--no-serve-unscanned", help="Whether files are served that the scanner cannot look into."
    ),
]
Requests = Annotated[str | None, typer.Option(metavar="100/minute", help="Requests in a time; 'none': any number.")]
ByteRate = Annotated[str | None, typer.Option("--bytes", metavar="1000000000/hour", help="Bytes uploaded in a time.")]
Tickets = Annotated[str | None, typer.Option(metavar="100/minute", help="Upload tickets in a time.")]


def of_files(
    *,
    max_size: MaxSize = None,
    types: Types = None,
    max_retention: MaxRetention = None,
    max_bytes: MaxBytes = None,
    max_files: MaxFiles = None,
    refuse_empty: RefuseEmpty = None,
    serve_unscanned: ServeUnscanned = None,
) -> Changes:
    """Return the limits of files that options set or lift, by the names of the native API; those not given are left out."""
    return _given(
        max_size=max_size,
        max_retention=max_retention,
        max_bytes=max_bytes,
        max_files=_number(max_files),
        refuse_empty=refuse_empty,
        serve_unscanned=serve_unscanned,
        types=LIFTED if types == [LIFTED] else types or None,
    )


def of_rates(*, requests: Requests = None, byte_rate: ByteRate = None, tickets: Tickets = None) -> Changes:
    """Return the rates that options set or lift, likewise."""
    return _given(requests=requests, bytes=byte_rate, tickets=tickets)


def takes_limits(*kinds: Callable[..., Changes]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of ``kinds`` in place of its parameter ``limits``, which gets what they return together."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**options: Any) -> None:
            limits: Changes = {}
            for kind in kinds:
                limits |= kind(**{name: options.pop(name) for name in inspect.signature(kind).parameters})
            command(**options, limits=limits)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command, eval_str=True).parameters.values():
            if parameter.name != "limits":
                parameters.append(parameter)
                continue
            for kind in kinds:
                parameters += inspect.signature(kind, eval_str=True).parameters.values()
        run.__dict__["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def print_limits(limits: Mapping[str, Any], usage: Usage | None = None) -> None:
    """Print one limit per line, and what is kept where that is limited; say so where there is neither."""
    if not limits and usage is None:
        note("There are no limits.")
    for name, value in limits.items():
        print(f"{name}\t{_text(value)}")
    if usage is not None:
        print(f"kept\t{usage.bytes} bytes, {usage.files} files")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(value) if isinstance(value, list) else str(value)


def _given(**said: object) -> Changes:
    return {name: None if value == LIFTED else value for name, value in said.items() if value is not None}


def _number(text: str | None) -> int | str | None:
    if text is None or text == LIFTED:
        return text
    if not (text.isascii() and text.isdigit()):
        raise typer.BadParameter(f"{text!r} is not a number", param_hint="--max-files")
    return int(text)
