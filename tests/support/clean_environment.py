"""A virtual environment with the built wheel, the packages that it names, what those name, and nothing else. It needs no network:
the packages are links to those that the tests run with, of the versions that are locked."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
_SECONDS = 300


def build(folder: Path) -> tuple[Path, Path]:
    """Build a wheel and a source distribution into ``folder`` and return both."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=_SECONDS)
    (wheel,) = folder.glob("*.whl")
    (source,) = folder.glob("*.tar.gz")
    return wheel, source


class CleanEnvironment:
    """What ``pip install fileferry[EXTRA]`` makes."""

    def __init__(self, folder: Path, wheel: Path, extra: str = "", *, without: frozenset[str] = frozenset()) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=_SECONDS)
        self.scripts = folder / "bin"
        self.python = self.scripts / "python"
        (place,) = (folder / "lib").glob("python*/site-packages")
        self._pip("install", "--no-deps", "--no-index", "--no-compile", str(wheel))
        (installed,) = metadata.distributions(path=[str(place)])
        self.packages = _closure(installed, extra, without)
        for name in self.packages:
            _link(metadata.distribution(name), place)

    def run(self, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end, in no folder of the project."""
        program, *arguments = command
        given = {"capture_output": True, "text": True, "timeout": _SECONDS, "cwd": self.scripts, **options}
        return subprocess.run([str(self.scripts / program), *arguments], **given)  # type: ignore[call-overload, no-any-return]

    def complaints(self) -> str:
        """Return what pip says of packages that are missing or of a version that is not taken."""
        return self._pip("check", check=False)

    def _pip(self, *arguments: str, check: bool = True) -> str:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python), *arguments]
        done = subprocess.run(command, check=check, capture_output=True, text=True, timeout=_SECONDS)
        return done.stdout


def _closure(package: metadata.Distribution, extra: str, without: frozenset[str]) -> frozenset[str]:
    """Return the canonical names of all packages that this one needs with an extra, itself left out."""
    found: set[str] = set()
    waiting = [(package, {extra, ""})]
    while waiting:
        asking, extras = waiting.pop()
        for requirement in map(Requirement, asking.requires or ()):
            name = canonicalize_name(requirement.name)
            wanted = not requirement.marker or any(requirement.marker.evaluate({"extra": word}) for word in extras)
            if wanted and name not in found and name not in without:
                found.add(name)
                waiting.append((metadata.distribution(name), {*requirement.extras, ""}))
    return frozenset(found)


def _link(package: metadata.Distribution, place: Path) -> None:
    """Put the package's folders and modules into ``place``."""
    own = Path(sysconfig.get_path("purelib"))
    for top in {Path(file).parts[0] for file in package.files or ()}:
        if re.fullmatch(r"\.\.|__pycache__|.*\.pth", top) or (place / top).exists():
            continue
        (place / top).symlink_to(own / top)
