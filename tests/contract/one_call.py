"""The one-call flow as a script uses it, with requests: hand a file over, look at it, end it. Run by the test beside it."""

from __future__ import annotations

import os
import sys

import requests


def main(base: str, path: str) -> None:
    """Upload the file at ``path`` to the server at ``base`` and print its URL; the key is in FILE_URL_KEY."""
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {os.environ['FILE_URL_KEY']}"

    with open(path, "rb") as source:
        uploaded = session.post(f"{base}/v1/files", files={"file": source}, data={"expires_in": "24h"}, timeout=30)
    uploaded.raise_for_status()
    handed = uploaded.json()
    assert handed["filename"] == os.path.basename(path)
    assert handed["expires_at"] is not None

    # Whoever is given the URL fetches it without a key.
    fetched = requests.get(handed["url"], timeout=30, proxies={"http": ""})
    fetched.raise_for_status()
    with open(path, "rb") as source:
        assert fetched.content == source.read()

    seen = session.get(f"{base}/v1/files/{handed['file_id']}", timeout=30)
    seen.raise_for_status()
    assert seen.json()["status"] == "ready"

    session.delete(f"{base}/v1/files/{handed['file_id']}", timeout=30).raise_for_status()
    again = session.delete(f"{base}/v1/files/{handed['file_id']}", timeout=30)
    assert (again.status_code, again.json()["error"]["retry"]) == (404, "never")
    print(handed["url"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
