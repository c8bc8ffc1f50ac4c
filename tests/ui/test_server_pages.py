"""The pages of who looks after a server: the audit log, and how the server stands; and who fetched a file."""

from __future__ import annotations

import html
import re

import pytest

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


def test_the_page_of_a_file_says_who_fetched_it(service: Service, person: Person) -> None:
    file = service.upload(b"fetched", "fetched.txt")
    service.request("GET", f"/api/files/{file['id']}/content")
    service.write_fetches()
    text = re.sub(r"\s+", " ", person.get(f"/files/{file['id']}").text)
    assert re.search(r"by root from 127\.0\.0\.1", text), text
