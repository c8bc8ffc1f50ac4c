"""Each address has one spelling, so that what sits in front can deny and cache it by that one; users' paths are theirs."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from unit import words
from unit.service import Service


def other_spellings(address: str) -> list[str]:
    """Return spellings that a router may take for the address, which has no parameters."""
    first = f"%{ord(address[1]):02x}"
    inner = address.replace("/", "//") if address.count("/") > 1 else f"/{address}"
    return [
        *(f"{address}{end}" for end in ("/", "//", "%2F", "%2f", "/%2F")),
        f"/{address}",
        f"/%2F{address[1:]}",
        f"/{first}{address[2:]}",
        inner,
    ]


def test_an_address_answers_at_one_spelling_only(service: Service) -> None:
    schema = service.request("GET", "/docs/openapi.json").json()
    addresses = [
        path for path, methods in schema["paths"].items() if "get" in methods and "{" not in path and path != "/"
    ]
    answered = []
    for address in [*addresses, "/docs", "/docs/openapi.json"]:
        assert service.ask_raw("GET", address.encode()).status != 404, address
        for spelling in other_spellings(address):
            if (status := service.ask_raw("GET", spelling.encode()).status) != 404:
                answered.append((spelling, status))
    assert "/metrics" in addresses
    assert not answered


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("/api/files/{id}", 200),
        ("/api/files/{id}/", 404),
        ("/api//files/{id}", 404),
        ("/api/files//{id}", 404),
        ("/api/files/{id}%2Fversions", 404),
        ("/api/files%2F{id}/versions", 404),
        ("/api/files/{id}/versions", 200),
        ("/api/files/{id}/versions/", 404),
        ("/api/files/path/folder/a.svg", 200),
        ("/api/files/path/folder%2Fa.svg", 200),
        ("/api/files/path/fol%64er/a.svg", 200),
        ("/api/files//path/folder/a.svg", 404),
        ("/api/files/p%61th/folder/a.svg", 404),
    ],
)
def test_of_an_address_with_parameters_the_rest_is_spelt_in_one_way(service: Service, sent: str, status: int) -> None:
    file = service.upload(path="folder/a.svg")
    assert service.ask_raw("GET", sent.replace("{id}", file["id"]).encode()).status == status


def test_names_may_be_spelt_as_clients_like(service: Service) -> None:
    stage = words.Stage(service)
    public = urlsplit(stage.file["url"]).path
    token = public.split("/")[2]
    for address in (public, f"/f/{token}/%61.svg", f"/f/{token}/a%2Esvg", f"/f/{token}/x/a.svg", f"/f/{token}/a.svg/"):
        assert service.ask_raw("GET", address.encode()).status == 200
    assert service.ask_raw("GET", f"//f/{token}/a.svg".encode()).status == 404
    assert service.ask_raw("PUT", b"/api/upload/a%2Fb.txt", body=b"x").status == 201
    assert service.ask_raw("PUT", b"/api/upl%6Fad/b.txt", body=b"x").status == 404
    assert service.ask_raw("PUT", stage.ticket.replace(b"/u?", b"/%75?"), body=b"x").status == 200


@pytest.mark.parametrize("endpoint", [b"/tus", b"/tus/"])
def test_tus_has_its_endpoint_with_a_slash_too(service: Service, endpoint: bytes) -> None:
    assert service.ask_raw("POST", endpoint, [(b"Tus-Resumable", b"1.0.0"), (b"Upload-Length", b"1")]).status == 201
