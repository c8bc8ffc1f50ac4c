"""OAuth for hosts of tools: the walk that a host makes, that what it gets ends with the key, and attacks on each of its steps."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from fileferry.engine.authorization import clients
from fileferry.engine.authorization.clients import is_redirect_uri, refuse_document_address
from fileferry.engine.events.egress import Egress, Page
from fileferry.errors import InvalidParameter
from ui.person import ORIGIN, TOKEN, Person, signed_in
from unit.service import ROOT_KEY, Service

BASE = ORIGIN
BACK = "https://host.example/callback"
DOCUMENT = "https://host.example/client.json"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALL = {
    "headers": {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"},
    "json": {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}},
}


@pytest.fixture(autouse=True)
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What documents about programs were fetched: one is there."""
    asked: list[str] = []

    async def ask(_self: Egress, method: str, url: str, _headers: Any, _body: bytes = b"", *, most: int = 0) -> Page:
        asked.append(url)
        told = {"client_id": DOCUMENT, "client_name": "A chat", "redirect_uris": [BACK, "http://127.0.0.1/cb"]}
        return Page(200, {}, json.dumps(told).encode()) if url == DOCUMENT else Page(404, {})

    monkeypatch.setattr(clients.Egress, "ask", ask)
    return asked


def make_key(service: Service, *scopes: str, **asked: Any) -> dict[str, Any]:
    answer = service.request("POST", "/api/keys", json={"name": "of an agent", "scopes": [*scopes], **asked})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def request_of(**changes: str | None) -> dict[str, str]:
    asked = {
        "response_type": "code",
        "client_id": DOCUMENT,
        "redirect_uri": BACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "s 1",
        "resource": f"{BASE}/mcp",
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


def shown(person: Person, asked: dict[str, str]) -> httpx.Response:
    return person.get(f"/authorize?{urlencode(asked)}")


def decided(person: Person, asked: dict[str, str], **fields: Any) -> httpx.Response:
    page = shown(person, asked)
    token = TOKEN.search(page.text)
    assert token is not None, page.text
    sent = {**asked, "decision": "allow", "may": ["upload", "read"], **fields}
    return person.post("/authorize", sent, token=token[1])


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (query["state"], query["iss"]) == (["s 1"], [BASE])
    return query["code"][0]


def tokens(service: Service, **fields: str | None) -> httpx.Response:
    asked = {
        "grant_type": "authorization_code",
        "client_id": DOCUMENT,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "resource": f"{BASE}/mcp",
        **fields,
    }
    sent = {name: value for name, value in asked.items() if value is not None}
    return service.request("POST", "/oauth/token", key=None, data=sent)


def connected(service: Service, key: str, **asked: str | None) -> dict[str, Any]:
    """Return the tokens of a host that somebody has allowed by a pasted key."""
    answer = tokens(service, code=code_of(decided(Person(service), request_of(**asked), key=key)))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def listed(service: Service, token: str) -> httpx.Response:
    return service.request(
        "POST", "/mcp", key=None, json=CALL["json"], headers={**CALL["headers"], "Authorization": f"Bearer {token}"}
    )


def refreshed(service: Service, token: str, **fields: str | None) -> httpx.Response:
    return tokens(service, grant_type="refresh_token", refresh_token=token, code_verifier=None, **fields)


def test_a_host_finds_its_way_from_a_refusal(service: Service) -> None:
    refusal = service.request("POST", "/mcp", key=None, **CALL)
    found = re.fullmatch(r'Bearer resource_metadata="([^"]+)"', refusal.headers["www-authenticate"])
    assert (refusal.status_code, found is not None) == (401, True)
    assert found is not None
    resource = service.request("GET", found[1], key=None).json()
    assert resource["resource"] == f"{BASE}/mcp"
    assert resource == service.request("GET", "/.well-known/oauth-protected-resource", key=None).json()
    (issuer,) = resource["authorization_servers"]
    told = service.request("GET", f"{issuer}/.well-known/oauth-authorization-server", key=None)
    assert told.headers["access-control-allow-origin"] == "*"
    metadata = AuthorizationServerMetadata({**told.json(), "issuer": "https://service"})
    metadata.validate_response_types_supported()
    metadata.validate_grant_types_supported()
    metadata.validate_code_challenge_methods_supported()
    assert told.json()["code_challenge_methods_supported"] == ["S256"]
    assert (told.json()["issuer"], told.json()["authorization_endpoint"]) == (BASE, f"{BASE}/ui/authorize")


def test_a_pasted_key_is_lent_and_used_and_refreshed(service: Service) -> None:
    key = make_key(service, "upload", "read", path_prefix="agents")
    given = connected(service, key["key"])
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", 900, "upload read")
    names = [tool["name"] for tool in listed(service, given["access_token"]).json()["result"]["tools"]]
    assert "create_upload" in names
    assert "delete_file" not in names
    call = {**CALL["json"], "method": "tools/call"}
    headers = {**CALL["headers"], "Authorization": f"Bearer {given['access_token']}"}
    for path, refused in (("agents/a.txt", False), ("elsewhere/a.txt", True)):
        params = {"name": "put_text", "arguments": {"path": path, "text": "x"}}
        answer = service.request("POST", "/mcp", key=None, json={**call, "params": params}, headers=headers)
        assert answer.json()["result"].get("isError", False) is refused, answer.text
    service.pass_time(minutes=16)
    assert listed(service, given["access_token"]).status_code == 401
    again = refreshed(service, given["refresh_token"]).json()
    assert listed(service, again["access_token"]).status_code == 200


def test_the_session_of_the_dashboard_can_be_lent_and_taken_back_there(service: Service) -> None:
    person = signed_in(service)
    page = shown(person, request_of())
    assert "as the key <strong>root</strong>" in page.text
    given = tokens(service, code=code_of(decided(person, request_of()))).json()
    # To administer is for its holder alone, and what was not ticked is not lent.
    assert given["scope"] == "upload read"
    assert listed(service, given["access_token"]).status_code == 200
    (lent,) = [one for one in service.request("GET", "/api/grants").json()["grants"] if one["key_id"].endswith("01")]
    assert (lent["client_name"], lent["scopes"]) == ("A chat", ["upload", "read"])
    assert "A chat" in person.get("/sessions").text
    assert person.post(f"/programs/{lent['id']}/revoke").status_code == 303
    assert listed(service, given["access_token"]).status_code == 401
    assert refreshed(service, given["refresh_token"]).status_code == 400
    recorded = service.request("GET", "/api/audit?types=grant.created,grant.revoked&limit=1000").json()["records"]
    assert [(one["type"], one["data"]["name"]) for one in recorded[-2:]] == [
        ("grant.created", "A chat"),
        ("grant.revoked", "A chat"),
    ]


def test_a_revoked_key_ends_its_tokens_at_once(service: Service) -> None:
    key = make_key(service, "read")
    given = connected(service, key["key"])
    assert listed(service, given["access_token"]).status_code == 200
    service.request("DELETE", f"/api/keys/{key['id']}")
    assert listed(service, given["access_token"]).status_code == 401
    assert refreshed(service, given["refresh_token"]).json()["error"] == "invalid_grant"
    assert key["id"] not in {one["key_id"] for one in service.request("GET", "/api/grants").json()["grants"]}


def test_a_key_that_loses_a_scope_loses_it_for_programs_too(service: Service) -> None:
    key = make_key(service, "upload", "read")
    given = connected(service, key["key"])
    service.request("PATCH", f"/api/keys/{key['id']}", json={"scopes": ["read"]})
    names = [tool["name"] for tool in listed(service, given["access_token"]).json()["result"]["tools"]]
    assert "create_upload" not in names


def test_a_program_uses_the_key_that_it_is_lent(service: Service) -> None:
    key = make_key(service, "read")
    given = connected(service, key["key"])
    service.pass_time(minutes=7)
    assert listed(service, given["access_token"]).is_success
    told = service.request("GET", f"/api/keys/{key['id']}").json()["last_used_at"]
    assert told == f"{service.now:%Y-%m-%dT%H:%M}:00.000Z"


def test_a_token_opens_the_tools_and_nothing_else(service: Service) -> None:
    given = connected(service, make_key(service, "upload", "read")["key"])
    for path in ("/api/files", "/v1/files", "/api/grants"):
        headers = {"Authorization": f"Bearer {given['access_token']}"}
        assert service.request("GET", path, key=None, headers=headers).status_code == 401
    assert listed(service, given["refresh_token"]).status_code == 401


def test_a_program_gives_its_tokens_back(service: Service) -> None:
    given = connected(service, make_key(service, "read")["key"])
    other = service.request("POST", "/oauth/revoke", key=None, data={"token": given["access_token"], "client_id": "x"})
    assert other.status_code == 400
    assert listed(service, given["access_token"]).status_code == 200
    sent = {"token": given["refresh_token"], "client_id": DOCUMENT}
    assert service.request("POST", "/oauth/revoke", key=None, data=sent).status_code == 200
    assert listed(service, given["access_token"]).status_code == 401
    assert service.request("POST", "/oauth/revoke", key=None, data=sent).status_code == 200


def test_older_hosts_register_and_nothing_is_kept_of_it(service: Service) -> None:
    asked = {"client_name": "<b>Old</b>", "redirect_uris": ["http://localhost:1234/cb"], "grant_types": ["x"]}
    made = service.request("POST", "/oauth/register", key=None, json=asked)
    assert made.status_code == 201, made.text
    client_id = made.json()["client_id"]
    person, back = Person(service), "http://localhost:4321/cb"
    page = shown(person, request_of(client_id=client_id, redirect_uri=back))
    assert "&lt;b&gt;Old&lt;/b&gt;" in page.text
    key = make_key(service, "read")["key"]
    answer = decided(person, request_of(client_id=client_id, redirect_uri=back), key=key, may=["read"])
    assert tokens(service, client_id=client_id, redirect_uri=back, code=code_of(answer)).status_code == 200
    forged = client_id[:-1] + ("A" if client_id[-1] != "A" else "B")
    assert shown(Person(service), request_of(client_id=forged, redirect_uri=back)).status_code == 400


@pytest.mark.parametrize(
    "uris", [[], ["http://host.example/cb"], ["javascript:alert(1)"], ["https://a.example/#x"], ["data:text/html,x"]]
)
def test_a_program_registers_no_address_that_could_do_harm(service: Service, uris: list[str]) -> None:
    answer = service.request("POST", "/oauth/register", key=None, json={"redirect_uris": uris})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{BACK}/"},
        {"redirect_uri": f"{BACK}?x=1"},
        {"redirect_uri": "https://host.example.evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example/cb"},
        {"redirect_uri": "http://127.0.0.1:99999/cb"},
        {"redirect_uri": None},
        {"client_id": "https://other.example/client.json"},
        {"client_id": None},
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "short"},
        {"resource": "https://other.example/mcp"},
        {"response_type": "token"},
    ],
)
def test_a_request_that_is_not_as_it_must_be_leads_nowhere(service: Service, changes: dict[str, str | None]) -> None:
    person = Person(service)
    answer = shown(person, request_of(**changes))
    assert (answer.status_code, "location" in answer.headers) == (400, False)
    person.get("/sign-in")
    token = TOKEN.search(person.get("/sign-in").text)
    assert token is not None
    sent = {**request_of(**changes), "decision": "allow", "may": "read", "key": ROOT_KEY}
    answer = person.post("/authorize", sent, token=token[1])
    assert (answer.status_code, "location" in answer.headers) == (400, False)


def test_a_parameter_that_comes_twice_leads_nowhere(service: Service) -> None:
    twice = f"{urlencode(request_of())}&redirect_uri=https%3A%2F%2Fevil.example%2F"
    assert Person(service).get(f"/authorize?{twice}").status_code == 400


def test_no_other_site_can_send_or_frame_the_form(service: Service) -> None:
    person = signed_in(service)
    page = shown(person, request_of())
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://host.example;" in policy
    assert page.headers["x-frame-options"] == "DENY"
    token = TOKEN.search(page.text)
    assert token is not None
    sent = {**request_of(), "decision": "allow", "may": "read"}
    for headers, shown_token in (
        ({"Origin": "https://evil.example"}, token[1]),
        ({"Sec-Fetch-Site": "cross-site"}, token[1]),
        ({}, "forged"),
        ({}, hashlib.sha256(b"form\0").hexdigest()),
    ):
        assert person.post("/authorize", sent, token=shown_token, **headers).status_code == 403
    stranger = Person(service)
    assert (
        stranger.post("/authorize", {**sent, "key": ROOT_KEY}, token=hashlib.sha256(b"form\0").hexdigest()).status_code
        == 403
    )


def test_somebody_who_says_no_leads_back_with_that(service: Service) -> None:
    answer = decided(Person(service), request_of(), decision="deny")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (query["error"], query["state"]) == (["access_denied"], ["s 1"])
    assert answer.headers["location"].startswith(f"{BACK}?")


def test_a_wrong_key_is_told_so_and_keeps_the_form(service: Service) -> None:
    answer = decided(Person(service), request_of(), key="ff_wrong")
    assert answer.status_code == 401
    assert "opens nothing" in answer.text
    assert html.escape(BACK) in answer.text
    none = decided(Person(service), request_of(), key=make_key(service, "read")["key"], may=["upload"])
    assert none.status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": None},
        {"redirect_uri": "http://127.0.0.1/cb"},
        {"client_id": "https://other.example/client.json"},
        {"resource": "https://other.example/mcp"},
        {"code": "c" * 43},
    ],
)
def test_a_code_is_for_its_program_and_its_proof_alone(service: Service, changes: dict[str, str | None]) -> None:
    code = code_of(decided(Person(service), request_of(), key=make_key(service, "read")["key"]))
    answer = tokens(service, **{"code": code, **changes})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] in ("invalid_grant", "invalid_request", "invalid_target")


def test_a_code_that_comes_twice_ends_what_it_gave(service: Service) -> None:
    code = code_of(decided(Person(service), request_of(), key=make_key(service, "read")["key"]))
    given = tokens(service, code=code).json()
    assert listed(service, given["access_token"]).status_code == 200
    assert tokens(service, code=code).json()["error"] == "invalid_grant"
    assert listed(service, given["access_token"]).status_code == 401


def test_a_code_is_good_for_two_minutes(service: Service) -> None:
    code = code_of(decided(Person(service), request_of(), key=make_key(service, "read")["key"]))
    service.pass_time(minutes=2)
    assert tokens(service, code=code).json()["error"] == "invalid_grant"


def test_a_refresh_token_that_comes_twice_ends_all(service: Service) -> None:
    given = connected(service, make_key(service, "read")["key"])
    again = refreshed(service, given["refresh_token"]).json()
    assert listed(service, given["access_token"]).status_code == 401
    assert refreshed(service, again["refresh_token"], client_id="https://x.example/c").status_code == 400
    assert refreshed(service, given["refresh_token"]).status_code == 400
    assert listed(service, again["access_token"]).status_code == 401


def test_what_is_over_is_forgotten(service: Service) -> None:
    connected(service, make_key(service, "read")["key"])
    service.pass_time(days=31)
    service.sweep()
    assert service.request("GET", "/api/grants").json()["grants"] == []


@pytest.mark.parametrize(
    "address",
    [
        "https://host.example",
        "https://host.example/",
        "http://host.example/c",
        "https://u@host.example/c",
        "https://host.example/c#x",
        "https://host.example/../c",
        "https://host.example/c d",
        "https://host.example\\@evil/c",
        "https:///c",
    ],
)
def test_only_an_address_of_a_document_is_fetched(address: str) -> None:
    with pytest.raises(InvalidParameter):
        refuse_document_address(address)


@pytest.mark.parametrize(
    ("uri", "is_one"),
    [
        ("https://host.example/cb?x=1", True),
        ("http://127.0.0.1:3000/cb", True),
        ("http://[::1]/cb", True),
        ("cursor://anysphere.cursor-mcp/oauth/callback", True),
        ("com.example.app:/cb", True),
        ("http://10.0.0.1/cb", False),
        ("https://u:p@host.example/", False),
        ("https:host", False),
        ("//host.example/cb", False),
        ("JAVASCRIPT:alert(1)", False),
        ("view-source:https://x", False),
        ("https://host.example;frame-ancestors/cb", False),
        ("https://host.example,x/cb", False),
        ("https://host.example/\n", False),
    ],
)
def test_answers_go_only_where_a_program_can_be(uri: str, is_one: bool) -> None:
    assert is_redirect_uri(uri) is is_one


def test_a_document_is_fetched_once_in_a_while_and_by_the_rules_of_webhooks(
    service: Service, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service._engine.lending.clients._kept.clear()
    for _ in range(3):
        assert shown(Person(service), request_of()).status_code == 200
    assert fetched == [DOCUMENT]
    monkeypatch.undo()

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    service._engine.lending.clients._kept.clear()
    monkeypatch.setattr(service._engine.lending.clients, "_resolve", resolve)
    answer = shown(Person(service), request_of())
    assert answer.status_code == 400
    assert "could not be fetched" in answer.text


def test_without_the_dashboard_there_is_no_oauth(tmp_path: Any) -> None:
    service = Service(tmp_path, dashboard="false")
    refusal = service.request("POST", "/mcp", key=None, **CALL)
    assert "resource_metadata" not in refusal.headers["www-authenticate"]
    assert service.request("GET", "/.well-known/oauth-authorization-server", key=None).status_code == 404
    assert service.request("POST", "/oauth/token", key=None, data={"grant_type": "x"}).status_code == 404
    service.close()
