"""Azure's operations on a signed URL as raw requests, and reading its answers. Knows no server."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any
from urllib.parse import quote

import httpx

from wire.asking import send

VERSION = {"x-ms-version": "2026-04-06"}
BLOCK_BLOB = {**VERSION, "x-ms-blob-type": "BlockBlob"}


def block_id(name: str) -> str:
    """Return a block's id as lists spell it."""
    return base64.b64encode(name.encode()).decode()


def md5_of(content: bytes) -> str:
    """Return an MD5 as headers hold it."""
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def block_list(*names: str, kind: str = "Latest") -> bytes:
    """Return the document that makes a blob of blocks."""
    listed = "".join(f"<{kind}>{block_id(name)}</{kind}>" for name in names)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()


def put_blob(url: str, content: Any, **headers: str) -> httpx.Response:
    """Put Blob; ``headers`` are named with underscores."""
    return send(url, content, headers={**BLOCK_BLOB, **dashed(headers)})


def put_block(url: str, name: str, content: Any, **headers: str) -> httpx.Response:
    """Put Block under the id that ``name`` stands for."""
    return send(f"{url}&comp=block&blockid={quote(block_id(name), safe='')}", content, headers=dashed(headers))


def put_list(url: str, *names: str, **headers: str) -> httpx.Response:
    """Put Block List of the latest blocks of these names."""
    return send_list(url, block_list(*names), **headers)


def send_list(url: str, document: Any, **headers: str) -> httpx.Response:
    """Put Block List with a document of one's own."""
    return send(f"{url}&comp=blocklist", document, headers=dashed(headers))


def get_list(url: str, kind: str = "all") -> httpx.Response:
    """Get Block List."""
    return send(f"{url}&comp=blocklist&blocklisttype={kind}", method="GET")


def ask(url: str, method: str, **headers: str) -> httpx.Response:
    """Send a request without a body that an Azure client would send."""
    return send(url, method=method, headers={**VERSION, **dashed(headers)})


def listed(answer: httpx.Response) -> dict[str, list[tuple[str, int]]]:
    """Return the blocks of a block list: their names and sizes, by group."""
    assert answer.status_code == 200, answer.text
    groups = {}
    for group in ("CommittedBlocks", "UncommittedBlocks"):
        within = re.search(f"<{group}>(.*?)</{group}>", answer.text, re.DOTALL)
        found = re.findall(r"<Name>(.*?)</Name><Size>(\d+)</Size>", within[1] if within else "")
        groups[group] = [(base64.b64decode(name).decode(), int(size)) for name, size in found]
    return groups


def dashed(headers: dict[str, str]) -> dict[str, str]:
    """Return headers with the names that they have on the wire."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
