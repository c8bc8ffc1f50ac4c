"""Which version of fileferry this is, read once for a process: health checks ask for it, and it stands in a file."""

from __future__ import annotations

import functools
from importlib import metadata


@functools.cache
def version() -> str:
    """Return the version of the package that is installed (PEP 440)."""
    return metadata.version("fileferry")
