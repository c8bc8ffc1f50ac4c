"""The line of a request names who asked and what for, and metrics count what is kept, brought and fetched; none is a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest

from fileferry import telemetry
from fileferry.telemetry import metrics_page
from unit.service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, trusted_proxies="127.0.0.0/8,10.0.0.0/8", log_level="info")
    yield made
    made.close()


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is logged of requests, in order."""
    found: list[dict[str, Any]] = []
    log = mock.Mock(info=lambda _event, **fields: found.append(fields))
    monkeypatch.setattr(telemetry, "_log", log)
    return found


def counted(**labels: str) -> float:
    """How many transfers with these labels were counted."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    rows = [row for row in metrics_page().decode().splitlines() if row.startswith("fileferry_transfers_total{")]
    return sum(float(row.rpartition(" ")[2]) for row in rows if all(word in row for word in wanted))


def gauge(name: str) -> float:
    (row,) = [row for row in metrics_page().decode().splitlines() if row.startswith((f"{name} ", f"{name}{{"))]
    return float(row.rpartition(" ")[2])


def test_a_line_names_key_organization_end_user_file_and_upload(service: Service, lines: list[dict[str, Any]]) -> None:
    made = service.request("POST", "/api/keys", json={"name": "a", "scopes": ["upload", "read"]}).json()
    file = service.request(
        "PUT", "/api/upload/a.txt", key=made["key"], content=b"abc", headers={"user-id": "ada"}
    ).json()
    named = {"key": made["id"], "organization": made["organization_id"]}
    assert named.items() | {("end_user", "ada"), ("file", file["id"])} <= lines[-1].items()
    ticket = service.request("POST", "/api/uploads", json={"name": "b.txt"}, key=made["key"]).json()
    url = urlsplit(ticket["url"])
    service.request("PUT", f"{url.path}?{url.query}", key=None, content=b"abc")
    expected = named.items() | {("upload", ticket["id"]), ("file", ticket["file_id"])}
    assert expected <= lines[-1].items()
    public = service.upload(b"for anybody", path="public.txt")
    service.fetch(urlsplit(public["url"]).path)
    assert {("file", public["id"]), ("organization", made["organization_id"])} <= lines[-1].items()
    assert "key" not in lines[-1]
    service.request("GET", "/api/files", key="ff_wrong")
    assert not {"key", "organization", "file"} & lines[-1].keys()
    assert made["key"] not in json.dumps(lines)


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (None, "127.0.0.1"),
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8::7", "2001:db8::7"),
        ("a secret, <script>", "unknown"),
    ],
)
def test_the_client_is_the_nearest_that_no_known_proxy_is(
    service: Service, lines: list[dict[str, Any]], forwarded: str | None, client: str
) -> None:
    service.request("GET", "/healthz", headers={} if forwarded is None else {"X-Forwarded-For": forwarded})
    assert lines[-1]["client"] == client


def test_nobody_else_is_believed_who_a_request_is_of(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    service = Service(tmp_path, log_level="info")
    service.request("GET", "/healthz", headers={"X-Forwarded-For": "203.0.113.7"})
    service.close()
    assert lines[-1]["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("sent", "trace"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", "0af7651916cd43dd8448eb211c80319c"),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", None),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", None),
        ("x", None),
    ],
)
def test_a_trace_is_continued(service: Service, lines: list[dict[str, Any]], sent: str, trace: str | None) -> None:
    service.request("GET", "/healthz", headers={"traceparent": sent})
    assert (lines[-1].get("trace_id"), lines[-1].get("parent_span_id")) == (
        trace,
        "b7ad6b7169203331" if trace else None,
    )


def test_transfers_are_counted_by_direction_flow_and_protocol(service: Service) -> None:
    native = {"direction": "upload", "flow": "native", "protocol": "one_request"}
    tus = {"direction": "upload", "flow": "signed_url", "protocol": "tus"}
    public = {"direction": "download", "flow": "public_url", "protocol": "http"}
    before = [counted(**labels) for labels in (native, tus, public)]
    file = service.upload(b"abc")
    ticket = service.request("POST", "/api/uploads", json={"name": "b.txt", "size": 3, "auto_complete": True}).json()
    url = urlsplit(ticket["url"])
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    sent = service.request("PATCH", f"{url.path}?{url.query}", key=None, content=b"abc", headers=headers)
    assert sent.status_code == 204
    for _ in range(2):  # the second from memory
        service.fetch(urlsplit(file["url"]).path)
    service.request("HEAD", urlsplit(file["url"]).path, key=None)
    service.request("GET", "/f/" + "x" * 44 + "/a", key=None)
    service.request("PUT", "/api/upload/a", content=b"abc", headers={"Repr-Digest": "sha-256=:AAAA:"})
    assert [counted(**labels) for labels in (native, tus, public)] == [before[0] + 1, before[1] + 1, before[2] + 2]


def test_what_is_kept_and_what_waits_is_measured_at_each_sweep(service: Service) -> None:
    service.upload(b"abc", path="a")
    service.upload(bytes(100_000), path="b")
    service.sweep()
    assert (gauge("fileferry_files"), gauge("fileferry_kept_bytes")) == (2, 100_003)
    assert gauge("fileferry_webhook_deliveries_pending") == 0
    assert gauge('fileferry_disk_free_bytes{disk="store"}') > 0
    assert gauge("fileferry_build_info") == 1
