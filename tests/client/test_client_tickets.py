"""What a client hands to others: tickets to upload with and links to download by, neither of which holds the key."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from fileferry import Conflict, InvalidExpiry, InvalidParameter
from support.live_server import LiveServer


@pytest.fixture
def client(connect: Any, server: LiveServer) -> Any:
    return connect(server.url, server.root_key)


def put(url: str, content: bytes) -> int:
    return httpx.put(url, content=content, trust_env=False).status_code


def test_a_ticket_takes_what_its_limits_allow_and_nothing_else(client: Any) -> None:
    ticket = client.tickets.create(name="photo.jpg", max_size=5, metadata={"album": 3}, expires_in="1h")
    assert (ticket.state, ticket.max_size, ticket.size) == ("open", 5, None)
    assert put(ticket.url, b"too much") == 413
    assert put(ticket.url, b"right") == 200
    file = client.tickets.complete(ticket)
    assert (file.file_id, file.version_id) == (ticket.file_id, ticket.version_id)
    assert (file.content_type, file.metadata, file.expires_at is None) == ("image/jpeg", {"album": 3}, False)
    assert client.tickets.get(ticket).state == "completed"


def test_the_last_byte_completes_where_the_ticket_says_so(client: Any) -> None:
    ticket = client.tickets.create(path="desk/note.txt", size=5, auto_complete=True)
    assert ticket.auto_complete
    assert put(ticket.url, b"right") == 200
    assert client.wait(ticket.file_id, ticket.version_id).path == "desk/note.txt"


def test_parts_go_to_urls_of_their_own(client: Any) -> None:
    ticket = client.tickets.create(name="two.bin", size=70_000, parts=True, part_size=65_536)
    assert ticket.part_count == 2
    pieces = [bytes(65_536), bytes(70_000 - 65_536)]
    for number, piece in enumerate(pieces, 1):
        assert put(ticket.url_of_part(number), piece) == 200
    etags = client.tickets.get(ticket).parts
    assert client.tickets.complete(ticket, parts=sorted(etags.items())).size == 70_000


def test_a_ticket_that_was_given_up_takes_nothing(client: Any) -> None:
    ticket = client.tickets.create(name="never.txt", size=1)
    client.tickets.abort(ticket)
    assert put(ticket.url, b"x") in {404, 410}


@pytest.mark.parametrize("target", [{}, {"name": "a", "path": "b"}])
def test_a_ticket_is_for_one_thing(client: Any, target: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter, match="one of"):
        client.tickets.create(**target)


def test_a_link_is_for_one_version_and_for_a_time(client: Any) -> None:
    first = client.upload(b"first", path="links/a.txt")
    second = client.upload(b"second", path="links/a.txt")
    link = client.link(first, version=first.version_id, expires_in="10m")
    assert httpx.get(link.url, trust_env=False).content == b"first"
    assert httpx.get(client.link(second).url, trust_env=False).content == b"second"
    assert httpx.get(link.url.replace("sp=r&", "sp=rl&"), trust_env=False).status_code == 403
    with pytest.raises(InvalidExpiry, match="7 days"):
        client.link(first, expires_in="8d")


def test_what_the_client_returned_does_where_an_id_is_asked_for(client: Any) -> None:
    organization = client.create_organization(f"o{uuid.uuid4().hex}")
    workspace = client.create_workspace("paper", organization=organization)
    folder = client.create_folder("inside", workspace=workspace, organization=organization)
    file = client.upload(b"x", name="a.txt", folder=folder, workspace=workspace, organization=organization)
    assert client.get(file, organization=organization).path == "inside/a.txt"
    assert [found.file_id for found in client.list(workspace=workspace, organization=organization)] == [file.file_id]
    assert client.get_folder(folder, organization=organization) == folder
    assert [one.path for one in client.list_folders(workspace=workspace, organization=organization)] == ["inside"]
    assert client.get_workspace(workspace, organization=organization).name == "paper"
    assert client.get_organization(organization).slug == organization.slug
    with pytest.raises(TypeError, match="NoneType names nothing"):
        client.get(None)


def test_the_keys_of_any_organization_are_the_root_keys_to_change(client: Any) -> None:
    organization = client.create_organization(f"k{uuid.uuid4().hex}")
    key = client.create_key("theirs", scopes=["read"], organization=organization)
    assert [found.name for found in client.list_keys(organization=organization)] == ["theirs"]
    assert client.update_key(key, name="renamed", organization=organization).name == "renamed"
    assert client.rotate_key(key, organization=organization).secret != key.secret
    client.revoke_key(key, organization=organization)
    assert client.get_key(key, organization=organization).revoked_at is not None


def test_a_workspace_is_deleted_once_nothing_is_in_it(client: Any) -> None:
    workspace = client.create_workspace(f"w{uuid.uuid4().hex}")
    files = client.workspace(workspace)
    files.upload("a/b.txt", b"x" * 100_000)
    with pytest.raises(Conflict, match="1 files, and 0 deleted"):
        client.delete_workspace(workspace)
    files.delete("a/b.txt")
    with pytest.raises(Conflict, match="0 files, and 1 deleted"):
        client.delete_workspace(workspace)
    files.restore("a/b.txt")
    files.delete("a/b.txt", permanent=True)
    ticket = client.tickets.create(path="a/c.txt", workspace=workspace)
    with pytest.raises(Conflict, match="under way"):
        client.delete_workspace(workspace)
    client.tickets.abort(ticket)
    client.delete_workspace(workspace)
    assert workspace.name not in [found.name for found in client.list_workspaces()]
    with pytest.raises(Conflict, match="default workspace"):
        client.delete_workspace("default")


@pytest.mark.parametrize("mode", ["w+", "r"])
def test_a_file_that_is_open_as_text_is_refused_before_anything_is_sent(client: Any, tmp_path: Any, mode: str) -> None:
    (tmp_path / "text").write_text("")
    with open(tmp_path / "text", mode) as text:
        with pytest.raises(TypeError, match="binary mode"):
            client.upload(text, name="text")
        with pytest.raises(TypeError, match="binary mode"):
            client.download(client.upload(b"x", name="a.txt"), text)
