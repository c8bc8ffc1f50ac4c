"""What a file's scan comes to with a real clamd, by what it is and what is in it; makes the table of docs/scanning.md."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileferry.scanners import samples
from support.clamd import EICAR, LiveClamd, MakeClamd
from support.encrypted_zip import encrypted_zip
from unit.service import Service
from unit.test_contents import ENCRYPTED_7Z, encrypted_office, rar_4, rar_5, tarred, zipped

pytestmark = pytest.mark.service("clamd")

PAGE = Path(__file__).parents[2] / "docs" / "scanning.md"
MIB = 1 << 20
NAMES = {
    "application/zip": "zip, and what is built on it: office files, JAR, APK, EPUB",
    "application/gzip": "gzip",
    "application/x-tar": "tar",
    "application/x-bzip2": "bzip2",
    "application/x-xz": "xz",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "RAR",
    "application/vnd.ms-cab-compressed": "cabinet",
    "application/x-cpio": "cpio",
    "application/x-archive": "ar, Debian package",
    "application/x-lzh-compressed": "LHA",
    "application/x-arj": "ARJ",
    "application/zstd": "Zstandard",
    "application/x-lz4": "LZ4",
    "application/x-compress": "compress (`.Z`)",
}
ENCRYPTED = {
    "application/zip": (encrypted_zip("a", b"harmless", b"secret"),),
    "application/x-7z-compressed": (ENCRYPTED_7Z,),
    "application/vnd.rar": (rar_4(encrypted=True), rar_5(encrypted=True)),
}


class Scanned:
    """A service whose files a real clamd scans."""

    def __init__(self, folder: Path, clamd: LiveClamd, **settings: str) -> None:
        self.service = Service(folder, clamd=clamd.unix, serve_unscanned="true", **settings)
        self.files = 0

    def scan(self, content: bytes, name: str = "a") -> dict[str, str]:
        """Return what the scan of a file came to."""
        self.files += 1
        file = self.service.upload(content, f"{self.files}/{name}")
        self.service.process()
        answer = self.service.request("GET", f"/api/files/{file['id']}")
        scan: dict[str, str] = answer.json()["scan"]
        return scan

    def outcome(self, content: bytes) -> str:
        """Return the outcome of the scan of a file."""
        return self.scan(content)["outcome"]


@pytest.fixture
def scanned(tmp_path: Path, clamd: LiveClamd) -> Iterator[Scanned]:
    made = Scanned(tmp_path / "data", clamd)
    yield made
    made.service.close()


def test_the_table_of_what_is_seen_in_which_container_is_true(tmp_path: Path, make_clamd: MakeClamd) -> None:
    scanned = Scanned(tmp_path / "data", make_clamd(MaxFileSize="1M"), clamd_max_size="1MiB")
    lines = [
        "| container | harmless | malware in it | in one in another | in a zip | a member beyond the limit | a password |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    try:
        for kind, makers in samples.CONTAINERS.items():
            columns = (
                [make(b"harmless") for make in makers],
                [make(EICAR) for make in makers],
                [make(make(EICAR)) for make in makers],
                [zipped(a=make(EICAR)) for make in makers],
                [] if kind == "application/x-compress" else [make(bytes(3 * MIB) + EICAR) for make in makers],
                ENCRYPTED.get(kind, ()),
            )
            cells = [sorted({scanned.outcome(content) for content in contents}) for contents in columns]
            shown = [", ".join(f"`{outcome}`" for outcome in outcomes) or "–" for outcomes in cells]
            lines.append(f"| {' | '.join((NAMES[kind], *shown))} |")
            assert not any("clean" in outcomes for outcomes in cells[1:]), (kind, cells)
    finally:
        scanned.service.close()
    assert "\n".join(lines) in PAGE.read_text(), "\n".join(lines)


@pytest.mark.parametrize("make", [samples.rarred_4, samples.rarred_5, samples.zstandard, samples.ar])
@pytest.mark.parametrize("name", ["holiday.jpg", "notes.txt", "archive.rar"])
def test_what_the_scanner_does_not_open_is_not_clean_under_any_name(
    scanned: Scanned, make: Callable[[bytes], bytes], name: str
) -> None:
    scan = scanned.scan(make(b"harmless"), name)
    assert scan["outcome"] == "skipped_unsupported"
    assert scan["detail"].startswith("The scanner does not open application/")
    assert scan["engine"].startswith("ClamAV ")


@pytest.mark.parametrize(
    "wrap",
    [lambda content: zipped(b=content), lambda content: tarred(b=content), gzip.compress],
    ids=["zip", "tar", "gzip"],
)
def test_an_office_document_with_a_password_is_not_clean_inside_an_archive(
    scanned: Scanned, wrap: Callable[[bytes], bytes]
) -> None:
    assert scanned.outcome(wrap(encrypted_office())) == "skipped_encrypted"


@pytest.mark.parametrize("make", [samples.zipped, samples.seven_zipped])
def test_a_member_that_clamd_cuts_without_a_word_is_not_clean(
    tmp_path: Path, make_clamd: MakeClamd, make: Callable[[bytes], bytes]
) -> None:
    scanned = Scanned(tmp_path / "data", make_clamd(MaxFileSize="1M", MaxScanSize="1M"), clamd_max_size="1MiB")
    try:
        scan = scanned.scan(make(bytes(2 * MIB) + EICAR))
    finally:
        scanned.service.close()
    assert scan["outcome"] == "skipped_too_large"


def test_a_clamd_that_is_told_not_to_open_archives_calls_none_clean(tmp_path: Path, make_clamd: MakeClamd) -> None:
    scanned = Scanned(tmp_path / "data", make_clamd(ScanArchive="no"))
    try:
        assert scanned.outcome(samples.zipped(b"harmless")) == "skipped_unsupported"
        assert scanned.outcome(b"harmless") == "clean"
    finally:
        scanned.service.close()
