"""``serve`` and ``doctor``: the commands that run the server's own code, which is loaded only for them."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Data folder. Default: FILEFERRY_DATA, or ./data.")]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    data: Data = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Run the server. Settings come from FILEFERRY_… environment variables."""
    from fileferry import app

    _use_data(data)
    app.serve(host=host, port=port, workers=workers)


def doctor(
    data: Data = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is found.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Compare the store with the database. Exit status 1 when they differ and --fix was not given."""
    import msgspec

    from fileferry import app

    _use_data(data)
    findings = asyncio.run(app.doctor(fix=fix))
    if as_json:
        print(json.dumps(msgspec.to_builtins(findings)))
    elif findings.is_clean:
        print("Store and database agree.")
    else:
        for name, found in msgspec.to_builtins(findings).items():
            print(f"{name.replace('_', ' ')}: {len(found) if isinstance(found, list) else found}")
    if not findings.is_clean and not fix:
        raise typer.Exit(1)


def _use_data(data: Path | None) -> None:
    # Through the environment, because worker processes read their settings from it too.
    if data is not None:
        os.environ["FILEFERRY_DATA"] = str(data)
