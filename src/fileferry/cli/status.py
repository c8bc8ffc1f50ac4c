"""``status`` and ``usage``: how a running server stands, and what it keeps. What ``doctor`` looks at needs its folder."""

from __future__ import annotations

from typing import Annotated

import typer

from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, moment_text, printable, session


def status(as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show how the server stands: what does not work, free space, processes and tasks; needs the root key."""
    with session(url, key) as client:
        found = client.server()
        if as_json:
            print(json_line(found))
            return
        print(f"version\t{found.version}")
        print(f"database\t{found.database}")
        print(f"store\t{printable(found.store)}")
        print(f"scanner\t{'clamd' if found.is_scanning else '-'}")
        print(f"shortcomings\t{', '.join(found.shortcomings) or '-'}")
        for folder, free in found.disks.items():
            print(f"free\t{free}\t{printable(folder)}")
        for one in found.processes:
            state = "silent" if one.is_silent else "alive"
            times = f"{moment_text(one.started_at)}\t{moment_text(one.last_seen_at)}"
            print(f"process\t{one.role}\t{printable(one.host)}\t{one.pid}\t{one.version}\t{times}\t{state}")
        by_id = {one.process_id: f"{one.role} {one.pid} on {printable(one.host)}" for one in found.processes}
        for task in found.tasks:
            print(f"task\t{task.name}\t{by_id.get(task.process_id, task.process_id)}\t{moment_text(task.until)}")
        for reason in found.bucket["reasons"] if found.bucket else []:
            print(f"bucket\t{printable(reason)}")


def usage(
    days: Annotated[int, typer.Option(min=1, max=365, metavar="N", help="So many days, today included.")] = 30,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show what is kept, and what each of the last days brought: date, files, bytes and whole fetches."""
    with session(url, key) as client:
        found = client.usage(days=days, organization=org)
        if as_json:
            print(json_line(found))
            return
        print(f"kept\t{found.files}\t{found.bytes}")
        for day in found.days:
            print(f"{day.date.isoformat()}\t{day.files}\t{day.bytes}\t{day.fetches}")
