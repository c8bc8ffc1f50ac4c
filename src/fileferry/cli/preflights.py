"""``preflight``: whether a service that fetches files by URL will be able to fetch this one."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.places import Org, Source, file_place_of, found_at
from fileferry.cli.session import FAILED, Json, Key, Url, json_line, note, printable, session


def preflight(
    source: Source,
    service: Annotated[
        str, typer.Option("--for", metavar="SERVICE", help="slack, openai-file and so on; any other word lists them.")
    ] = "generic",
    job: Annotated[
        str | None, typer.Option(metavar="30m", help="How long its job takes: the file must live as long.")
    ] = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Ask a file's public URL as another service would, and print a line per check: check, outcome, and what is to be said.

    Ends with status 1 where a check failed. What is not known is unknown, and fails nothing.
    """
    at = file_place_of(source)
    with session(url, key) as client:
        named = found_at(client, source, at, org) if at else source
        found = client.preflight(named, service, job=job, organization=org)
        if as_json:
            print(json_line(found))
        for check in found.checks if not as_json else ():
            seen = f" ({check.found})" if check.found else ""
            advice = f" {check.advice}" if check.advice and check.outcome != "passed" else ""
            print(f"{check.check}\t{check.outcome}\t{printable(check.said + seen + advice)}")
        note(f"{found.title}: {found.outcome}")
    if found.outcome == "failed":
        raise typer.Exit(FAILED)
