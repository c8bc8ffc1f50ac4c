"""What the dashboard shows, from the command line: how the server stands, use, uploads under way, sessions, events so far."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import httpx
from shell import Shell

from fileferry import Client
from support.live_server import LiveServer


def lines(shell: Shell, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shell.out(*arguments, "--json").splitlines()]


def test_status_and_usage_are_told_as_lines_and_as_json(shell: Shell, server: LiveServer) -> None:
    shell.out("put", "-", "--name", "used.txt", stdin=b"12345")
    (status,) = lines(shell, "status")
    assert [one["role"] for one in status["processes"] if one["is_own"]] == ["serve"]
    assert "shortcomings\t-\n" in shell.out("status")
    (used,) = lines(shell, "usage", "--days", "2")
    assert len(used["days"]) == 2
    assert used["days"][-1]["bytes"] >= 5
    assert re.fullmatch(r"kept\t\d+\t\d+\n(\d{4}-\d\d-\d\d\t\d+\t\d+\t\d+\n){2}", shell.out("usage", "--days", "2"))


def test_an_upload_under_way_is_listed_and_ended(shell: Shell, server: LiveServer) -> None:
    name = f"{uuid.uuid4()}.bin"
    with Client(server.url, server.root_key) as client:
        ticket = client.tickets.create(name=name, size=5)
    (listed,) = [one for one in lines(shell, "uploads", "ls") if one["name"] == name]
    assert (listed["upload_id"], listed["received"]) == (ticket.upload_id, 0)
    shell.out("uploads", "rm", ticket.upload_id)
    assert name not in shell.out("uploads", "ls")


def test_a_session_is_listed_and_ended(shell: Shell, server: LiveServer) -> None:
    with httpx.Client(base_url=server.url, follow_redirects=True) as browser:
        token, *_ = re.findall(r'name="form_token" value="([^"]*)"', browser.get("/ui/sign-in").text)
        form = {"form_token": token, "key": server.root_key}
        browser.post("/ui/sign-in", data=form, headers={"Origin": server.url, "User-Agent": "a browser of this test"})
        assert browser.get("/ui/sessions", follow_redirects=False).status_code == 200
        (session,) = [one for one in lines(shell, "sessions", "ls") if one["user_agent"] == "a browser of this test"]
        shell.out("sessions", "rm", session["session_id"])
        assert browser.get("/ui/sessions", follow_redirects=False).status_code == 303
    assert shell.out("grants", "ls") == ""


def test_old_versions_come_back_and_events_end_where_now_is(shell: Shell) -> None:
    path = f"{uuid.uuid4()}/report.txt"
    for content in (b"first", b"second!"):
        shell.out("put", "-", "--to", f"default:/{path}", stdin=content)
    old = lines(shell, "versions", f"default:/{path}")[-1]["version_id"]
    shell.out("restore", f"default:/{path}", "--version", old)
    assert shell.out("get", f"default:/{path}", "-o", "-") == "first"
    (file,) = lines(shell, "ls", "--name", "report.TXT", "--folder", path.partition("/")[0])
    happened = lines(shell, "events", "--until-now", "--types", "file.ready", "--file", file["file_id"])
    assert [event["data"]["size"] for event in happened] == [5, 7, 5]


def test_an_organization_is_told_to_send_nobody_on_to_the_store(shell: Shell) -> None:
    slug = f"o{uuid.uuid4().hex[:12]}"
    shell.out("orgs", "create", slug)
    assert lines(shell, "orgs", "update", slug, "--redirect", "never")[0]["redirect"] == "never"
    assert "redirect\tnever\n" in shell.out("orgs", "show", slug)
    assert lines(shell, "orgs", "update", slug, "--redirect", "none")[0]["redirect"] is None
