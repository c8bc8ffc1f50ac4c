"""Chromium uploads from a page of another origin: preflights pass, and the page reads ETags and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from browser.chromium import outcome_in_chromium
from contract.edge import sha256_field
from wire.asking import ask_one, confirm, confirmed, etag_of, initiate

SIZE = 300_000
PART_SIZE = 100_000


@pytest.mark.service("chromium")
def test_a_page_of_another_origin_uploads_and_reads_the_answers(http: httpx.Client, tmp_path: Path) -> None:
    content = bytes(index % 251 for index in range(SIZE))
    whole = {name: ask_one(http, SIZE) for name in ("typed", "digested", "progress")}
    too_small = ask_one(http, SIZE - 1)
    upload = initiate(http, SIZE, PART_SIZE)
    told = {
        "size": SIZE,
        "partSize": PART_SIZE,
        "digest": sha256_field(content),
        **{name: ticket["url"] for name, ticket in whole.items()},
        "parts": list(upload.urls.values()),
        "refused": too_small["url"],
        "changed": too_small["url"].replace("sp=cw", "sp=rcw"),
        "refusedPart": upload.urls[1],
    }
    outcome = outcome_in_chromium({"/": ("text/html", Path(__file__).with_name("page.html"))}, told, tmp_path)

    assert set(outcome) == {"typed", "digested", "progress", "parts", "refused", "changed", "refusedPart"}, outcome
    for name, ticket in whole.items():
        assert (outcome[name]["status"], outcome[name]["etag"]) == (200, etag_of(content))
        assert confirmed(http, ticket) == content
    assert outcome["progress"]["progress"] == SIZE

    assert [part["status"] for part in outcome["parts"]] == [200, 200, 200]
    etags = {number: part["etag"] for number, part in enumerate(outcome["parts"], 1)}
    assert upload.complete(etags).status_code == 200
    assert upload.fetch().content == content

    assert (outcome["refused"]["status"], json.loads(outcome["refused"]["text"])["code"]) == (413, "file_too_large")
    assert (outcome["changed"]["status"], json.loads(outcome["changed"]["text"])["code"]) == (403, "link_refused")
    assert outcome["refusedPart"]["status"] == 413
    assert "<Code>EntityTooLarge</Code>" in outcome["refusedPart"]["text"]
    assert confirm(http, too_small["id"]).status_code == 409
