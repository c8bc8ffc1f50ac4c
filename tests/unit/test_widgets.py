"""What upload widgets of pages send of a file, piece by piece, makes that file and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from contract.edge import MULTIPART, file_part, form
from unit.service import Service
from unit.tickets import nothing_came, ticket_of

AZURE = {"x-ms-blob-type": "BlockBlob"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all of these: every test has a ticket or a path of its own."""
    service = Service(tmp_path_factory.mktemp("pieces"))
    service.upload(path="first")
    yield service
    service.close()


class Widget:
    """What a widget of a page sends of a file, in requests to a signed URL."""

    def __init__(self, service: Service, send: Callable[..., dict[str, Any]], size: int = 40, name: str = "u1") -> None:
        self.service = service
        self.send, self.size, self.name = send, size, name

    def put(self, url: str, number: int, data: bytes, count: int = 4, **more: Any) -> httpx.Response:
        """Send piece ``number``, from 0."""
        request = self.send(number, count, self.size, self.name, data)
        more_query = f"&{urlencode(request.pop('params', {}))}"
        return self.service.request("POST", url + more_query, key=None, **{**request, **more})


def flow(prefix: str, by_query: bool = False) -> Callable[..., dict[str, Any]]:
    def send(number: int, count: int, size: int, name: str, data: bytes) -> dict[str, Any]:
        fields = {"ChunkNumber": number + 1, "TotalChunks": count, "TotalSize": size, "Identifier": name}
        named = {f"{prefix}{key}": str(value) for key, value in fields.items()}
        return {"params": named, "content": data} if by_query else {"data": named, "files": {"file": data}}

    return send


def dropzone(number: int, count: int, size: int, name: str, data: bytes) -> dict[str, Any]:
    fields = {"dzuuid": name, "dzchunkindex": number, "dztotalfilesize": size, "dztotalchunkcount": count}
    return {"data": fields, "files": {"file": data}}


def fine_uploader(number: int, count: int, size: int, name: str, data: bytes) -> dict[str, Any]:
    fields = {"qqpartindex": number, "qqtotalparts": count, "qqtotalfilesize": size, "qquuid": name}
    return {"data": fields, "files": {"qqfile": data}}


def plupload(number: int, count: int, size: int, name: str, data: bytes) -> dict[str, Any]:
    return {"data": {"name": name, "chunk": number, "chunks": count}, "files": {"file": data}}


NUMBERED = {
    "flow": flow("flow"),
    "flow by query": flow("flow", by_query=True),
    "resumable": flow("resumable"),
    "dropzone": dropzone,
    "fine uploader": fine_uploader,
    "plupload": plupload,
}


@pytest.fixture(params=NUMBERED)
def widget(service: Service, request: pytest.FixtureRequest) -> Widget:
    """A widget that numbers the pieces of a file of 40 bytes."""
    return Widget(service, NUMBERED[request.param])


def digit(number: int) -> bytes:
    return str(number).encode() * 10


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1), (0, 0, 1, 3, 3, 2)])
def test_numbered_pieces_make_one_file(service: Service, widget: Widget, order: tuple[int, ...]) -> None:
    ticket = ticket_of(service, auto_complete=True)
    answers = [widget.put(ticket["url"], number, digit(number)) for number in order]
    assert {(answer.status_code, answer.json()["success"]) for answer in answers} == {(200, True)}
    assert ["size" in answer.json() for answer in answers] == [False] * (len(order) - 1) + [True]
    file = service.request("GET", f"/api/files/{ticket['file_id']}").json()
    assert service.fetch(file["url"]).content == b"".join(digit(number) for number in range(4))
    # The answer to the last was lost; or it is another piece, which is too late.
    again = widget.put(ticket["url"], order[-1], digit(order[-1]))
    assert again.status_code == 200, again.text
    assert again.json()["size"] == 40
    other = widget.put(ticket["url"], order[-1], b"other")
    assert (other.status_code, other.json()["success"]) == (409, False)


def test_what_lacks_a_piece_is_no_file(service: Service, widget: Widget) -> None:
    ticket = ticket_of(service, auto_complete=True)
    for number in (0, 1, 3):
        widget.put(ticket["url"], number, digit(number))
    assert service.request("GET", f"/api/files/{ticket['file_id']}").status_code == 404


def test_pieces_of_two_files_are_never_mixed(service: Service, widget: Widget) -> None:
    ticket = ticket_of(service, auto_complete=True)
    for number in (0, 1, 2):
        widget.put(ticket["url"], number, digit(number))
    other = Widget(service, widget.send, name="u2")
    assert other.put(ticket["url"], 3, b"d" * 10).json() == {"success": True}
    for number, data in enumerate((b"a", b"b", b"c")):
        other.put(ticket["url"], number, data * 10)
    file = service.request("GET", f"/api/files/{ticket['file_id']}").json()
    assert service.fetch(file["url"]).content == b"a" * 10 + b"b" * 10 + b"c" * 10 + b"d" * 10


@pytest.mark.parametrize("name", ["flow", "dropzone", "fine uploader"])
def test_pieces_that_are_not_as_long_as_was_said_make_no_file(service: Service, name: str) -> None:
    ticket = ticket_of(service, auto_complete=True)
    widget = Widget(service, NUMBERED[name], size=41)
    answers = [widget.put(ticket["url"], number, digit(number)) for number in range(4)]
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (400, "size_mismatch")
    assert widget.put(ticket["url"], 3, b"3" * 11).json()["size"] == 41
    small = ticket_of(service, max_size=40)
    assert widget.put(small["url"], 0, b"0").json()["code"] == "file_too_large"


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"flowChunkNumber": "1", "flowTotalSize": "99"}, "flowTotalChunks"),
        ({"flowChunkNumber": "3", "flowTotalChunks": "2", "flowTotalSize": "9"}, "flowChunkNumber"),
        ({"dzchunkindex": "0", "dztotalchunkcount": "20000"}, "dztotalchunkcount"),
        ({"chunk": "0"}, "chunks"),
        ({"chunks": "2"}, "chunk"),
        ({"qqpartindex": "²", "qqtotalparts": "2"}, "qqpartindex"),
    ],
)
def test_a_piece_that_is_not_told_in_full_is_refused(service: Service, fields: dict[str, str], parameter: str) -> None:
    ticket = ticket_of(service)
    numbered = f"{ticket['url']}&{urlencode(fields)}"
    form_of = {"data": fields, "files": {"file": b"chunk1"}}
    for url, options in ((numbered, {"content": b"chunk1"}), (ticket["url"], form_of)):
        for method in ("PUT", "POST"):
            answer = service.request(method, url, key=None, **options)
            assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)
    blob = service.request("PUT", numbered, key=None, content=b"chunk1", headers=AZURE)
    assert blob.status_code == 400
    wrapped = service.request("PUT", ticket["url"], key=None, headers=AZURE, **form_of)
    assert wrapped.status_code == 400
    assert nothing_came(service, ticket)


def test_a_piece_that_says_so_behind_its_file_is_refused(service: Service) -> None:
    ticket = ticket_of(service)
    body = form(file_part(b"one"), b'--edge-7f2c\r\nContent-Disposition: form-data; name="dzchunkindex"\r\n\r\n0\r\n')
    answer = service.request("POST", ticket["url"], key=None, content=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code == 400
    assert nothing_came(service, ticket)


@pytest.mark.parametrize("prefix", ["flow", "resumable"])
def test_a_widget_that_asks_is_told_which_pieces_are_there(service: Service, prefix: str) -> None:
    ticket = ticket_of(service)
    widget = Widget(service, flow(prefix))

    def is_there(number: int, name: str) -> int:
        asked = urlencode(flow(prefix, by_query=True)(number, 4, 40, name, b"")["params"])
        answers = [service.request(method, f"{ticket['url']}&{asked}", key=None) for method in ("GET", "HEAD")]
        assert answers[0].status_code == answers[1].status_code
        return answers[0].status_code

    assert is_there(1, "u1") == 204
    widget.put(ticket["url"], 1, digit(1))
    assert [is_there(1, "u1"), is_there(0, "u1"), is_there(1, "u2")] == [200, 204, 204]


def ranged(start: int, data: bytes, total: int, **more: Any) -> dict[str, Any]:
    return {
        "headers": {"Content-Range": f"bytes {start}-{start + len(data) - 1}/{total}"},
        "files": {"files[]": data},
        **more,
    }


def offset(start: int, data: bytes, total: int) -> dict[str, Any]:
    return {"data": {"name": "a", "offset": start, "total": total}, "files": {"file": data}}


@pytest.mark.parametrize("piece", [ranged, offset], ids=["blueimp", "plupload without numbers"])
def test_pieces_with_an_offset_make_one_file(service: Service, piece: Callable[..., dict[str, Any]]) -> None:
    ticket = ticket_of(service, auto_complete=True)

    def put(start: int, data: bytes, total: int = 20) -> httpx.Response:
        return service.request("POST", ticket["url"], key=None, **piece(start, data, total))

    assert put(0, b"of another").json() == {"success": True}
    assert put(0, b"0123456789").json() == {"success": True}
    assert put(15, b"x").status_code == 409
    assert put(10, b"abcdefghij").json()["size"] == 20
    assert put(10, b"abcdefghij").json()["size"] == 20
    assert put(10, b"other data").status_code == 409
    file = service.request("GET", f"/api/files/{ticket['file_id']}").json()
    assert service.fetch(file["url"]).content == b"0123456789abcdefghij"


def test_filepond_goes_on_at_the_address_that_it_is_told(service: Service) -> None:
    ticket = ticket_of(service, auto_complete=True, name="with space.bin")
    begun = service.request(
        "POST", ticket["url"], key=None, files={"filepond": (None, b"{}")}, headers={"Upload-Length": "20"}
    )
    assert (begun.status_code, begun.headers["content-type"].split(";")[0]) == (201, "text/plain")
    url = begun.text
    headers = {"Content-Type": "application/offset+octet-stream", "Upload-Length": "20", "Upload-Name": "a"}
    for start, data in ((0, b"0123456789"), (10, b"abcdefghij")):
        assert service.request("HEAD", url, key=None).headers["upload-offset"] == str(start)
        sent = {**headers, "Upload-Offset": str(start)}
        assert service.request("PATCH", url, key=None, content=data, headers=sent).status_code == 204
    file = service.request("GET", f"/api/files/{ticket['file_id']}").json()
    assert service.fetch(file["url"]).content == b"0123456789abcdefghij"
