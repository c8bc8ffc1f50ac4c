"""A key without the scope that a route needs is refused before any byte of a JSON body is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.every_route import ADMINISTRATION, FOLDERS, ROWS, Scene
from unit.service import Service

EVERY = {**ROWS, **FOLDERS, **ADMINISTRATION}
READ = {
    ("post", "/api/shares"),
    ("patch", "/api/shares/{share_id}"),
    ("post", "/api/files/{file_id}/links"),
    ("post", "/api/files/{file_id}/preflight"),
}
"""What takes a body and yet no more than the scope read."""
RAW = {("post", "/api/upload/{path}"), ("put", "/api/upload/{path}"), ("post", "/api/upload"), ("put", "/api/upload")}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = Service(tmp_path_factory.mktemp("scopes"))
    yield found
    found.close()


def routes_with_bodies(service: Service) -> list[tuple[str, str, str]]:
    """Return the routes that say that they take a body and need a key, and of which type."""
    paths = service.request("GET", "/docs/openapi.json").json()["paths"]
    found = [
        (method, path, next(iter(item[method]["requestBody"]["content"])))
        for path, item in paths.items()
        for method in item
        if "requestBody" in item[method] and not path.startswith("/u/")
    ]
    return [(method, path, media_type) for method, path, media_type in found if (method, path) not in RAW]


def test_a_key_that_may_not_is_told_so_whatever_its_body_is(service: Service) -> None:
    scene = Scene(service)
    reader, writer = (scene.make_key(scopes=[scope])["key"] for scope in ("read", "upload"))
    answers = {}
    for method, path, media_type in routes_with_bodies(service):
        row = EVERY.get((method, path))
        url = row(scene).url if row else path.replace("{file_id}", scene.file["id"])
        said = {"headers": {"Content-Type": f"{media_type}; boundary=x"}, "content": b"{ neither JSON nor a form"}
        key = writer if (method, path) in READ else reader
        answers[method, path] = scene.asks(method.upper(), url, key=key, **said).status_code
    assert len(answers) > 25
    assert {route: status for route, status in answers.items() if status != 403} == {}
