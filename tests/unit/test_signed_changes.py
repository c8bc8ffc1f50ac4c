"""No change of a signed URL is accepted: whatever is changed, dropped, doubled, moved, re-cased or added, it opens nothing."""

from __future__ import annotations

import base64
import hmac
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.service import Service

SIGNED = ("se", "sp", "skoid", "sig")
OF_PART = ("uploadId", "partNumber")
KINDS = (
    "upload",
    "upload of another key",
    "part",
    "bound part",
    "bound part of another key",
    "google",
    "tus",
    "draft",
    "public",
    "download",
    "download of deleted",
)
PLACE = "/file/v2/orgs/default/workspaces/default/files/path"
CREATED = {
    "google": {"x-goog-resumable": "start"},
    "tus": {"Tus-Resumable": "1.0.0", "Upload-Length": "9"},
    "draft": {"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?0"},
}
Query = list[tuple[str, str]]


class Issuer:
    """A service with a signed URL of every kind, most of them asked for with another key than that of the ticket."""

    def __init__(self, folder: Path) -> None:
        self.service = Service(folder)
        made = self.ask("POST", "/api/keys", json={"name": "k", "scopes": ["upload", "read"]}).json()
        self.key_id, self.key = made["id"], made["key"]
        self.ticket = self.ask("POST", "/api/uploads", json={"name": "a.bin", "parts": True}).json()
        again = self.ask("POST", f"/api/uploads/{self.ticket['id']}/urls", key=self.key, json={}).json()
        file = self.service.upload()
        at_path = self.ask("PUT", "/api/upload/a.txt", content=b"x").json()
        self.service.process()
        self.urls = {
            "upload": self.ticket["url"],
            "upload of another key": again["url"],
            "part": f"{again['part_url']}&partNumber=1",
            "public": file["url"],
            **self.bound_parts(),
            "download": self.ask("GET", f"{PLACE}/a.txt", key=self.key).json()["download"],
        }
        for kind, headers in CREATED.items():
            created = self.service.request("POST", again["url"], key=None, headers=headers)
            self.urls[kind] = created.headers["location"]
        self.ask("DELETE", f"/api/files/{at_path['id']}")
        listed = self.ask("GET", f"{PLACE.removesuffix('/path')}/{at_path['id']}?deleted=true", key=self.key)
        self.urls["download of deleted"] = listed.json()["download"]

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask with a key, the root key unless told otherwise."""
        answer = self.service.request(method, path, **options)
        assert answer.is_success, answer.text
        return answer

    def bound_parts(self) -> dict[str, str]:
        """Return URLs that take the second of two parts, asked for by two keys."""
        folder = self.ask("POST", "/v1/folders", json={"name": "f"}).json()["id"]
        place = f"/v1/files/multipart/{folder}"
        said = {"name": "a.bin", "size": 2 * 65536, "partSize": 65536}
        begun = self.ask("POST", f"{place}/initiate", json=said).json()
        asked = {"id": begun["id"], "uploadId": begun["uploadId"], "partNumbers": [2]}
        again = self.ask("POST", f"{place}/urls", key=self.key, json=asked).json()
        return {"bound part": begun["urls"][1]["url"], "bound part of another key": again["urls"][0]["url"]}

    def opens(self, url: str, kind: str = "") -> bool:
        """Whether a URL is taken for a good one; a part must be of the right size then."""
        if kind.startswith("bound part"):
            return self.service.request("PUT", url, key=None, content=bytes(65536)).status_code == 200
        return self.service.fetch(url).status_code not in (400, 403, 404)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    made = Issuer(tmp_path_factory.mktemp("issuer"))
    yield made
    made.service.close()


def changed_text(draw: st.DrawFn, text: str) -> str:
    """Return another text: most often one that differs in a character or in its case."""
    position = draw(st.integers(0, len(text)))
    char = draw(st.sampled_from("Aa09-_=+/ \n\0é") | st.characters(codec="utf-8"))
    return draw(
        st.sampled_from(
            [
                text[:position] + char + text[position:],
                text[:position] + char + text[position + 1 :],
                text[:position] + text[position + 1 :],
                text.swapcase(),
                char + text,
                text + char,
                "",
            ]
        )
    )


@st.composite
def changes(draw: st.DrawFn, query: Query, own: str, kind: str) -> Query:
    """Return the query with one thing done to what is signed, which may leave it as it was."""
    signed = (*SIGNED, *OF_PART) if kind.startswith("bound part") else SIGNED
    names = [name for name, _value in query if name in signed]
    name = draw(st.sampled_from(names))
    value = dict(query)[name]
    other = draw(st.sampled_from(signed))
    rest = [pair for pair in query if pair[0] != name]
    how = draw(st.sampled_from(["change", "drop", "double", "move", "swap", "rename", "recase", "add"]))
    if how == "change":
        return [*rest, (name, changed_text(draw, value))]
    if how == "drop":
        return rest
    if how == "double":
        return [*query, (name, draw(st.sampled_from([value, changed_text(draw, value)])))]
    if how == "move":
        border = draw(st.sampled_from(["", "\n", "%0A", "\0", "&"]))
        into = dict(rest).get(other, "")
        joined = draw(st.sampled_from([value + border + into, into + border + value, value]))
        return [*(pair for pair in rest if pair[0] != other), (other, joined)]
    if how == "swap":
        swapped = {name: dict(query).get(other, ""), other: value}
        return [(one, swapped.get(one, present)) for one, present in query]
    if how == "rename":
        return [*rest, (other, value)]
    if how == "recase":
        return [*rest, (draw(st.sampled_from([name.upper(), name.capitalize()])), value)]
    return [*query, (draw(st.sampled_from([other, other.upper()])), draw(st.sampled_from([own, "", "cw", "\n"])))]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(data=st.data())
def test_no_change_of_a_signed_url_is_accepted(issuer: Issuer, kind: str, data: st.DataObject) -> None:
    parts = urlsplit(issuer.urls[kind])
    query = parse_qsl(parts.query, keep_blank_values=True)
    _, room, secret, name = parts.path.split("/")
    assert issuer.opens(issuer.urls[kind], kind)
    if query and data.draw(st.booleans()):
        other = data.draw(changes(query, issuer.key_id, kind))
    else:
        # An empty segment is none: who adds a slash has the same address.
        other, secret = query, changed_text(data.draw, secret).replace("/", "_")
    if sorted(other) == sorted(query) and f"/{room}/{secret}/" in parts.path:
        return
    path = f"/{room}/{httpx.QueryParams({'': secret})}".replace("/=", "/").replace("+", "%20")
    assert not issuer.opens(f"{path}/{name}?{urlencode(other)}", kind)


def former(service: Service, *parts: str) -> str:
    """Return the signature of a former version of a text: 16 bytes of HMAC-SHA-256 of its parts, a newline between each two."""
    with sqlite3.connect(service.data / "fileferry.db") as database:
        ((secret,),) = database.execute("SELECT secret FROM signing_secrets")
    database.close()
    mac = hmac.digest(bytes.fromhex(secret), "\n".join(parts).encode(), "sha256")[:16]
    return base64.urlsafe_b64encode(b"\x01" + mac).rstrip(b"=").decode()


UNTIL = "2030-01-02T00:00:00Z"


def ids_of(service: Service, upload_id: str) -> tuple[str, ...]:
    with sqlite3.connect(service.data / "fileferry.db") as database:
        query = "SELECT organization_id, file_id, version_id, id FROM uploads WHERE id = ?"
        (row,) = database.execute(query, (upload_id,)).fetchall()
    database.close()
    return tuple(row)


@pytest.mark.sqlite  # looks into the folder
def test_a_url_of_the_former_version_is_good_until_it_ends_and_cannot_be_cut_at_another_border(issuer: Issuer) -> None:
    service, ids = issuer.service, ids_of(issuer.service, issuer.ticket["id"])
    address = issuer.ticket["url"].partition("?")[0]
    own = {"se": UNTIL, "sp": "cw", "sig": former(service, "upload", *ids, "cw", UNTIL)}
    assert issuer.opens(f"{address}?{urlencode(own)}")
    asked = {"se": UNTIL, "sp": "cw", "skoid": issuer.key_id}
    asked["sig"] = former(service, "upload", *ids, issuer.key_id, "cw", UNTIL)
    assert issuer.opens(f"{address}?{urlencode(asked)}")
    moved = {"se": UNTIL, "sp": f"{issuer.key_id}\ncw", "sig": asked["sig"]}
    assert not issuer.opens(f"{address}?{urlencode(moved)}")
    for rights in ("", "c", "cwa", "CW", "rcw", "cw\n"):
        more = {"se": UNTIL, "sp": rights, "sig": former(service, "upload", *ids, rights, UNTIL)}
        assert not issuer.opens(f"{address}?{urlencode(more)}")
    spelled = {**asked, "skoid": issuer.key_id.upper()}
    spelled["sig"] = former(service, "upload", *ids, spelled["skoid"], "cw", UNTIL)
    assert not issuer.opens(f"{address}?{urlencode(spelled)}")


@pytest.mark.sqlite  # looks into the folder
def test_a_url_of_the_former_version_of_a_revoked_asker_stays_dead(service: Service) -> None:
    made = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["upload"]}).json()
    ticket = service.request("POST", "/api/uploads", json={"name": "a.bin"}).json()
    ids, address = ids_of(service, ticket["id"]), ticket["url"].partition("?")[0]
    signature = former(service, "upload", *ids, made["id"], "cw", UNTIL)
    service.request("DELETE", f"/api/keys/{made['id']}")
    for query in (
        {"se": UNTIL, "sp": "cw", "skoid": made["id"], "sig": signature},
        {"se": UNTIL, "sp": f"{made['id']}\ncw", "sig": signature},
    ):
        assert service.request("PUT", f"{address}?{urlencode(query)}", key=None, content=b"x").status_code == 403


def test_a_parameter_that_decides_may_come_once(issuer: Issuer) -> None:
    url = issuer.urls["part"]
    for more in ("partNumber=1", "partNumber=2", f"uploadId={uuid.uuid4()}"):
        assert not issuer.opens(f"{url}&{more}")
    assert issuer.opens(f"{url}&x=1&x=2"), "others are left alone"


def test_the_url_of_a_part_takes_this_part_and_is_good_for_nothing_else(issuer: Issuer) -> None:
    url, request = issuer.urls["bound part"], issuer.service.request
    content = bytes(65536)
    for changed in ("1", "02", "2 ", "3"):
        other = url.replace("partNumber=2", f"partNumber={changed.replace(' ', '%20')}")
        assert request("PUT", other, key=None, content=content).status_code == 403
    for method in ("GET", "HEAD", "POST", "DELETE", "PATCH"):
        assert request(method, url, key=None).status_code in (403, 404)
    for more in ("comp=block&blockid=QUFB", "comp=blocklist"):
        assert not request("PUT", f"{url}&{more}", key=None, content=content).is_success
    for headers in CREATED.values():
        assert not request("POST", url, key=None, headers=headers).is_success
    assert issuer.opens(url, "bound part")


def test_a_client_may_name_parts_itself_at_the_url_of_the_whole(issuer: Issuer) -> None:
    ticket = issuer.ask("POST", "/api/uploads", json={"name": "a.bin", "parts": True}).json()
    for number in (1, 2):
        url = f"{ticket['part_url']}&partNumber={number}"
        assert issuer.service.request("PUT", url, key=None, content=b"abc").status_code == 200
    url = ticket["part_url"].replace("uploadId=", f"uploadId={uuid.uuid4()}&x=")
    assert issuer.service.request("PUT", f"{url}&partNumber=1", key=None, content=b"abc").status_code == 404
