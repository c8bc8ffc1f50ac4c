"""Code written for the published signed API runs against this server with only host, key and user replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.edge import fetch
from contract.signed import PDF, EndUser
from contract.signed_upload import WAYS
from fileferry.api import signed
from fileferry.errors import CATALOGUE
from support.live_server import LiveServer, MakeServer
from wire.asking import send

PROJECT = Path(__file__).parents[2]
# Where the project stands beside the published documents, their own code is run. They are not ours to pass on, so a clone
# elsewhere has none: then those tests do not exist, rather than being skipped, and `signed_upload.py` alone is run.
DOCUMENTS = sorted(PROJECT.parent.glob("*/seeds/004-*.txt"))


def run(folder: Path, *command: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    finished = subprocess.run(
        command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.service("curl")
@pytest.mark.parametrize("way", WAYS)
def test_a_script_brings_files_to_where_they_can_be_attached(
    http: httpx.Client, server: LiveServer, tmp_path: Path, way: str
) -> None:
    contents = {"report é.pdf": PDF + bytes(3_000_001), "notes.txt": b"harmless\n"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    user = EndUser(http)
    script = str(Path(__file__).with_name("signed_upload.py"))
    printed = run(tmp_path, sys.executable, script, way, server.url, user.id, *contents, FERRY_KEY=server.root_key)
    shown = [user.shows(file_id) for file_id in printed.split()]
    assert {file["file_name"]: fetch(file["url"]).content for file in shown} == contents


def answers_of(document: str) -> list[dict[str, Any]]:
    """Cut the JSON answers out of a document that lost its lines."""
    found, begin = [], document.index("{\n", document.index("curl "))
    while document[begin:].lstrip().startswith("{"):
        answer, begin = json.JSONDecoder().raw_decode(document, begin)
        found.append(answer)
    return found


if DOCUMENTS:

    @pytest.fixture(params=DOCUMENTS, ids=lambda path: path.stem)
    def document(request: pytest.FixtureRequest) -> str:
        """The published document."""
        text: str = request.param.read_text()
        return text

    def keyed(document: str, server: LiveServer, user: str) -> str:
        """Cut out the document's command, at home here: host and user are replaced, and the header that it names has the key."""
        (command,) = re.findall(r'curl -X [^{]*"', document)
        (host,) = re.findall(r"https://[a-z.]+", command)
        (shown,) = re.findall(r'user-id: ([^"]+)', command)
        (header,) = re.findall(r"APIKeyHeader ([a-z-]+)<token>", document)
        command = command.replace(host, server.url).replace(shown, user).replace(" \\ ", " \\\n ")
        return f'{command} -H "{header}: $FERRY_KEY"'

    @pytest.mark.service("curl")
    def test_the_published_curl_gets_the_published_answer(
        http: httpx.Client, server: LiveServer, tmp_path: Path, document: str
    ) -> None:
        user = EndUser(http)
        published = keyed(document, server, user.id)
        ticket = json.loads(run(tmp_path, "bash", "-c", published, FERRY_KEY=server.root_key))
        shown = answers_of(document)[0]
        assert ticket | {name: shown[name] for name in ("file_id", "file_url")} == shown
        (tmp_path / "string").write_bytes(PDF)
        run(tmp_path, "curl", "--fail", "--silent", "-T", "string", ticket["file_url"])
        assert user.settled(ticket["file_id"])["processing_status"] == "PROCESSED"
        assert fetch(user.shows(ticket["file_id"])["url"]).content == PDF

    def test_refusals_are_those_published(make_server: MakeServer, document: str) -> None:
        published = answers_of(document)[1:]
        server = make_server(key_requests="4/hour", processing="worker")
        with server.client() as http, httpx.Client(base_url=server.url, trust_env=False) as nobody:
            user = EndUser(http)
            ticket = user.ask()
            send(ticket["file_url"], PDF)
            made = [
                EndUser(nobody).call("GET", f"/{ticket['file_id']}/status"),
                user.attaches(ticket["file_id"], message_id="m"),
                user.call("GET", f"/{uuid.uuid4()}/status"),
                user.call("GET", ""),
            ]
        assert [answer.status_code for answer in made] == [401, 409, 404, 429]
        assert all(answer.json() in published for answer in made)

    def test_every_code_of_a_refusal_is_published_and_every_published_one_is_used(document: str) -> None:
        rendered = [signed.render_error(None, kind()) for kind in CATALOGUE.values()]  # type: ignore[arg-type]
        used = [json.loads(answer.content) for answer in rendered]
        codes = [{body.get("error_code") for body in bodies} for bodies in (used, answers_of(document)[1:])]
        assert codes[0] == codes[1]
