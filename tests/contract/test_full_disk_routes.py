"""Which routes ask for room on the disk, and which work without: every one that changes anything is placed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.every_route import ADMINISTRATION, FOLDERS, ROWS, Row, Scene
from unit.service import Service

pytestmark = pytest.mark.sqlite

SIGNED_FLOW = {("get", "/v1/files/signed-url"), ("post", "/v1/files/{file_id}/attach")}
EVERY: dict[tuple[str, str], Row] = {**ROWS, **FOLDERS, **ADMINISTRATION}
WORKSPACE = "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files"
GROWS = {
    ("patch", "/api/files/{file_id}"),
    ("post", "/api/files/{file_id}/restore"),
    ("post", "/api/files/{file_id}/versions/{version_id}/restore"),
    ("post", "/api/batches"),
    ("post", "/api/folders"),
    ("put", "/api/upload/{path}"),
    ("post", "/api/upload/{path}"),
    ("post", "/api/uploads"),
    ("post", "/api/shares"),
    ("patch", "/api/shares/{share_id}"),
    ("post", "/api/requests"),
    ("patch", "/api/requests/{request_id}"),
    ("post", "/tus"),
    ("put", f"{WORKSPACE}/path/{{file_path}}"),
    ("post", "/v1/files"),
    ("post", "/v1/files/{folder_id}"),
    ("post", "/v1/files/multipart/{folder_id}/initiate"),
    ("post", "/v1/folders"),
    ("post", "/v1/organizations/{organization_id}/files/upload"),
    ("post", "/v1/organizations/{organization_id}/files/upload-url"),
    ("get", "/v1/files/signed-url"),
    ("post", "/v1/files/{file_id}/attach"),
    ("post", "/api/keys"),
    ("post", "/api/workspaces"),
    ("post", "/api/users"),
    ("post", "/api/webhooks"),
    ("patch", "/api/webhooks/{webhook_id}"),
    ("post", "/api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"),
    ("post", "/api/webhooks/{webhook_id}/replay"),
    ("post", "/api/webhooks/{webhook_id}/test"),
}
"""What adds to what is kept: 507 where only the reserve is left."""
FREES = {
    ("delete", "/api/files/path/{path}"),
    ("delete", "/api/files/{file_id}"),
    ("delete", "/api/files/{file_id}/versions/{version_id}"),
    ("delete", "/api/folders/{folder_id}"),
    ("delete", "/api/uploads/{upload_id}"),
    ("delete", "/api/batches/{batch_id}"),
    ("delete", "/api/shares/{share_id}"),
    ("delete", "/api/requests/{request_id}"),
    ("delete", f"{WORKSPACE}/path/{{file_path}}"),
    ("delete", f"{WORKSPACE}/{{file_id}}"),
    ("delete", "/v1/files/{file_id}"),
    ("delete", "/v1/folders/{folder_id}"),
    ("post", "/v1/files/multipart/{folder_id}/abort"),
    ("delete", "/v1/organizations/{organization_id}/files/{file_id}"),
    ("patch", "/api/keys/{key_id}"),
    ("delete", "/api/keys/{key_id}"),
    ("post", "/api/keys/{key_id}/rotate"),
    ("patch", "/api/organizations/{id_or_slug}"),
    ("patch", "/api/workspaces/{id_or_name}"),
    ("delete", "/api/workspaces/{id_or_name}"),
    ("patch", "/api/users/{user_id}"),
    ("put", "/api/users/{user_id}/password"),
    ("delete", "/api/users/{user_id}"),
    ("delete", "/api/webhooks/{webhook_id}"),
    ("post", "/api/webhooks/{webhook_id}/rotate"),
}
"""What ends things, or narrows what may be done."""
FINISHES = {
    ("post", "/api/batches/{batch_id}/commit"),
    ("post", "/api/files/{file_id}/links"),
    ("post", "/api/files/{file_id}/preflight"),
    ("post", "/api/uploads/{upload_id}/complete"),
    ("post", "/api/uploads/{upload_id}/stream"),
    ("post", "/api/uploads/{upload_id}/urls"),
    ("put", f"{WORKSPACE}/{{file_id}}"),
    ("post", "/v1/files/confirm-upload"),
    ("post", "/v1/files/multipart/{folder_id}/complete"),
    ("post", "/v1/files/multipart/{folder_id}/urls"),
    ("post", "/v1/organizations/{organization_id}/files"),
}
"""What has the room already that it asked for before, or needs none."""


class Disk:
    """The disk of a service in this process, which can be filled up to its reserve."""

    def __init__(self, service: Service) -> None:
        self._room = service._engine._room

    def fill(self) -> None:
        """Leave nothing but the reserve."""
        self._room._reserve = 2**62

    def empty(self) -> None:
        """Have room again."""
        self._room._reserve = 1


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = Service(tmp_path_factory.mktemp("full"))
    yield found
    found.close()


@pytest.fixture
def disk(service: Service) -> Iterator[Disk]:
    found = Disk(service)
    yield found
    found.empty()


@pytest.fixture(scope="module")
def kept(service: Service) -> Scene:
    """A scene that stays as it is, as all is refused."""
    return Scene(service)


def names(routes: set[tuple[str, str]]) -> list[str]:
    return [f"{method.upper()} {path}" for method, path in sorted(routes)]


def asked(scene: Scene, disk: Disk, route: tuple[str, str]) -> int:
    """Ask on a full disk as the owner, or as the administrator for what only that one may, and return the status."""
    ask = EVERY[route](scene)
    disk.fill()
    if route in ADMINISTRATION:
        return scene.admin_asks(route[0].upper(), ask.url, **ask.options).status_code
    if route in FOLDERS:
        return scene.operator_asks(route[0].upper(), ask.url, **ask.options).status_code
    return scene.asks(route[0].upper(), ask.url, **ask.options).status_code


def test_every_route_that_changes_anything_has_its_place() -> None:
    changing = {route for route in EVERY if route[0] not in ("get", "head")} | {("get", "/v1/files/signed-url")}
    assert changing == GROWS | FREES | FINISHES
    assert len(changing) == len(GROWS) + len(FREES) + len(FINISHES)


@pytest.mark.parametrize("route", sorted(GROWS), ids=names(GROWS))
def test_what_grows_is_refused_on_a_full_disk(kept: Scene, disk: Disk, route: tuple[str, str]) -> None:
    # The signed flow says so with the words of its document.
    assert asked(kept, disk, route) == (503 if route in SIGNED_FLOW else 507)


@pytest.mark.parametrize("route", sorted(FREES | FINISHES), ids=names(FREES | FINISHES))
def test_what_ends_or_finishes_works_on_a_full_disk(service: Service, disk: Disk, route: tuple[str, str]) -> None:
    assert 200 <= asked(Scene(service), disk, route) < 300


def test_an_end_can_be_set_and_a_webhook_be_disabled_on_a_full_disk(service: Service, disk: Disk) -> None:
    scene = Scene(service)
    disk.fill()
    file = f"/api/files/{scene.file['id']}"
    assert scene.asks("PATCH", file, json={"expires_in": "1h"}).is_success
    assert scene.asks("PATCH", file, json={"name": "b"}).status_code == 507
    assert scene.admin_asks("PATCH", scene.webhook, json={"enabled": False}).is_success
    assert scene.admin_asks("PATCH", scene.webhook, json={"enabled": True}).status_code == 507


def test_a_batch_is_committed_on_a_full_disk_and_its_manifest_had_again_where_there_is_room(
    service: Service, disk: Disk
) -> None:
    scene = Scene(service)
    disk.fill()
    done = scene.asks("POST", f"/api/batches/{scene.batch}/commit")
    assert done.status_code == 200, done.text
    service.process()
    assert service.fetch(done.json()["manifest_url"]).status_code == 200
    assert scene.asks("POST", f"/api/batches/{scene.batch}/commit").status_code == 507


@pytest.mark.parametrize(
    "headers",
    [
        {"x-goog-resumable": "start"},
        {"Tus-Resumable": "1.0.0", "Upload-Length": "4"},
        {"Upload-Draft-Interop-Version": "6", "Upload-Complete": "?0"},
    ],
    ids=["google", "tus", "draft"],
)
def test_a_session_is_begun_where_there_is_room(kept: Scene, disk: Disk, headers: dict[str, str]) -> None:
    ticket = kept.asks("POST", "/api/uploads", json={"name": "a"}).json()
    disk.fill()
    answer = kept.service.request("POST", ticket["url"], key=None, headers=headers)
    assert answer.status_code == 507


def test_events_wait_for_room_and_are_sent_then(tmp_path: Path) -> None:
    service = Service(tmp_path)  # one that has no webhooks of other tests to send to
    disk = Disk(service)
    scene = Scene(service)
    service.deliver()
    before = scene.admin_asks("GET", f"{scene.webhook}/deliveries").json()["deliveries"]
    scene.put("inside/a.txt")
    service.process()
    disk.fill()
    service.deliver()
    log = f"{scene.webhook}/deliveries"
    assert len(scene.admin_asks("GET", log).json()["deliveries"]) == len(before)
    disk.empty()
    service.deliver()
    assert len(scene.admin_asks("GET", log).json()["deliveries"]) == len(before) + 1
    service.close()
