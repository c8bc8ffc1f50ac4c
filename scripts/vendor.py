"""Fetches the scripts that pages of the dashboard load anew from npm, in the versions that their list names.

``python scripts/vendor.py`` writes the files and their SHA-256; with ``--check`` it only compares them with the list.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "src/fileferry/ui/static/vendor"
LIST = FOLDER / "vendored.json"


def main() -> None:
    """Compare or fetch, and exit with what differs."""
    listed = json.loads(LIST.read_text())
    if "--check" in sys.argv:
        if differing := [name for name, one in listed.items() if digest((FOLDER / name).read_bytes()) != one["sha256"]]:
            sys.exit(f"not what {LIST.name} says: {', '.join(differing)}")
        return
    for name, one in listed.items():
        content = fetched(one["package"], one["version"], one["path"])
        # A map of the source is not shipped.
        content = re.sub(rb"\n?//# sourceMappingURL=\S+\s*$", b"\n", content)
        (FOLDER / name).write_bytes(content)
        one["sha256"] = digest(content)
    LIST.write_text(json.dumps(listed, indent=2) + "\n")


def digest(content: bytes) -> str:
    """Return the SHA-256 as hex."""
    return hashlib.sha256(content).hexdigest()


def fetched(package: str, version: str, path: str) -> bytes:
    """Return a file of a package on npm."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(  # noqa: S603 - what the list in this repository names
            ["npm", "pack", "--silent", f"{package}@{version}"],  # noqa: S607
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        archive = (Path(folder) / packed.stdout.split()[-1]).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as packages:
        found = packages.extractfile(f"package/{path}")
        assert found is not None
        return found.read()


if __name__ == "__main__":
    main()
