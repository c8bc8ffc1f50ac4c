"""What a reader of the published signed API writes: ask for a URL, PUT the file to it, poll its status, attach it to a message.

FERRY_KEY=… python signed_upload.py WAY BASE USER PATH…    prints the id of each file; WAY is how the bytes are sent
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import requests


def by_requests(url: str, path: Path) -> None:
    """Stream the file."""
    with path.open("rb") as file:
        requests.put(url, data=file, timeout=60).raise_for_status()


def by_requests_with_a_type(url: str, path: Path) -> None:
    """Send it from memory and say what it is, as a browser does."""
    headers = {"Content-Type": "application/pdf" if path.suffix == ".pdf" else "text/plain"}
    requests.put(url, data=path.read_bytes(), headers=headers, timeout=60).raise_for_status()


def by_form(url: str, path: Path) -> None:
    """Send it in a form, which is not what was asked for, and common."""
    with path.open("rb") as file:
        requests.put(url, files={"file": (path.name, file)}, timeout=60).raise_for_status()


def by_urllib(url: str, path: Path) -> None:
    """Send it with the standard library."""
    request = urllib.request.Request(url, data=path.read_bytes(), method="PUT")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).close()


def by_curl(url: str, path: Path) -> None:
    """Upload it with curl."""
    subprocess.run(["curl", "--fail", "--silent", "--upload-file", path, url], check=True, stdout=subprocess.DEVNULL)


def by_curl_data(url: str, path: Path) -> None:
    """Send it as the data of a request with curl."""
    command = ["curl", "--fail", "--silent", "-X", "PUT", "--data-binary", f"@{path}", url]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


WAYS: dict[str, Callable[[str, Path], None]] = {
    way.__name__: way for way in (by_requests, by_requests_with_a_type, by_form, by_urllib, by_curl, by_curl_data)
}


def upload(session: requests.Session, base: str, path: Path, send: Callable[[str, Path], None]) -> str:
    """Bring one file to where it can be attached; return its id."""
    ticket = session.get(f"{base}/v1/files/signed-url", params={"filename": path.name}, timeout=60)
    ticket.raise_for_status()
    file_id = ticket.json()["file_id"]
    send(ticket.json()["file_url"], path)
    deadline = time.monotonic() + 60
    status = {"processing_status": "PENDING"}
    while status["processing_status"] in ("PENDING", "PROCESSING") and time.monotonic() < deadline:
        answer = session.get(f"{base}/v1/files/{file_id}/status", headers={"Prefer": "wait=5"}, timeout=60)
        answer.raise_for_status()
        status = answer.json()
    if status["processing_status"] != "PROCESSED":
        raise SystemExit(f"{path}: {status}")
    target = {"message_id": f"message of {file_id}"}
    session.post(f"{base}/v1/files/{file_id}/attach", json=target, timeout=60).raise_for_status()
    return str(file_id)


def main(way: str, base: str, user: str, *paths: str) -> None:
    """Upload files and print their ids."""
    session = requests.Session()
    session.headers.update({"api-key": os.environ["FERRY_KEY"], "user-id": user})
    for path in paths:
        print(upload(session, base, Path(path), WAYS[way]))


if __name__ == "__main__":
    main(*sys.argv[1:])
