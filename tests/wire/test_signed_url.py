"""Who may send to a signed URL: exactly whoever holds it, unchanged and in time; everyone else touches nothing."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
import pytest

from contract.edge import eventually
from support.live_server import LiveServer, MakeServer
from wire.asking import ask_one, confirm, confirmed, fetch, initiate, open_ticket, part_url, send

XML = "application/xml"


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def with_query(url: str, **changes: str | None) -> str:
    """Return ``url`` with query parameters changed, or left out where None."""
    changed = {name: value for name, value in {**query_of(url), **changes}.items() if value is not None}
    return urlunsplit(urlsplit(url)._replace(query=urlencode(changed)))


def flipped(text: str, position: int) -> str:
    """Return ``text`` with one character changed."""
    other = "A" if text[position] != "A" else "B"
    return text[:position] + other + text[position + 1 :]


def refused(answer: httpx.Response) -> None:
    """Fail unless the answer is the one that every unusable URL gets."""
    assert answer.status_code == 403, answer.text
    assert "link_refused" in answer.text or "<Code>AccessDenied</Code>" in answer.text


TAMPERED: dict[str, Callable[[str], str]] = {
    "later expiry": lambda url: with_query(url, se="2099-01-01T00:00:00Z"),
    "expiry that is no time": lambda url: with_query(url, se="tomorrow"),
    "no expiry": lambda url: with_query(url, se=None),
    "more rights": lambda url: with_query(url, sp="racwd"),
    "no rights": lambda url: with_query(url, sp=None),
    "signature changed": lambda url: with_query(url, sig=flipped(query_of(url)["sig"], 10)),
    "signature of another secret": lambda url: with_query(url, sig=flipped(query_of(url)["sig"], 0)),
    "signature cut": lambda url: with_query(url, sig=query_of(url)["sig"][:-4]),
    "signature empty": lambda url: with_query(url, sig=""),
    "signature not base64": lambda url: with_query(url, sig="%é!"),
    "no signature": lambda url: with_query(url, sig=None),
    "no query": lambda url: url.partition("?")[0],
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_a_changed_url_is_refused(http: httpx.Client, tamper: Callable[[str], str]) -> None:
    ticket = ask_one(http, 3)
    assert send(ticket["url"], b"own").status_code == 200
    refused(send(tamper(ticket["url"]), b"bad"))
    assert confirmed(http, ticket) == b"own"


@pytest.mark.parametrize("tamper", [change for name, change in TAMPERED.items() if name != "no query"])
def test_a_changed_part_url_takes_lists_completes_and_aborts_nothing(
    http: httpx.Client, tamper: Callable[[str], str]
) -> None:
    upload = initiate(http, 3)
    etags = upload.put_all(b"own")
    url = tamper(upload.urls[1])
    for method in ("PUT", "GET", "POST", "DELETE"):
        refused(send(url, b"bad" if method == "PUT" else None, method))
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == b"own"


def test_a_signature_holds_for_its_own_upload_only(http: httpx.Client) -> None:
    mine, theirs = ask_one(http, 3), ask_one(http, 3)
    refused(send(with_query(mine["url"], **query_of(theirs["url"])), b"bad"))
    id_of_mine, id_of_theirs = (urlsplit(ticket["url"]).path.split("/")[2] for ticket in (mine, theirs))
    refused(send(mine["url"].replace(id_of_mine, id_of_theirs), b"bad"))
    refused(send(mine["url"].replace(id_of_mine, str(uuid.uuid4())), b"bad"))
    assert confirm(http, mine["id"]).status_code == 409
    assert confirm(http, theirs["id"]).status_code == 409


def test_the_upload_id_of_another_multipart_upload_is_refused(http: httpx.Client) -> None:
    mine, theirs = initiate(http, 3), initiate(http, 3)
    refused(send(with_query(mine.urls[1], uploadId=theirs.upload_id), b"bad"))
    url = mine.whole(uploadId=theirs.upload_id, partNumber="1")
    for method in ("PUT", "GET", "POST", "DELETE"):
        answer = send(url, b"bad" if method == "PUT" else None, method)
        assert (answer.status_code, "<Code>NoSuchUpload</Code>" in answer.text) == (404, True)
    for upload in (mine, theirs):
        assert upload.parts().json()["parts"] == []


def test_a_download_link_opens_no_upload_and_an_upload_link_no_download(http: httpx.Client) -> None:
    ticket = ask_one(http, 3)
    send(ticket["url"], b"own")
    token = ticket["s3Key"].split("/")[1]
    refused(send(with_query(ticket["url"], sig=token), b"bad"))
    assert confirmed(http, ticket) == b"own"
    assert send(f"{str(http.base_url).rstrip('/')}/{ticket['s3Key']}", b"bad").status_code in (404, 405)
    assert fetch(http, f"f/{query_of(ticket['url'])['sig']}/a.bin").status_code == 404
    assert send(ticket["url"], method="GET").status_code == 405
    assert fetch(http, ticket["s3Key"]).content == b"own"


def test_the_name_and_order_of_a_url_do_not_matter_and_foreign_parameters_are_left_alone(http: httpx.Client) -> None:
    """Published clients reorder, requote and add parameters; what is signed are the values."""
    ticket = ask_one(http, 3)
    shuffled = urlencode({"timeout": "30", **dict(reversed(query_of(ticket["url"]).items())), "x": "é"})
    assert send(urlunsplit(urlsplit(ticket["url"])._replace(query=shuffled)), b"own").status_code == 200
    assert confirmed(http, ticket) == b"own"


def test_the_url_needs_no_key_and_a_wrong_one_does_no_harm(http: httpx.Client) -> None:
    ticket = ask_one(http, 3)
    assert send(ticket["url"], b"own", headers={"Authorization": "Bearer nonsense"}).status_code == 200


def test_a_url_ends_with_its_time(make_server: MakeServer) -> None:
    # In real time: a server in a process of its own has a clock of its own.
    own = make_server(upload_url_lifetime="2s")
    with own.client() as http:
        ticket, upload = ask_one(http, 3), initiate(http, 3)
        for url in (ticket["url"], upload.urls[1]):
            eventually(lambda url=url: send(url, b"bad").status_code == 403)
            refused(send(url, b"bad"))
        # What was sent in time is still confirmed, and what is missing gets fresh URLs.
        (fresh,) = upload.call("urls", partNumbers=[1]).json()["urls"]
        etag = send(fresh["url"], b"own").headers["etag"]
        assert upload.complete({1: etag}).status_code == 200
        assert upload.fetch().content == b"own"


def test_a_revoked_key_takes_its_urls_with_it(http: httpx.Client, server: LiveServer) -> None:
    made = http.post("/api/keys", json={"name": "worker", "scopes": ["upload", "read"]}).json()
    with server.client(made["key"]) as worker:
        ticket, upload = ask_one(worker, 3), initiate(worker, 3)
    assert send(ticket["url"], b"own").status_code == 200
    assert http.delete(f"/api/keys/{made['id']}").status_code == 204
    refused(send(ticket["url"], b"bad"))
    refused(send(upload.urls[1], b"bad"))
    assert confirmed(http, ticket) == b"own"


def test_another_organizations_url_is_refused(http: httpx.Client, server: LiveServer) -> None:
    """With identical promises in two organizations, only the own signature opens each."""
    slug = f"o{uuid.uuid4().hex[:12]}"
    http.post("/api/organizations", json={"slug": slug})
    key = http.post("/api/keys", params={"organization": slug}, json={"name": "k", "scopes": ["upload"]}).json()["key"]
    mine = open_ticket(http, size=3)
    with server.client(key) as stranger:
        theirs = open_ticket(stranger, size=3)
        refused(send(with_query(theirs["url"], **query_of(mine["url"])), b"bad"))
        refused(send(with_query(mine["url"], **query_of(theirs["url"])), b"bad"))
        for answer in (
            stranger.get(f"/api/uploads/{mine['id']}"),
            stranger.post(f"/api/uploads/{mine['id']}/urls"),
            stranger.post(f"/api/uploads/{mine['id']}/complete"),
            stranger.delete(f"/api/uploads/{mine['id']}"),
        ):
            assert answer.status_code == 404
    assert send(mine["url"], b"own").status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_other_methods_are_not_allowed(http: httpx.Client, method: str) -> None:
    ticket = ask_one(http, 3)
    answer = send(ticket["url"], None, method)
    assert answer.status_code == 405
    assert "PUT" in answer.headers["allow"]
    assert answer.headers["access-control-allow-origin"] == "*"


def test_methods_of_other_protocols_are_not_allowed(http: httpx.Client) -> None:
    assert send(ask_one(http, 3)["url"], None, "PROPFIND").status_code == 405


def test_a_preflight_needs_no_signature(http: httpx.Client) -> None:
    url = ask_one(http, 3)["url"].partition("?")[0]
    asked = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = send(url, None, "OPTIONS", headers=asked)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert "content-type" in answer.headers["access-control-allow-headers"].lower()
    assert int(answer.headers["access-control-max-age"]) > 0


def test_errors_of_parts_are_the_documents_that_s3_clients_read(http: httpx.Client) -> None:
    upload = initiate(http, 3)
    answer = send(upload.urls[1], b"toolong")
    assert (answer.status_code, answer.headers["content-type"]) == (413, XML)
    assert "<Code>EntityTooLarge</Code>" in answer.text
    assert f"<RequestId>{answer.headers['x-request-id']}</RequestId>" in answer.text


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "", "999999", "1.0", "%EF%BC%91"])
def test_part_numbers_go_from_1_to_10000(http: httpx.Client, number: str) -> None:
    ticket: dict[str, Any] = open_ticket(http, parts=True)
    answer = send(part_url(ticket, number), b"x")
    assert (answer.status_code, answer.headers["content-type"]) == (400, XML)
    assert send(part_url(ticket, 10_000), b"x").status_code == 200


def test_a_part_past_the_last_is_refused(http: httpx.Client) -> None:
    upload = initiate(http, 3)
    refused(send(with_query(upload.urls[1], partNumber="2"), b"abc"))
    answer = send(upload.whole(uploadId=upload.upload_id, partNumber="2"), b"abc")
    assert (answer.status_code, "<Code>InvalidPart</Code>" in answer.text) == (400, True)


def test_a_digest_that_the_ticket_promises_cannot_be_talked_away(http: httpx.Client) -> None:
    promised, other = b"what was promised", b"something else!!!"
    checksum = hashlib.sha256(promised).hexdigest()
    ticket = ask_one(http, len(promised), checksum=checksum)
    field = base64.b64encode(hashlib.sha256(other).digest()).decode()
    for headers in (
        {"Content-Digest": f"sha-256=:{field}:"},
        {"x-amz-checksum-sha256": field},
        {"x-amz-content-sha256": hashlib.sha256(other).hexdigest()},
    ):
        assert send(ticket["url"], other, headers=headers).status_code == 400
    assert confirm(http, ticket["id"]).status_code == 409


def test_a_url_ends_with_the_key_that_asked_for_it(http: httpx.Client, server: LiveServer) -> None:
    ticket = open_ticket(http, size=3)
    made = http.post("/api/keys", json={"name": "helper", "scopes": ["upload"]}).json()
    with server.client(made["key"]) as helper:
        asked = helper.post(f"/api/uploads/{ticket['id']}/urls").json()["url"]
    refused(send(with_query(asked, skoid=str(uuid.uuid4())), b"bad"))
    assert send(asked, b"one").status_code == 200
    assert http.delete(f"/api/keys/{made['id']}").status_code == 204
    refused(send(asked, b"two"))
    assert send(ticket["url"], b"own").status_code == 200
