"""White space around a field's value is no part of it (RFC 9110 section 5.5), whoever reads the field."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.live_server import LiveServer

PADDINGS = [("", " "), ("", "\t"), (" \t", " \t ")]


def asked(
    server: LiveServer, method: str, target: str, padding: tuple[str, str], body: bytes, **fields: str
) -> tuple[int, Any, Any]:
    """Send a request whose fields are all padded so; return status, headers and JSON of its answer."""
    before, after = padding
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": f"127.0.0.1:{server.port}", "Content-Length": str(len(body)), **fields}.items():
            connection.putheader(name.replace("_", "-"), f"{before}{value}{after}")
        connection.endheaders(body)
        answer = connection.getresponse()
        said = answer.read()
        return answer.status, answer.headers, json.loads(said) if said else None
    finally:
        connection.close()


@pytest.mark.parametrize("padding", PADDINGS, ids=["a space", "a tab", "on both sides"])
def test_a_call_reads_padded_fields(server: LiveServer, padding: tuple[str, str]) -> None:
    digest = base64.b64encode(hashlib.sha256(b"abc").digest()).decode()
    fields = {"X_API_Key": server.root_key, "user_id": "ada", "Content_Digest": f"sha-256=:{digest}:"}
    status, _, file = asked(server, "PUT", "/api/upload/padded.bin", padding, b"abc", **fields)
    assert (status, file["size"], file["end_user"]) == (201, 3, "ada")
    status, _, told = asked(server, "DELETE", f"/api/files/{file['id']}", padding, b"", **fields)
    assert status == 204, told


@pytest.mark.parametrize("padding", PADDINGS, ids=["a space", "a tab", "on both sides"])
def test_a_protocol_reads_padded_fields(server: LiveServer, padding: tuple[str, str]) -> None:
    with server.client() as client:
        ticket = client.post("/api/uploads", json={"name": "padded.bin", "auto_complete": True}).json()
    split = urlsplit(ticket["url"])
    target = f"{split.path}?{split.query}"
    tus = {"Tus_Resumable": "1.0.0"}
    status, _, told = asked(server, "POST", target, padding, b"", **tus, Upload_Length="3")
    assert status == 201, told
    sent = {"Upload_Offset": "0", "Content_Type": "application/offset+octet-stream"}
    status, headers, told = asked(server, "PATCH", target, padding, b"abc", **tus, **sent)
    assert (status, headers["upload-offset"]) == (204, "3"), told


@pytest.mark.parametrize("padding", PADDINGS, ids=["a space", "a tab", "on both sides"])
def test_tools_read_padded_fields(server: LiveServer, padding: tuple[str, str]) -> None:
    revision = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    params = {"name": "list_files", "arguments": {}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    fields = {
        "Authorization": f"Bearer {server.root_key}",
        "Accept": "application/json, text/event-stream",
        "Content_Type": "application/json",
        "MCP_Protocol_Version": revision,
        "Mcp_Method": "tools/call",
        "Mcp_Name": "list_files",
    }
    status, _, told = asked(server, "POST", "/mcp", padding, body, **fields)
    assert status == 200, told
    assert "files" in told["result"]["structuredContent"]
