"""Paths in the workspaces flow: what may be a path, and that every one that may is kept to the letter."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

from contract.edge import exchange, head_of
from contract.workspace import Place, refusal
from support.live_server import LiveServer


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


@pytest.mark.parametrize(
    "path",
    [
        "plain.txt",
        "two words/and more.txt",
        "100%.txt",
        "100%25.txt",
        "a+b=c&d.txt",
        "question?.txt",
        "hash#.txt",
        "semi;colon,comma.txt",
        "Grüße/日本語/😀.txt",
        "CON.txt",
        "..hidden",
        "...",
        "back\\slash.txt",
        "path",
        "files/path/files",
        "~/`'\"<>|*.txt",
        "/".join(["deep"] * 100) + "/file.txt",
        "é" * 127,
    ],
)
def test_a_path_is_kept_to_the_letter(place: Place, path: str) -> None:
    place.put(path, path.encode())
    assert place.content(path) == path.encode()
    folder, _, name = path.rpartition("/")
    described = place.get(path)
    assert (described["name"], described["path"]) == (name, f"/{path}" if folder else "/")
    (listed,) = place.list()["files"]
    assert (listed["name"], listed["path"]) == (name, f"/{folder}")
    assert place.http.delete(place.at(path)).status_code == 204


def test_paths_differ_by_case(place: Place) -> None:
    place.put("Report.txt", b"upper")
    place.put("report.txt", b"lower")
    assert (place.content("Report.txt"), place.content("report.txt")) == (b"upper", b"lower")


def test_a_path_is_the_same_however_its_letters_are_composed(place: Place) -> None:
    first, second = place.put("caf\u00e9.txt"), place.put("cafe\u0301.txt")
    assert first["file_id"] == second["file_id"]


def test_a_percent_sign_is_decoded_once(place: Place) -> None:
    place.put("a%2Fb.txt", b"percent")
    place.put("a/b.txt", b"folder")
    assert (place.content("a%2Fb.txt"), place.content("a/b.txt")) == (b"percent", b"folder")


def test_a_plus_sign_is_no_space(place: Place) -> None:
    place.put("a b.txt", b"space")
    place.put("a+b.txt", b"plus")
    assert (place.content("a b.txt"), place.content("a+b.txt")) == (b"space", b"plus")


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
@pytest.mark.parametrize(
    "sent",
    [
        "",
        "/",
        "a//b",
        "a/",
        ".",
        "..",
        "a/../b",
        "a/%2e%2e/b",
        "%2e",
        "a%00b",
        "a%0Ab",
        "a%7Fb",
        "%FF%FE",
        quote("n" * 256),
        quote("é" * 128),
        "/".join(["d" * 200] * 6),
    ],
)
def test_what_is_no_path_is_refused(place: Place, server: LiveServer, method: str, sent: str) -> None:
    answer = exchange(server, head_of(server, method, f"{place.files}/path/{sent}", "Content-Length: 0"), finish=False)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b'"code":"invalid_name"' in answer


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_no_path_at_all_is_refused(place: Place, method: str) -> None:
    assert refusal(place.http.request(method, f"{place.files}/path")) == (400, "invalid_name")


def test_files_of_the_native_api_are_the_same_files(place: Place, http: httpx.Client) -> None:
    made = http.put("/api/upload/d/a.bin", params={"workspace": place.workspace}, content=b"native").json()
    assert place.get("d/a.bin")["file_id"] == made["id"]
    place.put("d/a.bin", b"flow")
    assert http.get(f"/api/files/{made['id']}/content").content == b"flow"
