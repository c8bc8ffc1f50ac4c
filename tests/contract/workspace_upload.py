"""The workspaces flow as a script uses it: ask for a URL, send the file, poll until its version is there. A test runs it.

It sends the file once as a form, which is not what the URL is for but what scripts do, and once as it is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import requests

NO_PROXY = {"http": "", "https": ""}
KEY = {"Authorization": f"Bearer {os.environ['FERRY_KEY']}"}
BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob"}


def ask(address: str) -> dict[str, Any]:
    """Ask for a URL that takes the next version."""
    answer = requests.put(address, headers=KEY, proxies=NO_PROXY, timeout=30)
    answer.raise_for_status()
    ticket: dict[str, Any] = answer.json()
    return ticket


def send_form(ticket: dict[str, Any], path: str) -> None:
    """Send the file inside a multipart form."""
    with open(path, "rb") as source:
        form = {ticket["file_id"]: source}
        requests.put(ticket["upload"], files=form, headers=BLOCK_BLOB, proxies=NO_PROXY, timeout=30).raise_for_status()


def send_bare(ticket: dict[str, Any], path: str) -> None:
    """Send the file."""
    with open(path, "rb") as source:
        requests.put(ticket["upload"], data=source, headers=BLOCK_BLOB, proxies=NO_PROXY, timeout=30).raise_for_status()


def wait_for(address: str, version_id: str) -> dict[str, Any]:
    """Return the file once its newest version is the one that was asked for."""
    for _attempt in range(100):
        answer = requests.get(address, headers=KEY, proxies=NO_PROXY, timeout=30)
        if answer.ok and answer.json()["version_id"] == version_id:
            described: dict[str, Any] = answer.json()
            return described
        time.sleep(0.05)
    raise SystemExit(f"version {version_id} did not come")


if __name__ == "__main__":
    files, name, path = sys.argv[1:]
    by_path = f"{files}/path/{name}"
    first = ask(by_path)
    send_form(first, path)
    described = wait_for(by_path, first["version_id"])
    by_id = f"{files}/{described['file_id']}"
    second = ask(by_id)
    send_bare(second, path)
    print(json.dumps([described, wait_for(by_id, second["version_id"])]))
