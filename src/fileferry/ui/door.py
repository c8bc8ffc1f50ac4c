"""The one address of the dashboard that the application knows. What is behind it is loaded when somebody first comes by."""

from __future__ import annotations

import functools
from typing import Any

from litestar import asgi
from litestar.types import Receive, Scope, Send

from fileferry.ui.engines import ENGINE


@asgi("/ui", is_mount=True, copy_scope=True)
async def door(scope: Scope, receive: Receive, send: Send) -> None:
    """Pass a request on to the pages."""
    known: Any = scope
    known[ENGINE] = known["litestar_app"].state.engine
    # The pages' own routes are below the mount, whatever a proxy in front calls that.
    known["path"] = known["path"].removeprefix("/ui") or "/"
    known["root_path"] = ""
    await _pages()(scope, receive, send)


@functools.cache
def _pages() -> Any:
    from fileferry.ui.application import make

    return make()
