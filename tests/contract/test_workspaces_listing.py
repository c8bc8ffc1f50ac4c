"""Listing in the workspaces flow: filters, order, windows and the links between them."""

from __future__ import annotations

import itertools
import operator
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from contract.test_native_keys import make_key
from contract.workspace import Place, refusal
from support.live_server import LiveServer

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


@pytest.fixture
def place(http: httpx.Client) -> Place:
    return Place.new(http)


@pytest.fixture
def five(place: Place) -> Place:
    """Five files of 0 to 4 bytes, in folders and not."""
    for size, path in enumerate(["Gold.csv", "a/all gold.csv", "a/b/Silver.CSV", "a/b/iron.csv", "z/100%_sure.txt"]):
        place.put(path, b"x" * size)
    return place


def test_an_empty_workspace_lists_nothing(place: Place) -> None:
    listing = place.list()
    assert listing == {
        "count": 0,
        "limit": 5000,
        "offset": 0,
        "total": 0,
        "links": {"next": None, "prev": None, "self": listing["links"]["self"]},
        "files": [],
    }


def test_a_listed_file_has_the_fields_of_a_described_one_and_its_folder_as_path(
    five: Place, http: httpx.Client
) -> None:
    listed = {file["name"]: file for file in five.list()["files"]}
    assert {file["path"] for file in listed.values()} == {"/", "/a", "/a/b", "/z"}
    iron = five.get("a/b/iron.csv")
    own = ("path", "download", "self", "versions")
    assert listed["iron.csv"] == {name: value for name, value in iron.items() if name not in own} | {
        "path": "/a/b",
        "status": "ready",
        "links": {"self": iron["self"]},
    }
    assert http.get(listed["iron.csv"]["links"]["self"]).json()["name"] == "iron.csv"


def test_only_the_newest_version_of_a_file_is_listed(place: Place) -> None:
    tickets = [place.put("a.bin", b"x" * size) for size in (1, 2)]
    assert [file["version_id"] for file in place.list()["files"]] == [tickets[1]["version_id"]]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("gold", ["Gold.csv", "all gold.csv"]),
        ("GOLD.", ["Gold.csv", "all gold.csv"]),
        (".csv", ["Gold.csv", "Silver.CSV", "all gold.csv", "iron.csv"]),
        ("%", ["100%_sure.txt"]),
        ("_", ["100%_sure.txt"]),
        ("0*", []),
        ("a/", []),
        ("", ["100%_sure.txt", "Gold.csv", "Silver.CSV", "all gold.csv", "iron.csv"]),
    ],
)
def test_a_part_of_the_name_is_looked_for_in_any_case(five: Place, part: str, found: list[str]) -> None:
    assert sorted(five.names(file_name=part)) == found


@pytest.mark.parametrize("part", ["übersicht", "u\u0308bersicht", "Ü"])
def test_a_part_of_the_name_may_be_in_any_script(place: Place, part: str) -> None:
    place.put("ÜBERSICHT.txt")
    assert place.names(file_name=part) == ["ÜBERSICHT.txt"]


@pytest.mark.parametrize("field", ["created_at", "modified_at"])
@pytest.mark.parametrize("comparison", COMPARE)
def test_times_are_compared_as_they_are_shown(five: Place, field: str, comparison: str) -> None:
    five.put("Gold.csv", b"changed")
    files = five.list()["files"]
    for pivot in files:
        expected = {file["name"] for file in files if COMPARE[comparison](file[field], pivot[field])}
        assert set(five.names(**{field: f"{comparison}:{pivot[field]}"})) == expected


@pytest.mark.parametrize("field", ["created_at", "modified_at"])
def test_a_time_alone_is_looked_for_exactly(five: Place, field: str) -> None:
    files = five.list()["files"]
    pivot = files[2]
    expected = {file["name"] for file in files if file[field] == pivot[field]}
    assert set(five.names(**{field: pivot[field]})) == expected
    assert five.names(**{field: "2001-01-01"}) == []


def test_two_times_enclose(five: Place) -> None:
    files = five.list(order_by="created_at")["files"]
    first, last = files[1]["created_at"], files[3]["created_at"]
    expected = {file["name"] for file in files if first <= file["created_at"] <= last}
    assert set(five.names(created_at=[f"gte:{first}", f"lte:{last}"])) == expected


@pytest.mark.parametrize(
    "spelled",
    ["{day}T{time}", "{day}T{time}Z", "{day} {time}", "{day}T{time}+00:00", "{day}T{time} 00:00", "{day}T{time}-00:00"],
)
def test_a_time_without_an_offset_is_utc(five: Place, spelled: str) -> None:
    shown = max(file["created_at"] for file in five.list()["files"])
    day, time = shown.removesuffix("Z").split("T")
    assert len(five.names(created_at=f"lte:{spelled.format(day=day, time=time)}")) == 5
    assert len(five.names(created_at=f"gte:{spelled.format(day=day, time=time)}")) >= 1


def test_an_offset_is_heeded(five: Place) -> None:
    shown = min(file["created_at"] for file in five.list()["files"]).removesuffix("Z")
    assert five.names(created_at=f"lt:{shown}+14:00") == []
    assert len(five.names(created_at=f"lt:{shown}-12:00")) == 5


@pytest.mark.parametrize(
    ("sizes", "found"),
    [
        (["2"], [2]),
        (["eq:2"], [2]),
        (["lt:2"], [0, 1]),
        (["lte:2"], [0, 1, 2]),
        (["gt:2"], [3, 4]),
        (["gte:2"], [2, 3, 4]),
        (["gte:1", "lt:3"], [1, 2]),
        (["gt:3", "lt:3"], []),
    ],
)
def test_sizes_are_compared(five: Place, sizes: list[str], found: list[int]) -> None:
    assert sorted(file["size"] for file in five.list(size=sizes)["files"]) == found


def test_files_are_found_by_who_made_changed_and_deleted_them(
    place: Place, server: LiveServer, http: httpx.Client
) -> None:
    ann, bob = (make_key(http, "upload", "read", "delete") for _ in range(2))
    with server.client(ann["key"]) as anns, server.client(bob["key"]) as bobs:
        place.seen_by(anns).put("ann.bin")
        place.seen_by(bobs).put("bob.bin")
        place.seen_by(bobs).put("ann.bin")
        assert place.names(author=ann["id"]) == place.names(created_by=ann["id"]) == ["ann.bin"]
        assert place.names(author=ann["id"].upper(), created_by=ann["id"].upper()) == ["ann.bin"]
        assert sorted(place.names(modified_by=bob["id"])) == ["ann.bin", "bob.bin"]
        assert place.names(modified_by=ann["id"]) == []
        assert bobs.delete(place.at("ann.bin")).status_code == 204
    assert place.names(deleted="true", deleted_by=bob["id"]) == ["ann.bin"]
    assert place.names(deleted="true", deleted_by=ann["id"]) == []
    assert place.names(author=str(uuid.uuid4())) == []


def test_deleted_files_are_listed_apart(five: Place, http: httpx.Client) -> None:
    before = five.list()["files"]
    for path in ("Gold.csv", "a/b/iron.csv"):
        http.delete(five.at(path))
    deleted = five.list(deleted="True", order_by="deleted_at")["files"]
    assert [file["name"] for file in deleted] == ["Gold.csv", "iron.csv"]
    assert all(file["deleted_at"] for file in deleted)
    assert five.names(deleted="true", file_name="gold") == ["Gold.csv"]
    last = deleted[1]["deleted_at"]
    expected = [file["name"] for file in deleted if file["deleted_at"] >= last]
    assert five.names(deleted="true", deleted_at=f"gte:{last}", order_by="deleted_at") == expected
    assert (len(before), five.list()["total"], five.list(deleted="true")["total"]) == (5, 3, 2)
    assert len(five.names(deleted="False")) == 3


@pytest.mark.parametrize("field", ["created_at", "modified_at", "name", "path", "size"])
@pytest.mark.parametrize("direction", ["", "asc:", "desc:"])
def test_files_are_ordered_as_asked(five: Place, field: str, direction: str) -> None:
    five.put("a/b/iron.csv", b"changed")
    files = five.list(order_by=f"{direction}{field}")["files"]
    # A listed path is the folder; the order is that of whole paths.
    values = [f"{file['path'].rstrip('/')}/{file['name']}" if field == "path" else file[field] for file in files]
    assert values == sorted(values, reverse=direction == "desc:")


def test_a_second_field_orders_what_the_first_leaves_open(place: Place) -> None:
    for path, size in [("b", 1), ("a", 1), ("d", 2), ("c", 2)]:
        place.put(path, b"x" * size)
    assert place.names(order_by="desc:size,name") == ["c", "d", "a", "b"]
    assert place.names(order_by="size, desc:name") == ["b", "a", "d", "c"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_the_links_lead_through_everything_and_back(five: Place, http: httpx.Client, limit: int) -> None:
    listing = five.list(limit=limit, order_by="name", size="gte:0", created_at=["gt:2001-01-01", "lt:2999-01-01"])
    seen, pages = [file["name"] for file in listing["files"]], [listing]
    while listing["links"]["next"]:
        listing = http.get(listing["links"]["next"]).json()
        pages.append(listing)
        seen += [file["name"] for file in listing["files"]]
    assert seen == sorted(five.names())
    assert {page["total"] for page in pages} == {5}
    assert [page["count"] for page in pages] == [len(page["files"]) for page in pages]
    assert [page["offset"] for page in pages] == list(range(0, 5, limit))
    for earlier, later in itertools.pairwise(pages):
        assert http.get(later["links"]["prev"]).json() == earlier
    assert pages[0]["links"]["prev"] is None
    assert http.get(listing["links"]["self"]).json() == listing


def test_an_offset_behind_the_end_lists_nothing(five: Place) -> None:
    listing = five.list(offset=100)
    assert (listing["count"], listing["total"], listing["files"], listing["links"]["next"]) == (0, 5, [], None)
    assert listing["links"]["prev"]


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("limit", ["0", "5001", "-1", "ten", "1e3", "\u0663"]),
        ("offset", ["-1", "ten", "1.0", "9" * 30]),
        ("deleted", ["maybe", ""]),
        ("author", ["ann", "1"]),
        ("modified_by", ["ann"]),
        ("deleted_by", ["ann"]),
        ("size", ["big", "-1", "lt:", "gte:x", "between:3", "9" * 30]),
        ("created_at", ["yesterday", "lt:", "gte:2026-13-01", "since:2026-01-01", "gte:lt:2026-01-01"]),
        ("modified_at", ["lte:9999-12-31T23:59:59.999999", "lt:0001-01-01T00:00:00+14:00"]),
        ("deleted_at", ["2026-01-01T25:00"]),
        ("order_by", ["version_id", "up:name", "name,name", "desc:", "name,,size", "desc:name:asc", ","]),
    ],
)
def test_values_that_cannot_be_used_are_named(
    place: Place, http: httpx.Client, parameter: str, values: list[str]
) -> None:
    for value in values:
        answer = http.get(place.files, params={parameter: value})
        assert refusal(answer) == (400, "invalid_parameter"), value
        assert answer.json()["parameter"] == parameter


@pytest.mark.parametrize("parameter", ["created_at", "modified_at", "deleted_at", "size"])
def test_a_filter_takes_two_bounds_or_one_value(place: Place, http: httpx.Client, parameter: str) -> None:
    value = "7" if parameter == "size" else "2026-01-01"
    for values in ([f"gt:{value}"] * 3, [value, value], [value, f"gt:{value}"]):
        assert refusal(http.get(place.files, params={parameter: values})) == (400, "invalid_parameter")


def test_author_and_created_by_may_not_disagree(place: Place, http: httpx.Client) -> None:
    query = {"author": str(uuid.uuid4()), "created_by": str(uuid.uuid4())}
    assert refusal(http.get(place.files, params=query)) == (400, "invalid_parameter")
