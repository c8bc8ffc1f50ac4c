"""An end user of a test's own, and the calls of the signed flow on its behalf; bytes go to signed URLs without the key."""

from __future__ import annotations

import io
import uuid
import zipfile
from typing import Any

import httpx

from contract.edge import eventually
from wire.asking import send

Answer = dict[str, Any]
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
FINE = {"empty": False, "infected": False, "length": False}
_PARTS = {
    "docx": ("word/document.xml", "wordprocessingml.document"),
    "xlsx": ("xl/workbook.xml", "spreadsheetml.sheet"),
}


def office(extension: str) -> bytes:
    """Return the least that is a docx or an xlsx."""
    part, word = _PARTS[extension]
    kind = f"application/vnd.openxmlformats-officedocument.{word}.main+xml"
    types = f'<Types><Override PartName="/{part}" ContentType="{kind}"/></Types>'
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("[Content_Types].xml", types)
        made.writestr("_rels/.rels", f'<Relationships><Relationship Target="{part}"/></Relationships>')
        made.writestr(part, "<document/>")
    return archive.getvalue()


class EndUser:
    """One end user, for whom whoever ``http`` is acts."""

    def __init__(self, http: httpx.Client, id: str | None = None) -> None:
        self.http = http
        self.id = id or str(uuid.uuid4())

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the flow for something on behalf of the user."""
        headers = {"user-id": self.id, **options.pop("headers", {})}
        return self.http.request(method, f"/v1/files{path}", headers=headers, **options)

    def asks(self, filename: str = "a.pdf", **query: Any) -> httpx.Response:
        """Ask for a URL."""
        return self.call("GET", "/signed-url", params={"filename": filename, **query})

    def ask(self, filename: str = "a.pdf", **query: Any) -> Answer:
        """Return the ticket for a file."""
        return answered(self.asks(filename, **query), 200)

    def sends(self, content: bytes = PDF, filename: str = "a.pdf", **query: Any) -> str:
        """Upload a file; return its id before it was checked."""
        ticket = self.ask(filename, **query)
        answer = send(ticket["file_url"], content)
        assert answer.status_code == 200, answer.text
        return str(ticket["file_id"])

    def upload(self, content: bytes = PDF, filename: str = "a.pdf", **query: Any) -> str:
        """Upload a file; return its id once it may be used."""
        file_id = self.sends(content, filename, **query)
        assert self.settled(file_id)["processing_status"] == "PROCESSED"
        return file_id

    def status(self, file_id: str) -> Answer:
        """Return how far a file is."""
        return answered(self.call("GET", f"/{file_id}/status"), 200)

    def settled(self, file_id: str) -> Answer:
        """Return the status of a file once it can be used or never will."""
        eventually(lambda: self.status(file_id)["processing_status"] in ("PROCESSED", "FAILED"))
        return self.status(file_id)

    def shows(self, file_id: str) -> Answer:
        """Return a file."""
        return answered(self.call("GET", f"/{file_id}"), 200)

    def page(self, **query: Any) -> Answer:
        """Return a page of files."""
        return answered(self.call("GET", "", params=query), 200)

    def listed(self) -> list[str]:
        """Return the ids of the newest files."""
        return [file["file_id"] for file in self.page()["files"]]

    def deletes(self, file_id: str) -> httpx.Response:
        """Delete a file."""
        return self.call("DELETE", f"/{file_id}")

    def attaches(self, file_id: str, **target: Any) -> httpx.Response:
        """Attach a file."""
        return self.call("POST", f"/{file_id}/attach", json=target)

    def releases(self, file_id: str, **target: Any) -> httpx.Response:
        """Release a file."""
        return self.call("DELETE", f"/{file_id}/attach", json=target)


def answered(answer: httpx.Response, status: int) -> Answer:
    """Return the body of an answer that must have this status."""
    assert answer.status_code == status, answer.text
    body: Answer = answer.json()
    return body


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, whose envelope must be that of the flow."""
    body = answer.json()
    assert body.keys() == {"error_code", "detail"}, answer.text
    assert body["detail"]
    return answer.status_code, body["error_code"]


UNKNOWN = (404, "attachment_document_does_not_exist")
CONFLICT = (409, "conflict")
INVALID = (422, "attachment_url_invalid")
REFUSED = (400, "attachment_document_raised_an_error")
