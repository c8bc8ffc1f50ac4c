"""``orgs``: organizations from the command line; making them and their limits need the root key."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from fileferry.cli.limits import LIFTED, Changes, of_files, of_rates, print_limits, takes_limits
from fileferry.cli.session import Json, Key, Url, json_line, printable, session

app = typer.Typer(
    help="Make and list organizations, and set their limits.", no_args_is_help=True, pretty_exceptions_enable=False
)


class Redirect(enum.StrEnum):
    """Whether who fetches is sent on."""

    AUTO = "auto"
    NEVER = "never"
    NONE = LIFTED


@app.command()
def create(
    slug: Annotated[str, typer.Argument(help="Short name for addresses.")],
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    organization_id: Annotated[str | None, typer.Option("--id", metavar="UUID", help="Fixes the id.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make an organization and print its id."""
    with session(url, key) as client:
        made = client.create_organization(slug, name=name, organization_id=organization_id)
        print(json_line(made) if as_json else made.organization_id)


@app.command("ls")
def list_organizations(as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List organizations, one per line: id, slug and name."""
    with session(url, key) as client:
        for found in client.list_organizations():
            line = f"{found.organization_id}\t{found.slug}\t{printable(found.name)}"
            print(json_line(found) if as_json else line)


@app.command()
def show(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="Id or slug of the organization.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show an organization and its limits."""
    with session(url, key) as client:
        found = client.get_organization(organization)
        if as_json:
            print(json_line(found))
            return
        print(f"id\t{found.organization_id}")
        print(f"slug\t{found.slug}")
        print(f"name\t{printable(found.name)}")
        print(f"redirect\t{found.redirect or '-'}")
        print_limits(found.limits, found.usage)


@app.command()
def update(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="Id or slug of the organization.")],
    redirect: Annotated[
        Redirect,
        typer.Option(
            metavar="auto|never|none",
            help="Whether who fetches its files is sent on to the store; 'none' leaves it to the server's setting.",
        ),
    ],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change whether who fetches an organization's files is sent on to the store."""
    with session(url, key) as client:
        changed = client.update_organization(organization, redirect=None if redirect == LIFTED else redirect)
        print(json_line(changed) if as_json else f"{changed.organization_id}\t{changed.redirect or '-'}")


@app.command("limits")
@takes_limits(of_files, of_rates)
def change_limits(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="Id or slug of the organization.")],
    end_users: Annotated[
        bool, typer.Option("--end-users", help="The limits of each of its end users, instead of those of all it has.")
    ] = False,
    as_json: Json = False,
    *,
    limits: Changes,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change an organization's limits, at once, and print them with what is kept of what they limit."""
    with session(url, key) as client:
        if not limits:
            found = client.get_organization(organization)
        elif end_users:
            found = client.update_organization(organization, end_user_limits=limits)
        else:
            found = client.update_organization(organization, limits=limits)
        shown, usage = (found.end_user_limits, None) if end_users else (found.limits, found.usage)
        print_limits(shown, usage, as_json=as_json)
