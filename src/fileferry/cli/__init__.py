"""The ``fileferry`` command: puts the commands of this package together. What they do is in their own modules.

Exit status: 0 done; 1 failed for good; 2 used wrongly; 75 failed for now, the same command may succeed later; 130
interrupted. Results go to stdout, everything said about them to stderr.
"""

from __future__ import annotations

import typer

from fileferry.cli import events, files, folders, keys, organizations, server, versions, webhooks, workspaces

app = typer.Typer(
    name="fileferry",
    help="Hand files to other systems by URL.",
    epilog=(
        "Exit status: 0 done, 1 failed for good, 2 used wrongly, 75 failed for now (may succeed later), "
        "130 interrupted. FILEFERRY_URL and FILEFERRY_KEY name the server and the API key."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("put")(files.put)
app.command("get")(files.get)
app.command("ls")(files.ls)
app.command("rm")(files.rm)
app.command("mv")(versions.mv)
app.command("versions")(versions.versions)
app.command("restore")(versions.restore)
app.command("events")(events.events)
app.add_typer(folders.app, name="folders")
app.add_typer(workspaces.app, name="workspaces")
app.add_typer(keys.app, name="keys")
app.add_typer(organizations.app, name="orgs")
app.add_typer(webhooks.app, name="webhooks")
app.command("serve")(server.serve)
app.command("worker")(server.worker)
app.command("doctor")(server.doctor)


def main() -> None:
    """Run the command line of this process and exit."""
    app()
