"""The upload widgets of docs/browser-clients.md, as they come, run in Chromium the lines that the page shows of them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import httpx
import pytest

from browser.chromium import outcome_in_chromium
from contract.edge import fetch
from support.node import PACKAGES
from wire.asking import open_ticket

PAGE = Path(__file__).parents[2] / "docs" / "browser-clients.md"
SHOWN = re.compile(r"^## (.+?)$(?:(?!^## ).)*?^```js$\n(.*?)\n^```$", re.DOTALL | re.MULTILINE)
# The widgets' pieces are of 1 MiB: the first file goes whole, the second in three or, where the last may be larger, in two.
SIZES = (70_001, 2 * 1024 * 1024 + 70_001)
WHOLE = {"Plain fetch", "XMLHttpRequest, with progress", "Uppy 6 with AwsS3"}
"""What sends a file of this size in one request."""
SCRIPTS = {
    "/tus.js": "tus-js-client/dist/tus.min.js",
    "/uppy.mjs": "uppy/dist/uppy.min.mjs",
    "/jquery.js": "jquery/dist/jquery.min.js",
    "/jquery.ui.widget.js": "blueimp-file-upload/js/vendor/jquery.ui.widget.js",
    "/jquery.fileupload.js": "blueimp-file-upload/js/jquery.fileupload.js",
    "/dropzone.js": "dropzone/dist/dropzone-min.js",
    "/filepond.js": "filepond/dist/filepond.min.js",
    "/fine-uploader.js": "fine-uploader/fine-uploader/fine-uploader.core.min.js",
    "/plupload.js": "plupload/js/plupload.full.min.js",
    "/flow.js": "@flowjs/flow.js/dist/flow.min.js",
    "/resumable.js": "resumablejs/resumable.js",
}


@pytest.mark.service("chromium")
@pytest.mark.service("node")
def test_widgets_upload_as_the_docs_say(http: httpx.Client, tmp_path: Path) -> None:
    shown = dict(SHOWN.findall(PAGE.read_text()))
    assert len(shown) == 12
    runs = []
    expected = {}
    for name, lines in shown.items():
        for size in SIZES:
            content = bytes(index % 251 for index in range(size))
            digest = hashlib.sha256(content).hexdigest()
            ticket = open_ticket(http, name="file of a page.bin", size=size, sha256=digest, auto_complete=True)
            runs.append({"name": name, "lines": lines, "url": ticket["url"], "size": size})
            expected[ticket["id"]] = (name, content)
    served = {address: ("text/javascript", PACKAGES / path) for address, path in SCRIPTS.items()}
    served["/"] = ("text/html", Path(__file__).with_name("widgets.html"))
    outcome = outcome_in_chromium(served, {"runs": runs}, tmp_path, seconds=300)

    assert set(outcome) == set(shown), outcome
    for name, ended in outcome.items():
        assert [list(one) for one in ended] == [["done"], ["done"]], (name, ended)
    whole = set()
    for id, (name, content) in expected.items():
        upload = http.get(f"/api/uploads/{id}").json()
        file = http.get(f"/api/files/{upload['file_id']}").json()
        assert file.get("status") == "ready", (name, len(content), upload)
        assert fetch(file["url"]).content == content
        # Pieces that are numbered are parts, and the others a stream; what comes whole is neither.
        if len(content) == max(SIZES) and len(upload["parts"]) < 2 and not upload["offset"]:
            whole.add(name)
    assert whole == WHOLE
