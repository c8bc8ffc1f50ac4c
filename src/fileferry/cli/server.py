"""``serve``, ``worker`` and ``doctor``: the commands that run the server's own code, which is loaded only for them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.session import FAILED, MISUSED, fail, note

if TYPE_CHECKING:
    from fileferry.settings import Settings

Data = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Data folder. Default: FILEFERRY_DATA, or ./data.")]

_FAULTS = {
    "bytes_without_row": "blob that belongs to no file; --fix removes it",
    "rows_without_bytes": "file whose bytes are missing; --fix marks it rejected, as they cannot be had back",
    "ended_with_bytes": "ended file whose bytes are not freed yet; --fix frees them, as the server's next sweep will",
    "overdue": "file past its expiry; --fix ends it, as the server's next sweep will",
    "idle_uploads": "upload that nobody has continued for too long; --fix ends it, as the server's next sweep will",
}
_FACTS = {
    "open_uploads": "upload under way; no fault",
    "unconfirmed_uploads": "upload that waits to be confirmed; no fault",
}


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Run the server until SIGTERM or Ctrl-C; running transfers may then finish.

    Settings come from FILEFERRY_… environment variables. The first start prints the root key, once.
    """
    from fileferry import app

    with _usable_settings(data) as settings:
        app.check(settings)
        note(f"fileferry: http://{host}:{port}, data in {settings.data.absolute()}, documentation at /docs")
        app.serve(host=host, port=port, workers=workers)


def worker(data: Data = None) -> None:
    """Judge and scan uploaded files until SIGTERM or Ctrl-C, beside servers with FILEFERRY_PROCESSING=worker.

    Any number may run; what one that dies was at is taken up by the others.
    """
    import asyncio

    from fileferry import app

    with _usable_settings(data) as settings:
        _refuse_no_database(settings)
        app.check(settings)
        note(f"fileferry worker: data in {settings.data.absolute()}, scanner {settings.clamd or 'none'}")
        asyncio.run(app.work())


def doctor(
    data: Data = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is found.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Compare the store with the database, beside a running server or without one, and tell of disks that are known to fail.

    Exit status 1 when they differ and --fix was not given.
    """
    import asyncio

    import msgspec

    from fileferry import app

    with _usable_settings(data) as settings:
        _refuse_no_database(settings)
        disks, findings = asyncio.run(app.doctor(fix=fix))
    for sentence in disks:
        note(f"warning: {sentence}")
    found = msgspec.to_builtins(findings)
    if as_json:
        print(json.dumps(found))
    else:
        for name, meaning in {**_FAULTS, **_FACTS}.items():
            if count := len(found[name]) if isinstance(found[name], list) else found[name]:
                print(_counted(count, meaning))
        for name in ("bytes_without_row", "rows_without_bytes"):
            for identifier in found[name]:
                print(f"  {name.replace('_', ' ')}: {identifier}")
        if findings.is_clean:
            print("Store and database agree.")
        elif fix:
            print("Mended.")
    if not findings.is_clean and not fix:
        raise typer.Exit(FAILED)


def _refuse_no_database(settings: Settings) -> None:
    # Only a server's first start makes a database: it is what shows the root key.
    database = Path(settings.resolved_database_url().removeprefix("sqlite:///"))
    if not database.exists():
        fail(f"There is no database at {database}: name the server's folder with --data.", FAILED)


def _counted(count: int, meaning: str) -> str:
    noun, _, rest = meaning.partition(" ")
    return f"{count} {noun}{'' if count == 1 else 's'} {rest}"


@contextlib.contextmanager
def _usable_settings(data: Path | None) -> Iterator[Settings]:
    """Yield the settings in force; end the command with one line for a setting or a folder that cannot be used."""
    from fileferry import settings
    from fileferry.errors import FerryError

    # Database and store hold secrets and other people's files: what is made from here on is for nobody else on this machine.
    os.umask(0o077)
    # Through the environment, because worker processes read their settings from it too.
    if data is not None:
        os.environ["FILEFERRY_DATA"] = str(data)
    try:
        yield settings.load()
    except settings.SettingsError as error:
        fail(str(error), MISUSED)
    except FerryError as error:
        fail(error.detail, FAILED)
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error), FAILED)
