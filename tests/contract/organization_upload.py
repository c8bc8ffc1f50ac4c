"""The organizations flow as a script uses it: ask for a URL, send the file, register it. A test runs it.

It sends the file whole, or by the protocol of resumable sessions in chunks, asking before each how much has arrived.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import requests

NO_PROXY = {"http": "", "https": ""}
KEY = {"X-API-Key": os.environ["FERRY_KEY"]}
CHUNK = 1024 * 1024


def ask(files: str, path: str, mime_type: str) -> dict[str, Any]:
    """Ask for a URL that takes the file."""
    said = {"filename": os.path.basename(path), "file_size": os.path.getsize(path), "mime_type": mime_type}
    answer = requests.post(f"{files}/upload-url", headers=KEY, json=said, proxies=NO_PROXY, timeout=30)
    answer.raise_for_status()
    return {**said, **answer.json()}


def send_whole(session: dict[str, Any], path: str) -> None:
    """Send the file in one request."""
    with open(path, "rb") as source:
        headers = {"Content-Type": session["mime_type"]}
        answer = requests.put(session["upload_url"], headers=headers, data=source, proxies=NO_PROXY, timeout=60)
    answer.raise_for_status()


def send_chunks(session: dict[str, Any], path: str) -> None:
    """Send the file in chunks; before each ask how much has arrived."""
    size = session["file_size"]
    with open(path, "rb") as source:
        while True:
            asked = put_range(session, b"", f"bytes */{size}")
            if asked.status_code != 308:
                asked.raise_for_status()
                return
            begin = int(asked.headers["Range"].partition("-")[2]) + 1 if "Range" in asked.headers else 0
            source.seek(begin)
            chunk = source.read(CHUNK)
            put_range(session, chunk, f"bytes {begin}-{begin + len(chunk) - 1}/{size}").raise_for_status()


def put_range(session: dict[str, Any], chunk: bytes, content_range: str) -> requests.Response:
    """PUT with a Content-Range; 308 is an answer here, not a redirection."""
    return requests.put(
        session["upload_url"],
        data=chunk,
        headers={"Content-Range": content_range},
        allow_redirects=False,
        proxies=NO_PROXY,
        timeout=60,
    )


def register(files: str, session: dict[str, Any]) -> dict[str, Any]:
    """Make what was sent a file."""
    said = {name: session[name] for name in ("filename", "gcs_path", "file_size", "mime_type", "file_id")}
    answer = requests.post(files, headers=KEY, json=said, proxies=NO_PROXY, timeout=30)
    answer.raise_for_status()
    file: dict[str, Any] = answer.json()
    return file


WAYS = {"whole": send_whole, "chunks": send_chunks}

if __name__ == "__main__":
    way, files, path, mime_type = sys.argv[1:]
    session = ask(files, path, mime_type)
    WAYS[way](session, path)
    print(json.dumps(register(files, session)))
