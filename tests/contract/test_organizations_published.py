"""Code written for the published organizations API runs against this server with only host, key and organization replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.edge import fetch
from contract.organization import Answer, Tenant
from support.live_server import LiveServer

PROJECT = Path(__file__).parents[2]
# Where the project stands beside the published documents, their own code is run. They are not ours to pass on, so a clone
# elsewhere has none: then those tests do not exist, rather than being skipped, and `organization_upload.py` alone is run.
DOCUMENTS = sorted(PROJECT.parent.glob("*/seeds/003-*.txt"))
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


def run(folder: Path, *command: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    finished = subprocess.run(
        command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("way", ["whole", "chunks"])
@pytest.mark.parametrize("size", [1, 1024**2, 3_000_001])
def test_a_script_asks_sends_and_registers(
    http: httpx.Client, server: LiveServer, tmp_path: Path, way: str, size: int
) -> None:
    content = os.urandom(size)
    (tmp_path / "measurements é.bin").write_bytes(content)
    tenant = Tenant.new(http)
    script = str(Path(__file__).with_name("organization_upload.py"))
    arguments = [way, f"{server.url}{tenant.files}", "measurements é.bin", "application/octet-stream"]
    file = json.loads(run(tmp_path, sys.executable, script, *arguments, FERRY_KEY=server.root_key))
    assert (file["name"], file["size"], file["organization_id"]) == ("measurements é.bin", size, tenant.id)
    assert fetch(file["url"]).content == content


def blocks_of(document: str, language: str) -> list[str]:
    """Cut the code in a language out of a document that lost its lines, without the name over the first of each kind."""
    found = re.findall(rf"```{language} (.*?)```", document, re.DOTALL)
    return [re.sub(r"\A(?:cURL|Python|JavaScript) ", "", block).strip() for block in found]


def python_of(document: str) -> str:
    """Break the Python in a document into its lines again: statements begin outside of brackets, a step ends a block."""
    lines, within = [], False
    for block in blocks_of(document, "python"):
        for step in re.split(r"# Step \d: .*?(?=\w+ = |with )", block):
            for statement in statements_of(step):
                lines.append("    " + statement if within else statement)
                within = within or statement.endswith(":")
            within = False
    return "\n".join(lines) + "\n"


def statements_of(code: str) -> Iterator[str]:
    """Yield the statements of code that stands in one line."""
    depth, begin = 0, 0
    for token in re.finditer(r"[(\[{)\]}]|(?<!\S)(?:import |with |print\b|\w+ = )", code):
        if token[0][0].isidentifier():
            if depth == 0 and token.start() > begin:
                yield code[begin : token.start()].strip()
                begin = token.start()
        else:
            depth += 1 if token[0] in "([{" else -1
    yield code[begin:].strip()


if DOCUMENTS:

    @pytest.fixture(params=DOCUMENTS, ids=lambda path: path.stem)
    def document(request: pytest.FixtureRequest) -> str:
        """The published document."""
        text: str = request.param.read_text()
        return text

    @pytest.fixture
    def tenant(http: httpx.Client) -> Tenant:
        """The organization that takes the place of the document's."""
        return Tenant.new(http)

    def at_home(code: str, server: LiveServer, tenant: Tenant) -> str:
        """Replace host and organization."""
        (host,) = set(re.findall(r"https://api\.[a-z.]+", code))
        (organization,) = set(re.findall(r"\borg_\w*\d\w*", code))
        return code.replace(host, server.url).replace(organization, tenant.slug)

    def variable_of(document: str) -> str:
        (variable,) = set(re.findall(r'environ\["(\w+)"\]', document))
        return variable

    def test_the_published_python_runs_unchanged(
        server: LiveServer, tmp_path: Path, document: str, tenant: Tenant
    ) -> None:
        published = python_of(document)
        (path,) = re.findall(r"'(/\S+/)\w+\.mp4'", published)
        (size,) = set(re.findall(r'"file_size": (\d+)', published))
        video = tmp_path / "large_video.mp4"
        with video.open("wb") as file:
            file.write(MP4)
            file.truncate(int(size))
        key = {variable_of(document): server.root_key}
        printed = run(
            tmp_path, sys.executable, "-c", at_home(published.replace(path, ""), server, tenant), **key
        ).splitlines()
        (registered,) = re.findall(r"^File registered: (.+)$", "\n".join(printed), re.M)
        assert f"File ID: {registered}" in printed
        described = tenant.gets(registered).json()
        assert (described["name"], described["size"], described["status"]) == (video.name, int(size), "completed")
        assert fetch(described["url"], headers={"Range": f"bytes=0-{len(MP4) - 1}"}).content == MP4
        tenant.deletes(registered)

    @pytest.mark.service("curl")
    def test_the_published_curl_gets_the_published_answer(
        server: LiveServer, tmp_path: Path, document: str, tenant: Tenant
    ) -> None:
        (published,) = blocks_of(document, "bash")
        command = at_home(published, server, tenant).replace(" \\ ", " \\\n ")
        session: Answer = json.loads(run(tmp_path, "bash", "-c", command, **{variable_of(document): server.root_key}))
        shown = json.loads(re.findall(r"```json 200 OK (.*?)```", document, re.DOTALL)[0])
        assert session.keys() == shown.keys()
        same = ["upload_type", "chunk_size_recommended"]
        assert [session[name] for name in same] == [shown[name] for name in same]

    @pytest.mark.service("node")
    def test_the_published_javascript_gets_a_url(
        server: LiveServer, tmp_path: Path, document: str, tenant: Tenant
    ) -> None:
        (published,) = blocks_of(document, "javascript")
        script = at_home(published, server, tenant)
        printed = run(tmp_path, "node", "-e", script, **{variable_of(document): server.root_key})
        assert f"Upload URL: {server.url}/u/" in printed
        assert re.search(r"^File ID: \S{36}$", printed, re.M)

    def test_refusals_are_those_published(server: LiveServer, document: str, tenant: Tenant) -> None:
        published = {
            int(status): json.loads(body)
            for status, body in re.findall(r"```json (4\d\d) [^{]*(.*?)```", document, re.DOTALL)
        }
        with Tenant.new(tenant.http).client(server, "admin") as stranger:
            made = {400: tenant.asks(file_size=0), 403: tenant.seen_by(stranger).asks()}
        assert made.keys() == published.keys()
        for status, answer in made.items():
            shown, got = published[status], answer.json()
            shown["error"] |= {name: got["error"][name] for name in ("trace_id", "timestamp")}
            if status == 403:
                shown["error"]["details"] = {"organization_id": tenant.slug}
            assert (answer.status_code, got) == (status, shown)
