"""Loading a library as if others were not installed, which it would load at once for extras that nobody here asks for.

Only loading is changed, and only while it lasts: whoever needs those others loads them as ever.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """Let packages that are not loaded yet not be found. None in ``sys.modules`` means so (Python reference, 5.3.1)."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
