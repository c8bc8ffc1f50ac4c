"""What was said of a file's type is kept in every way it can be said; families of media are told apart; names of one type agree."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fileferry.engine.inspection.declarations import agreed_type, is_other_type, parameters_of
from fileferry.engine.inspection.examination import named_refusal
from fileferry.engine.inspection.media_types import canonical
from fileferry.engine.inspection.signatures import detect_type, judge_types
from unit.service import Service

JAPANESE = "text/plain; charset=shift_jis"
TEXT = "日本".encode("shift_jis")
TUS = {"Tus-Resumable": "1.0.0"}
XML = {"Content-Type": "application/xml"}
AZURE = {"x-ms-version": "2026-10-06"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(Path(tmp_path_factory.mktemp("types")) / "data")
    yield made
    made.close()


def box(brand: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body + bytes(64)


JPEG_2000 = b"\0\0\0\x0cjP  \r\n\x87\n"
MEDIA = {
    "a.jp2": (JPEG_2000 + box(b"jp2 "), "image/jp2"),
    "a.jpx": (JPEG_2000 + box(b"jpx ", b"jp2 "), "image/jpx"),
    "a.jpm": (JPEG_2000 + box(b"jpm "), "image/jpm"),
    "a.mj2": (JPEG_2000 + box(b"mjp2"), "video/mj2"),
    "a.j2k": (b"\xff\x4f\xff\x51\0\x2f" + bytes(40), "image/j2c"),
    "a.jls": (b"\xff\xd8\xff\xf7\0\x0b\x08" + bytes(40), "image/jls"),
    "a.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"jxl "), "image/jxl"),
    "b.jxl": (b"\xff\x0a\xfa\x7f\x01\x90" + bytes(40), "image/jxl"),
    "a.heic": (box(b"heic", b"mif1"), "image/heic"),
    "a.avif": (box(b"mif1", b"avif"), "image/avif"),
    "a.mov": (box(b"qt  "), "video/quicktime"),
    "a.m4a": (box(b"M4A ", b"mp42"), "audio/mp4"),
    "a.mp4": (box(b"isom"), "video/mp4"),
    "a.webp": (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(40), "image/webp"),
    "a.avi": (b"RIFF\x24\0\0\0AVI LIST" + bytes(40), "video/x-msvideo"),
    "a.rmi": (b"RIFF\x24\0\0\0RMIDdata" + bytes(40), "audio/midi"),
    "a.oga": (b"OggS\0\x02" + bytes(22) + b"\x01vorbis" + bytes(40), "audio/ogg"),
    "a.ogv": (b"OggS\0\x02" + bytes(22) + b"\x80theora" + bytes(40), "video/ogg"),
    "a.tif": (b"II*\0\x08\0\0\0" + bytes(60), "image/tiff"),
    "b.tif": (b"II+\0\x08\0\0\0" + bytes(60), "image/tiff"),
    "a.cr2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(60), "image/x-canon-cr2"),
    "a.orf": (b"IIRO\x08\0\0\0" + bytes(60), "image/x-olympus-orf"),
    "a.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01" + bytes(40), "image/jpeg"),
}


@pytest.mark.parametrize("name", MEDIA)
def test_a_member_of_a_family_is_called_by_its_own_name(name: str) -> None:
    content, kind = MEDIA[name]
    assert detect_type(content, "application/octet-stream") == kind
    assert detect_type(content, kind) == kind
    pretended = "image/jpeg" if kind != "image/jpeg" else "image/jp2"
    assert detect_type(content, pretended) == kind


def test_a_raw_picture_that_begins_as_tiff_is_what_it_says_it_is() -> None:
    content = MEDIA["a.tif"][0]
    assert detect_type(content, "image/x-nikon-nef") == "image/x-nikon-nef"
    assert detect_type(content, "image/x-adobe-dng") == "image/x-adobe-dng"


def test_text_that_begins_with_the_words_of_a_signature_is_text() -> None:
    for text in (b"RIFF is a format.", b"OggS means page", b"IIRO, MMOR", b"\xff\nl'\xe9t\xe9"):
        assert detect_type(text, "text/plain") == "text/plain"


def test_jpeg_2000_passes_no_rule_for_jpeg(make_service: Callable[..., Service]) -> None:
    service = make_service()
    limits = {"limits": {"types": ["image/jpeg"]}}
    assert service.request("PATCH", "/api/organizations/default", json=limits).status_code == 200
    for name, outcome in (("a.jp2", ("rejected", "type_not_allowed")), ("a.jpg", ("ready", None))):
        headers = {"Content-Type": "image/jpeg"}
        file = service.request("POST", "/api/upload/a.jpg", content=MEDIA[name][0], headers=headers).json()
        service.process()
        shown = service.request("GET", f"/api/files/{file['id']}?version_id={file['version_id']}").json()
        assert (shown["status"], shown["reason"]) == outcome


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("application/x-ndjson", "application/jsonl"),
        ("application/x-ndjson", "application/x-jsonlines"),
        ("text/xml", "application/xml"),
        ("application/x-subrip", "text/srt"),
        ("application/zip", "application/x-zip-compressed"),
        ("application/gzip", "application/x-gzip"),
        ("application/javascript", "text/javascript"),
        ("audio/x-wav", "audio/vnd.wave"),
        ("image/x-icon", "image/vnd.microsoft.icon"),
        ("image/jpg", "image/pjpeg"),
        ("video/x-msvideo", "video/avi"),
        ("font/woff2", "application/font-woff2"),
        ("TEXT/CSV; charset=utf-8", "application/csv"),
    ],
)
def test_names_of_one_type_accept_each_other(service: Service, one: str, other: str) -> None:
    assert canonical(one) == canonical(other)
    assert named_refusal([one], "a", other) is None
    ticket = service.request("POST", "/api/uploads", json={"name": "a", "content_type": one}).json()
    sent = service.request("PUT", ticket["url"], key=None, content=b"x", headers={"Content-Type": other})
    assert sent.status_code == 200, sent.text


def test_subtitles_are_allowed_by_each_of_their_names() -> None:
    for name in ("application/x-subrip", "text/srt", "application/srt"):
        assert named_refusal([name], "film.srt", None) is None
        assert named_refusal([name], "film.srt", "text/plain") is None


@pytest.mark.parametrize(
    ("declared", "kept"),
    [
        ("text/csv;charset=UTF-8;header=present", "; charset=UTF-8; header=present"),
        ('text/csv; Charset="utf-8"', '; charset="utf-8"'),
        ("text/csv; charset=a; charset=b", "; charset=a"),
        ("text/csv; charset", ""),
        ('text/csv; x="a\r\nSet-Cookie: b"', ""),
        ("text/csv; x=ü; y=z", "; y=z"),
        ("application/octet-stream; charset=binary", ""),
        ("nonsense; charset=utf-8", ""),
        ("text/csv; x=" + "y" * 128 + "; z=" + "y" * 128, ""),
        ("text/csv", ""),
        (None, ""),
    ],
)
def test_parameters_are_kept_as_far_as_a_header_can_hold_them(declared: str | None, kept: str) -> None:
    assert parameters_of(declared, "a.csv") == kept
    if declared is not None and kept:
        assert judge_types(b"1,2", declared, "a.csv")[0] == f"text/csv{kept}"


def test_a_promise_gives_way_only_to_what_says_more() -> None:
    assert agreed_type(None, "text/csv") == "text/csv"
    assert agreed_type("application/octet-stream", "text/csv") == "text/csv"
    assert agreed_type("text/csv", "application/octet-stream") == "text/csv"
    assert agreed_type("text/csv", "application/csv; charset=x") == "text/csv; charset=x"
    assert agreed_type("text/csv; charset=a", "text/csv; charset=b") == "text/csv; charset=a"
    assert agreed_type("text/csv", "text/html; charset=b") == "text/csv"
    assert not is_other_type("application/octet-stream", "text/csv", "a")
    assert is_other_type("text/csv", "text/html", "a")


def by_native(service: Service) -> str:
    file = service.request("PUT", "/api/upload/n", content=TEXT, headers={"Content-Type": JAPANESE}).json()
    return str(file["id"])


def by_form(service: Service) -> str:
    return str(service.request("POST", "/v1/files", files={"file": ("f", TEXT, JAPANESE)}).json()["file_id"])


def by_form_field(service: Service) -> str:
    form: dict[str, Any] = {"files": {"file": ("f", TEXT)}, "data": {"content_type": JAPANESE}}
    return str(service.request("POST", "/v1/files", **form).json()["file_id"])


def by_data_url(service: Service) -> str:
    text = f"data:{JAPANESE.replace(' ', '')};base64,{base64.b64encode(TEXT).decode()}"
    return str(service.request("POST", "/v1/files", json={"filename": "j", "base64": text}).json()["file_id"])


def ticket(service: Service, **asked: Any) -> dict[str, Any]:
    body: dict[str, Any] = service.request("POST", "/api/uploads", json={"name": "t", **asked}).json()
    return body


def completed(service: Service, asked: dict[str, Any]) -> str:
    done = service.request("POST", f"/api/uploads/{asked['id']}/complete")
    assert done.is_success, done.text
    return str(done.json()["id"])


def sends(service: Service, method: str, url: str, content: bytes = b"", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = service.request(method, url, key=None, content=content, headers=named)
    assert answer.is_success or answer.status_code == 308, answer.text
    return answer


def by_ticket(service: Service) -> str:
    asked = ticket(service, content_type=JAPANESE)
    sends(service, "PUT", asked["url"], TEXT)
    return completed(service, asked)


def by_put(service: Service) -> str:
    asked = ticket(service)
    sends(service, "PUT", asked["url"], TEXT, Content_Type=JAPANESE)
    return completed(service, asked)


def by_generic_ticket(service: Service) -> str:
    asked = ticket(service, content_type="application/octet-stream")
    sends(service, "PUT", asked["url"], TEXT, Content_Type=JAPANESE)
    return completed(service, asked)


def by_bare_ticket(service: Service) -> str:
    asked = ticket(service, content_type="text/plain")
    sends(service, "PUT", asked["url"], TEXT, Content_Type=JAPANESE)
    return completed(service, asked)


def by_azure_blob(service: Service) -> str:
    asked = ticket(service)
    headers = {**AZURE, "x-ms-blob-type": "BlockBlob", "x-ms-blob-content-type": JAPANESE}
    sends(service, "PUT", asked["url"], TEXT, Content_Type="application/octet-stream", **headers)
    return completed(service, asked)


def by_azure_blocks(service: Service) -> str:
    asked = ticket(service)
    block = base64.b64encode(b"0001").decode()
    sends(service, "PUT", f"{asked['url']}&comp=block&blockid={block}", TEXT, **AZURE)
    listed = f"<BlockList><Latest>{block}</Latest></BlockList>".encode()
    headers = {**AZURE, "x-ms-blob-content-type": JAPANESE}
    sends(service, "PUT", f"{asked['url']}&comp=blocklist", listed, **headers)
    return completed(service, asked)


def by_google(service: Service) -> str:
    asked = ticket(service)
    headers = {"x-goog-resumable": "start", "x-upload-content-type": JAPANESE}
    session = sends(service, "POST", asked["url"], **headers).headers["location"]
    sends(service, "PUT", session, TEXT, Content_Range=f"bytes 0-{len(TEXT) - 1}/{len(TEXT)}")
    return completed(service, asked)


def by_s3_creation(service: Service) -> str:
    asked = ticket(service)
    sends(service, "POST", f"{asked['url']}&uploads", Content_Type=JAPANESE)
    part = sends(service, "PUT", f"{asked['part_url']}&partNumber=1", TEXT)
    etag = part.headers["etag"].strip('"')
    listed = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    sends(service, "POST", asked["part_url"], listed.encode(), **XML)
    return completed(service, asked)


def tus_metadata(**words: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in words.items())


def by_tus(service: Service) -> str:
    asked = ticket(service)
    said = tus_metadata(filetype=JAPANESE)
    headers = {**TUS, "Upload-Length": str(len(TEXT)), "Upload-Metadata": said}
    at = sends(service, "POST", asked["url"], **headers).headers["location"]
    sends(service, "PATCH", at, TEXT, Upload_Offset="0", Content_Type="application/offset+octet-stream", **TUS)
    return completed(service, asked)


def by_tus_join(service: Service) -> str:
    asked = ticket(service)
    headers = {**TUS, "Upload-Length": str(len(TEXT)), "Upload-Concat": "partial"}
    at = sends(service, "POST", asked["url"], **headers).headers["location"]
    sends(service, "PATCH", at, TEXT, Upload_Offset="0", Content_Type="application/offset+octet-stream", **TUS)
    headers = {**TUS, "Upload-Concat": f"final;{at}", "Upload-Metadata": tus_metadata(filetype=JAPANESE)}
    sends(service, "POST", asked["url"], **headers)
    return completed(service, asked)


def by_draft(service: Service) -> str:
    asked = ticket(service)
    sends(service, "POST", asked["url"], TEXT, Upload_Complete="?1", Content_Type=JAPANESE)
    return completed(service, asked)


def by_draft_metadata(service: Service) -> str:
    asked = ticket(service)
    said = {
        "Upload-Complete": "?1",
        "Upload-Metadata": tus_metadata(filetype=JAPANESE),
        "Upload-Draft-Interop-Version": "6",
    }
    sends(service, "POST", asked["url"], TEXT, **said)
    return completed(service, asked)


WAYS = [
    by_native,
    by_form,
    by_form_field,
    by_data_url,
    by_ticket,
    by_put,
    by_generic_ticket,
    by_bare_ticket,
    by_azure_blob,
    by_azure_blocks,
    by_google,
    by_s3_creation,
    by_tus,
    by_tus_join,
    by_draft,
    by_draft_metadata,
]


@pytest.mark.parametrize("way", WAYS)
def test_a_type_is_served_as_it_was_said(service: Service, way: Callable[[Service], str]) -> None:
    file = service.request("GET", f"/api/files/{way(service)}").json()
    assert file["content_type"] == JAPANESE
    served = service.fetch(file["url"])
    assert (served.headers["content-type"], served.content) == (JAPANESE, TEXT)
    assert served.headers["content-disposition"].startswith("inline")


def test_a_rule_looks_at_the_bare_type(make_service: Callable[..., Service]) -> None:
    service = make_service()
    limits = {"limits": {"types": ["text/csv"]}}
    assert service.request("PATCH", "/api/organizations/default", json=limits).status_code == 200
    headers = {"Content-Type": "text/csv; charset=utf-8"}
    taken = service.request("PUT", "/api/upload/a.csv", content=b"1,2\n", headers=headers)
    service.process()
    shown = service.request("GET", f"/api/files/{taken.json()['id']}").json()
    assert (shown["status"], shown["content_type"]) == ("ready", "text/csv; charset=utf-8")
    headers = {"Content-Type": "text/html; charset=text/csv"}
    assert service.request("PUT", "/api/upload/b", content=b"1,2\n", headers=headers).status_code == 415
