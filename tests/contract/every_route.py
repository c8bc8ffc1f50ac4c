"""Every route of every flow, and how it is asked for a thing that is not the asker's. Asks nothing by itself."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from unit.service import Service

OUTSIDE = "outside"
INSIDE = "inside"
OWNER = "alice"
SECRET = b"the plan that nobody else may know"
_TUS = {"Tus-Resumable": "1.0.0"}


class Scene:
    """An organization with things of one end user, in a folder of the tree, in every state that a route may be about."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._person: str | None = None
        slug = f"o{uuid.uuid4().hex[:12]}"
        self.organization = service.request("POST", "/api/organizations", json={"slug": slug}).json()["id"]
        everything = ["upload", "read", "delete"]
        self.key = self.make_key(scopes=everything)["key"]
        self.admin = self.make_key(scopes=["admin"])["key"]
        self.confined = self.make_key(scopes=[*everything, "admin"], path_prefix=INSIDE)["key"]
        self.workspace = self.admin_asks("GET", "/api/workspaces").json()["workspaces"][0]["id"]
        self.file = self.put(f"{OUTSIDE}/secret.txt")
        self.put(f"{OUTSIDE}/secret.txt", SECRET + b" again")
        self.service.process()
        self.version = self.file["version_id"]
        self.deleted = self.put(f"{OUTSIDE}/deleted.txt")
        self.service.process()
        assert self.asks("DELETE", f"/api/files/{self.deleted['id']}").status_code == 204
        self.folder = self.asks("POST", "/api/folders", json={"path": OUTSIDE}).json()["id"]
        self.empty_folder = self.operator_asks("POST", "/api/folders", json={"path": f"{OUTSIDE}/empty"}).json()["id"]
        self.upload = self.ticket()
        batch = self.asks("POST", "/api/batches", json={"files": [{"path": f"{OUTSIDE}/of-a-batch.txt"}]}).json()
        self.batch = batch["id"]
        assert service.request("PUT", batch["uploads"][0]["url"], key=None, content=SECRET).is_success
        self.next_version = self.asks("PUT", self.flow("files/path/outside/secret.txt")).json()["version_id"]
        self.multipart = self.initiate()
        self.large = self.asks("POST", f"/v1/organizations/{self.organization}/files/upload-url", json=LARGE).json()
        sent = service.request("PUT", self.large["upload_url"], key=None, content=SECRET)
        assert sent.is_success, sent.text
        self.other_key = self.make_key(scopes=["read"])["id"]
        self.empty_workspace = self.admin_asks("POST", "/api/workspaces", json={"name": "empty"}).json()["id"]
        hook = self.admin_asks("POST", "/api/webhooks", json={"url": "https://hooks.example.org/b"}).json()["id"]
        self.webhook = f"/api/webhooks/{hook}"
        self.share = self.asks("POST", "/api/shares", json={"file_ids": [self.file["id"]]}).json()["id"]
        self.request = self.asks("POST", "/api/requests", json={"title": "t", "folder": OUTSIDE}).json()["id"]
        self.delivery = self.admin_asks("POST", f"{self.webhook}/test").json()["id"]

    def person(self) -> str:
        """Return the address of somebody who signs in, made when it is asked for: digests of passwords are slow."""
        if self._person is None:
            made = self.admin_asks("POST", "/api/users", json=PERSON).json()
            self._person = f"/api/users/{made['id']}"
        return self._person

    def make_key(self, **asked: Any) -> dict[str, Any]:
        """Make a key of the organization."""
        asked = {"name": "a key", **asked}
        parameters = {"organization": self.organization}
        answer = self.service.request("POST", "/api/keys", json=asked, params=parameters)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def asks(self, method: str, url: str, user: str | None = OWNER, **options: Any) -> httpx.Response:
        """Ask for the owner, or for another end user."""
        headers = {**({"user-id": user} if user else {}), **options.pop("headers", {})}
        return self.service.request(method, url, key=options.pop("key", self.key), headers=headers, **options)

    def operator_asks(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Ask with a key that acts for nobody in particular."""
        return self.asks(method, url, None, **options)

    def admin_asks(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Ask with the key of an administrator."""
        return self.asks(method, url, None, key=self.admin, **options)

    def put(self, path: str, content: bytes = SECRET) -> dict[str, Any]:
        """Put a file of the owner's."""
        answer = self.asks("PUT", f"/api/upload/{path}", content=content)
        assert answer.is_success, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def ticket(self) -> dict[str, Any]:
        """Ask for a ticket of the owner's, and send its bytes."""
        asked = {"path": f"{OUTSIDE}/coming.txt", "size": len(SECRET)}
        answer = self.asks("POST", "/api/uploads", json=asked)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        assert self.service.request("PUT", body["url"], key=None, content=SECRET).is_success
        return body

    def initiate(self) -> dict[str, Any]:
        """Ask for a ticket of the owner's in parts, and send the one part."""
        asked = {"name": "parts.txt", "size": len(SECRET)}
        answer = self.asks("POST", f"/v1/files/multipart/{self.folder}/initiate", json=asked)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        sent = self.service.request("PUT", body["urls"][0]["url"], key=None, content=SECRET)
        assert sent.is_success, sent.text
        body["etag"] = sent.headers["etag"]
        return body

    def flow(self, rest: str) -> str:
        """Return an address of the workspaces flow."""
        return f"/file/v2/orgs/{self.organization}/workspaces/{self.workspace}/{rest}"

    def parts(self) -> dict[str, Any]:
        """Return the names of the upload in parts."""
        return {"id": self.multipart["id"], "uploadId": self.multipart["uploadId"]}

    def traces(self) -> list[str]:
        """Return what an answer to somebody else must not hold."""
        ids = [self.file["id"], self.deleted["id"], self.upload["id"], self.upload["file_id"], self.multipart["id"]]
        return [*ids, self.large["file_id"], "secret.txt", "coming.txt", "deleted.txt", OWNER, SECRET.decode()]


PERSON = {"name": "Anna", "password": "correct horse battery staple", "scopes": ["read", "upload"]}
LARGE = {"filename": "large.txt", "file_size": len(SECRET), "mime_type": "text/plain"}


@dataclass(frozen=True)
class Ask:
    """One request about the owner's things; ``own`` says that somebody else gets an answer about things of its own.

    With ``shared`` that is so for other end users, who share folders with the owner, but not for those confined to a folder.
    ``about`` are ids that the asker names and that may so be in the answer.
    """

    url: str
    own: bool = False
    shared: bool = False
    options: dict[str, Any] = field(default_factory=dict)


Row = Callable[[Scene], Ask]


def _about(url: str, **options: Any) -> Ask:
    return Ask(url, options=options)


def _own(url: str, **options: Any) -> Ask:
    return Ask(url, own=True, options=options)


def _shared(url: str, **options: Any) -> Ask:
    return Ask(url, shared=True, options=options)


def _form() -> dict[str, Any]:
    return {"files": {"file": ("mine.txt", b"mine", "text/plain")}}


def _upload_metadata(**words: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in words.items())


def _tus(scene: Scene) -> Ask:
    path = f"{OUTSIDE}/secret.txt"
    headers = {**_TUS, "Upload-Length": "4", "Upload-Metadata": _upload_metadata(path=path, filetype="text/plain")}
    return _about("/tus", headers=headers)


def _register(scene: Scene) -> Ask:
    return _about(f"/v1/organizations/{scene.organization}/files", json={**LARGE, "gcs_path": scene.large["gcs_path"]})


def _complete_parts(scene: Scene) -> Ask:
    listed = {"parts": [{"partNumber": 1, "etag": scene.multipart["etag"]}]}
    return _about(f"/v1/files/multipart/{scene.folder}/complete", json={**scene.parts(), **listed})


ROWS: dict[tuple[str, str], Row] = {
    ("get", "/api/files"): lambda s: _own("/api/files"),
    ("get", "/api/files/path/{path}"): lambda s: _about(f"/api/files/path/{OUTSIDE}/secret.txt"),
    ("delete", "/api/files/path/{path}"): lambda s: _about(f"/api/files/path/{OUTSIDE}/secret.txt"),
    ("get", "/api/files/{file_id}"): lambda s: _about(f"/api/files/{s.file['id']}"),
    ("patch", "/api/files/{file_id}"): lambda s: _about(f"/api/files/{s.file['id']}", json={"metadata": {"a": 1}}),
    ("delete", "/api/files/{file_id}"): lambda s: _about(f"/api/files/{s.file['id']}"),
    ("get", "/api/files/{file_id}/content"): lambda s: _about(f"/api/files/{s.file['id']}/content"),
    ("head", "/api/files/{file_id}/content"): lambda s: _about(f"/api/files/{s.file['id']}/content"),
    ("post", "/api/files/{file_id}/restore"): lambda s: _about(f"/api/files/{s.deleted['id']}/restore"),
    ("post", "/api/files/{file_id}/links"): lambda s: _about(f"/api/files/{s.file['id']}/links", json={}),
    ("post", "/api/files/{file_id}/preflight"): lambda s: _about(f"/api/files/{s.file['id']}/preflight", json={}),
    ("get", "/api/files/{file_id}/versions"): lambda s: _about(f"/api/files/{s.file['id']}/versions"),
    ("post", "/api/files/{file_id}/versions/{version_id}/restore"): lambda s: _about(
        f"/api/files/{s.file['id']}/versions/{s.version}/restore"
    ),
    ("get", "/api/sessions"): lambda s: _own("/api/sessions"),
    ("get", "/api/grants"): lambda s: _own("/api/grants"),
    ("delete", "/api/files/{file_id}/versions/{version_id}"): lambda s: _about(
        f"/api/files/{s.file['id']}/versions/{s.version}"
    ),
    ("get", "/api/folders"): lambda s: _own("/api/folders"),
    ("post", "/api/folders"): lambda s: _shared("/api/folders", json={"path": f"{OUTSIDE}/further"}),
    ("get", "/api/folders/{folder_id}"): lambda s: _shared(f"/api/folders/{s.folder}"),
    ("put", "/api/upload/{path}"): lambda s: _about(f"/api/upload/{OUTSIDE}/secret.txt", content=b"mine"),
    ("post", "/api/upload/{path}"): lambda s: _shared(f"/api/upload/{OUTSIDE}/mine.txt", content=b"mine"),
    ("post", "/api/batches"): lambda s: _about("/api/batches", json={"files": [{"path": f"{OUTSIDE}/secret.txt"}]}),
    ("get", "/api/batches/{batch_id}"): lambda s: _about(f"/api/batches/{s.batch}"),
    ("delete", "/api/batches/{batch_id}"): lambda s: _about(f"/api/batches/{s.batch}"),
    ("post", "/api/batches/{batch_id}/commit"): lambda s: _about(f"/api/batches/{s.batch}/commit"),
    ("get", "/api/uploads"): lambda s: _own("/api/uploads"),
    ("post", "/api/uploads"): lambda s: _about("/api/uploads", json={"file": s.file["id"]}),
    ("get", "/api/uploads/{upload_id}"): lambda s: _about(f"/api/uploads/{s.upload['id']}"),
    ("delete", "/api/uploads/{upload_id}"): lambda s: _about(f"/api/uploads/{s.upload['id']}"),
    ("post", "/api/uploads/{upload_id}/complete"): lambda s: _about(f"/api/uploads/{s.upload['id']}/complete"),
    ("post", "/api/uploads/{upload_id}/stream"): lambda s: _about(f"/api/uploads/{s.upload['id']}/stream"),
    ("post", "/api/uploads/{upload_id}/urls"): lambda s: _about(f"/api/uploads/{s.upload['id']}/urls"),
    ("get", "/api/shares"): lambda s: _own("/api/shares"),
    ("post", "/api/shares"): lambda s: _about("/api/shares", json={"file_ids": [s.file["id"]]}),
    ("get", "/api/shares/{share_id}"): lambda s: _about(f"/api/shares/{s.share}"),
    ("patch", "/api/shares/{share_id}"): lambda s: _about(f"/api/shares/{s.share}", json={"name": "mine"}),
    ("delete", "/api/shares/{share_id}"): lambda s: _about(f"/api/shares/{s.share}"),
    ("get", "/api/requests"): lambda s: _own("/api/requests"),
    ("post", "/api/requests"): lambda s: _shared("/api/requests", json={"title": "mine", "folder": OUTSIDE}),
    ("get", "/api/requests/{request_id}"): lambda s: _about(f"/api/requests/{s.request}"),
    ("get", "/api/requests/{request_id}/files"): lambda s: _about(f"/api/requests/{s.request}/files"),
    ("patch", "/api/requests/{request_id}"): lambda s: _about(f"/api/requests/{s.request}", json={"title": "mine"}),
    ("delete", "/api/requests/{request_id}"): lambda s: _about(f"/api/requests/{s.request}"),
    ("post", "/tus"): _tus,
    ("get", "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files"): lambda s: _own(s.flow("files")),
    ("get", "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files/path/{file_path}"): lambda s: _about(
        s.flow(f"files/path/{OUTSIDE}/secret.txt")
    ),
    ("put", "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files/path/{file_path}"): lambda s: _about(
        s.flow(f"files/path/{OUTSIDE}/secret.txt")
    ),
    ("delete", "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files/path/{file_path}"): lambda s: _about(
        s.flow(f"files/path/{OUTSIDE}/secret.txt")
    ),
    ("get", "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files/{file_id}"): lambda s: _about(
        s.flow(f"files/{s.file['id']}")
    ),
    ("put", "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files/{file_id}"): lambda s: _about(
        s.flow(f"files/{s.file['id']}?version_id={s.next_version}")
    ),
    ("delete", "/file/v2/orgs/{organization_id}/workspaces/{workspace_id}/files/{file_id}"): lambda s: _about(
        s.flow(f"files/{s.file['id']}")
    ),
    ("get", "/v1/files"): lambda s: _own("/v1/files"),
    ("post", "/v1/files"): lambda s: _shared("/v1/files", **_form()),
    ("get", "/v1/files/{id}"): lambda s: _about(f"/v1/files/{s.file['id']}"),
    ("delete", "/v1/files/{file_id}"): lambda s: _about(f"/v1/files/{s.file['id']}"),
    ("post", "/v1/files/confirm-upload"): lambda s: _about(
        "/v1/files/confirm-upload", json={"ids": [s.upload["file_id"]]}
    ),
    ("post", "/v1/files/{folder_id}"): lambda s: _shared(
        f"/v1/files/{s.folder}", json={"filesMetadata": [{"name": "mine.txt", "size": 4}]}
    ),
    ("post", "/v1/files/multipart/{folder_id}/initiate"): lambda s: _shared(
        f"/v1/files/multipart/{s.folder}/initiate", json={"name": "mine.txt", "size": 4}
    ),
    ("post", "/v1/files/multipart/{folder_id}/complete"): _complete_parts,
    ("post", "/v1/files/multipart/{folder_id}/abort"): lambda s: _about(
        f"/v1/files/multipart/{s.folder}/abort", json=s.parts()
    ),
    ("post", "/v1/files/multipart/{folder_id}/urls"): lambda s: _about(
        f"/v1/files/multipart/{s.folder}/urls", json={**s.parts(), "partNumbers": [1]}
    ),
    ("get", "/v1/files/multipart/{folder_id}/{upload_id}/parts"): lambda s: _about(
        f"/v1/files/multipart/{s.folder}/{s.multipart['uploadId']}/parts"
    ),
    ("get", "/v1/folders"): lambda s: _own("/v1/folders"),
    ("post", "/v1/folders"): lambda s: _shared("/v1/folders", json={"name": f"{OUTSIDE}/further"}),
    ("get", "/v1/organizations/{organization_id}/files"): lambda s: _own(f"/v1/organizations/{s.organization}/files"),
    ("post", "/v1/organizations/{organization_id}/files"): _register,
    ("post", "/v1/organizations/{organization_id}/files/upload"): lambda s: _shared(
        f"/v1/organizations/{s.organization}/files/upload", **_form()
    ),
    ("post", "/v1/organizations/{organization_id}/files/upload-url"): lambda s: _shared(
        f"/v1/organizations/{s.organization}/files/upload-url", json={**LARGE, "filename": "mine.txt"}
    ),
    ("get", "/v1/organizations/{organization_id}/files/{file_id}"): lambda s: _about(
        f"/v1/organizations/{s.organization}/files/{s.file['id']}"
    ),
    ("delete", "/v1/organizations/{organization_id}/files/{file_id}"): lambda s: _about(
        f"/v1/organizations/{s.organization}/files/{s.file['id']}"
    ),
    ("get", "/v1/files/{file_id}/status"): lambda s: _about(f"/v1/files/{s.file['id']}/status"),
    ("get", "/v1/files/{file_id}/attach"): lambda s: _about(f"/v1/files/{s.file['id']}/attach"),
    ("post", "/v1/files/{file_id}/attach"): lambda s: _about(
        f"/v1/files/{s.file['id']}/attach", json={"message_id": str(uuid.uuid4())}
    ),
    ("get", "/v1/files/signed-url"): lambda s: _shared("/v1/files/signed-url?filename=mine.txt"),
}
"""How every route that shows or touches files is asked, by method and path."""

FOLDERS: dict[tuple[str, str], Row] = {
    ("delete", "/api/folders/{folder_id}"): lambda s: _about(f"/api/folders/{s.empty_folder}"),
    ("delete", "/v1/folders/{folder_id}"): lambda s: _about(f"/v1/folders/{s.empty_folder}"),
}
"""What only keys do that act for nobody in particular."""

ADMINISTRATION: dict[tuple[str, str], Row] = {
    ("get", "/api/keys"): lambda s: _about("/api/keys"),
    ("post", "/api/keys"): lambda s: _about("/api/keys", json={"name": "free", "scopes": ["admin"]}),
    ("get", "/api/keys/{key_id}"): lambda s: _about(f"/api/keys/{s.other_key}"),
    ("patch", "/api/keys/{key_id}"): lambda s: _about(f"/api/keys/{s.other_key}", json={"path_prefix": None}),
    ("delete", "/api/keys/{key_id}"): lambda s: _about(f"/api/keys/{s.other_key}"),
    ("post", "/api/keys/{key_id}/rotate"): lambda s: _about(f"/api/keys/{s.other_key}/rotate"),
    ("patch", "/api/organizations/{id_or_slug}"): lambda s: _about(
        f"/api/organizations/{s.organization}", json={"end_user_limits": {"max_files": None}}
    ),
    ("get", "/api/users"): lambda s: _about("/api/users"),
    ("post", "/api/users"): lambda s: _about("/api/users", json={**PERSON, "name": "Bob"}),
    ("get", "/api/users/{user_id}"): lambda s: _about(s.person()),
    ("patch", "/api/users/{user_id}"): lambda s: _about(s.person(), json={"scopes": ["read"]}),
    ("put", "/api/users/{user_id}/password"): lambda s: _about(
        f"{s.person()}/password", json={"password": PERSON["password"]}
    ),
    ("delete", "/api/users/{user_id}"): lambda s: _about(s.person()),
    ("post", "/api/workspaces"): lambda s: _about("/api/workspaces", json={"name": "further"}),
    ("get", "/api/webhooks"): lambda s: _about("/api/webhooks"),
    ("post", "/api/webhooks"): lambda s: _about("/api/webhooks", json={"url": "https://hooks.example.org/a"}),
    ("get", "/api/webhooks/{webhook_id}"): lambda s: _about(s.webhook),
    ("patch", "/api/webhooks/{webhook_id}"): lambda s: _about(s.webhook, json={"types": ["file.ready"]}),
    ("delete", "/api/webhooks/{webhook_id}"): lambda s: _about(s.webhook),
    ("get", "/api/webhooks/{webhook_id}/deliveries"): lambda s: _about(f"{s.webhook}/deliveries"),
    ("post", "/api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"): lambda s: _about(
        f"{s.webhook}/deliveries/{s.delivery}/replay"
    ),
    ("post", "/api/webhooks/{webhook_id}/replay"): lambda s: _about(
        f"{s.webhook}/replay", json={"since": "2026-01-01T00:00:00Z"}
    ),
    ("post", "/api/webhooks/{webhook_id}/rotate"): lambda s: _about(f"{s.webhook}/rotate"),
    ("post", "/api/webhooks/{webhook_id}/test"): lambda s: _about(f"{s.webhook}/test"),
    ("delete", "/api/workspaces/{id_or_name}"): lambda s: _about(f"/api/workspaces/{s.empty_workspace}"),
    ("patch", "/api/workspaces/{id_or_name}"): lambda s: _about(f"/api/workspaces/{s.workspace}", json={}),
}
"""What only keys with the scope ``admin`` do that see the whole organization."""

ELSEWHERE: dict[tuple[str, str], str] = {
    ("get", "/"): "says who answers here, and needs no key",
    (
        "delete",
        "/v1/files/{file_id}/attach",
    ): "tests/contract/test_signed_flow.py: releasing what is not attached is 404 for all",
    ("get", "/api/events"): "tests/contract/test_server_sent_events.py: it does not end by itself",
    ("put", "/api/upload"): "names no file, and is refused for that",
    ("post", "/api/upload"): "names no file, and is refused for that",
    ("post", "/api/organizations"): "needs the root key, which is never confined: tests/contract/test_native_keys.py",
    ("get", "/api/organizations"): "shows no files",
    ("get", "/api/organizations/{id_or_slug}"): "shows no files",
    ("get", "/api/workspaces"): "shows no files",
    ("get", "/api/workspaces/{id_or_name}"): "shows no files",
    ("get", "/api/whoami"): "shows no files",
    ("get", "/api/server"): "needs the root key, which is never confined: tests/unit/test_server_status.py",
    ("get", "/api/usage"): "tests/unit/test_server_status.py: only keys for the whole organization are told",
    ("get", "/api/audit"): "tests/unit/test_audit.py: only keys for the whole organization read it",
    ("delete", "/api/grants/{grant_id}"): "tests/ui/test_oauth.py: keys are lent in the dashboard",
    ("delete", "/api/sessions/{session_id}"): "tests/ui/test_sign_in.py: sessions are begun in the dashboard",
    ("get", "/evo/identity/v2/discovery"): "shows no files",
    ("get", "/workspace/orgs/{organization_id}/workspaces"): "shows no files",
    ("get", "/workspace/orgs/{organization_id}/workspaces/summary"): "shows no files",
    ("get", "/workspace/orgs/{organization_id}/workspaces/{workspace_id}"): "shows no files",
    **{("get", path): "needs no key" for path in ("/healthz", "/readyz", "/metrics")},
    **{("get", path): "needs no key" for path in ("/file/health_check", "/workspace/health_check")},
    **{
        (method, "/f/{token}/{name}"): "the URL is the right: whoever holds it" for method in ("get", "head", "options")
    },
    **{
        (method, "/d/{version_id}/{name}"): "the URL is the right, and its key's at use: test_confined_keys.py"
        for method in ("get", "head", "options")
    },
    **{
        (method, "/u/{upload_id}/{name}"): "the URL is the right, and its key's at use: test_confined_keys.py"
        for method in ("get", "head", "options", "put", "post", "patch", "delete")
    },
    **{
        (method, "/t/{token}"): "the URL is the right, and its key's at use: test_short_urls.py"
        for method in ("get", "head", "options", "put", "post", "patch", "delete")
    },
    **{
        (method, "/g/{token}"): "the URL is the right, and its key's at use: test_short_urls.py"
        for method in ("get", "head", "options")
    },
    ("options", "/tus"): "needs no key",
}
"""Routes that have no row above, and why."""
