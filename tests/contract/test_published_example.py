"""Code written for the published one-call API runs against this server with only the host and the key replaced."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.live_server import LiveServer

PROJECT = Path(__file__).parents[2]
# Where the project stands beside the published documents, their own code is run. They are not ours to pass on, so a clone
# elsewhere has none: then the test does not exist, rather than being skipped, and `one_call.py` alone makes the requests.
DOCUMENTS = sorted(PROJECT.parent.glob("*/seeds/000-*.txt"))


def run(folder: Path, *arguments: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_a_script_hands_a_file_over_in_one_call(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7\n")
    script = str(Path(__file__).with_name("one_call.py"))
    url = run(tmp_path, script, server.url, str(tmp_path / "invoice.pdf"), FILE_URL_KEY=server.root_key)
    assert httpx.get(url, trust_env=False).status_code == httpx.codes.GONE


def code_of(document: str) -> str:
    """Cut the Python out of a document whose lines lost their indentation, and indent the body of its ``with`` again."""
    lines = document[document.index("import os\n") :].splitlines()
    end = next(number for number, line in enumerate(lines) if line.startswith("print("))
    # The page's next sentence was glued to the last line of code.
    lines = [*lines[:end], lines[end][: lines[end].index(")") + 1]]
    code, within, depth = [], False, 0
    for line in lines:
        code.append("    " + line if within else line)
        depth += len(re.findall(r"[(\[{]", line)) - len(re.findall(r"[)\]}]", line))
        within = line.startswith("with ") or (within and depth > 0)
    return "\n".join(code) + "\n"


if DOCUMENTS:

    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
    def test_the_published_code_runs_unchanged(server: LiveServer, tmp_path: Path, document: Path) -> None:
        (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7\n")
        published = code_of(document.read_text())
        (host,) = re.findall(r"https://[a-z.]+", published)
        (variable,) = re.findall(r"environ\['(\w+)'\]", published)
        url = run(tmp_path, "-c", published.replace(host, server.url), **{variable: server.root_key})
        answer = httpx.get(url, trust_env=False)
        assert (answer.content, answer.headers["content-type"]) == (b"%PDF-1.7\n", "application/pdf")
