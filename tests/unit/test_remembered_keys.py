"""What a key may do counts at once, also where another process has changed it: it is remembered only while nobody writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from unit.service import ROOT_KEY, Service

# In a process of its own: opens the engine on the same files and acts with the root key.
_OTHER = """
import asyncio, sys
from datetime import timedelta
from fileferry.app import opened
from fileferry.engine.access.key_bounds import KeyBounds
from fileferry.settings import load

async def main(folder, root, key_id):
    settings = load({"FILEFERRY_DATA": folder, "FILEFERRY_ROOT_KEY": root, "FILEFERRY_LOG_LEVEL": "error"})
    async with opened(settings) as engine:
        principal = await engine.keys.authenticate(root, None)
        print("ready", flush=True)
        for line in sys.stdin:
            act = line.strip()
            if act == "revoke":
                await engine.keys.revoke(principal, key_id)
            elif act == "limit the key":
                await engine.keys.change(principal, key_id, KeyBounds(limits={"max_size": 2}))
            elif act == "limit the organization":
                await engine.organizations.change(principal, principal.organization.id, changes={"max_size": 1})
            elif act == "rotate":
                await engine.keys.rotate(principal, key_id, timedelta())
            print("done", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def changes(service: Service, key_id: str) -> tuple[Callable[[str], None], Callable[[], None]]:
    """Return what lets another process make a change to the key, and what ends that process."""
    command = [sys.executable, "-c", _OTHER, str(service.data), ROOT_KEY, key_id]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    asked, told = other.stdin, other.stdout
    assert told.readline() == "ready\n"

    def change(what: str) -> None:
        asked.write(what + "\n")
        asked.flush()
        assert told.readline() == "done\n", what

    def end() -> None:
        asked.close()
        assert other.wait(timeout=60) == 0
        told.close()

    return change, end


def key_of(service: Service) -> tuple[str, str]:
    answer = service.request("POST", "/api/keys", json={"name": "k", "scopes": ["upload", "read"]}).json()
    return answer["id"], answer["key"]


def upload(service: Service, secret: str) -> int:
    return service.request("POST", "/api/upload/a", key=secret, content=b"abc").status_code


def reads(service: Service, secret: str) -> int:
    return service.request("GET", "/api/files", key=secret).status_code


@pytest.mark.sqlite
def test_what_another_process_changes_counts_at_the_next_request(service: Service) -> None:
    key_id, secret = key_of(service)
    change, end = changes(service, key_id)
    try:
        assert [upload(service, secret) for _ in range(3)] == [201, 201, 201]
        change("limit the key")
        assert upload(service, secret) == 413
        assert service.request("POST", "/api/upload/a", key=secret, content=b"ab").status_code == 201
        change("limit the organization")
        assert service.request("POST", "/api/upload/a", key=secret, content=b"ab").status_code == 413
        assert service.request("POST", "/api/upload/a", key=secret, content=b"a").status_code == 201
        change("rotate")
        assert service.request("POST", "/api/upload/a", key=secret, content=b"a").status_code == 401
        secret = service.request("POST", f"/api/keys/{key_id}/rotate", json={}).json()["key"]
        assert service.request("POST", "/api/upload/a", key=secret, content=b"a").status_code == 201
        change("revoke")
        assert service.request("POST", "/api/upload/a", key=secret, content=b"a").status_code == 401
    finally:
        end()


@pytest.mark.sqlite
@pytest.mark.parametrize("what", ["rotate", "revoke"])
def test_a_key_of_requests_that_write_nothing_ends_where_another_process_ends_it(service: Service, what: str) -> None:
    key_id, secret = key_of(service)
    change, end = changes(service, key_id)
    try:
        assert [reads(service, secret) for _ in range(3)] == [200, 200, 200]
        change(what)
        assert [reads(service, secret) for _ in range(3)] == [401, 401, 401]
    finally:
        end()


@pytest.mark.parametrize("ending", ["the key's", "the secret's"])
def test_a_key_of_requests_that_write_nothing_ends_in_time(service: Service, ending: str) -> None:
    asked = {"name": "k", "scopes": ["read"], **({"expires_in": "1h"} if ending == "the key's" else {})}
    key = service.request("POST", "/api/keys", json=asked).json()
    if ending == "the secret's":
        rotated = service.request("POST", f"/api/keys/{key['id']}/rotate", json={"grace": "1h"})
        assert rotated.is_success, rotated.text
    assert [reads(service, key["key"]) for _ in range(3)] == [200, 200, 200]
    service.pass_time(minutes=59, seconds=59)
    assert reads(service, key["key"]) == 200
    service.pass_time(seconds=1)
    assert reads(service, key["key"]) == 401


@pytest.mark.parametrize("change", ["revoke", "expire"])
def test_what_this_process_changes_counts_at_the_next_request(service: Service, change: str) -> None:
    asked = {"name": "k", "scopes": ["upload"], "expires_in": "1h"}
    key = service.request("POST", "/api/keys", json=asked).json()
    assert upload(service, key["key"]) == 201
    if change == "revoke":
        assert service.request("DELETE", f"/api/keys/{key['id']}").is_success
    else:
        service.pass_time(hours=1)
    assert upload(service, key["key"]) == 401
