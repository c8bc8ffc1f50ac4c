"""The one address of the dashboard that the application knows. What is behind it is loaded when somebody first comes by."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import unquote

from litestar import asgi
from litestar.types import Receive, Scope, Send

from fileferry.ui.engines import ENGINE

_ADDRESS = "/ui"


@asgi(_ADDRESS, is_mount=True, copy_scope=False)
async def door(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a request on to the pages."""
    known: Any = scope
    # Routing leaves the rest of the path there; the log tells what was asked for.
    known["path"] = unquote(known["raw_path"].decode("latin-1"))
    path = known["path"].removeprefix(_ADDRESS) or "/"
    inner = {**known, "path": path, "root_path": "", ENGINE: known["litestar_app"].state.engine}
    await _pages()(inner, receive, send)


@functools.cache
def _pages() -> Any:
    from fileferry.ui.application import make

    return make()
