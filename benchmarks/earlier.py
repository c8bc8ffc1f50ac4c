"""An earlier build of fileferry, measured in the same rounds: a checkout with an environment of its own below `.services`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks.peers import ROOT, SERVICES, Fileferry

NAME = "earlier build"


class Earlier(Fileferry):
    """fileferry as it was at a commit; it is installed when it is first asked for, which takes minutes."""

    name = NAME

    def __init__(self, commit: str) -> None:
        super().__init__()
        self._commit = _output("rev-parse", "--short", f"{commit}^{{commit}}")
        self.setup = f"fileferry at {self._commit}, run in the same way"
        self._build = SERVICES / "builds" / self._commit

    def version(self) -> str:
        if not self.program.exists():
            self._install()
        return self._commit

    @property
    def program(self) -> Path:
        """The command of this build."""
        return self._build / ".venv" / "bin" / "fileferry"

    def _install(self) -> None:
        if not self._build.exists():
            subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(self._build)], check=True)
            subprocess.run(["git", "checkout", "--quiet", self._commit], cwd=self._build, check=True)
        inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        subprocess.run(["scripts/setup.sh", ".venv"], cwd=self._build, env=inherited, check=True)


def _output(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
