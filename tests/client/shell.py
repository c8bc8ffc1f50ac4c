"""The command line as a shell runs it: in a folder of its own, with a server and a key in the environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support import fork_server

Result = subprocess.CompletedProcess[bytes]


class Shell:
    """Runs ``fileferry`` in a folder of its own."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "FILEFERRY_URL": url, "FILEFERRY_KEY": key, "NO_PROXY": "127.0.0.1"}

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        return fork_server.shared().run(arguments, environment=self.environment, folder=self.folder, stdin=stdin)

    def out(self, *arguments: str, stdin: bytes = b"") -> str:
        result = self.run(*arguments, stdin=stdin)
        assert result.returncode == 0, result.stderr.decode()
        return result.stdout.decode()

    def refused(self, *arguments: str) -> tuple[int, str]:
        result = self.run(*arguments)
        assert result.stdout == b""
        assert b"Traceback" not in result.stderr
        return result.returncode, result.stderr.decode()
