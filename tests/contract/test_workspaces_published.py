"""Code written for the published workspaces API runs against this server with only host, ids and key replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from contract.edge import fetch
from contract.workspace import Place
from support.live_server import LiveServer

PROJECT = Path(__file__).parents[2]
# Where the project stands beside the published documents, their own code is run. They are not ours to pass on, so a clone
# elsewhere has none: then those tests do not exist, rather than being skipped, and `workspace_upload.py` alone is run.
DOCUMENTS = sorted(PROJECT.parent.glob("*/seeds/002-*.txt"))
CONTENTS = {"empty.txt": b"", "note.txt": "Grüße\r\n--boundary\r\n".encode(), "large.bin": os.urandom(3_000_001)}


def run(folder: Path, *arguments: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, *arguments]
    finished = subprocess.run(
        command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(params=CONTENTS)
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of a file to send, in the folder of the test."""
    (tmp_path / request.param).write_bytes(CONTENTS[request.param])
    return str(request.param)


def test_a_script_uploads_by_path_polls_and_uploads_by_id(
    http: httpx.Client, server: LiveServer, tmp_path: Path, name: str
) -> None:
    place = Place.new(http)
    script = str(Path(__file__).with_name("workspace_upload.py"))
    printed = run(tmp_path, script, f"{server.url}{place.files}", name, name, FERRY_KEY=server.root_key)
    first, second = json.loads(printed)
    assert first["file_id"] == second["file_id"]
    assert int(first["version_id"]) < int(second["version_id"])
    assert [fetch(described["download"]).content for described in (first, second)] == [CONTENTS[name]] * 2


def code_of(document: str) -> list[str]:
    """Cut the steps out of a document whose lines lost their indentation, and indent the blocks of the polling again."""
    starts = [match.start() for match in re.finditer(r"^(?:import \w+$|upload_file = )", document, re.M)]
    ends = [r"^print\(.*\)$", r"^\)$", r"^time\.sleep\(.*\)$"]
    steps = []
    for start, end in zip(starts, ends, strict=True):
        last = re.compile(end, re.M).search(document, start)
        assert last is not None
        steps.append(document[start : last.end()])
    *others, polling = steps
    return [*others, indented(polling)]


def indented(polling: str) -> str:
    """Indent a loop with its conditions: a break ends the block of the condition before it."""
    code, level = [], 0
    for line in polling.splitlines():
        code.append("    " * level + line)
        if line.endswith(":"):
            level += 1
        elif line == "break":
            level -= 1
    return "\n".join(code)


if DOCUMENTS:

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
    def test_the_published_code_runs_unchanged(
        http: httpx.Client, server: LiveServer, tmp_path: Path, name: str, document: Path
    ) -> None:
        text = document.read_text()
        place = Place.new(http)
        ask, send, poll = [
            step.replace("https://<service_host>", server.url)
            .replace("[yourtokenhere]", server.root_key)
            .replace("path_to_my_file.txt", name)
            for step in code_of(text)
        ]
        given = f"org_uuid, workspace_uuid = {place.organization!r}, {place.workspace!r}\n"
        by_path = "\n".join(
            [given, ask, send, poll, "import json", "print(json.dumps([upload_link_response, result]))"]
        )
        ticket, described = json.loads(run(tmp_path, "-c", by_path).splitlines()[-1])
        assert (described["file_id"], described["version_id"]) == (ticket["file_id"], ticket["version_id"])
        assert (described["name"], described["path"], described["size"]) == (name, "/", len(CONTENTS[name]))
        assert set(re.findall(r'^"(\w+)":', text, re.M)) - set(ticket) - set(described) == {"id", "email"}
        assert fetch(described["download"]).content == CONTENTS[name]

        # The page's last step: the same again, but by the file's id.
        (identified,) = re.findall(r"^PUT https://<service_host>(\S+/files/<file_id>)$", text, re.M)[-1:]
        by_id = f"{server.url}{identified}".replace("<org_id>", place.organization)
        by_id = by_id.replace("<workspace_id>", place.workspace).replace("<file_id>", described["file_id"])
        again = re.sub(r"^url = .*$", f"url = {by_id!r}", ask, flags=re.M)
        run(tmp_path, "-c", "\n".join([given, again, send]))
        newer = place.get(name)
        assert int(newer["version_id"]) > int(described["version_id"])
        assert newer["file_id"] == described["file_id"]
        assert fetch(newer["download"]).content == CONTENTS[name]
