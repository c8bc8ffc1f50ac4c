"""The pages of who looks after a server: the audit log, and how the server stands; and who fetched a file."""

from __future__ import annotations

import html
import os
import re
import socket
from importlib.metadata import version
from pathlib import Path

import pytest
from msgspec.structs import replace

from fileferry.blobs.direct import Observation, Report
from fileferry.db import processes
from fileferry.model import Process, new_id
from fileferry.ui import server
from ui.person import Person, signed_in
from ui.test_sign_in import new_key
from unit.service import Service


def done(page: str) -> list[str]:
    """Return the types of the records that a page shows."""
    return re.findall(r'<td data-name="What" class="mono">(.*?)</td>', page)


def test_the_audit_log_shows_who_did_what_newest_first_and_goes_on(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PAGE", 2)
    for number in range(3):
        service.upload(b"x", f"audited/{number}.txt")
    new_key(service, name="a <b>bold</b> key")
    newest = person.get("/audit").text
    assert done(newest)[0] == "key.created"
    assert "a &lt;b&gt;bold&lt;/b&gt; key" in newest
    assert "root" in newest
    older = re.search(r'href="/ui(/audit\?[^"]*)" rel="next"', newest)
    assert older is not None
    further = person.get(html.unescape(older[1])).text
    assert done(further)
    assert "key.created" not in done(further)[:1]
    assert set(done(person.get("/audit?types=key.created,+key.revoked").text)) == {"key.created"}
    tomorrow = f"{service.now:%Y}-12-31"
    assert done(person.get(f"/audit?since={tomorrow}").text) == []
    assert person.get("/audit?since=yesterday").status_code == 400
    assert done(person.get(f"/audit?since={service.now:%Y-%m-%d}").text) == done(newest)


def test_the_server_is_shown_to_a_root_key_alone(service: Service, person: Person) -> None:
    text = person.get("/server").text
    assert "on the disk of this machine" in text
    assert "Nothing: all that this server needs answers." in text
    assert "sweeper" in text
    administrator = signed_in(service, new_key(service, scopes=["admin"])[1])
    assert administrator.get("/server").status_code == 403
    assert "/ui/server" not in administrator.get("/audit").text
    reader = signed_in(service, new_key(service)[1])
    assert reader.get("/audit").status_code == 403
    assert "/ui/audit" not in reader.get("/files").text
    confined = signed_in(service, new_key(service, scopes=["admin"], path_prefix="a")[1])
    assert confined.get("/keys").status_code == 403
    assert "/ui/keys" not in confined.get("/files").text


def rows(page: str, heading: str) -> list[str]:
    """Return the words of each row of the table below a heading."""
    table = page.split(f">{heading}</h2>")[1].split("</table>")[0].split("<tbody>")[1]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in table.split("</tr>")[:-1]]


def test_the_page_of_the_server_tells_which_processes_live(service: Service) -> None:
    beside = Service(service.data)
    own = re.escape(f"{socket.gethostname()} {version('fileferry')}")
    served = rf"serve {os.getpid()}(, this one)? {own} just now just now alive"
    person = signed_in(service)
    try:
        beside.upload()
        found = [row for row in rows(person.get("/server").text, "Processes") if re.fullmatch(served, row)]
        assert len(found) == 2
        assert ["this one" in row for row in found].count(True) == 1
    finally:
        beside.close()
    assert len(rows(person.get("/server").text, "Processes")) == 1


def test_a_process_that_was_killed_is_silent_for_a_day_and_forgotten_then(tmp_path: Path) -> None:
    service = Service(tmp_path)
    gone = Process(new_id(service.now), "worker", "box <b>", 7, "0.1", service.now, service.now)
    service.write(processes.tell, gone)
    person = signed_in(service)
    assert "worker 7 box &lt;b&gt; 0.1 just now just now alive" in rows(person.get("/server").text, "Processes")
    service.pass_time(hours=23)
    person = signed_in(service)
    told = "worker 7 box &lt;b&gt; 0.1 23 hours ago 23 hours ago silent: killed, or cut off"
    service.sweep()
    assert told in rows(person.get("/server").text, "Processes")
    service.pass_time(hours=2)
    service.sweep()
    assert "worker" not in signed_in(service).get("/server").text
    service.close()


def test_the_page_of_the_server_tells_what_a_bucket_does(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = service._engine
    monkeypatch.setattr(engine, "settings", replace(engine.settings, store="s3://bucket/files"))
    assert "did not try it" in person.get("/server").text
    seen = [
        Observation("reachable", "list", "200", "", True),
        Observation("resend", "send the part again", "<409>", "it cannot go on", False),
    ]
    monkeypatch.setattr(engine, "store_report", Report("some store", seen, True, False, ["no range of an object"]))
    page = person.get("/server").text
    assert rows(page, "What the bucket does") == [
        "list 200 as it should be",
        "send the part again &lt;409&gt; it cannot go on",
    ]
    assert "no range of an object" in page
    assert re.search(r"sent there</dt><dd>to upload<", page)


def test_the_page_of_a_file_says_who_fetched_it(service: Service, person: Person) -> None:
    file = service.upload(b"fetched", "fetched.txt")
    service.request("GET", f"/api/files/{file['id']}/content")
    service.write_fetches()
    text = re.sub(r"\s+", " ", person.get(f"/files/{file['id']}").text)
    assert re.search(r"by root from 127\.0\.0\.1", text), text
