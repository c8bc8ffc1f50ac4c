"""A file is what its content shows, whatever it is called; a look at it is short, and no content makes it fail."""

from __future__ import annotations

import asyncio
import io
import struct
import zipfile
import zlib
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileferry.engine.inspection.declarations import named_type
from fileferry.engine.inspection.examination import Examined, examine, named_refusal, refusal
from fileferry.engine.inspection.media_types import OPEN_XML_TYPES, contradicts
from fileferry.engine.inspection.signatures import judge_types

PDF, ZIP, CSV, TEXT, JSON = "application/pdf", "application/zip", "text/csv", "text/plain", "application/json"
DOCX, XLSX, DOCM = (OPEN_XML_TYPES[extension] for extension in (".docx", ".xlsx", ".docm"))
ODT = "application/vnd.oasis.opendocument.text"
JAR, APK, EPUB = "application/java-archive", "application/vnd.android.package-archive", "application/epub+zip"
OLE, DOC, XLS, PPT = (
    *("application/x-ole-storage", "application/msword"),
    *("application/vnd.ms-excel", "application/vnd.ms-powerpoint"),
)
PE, ELF, MACH = (
    "application/vnd.microsoft.portable-executable",
    *("application/x-executable", "application/x-mach-binary"),
)
SHELL, HTML, SVG, XML = "text/x-shellscript", "text/html", "image/svg+xml", "application/xml"
# What the flow for end users allows in its published example.
ALLOWED = (CSV, TEXT, PDF, DOCX, XLSX)
MOST_READ = 8 << 20


def archive(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


def content_types(*main_parts: str) -> str:
    parts = "".join(f'<Override PartName="/{at}.xml" ContentType="{kind}"/>' for at, kind in enumerate(main_parts))
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f"{parts}</Types>"
    )


def open_xml(*main_parts: str, **more: str) -> bytes:
    return archive({"[Content_Types].xml": content_types(*main_parts), "_rels/.rels": "<Relationships/>", **more})


WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
WORD_MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
VBA = "application/vnd.ms-office.vbaProject"


def open_document(kind: str = ODT, manifest: str = "<manifest:manifest/>") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("mimetype", kind, zipfile.ZIP_STORED)
        made.writestr("content.xml", "<office:document-content/>")
        made.writestr("META-INF/manifest.xml", manifest)
    return out.getvalue()


def encrypted(content: bytes) -> bytes:
    """Set the flag of every member in both of its headers, as an archiver with a password does."""
    marked = bytearray(content)
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = marked.find(start)
        while at >= 0:
            marked[at + flags] |= 1
            at = marked.find(start, at + 4)
    return bytes(marked)


def compound(*streams: str, clsid: bytes = bytes(16), first: bytes = b"", nested: tuple[str, ...] = ()) -> bytes:
    """Return an OLE file of sectors of 512 bytes: allocation table, directory (its second sector behind a gap), one stream."""

    def entry(name: str, kind: int, right: int, child: int = 0xFFFFFFFF, start: int = 4) -> bytes:
        written = name.encode("utf-16-le") + b"\0\0"
        links = struct.pack("<HBBLLL", len(written), kind, 1, 0xFFFFFFFF, right, child)
        return (written.ljust(64, b"\0") + links + clsid + bytes(20) + struct.pack("<LQ", start, 4096)).ljust(
            128, b"\0"
        )

    names = ["ObjectPool", *streams]
    entries = [entry("Root Entry", 5, 0xFFFFFFFF, 1)]
    for at, name in enumerate(names, 1):
        child = len(names) + 1 if name == "ObjectPool" and nested else 0xFFFFFFFF
        entries.append(entry(name, 2, at + 1 if at < len(names) else 0xFFFFFFFF, child))
    entries += [entry(name, 2, 0xFFFFFFFF) for name in nested]
    directory = b"".join(entries).ljust(1024, b"\0")
    table = struct.pack("<8L", 0xFFFFFFFD, 3, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFE, *[0xFFFFFFFF] * 3).ljust(512, b"\xff")
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    head = head.ljust(44, b"\0") + struct.pack("<LL", 1, 1)
    head = head.ljust(76, b"\0") + struct.pack("<L", 0) + b"\xff" * 432
    return head + table + directory[:512] + bytes(512) + directory[512:] + first.ljust(4096, b"\0")


PORTABLE_EXECUTABLE = (
    b"MZ\x90\0".ljust(0x3C, b"\0") + struct.pack("<L", 0x80) + bytes(64) + b"PE\0\0\x64\x86" + bytes(90)
)
EXECUTABLE = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHL", 3, 62, 1) + bytes(200)
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(60)
PAPER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\ntrailer\n<</Root 1 0 R>>\n%%EOF\n"
PAGE = b"\n <!DOCTYPE html>\n<html><script>alert(1)</script></html>"
TABLE = "Name;Straße;Größe\r\nJosé;Hauptstraße 1;1,80\r\n"
LETTER = open_xml(WORD)


def look(content: bytes, name: str = "a", declared: str | None = None) -> Examined:
    return asyncio.run(examine(Stored(content).read, len(content), declared, name))


class Stored:
    """The bytes of a file, behind them a hole up to wherever is read, and how much was read."""

    def __init__(self, content: bytes, at: int = 0) -> None:
        self.content, self.at, self.total, self.reads = content, at, 0, 0

    async def read(self, start: int, length: int) -> bytes:
        assert start >= 0
        assert length > 0
        self.total += length
        self.reads += 1
        piece = bytearray(length)
        low, high = max(start, self.at), min(start + length, self.at + len(self.content))
        if low < high:
            piece[low - start : high - start] = self.content[low - self.at : high - self.at]
        return bytes(piece)


def judge(content: bytes, name: str, declared: str | None = None, types: Collection[str] = ALLOWED) -> str | None:
    return refusal(types, look(content, name, declared), name)


CONTENTS = {
    "pe": (PORTABLE_EXECUTABLE, PE),
    "dos": (b"MZ" + bytes(200), "application/x-dosexec"),
    "elf": (EXECUTABLE, ELF),
    "mach": (bytes.fromhex("cffaedfe07000001") + bytes(64), MACH),
    "fat mach": (bytes.fromhex("cafebabe00000002") + bytes(64), MACH),
    "class": (bytes.fromhex("cafebabe00000041") + bytes(64), "application/java-vm"),
    "shell": (b"#!/bin/sh\nrm -rf ~\n", SHELL),
    "shell by env": (b"#! /usr/bin/env -S bash -e\n", SHELL),
    "python": (b"#!/usr/bin/env python3\nprint()\n", "text/x-python"),
    "self-extracting": (b"#!/bin/sh\nexec tail\n" + bytes(range(256)), SHELL),
    "shortcut": (bytes.fromhex("4c0000000114020000000000c000000000000046") + bytes(60), "application/x-ms-shortcut"),
    "docx": (LETTER, DOCX),
    "docx in single quotes": (
        archive({"[Content_Types].xml": f"<Types><Override ContentType='{WORD}'/></Types>"}),
        DOCX,
    ),
    "docx with comment": (open_xml(f'{WORD}"/><!-- made by hand --><Default ContentType="a/b'), DOCX),
    "docx in UTF-16": (archive({"[Content_Types].xml": content_types(WORD).encode("utf-16")}), DOCX),
    "docx with a workbook inside": (open_xml(WORD, XLSX, **{"word/embeddings/a.xlsx": "PK"}), DOCX),
    "xlsx": (open_xml(SHEET), XLSX),
    "docm": (open_xml(WORD_MACROS), DOCM),
    "xlsb": (
        open_xml("application/vnd.ms-excel.sheet.binary.macroEnabled.main"),
        "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    ),
    "docx with macros": (open_xml(WORD, VBA), DOCM),
    "docm that says docx too": (open_xml(WORD, WORD_MACROS), DOCM),
    "docm by number": (open_xml(WORD_MACROS.replace("m", "&#x6d;")), DOCM),
    "docm by entity": (archive({"[Content_Types].xml": "<!DOCTYPE T [<!ENTITY m 'm'>]>" + content_types(WORD)}), ZIP),
    "a number beyond all bounds": (open_xml(f"&#{'9' * 9000};"), ZIP),
    "docx in a comment": (archive({"[Content_Types].xml": f"<!-- {content_types(WORD)} --><Types/>"}), ZIP),
    "docx and xlsx": (open_xml(WORD, SHEET), ZIP),
    "two lists of types": (open_xml(WORD, **{"[content_types].XML": content_types(WORD_MACROS)}), ZIP),
    "docx that runs": (open_xml(WORD, **{"META-INF/MANIFEST.MF": "Main-Class: A"}), JAR),
    "docx behind something": (b"junk" + LETTER, ZIP),
    "odt": (open_document(), ODT),
    "epub": (open_document(EPUB), EPUB),
    "zip that says it is a PDF": (open_document(PDF), ZIP),
    "jar": (archive({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0", "A.class": b"\xca\xfe\xba\xbe"}), JAR),
    "apk": (archive({"AndroidManifest.xml": b"\3\0", "META-INF/MANIFEST.MF": "", "classes.dex": b"dex\n"}), APK),
    "zip": (archive({"a.txt": b"a"}), ZIP),
    "zip of a stored PDF": (archive({"a.pdf": PAPER}, zipfile.ZIP_STORED), ZIP),
    "empty zip": (archive({}), ZIP),
    "zip with trailing bytes": (archive({"a.txt": b"a"}) + bytes(100), ZIP),
    "cut zip": (LETTER[:100], ZIP),
    "doc": (compound("WordDocument"), DOC),
    "doc with a sheet inside": (compound("WordDocument", nested=("Workbook",)), DOC),
    "xls": (compound("\5SummaryInformation", "Comp", "Data", "More", "Workbook"), XLS),
    "ppt": (compound("PowerPoint Document"), PPT),
    "msi": (compound("a", clsid=bytes.fromhex("84100c0000000000c000000000000046")), "application/x-msi"),
    "ole": (compound("Contents"), OLE),
    "cut ole": (compound("WordDocument")[:700], OLE),
    "pdf": (PAPER, PDF),
    "pdf behind junk": (bytes(1000) + PAPER, PDF),
    "pdf behind a picture": (PICTURE + PAPER, PDF),
    "no pdf": (b"\0" * 1024 + PAPER, None),
    "pdf behind a page": (PAGE + PAPER, HTML),
    "pdf and zip": (PAPER + archive({"a": b"b"}), ZIP),
    "picture and jar": (PICTURE + archive({"META-INF/MANIFEST.MF": ""}), JAR),
    "program and zip": (PORTABLE_EXECUTABLE + archive({"a": b"b"}), PE),
    "pdf with a zip inside": (PAPER + archive({"a": b"b"}) + b"\nendstream\n%%EOF\n", PDF),
    "png": (PICTURE, "image/png"),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(60), "image/jpeg"),
    "heic": (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic" + bytes(60), "image/heic"),
    "avif": (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif" + bytes(60), "image/avif"),
    "mp4": (b"\0\0\0\x18ftypisom\0\0\2\0isommp42" + bytes(60), "video/mp4"),
    "page": (PAGE, HTML),
    "page in UTF-16": (PAGE.decode().encode("utf-16"), HTML),
    "page behind a mark": (b"\xef\xbb\xbf" + PAGE, HTML),
    "page in Latin-1": (b"<p>caf\xe9</p>", HTML),
    "bare script": (b"<SCRIPT/x>alert(1)</SCRIPT>", HTML),
    "svg": (b"<svg/onload=alert(1)>", SVG),
    "svg behind much": (b"<?xml version='1.0'?>\n<!-- a --><!DOCTYPE svg [<!ENTITY a 'b'>]>\n<x:svg/>", SVG),
    "xhtml": (b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", "application/xhtml+xml"),
    "xml": (b"<?xml version='1.0'?><a/>", XML),
    "php": (b"<?php system($_GET['a']);", "application/x-php"),
    "rtf": (b"{\\rtf1\\ansi a}", "application/rtf"),
    "text": (b"plain words\n", TEXT),
    "less than": (b"<3 is a heart, 1 < 2\n", TEXT),
    "sentence": (b"MZ is short for Mark Zbikowski.\n", TEXT),
    "letter": (b"From: here\nto there\n", TEXT),
    "mark alone": (b"\xef\xbb\xbf", TEXT),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60), "application/x-7z-compressed"),
    "gzip": (b"\x1f\x8b\x08" + bytes(60), "application/gzip"),
    "wav": (b"RIFF\x24\0\0\0WAVEfmt " + bytes(60), "audio/wav"),
    "binary": (bytes(range(256)), None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_content_is_told_without_a_name(case: str) -> None:
    content, detected = CONTENTS[case]
    found = look(content)
    assert found == Examined(detected or "application/octet-stream", detected, is_encrypted=False, is_empty=not content)


PROGRAMS = ("pe", "dos", "elf", "mach", "fat mach", "class", "shell", "python", "self-extracting", "shortcut", "php")


@pytest.mark.parametrize("case", PROGRAMS)
@pytest.mark.parametrize("name", ["a.pdf", "a.txt", "a.csv", "a.docx", "a.png", "a.unknown", "a"])
def test_a_program_is_one_whatever_it_is_called(case: str, name: str) -> None:
    content, detected = CONTENTS[case]
    for declared in (None, named_type(name), TEXT, PDF):
        found = look(content, name, declared)
        assert found.detected_type == detected
        assert refusal((*ALLOWED, "image/png"), found, name)


@pytest.mark.parametrize("main_part", OPEN_XML_TYPES.values())
def test_every_document_of_the_newer_office_is_told(main_part: str) -> None:
    suffix = ".main" if ".binary." in main_part else ".main+xml"
    content = open_xml(main_part.removesuffix(".12") + suffix)
    extension = next(extension for extension, kind in OPEN_XML_TYPES.items() if kind == main_part)
    assert look(content).detected_type == main_part
    assert judge(content, f"a{extension}", types=[main_part]) is None


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp850", "mac-roman"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_table_is_one_in_every_encoding_that_spreadsheets_write(encoding: str) -> None:
    content = TABLE.encode(encoding)
    for whole in (content, content * 9000):
        assert look(whole, "a.csv").detected_type == CSV
        assert look(whole, "a", "text/csv; charset=x").detected_type == CSV
        assert look(whole, "a.txt").detected_type == TEXT
        assert judge(whole, "a.csv") is None


@pytest.mark.parametrize("size", [10, 200_000])
@pytest.mark.parametrize("control", [b"\0", b"\1", b"\x1a"])
def test_control_characters_are_no_text_at_either_end(control: bytes, size: int) -> None:
    for content in (control + b"a" * size, b"a" * size + control):
        assert look(content, "a.txt").detected_type is None
        assert judge(content, "a.csv")


def test_wide_text_is_text_to_its_end_whatever_the_tail_cuts() -> None:
    for size in (100_000, 100_001):
        content = ("😀" * size).encode("utf-16")
        assert look(content, "a.txt").detected_type == TEXT
        assert look(content + b"\0\0", "a.txt").detected_type is None


@pytest.mark.parametrize(
    ("content", "name", "declared", "types"),
    [
        (PAPER, "a.pdf", PDF, ALLOWED),
        (PAPER, "a.PDF", None, ALLOWED),
        (PAPER, "a", "Application/PDF; v=1", ALLOWED),
        (PAPER, "a", None, ALLOWED),
        (LETTER, "a.docx", DOCX, ALLOWED),
        (LETTER, "a.docx", "binary/octet-stream", ALLOWED),
        (TABLE.encode(), "a.csv", "application/vnd.ms-excel", ALLOWED),
        (TABLE.encode(), "a.csv", TEXT, ALLOWED),
        (TABLE.encode(), "a", CSV, ALLOWED),
        (TABLE.encode(), "a.export", CSV, ALLOWED),
        (TABLE.encode(), "a.txt", CSV, ALLOWED),
        (b"", "a.csv", CSV, ALLOWED),
        (b'{"a": 1}', "a.json", TEXT, [JSON]),
        (b'{"a": 1}', "a.json", "application/geo+json", [JSON, "application/geo+json"]),
        (LETTER, "a.zip", ZIP, [ZIP]),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + bytes(60), "a.webm", "audio/webm;codecs=opus", ["audio/webm"]),
        (b"\xff\xfb\x90\x64" + bytes(60), "a.mp3", "audio/mpeg", ["audio/mpeg"]),
        (b"BM" + bytes(60), "a.bmp", "image/bmp", ["image/bmp"]),
        (PAGE, "a.html", HTML, [HTML]),
        (b"# Title\n", "a.md", "text/markdown", ["text/markdown"]),
        (bytes(range(256)), "a.own", "application/x-own", ["application/x-own"]),
        (archive({"doc.kml": "<kml/>"}), "a.own", "application/x-own", ["application/x-own"]),
        (bytes(range(256)), "a", None, ["application/octet-stream"]),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "a.png", "IMAGE/PNG", ["Image/PNG; q=1"]),
        (b"#!/bin/sh\n", "a.sh", "application/x-sh", ["text/x-sh"]),
    ],
)
def test_what_agrees_is_let_in(content: bytes, name: str, declared: str | None, types: Collection[str]) -> None:
    assert named_refusal(types, name, declared) is None
    assert judge(content, name, declared, types) is None


@pytest.mark.parametrize(
    ("content", "name", "declared", "types"),
    [
        (PORTABLE_EXECUTABLE, "invoice.pdf", PDF, ALLOWED),
        (PAPER, "a.txt", None, ALLOWED),
        (PAPER, "a.csv", PDF, ALLOWED),
        (PAPER, "a.pdf", TEXT, ALLOWED),
        (TABLE.encode(), "a.pdf", None, ALLOWED),
        (TABLE.encode(), "a.xlsx", CSV, ALLOWED),
        (LETTER, "a.xlsx", None, ALLOWED),
        (LETTER, "a.docx", XLSX, ALLOWED),
        (open_xml(WORD_MACROS), "a.docx", DOCX, ALLOWED),
        (open_xml(WORD_MACROS), "a.docm", None, ALLOWED),
        (archive({"a": b"b"}), "a.docx", DOCX, ALLOWED),
        (PAPER + archive({"META-INF/MANIFEST.MF": ""}), "a.pdf", PDF, ALLOWED),
        (PAGE, "a.csv", CSV, ALLOWED),
        (PAGE, "a.txt", TEXT, ALLOWED),
        (b"<svg/>", "a.txt", TEXT, ALLOWED),
        (b"{\\rtf1 a}", "a.txt", None, ALLOWED),
        (bytes(range(256)), "a.csv", CSV, ALLOWED),
        (bytes(range(256)), "a", None, ALLOWED),
        (bytes(range(256)), "a.pdf", None, ALLOWED),
        (PICTURE, "a", None, ALLOWED),
        (b"words", "a.json", JSON, [JSON]),
        (b"words", "a.svg", None, [SVG, TEXT]),
        (PAGE, "a.svg", None, [SVG, HTML]),
        (PICTURE, "a.own", "application/x-own", ["application/x-own"]),
        (EXECUTABLE, "a.own", "application/x-own", ["application/x-own"]),
        (PAGE, "a.own", "application/x-own", ["application/x-own"]),
        (EXECUTABLE, "a", None, ["application/octet-stream"]),
        (b"GIF89a=1;alert(1)", "a.gif", None, ["image/gif"]),
    ],
)
def test_a_disguise_is_refused(content: bytes, name: str, declared: str | None, types: Collection[str]) -> None:
    reason = judge(content, name, declared, types)
    assert reason is not None
    assert reason.endswith(".")


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("a.exe", None),
        ("a.pdf.exe", PDF),
        ("a.exe. . ", PDF),
        ("folder.pdf/a.EXE", PDF),
        ("a.pdf", "text/html;image/png"),
        ("a.pdf", "application/pdfx"),
        ("a.pdf", "application/x"),
        ("a.bat", TEXT),
        ("a.js", TEXT),
        ("a.ps1", TEXT),
        ("a.vbs", None),
        ("a.hta", TEXT),
        ("a.md", TEXT),
        ("a.docm", DOCX),
        ("a", "image/png"),
    ],
)
def test_a_name_or_a_declared_type_that_is_not_allowed_is_refused_before_there_are_bytes(
    name: str, declared: str | None
) -> None:
    assert named_refusal(ALLOWED, name, declared)


def test_types_are_compared_whole() -> None:
    for types in (["application/"], ["application/*"], ["*/*"], ["application/.*"], ["pdf"], []):
        assert named_refusal(types, "a.pdf", PDF)
        assert judge(PAPER, "a.pdf", PDF, types)


def test_a_name_alone_must_be_allowed_as_it_stands() -> None:
    assert named_refusal(["audio/webm"], "a.webm", None)
    assert named_refusal(["audio/webm"], "a.webm", "video/webm")
    assert named_refusal(["audio/webm"], "a.webm", "audio/webm") is None


@pytest.mark.parametrize(
    ("content", "detected"),
    [
        (encrypted(archive({"a.exe": b"b", "c": b"d"})), ZIP),
        (encrypted(archive({"a.exe": b"b"}))[:60], ZIP),
        (encrypted(LETTER), ZIP),
        (open_document(manifest="<manifest:encryption-data/>"), ODT),
        (compound("EncryptionInfo", "EncryptedPackage"), OLE),
        (compound("WordDocument", first=bytes(11) + b"\x13"), DOC),
        (compound("Workbook", first=struct.pack("<HHH", 0x809, 2, 0) + struct.pack("<HH", 0x2F, 6)), XLS),
        (compound("PowerPoint Document", "EncryptedSummary"), OLE),
        (
            b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + struct.pack("<QQL", 3, 20, 0) + b"abc\x17\6\xf1\7\1" + bytes(30),
            "application/x-7z-compressed",
        ),
        (b"Rar!\x1a\x07\x01\0abcd\x21\x04" + bytes(40), "application/vnd.rar"),
        (b"Rar!\x1a\x07\0ab\x73\x80\0\x0d\0" + bytes(40), "application/vnd.rar"),
        (b"Rar!\x1a\x07\0ab\x73\0\0\x0d\0" + bytes(6) + b"ab\x74\x04" + bytes(40), "application/vnd.rar"),
    ],
)
def test_what_a_scanner_cannot_look_into_is_told(content: bytes, detected: str) -> None:
    found = look(content)
    assert found.is_encrypted
    assert found.detected_type in (detected, "application/x-rar-compressed")


def test_an_encrypted_document_is_not_shown_to_be_what_its_name_says() -> None:
    reason = judge(compound("EncryptionInfo", "EncryptedPackage"), "a.docx")
    assert reason == f"The content is encrypted, and not shown to be {DOCX}."


def ending(entries: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    return b"PK\5\6" + struct.pack("<4H2LH", 0, 0, entries, entries, size, offset, len(comment)) + comment


def listed(name: bytes = b"a", **fields: int) -> bytes:
    said = {"flags": 0, "method": 0, "packed": 1, "extra": 0, "start": 0, "length": len(name)} | fields
    return (
        b"PK\1\2"
        + struct.pack("<6H3L", 20, 20, said["flags"], said["method"], 0, 0, 0, said["packed"], 1)
        + struct.pack("<5H2L", said["length"], said["extra"], 0, 0, 0, 0, said["start"])
        + name
    )


START = archive({"a": b"b"})[:32]
TYPES_NAME = b"[Content_Types].xml"
HOSTILE = {
    "directory far away": START + ending(1, 50, 0xFFFFFFF0),
    "directory before the file": START + ending(1, 0xFFFFFFF0, 0),
    "more entries than there are": START + listed() + ending(9999, 47, 32),
    "a name longer than the directory": START + listed(length=0xFFFF) + ending(1, 47, 32),
    "an extra field longer than the directory": START + listed(extra=0xFFFF) + listed() + ending(2, 94, 32),
    "a member beyond the end": START + listed(TYPES_NAME, start=0xFFFFFFF0, packed=5) + ending(1, 65, 32),
    "a member as large as can be": START + listed(TYPES_NAME, packed=0xFFFFFFFF) + ending(1, 65, 32),
    "a member of another name": START + listed(TYPES_NAME, packed=1) + ending(1, 65, 32),
    "a comment longer than the file": START + ending(0, 0, 32)[:-2] + b"\xff\xff",
    "ends within ends": START + ending(1, 47, 0, ending(1, 47, 0, ending(1, 47, 0))) + b"PK\5\6" * 9000,
    "zip64 without its record": START + ending(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    "zip64 that points at itself": START
    + (b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, 2**64 - 1, 2**64 - 1, 2**64 - 1, 2**64 - 1))
    + (b"PK\6\7" + struct.pack("<LQL", 0, 32, 1))
    + ending(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    "zip64 that points nowhere": START
    + (b"PK\6\7" + struct.pack("<LQL", 0, 2**64 - 1, 1))
    + ending(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    "an unknown method": archive({"[Content_Types].xml": content_types(WORD)}, zipfile.ZIP_BZIP2),
    "broken packing": LETTER[:60] + b"\xff" * 30 + LETTER[90:],
    "other flags before the member": LETTER[:6] + b"\1" + LETTER[7:],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_directory_makes_a_plain_archive(case: str) -> None:
    found = look(HOSTILE[case], "a.docx", DOCX)
    assert found.detected_type == ZIP
    assert refusal(ALLOWED, found, "a.docx")


def test_a_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content_types(WORD).encode() + bytes(20 << 20)) + packer.flush()
    local = (
        b"PK\3\4" + struct.pack("<5H3L2H", 20, 0, 8, 0, 0, 0, len(packed), 5, len(TYPES_NAME), 0) + TYPES_NAME + packed
    )
    entry = listed(TYPES_NAME, method=8, packed=len(packed))
    assert look(local + entry + ending(1, len(entry), len(local))).detected_type == ZIP


def test_sectors_in_a_loop_end() -> None:
    content = bytearray(compound("Contents"))
    content[516:520] = struct.pack("<L", 1)  # the directory's first sector follows itself
    assert look(bytes(content)).detected_type == OLE


def test_entries_in_a_loop_end() -> None:
    content = bytearray(compound("Contents"))
    content[1024 + 128 + 72 : 1024 + 128 + 76] = struct.pack("<L", 1)
    assert look(bytes(content)).detected_type == OLE


def test_of_many_members_only_the_first_count_and_no_document_hides_behind_them() -> None:
    members: dict[str, bytes | str] = {f"{at}": b"" for at in range(10_001)}
    assert look(archive(members)).detected_type == ZIP
    members = {"[Content_Types].xml": content_types(WORD), **members}
    assert look(archive(members)).detected_type == ZIP


def test_of_three_gigabytes_little_is_read() -> None:
    size = 3 << 30
    directory = b"".join(listed(b"%d" % at) for at in range(9000))
    tail = directory + ending(9000, len(directory), size - len(directory) - 22)
    stored = Stored(tail, at=size - len(tail))
    found = asyncio.run(examine(stored.read, size, ZIP, "a.zip"))
    assert found.detected_type == ZIP
    assert stored.total < 1 << 20
    assert stored.reads == 3


def test_a_large_archive_is_read_by_its_far_numbers() -> None:
    content = bytearray(LETTER)
    end = content.rfind(b"PK\5\6")
    entries, size, offset = struct.unpack_from("<HLL", content, end + 10)
    record = b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, entries, entries, size, offset)
    locator = b"PK\6\7" + struct.pack("<LQL", 0, end, 1)
    assert look(bytes(content[:end]) + record + locator + ending(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)).detected_type == DOCX


SAMPLES = [content for content, _ in CONTENTS.values()] + [*HOSTILE.values()]


def bounded(content: bytes, size: int, name: str, declared: str | None) -> Examined:
    stored = Stored(content)
    found = asyncio.run(examine(stored.read, size, declared, name))
    assert stored.total <= MOST_READ
    assert isinstance(refusal(ALLOWED, found, name), str | None)
    return found


@given(st.binary(max_size=600), st.text(max_size=12), st.none() | st.text(max_size=30), st.integers(0, 2**50))
def test_every_content_is_judged(content: bytes, name: str, declared: str | None, hole: int) -> None:
    bounded(content, len(content), name, declared)
    bounded(content, len(content) + hole, name, declared)


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)), max_size=4))
def test_every_damage_is_judged(content: bytes, damage: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(content)
    for at, piece in damage:
        start = at % (len(content) or 1)
        damaged[start : start + len(piece)] = piece
    bounded(bytes(damaged), len(damaged), "a.docx", None)


@given(st.sampled_from(SAMPLES), st.integers(0), st.integers(0))
def test_every_piece_is_judged(content: bytes, first: int, length: int) -> None:
    start = first % (len(content) + 1)
    piece = content[start:][: length % (len(content) + 1)]
    bounded(piece, len(piece), "a.pdf", PDF)


@pytest.mark.parametrize("case", ["docx", "xlsx", "odt", "epub", "doc", "xls", "ppt", "docm"])
def test_a_cut_document_is_let_in_nowhere_or_is_only_the_plain_container(case: str) -> None:
    content, whole = CONTENTS[case]
    end = 1024 if content.startswith(b"\xd0\xcf") else len(content) - 1  # where the directory of either begins or ends
    for length in range(8, end, 37):
        assert look(content[:length], "a", whole).detected_type in (ZIP, OLE)


@given(st.binary(max_size=300), st.sampled_from(ALLOWED), st.sampled_from(["a.csv", "a.pdf", "a.docx", "a"]))
def test_whatever_a_browser_would_run_is_never_served_as_what_was_said(
    content: bytes, declared: str, name: str
) -> None:
    for head in (content, b"<html>" + content, b"<svg " + content, b"<?xml " + content):
        for detected in (judge_types(head, declared, name)[1], look(head, name, declared).detected_type):
            if detected in (HTML, SVG, XML, "application/xhtml+xml"):
                assert contradicts(declared, detected)


@pytest.mark.parametrize(
    ("name", "promised"),
    [
        ("a.tar.gz", "application/gzip"),
        ("a.JPG", "image/jpeg"),
        ("a.docm", DOCM),
        ("a.bin", None),
        ("a", None),
        ("pdf", None),
        (".pdf", PDF),
        ("a.pdf/b", None),
        ("data:text/html,a.pdf", PDF),
        ("a.exe.", PE),
    ],
)
def test_a_name_promises_by_its_last_extension(name: str, promised: str | None) -> None:
    assert named_type(name) == promised
