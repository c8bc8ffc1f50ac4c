"""``serve``, ``worker``, ``doctor`` and what copies: commands that run the server's own code, which is loaded only for them.

That code needs the packages of ``fileferry[server]``; the client and its commands do not.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from fileferry.cli.amounts import size
from fileferry.cli.session import FAILED, FAILED_FOR_NOW, MISUSED, Json, fail, note

if TYPE_CHECKING:
    from fileferry.backups import Record
    from fileferry.blobs.direct import Report
    from fileferry.running import Move
    from fileferry.settings import Settings

Data = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Data folder. Default: FILEFERRY_DATA, or ./data.")]

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="TOML file of settings. Default: FILEFERRY_SETTINGS.")
]

_FAULTS = {
    "bytes_without_row": "blob that belongs to no file; --fix removes it",
    "rows_without_bytes": "file whose bytes are missing; --fix marks it rejected, as they cannot be had back",
}
_FACTS = {
    "ended_with_bytes": "ended file whose bytes the next sweep frees; no fault",
    "overdue": "file past its expiry that the next sweep ends; no fault",
    "idle_uploads": "upload that nobody has continued for too long, and the next sweep ends; no fault",
    "open_uploads": "upload under way; no fault",
    "unconfirmed_uploads": "upload that waits to be confirmed; no fault",
}


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    data: Data = None,
    file: SettingsFile = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Run the server until SIGTERM or Ctrl-C; running transfers may then finish.

    Settings come from FILEFERRY_… environment variables, and from the file that FILEFERRY_SETTINGS or --settings names. The first
    start prints the root key, once.
    """
    server = _server_code()
    with _usable_settings(data, file) as settings:
        server.check(settings)
        if settings.base_url is None and not _is_loopback(host):
            note(
                "warning: FILEFERRY_BASE_URL is not set, so URLs begin with http:// and whatever Host a request names, such as "
                f"http://{host}:{port}/f/…; set it to the address by which others reach this server."
            )
        file_read = f", settings from {settings.settings}" if settings.settings else ""
        with contextlib.closing(server.bound(host, port)) as listener:
            address = f"http://{host}:{listener.getsockname()[1]}"
            note(f"fileferry: {address}, data in {settings.data.absolute()}{file_read}, documentation at /docs")
            server.serve(listener, workers)


def worker(data: Data = None, file: SettingsFile = None) -> None:
    """Judge and scan uploaded files until SIGTERM or Ctrl-C, beside servers with FILEFERRY_PROCESSING=worker.

    Any number may run; what one that dies was at is taken up by the others.
    """
    import asyncio

    server = _server_code()
    with _usable_settings(data, file) as settings:
        _refuse_no_database(settings)
        server.check(settings)
        note(f"fileferry worker: data in {settings.data.absolute()}, scanner {settings.clamd or 'none'}")
        asyncio.run(server.work())


def doctor(
    data: Data = None,
    file: SettingsFile = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is found.")] = False,
    store: Annotated[
        bool, typer.Option("--store", help="Try what the store does and enforces instead, with objects of its own.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Compare the store with the database, beside a running server or without one, and tell of disks that are known to fail.

    Exit status 1 when they differ and --fix was not given. What waits for the next sweep is no difference. With --store it is 1
    when blobs cannot be kept there safely.
    """
    import asyncio

    server = _server_code()
    import msgspec

    if store:
        with _usable_settings(data, file):
            report = asyncio.run(server.look_at_store())
        print(msgspec.json.encode(report).decode() if as_json else "\n".join(_report_lines(report)))
        if not report.is_sound:
            raise typer.Exit(FAILED)
        return
    with _usable_settings(data, file) as settings:
        _refuse_no_database(settings)
        disks, findings = asyncio.run(server.doctor(fix=fix))
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
        if findings.is_sound:
            print("Store and database agree.")
        elif fix:
            print("Mended.")
    if not findings.is_sound and not fix:
        raise typer.Exit(FAILED)


def verify(
    data: Data = None,
    file: SettingsFile = None,
    rate: Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Bytes a second at most, as 50MiB. Default: any number."),
    ] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Begin anew, not where the last run was ended.")] = False,
    as_json: Json = False,
) -> None:
    """Read every file in the store and compare its digests, beside a running server or without one. Mends nothing.

    A run that was ended goes on where it was. Exit status 1 when bytes are missing or are not those that came.
    """
    import asyncio

    server = _server_code()
    with _usable_settings(data, file) as settings:
        _refuse_no_database(settings)
        found = asyncio.run(server.verify(rate=rate, anew=anew, tell=_tell_fault))
    if as_json:
        import msgspec

        print(msgspec.json.encode(found).decode())
    else:
        print(f"Read: {_counted(found.files, 'version of files')}, {found.bytes} bytes. Faults: {len(found.faults)}.")
    if found.faults:
        raise typer.Exit(FAILED)


def _tell_fault(fault: str) -> None:
    note(fault)


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="A folder that is empty, or that is not there yet.")],
    data: Data = None,
    file: SettingsFile = None,
    as_json: Json = False,
) -> None:
    """Copy database and files to a folder, beside a running server or without one, and read every byte of the copy again.

    A server can be started on the copy, and restore-backup puts it back.
    """
    import asyncio

    server = _server_code()
    with _usable_settings(data, file) as settings:
        _refuse_no_database(settings)
        made = asyncio.run(server.back_up(to))
    if as_json:
        print(_record_line(made))
        return
    print(f"Copied and verified: {_counted(made.files, 'version of files')}, {made.bytes} bytes, to {to}.")


def restore_backup(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="The folder that backup made.")],
    data: Data = None,
    file: SettingsFile = None,
    as_json: Json = False,
) -> None:
    """Put a backup where the settings say that the data is, which must be empty, and read every byte again. Starts no server."""
    import asyncio

    server = _server_code()
    with _usable_settings(data, file) as settings:
        put = asyncio.run(server.restore(source))
    if as_json:
        print(_record_line(put))
        return
    print(f"Restored and verified: {_counted(put.files, 'version of files')}, {put.bytes} bytes, to {settings.data}.")


def _report_lines(report: Report) -> Iterator[str]:
    """Yield a report for people: what was tried and what came, and below it what follows."""
    yield report.store
    for seen in report.observations:
        yield f"{'ok  ' if seen.is_fine else 'no  '}{seen.name:<14} {seen.tried}: {seen.came}"
        if seen.follows:
            yield f"{'':<19}{seen.follows}"
    for what, used in (("Uploads", report.uploads), ("Downloads", report.downloads)):
        yield f"{what}: clients {'can' if used else 'cannot'} be sent to the store itself."
    yield from report.reasons


def migrate_database(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The database that there is: sqlite:///PATH.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="An empty one: postgresql://USER@HOST/NAME.")],
    file: SettingsFile = None,
    as_json: Json = False,
) -> None:
    """Copy a SQLite database to PostgreSQL, and read every row of both again. No server may run meanwhile; files stay in the store.

    What was interrupted goes on when it is called again. In the end the old file is called …-copied; nothing needs it any more.
    """
    server = _server_code()
    with _usable_settings(None, file) as settings:
        copied = server.migrate_database(
            settings, source, target, lambda table, rows: note(_counted(rows, f"row of {table}"))
        )
    if as_json:
        import msgspec

        print(msgspec.json.encode(copied).decode())
        return
    print(f"Copied and verified: {_counted(sum(copied.rows.values()), f'row of {len(copied.rows)} tables')}.")
    print("Now set FILEFERRY_DATABASE_URL to the new address, and start the server with the same store.")


def migrate_store(
    to: Annotated[
        str,
        typer.Argument(
            metavar="TO", help="Where files are to be: file:///FOLDER, s3://BUCKET/PREFIX or az://CONTAINER/PREFIX."
        ),
    ],
    data: Data = None,
    file: SettingsFile = None,
    rate: Annotated[
        int | None,
        typer.Option(parser=size, metavar="SIZE", help="Bytes a second at most, as 50MiB. Default: any number."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy files to another store beside running servers, and read every byte of the copies again. Removes nothing.

    They come from FILEFERRY_STORE, or where TO is that, from FILEFERRY_STORE_BEFORE. A run that was ended goes on where it was.

    Exit status 75 while uploads go on in the store before: run it again later.
    """
    import asyncio

    server = _server_code()
    with _usable_settings(data, file) as settings:
        _refuse_no_database(settings)
        move = asyncio.run(server.migrate_store(to=to, rate=rate, told=_tell_move))
    if as_json:
        import msgspec

        print(msgspec.json.encode(move).decode())
    else:
        print(f"Copied and verified: {_counted(move.blobs, 'blob of files')}, {move.bytes} bytes.")
    for fault in move.faults.values():
        note(fault)
    if move.faults:
        raise typer.Exit(FAILED)
    if as_json:
        raise typer.Exit(FAILED_FOR_NOW if move.is_last and move.under_way else 0)
    if not move.is_last:
        note(f"Now start every server and worker with FILEFERRY_STORE={to}")
        note(f"and FILEFERRY_STORE_BEFORE={move.source}, and run this again with them.")
    elif move.under_way:
        note(f"{_counted(len(move.under_way), 'upload under way')} in the store before: run this again later.")
        raise typer.Exit(FAILED_FOR_NOW)
    else:
        print("Everything is there. FILEFERRY_STORE_BEFORE can be dropped.")


def _tell_move(move: Move) -> None:
    note(f"{_counted(move.blobs, 'blob of files')}, {move.bytes} bytes")


def _record_line(record: Record) -> str:
    import msgspec

    return msgspec.json.encode(record).decode()


def _server_code() -> ModuleType:
    """Return the module that runs the server; end the command with one line where its packages are not installed."""
    try:
        from fileferry import running
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("fileferry"):
            raise
        fail("This command needs the server's packages: pip install 'fileferry[server]'", MISUSED)
    return running


def _refuse_no_database(settings: Settings) -> None:
    # Only a server's first start makes a database: it is what shows the root key.
    database = settings.resolved_database_file()
    if database is not None and not database.exists():
        fail(f"There is no database at {database}: name the server's folder with --data.", FAILED)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _counted(count: int, meaning: str) -> str:
    noun, _, rest = meaning.partition(" ")
    return f"{count} {noun}{'' if count == 1 else 's'} {rest}"


@contextlib.contextmanager
def _usable_settings(data: Path | None, file: Path | None) -> Iterator[Settings]:
    """Yield the settings in force; end the command with one line for a setting or a folder that cannot be used."""
    from fileferry import settings
    from fileferry.errors import FerryError

    # Database and store hold secrets and other people's files: what is made from here on is for nobody else on this machine.
    os.umask(0o077)
    # Through the environment, because worker processes read their settings from it too.
    if file is not None:
        os.environ["FILEFERRY_SETTINGS"] = str(file.absolute())
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
