"""Signing in at an OpenID provider: a real small one, and one whose tokens are wrong in one way each."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from fileferry.engine.access import openid
from support.openid import OpenIdProvider, running
from ui.person import Person
from ui.test_proxied import ROLES
from unit.service import Service

PEOPLE = {
    "ada-1": {"preferred_username": "ada", "groups": ["visitors", "staff"]},
    "bob-2": {"email": "bob@example.com", "groups": "operators"},
    "eve-3": {"preferred_username": "ada", "groups": ["visitors"]},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    with running(PEOPLE) as found:
        yield found


def service_of(folder: Path, issuer: str) -> Service:
    folder.mkdir(exist_ok=True)
    (folder / "roles.toml").write_text(ROLES)
    service = Service(
        folder / "data",
        base_url="http://service",
        oidc_issuer=issuer,
        oidc_client_id="fileferry",
        oidc_client_secret="a secret & more",
        roles=str(folder / "roles.toml"),
        sign_in_attempts="1000/minute",
    )
    service.now = datetime.now(UTC)  # the provider has no other clock
    return service


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, provider: OpenIdProvider) -> Iterator[Service]:
    service = service_of(tmp_path_factory.mktemp("openid"), provider.url)
    yield service
    service.close()


def begin(person: Person, onward: str = "/files") -> str:
    answer = person.get(f"/oidc?next={onward}")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def come_back(person: Person, url: str) -> Any:
    assert url.startswith("http://service/ui/oidc/callback?")
    return person.get(url.removeprefix("http://service/ui"))


def test_somebody_signs_in_at_the_provider_with_the_role_of_a_group(
    trusting: Service, provider: OpenIdProvider
) -> None:
    person = Person(trusting)
    assert f"Sign in at {provider.url}" in person.get("/sign-in").text
    url = begin(person, "/upload")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert len(asked["state"]) == len(asked["nonce"]) == 43
    assert asked["redirect_uri"] == "http://service/ui/oidc/callback"
    answer = come_back(person, provider.sign_in(url, "ada-1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/upload"), answer.text
    assert person.get("/upload").status_code == 200
    assert person.get("/keys").status_code == 403
    verifier = provider.exchanged[-1]["code_verifier"]
    digest = hashlib.sha256(verifier.encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
    users = trusting.request("GET", "/api/users").json()["users"]
    (ada,) = [user for user in users if user["subject"] == "ada-1"]
    assert (ada["name"], ada["issuer"], ada["path_prefix"]) == ("ada", provider.url, "reports")


def test_a_group_that_is_no_list_counts_and_who_has_none_is_told(trusting: Service, provider: OpenIdProvider) -> None:
    bob = Person(trusting)
    assert come_back(bob, provider.sign_in(begin(bob), "bob-2")).status_code == 303
    assert bob.get("/keys").status_code == 200
    eve = Person(trusting)
    answer = come_back(eve, provider.sign_in(begin(eve), "eve-3"))
    assert answer.status_code == 403
    assert "None of your groups" in answer.text
    assert eve.get("/files").status_code == 303


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/sign-in"])
def test_signing_in_there_never_leads_away(trusting: Service, provider: OpenIdProvider, onward: str) -> None:
    person = Person(trusting)
    answer = come_back(person, provider.sign_in(begin(person, onward), "ada-1"))
    assert answer.headers["location"] == "/ui/files"


def test_what_another_browser_began_is_refused(trusting: Service, provider: OpenIdProvider) -> None:
    attacker, person = Person(trusting), Person(trusting)
    back = provider.sign_in(begin(attacker), "ada-1")
    assert come_back(person, back).status_code == 401  # nothing was begun here
    begin(person)
    assert come_back(person, back).status_code == 401  # something else was
    assert person.get("/files").status_code == 303
    assert come_back(attacker, back).status_code == 303
    assert come_back(attacker, back).status_code == 401  # once


def test_another_issuer_and_a_refusal_are_told(trusting: Service, provider: OpenIdProvider) -> None:
    person = Person(trusting)
    back = provider.sign_in(begin(person), "ada-1")
    assert come_back(person, back + "&iss=https%3A%2F%2Fevil.example").status_code == 401
    state = parse_qs(urlsplit(begin(person)).query)["state"][0]
    answer = person.get(f"/oidc/callback?error=access_denied&state={state}")
    assert answer.status_code == 401
    assert "did not sign you in" in answer.text


def test_a_provider_that_is_away_is_no_fault_of_ours(tmp_path: Path) -> None:
    service = service_of(tmp_path, "http://127.0.0.1:9")
    try:
        answer = Person(service).get("/oidc")
        assert answer.status_code == 503
        assert "does not answer" in answer.text
    finally:
        service.close()


NOW = 1_900_000_000
KEY, OTHER = RSAKey.generate_key(2048, {"kid": "one"}), RSAKey.generate_key(2048, {"kid": "one"})
CLAIMS = {
    "iss": "https://id.example", "aud": "fileferry", "sub": "ada-1", "exp": NOW + 300, "iat": NOW, "nonce": "the nonce",
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "alg", "key"),
    [
        ({"iss": "https://evil.example"}, "RS256", KEY),
        ({"aud": "another client"}, "RS256", KEY),
        ({"aud": ["fileferry", "another client"], "azp": "another client"}, "RS256", KEY),
        ({"exp": NOW - 300}, "RS256", KEY),
        ({"exp": None}, "RS256", KEY),
        ({"nonce": "another nonce"}, "RS256", KEY),
        ({"nonce": None}, "RS256", KEY),
        ({"nbf": NOW + 300}, "RS256", KEY),
        ({"sub": None}, "RS256", KEY),
        ({"sub": "a\nb"}, "RS256", KEY),
        ({}, "RS256", OTHER),
        ({}, "none", None),
        ({}, "HS256", "the public key"),
        ({}, None, None),
        ({"extra": "and right"}, "RS256", KEY),
    ],
)
def test_only_a_token_that_is_wrong_in_no_way_is_believed(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], alg: str, key: Any
) -> None:
    service = judging(tmp_path_factory)
    claims = {name: value for name, value in {**CLAIMS, **wrong}.items() if value is not None}
    answer = answered(service, monkeypatch, signed(claims, alg, key))
    if "extra" in wrong:
        assert answer.status_code == 303, answer.text
        return
    assert answer.status_code == 401
    assert "cannot be believed" in answer.text


_judging: list[Service] = []


def judging(folders: pytest.TempPathFactory) -> Service:
    """Return the one service of these tests."""
    if not _judging:
        _judging.append(service_of(folders.mktemp("judging"), "https://id.example"))
        _judging[0].now = datetime.fromtimestamp(NOW, UTC)
    return _judging[0]


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _judging:
        _judging.pop().close()


def signed(claims: dict[str, Any], alg: str | None, key: Any) -> str | None:
    if alg is None:
        return None
    if alg == "RS256":
        return jwt.encode({"alg": alg, "kid": "one"}, claims, key)
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": alg}, claims)
    ]
    return ".".join([*parts, "" if alg == "none" else base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")])


def answered(service: Service, monkeypatch: pytest.MonkeyPatch, token: str | None) -> Any:
    """Come back from a provider that answers with this token."""
    place = "https://id.example"
    answers: dict[str, dict[str, Any]] = {
        f"{place}/.well-known/openid-configuration": {
            "issuer": place,
            "authorization_endpoint": f"{place}/authorize",
            "token_endpoint": f"{place}/token",
            "jwks_uri": f"{place}/keys",
            "userinfo_endpoint": f"{place}/me",
        },
        f"{place}/token": {"access_token": "x", **({} if token is None else {"id_token": token})},
        f"{place}/keys": {"keys": [KEY.as_dict(private=False)]},
        f"{place}/me": {"sub": "ada-1", "groups": ["staff"]},  # not in the token: asked for
    }

    async def ask(_self: Any, _method: str, url: str, **_options: Any) -> dict[str, Any]:
        return answers[url]

    monkeypatch.setattr(openid.Provider, "_ask", ask)
    monkeypatch.setattr(openid.secrets, "token_urlsafe", lambda _size: "the nonce")
    person = Person(service)
    begin(person)
    monkeypatch.undo()
    monkeypatch.setattr(openid.Provider, "_ask", ask)
    return person.get("/oidc/callback?code=x&state=the nonce")
