"""What pages load: how much it is, that browsers keep it, and that what others wrote is what they published."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from importlib import resources

import pytest

from ui.person import Person
from unit.service import Service

MOST = 55 * 1024
STATIC = resources.files("fileferry.ui") / "static"


@pytest.mark.parametrize("path", ["/sign-in", "/files", "/upload", "/keys", "/usage"])
def test_all_that_a_page_loads_is_small(service: Service, person: Person, path: str) -> None:
    page = (Person(service) if path == "/sign-in" else person).get(path)
    assets = re.findall(r'(?:src|href)="(/ui/assets/[^"]+)"', page.text)
    assert assets
    total = len(gzip.compress(page.content))
    for asset in assets:
        answer = service.request("GET", asset, key=None, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        total += int(answer.headers["content-length"])
    assert total <= MOST, f"{total} bytes"


def test_the_style_is_small() -> None:
    assert len((STATIC / "style.css").read_bytes()) <= 15 * 1024


def test_an_asset_of_another_release_or_elsewhere_is_not_there(person: Person) -> None:
    for path in ("0000000000000000/style.css", "0000000000000000/../templates/page.html", "x/%2e%2e/pages.py"):
        assert person.get(f"/assets/{path}").status_code == 404


def test_what_others_wrote_is_what_the_list_says() -> None:
    folder = STATIC / "vendor"
    listed = json.loads((folder / "vendored.json").read_text())
    there = {file.name for file in folder.iterdir()} - {"vendored.json"}
    assert there == set(listed)
    for name, one in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == one["sha256"], name
        assert re.fullmatch(r"\d+\.\d+\.\d+", one["version"])
        assert one["licence"] in ("MIT", "0BSD")
