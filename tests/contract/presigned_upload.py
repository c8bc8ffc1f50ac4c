"""The presigned flow as a script uses it, with whichever HTTP library it has: ask, send, confirm. Run by the test beside it."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

NO_PROXY = {"http": "", "https": ""}
KEY = os.environ.get("FERRY_KEY", "")


def with_requests(base: str, folder: str, path: str) -> str:
    """Use plain requests; send an open file."""
    import requests

    asked = requests.post(
        f"{base}/v1/files/{folder}", headers={"Authorization": KEY}, json=described(path), proxies=NO_PROXY, timeout=30
    )
    asked.raise_for_status()
    ticket = asked.json()["urls"][0]
    with open(path, "rb") as source:
        requests.put(ticket["url"], data=source, proxies=NO_PROXY, timeout=30).raise_for_status()
    done = requests.post(
        f"{base}/v1/files/confirm-upload",
        headers={"Authorization": KEY},
        json={"ids": [ticket["id"]]},
        proxies=NO_PROXY,
        timeout=30,
    )
    done.raise_for_status()
    return checked(done.json(), ticket)


def with_retrying_session(base: str, folder: str, path: str) -> str:
    """Use one session of requests that repeats POST and PUT on server errors."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    session = requests.Session()
    session.trust_env = False
    again = Retry(total=3, backoff_factor=0.1, status_forcelist=[500, 502, 503, 504], allowed_methods=["POST", "PUT"])
    session.mount("http://", HTTPAdapter(max_retries=again))
    session.mount("https://", HTTPAdapter(max_retries=again))

    key = {"Authorization": KEY}
    asked = session.post(f"{base}/v1/files/{folder}", headers=key, json=described(path), timeout=30)
    asked.raise_for_status()
    ticket = asked.json()["urls"][0]
    with open(path, "rb") as source:
        session.put(ticket["url"], data=source, timeout=30).raise_for_status()
    done = session.post(f"{base}/v1/files/confirm-upload", headers=key, json={"ids": [ticket["id"]]}, timeout=30)
    done.raise_for_status()
    return checked(done.json(), ticket)


def with_httpx(base: str, folder: str, path: str) -> str:
    """Use httpx, which streams an open file."""
    import httpx

    with httpx.Client(trust_env=False, timeout=30) as client:
        key = {"Authorization": KEY}
        asked = client.post(f"{base}/v1/files/{folder}", headers=key, json=described(path)).raise_for_status()
        ticket = asked.json()["urls"][0]
        with open(path, "rb") as source:
            client.put(ticket["url"], content=source).raise_for_status()
        done = client.post(f"{base}/v1/files/confirm-upload", headers=key, json={"ids": [ticket["id"]]})
        return checked(done.raise_for_status().json(), ticket)


def with_urllib3(base: str, folder: str, path: str) -> str:
    """Use urllib3 alone."""
    import urllib3

    pool = urllib3.PoolManager()

    def call(method: str, url: str, **options: Any) -> Any:
        answer = pool.request(method, url, timeout=30, **options)
        assert answer.status == 200, answer.data
        return answer.json()

    key = {"Authorization": KEY}
    ticket = call("POST", f"{base}/v1/files/{folder}", headers=key, json=described(path))["urls"][0]
    with open(path, "rb") as source:
        call("PUT", ticket["url"], body=source)
    done = call("POST", f"{base}/v1/files/confirm-upload", headers=key, json={"ids": [ticket["id"]]})
    return checked(done, ticket)


def described(path: str) -> dict[str, Any]:
    """Return what the flow wants to know first."""
    return {"filesMetadata": [{"name": os.path.basename(path), "size": os.path.getsize(path)}]}


def checked(answer: dict[str, Any], ticket: dict[str, Any]) -> str:
    """Return the key that the public address is made of, once the answer says that the file is there."""
    (file,) = answer["files"]
    assert file["id"] == ticket["id"]
    assert file["uploaded"] is True
    assert file["s3Key"] == ticket["s3Key"]
    return str(ticket["s3Key"])


WAYS = {
    "requests": with_requests,
    "retrying-requests": with_retrying_session,
    "httpx": with_httpx,
    "urllib3": with_urllib3,
}

if __name__ == "__main__":
    way, base, folder, *paths = sys.argv[1:]
    print(json.dumps([WAYS[way](base, folder, path) for path in paths]))
