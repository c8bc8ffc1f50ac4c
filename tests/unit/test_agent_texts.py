"""What agents read of a server has its address in it, and its lines work as they stand."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.service import Service

BASE = "https://files.example.com"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("texts"), base_url=BASE)
    yield service
    service.close()


@pytest.mark.parametrize("path", ["/llms.txt", "/SKILL.md"])
def test_a_text_has_the_address_of_its_server_and_needs_no_key(service: Service, path: str) -> None:
    answer = service.request("GET", path, key=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/")
    assert BASE in answer.text
    assert "BASE" not in answer.text


def test_the_address_is_that_of_the_request_where_none_is_set(tmp_path: Path) -> None:
    service = Service(tmp_path)
    assert "http://service/api/upload/" in service.request("GET", "/SKILL.md", key=None).text
    assert "http://other/mcp" in service.request("GET", "/llms.txt", key=None, headers={"Host": "other"}).text
    service.close()


def test_every_command_of_the_skill_asks_for_what_is_there(service: Service) -> None:
    text = service.request("GET", "/SKILL.md", key=None).text
    file = service.upload(b"abc", "reports/a.pdf")
    ticket = service.request("POST", "/api/uploads", json={"name": "a"}).json()
    blocks = [part.split("```")[0] for part in text.split("```sh\n")[1:]]
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    inline = [part for part in text.split("`") if part.startswith(f"curl -fsS -X POST {BASE}")]
    asked = 0
    for line in [*lines, *inline]:
        words = shlex.split(line.partition(" && ")[0])
        urls = [word for word in words if word.startswith(BASE)]
        if not urls:
            continue
        assert words[:2] == ["curl", "-fsS"]
        options = dict(itertools.pairwise(words))
        url = urls[0].replace("FILE_ID", file["id"]).replace("/ID", f"/{ticket['id']}")
        body = {"content": options["-d"].encode()} if "-d" in options else {}
        method = options.get("-X", "POST" if body else "PUT" if "-T" in options else "GET")
        if "-T" in options:
            url, body = url + options["-T"], {"content": b"abc"}
        answer = service.request(method, url, **body)
        assert answer.is_success, (line, answer.text)
        asked += 1
    assert asked == 7
