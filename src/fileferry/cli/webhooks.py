"""``webhooks``: who is told of events, from the command line. A secret goes to stdout alone, so that ``SECRET=$(…)`` works."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

import typer

from fileferry.cli.places import Org
from fileferry.cli.session import Json, Key, Url, json_line, moment_text, note, printable, session

app = typer.Typer(help="Have events posted to a URL.", no_args_is_help=True, pretty_exceptions_enable=False)

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="file.ready", help="Only events of this type; may be repeated. All by default."),
]


@app.command()
def create(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The http:// or https:// address to post to.")],
    types: Types = None,
    org: Org = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Have events from now on posted to TARGET and print the secret that signs them, which is shown only now."""
    with session(url, key) as client:
        made = client.webhooks(organization=org).create(target, types=types or None)
        print(made.secret, flush=True)
        note(f"Webhook {made.webhook_id} for {', '.join(made.types or ['all events'])}")
        if _is_private(target):
            note(
                "Its address is private: nothing is sent there unless the server's FILEFERRY_WEBHOOK_NETWORKS allows it."
            )


@app.command("ls")
def list_webhooks(org: Org = None, as_json: Json = False, url: Url = None, key: Key = None) -> None:
    """List webhooks, one per line: id, created, enabled or the reason why not, types and URL."""
    with session(url, key) as client:
        for found in client.webhooks(organization=org).list():
            standing = "enabled" if found.enabled else found.disabled_reason or "disabled"
            fields = [found.webhook_id, moment_text(found.created_at), standing, ",".join(found.types or ["all"])]
            print(json_line(found) if as_json else "\t".join([*fields, printable(found.url)]))


@app.command()
def update(
    webhook_id: WebhookId,
    target: Annotated[str | None, typer.Option("--target", metavar="TARGET", help="A new address to post to.")] = None,
    types: Types = None,
    all_types: Annotated[bool, typer.Option("--all-types", help="Events of every type from now on.")] = False,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Send events from now on, or give up what waits.")
    ] = None,
    org: Org = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change where events go and which; disable a webhook, or enable it again."""
    from fileferry.client import UNCHANGED

    with session(url, key) as client:
        client.webhooks(organization=org).update(
            webhook_id,
            url=UNCHANGED if target is None else target,
            types=None if all_types else types or UNCHANGED,
            enabled=UNCHANGED if enabled is None else enabled,
        )


@app.command()
def rm(webhook_id: WebhookId, org: Org = None, url: Url = None, key: Key = None) -> None:
    """Delete a webhook with its log; what waits is not sent."""
    with session(url, key) as client:
        client.webhooks(organization=org).delete(webhook_id)


@app.command()
def rotate(
    webhook_id: WebhookId,
    grace: Annotated[str | None, typer.Option(metavar="24h", help="How long the old secret signs too.")] = None,
    org: Org = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Give a webhook a new secret and print it, which is shown only now."""
    with session(url, key) as client:
        print(client.webhooks(organization=org).rotate(webhook_id, grace=grace).secret, flush=True)


@app.command()
def deliveries(
    webhook_id: WebhookId,
    state: Annotated[
        str | None, typer.Option(metavar="pending|delivered|failed", help="Only what is in this state.")
    ] = None,
    org: Org = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List what was sent or waits, newest first: id, created, type, file, state, attempts, how the last ended, when the next is."""
    with session(url, key) as client:
        for found in client.webhooks(organization=org).deliveries(webhook_id, state=state):
            ended = found.last_error or (str(found.last_status) if found.last_status else "-")
            following = moment_text(found.next_attempt_at)
            fields = [found.delivery_id, moment_text(found.created_at), found.type, found.file_id or "-", found.state]
            print(
                json_line(found) if as_json else "\t".join([*fields, str(found.attempts), printable(ended), following])
            )


@app.command()
def replay(
    webhook_id: WebhookId,
    delivery_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[DELIVERY]...", help="Ids of what to send again.")
    ] = None,
    failed_since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Or everything that failed since then, as 2026-11-21T09:30:00Z."),
    ] = None,
    org: Org = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Send deliveries again, whatever became of them, or all that failed since a time."""
    if bool(delivery_ids) == bool(failed_since):
        raise typer.BadParameter("name deliveries, or give --failed-since TIME")
    since = None if failed_since is None else _moment(failed_since)
    with session(url, key) as client:
        hooks = client.webhooks(organization=org)
        for delivery_id in delivery_ids or []:
            hooks.replay(webhook_id, delivery_id)
        count = len(delivery_ids or []) if since is None else hooks.replay_failed(webhook_id, since)
        note(f"{count} to be sent again")


@app.command("test")
def send_test(webhook_id: WebhookId, org: Org = None, url: Url = None, key: Key = None) -> None:
    """Send an event of the type webhook.test and print the id of its delivery."""
    with session(url, key) as client:
        print(client.webhooks(organization=org).test(webhook_id).delivery_id)


def _is_private(target: str) -> bool:
    """Return whether an address names no host of the public Internet; of a name only the server knows."""
    try:
        host = urlsplit(target).hostname or ""
        return host == "localhost" or not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(
            f"{text!r} is no time with a zone, as 2026-11-21T09:30:00Z", param_hint="--failed-since"
        )
    return moment
