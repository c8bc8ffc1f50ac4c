"""Code written for the published presigned API runs against this server with only host, key and folder replaced."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from contract.presigned_upload import WAYS
from support.live_server import LiveServer
from wire.asking import fetch, new_folder

PROJECT = Path(__file__).parents[2]
# Where the project stands beside the published documents, their own code is run. They are not ours to pass on, so a clone
# elsewhere has none: then those tests do not exist, rather than being skipped, and `presigned_upload.py` alone is run.
DOCUMENTS = sorted(PROJECT.parent.glob("*/seeds/001-*.txt"))


def run(folder: Path, *arguments: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    command = [sys.executable, *arguments]
    finished = subprocess.run(
        command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    """Files to send: an empty one, a small one with an awkward name, and one of several reads."""
    contents = {"empty.txt": b"", "report é 1+2.bin": os.urandom(1), "large.bin": os.urandom(3_000_001)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


@pytest.mark.parametrize("way", WAYS)
def test_three_calls_make_a_file_whichever_library_makes_them(
    http: httpx.Client, server: LiveServer, sources: list[Path], way: str
) -> None:
    script = str(Path(__file__).with_name("presigned_upload.py"))
    folder = new_folder(http)
    paths = [str(source) for source in sources]
    printed = run(sources[0].parent, script, way, server.url, folder, *paths, FERRY_KEY=server.root_key)
    served = [fetch(http, s3_key).content for s3_key in json.loads(printed)]
    assert served == [source.read_bytes() for source in sources]
    listed = http.get(f"/v1/files/{folder}").json()["files"]
    assert [(file["name"], file["uploaded"]) for file in listed] == [(source.name, True) for source in sources]


def code_of(document: str) -> str:
    """Cut the upload function out of a document whose lines lost their indentation, and indent its blocks again."""
    lines = document[document.index("import os\n") :].splitlines()
    end = next(number for number, line in enumerate(lines) if line.startswith("return "))
    # The page's next sentence was glued to the comment of the last line of code.
    lines = [*lines[:end], lines[end].partition("#")[0].rstrip()]
    code, level, depth = [], 0, 0
    for line in lines:
        # A blank line was lost before every numbered step; a step is where the one `with` ends.
        if line.startswith("# Step"):
            level = 1
        code.append("    " * level + line)
        depth += len(re.findall(r"[(\[{]", line)) - len(re.findall(r"[)\]}]", line))
        if line.startswith("def "):
            level = 1
        elif line.startswith("with "):
            level = 2
        elif level == 2 and depth == 0 and line.startswith("put_res.raise_for_status"):
            level = 1
    return "\n".join(code) + "\n"


def session_of(document: str) -> str:
    """Cut the retrying session out of a document."""
    start = document.index("from requests.adapters import")
    return document[start : document.index("# Then use session", start)]


if DOCUMENTS:

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
    @pytest.mark.parametrize("retrying", [False, True], ids=["plain", "with-its-retries"])
    def test_the_published_code_runs_unchanged(
        http: httpx.Client, server: LiveServer, sources: list[Path], document: Path, retrying: bool
    ) -> None:
        text = document.read_text()
        published = code_of(text)
        (host,) = re.findall(r'BASE = "(.+)"', published)
        (placeholder,) = re.findall(r'FOLDER_ID = "(.+)"', published)
        (variable,) = re.findall(r'environ\["(\w+)"\]', published)
        folder = new_folder(http)
        program = published.replace(host, server.url).replace(placeholder, folder)
        if retrying:
            # As the page says: its session in place of the module; over http here, as the server is.
            session = session_of(text).replace("https://", "http://")
            program = "import requests\n" + session + program.replace("requests.p", "session.p")
        program += f"\nfor path in {[str(source) for source in sources]!r}:\n    print(upload(path))\n"
        printed = run(sources[0].parent, "-c", program, **{variable: server.root_key})
        served = [fetch(http, s3_key).content for s3_key in printed.splitlines()]
        assert served == [source.read_bytes() for source in sources]
